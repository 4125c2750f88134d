"""``engines``: who may render, whether it can be asked now, and how it did so far."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
from typing import TYPE_CHECKING, Any

import click

from services.cli.checking import check
from services.cli.rendering import json_option, run_visit
from services.cli.settings import note_on
from services.cli.spending import DAY, budget, budget_line, budget_view
from services.cli.visit import Visit, arrive, nats_option

if TYPE_CHECKING:
    from config import Config
    from events.notices import Account
    from services.standing import Failed, Standing

HEALTH_S = 10.0
"""How long one engine may take to say whether it is well."""


@click.group(invoke_without_command=True)
@json_option
@nats_option
@click.pass_context
def engines(context: click.Context, *, as_json: bool, nats_url: str) -> None:
    """List the engines: health, circuit, successes, failures and costs.

    Whether an engine is well is asked now, from this machine; the rest is what the log says of
    its work, by whichever service.
    """
    if context.invoked_subcommand is not None:
        return
    from config import load
    from services.home import Home

    config = load()
    today = dt.datetime.now(dt.UTC).strftime(DAY)
    names = [engine.name for engine in config.engines]
    found: dict[str, Standing] = {}
    accounts: list[Account] = []

    async def act(visit: Visit) -> None:
        from services.standing import account_of, standings

        found.update(await visit.patiently(lambda: standings(visit.log, names)))
        currency = config.budget.currency
        accounts.append(await visit.patiently(lambda: account_of(visit.log, currency, today)))

    if nats_url or not Home.find().is_fresh():
        with arrive(nats_url, services=False) as arrival:
            run_visit(arrival, act, lambda: None)
    healths = asyncio.run(_healths(config))
    views = [_view(config, name, healths.get(name), found.get(name)) for name in names]
    if not nats_url and (note := note_on(Home.find())) is not None:
        click.echo(note, err=True)
    if as_json:
        click.echo(json.dumps(views, ensure_ascii=False))
        return
    lines = [line for view in views for line in _lines(view)]
    costly = any(view["enabled"] and view["local"] is False for view in views)
    if accounts and (costly or accounts[0].seq):
        lines.append(budget_line(budget_view(config, today, accounts[0])))
    click.echo("\n".join(lines))


engines.add_command(check)
engines.add_command(budget)


async def _healths(config: Config) -> dict[str, dict[str, Any]]:
    """What each enabled engine says of itself."""
    from services.composition import Workshop
    from services.home import Home

    home = Home.find()
    home.create()
    workshop = Workshop((), home, config)
    told: dict[str, dict[str, Any]] = {}
    try:
        for name, engine in workshop.engines.items():
            can = engine.capabilities()
            try:
                async with asyncio.timeout(HEALTH_S):
                    health = await engine.health()
                ok, detail = health.ok, health.detail
            except TimeoutError:
                ok, detail = False, f"no answer within {HEALTH_S:g} s"
            told[name] = {
                "local": can.local,
                "generates": can.generates,
                "healthy": ok,
                "detail": detail,
            }
    finally:
        await workshop.close()
    for name, why in workshop.left_out.items():
        told[name] = {"local": None, "generates": None, "healthy": False, "detail": why}
    return told


def _view(
    config: Config, name: str, health: dict[str, Any] | None, standing: Standing | None
) -> dict[str, Any]:
    """An engine as ``pytoon engines --json`` tells it; null is what is not known."""
    settings = config.engine(name)
    assert settings is not None
    unknown = {"local": None, "generates": None, "healthy": None, "detail": ""}
    view: dict[str, Any] = {
        "name": name,
        "kind": settings.kind,
        "enabled": settings.enabled,
        **(health or unknown),
        "circuit": "closed",
        "circuit_until": None,
        "failures_in_a_row": 0,
        "rendered": 0,
        "failed": 0,
        "success": None,
        "reasons": {},
        "last_rendered": None,
        "last_failures": [],
        "cost": 0.0,
        "currency": config.budget.currency,
    }
    if standing is None:
        return view
    circuit, record = standing.circuit, standing.record
    if circuit.broken:
        view["circuit"] = "open" if circuit.holds(time.time()) else "half-open"
        view["circuit_until"] = _iso(circuit.until_s)
    return view | {
        "failures_in_a_row": circuit.failures,
        "rendered": record.rendered,
        "failed": record.failed,
        "success": record.success,
        "reasons": record.reasons,
        "last_rendered": _iso(record.rendered_s) if record.rendered_s else None,
        "last_failures": [_failure_view(failed) for failed in record.last],
        "cost": record.cost,
    }


def _failure_view(failed: Failed) -> dict[str, Any]:
    return {
        "time": _iso(failed.time_s),
        "job_id": failed.job_id,
        "segment": failed.segment,
        "attempt": failed.attempt,
        "reason": failed.reason,
        "detail": failed.detail,
    }


def _iso(time_s: float) -> str:
    return dt.datetime.fromtimestamp(time_s, dt.UTC).isoformat(timespec="seconds")


def _lines(view: dict[str, Any]) -> list[str]:
    """The same for a person."""
    if not view["enabled"]:
        return [f"{view['name']}: off ({view['kind']})"]
    what = [view["kind"]]
    if view["generates"] is not None:
        what += ["generates" if view["generates"] else "composes"]
        what += ["here" if view["local"] else "elsewhere"]
    state = {True: "well", False: "not well", None: "not served here"}[view["healthy"]]
    detail = f": {view['detail']}" if view["detail"] else ""
    lines = [f"{view['name']}: {state} ({', '.join(what)}){detail}"]
    if view["circuit"] != "closed":
        until = f"left alone until {view['circuit_until']}"
        next_step = until if view["circuit"] == "open" else "the next segment tries it"
        failures = f"{view['failures_in_a_row']} failures"
        lines.append(f"  circuit {view['circuit']}: {failures}, {next_step}")
    tried = view["rendered"] + view["failed"]
    if tried:
        share = f"{view['rendered']} of {tried} attempts rendered ({view['success']:.0%})"
        reasons = ", ".join(f"{count} {reason}" for reason, count in view["reasons"].items())
        cost = f", cost {view['cost']:g} {view['currency']}" if view["cost"] else ""
        last = f"; the last one at {view['last_rendered']}" if view["last_rendered"] else ""
        lines.append(f"  {share}{last}{cost}" + (f"; failed: {reasons}" if reasons else ""))
    for failed in view["last_failures"]:
        where = f"{failed['job_id']}, segment {failed['segment'] + 1}"
        lines.append(f"    {failed['time']} {where}: {failed['reason']}: {failed['detail']}")
    return lines
