"""The four jobs, run cold by the real command line, each in a fresh home."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from config import SHIPPED
from services.home import Home
from services.server import server_runs
from tests.benchmarks import pictures, processes
from tests.benchmarks.processes import Usage

JOB_ID = "bench"
WAIT_S = 900.0
READY_S = 60.0
SETTLED_S = 0.5
PROGRESS = struct.Struct("<II")
"""What a worker writes as it goes: frames done, frames in all."""
CLIENT_IMPORTS = (
    "import services.cli.rendering, services.cli.waiting, services.cli.daemon, services.server,"
    " events.jetstream, adapters.files"
)


@dataclass(frozen=True, slots=True)
class Case:
    """A job: what is asked, its bar on CPU ÷ yardstick, and what the old system took.

    ``old_cpu_s`` and ``old_wall_s`` are the old one's; ``better_least`` how many times better
    ours has to be.
    """

    name: str
    title: str
    ratio_most: float
    old_cpu_s: float
    old_wall_s: float
    better_least: float


CASES = {
    case.name: case
    for case in (
        Case("overlay", "overlay 15 s, music", 2.5, 259, 211, 15),
        Case("hero", "hero 6 s", 1.7, 25, 17, 3),
        Case("meme", "meme 10 s of text", 2.5, 23, 15, 3),
        Case("long", "overlay 60 s, 3 pictures, music, voice", 2.5, 1080, 898, 15),
    )
}


@dataclass(frozen=True, slots=True)
class Media:
    """Files that the jobs are made from."""

    product: Path
    other: Path
    track: Path
    photo: Path
    voice: Path


@dataclass(frozen=True, slots=True)
class Ran:
    """A job that was run: its home, its film, what it cost, when its first frame was there."""

    home: Path
    film: Path
    usage: Usage
    first_frame_s: float


def media(folder: Path, photo: Path | None) -> Media:
    """Make what does not ship; ``photo`` stands in for the made photograph."""
    demo = SHIPPED / "demo"
    made = Media(
        product=demo / "product.png",
        other=folder / "other.png",
        track=demo / "track.m4a",
        photo=photo or folder / "photo.jpg",
        voice=folder / "voice.wav",
    )
    if photo is None:
        pictures.photograph(made.photo, 3000, 2000)
    pictures.other_product(made.product, made.other)
    pictures.voice(made.voice, 55.0)
    return made


def options(case: Case, found: Media) -> tuple[str, ...]:
    """What the command line is told for a job."""
    words = ("--prompt", "Sleep does the rest", "--cta", "Try it tonight")
    beats = ("--beat", "Rosehip, squalane, vitamin E", "--beat", "Three drops before bed")
    product, photo = ("--image", str(found.product)), ("--image", str(found.photo))
    music = ("--music", str(found.track))
    match case.name:
        case "overlay":
            asked = ("--preset", "overlay_classic", "--duration", "15")
            return (*asked, *product, *music, *words, *beats)
        case "hero":
            return ("--preset", "product_hero_clean", "--duration", "6", *photo, *words)
        case "meme":
            return ("--preset", "meme_fast", "--duration", "10", *words, *beats)
        case "long":
            asked = ("--preset", "overlay_classic", "--duration", "60")
            shown = (*product, *photo, "--image", str(found.other))
            sound = (*music, "--voice", str(found.voice))
            more = ("--beat", "Made in small batches", "--beat", "Refill it when it is empty")
            return (*asked, *shown, *sound, *words, *beats, *more)
        case _:
            raise ValueError(f"there is no job {case.name!r}")


def environment(home: Path, **more: str) -> dict[str, str]:
    """Variables for a command in a home of its own; its services leave soon after it."""
    scratch = home.parent / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    root = str(SHIPPED.parent)
    return {
        **os.environ,
        "PYTOON_HOME": str(home),
        "PYTOON_IDLE_EXIT_S": "1",
        "PYTHONPATH": root,
        "TMPDIR": str(scratch),
        **more,
    }


def render(
    case: Case,
    found: Media,
    folder: Path,
    *,
    sample_s: float = processes.SAMPLE_S,
    draft: bool = False,
) -> Ran:
    """Run a job cold; raises RuntimeError with what it said if it does not make a film.

    ``sample_s`` is how exactly the first frame is timed; ``draft`` asks for a draft of the film.
    """
    folder.mkdir(parents=True)
    environ = environment(folder / "home")
    film = folder / "film.mp4"
    command = (
        sys.executable, "-m", "services.cli", "render", *options(case, found),
        "--job-id", JOB_ID, "-o", str(film), *(("--draft",) if draft else ()),
    )  # fmt: skip
    began_s = time.monotonic()
    firsts: list[float] = []

    def watch() -> None:
        if not firsts and drawing(folder / "tmp"):
            firsts.append(time.monotonic() - began_s)

    usage, _ = processes.run(
        command, environ, cwd=folder, wait_s=WAIT_S, sample_s=sample_s, watch=watch
    )
    until_left(Home(folder / "home"))
    return Ran(folder / "home", film, usage, firsts[0] if firsts else usage.wall_s)


def until_left(home: Home) -> None:
    """Wait until services and server have gone, so that they do not disturb what comes next."""
    deadline_s = time.monotonic() + READY_S
    while home.services_run() or server_runs(home):
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"the services of {home.path} do not leave")
        time.sleep(SETTLED_S)


def drawing(scratch: Path) -> bool:
    """Whether a worker has drawn a first frame, as its progress tells."""
    # A body's folder is there only while one is rendered; planning reports steps, not frames.
    if not any(scratch.glob("pytoon-body-*")):
        return False
    for board in scratch.glob("pytoon-*/progress"):
        with contextlib.suppress(OSError, struct.error):
            done, total = PROGRESS.unpack(board.read_bytes()[: PROGRESS.size])
            if 0 < done < total:
                return True
    return False


def rest(folder: Path, times: int) -> dict[str, float]:
    """CPU seconds by role of coming up and doing nothing: what every job pays before it begins.

    The medians of some times: each may be off by a fifth of a second.
    """
    found = [_idle(folder / str(number)) for number in range(times)]
    return {role: median(each[role] for each in found) for role in found[0]}


def _idle(folder: Path) -> dict[str, float]:
    folder.mkdir(parents=True)
    home = folder / "home"
    environ = environment(home, PYTOON_IDLE_EXIT_S=str(READY_S))
    up = (sys.executable, "-P", "-m", "services.cli", "up", "--background")
    usage = Usage()
    with (folder / "up.txt").open("wb") as output:
        process = subprocess.Popen(up, env=environ, cwd=folder, stdout=output, stderr=output)
        try:
            _until_settled(usage, process.pid, home)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(READY_S)
    client, _ = processes.run(
        (sys.executable, "-c", CLIENT_IMPORTS), environ, cwd=folder, wait_s=READY_S
    )
    roles = {role: usage.cpu_s(role) for role in ("services", "worker", "server")}
    return {**roles, "cli": client.cpu_s()}


def _until_settled(usage: Usage, pid: int, home: Path) -> None:
    """Return when the services are ready and their processes have come to rest."""
    deadline_s = time.monotonic() + READY_S
    before = -1.0
    while time.monotonic() < deadline_s:
        time.sleep(SETTLED_S)
        processes.look(usage, [pid])
        now = usage.cpu_s()
        if (home / "services.json").exists() and now - before < 0.05:
            return
        before = now
    raise RuntimeError(f"the services of {home} did not come to rest")


def job_cpu_s(usage: Usage, rest: Mapping[str, float]) -> float:
    """CPU of the job itself: without the server, and without what coming up costs."""
    return sum(max(0.0, usage.cpu_s(role) - rest[role]) for role in ("cli", "services", "worker"))


def names(asked: Sequence[str]) -> tuple[Case, ...]:
    """The cases of these names, in their own order."""
    return tuple(case for name, case in CASES.items() if name in asked)


__all__ = [
    "CASES",
    "Case",
    "Media",
    "Ran",
    "drawing",
    "environment",
    "job_cpu_s",
    "media",
    "names",
    "options",
    "render",
    "rest",
]
