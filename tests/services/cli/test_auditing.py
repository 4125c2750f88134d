"""``audit``, ``export`` and ``import``: a finished job, its copy in another home, and damage."""

from __future__ import annotations

import asyncio
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from events import JetStreamLog, Pytoon
from events.codec import Message
from services.cli.auditing import differences
from tests.services.cli.conftest import Person

_REQUEST = ("--preset", "overlay_classic", "--duration", "6")
Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def done(settled: Person) -> Person:
    """Somebody with a finished job named ``done`` and its bundle."""
    assert settled.call("render", *_REQUEST, "--job-id", "done").code == 0
    exported = settled.call("export", "done")
    assert (exported.code, exported.out, exported.err) == (0, "done.zip\n", "")
    return settled


@pytest.fixture
def other(person: Person) -> Person:
    """Somebody with a home of their own in which nothing ever was."""
    return person


def tampered(source: Path, target: Path, change: Callable[[Lines], None]) -> Path:
    """The bundle with other messages, its sums made anew as whoever alters it would."""
    with zipfile.ZipFile(source) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    lines = [json.loads(line) for line in parts["messages.jsonl"].splitlines()]
    change(lines)
    parts["messages.jsonl"] = "".join(json.dumps(line) + "\n" for line in lines).encode()
    sums = {
        name: hashlib.sha256(parts[name]).hexdigest() for name in parts if name != "SHA256SUMS"
    }
    parts["SHA256SUMS"] = "".join(f"{sums[name]}  {name}\n" for name in sums).encode()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target


def place(lines: Lines, kind: str) -> int:
    """Where the first message of a type is."""
    return next(n for n, line in enumerate(lines) if f".{kind}" in line["subject"])


def test_a_whole_job_is_said_to_be_whole(done: Person) -> None:
    """With all that was looked at."""
    told = done.call("audit", "done", "--json")
    assert (told.code, told.told["flaws"], told.told["notes"]) == (0, [], [])
    assert told.told["messages"] > 5
    assert told.told["artifacts"] > 3
    assert "done: whole (completed" in done.call("audit", "--all").out


@pytest.mark.slow
def test_a_job_moves_to_another_home(done: Person, other: Person) -> None:
    """Every message and the film are there as they were, and nothing is made again."""
    imported = other.call("import", str(done.folder / "done.zip"))
    assert (imported.code, imported.err) == (0, "")
    assert "done: completed" in imported.out
    # Other sequences than in the old log, so that a hint of old would mislead.
    assert other.call("render", *_REQUEST, "--job-id", "new").code == 0
    audit = other.call("audit", "--all", "--json")
    assert (audit.code, [json.loads(line)["flaws"] for line in audit.out.splitlines()]) == (
        0,
        [[], []],
    )
    there, here = (who.call("replay", "done", "--json").told for who in (done, other))
    assert there["sha256"] == here["sha256"]
    assert Path(here["output"]).read_bytes() == Path(there["output"]).read_bytes()
    events = [who.call("log", "done", "--json").out.splitlines() for who in (done, other)]
    ids = [[json.loads(line)["id"] for line in lines] for lines in events]
    assert ids[0] == ids[1]
    again = other.call("import", str(done.folder / "done.zip"))
    assert (again.code, "has a job 'done' already" in again.err) == (2, True)


def alter(lines: Lines) -> None:
    """Another body of one event."""
    line = lines[place(lines, "segment_rendered")]
    line["body"] = line["body"].replace('"elapsed_s":', '"elapsed_s":1')


def lose(lines: Lines) -> None:
    """One event less."""
    del lines[place(lines, "segment_rendered")]


def add(lines: Lines) -> None:
    """A cancel that nobody asked for, where it would have counted."""
    where = place(lines, "segment_rendered")
    subject = "pytoon.jobs.done.render_cancel_requested"
    lines.insert(where, {**lines[where], "subject": subject, "headers": {}, "body": "{}"})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (alter, "was altered"),
        (lose, "1 lost"),
        pytest.param(add, "1 added", marks=pytest.mark.slow),
    ],
)
def test_a_tampered_log_is_found(
    done: Person, other: Person, change: Callable[[Lines], None], word: str
) -> None:
    """Whoever alters, removes or adds a message is told of, with exit code 3."""
    file = tampered(done.folder / "done.zip", other.folder / "bad.zip", change)
    assert other.call("import", str(file), "--unfinished").code == 0
    audit = other.call("audit", "done", "--json")
    flaws = json.loads(audit.out)["flaws"]
    assert (audit.code, len(flaws)) == (3, 1)
    assert word in flaws[0]


