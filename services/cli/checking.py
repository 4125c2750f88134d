"""``engines check``: whether the servers of ComfyUI engines have what their workflows need."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

from services.cli.exits import Refused, Unreachable
from services.cli.rendering import json_option

if TYPE_CHECKING:
    from adapters.comfyui.checking import ServerReport
    from config.models import EngineSettings

KIND = "comfyui"


class Lacking(Refused):
    """A server lacks something; what, is told already."""

    def show(self, file: object = None) -> None:
        """Nothing more."""
        del file


@click.command()
@click.argument("name", required=False)
@click.option("--clip", is_flag=True, help="Also make a small clip, which needs no model.")
@json_option
def check(*, name: str | None, clip: bool, as_json: bool) -> None:
    """Look whether ComfyUI servers have the nodes and models that they need.

    NAME is an engine; without it every ComfyUI engine that is switched on is looked at. Nothing
    is queued at a server, except with --clip.
    """
    told = {engine.name: _reports(engine, clip=clip) for engine in _asked(name)}
    if as_json:
        views = {key: [_view(report) for report in reports] for key, reports in told.items()}
        click.echo(json.dumps(views, ensure_ascii=False))
    else:
        lines = (_lines(key, report) for key, reports in told.items() for report in reports)
        click.echo("\n".join(line for some in lines for line in some))
    reports = [report for some in told.values() for report in some]
    if all(report.problem for report in reports):
        raise Unreachable("No server answers: start ComfyUI, or name its address.")
    if not all(report.ok for report in reports):
        raise Lacking("a server lacks something")


def _asked(name: str | None) -> list[EngineSettings]:
    from config import load

    engines = load().engines
    known = [engine for engine in engines if engine.kind == KIND]
    if name is not None:
        named = [engine for engine in known if engine.name == name]
        if any(engine.name == name for engine in engines) and not named:
            raise Refused(
                f"{name} is no ComfyUI engine: there is nothing to look at without asking it for "
                "work. `pytoon engines` says whether it can be asked, and what is missing."
            )
        if not named:
            there = ", ".join(engine.name for engine in known) or "none"
            raise Refused(f"No ComfyUI engine is called {name!r}; there are: {there}.")
        return named
    on = [engine for engine in known if engine.enabled]
    if not on:
        example = f"pytoon engines check {known[0].name}" if known else "config/engines.yaml"
        raise Refused(f"No ComfyUI engine is switched on; to look at one all the same: {example}")
    return on


def _reports(engine: EngineSettings, *, clip: bool) -> tuple[ServerReport, ...]:
    from adapters.comfyui.checking import check as looked_at
    from adapters.comfyui.checking import prove
    from adapters.comfyui.generator import workflows_of
    from adapters.comfyui.options import options_of
    from adapters.workers import WorkerPool

    options = options_of(engine)
    workflows = workflows_of(engine.name, options)

    async def act() -> tuple[ServerReport, ...]:
        reports = await looked_at(options, workflows.values())
        if not clip:
            return reports
        workers = WorkerPool(1, preload=("assembler.remux",))
        try:
            return await prove(options, reports, workers)
        finally:
            await workers.close()

    return asyncio.run(act())


def _view(report: ServerReport) -> dict[str, Any]:
    """A server as ``--json`` tells it."""
    view: dict[str, Any] = {
        "server": report.server,
        "ok": report.ok,
        "version": report.version or None,
        "problem": report.problem or None,
        "workflows": {one.workflow: list(one.problems) for one in report.workflows},
    }
    if report.proof is not None:
        view["clip"] = report.proof or "made"
    return view


def _lines(name: str, report: ServerReport) -> list[str]:
    """The same for a person."""
    if report.problem:
        return [f"{name}: {report.problem}"]
    lines = [f"{name}: {report.server}, ComfyUI {report.version or 'of an unknown version'}"]
    for one in report.workflows:
        lines.append(f"  {one.workflow}: " + ("all there" if not one.problems else "lacks"))
        lines += [f"    {problem}" for problem in one.problems]
    if report.proof is not None:
        lines.append(f"  clip without a model: {report.proof or 'made'}")
    return lines
