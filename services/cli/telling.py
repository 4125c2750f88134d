"""What a person who waits is told: in plain lines, or live on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, assert_never

from events.job import Job
from events.log import Recorded
from events.types import (
    AssemblyFailed,
    AssemblyRequested,
    Downgrade,
    Foreign,
    GenerationIntended,
    GenerationSettled,
    GenerationSubmitted,
    RenderCancelled,
    RenderCancelRequested,
    RenderCompleted,
    RenderFailed,
    RenderPlanned,
    RenderRejected,
    RenderRequested,
    RungDescended,
    SegmentFailed,
    SegmentRendered,
    SegmentRequested,
    SegmentTimedOut,
    SoundtrackMixed,
)
from services.views import downgrade_line, settle_hint

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Teller(Protocol):
    """Whoever tells a person how a job goes."""

    def event(self, job: Job, recorded: Recorded) -> None:
        """A message of the log, and the job after it."""

    def progress(self, facts: dict[str, Any]) -> None:
        """How far some work is; may be late, repeated or lost."""

    def close(self) -> None:
        """Leave the terminal as a person expects it."""


class Silent:
    """Tells nothing."""

    def event(self, job: Job, recorded: Recorded) -> None:
        """Nothing."""

    def progress(self, facts: dict[str, Any]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Lines:
    """One line an event that is worth telling, with the seconds since the request."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def event(self, job: Job, recorded: Recorded) -> None:
        """Write a line, or none."""
        words = describe(job, recorded)
        if words is not None:
            elapsed_s = max(0.0, recorded.time_s - (job.requested_s or recorded.time_s))
            self._write(f"{elapsed_s:7.1f} s  {words}")

    def progress(self, facts: dict[str, Any]) -> None:
        """Nothing: a line a frame would be noise."""

    def close(self) -> None:
        """Nothing is open."""


class Live:
    """A bar for the film and one for each segment in work, below the lines told so far."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._bars: Progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True, highlight=False),
            transient=True,
        )
        self._lines = Lines(lambda line: self._bars.console.print(line, markup=False))
        self._film: TaskID = self._bars.add_task("waiting for the planner", total=None, count="")
        self._segments: dict[int, TaskID] = {}
        self._bars.start()

    def event(self, job: Job, recorded: Recorded) -> None:
        """Write its line, and move the bars."""
        self._lines.event(job, recorded)
        if job.spec is None:
            return
        done = sum(segment.rendered is not None for segment in job.segments)
        total = len(job.segments)
        self._bars.update(
            self._film,
            description=job.status.value,
            total=total,
            completed=done,
            count=f"{done}/{total} segments",
        )
        match recorded.event:
            case SegmentRequested(segment=index, rung=rung, attempt=attempt):
                tries = f", attempt {attempt}" if attempt > 1 else ""
                self._end(index)
                self._segments[index] = self._bars.add_task(
                    f"  segment {index + 1} on {rung.engine}{tries}", total=None, count=""
                )
            case (
                SegmentRendered(segment=index)
                | SegmentFailed(segment=index)
                | SegmentTimedOut(segment=index)
            ):
                self._end(index)
            case _:
                pass

    def progress(self, facts: dict[str, Any]) -> None:
        """Move a segment's bar, or the film's while it is assembled."""
        done, total = facts.get("frames_done"), facts.get("frames")
        if not isinstance(done, int) or not isinstance(total, int):
            return
        segment = self._segments.get(facts.get("segment", -1))
        bar = self._film if facts.get("assembling") else segment
        if bar is not None:
            self._bars.update(bar, completed=done, total=total, count=f"{done}/{total} frames")

    def close(self) -> None:
        """Take the bars away; the lines stay."""
        self._bars.stop()

    def _end(self, segment: int) -> None:
        bar = self._segments.pop(segment, None)
        if bar is not None:
            self._bars.remove_task(bar)


def describe(job: Job, recorded: Recorded) -> str | None:
    """A message of the log in a person's words; None where it is not worth a line."""
    event = recorded.event
    match event:
        case RenderRequested():
            return f"{job.job_id} requested"
        case RenderPlanned(spec=spec):
            count = len(spec.segments)
            return (
                f"planned: {spec.archetype} of {spec.frames / spec.fps:g} s, {spec.frames} frames "
                f"in {count} segment{'s' if count != 1 else ''}"
            )
        case SegmentRequested(attempt=attempt):
            if attempt == 1:
                return None
            return f"segment {event.segment + 1}: attempt {attempt} on {event.rung.engine}"
        case SegmentRendered(reused=True):
            return f"segment {event.segment + 1} of {len(job.segments)} reused"
        case SegmentRendered():
            return (
                f"segment {event.segment + 1} of {len(job.segments)} rendered by "
                f"{event.rung.engine} in {event.elapsed_s:.1f} s"
            )
        case SegmentFailed():
            failed = "failed on" if event.tried else "was not asked of"
            told = (
                f"segment {event.segment + 1} {failed} {event.rung.engine}: "
                f"{event.reason.value}, {event.detail}"
            )
            hint = settle_hint(job, event.segment)
            return f"{told}; {hint}" if hint else told
        case SegmentTimedOut():
            return f"segment {event.segment + 1} timed out ({event.deadline.value})"
        case RungDescended():
            step = Downgrade(
                segment=event.segment,
                from_rung=event.from_rung,
                to_rung=event.to_rung,
                reason=event.reason,
                detail=event.detail,
            )
            return f"downgrade: {downgrade_line(step)}"
        case SoundtrackMixed(lufs=lufs):
            loudness = "loudness not measurable" if lufs is None else f"{lufs:.1f} LUFS"
            return f"soundtrack {'reused' if event.reused else 'mixed'} ({loudness})"
        case AssemblyRequested(attempt=attempt):
            return "assembling" if attempt == 1 else f"assembling, attempt {attempt}"
        case AssemblyFailed():
            return f"assembly failed: {event.reason.value}, {event.detail}"
        case RenderCompleted():
            return "film complete"
        case RenderRejected():
            return "request rejected"
        case RenderFailed():
            return f"render failed: {event.reason.value}, {event.detail}"
        case RenderCancelRequested():
            return "cancel requested"
        case RenderCancelled():
            return "cancelled"
        case GenerationIntended(cost_reserved=cost, currency=currency):
            price = f" ({cost:g} {currency} reserved)" if cost else ""
            return f"segment {event.segment + 1}: {event.engine} is asked to generate it{price}"
        case GenerationSubmitted():
            return f"segment {event.segment + 1}: {event.engine} took it"
        case GenerationSettled(handle=handle):
            word = f"accepted as {handle}" if handle else "given up"
            return f"segment {event.segment + 1}: its create in doubt was {word}"
        case Foreign():
            return f"message {event.seq} is not ours and changes nothing: {event.why}"
        case _:
            assert_never(event)