def test_a_bundle_that_was_damaged_is_refused(done: Person, other: Person) -> None:
    """So is what is no bundle, and nothing of it is stored."""
    whole = (done.folder / "done.zip").read_bytes()
    where = whole.index(b"artifacts/") + 200
    bad = other.folder / "bad.zip"
    for content in (whole[:where] + b"?" + whole[where + 1 :], b"no zip", whole[:-40]):
        bad.write_bytes(content)
        assert (other.call("import", str(bad)).code) == 2
    assert other.home.is_fresh()


@pytest.mark.slow
def test_an_unfinished_job_is_not_imported_unasked(done: Person, other: Person) -> None:
    """Services would go on with it."""

    def cut(lines: Lines) -> None:
        del lines[place(lines, "render_completed") :]

    file = tampered(done.folder / "done.zip", other.folder / "cut.zip", cut)
    refused = other.call("import", str(file))
    assert (refused.code, "--unfinished" in refused.err) == (2, True)
    assert other.call("import", str(file), "--unfinished").code == 0
    audit = other.call("audit", "done", "--json").told
    assert (audit["flaws"], len(audit["notes"])) == ([], 1)
    assert other.call("resume", "done").code == 0
    assert other.call("audit", "done").code == 0


def test_the_mirror_shows_what_was_cut_off(done: Person) -> None:
    """Nothing else knows that there was more."""
    assert done.call("init", "--mirror").code == 0
    run = json.loads(done.home.run_json.read_text())
    whole = done.call(
        "audit", "done", "--json", "--against", run["url"], PYTOON_AUDIT_TOKEN=run["token"]
    )
    assert (whole.code, whole.told["compared"], whole.told["flaws"]) == (0, True, [])
    assert done.call("render", *_REQUEST, "--job-id", "cut").code == 0

    async def cut() -> None:
        async with Pytoon.connect(run["url"], token=run["token"]) as client:
            assert isinstance(client.log, JetStreamLog)
            request = {"filter": "pytoon.jobs.cut.>"}
            await client.log.connection.api("STREAM.PURGE.EVENTS", request)

    asyncio.run(cut())
    token = run["token"]
    lost = done.call("audit", "cut", "--json", "--against", run["url"], PYTOON_AUDIT_TOKEN=token)
    flaws = json.loads(lost.out)["flaws"]
    assert (lost.code, {"lost"} <= set(flaws[-1].split())) == (3, True)
    assert "render_completed" in flaws[-1]


def test_a_mirror_names_what_differs() -> None:
    """What was cut off, altered or added behind the mirror's back, each by its sequence."""
    there = [
        Message(seq=n, subject=f"pytoon.jobs.a.{kind}", headers={}, body=b"{}", time_s=0.0)
        for n, kind in enumerate(("render_requested", "render_planned", "render_completed"), 1)
    ]
    here = [there[0], msgspec.structs.replace(there[1], body=b"[]")]
    added = msgspec.structs.replace(there[0], seq=9)
    assert [
        "message 2 (render_planned) was altered: the mirror has another one",
        "message 3 (render_completed) is in the mirror and not in the log: it is lost",
        "message 9 (render_requested) is not in the mirror: it was added",
    ] == differences([*here, added], there)
    assert [] == differences(there, there)


@pytest.mark.parametrize("damage", ["altered", "not in"])
def test_a_damaged_artifact_is_named(done: Person, other: Person, damage: str) -> None:
    """By its sha256."""
    assert other.call("import", str(done.folder / "done.zip")).code == 0
    film = Path(other.call("status", "done", "--json").told["output"])
    content = film.read_bytes()
    film.unlink()
    if damage == "altered":
        film.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    audit = other.call("audit", "done", "--json")
    flaws = json.loads(audit.out)["flaws"]
    assert (audit.code, len(flaws)) == (3, 1)
    assert film.name in flaws[0]
    assert damage in flaws[0]


def test_audit_says_what_it_needs(done: Person) -> None:
    """Neither nothing nor everything and more; and no job that is not there."""
    assert [2, 2, 2] == [done.call("audit", *a).code for a in ((), ("done", "--all"), ("nobody",))]
