"""Requests as spans, and a client's trace that goes on into the log."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from adapters.base import StoreAway
from events.log import Recorded
from events.trace import TraceContext, of_job, parse
from services.gateway.desk import Desk
from tests.recorder import Kept, MemoryRecorder
from tests.services.gateway.conftest import ASK, House, house_of

CLIENT = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1)
TOLD = {"traceparent": CLIENT.traceparent}
SECRET = "nobody-may-read-this"


async def asked(house: House, headers: dict[str, str] | list[tuple[str, str]]) -> Recorded:
    """A request that was stored."""
    answer = await house.client.post(
        "/api/v1/jobs", json={**ASK, "prompt": SECRET}, headers=httpx.Headers(headers)
    )
    assert answer.status_code == 202
    (first, *_) = await house.log.read(answer.json()["job_id"])
    return first


async def test_a_clients_trace_goes_on(house: House, recorder: MemoryRecorder) -> None:
    """The request is within the client's span, the job within the request's, all else within."""
    ask = await asked(house, TOLD)
    await house.ended(ask.job_id)
    (post,), (job,) = recorder.named("POST /api/v1/jobs"), recorder.named("job")
    assert (CLIENT, CLIENT.trace_id) == (post.begun.parent, post.context.trace_id)
    assert post.context == parse(ask.traceparent) == job.begun.parent
    history = await house.log.read(ask.job_id)
    assert {CLIENT.trace_id} == {
        found.trace_id for r in history if (found := parse(r.traceparent))
    }
    assert {
        "http.request.method": "POST",
        "url.scheme": "http",
        "url.path": "/api/v1/jobs",
        "http.route": "/api/v1/jobs",
        "http.response.status_code": 202,
        "pytoon.job": ask.job_id,
    } == post.facts
    assert ("gateway", "server", False) == (post.begun.service, post.begun.kind, post.failed)


async def test_a_trace_begins_with_the_request(house: House, recorder: MemoryRecorder) -> None:
    """Where its client has none, or several, or one that is none."""
    double = [*TOLD.items(), *TOLD.items()]
    for headers in ({}, {"traceparent": "00-nonsense"}, {"traceparent": ""}, double):
        ask = await asked(house, headers)
        post = recorder.named("POST /api/v1/jobs")[-1]
        assert post.begun.parent is None
        assert post.context == parse(ask.traceparent)
        assert post.context.trace_id != CLIENT.trace_id
    assert 4 == len({post.context.trace_id for post in recorder.named("POST /api/v1/jobs")})


@pytest.mark.parametrize(
    ("headers", "kept"), [(TOLD, TOLD["traceparent"]), ({}, ""), ({"traceparent": "x"}, "")]
)
async def test_a_trace_is_handed_on_unrecorded(
    house: House, headers: dict[str, str], kept: str
) -> None:
    """As it came: a span that nobody exports would tear the client's trace apart."""
    ask = await asked(house, headers)
    assert kept == ask.traceparent
    own, _ = of_job(ask.job_id, kept)
    ended = await house.ended(ask.job_id)
    assert ended["status"] == "completed"
    last = parse((await house.log.read(ask.job_id))[-1].traceparent)
    assert last is not None
    assert own.trace_id == last.trace_id


async def test_a_cancel_has_a_trace_of_its_own(tmp_path: Path, recorder: MemoryRecorder) -> None:
    """Its message names its request; its reason is for the log alone."""
    async with house_of(tmp_path, actors=False) as house:
        ask = await asked(house, TOLD)
        url = f"/api/v1/jobs/{ask.job_id}/cancel?why={SECRET}"
        assert (await house.client.post(url)).status_code == 202
        _, cancel = await house.log.read(ask.job_id)
    (post,) = recorder.named("POST /api/v1/jobs/{job_id}/cancel")
    assert post.context == parse(cancel.traceparent)
    assert post.context.trace_id != CLIENT.trace_id
    assert SECRET in str(cancel)
    assert SECRET not in str(recorder.spans)


def told_of(span: Kept) -> tuple[str, object, object]:
    """Name, route and status."""
    return span.name, span.facts.get("http.route"), span.facts.get("http.response.status_code")


async def test_names_are_few(house: House, recorder: MemoryRecorder) -> None:
    """They have no ids in them, whatever is asked; what is no address of ours has no route."""
    ask = await asked(house, TOLD)
    await house.client.get(f"/api/v1/jobs/{ask.job_id}/events?after=1")
    await house.client.get("/api/v1/jobs/nobody")
    await house.client.get(f"/api/v1/{SECRET}")
    await house.client.request("BREW", "/api/v1/presets")
    assert [
        ("POST /api/v1/jobs", "/api/v1/jobs", 202),
        ("GET /api/v1/jobs/{job_id}/events", "/api/v1/jobs/{job_id}/events", 200),
        ("GET /api/v1/jobs/{job_id}", "/api/v1/jobs/{job_id}", 404),
        ("GET", None, 404),
        ("_OTHER /api/v1/presets", "/api/v1/presets", 405),
    ] == [told_of(span) for span in recorder.begun if span.begun.service == "gateway"]


async def test_who_is_not_let_in_leaves_no_span(tmp_path: Path, recorder: MemoryRecorder) -> None:
    """Nor who looks whether the gateway lives, or fetches the page."""
    async with house_of(tmp_path, keys="shop:a-long-enough-key", actors=False) as house:
        assert (await house.client.get("/api/v1/jobs", headers=TOLD)).status_code == 401
        for path in ("/health", "/ready", "/", "/page/app.js"):
            assert (await house.client.get(path)).status_code == 200
    assert [] == recorder.begun


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError(SECRET), 500), (StoreAway(SECRET), 503)]
)
async def test_a_fault_of_ours_is_marked(
    house: House,
    recorder: MemoryRecorder,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
) -> None:
    """By the status, and by no words of what went wrong."""

    async def broken(self: Desk, job_id: str) -> None:
        raise error

    monkeypatch.setattr(Desk, "job", broken)
    with capture_logs():
        assert (await house.client.get("/api/v1/jobs/x")).status_code == status
    (span,) = recorder.spans
    assert span.failed
    assert span.facts["error.type"] in {str(status), type(error).__name__}
    assert SECRET not in str(span)
