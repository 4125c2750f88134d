"""The REST addresses: films are asked for, watched and fetched."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from adapters.base import StoreAway
from tests.services.gateway.conftest import ASK, House, house_of


async def test_the_quick_start_ends_in_a_film(house: House) -> None:
    """The quick start ends in a film."""
    listed = (await house.client.get("/api/v1/presets")).json()
    assert {"overlay_classic", "meme_text"} & {preset["preset_id"] for preset in listed}
    uploaded = await house.client.post("/api/v1/assets", files={"file": ("b.png", b"pixels")})
    assert uploaded.status_code == 201
    uri = uploaded.json()["uri"]
    asked = await house.client.post("/api/v1/jobs", json={**ASK, "image_uris": [uri]})
    assert asked.status_code == 202
    job_id = asked.json()["job_id"]
    assert asked.headers["location"] == f"/api/v1/jobs/{job_id}"

    told = await house.ended(job_id)
    assert told["status"] == "completed"
    segments = (await house.client.get(f"/api/v1/jobs/{job_id}/segments")).json()
    assert [segment["status"] for segment in segments] == ["rendered"] * 5
    film = await house.client.get(told["output"])
    assert film.status_code == 200
    assert film.headers["etag"] == f'"{told["sha256"]}"'
    part = await house.client.get(told["output"], headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, film.content[1:4])
    assert (await house.client.get(f"/api/v1/jobs/{job_id}/thumbnail")).status_code == 200
    assert (await house.client.get(f"/api/v1/jobs/{job_id}/segments/4/body")).status_code == 200


async def test_every_problem_of_a_request_is_named(house: House) -> None:
    """Every problem of a request is named."""
    answer = await house.client.post(
        "/api/v1/jobs", json={"preset_id": "nope", "target_duration_seconds": 61, "colour": 1}
    )
    assert answer.status_code == 422
    told = answer.json()
    fields = {problem["field"] for problem in told["problems"]}
    assert fields == {"preset_id", "target_duration_seconds", "colour"}
    assert all(problem["limit"] and problem["hint"] for problem in told["problems"])
    assert (await house.client.get("/api/v1/jobs")).json()["jobs"] == []


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b"\xff", b'{"a":' * 2000, b"NaN", b""], ids=range(7)
)
async def test_what_is_no_object_is_refused(house: House, body: bytes) -> None:
    """What is no object is refused."""
    answer = await house.client.post("/api/v1/jobs", content=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_same_idempotency_key_is_the_same_job(house: House) -> None:
    """The same idempotency key is the same job."""
    headers = {"Idempotency-Key": "order-7"}
    first, again = [
        (await house.client.post("/api/v1/jobs", json=ASK, headers=headers)).json()["job_id"]
        for _ in range(2)
    ]
    other = await house.client.post(
        "/api/v1/jobs", json={**ASK, "prompt": "Another"}, headers=headers
    )
    assert first == again
    assert other.status_code == 409
    assert "Idempotency-Key" in other.json()["detail"]
    assert len((await house.client.get("/api/v1/jobs")).json()["jobs"]) == 1


async def test_keys_do_not_share_idempotency(tmp_path: Path) -> None:
    """Keys do not share idempotency."""
    async with house_of(tmp_path, keys="a:secret-of-a,b:secret-of-b", actors=False) as house:
        jobs = [
            (
                await house.client.post(
                    "/api/v1/jobs",
                    json=ASK,
                    headers={"Idempotency-Key": "1", "X-API-Key": f"secret-of-{who}"},
                )
            ).json()["job_id"]
            for who in "ab"
        ]
    assert jobs[0] != jobs[1]


async def test_a_job_id_of_the_clients_own(house: House) -> None:
    """A job id of the clients own."""
    answer = await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "spring-sale"})
    assert answer.json()["job_id"] == "spring-sale"
    refused = await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "a/b"})
    assert refused.status_code == 422


async def test_pages_are_newest_first_and_meet(house: House) -> None:
    """Pages are newest first and meet."""
    for number in range(5):
        await house.client.post("/api/v1/jobs", json={**ASK, "job_id": f"job-{number}"})
        await house.ended(f"job-{number}")
    seen: list[str] = []
    after: str | None = None
    while True:
        query = {"limit": 2} | ({"after": after} if after else {})
        page = (await house.client.get("/api/v1/jobs", params=query)).json()
        seen += [job["job_id"] for job in page["jobs"]]
        after = page["after"]
        if after is None:
            break
    assert seen == [f"job-{number}" for number in (4, 3, 2, 1, 0)]
    page = (await house.client.get("/api/v1/jobs", params={"status": "failed"})).json()
    assert page == {"jobs": [], "after": None}
    page = (await house.client.get("/api/v1/jobs", params={"preset_id": "overlay_classic"})).json()
    assert len(page["jobs"]) == 5
    assert (await house.client.get("/api/v1/jobs", params={"after": "x"})).status_code == 422


@pytest.mark.parametrize(
    "path", ["", "/segments", "/events", "/output", "/thumbnail", "/segments/0/body"]
)
async def test_an_unknown_job_is_told(house: House, path: str) -> None:
    """An unknown job is told."""
    for job_id in ("nobody", "%2e%2e", "a" * 65):
        answer = await house.client.get(f"/api/v1/jobs/{job_id}{path}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


async def test_no_film_before_its_end(tmp_path: Path) -> None:
    """No film before its end."""
    async with house_of(tmp_path, actors=False) as house:
        await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "waiting"})
        answer = await house.client.get("/api/v1/jobs/waiting/output")
        assert answer.status_code == 404
        assert "requested" in answer.json()["detail"]
        cancelled = await house.client.post("/api/v1/jobs/waiting/cancel?why=changed")
        assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelling")


async def test_a_cancelled_job_ends(house: House) -> None:
    """A cancelled job ends."""
    await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "done"})
    await house.ended("done")
    kept = (await house.client.post("/api/v1/jobs/done/cancel")).json()
    assert kept["status"] == "completed"


async def test_events_as_json(house: House) -> None:
    """Events as json."""
    await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "told"})
    await house.ended("told")
    events = (await house.client.get("/api/v1/jobs/told/events")).json()
    assert events[0]["type"] == "render_requested"
    assert events[0]["data"]["prompt"] == ASK["prompt"]
    assert events[-1]["type"] == "render_completed"
    later = await house.client.get(
        "/api/v1/jobs/told/events", params={"after": events[2]["seq"], "limit": 2}
    )
    assert later.json() == events[3:5]


async def test_a_job_as_it_stood(house: House) -> None:
    """After its second message it was planned and nothing was rendered."""
    await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "past"})
    await house.ended("past")
    events = (await house.client.get("/api/v1/jobs/past/events")).json()
    then = await house.client.get("/api/v1/jobs/past", params={"at": events[1]["seq"]})
    assert then.json()["status"] == "rendering"
    assert {segment["status"] for segment in then.json()["segments"]} == {"pending"}


def _sse(text: str) -> list[dict[str, Any]]:
    blocks = [block for block in text.replace("\r\n", "\n").split("\n\n") if block.strip()]
    found = []
    for block in blocks:
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in fields:
            found.append({**fields, "data": json.loads(fields["data"])})
    return found


async def test_events_as_a_stream_end_with_the_job_and_go_on_where_they_were(house: House) -> None:
    """Events as a stream end with the job and go on where they were."""
    accept = {"Accept": "text/event-stream"}
    await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "live"})
    async with asyncio.timeout(30):
        whole = await house.client.get("/api/v1/jobs/live/events", headers=accept)
    assert whole.headers["content-type"].startswith("text/event-stream")
    told = [item for item in _sse(whole.text) if "id" in item]
    assert [item["event"] for item in told][:2] == ["render_requested", "render_planned"]
    assert _sse(whole.text)[-1]["event"] == "end"
    seqs = [int(item["id"]) for item in told]
    assert seqs == sorted(set(seqs))
    rest = await house.client.get(
        "/api/v1/jobs/live/events", headers={**accept, "Last-Event-ID": str(seqs[-2])}
    )
    assert [int(item["id"]) for item in _sse(rest.text) if "id" in item] == seqs[-1:]
    assert house.app.state.desk.listening.ears == 0


def _part(field: str, content: str) -> bytes:
    head = f'Content-Disposition: form-data; name="{field}"; filename="a"'
    return f"--x\r\n{head}\r\n\r\n{content}\r\n--x--\r\n".encode()


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--\r\n", 400),
        (
            "multipart/form-data; boundary=x",
            _part("file", ""),
            422,
        ),
        (
            "multipart/form-data; boundary=x",
            _part("else", "z"),
            422,
        ),
    ],
)
async def test_uploads_that_cannot_be_read(
    house: House, kind: str, content: bytes, status: int
) -> None:
    """Uploads that cannot be read."""
    answer = await house.client.post(
        "/api/v1/assets", content=content, headers={"Content-Type": kind}
    )
    assert answer.status_code == status
    assert answer.json()["detail"]


async def test_an_upload_that_is_too_large_leaves_nothing(house: House) -> None:
    """An upload that is too large leaves nothing."""
    answer = await house.client.post("/api/v1/assets", files={"file": ("b", b"x" * 400_000)})
    assert answer.status_code == 413
    kept = [path for path in house.store.root.rglob("*") if path.is_file()]
    assert kept == []


async def test_a_path_in_a_file_name_leads_nowhere(house: House) -> None:
    """A path in a file name leads nowhere."""
    answer = await house.client.post(
        "/api/v1/assets", files={"file": ("../../escape.png", b"pixels")}
    )
    assert answer.status_code == 201
    sha256 = answer.json()["sha256"]
    files = [path.name for path in house.store.root.rglob("*") if path.is_file()]
    assert files == [sha256]


async def test_a_dry_run_without_a_planner_says_so(house: House) -> None:
    """A dry run without a planner says so."""
    answer = await house.client.post("/api/v1/jobs?dry_run=true", json=ASK)
    assert answer.status_code == 501


async def test_a_store_that_is_away_says_when_to_come_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no fault of whoever sends the file, nor of the gateway."""

    async def away(*_: object, **__: object) -> None:
        raise StoreAway("the store s3://films cannot be used")

    monkeypatch.setattr(house.store, "put_file", away)
    answer = await house.client.post("/api/v1/assets", files={"file": ("b.png", b"pixels")})
    assert (503, "2") == (answer.status_code, answer.headers["Retry-After"])
    assert "s3://films cannot be used" in answer.json()["detail"]
