"""``prune``: what leaves a home, what stays, and what cannot be used again."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.end_to_end.shell import opened
from tests.faults import freeze
from tests.services.cli.conftest import Person

_REQUEST = ("--preset", "overlay_classic", "--duration", "6")
_NOW = ("--older-than", "0s", "--guard", "0s")


def artifacts(person: Person) -> set[str]:
    """The names of all files in the store."""
    return {path.name for path in person.home.artifacts.glob("??/*")}


@pytest.mark.slow
def test_ended_jobs_are_pruned_and_the_rest_is_not(person: Person) -> None:
    """(7 s.) An unfinished job keeps all its files and ends well; a pruned one's id stays used."""
    for job_id, seed in (("old", "1"), ("kept", "2")):
        assert person.call("render", *_REQUEST, "--job-id", job_id, "--seed", seed).code == 0
    services = person.services_pid()
    freeze(services)
    assert person.call("submit", *_REQUEST, "--job-id", "young").code == 0
    nothing = person.call("prune", "--collect")
    assert (nothing.code, nothing.out) == (0, "pruned: 0 jobs\nremoved: 0 artifacts, 0 bytes\n")
    before = artifacts(person)
    dry = person.call("prune", *_NOW, "--dry-run", "--keep", "1", "--collect")
    assert (dry.code, dry.out.splitlines()[:2]) == (0, ["old  completed", "would prune: 1 jobs"])
    assert before == artifacts(person)

    pruned = person.call(
        "prune", *_NOW, "--keep", "1", "--export", str(person.folder), "--collect"
    )
    assert (pruned.code, pruned.out.splitlines()[:2]) == (0, ["old  completed", "pruned: 1 jobs"])
    gone = before - artifacts(person)
    assert gone
    audits = [person.call("audit", job_id, "--json") for job_id in ("old", "kept", "young")]
    assert [0, 0, 0] == [audit.code for audit in audits]
    assert (audits[0].told["status"], audits[0].told["messages"]) == ("completed", 1)
    assert "pruned" in audits[0].told["notes"][0]

    status = person.call("status", "old", "--json").told
    assert (status["status"], status["output"]) == ("completed", None)
    assert person.call("status", "old").code == 0
    assert person.call("watch", "old", "-o", "old.mp4").code in (3, 4)
    again = person.call("submit", *_REQUEST, "--job-id", "old")
    assert (again.code, "use another id" in again.err) == (2, True)
    assert person.call("prune", *_NOW, "--keep", "1").out == "pruned: 0 jobs\n"
    os.kill(services, signal.SIGCONT)
    assert person.call("resume", "young").code == 0
    # What was removed is made again where it is wanted again: a note on it misleads nobody.
    assert person.call("render", *_REQUEST, "--job-id", "anew", "--seed", "1").code == 0
    listed = [
        json.loads(line)["job_id"] for line in person.call("jobs", "--json").out.splitlines()
    ]
    assert ["kept", "young", "anew"] == listed
    assert person.call("import", "old.zip").code == 2


@pytest.mark.parametrize(
    "wrong", [("--older-than", "soon"), ("--state", "done"), ("--keep", "-1")]
)
def test_prune_says_what_is_wrong(settled: Person, wrong: tuple[str, str]) -> None:
    """Before anything is touched."""
    assert settled.call("prune", *wrong).code == 2


@pytest.mark.slow
def test_what_another_job_has_taken_from_a_pruned_one_stays(tmp_path: Path) -> None:
    """(15 s.) A film of the same words takes the pruned one's bodies, which so have a new owner.

    Drawn for real: the null engine takes nothing again.
    """
    asked = ("--preset", "meme_fast", "--duration", "4", "--seed", "1", "--draft")
    words = ("--prompt", "Again and again")
    with opened(tmp_path) as person:
        assert person.call("render", *asked, *words, "--job-id", "old").code == 0
        made = _bodies(person, "old")
        assert person.call("render", *asked, *words, "--job-id", "young").code == 0
        assert made == _bodies(person, "young")
        assert person.call("prune", *_NOW, "--keep", "1", "--collect").code == 0
        assert 1 == person.call("audit", "old", "--json").told["messages"]
        assert made <= artifacts(person)
        audit = person.call("audit", "young", "--json").told
        assert ([], "completed") == (audit["flaws"], audit["status"])
        reused = [
            event["data"].get("reused")
            for event in person.log("young")
            if event["type"] == "segment_rendered"
        ]
        assert [True] * len(made) == reused


def _bodies(person: Person, job_id: str) -> set[str]:
    """The sha256 of each body that a job has so far."""
    return {
        event["data"]["artifact"]["sha256"]
        for event in person.log(job_id)
        if event["type"] == "segment_rendered"
    }
