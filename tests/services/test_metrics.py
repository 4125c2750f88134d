"""What Prometheus is told, by an actor that works and by events one by one."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from events.log import Conflict, DurableSpec, Queue
from events.memory import MemoryLog
from events.notices import CircuitClosed, CircuitOpened, Posting
from events.spec import Archetype, Rung
from events.types import (
    AssemblyFailed,
    Deadline,
    Event,
    Reason,
    RenderCancelled,
    RungDescended,
    SegmentFailed,
    SegmentTimedOut,
)
from services.actor import Actor, GiveBack, Limits
from services.metrics import Metrics
from services.runtime import Runtime
from tests.builders import (
    JOB,
    LADDER,
    START_S,
    completed,
    job_after,
    planned,
    requested,
    segment_rendered,
)
from tests.patience import COMES_S, others_go_on
from tests.services.test_runtime import QUICK, Performer, ask, decide, ended, settled

MONITORING = Path(__file__).parents[2] / "docs" / "reference" / "monitoring"
FUNCTIONS = re.compile(r"\b(pytoon_\w+)(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\b(?:by|on) \(([^)]*)\)")
HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """A sample as it stands; None where there is none."""
    return metrics.registry.get_sample_value(name, labels)


def counted(*events: Event) -> Metrics:
    """Metrics that were told of events of a planned job, 12 s after it was asked for."""
    metrics = Metrics()
    job = job_after(requested(), planned())
    metrics.meter("test").appended(job, events, now_s=START_S + 12, took_s=0.004)
    return metrics


def test_an_append_counts_its_events_and_its_time() -> None:
    """By the service and the type."""
    metrics = counted(segment_rendered(0), segment_rendered(1))
    told = {"service": "test", "type": "segment_rendered"}
    assert 2.0 == value(metrics, "pytoon_events_appended_total", **told)
    assert 1.0 == value(metrics, "pytoon_event_append_seconds_count", service="test")
    assert 0.004 == value(metrics, "pytoon_event_append_seconds_sum", service="test")


def test_a_film_counts_from_its_request() -> None:
    """And by its state."""
    metrics = counted(completed())
    assert 1.0 == value(metrics, "pytoon_jobs_ended_total", state="completed")
    assert 12.0 == value(metrics, "pytoon_job_seconds_sum")


def test_a_job_without_a_film_takes_no_time() -> None:
    """Only films are measured."""
    metrics = counted(RenderCancelled(job_id=JOB, why="no"))
    assert 1.0 == value(metrics, "pytoon_jobs_ended_total", state="cancelled")
    assert 0.0 == value(metrics, "pytoon_job_seconds_count")


@pytest.mark.parametrize("told", [None, LADDER[1]])
def test_a_time_out_is_its_engines(told: Rung | None) -> None:
    """Of the rung that the event names; an old event names none: then of the segment's."""
    event = SegmentTimedOut(
        job_id=JOB, segment=0, attempt=1, deadline=Deadline.TOO_LONG, rung=told
    )
    engine = (told or planned().spec.ladder[0]).engine
    attempts = {"engine": engine, "outcome": "too_long"}
    assert 1.0 == value(counted(event), "pytoon_segment_attempts_total", **attempts)


def test_failures_and_descents_say_why() -> None:
    """By engine and reason."""
    failed = SegmentFailed(
        job_id=JOB, segment=0, attempt=1, rung=LADDER[0], reason=Reason.MODERATED,
        retryable=False, detail="", elapsed_s=1.0,
    )  # fmt: skip
    fell = RungDescended(
        job_id=JOB, segment=0, rung_index=1, from_rung=LADDER[0],
        to_rung=Rung(engine="compositor", archetype=Archetype.OVERLAY), reason=Reason.MODERATED,
    )  # fmt: skip
    broken = AssemblyFailed(job_id=JOB, attempt=1, reason=Reason.CORRUPT_OUTPUT, detail="")
    metrics = counted(failed, fell, broken)
    attempts = {"engine": "null", "outcome": "moderated"}
    step = {"from_engine": "null", "to_engine": "compositor", "to_archetype": "OVERLAY"}
    assert 1.0 == value(metrics, "pytoon_segment_attempts_total", **attempts)
    assert 1.0 == value(metrics, "pytoon_ladder_descents_total", reason="moderated", **step)
    assert 1.0 == value(metrics, "pytoon_assembly_failures_total", reason="corrupt_output")


