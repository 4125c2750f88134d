"""Commands about jobs that exist, in a home with one finished job."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.faults import freeze
from tests.services.cli.conftest import Person

_REQUEST = ("--preset", "overlay_classic", "--duration", "6")


@pytest.fixture(scope="module")
def done(settled: Person) -> Person:
    """Somebody with a finished job named ``done``."""
    assert settled.call("render", *_REQUEST, "--job-id", "done").code == 0
    return settled


def test_the_log_is_one_event_a_line(done: Person) -> None:
    """With exactly the keys that scripts rely on."""
    lines = [json.loads(line) for line in done.call("log", "done", "--json").out.splitlines()]
    assert {("seq", "type", "id", "time", "data")} == {tuple(line) for line in lines}
    assert (lines[0]["type"], lines[-1]["type"]) == ("render_requested", "render_completed")
    assert sorted(line["seq"] for line in lines) == [line["seq"] for line in lines]


def test_the_log_is_readable(done: Person) -> None:
    """A person gets the same events."""
    assert "segment_rendered" in done.call("log", "done").out


def test_a_status_tells_where_the_film_is(done: Person) -> None:
    """The path can be opened."""
    told = done.call("status", "done", "--json").told
    assert (told["job_id"], told["status"], len(told["segments"])) == ("done", "completed", 2)
    with open(told["output"], "rb") as film:  # noqa: PTH123 - as a script would
        assert film.read()


def test_a_replay_shows_the_state_as_it_was(done: Person) -> None:
    """After the plan both segments were pending."""
    events = [json.loads(line) for line in done.call("log", "done", "--json").out.splitlines()]
    planned = next(event["seq"] for event in events if event["type"] == "render_planned")
    told = done.call("replay", "done", "--at", str(planned), "--json").told
    assert (told["status"], told["output"]) == ("rendering", None)
    assert ["pending", "pending"] == [segment["status"] for segment in told["segments"]]
    assert done.call("replay", "done", "--json").told["status"] == "completed"


def test_jobs_are_listed(done: Person) -> None:
    """For people and scripts."""
    listed = [json.loads(line) for line in done.call("jobs", "--json").out.splitlines()]
    assert "completed" == next(job["status"] for job in listed if job["job_id"] == "done")
    assert "done" in done.call("jobs").out


def test_a_finished_job_cannot_be_cancelled(done: Person) -> None:
    """Its film stands."""
    called = done.call("cancel", "done")
    assert (called.code, called.out) == (0, "done: already completed\n")


def test_a_job_can_be_cancelled(done: Person) -> None:
    """It ends so, and who waits for it is told with exit 3."""
    services = done.services_pid()
    freeze(services)
    render = done.start("render", *_REQUEST, "--job-id", "gone")
    assert render.stdout is not None
    assert "gone requested" in render.stdout.readline()
    cancel = done.start("cancel", "gone", "--why", "typo")
    assert "cancel requested" in render.stdout.readline()
    os.kill(services, signal.SIGCONT)
    assert "gone: cancelled\n" == done.finish(cancel).out
    waited = done.finish(render)
    assert (waited.code, "gone: cancelled: typo" in waited.err) == (3, True)


def test_following_a_log_can_be_interrupted(done: Person) -> None:
    """Ctrl-C is its normal end."""
    follow = done.start("log", "done", "--follow")
    assert follow.stdout is not None
    assert "render_requested" in follow.stdout.readline()
    follow.send_signal(signal.SIGINT)
    assert done.finish(follow).code == 130


def test_the_reader_of_a_pipe_may_leave(done: Person) -> None:
    """``pytoon log | head -1`` ends quietly."""
    log = done.start("log", "done")
    assert log.stdout is not None
    log.stdout.close()
    assert log.stderr is not None
    assert "" == log.stderr.read()
    log.stderr.close()
    assert log.wait(30) in {0, 1}
