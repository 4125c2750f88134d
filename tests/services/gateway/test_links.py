"""Films and stills as any player or shell fetches them: parts, heads, what is known already."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from events.job import initial_state
from tests import builders
from tests.services.gateway.conftest import House, house_of

FILM = bytes(range(256)) * 40
OUTPUT = f"/api/v1/jobs/{builders.JOB}/output"


@pytest.fixture(name="kept")
async def a_house_with_a_film(tmp_path: Path) -> AsyncIterator[House]:
    """One job is complete, and its film is there."""
    async with house_of(tmp_path, actors=False) as house:
        artifact = await house.store.put_bytes(FILM, "video/mp4")
        still = await house.store.put_bytes(b"\xff\xd8still", "image/jpeg")
        end = msgspec.structs.replace(builders.completed(), output=artifact, thumbnail=still)
        tail = initial_state(builders.JOB).tail
        await house.log.append(tail, (*builders.whole_history()[:-1], end), source="test")
        yield house


@pytest.mark.parametrize("path", ["output", "thumbnail"])
async def test_what_does_not_change_is_kept_and_not_sent_again(kept: House, path: str) -> None:
    """Its tag is its content's; who has it is told so."""
    url = f"/api/v1/jobs/{builders.JOB}/{path}"
    film = await kept.client.get(url)
    assert "immutable" in film.headers["cache-control"]
    tag = film.headers["etag"]
    for named in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = await kept.client.get(url, headers={"If-None-Match": named})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = await kept.client.get(url, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, film.content)


@pytest.mark.parametrize(
    ("asked", "told", "part"),
    [
        ("bytes=0-9", "bytes 0-9/10240", FILM[:10]),
        ("bytes=10000-", "bytes 10000-10239/10240", FILM[10000:]),
        ("bytes=-7", "bytes 10233-10239/10240", FILM[-7:]),
        ("bytes=5-999999", "bytes 5-10239/10240", FILM[5:]),
    ],
)
async def test_a_part_is_sent(kept: House, asked: str, told: str, part: bytes) -> None:
    """From, to, and the last so many bytes."""
    answer = await kept.client.get(OUTPUT, headers={"Range": asked})
    found = (answer.status_code, answer.headers["content-range"], answer.content)
    assert found == (206, told, part)


async def test_a_part_of_another_film_is_not_mixed_in(kept: House) -> None:
    """With a tag that is not the film's, all of it is sent."""
    headers = {"Range": "bytes=0-9", "If-Range": '"other"'}
    answer = await kept.client.get(OUTPUT, headers=headers)
    assert (answer.status_code, answer.content) == (200, FILM)


@pytest.mark.parametrize(
    ("asked", "status"), [("bytes=99999-", 416), ("bytes=9-1", 400), ("metres=1-2", 400)]
)
async def test_a_part_that_is_none_is_a_problem(kept: House, asked: str, status: int) -> None:
    """It says what a part is, and how much there is."""
    answer = await kept.client.get(OUTPUT, headers={"Range": asked})
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert "bytes=FIRST-LAST" in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{len(FILM)}"


@pytest.mark.parametrize(
    "path",
    ["", "/segments", "/events", "/output", "/thumbnail"],
)
async def test_every_get_takes_head(kept: House, path: str) -> None:
    """The same head, and no body."""
    url = f"/api/v1/jobs/{builders.JOB}{path}"
    head, whole = await kept.client.head(url), await kept.client.get(url)
    assert head.status_code == 200
    for name in ("content-type", "content-length", "etag"):
        assert head.headers.get(name) == whole.headers.get(name)


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/api/v1/jobs", "/api/v1/presets"])
async def test_every_other_get_takes_head(kept: House, path: str) -> None:
    """Probes of load balancers often are."""
    assert (await kept.client.head(path)).status_code == 200


async def test_head_opens_no_stream(kept: House) -> None:
    """It is answered, and nobody listens."""
    accept = {"Accept": "text/event-stream"}
    answer = await kept.client.head(f"/api/v1/jobs/{builders.JOB}/events", headers=accept)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert kept.app.state.desk.listening.ears == 0


async def test_cancelling_what_is_over_changes_nothing(kept: House) -> None:
    """It is told apart from a cancel that was asked for."""
    answer = await kept.client.post(f"/api/v1/jobs/{builders.JOB}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
