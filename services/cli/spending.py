"""``engines budget``: what films spent on a day, what is reserved, and what may be."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import click

from services.cli.rendering import json_option, run_visit
from services.cli.visit import Visit, arrive, nats_option

if TYPE_CHECKING:
    from config import Config
    from events.notices import Account

DAY = "%Y-%m-%d"


@click.command()
@click.option(
    "--date",
    type=click.DateTime([DAY]),
    help="Another day, such as 2026-11-25 (UTC). Default: today.",
)
@json_option
@nats_option
def budget(*, date: dt.datetime | None, as_json: bool, nats_url: str) -> None:
    """Tell what films spent on a day, what is still reserved, and what the caps are.

    What is reserved is for creates that are under way, and for those of which nobody knows what
    they did cost; the latter stay reserved for their day.
    """
    from config import load
    from events.notices import Account
    from services.home import Home

    config = load()
    day = (date or dt.datetime.now(dt.UTC)).strftime(DAY)

    found = [Account()]

    async def act(visit: Visit) -> None:
        from services.standing import account_of

        currency = config.budget.currency
        found.append(await visit.patiently(lambda: account_of(visit.log, currency, day)))

    if nats_url or not Home.find().is_fresh():
        with arrive(nats_url, services=False) as arrival:
            run_visit(arrival, act, lambda: None)
    view = budget_view(config, day, found[-1])
    click.echo(json.dumps(view) if as_json else budget_line(view))


def budget_view(config: Config, day: str, account: Account) -> dict[str, Any]:
    """A day's money as ``--json`` tells it; null: no cap, or not known."""
    return {
        "date": day,
        "currency": config.budget.currency,
        "spent": account.spent if account.readable else None,
        "reserved": account.reserved if account.readable else None,
        "per_day": config.budget.per_day,
        "per_job": config.budget.per_job,
    }


def budget_line(view: dict[str, Any]) -> str:
    """The same for a person."""
    currency, day = view["currency"], view["date"]
    used = "its last notice cannot be read"
    if view["spent"] is not None:
        used = f"{view['spent']:g} {currency} spent, {view['reserved']:g} reserved"
    caps = [
        f"{view[key]:g} {currency} {what}" if view[key] is not None else f"no cap {what}"
        for key, what in (("per_day", "a day"), ("per_job", "a film"))
    ]
    hint = ""
    if view["per_day"] is None or view["per_job"] is None:
        hint = " (PYTOON_BUDGET__PER_DAY and PYTOON_BUDGET__PER_JOB set one)"
    return f"budget of {day} (UTC): {used}; {', '.join(caps)}{hint}"
