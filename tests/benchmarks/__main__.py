"""``python -m tests.benchmarks``: measure, print a table against the bars, write JSON.

Yardstick and job are measured in the same run, one after the other and some times in turn,
because a shared machine is never twice the same.  Left out: what a figure should be
(``docs/reference/performance.md`` tells what it was).
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks import gateway, jobs, signatures, spine, study
from tests.benchmarks.bars import Finding, table
from tests.benchmarks.clients import JOB, JOBS
from tests.benchmarks.gateway import Served
from tests.benchmarks.jobs import Case, Media, Ran
from tests.benchmarks.study import Finished, Yardstick

PARTS = (
    "overlay",
    "hero",
    "meme",
    "long",
    "draft",
    "transitions",
    "startup",
    "spine",
    "state",
    "gateway",
    "signatures",
)
MEMORY_MB_MOST = 600
WALL_MOST = 1.25
JOIN_MOST = 0.10
FIRST_FRAME_S_MOST = 1.5
FIRST_FRAME_SAMPLE_S = 0.05
VMAF_LEAST = 93.0
SELF_LEAST = 97.0
KBPS_MOST = 12_000
JOBS_PER_S_LEAST = 40.0
OPERATOR_MS_MOST = 20.0
SERVICE_MS_MOST = 5.0
LOOK_S_MOST = 1.0
DRAFTED = ("overlay", "hero")
CORES = 2


@dataclass(frozen=True, slots=True)
class Run:
    """A job that was run, and x264 alone on its frames right after it."""

    ran: Ran
    done: Finished
    lossless: Path
    alone: Yardstick
    cpu_s: float

    @property
    def wall_s(self) -> float:
        """From the request to the film's end, by the log's own clock."""
        return self.done.job.ended_s - self.done.job.requested_s

    @property
    def ratio(self) -> float:
        """The job's CPU, in yardsticks."""
        return self.cpu_s / self.alone.encode_s


