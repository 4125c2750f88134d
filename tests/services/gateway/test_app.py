"""What every answer carries, and what no client can make the gateway do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fontTools.ttLib import TTFont

from services.gateway.app import PAGE
from tests.services.gateway.conftest import ASK, House, house_of

KEY = "a-key-that-nobody-may-read"
OWN = ["'self'"]
POLICY = {
    "default-src": ["'none'"],
    **dict.fromkeys(("script-src", "style-src", "font-src", "connect-src", "media-src"), OWN),
    "img-src": [*OWN, "blob:", "data:"],
    "form-action": OWN,
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
}
"""Nothing from elsewhere; pictures also from what the page itself has made."""
PAGE_BYTES_MAX = 520_000
CODE_BYTES_MAX = 150_000
"""Markup, styles and scripts, as they are: nothing is packed."""


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/page/app.js", 200),
        ("/health", 200),
        ("/api/v1/presets", 200),
        ("/api/v1/jobs/nobody", 404),
        ("/nowhere", 404),
    ],
)
async def test_every_answer_carries_the_policy(house: House, path: str, status: int) -> None:
    """Pages, JSON and errors alike run nothing but what this gateway serves as a script."""
    answer = await house.client.get(path)
    assert answer.status_code == status
    rules = (rule.split() for rule in answer.headers["content-security-policy"].split(";"))
    assert {name: given for name, *given in rules} == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_a_refusal_carries_the_policy_too(tmp_path: Path) -> None:
    """What the guard itself answers is no exception, and is kept by nobody."""
    async with house_of(tmp_path, keys=f"shop:{KEY}", actors=False) as house:
        answer = await house.client.get("/api/v1/jobs")
    assert answer.status_code == 401
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_the_page_needs_no_exception_of_the_policy() -> None:
    """No script, style or handler stands in the markup, and nothing comes from elsewhere."""
    markup = (PAGE / "index.html").read_text("utf-8")
    assert "<style" not in markup
    assert " style=" not in markup
    assert " on" + "click" not in markup
    sources = [path.read_text("utf-8") for path in sorted(PAGE.glob("*.*s"))]
    assert len(sources) >= 8
    for text in [markup, *sources]:
        elsewhere = [word for word in text.split() if "://" in word and "www.w3.org" not in word]
        assert elsewhere == []
        assert "innerHTML" not in text
        assert "eval(" not in text


@pytest.mark.parametrize(
    "path", ["/", *(f"/page/{path.relative_to(PAGE)}" for path in sorted(PAGE.rglob("*.*")))]
)
async def test_what_has_not_changed_is_not_sent_again(house: House, path: str) -> None:
    """A browser asks each time, so that a page is of one version, and is told by the tag."""
    first = await house.client.get(path)
    again = await house.client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert ("no-cache", 200) == (first.headers["cache-control"], first.status_code)
    assert (304, b"") == (again.status_code, again.content)


def test_the_page_is_light() -> None:
    """All of it, samples and fonts included."""
    sizes = {path: path.stat().st_size for path in PAGE.rglob("*.*")}
    code = sum(size for path, size in sizes.items() if path.suffix in {".html", ".css", ".js"})
    assert code <= CODE_BYTES_MAX
    assert sum(sizes.values()) <= PAGE_BYTES_MAX


def test_its_fonts_have_every_letter_of_its_own_words() -> None:
    """What the page itself says is set in the font that comes with it."""
    texts = [path.read_text("utf-8") for path in PAGE.glob("*.*s")]
    written = set("".join([*texts, (PAGE / "index.html").read_text("utf-8")])) - {"\n"}
    for path in sorted((PAGE / "fonts").glob("*.woff")):
        with TTFont(path) as font:
            letters = font.getBestCmap()
        assert set() == {letter for letter in written if ord(letter) not in letters}


async def _raw(house: House, path: str) -> tuple[int, bytes]:
    """A path as it is, not as a polite client would tidy it."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await house.app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize(
    "path",
    [
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page//etc/passwd",
        "/page/..\\app.py",
        "/page/samples/../../keys.py",
        "/page/\x00",
        "/api/v1/jobs/../../../etc/passwd/output",
        "/api/v1/jobs/..%2f..%2fetc/output",
        "/api/v1/jobs/a\r\nX-Evil: 1/output",
    ],
)
async def test_no_path_leads_out(house: House, path: str) -> None:
    """Nothing outside of the page's folder and of the jobs is found."""
    status, body = await _raw(house, path)
    assert status == 404
    assert b"import" not in body
    assert b"root:" not in body


