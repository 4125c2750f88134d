"""``prune``: what leaves a home, what stays, and what cannot be used again."""

from __future__ import annotations

import json
import os
import signal

import pytest

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
    os.kill(services, signal.SIGSTOP)
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
