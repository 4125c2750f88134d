"""Two hundred clients, and twenty that send and read as slowly as they can, at a real gateway."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.benchmarks.clients import JOB, JOBS, POST, STREAM
from tests.benchmarks.gateway import BESIDE_FILMS, NULL, Served, beside_films, beside_null_jobs

LOOK_S_MAX = 1.0
"""What 99 of 100 looks at a job or at the list stay below, on two cores that do all the rest."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def _checked(found: Served, kinds: set[str]) -> None:
    """What all clients met, as the log is told it; nobody met an error or was left over."""
    load = found.load
    told = "; ".join(
        f"{kind} ({len(load.waits_s[kind])}) p50 {load.p50_s(kind):.3f} s, "
        f"p99 {load.p99_s(kind):.3f} s"
        for kind in sorted(load.waits_s)
    )
    logging.getLogger(__name__).info("%s; wall %.1f s; slow %s", told, load.wall_s, load.slow)
    assert load.failed == 0, load.errors
    assert kinds == set(load.waits_s)
    assert found.left == 0, "the crowd has gone, and its connections are open"
    for kind in (JOB, JOBS):
        assert load.p99_s(kind) < LOOK_S_MAX, told


def test_two_hundred_clients_beside_two_hundred_jobs(tmp_path: Path) -> None:
    """Every ask is accepted, every stream ends, every look is answered in time."""
    found = beside_null_jobs(tmp_path)
    _checked(found, {POST, JOB, JOBS, STREAM})
    assert found.load.ended == NULL.clients
    assert len(found.load.waits_s[POST]) == NULL.clients
    assert len(found.load.waits_s[JOB]) == NULL.clients * NULL.looks
    # Heads that drip are cut off, and come again: the others hold what they hold.
    assert found.load.slow["drip-fed head"] >= NULL.slow // 4


def test_two_hundred_clients_beside_films(tmp_path: Path) -> None:
    """The same while both cores render: every film is done, and no look waits for them."""
    found = beside_films(tmp_path)
    _checked(found, {JOB, JOBS, STREAM})
    assert found.load.ended == BESIDE_FILMS.clients
    assert found.load.slow["sips"] > 0
