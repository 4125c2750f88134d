"""Many jobs in a row, and one long one: what grows, and how far."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from events.jetstream import JetStreamLog
from events.job import JobStatus
from tests.broker import NatsServer
from tests.end_to_end.film_checks import check_film
from tests.end_to_end.pictures import KINDS, music, voice
from tests.end_to_end.shell import Shell, opened, told_of
from tests.end_to_end.world import Processes, ask, ended, job_of

_log = logging.getLogger(__name__)

AT_ONCE = 10
JOB_BYTES_MAX = 40_000
"""What the services may keep of a job that is done: 256 folded jobs are kept, and no more."""
SLACK_BYTES = 6_000_000
"""What the allocator may take without anything having grown."""
THREADS_MAX = 30
WORKER_BYTES_MAX = 600_000_000
SERVICES_BYTES_MAX = 200_000_000


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_thirty_jobs_leave_nothing_behind(nats_server: NatsServer, tmp_path: Path) -> None:
    """All complete; what the services hold grows by a bounded few kilobytes a job."""
    await _many(nats_server, tmp_path, warm_up=10, jobs=30)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_two_hundred_jobs_leave_nothing_behind(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    """The same for 200 after as many as the cache holds: from there on nothing grows."""
    grown = await _many(nats_server, tmp_path, warm_up=300, jobs=200)
    assert grown < SLACK_BYTES


async def _many(server: NatsServer, folder: Path, *, warm_up: int, jobs: int) -> int:
    """Run jobs; returns by how many bytes the services have grown after ``warm_up`` of them."""
    processes = Processes(server, folder)
    services = processes.spawn().pid
    log = await processes.log()
    try:
        await _run(log, [f"warm-{number}" for number in range(warm_up)])
        before, open_before = _resident(services), _open_files(services)
        await _run(log, [f"job-{number}" for number in range(jobs)])
        grown = _resident(services) - before
        _log.info("%d jobs after %d: %.1f MB more", jobs, warm_up, grown / 1e6)
        assert grown < SLACK_BYTES + JOB_BYTES_MAX * jobs
        assert _open_files(services) <= open_before + 2
        assert told_of(services, "Threads") < THREADS_MAX
        await _settled(log)
        return grown
    finally:
        await log.close()
        processes.kill()


async def _run(log: JetStreamLog, names: list[str]) -> None:
    """Ask for films of five segments, ten at a time, and see each complete."""
    for first in range(0, len(names), AT_ONCE):
        some = names[first : first + AT_ONCE]
        await asyncio.gather(*(ask(log, name) for name in some))
        for name in some:
            await ended(log, name, within_s=60)
    for name in names:
        assert (await job_of(log, name)).status is JobStatus.COMPLETED


async def _settled(log: JetStreamLog) -> None:
    """Nothing is left to do: timers of jobs that have ended are given up, too."""
    for _ in range(300):
        if not await log.backlog():
            return
        await asyncio.sleep(0.1)
    raise TimeoutError


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A home with the real engine."""
    with opened(tmp_path) as shell:
        yield shell


class _Peaks(threading.Thread):
    """The most that each process of a home's services ever had resident, while they live."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(daemon=True)
        self._shell = shell
        self.over = threading.Event()
        self.workers: dict[int, int] = {}
        self.services = 0

    def run(self) -> None:
        services = self._shell.services_pid()
        while not self.over.wait(0.1):
            self.services = max(self.services, _peak(services))
            for worker in self._shell.workers():
                self.workers[worker] = max(self.workers.get(worker, 0), _peak(worker))


def _peak(pid: int) -> int:
    """The most that a process ever had resident, in bytes; 0 when it is gone."""
    return 1024 * told_of(pid, "VmHWM")


def _resident(pid: int) -> int:
    """What a process has resident now, in bytes."""
    return 1024 * told_of(pid, "VmRSS")


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("preset", ["overlay_glow", "product_hero_punchy", "meme_fast"])
def test_a_minute_with_three_pictures_fits_in_a_worker(shell: Shell, preset: str) -> None:
    """Drawing, joining and judging 1,800 frames keep every worker below 600 MB."""
    pictures = [KINDS[kind](shell.folder) for kind in ("alpha", "portrait", "large_jpeg")]
    out = shell.folder / "minute.mp4"
    command = shell.start(
        *("render", "--preset", preset, "--duration", "60", "--json", "-o", str(out)),
        *(part for picture in pictures for part in ("--image", str(picture))),
        *("--prompt", "Good morning", "--beat", "Fresh every day", "--cta", "Try it"),
        *("--music", str(music(shell.folder)), "--voice", str(voice(shell.folder))),
    )
    peaks = _Peaks(shell)
    peaks.start()
    called = shell.finish(command, within_s=500)
    peaks.over.set()
    peaks.join()
    assert called.code == 0, called.err
    check_film(out, 60)
    _log.info(
        "%s: services %.0f MB, workers %s MB",
        preset,
        peaks.services / 1e6,
        [round(peak / 1e6) for peak in peaks.workers.values()],
    )
    assert peaks.workers
    assert max(peaks.workers.values()) < WORKER_BYTES_MAX
    assert peaks.services < SERVICES_BYTES_MAX