class Bench:
    """One run of the benchmark: findings for the table, facts for the JSON."""

    def __init__(self, asked: argparse.Namespace, folder: Path) -> None:
        self.asked, self.folder = asked, folder
        self.findings: list[Finding] = []
        self.facts: dict[str, Any] = {}

    def run(self) -> None:
        """Measure all that was asked for."""
        parts: Sequence[str] = self.asked.parts
        drawn = jobs.names((*parts, *(("long",) if "transitions" in parts else ())))
        if drawn or {"draft", "startup"}.intersection(parts):
            files = jobs.media(self.folder, self.asked.photo)
            rest = jobs.rest(self.folder / "idle", self.asked.times)
            self.facts["coming_up_cpu_s"] = rest
            for case in drawn:
                self._job(case, files, rest)
            if "draft" in parts:
                self._draft(files, rest)
            if "startup" in parts:
                self._startup(files)
        if "spine" in parts:
            self._spine()
        if "state" in parts:
            self._state()
        if "gateway" in parts:
            self._gateway()
        if "signatures" in parts:
            self._signatures()

    def _job(self, case: Case, files: Media, rest: dict[str, float]) -> None:
        """A job and its yardstick in turn, some times; told is the one with the middle ratio."""
        times = 1 if case.name == "long" else self.asked.times
        runs = sorted(
            (
                self._once(case, files, rest, self.folder / f"{case.name}-{n}")
                for n in range(times)
            ),
            key=lambda run: run.ratio,
        )
        run = runs[len(runs) // 2]
        facts = {
            "ratios": [one.ratio for one in runs],
            "yardstick": asdict(run.alone),
            "job_cpu_s": run.cpu_s,
            "request_to_end_s": run.wall_s,
            "cold_wall_s": run.ran.usage.wall_s,
            "all_cpu_s": run.ran.usage.cpu_s(),
            "others_cores": run.ran.usage.others_cores,
            "processes": run.ran.usage.by_role(),
        }
        self.facts[case.name] = facts
        self.findings += costs(case, run.ran, run.cpu_s, run.wall_s, run.alone.encode_s)
        self._say(case.title)
        if self.asked.vmaf:
            found = study.quality(run.ran.film, run.lossless, run.done.spec.fps)
            facts["quality"] = asdict(found)
            self.findings += [
                Finding(case.name, "VMAF, mean", found.vmaf, least=VMAF_LEAST),
                Finding(case.name, "VMAF, worst frame", found.worst),
                Finding(case.name, "VMAF of itself", found.itself, least=SELF_LEAST),
                Finding(case.name, "bit rate", found.video_kbps, "kbit/s", most=KBPS_MOST),
            ]
        if case.name == "long" and "transitions" in self.asked.parts:
            drawing_s, joining_s = study.joining_s(run.done, run.lossless.parent)
            ratio = (drawing_s + joining_s) / run.alone.encode_s
            facts["transitions_cpu_s"], facts["join_cpu_s"] = drawing_s, joining_s
            what = f"transitions and join ÷ yardstick ({len(run.done.spec.segments)} segments)"
            self.findings.append(Finding(case.name, what, ratio, most=JOIN_MOST))
        for one in runs:
            shutil.rmtree(one.lossless.parent, ignore_errors=True)

    @staticmethod
    def _once(case: Case, files: Media, rest: dict[str, float], folder: Path) -> Run:
        ran = jobs.render(case, files, folder)
        done = study.finished(ran.home, jobs.JOB_ID)
        lossless = folder / "lossless.mp4"
        alone = study.yardstick(done, lossless)
        return Run(ran, done, lossless, alone, jobs.job_cpu_s(ran.usage, rest))

    def _draft(self, files: Media, rest: dict[str, float]) -> None:
        """Films and their drafts in turn."""
        for name in DRAFTED:
            spent: dict[bool, list[float]] = {False: [], True: []}
            for number in range(2 * self.asked.times):
                draft = number % 2 == 1
                folder = self.folder / f"draft-{name}-{number}"
                ran = jobs.render(jobs.CASES[name], files, folder, draft=draft)
                spent[draft].append(jobs.job_cpu_s(ran.usage, rest))
                shutil.rmtree(folder, ignore_errors=True)
            share = median(spent[True]) / median(spent[False])
            self.facts[f"draft, {name}"] = {"cpu_s": spent[False], "draft_cpu_s": spent[True]}
            self.findings.append(Finding("draft", f"CPU of a draft of the {name} ÷ film's", share))
            self._say(f"draft, {name}")

    def _startup(self, files: Media) -> None:
        """The overlay again and again, for the time to its first frame."""
        took_s, others = [], []
        for number in range(self.asked.starts):
            folder = self.folder / f"start-{number}"
            ran = jobs.render(jobs.CASES["overlay"], files, folder, sample_s=FIRST_FRAME_SAMPLE_S)
            took_s.append(ran.first_frame_s)
            others.append(ran.usage.others_cores)
            shutil.rmtree(folder, ignore_errors=True)
        self.facts["startup"] = {"first_frame_s": took_s, "others_cores": others}
        what = f"cold to the first frame (median of {len(took_s)})"
        self.findings += [
            Finding("startup", what, median(took_s), "s", most=FIRST_FRAME_S_MOST),
            Finding("startup", "others on the machine", median(others), "cores"),
        ]

    def _spine(self) -> None:
        found = asyncio.run(spine.throughput(self._made("spine"), self.asked.jobs))
        self.facts["spine"] = asdict(found)
        what = f"null jobs of {spine.SEGMENTS} segments a second ({found.jobs} at once)"
        self.findings.append(Finding("spine", what, found.jobs_per_s, least=JOBS_PER_S_LEAST))
        for role, cpu_s in found.cpu_s.items():
            each = f"CPU a job, {role}"
            self.findings.append(Finding("spine", each, cpu_s / found.jobs * 1000, "ms"))

    def _state(self) -> None:
        found = asyncio.run(spine.reading(self._made("state"), self.asked.events))
        self.facts["state"] = asdict(found)
        of = f"one job of {found.events:,} events"
        self.findings += [
            Finding("state", f"{of}, operator", found.operator_ms, "ms", most=OPERATOR_MS_MOST),
            Finding("state", f"{of}, service, cold", found.cold_ms, "ms"),
            Finding("state", f"{of}, service, warm", found.warm_ms, "ms", most=SERVICE_MS_MOST),
            Finding(
                "state",
                "the same, of the newest jobs",
                found.newest_ms,
                "ms",
                most=SERVICE_MS_MOST,
            ),
        ]

    def _gateway(self) -> None:
        for subject, run in (
            ("gateway, null jobs", gateway.beside_null_jobs),
            ("gateway, films", gateway.beside_films),
        ):
            found = run(self._made(subject.replace(", ", "-")))
            load = found.load
            self.facts[subject] = {
                "waits_s": {
                    kind: {"n": len(waits), "p50": load.p50_s(kind), "p99": load.p99_s(kind)}
                    for kind, waits in load.waits_s.items()
                },
                "errors": load.errors,
                "slow": load.slow,
                "wall_s": load.wall_s,
                "cpu_s": dict(found.cpu_s),
            }
            self.findings += waits(subject, found)
            self._say(subject)

    def _signatures(self) -> None:
        found = signatures.measure()
        self.facts["signatures"] = asdict(found)
        job = f"a job of {signatures.MESSAGES} messages"
        self.findings += [
            Finding("signatures", "signing an event adds", found.sign_us, "µs"),
            Finding("signatures", "checking it first adds", found.check_us, "µs"),
            Finding("signatures", f"{job}, read unsigned", found.load_plain_ms, "ms"),
            Finding("signatures", f"{job}, read and checked", found.load_first_ms, "ms"),
            Finding("signatures", f"{job}, read again", found.load_again_ms, "ms"),
            Finding(
                "signatures", "a message grows by", found.bytes_signed - found.bytes_plain, "bytes"
            ),
        ]

    def _made(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    @staticmethod
    def _say(what: str) -> None:
        print(f"measured: {what}", flush=True)


def waits(subject: str, found: Served) -> Iterator[Finding]:
    """How long clients waited, against the bar of those who look."""
    load = found.load
    for kind in sorted(load.waits_s):
        most = LOOK_S_MOST if kind in {JOB, JOBS} else None
        yield Finding(subject, f"{kind}, p50", 1000 * load.p50_s(kind), "ms")
        yield Finding(subject, f"{kind}, p99", load.p99_s(kind), "s", most=most)
    yield Finding(subject, "errors", load.failed, most=0)
    yield Finding(subject, "connections left of the crowd", found.left, most=0)
    for role, cpu_s in found.cpu_s.items():
        yield Finding(subject, f"CPU, {role}", cpu_s, "s")
    yield Finding(subject, "wall", load.wall_s, "s")


def costs(case: Case, ran: Ran, cpu_s: float, wall_s: float, alone_s: float) -> Iterator[Finding]:
    """What a job cost, against its bars."""
    name, all_cpu_s, cold_s = case.name, ran.usage.cpu_s(), ran.usage.wall_s
    yield Finding(name, "CPU of the job", cpu_s, "s")
    yield Finding(name, "yardstick", alone_s, "s")
    yield Finding(name, "CPU ÷ yardstick", cpu_s / alone_s, most=case.ratio_most)
    yield Finding(name, "wall, request to end", wall_s, "s")
    yield Finding(name, "wall ÷ half of CPU", wall_s * CORES / cpu_s, most=WALL_MOST)
    yield Finding(name, "wall, cold command", cold_s, "s")
    yield Finding(name, "others on the machine", ran.usage.others_cores, "cores")
    yield Finding(name, "CPU, all processes", all_cpu_s, "s")
    yield Finding(name, "wall, times better", case.old_wall_s / cold_s, least=case.better_least)
    yield Finding(name, "CPU, times better", case.old_cpu_s / all_cpu_s, least=case.better_least)
    yield Finding(name, "memory of a process", ran.usage.peak_mb(), "MB", most=MEMORY_MB_MOST)


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="default: all of them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go")
    parser.add_argument("--photo", type=Path, help="a photograph of your own for the hero")
    parser.add_argument("--jobs", type=int, default=200, help="null-engine jobs")
    parser.add_argument("--events", type=int, default=100_000, help="length of the long log")
    parser.add_argument("--starts", type=int, default=5, help="cold starts")
    parser.add_argument("--times", type=int, default=3, help="runs of each job but the long one")
    parser.add_argument("--no-vmaf", dest="vmaf", action="store_false", help="skip the quality")
    parser.add_argument("--folder", type=Path, help="where scratch goes (6 GB at most)")
    found = parser.parse_args(words)
    found.parts = found.parts or list(PARTS)
    return found


def machine() -> dict[str, str | int | None]:
    """What it was measured on, in general words."""
    return {
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def main(words: Sequence[str] | None = None) -> int:
    """Measure; returns 1 when a bar was missed, else 0."""
    asked = arguments(words)
    if asked.folder is not None:
        Path(asked.folder).mkdir(parents=True, exist_ok=True)
    # What just ends may still write a last file of its own.
    scratch = tempfile.TemporaryDirectory(
        prefix="pytoon-bench-", dir=asked.folder, ignore_cleanup_errors=True
    )
    with scratch as folder:
        bench = Bench(asked, Path(folder))
        bench.run()
    print(table(bench.findings))
    if asked.json:
        told = {
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            "machine": machine(),
            "findings": [{**asdict(one), "verdict": one.verdict} for one in bench.findings],
            "facts": bench.facts,
        }
        asked.json.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 1 if any(one.verdict == "FAIL" for one in bench.findings) else 0


if __name__ == "__main__":
    raise SystemExit(main())