async def test_a_runtime_counts_what_it_does() -> None:
    """A message that is given back once and then handled: two in hand, one of them again."""
    log, metrics = MemoryLog(), Metrics()
    durable = DurableSpec(name="judge", types=("render_requested",))
    await log.provision((durable,))
    perform = Performer(GiveBack("later", delay_s=0.05))
    actor = Actor(name="judge", durables=(durable,), decide=decide, perform=perform, slots=2)
    meter = metrics.meter("judge")
    runtime = Runtime(actor, log, limits=Limits(), settings=QUICK, meter=meter)
    stop = asyncio.Event()
    task = asyncio.create_task(runtime.run(stop))
    await ask(log)
    await ended(log)
    await settled(log)
    stop.set()
    await asyncio.wait_for(task, COMES_S)
    assert 1.0 == value(metrics, "pytoon_given_back_total", service="judge")
    assert 1.0 == value(metrics, "pytoon_redeliveries_total", service="judge")
    assert 0.0 == value(metrics, "pytoon_messages_in_hand", service="judge")
    assert 1.0 == value(metrics, "pytoon_event_append_seconds_count", service="judge")
    assert (value(metrics, "pytoon_job_load_seconds_count", service="judge") or 0) >= 3
    told = {"service": "judge", "type": "render_rejected"}
    assert 1.0 == value(metrics, "pytoon_events_appended_total", **told)


async def test_a_conflict_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is nothing that was appended."""
    log, metrics = MemoryLog(), Metrics()

    async def refuse(*_: Any, **__: Any) -> None:
        raise Conflict

    monkeypatch.setattr(log, "append", refuse)
    actor = Actor(name="judge", durables=(), decide=decide, perform=Performer())
    meter = metrics.meter("judge")
    runtime = Runtime(actor, log, limits=Limits(), settings=QUICK, meter=meter)
    await ask(log)
    (cause,) = await log.read(JOB)
    assert not await runtime.append(await runtime.cache.load(JOB), [completed()], cause)
    assert 1.0 == value(metrics, "pytoon_append_conflicts_total", service="judge")
    assert 0.0 == value(metrics, "pytoon_event_append_seconds_count", service="judge")


async def test_queues_and_circuits_are_looked_at() -> None:
    """Depths of the durables, and each engine's circuit by its last notice and the clock."""
    log, metrics, stop = MemoryLog(), Metrics(), asyncio.Event()
    await log.provision((DurableSpec(name="judge", types=("render_requested",)),))
    await ask(log)
    opened = CircuitOpened(
        engine="one", until_s=100.0, failures=3, counted=1, reason=Reason.TIMEOUT
    )
    await log.post(Posting(notice=opened, after=0), source="test")
    await log.post(Posting(notice=CircuitClosed(engine="two"), after=0), source="test")
    watch = metrics.watch(log, ["one", "two", "none"], stop, queues=True, clock=lambda: 99.0)
    task = asyncio.create_task(watch)
    await others_go_on()
    stop.set()
    await asyncio.wait_for(task, COMES_S)
    assert 1.0 == value(metrics, "pytoon_queue_depth", durable="judge", state="waiting")
    assert 0.0 == value(metrics, "pytoon_queue_depth", durable="judge", state="handed_out")
    open_now = [value(metrics, "pytoon_circuit_open", engine=name) for name in ("one", "two")]
    assert [1.0, 0.0] == open_now
    assert 0.0 == value(metrics, "pytoon_circuit_open", engine="none")


def test_a_service_serves_its_own() -> None:
    """Over HTTP, as Prometheus reads it."""
    metrics = Metrics()
    metrics.depths({"planner": Queue(waiting=3, handed_out=1)})
    server, thread = metrics.serve("127.0.0.1", 0)
    try:
        with urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=COMES_S) as answer:
            told = answer.read().decode()
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
    assert 'pytoon_queue_depth{durable="planner",state="waiting"} 3.0' in told


def _expressions() -> Iterator[tuple[str, str]]:
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text("utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    board = json.loads((MONITORING / "dashboard.json").read_text("utf-8"))
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("where", "expression"), tuple(_expressions()))
def test_rules_and_panels_name_metrics_that_exist(where: str, expression: str) -> None:
    """With the labels that those have."""
    known = {name: set(labels) for name, kind, labels, _ in Metrics().documented()}
    kinds = {name: kind for name, kind, *_ in Metrics().documented()}
    used: set[str] = set()
    if where != "PytoonServiceAway":  # it asks Prometheus itself
        assert FUNCTIONS.findall(expression)
    for name, matched in FUNCTIONS.findall(expression):
        plain = HISTOGRAM.sub("", name)
        assert plain in known, where
        assert (plain != name) == (kinds[plain] == "histogram")
        used |= known[plain] | ({"le"} if plain != name else set())
        assert set(re.findall(r"(\w+)[=!]", matched)) <= known[plain], where
    for grouped in GROUPED.findall(expression):
        assert set(grouped.split(", ")) <= used, where
    assert expression.count("(") == expression.count(")")


def test_every_alert_says_what_to_do() -> None:
    """A summary, a description, and how bad it is; the labels that they show exist."""
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
    for rule in rules:
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        kept = {label for text in GROUPED.findall(rule["expr"]) for label in text.split(", ")}
        assert shown <= kept | {"instance"}


def test_prometheus_reads_the_rules_that_ship() -> None:
    """Its configuration names the file of rules beside it, and the job that they ask for."""
    found = yaml.safe_load((MONITORING / "prometheus.yml").read_text("utf-8"))
    assert all((MONITORING / name).is_file() for name in found["rule_files"])
    assert ["pytoon"] == [job["job_name"] for job in found["scrape_configs"]]