@pytest.mark.parametrize(
    "name",
    ['a".html\r\nX-Evil: 1', "<script>.html", "\u202egnp.exe", "x" * 5000, "a\x00b"],
    ids=["header", "markup", "direction", "long", "zero"],
)
async def test_the_name_of_an_upload_is_told_nowhere(house: House, name: str) -> None:
    """What a client calls its file is not stored, and stands in no header and no answer."""
    answer = await house.client.post("/api/v1/assets", files={"file": (name, b"pixels")})
    assert answer.status_code in {201, 400}
    assert "x-evil" not in answer.headers
    assert "script" not in answer.text
    if answer.status_code == 201:
        assert set(answer.json()) == {"uri", "sha256", "bytes"}


async def test_markup_in_a_request_comes_back_as_json(house: House) -> None:
    """Words of a client are never served as a page."""
    ask = {**ASK, "prompt": "<script>alert(1)</script>", "job_id": "marked"}
    await house.client.post("/api/v1/jobs", json=ask)
    for path in ("/api/v1/jobs/marked", "/api/v1/jobs/marked/events", "/api/v1/jobs"):
        answer = await house.client.get(path)
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("last", ["²", "9" * 5000, "-1", "1e3", "x"])
async def test_a_last_event_id_that_is_none_begins_anew(house: House, last: str) -> None:
    """Whatever stands there, the stream is told from its begin."""
    await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "over"})
    await house.ended("over")
    answer = await house.client.get(
        "/api/v1/jobs/over/events",
        headers=[(b"Accept", b"text/event-stream"), (b"Last-Event-ID", last.encode("latin-1"))],
    )
    assert answer.status_code == 200
    assert "event: render_requested" in answer.text


async def test_guesses_of_a_key_are_counted(tmp_path: Path) -> None:
    """Who tries keys is told to wait like everybody else."""
    keys = f"shop:{KEY}"
    async with house_of(tmp_path, keys=keys, actors=False, requests_a_minute=3) as house:
        statuses = [
            (await house.client.get("/api/v1/jobs", headers={"X-API-Key": f"guess-{n}"}))
            for n in range(5)
        ]
        let_in = await house.client.get("/api/v1/jobs", headers={"X-API-Key": KEY})
    assert [answer.status_code for answer in statuses] == [401, 401, 401, 429, 429]
    assert let_in.status_code == 200


async def test_a_key_is_never_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither right nor wrong keys stand in the log or in an answer."""
    wrong = KEY + "-but-wrong"
    async with house_of(tmp_path, keys=f"shop:{KEY}", actors=False) as house:
        answers = [
            await house.client.get("/api/v1/jobs", headers={"X-API-Key": wrong}),
            await house.client.get("/api/v1/jobs", headers={"Cookie": f"pytoon_key={wrong}"}),
            await house.client.post("/api/v1/jobs", json={}, headers={"X-API-Key": KEY}),
            await house.client.get(f"/api/v1/jobs?after={KEY[:3]}", headers={"X-API-Key": KEY}),
        ]
    told = capsys.readouterr()
    assert [answer.status_code for answer in answers] == [401, 401, 422, 422]
    for text in (told.out, told.err, *(answer.text for answer in answers)):
        assert KEY not in text


async def test_lone_surrogates_and_long_numbers_are_refused(house: House) -> None:
    """What JSON allows and text does not is the client's fault, and told as such."""
    for body in (
        b'{"job_id": "\\ud800"}',
        json.dumps({**ASK, "prompt": "\ud800"}).encode(),
        json.dumps({**ASK, "target_duration_seconds": 10**400}).encode(),
        json.dumps({**ASK, "seed": -(10**30)}).encode(),
    ):
        answer = await house.client.post("/api/v1/jobs", content=body)
        assert answer.status_code in {400, 422}, body
        assert answer.json()["detail"]
