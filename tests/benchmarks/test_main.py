"""What is asked for and how a job's cost is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.__main__ import PARTS, arguments, costs
from tests.benchmarks.jobs import CASES, Ran, job_cpu_s
from tests.benchmarks.processes import Spent, Usage

REST = {"cli": 0.2, "services": 0.4, "worker": 1.0, "server": 0.1}


def _usage() -> Usage:
    spent = {
        1: Spent("cli", 0.3, 40),
        2: Spent("services", 0.6, 50),
        3: Spent("worker", 6.0, 250),
        4: Spent("server", 0.2, 20),
    }
    return Usage(wall_s=4.0, spent=spent)


def test_all_parts_by_default() -> None:
    """Nothing named means everything."""
    assert list(PARTS) == arguments([]).parts
    assert ["hero", "state"] == arguments(["hero", "state"]).parts


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped part is not silently nothing."""
    with pytest.raises(SystemExit):
        arguments(["heroes"])
    assert "heroes" in capsys.readouterr().err


def test_server_and_coming_up_are_no_part_of_the_job() -> None:
    """What every process pays before its work begins is taken off, role by role."""
    assert 5.3 == pytest.approx(job_cpu_s(_usage(), REST))


def test_a_job_is_judged_by_its_ratios() -> None:
    """CPU against the yardstick, wall against half of the CPU, both against the old system."""
    ran = Ran(Path("home"), Path("film.mp4"), _usage(), 1.2)
    found = {one.what: one for one in costs(CASES["hero"], ran, 5.3, 3.0, 2.65)}
    assert (2.0, "FAIL") == (found["CPU ÷ yardstick"].value, found["CPU ÷ yardstick"].verdict)
    assert 3.0 * 2 / 5.3 == pytest.approx(found["wall ÷ half of CPU"].value)
    assert 17 / 4.0 == found["wall, times better"].value
    assert "pass" == found["memory of a process"].verdict
