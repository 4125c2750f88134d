"""A job and its events as a script or a person is told them.

The shapes with ``_view`` are contracts: scripts rely on their keys.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from events.job import Job, JobStatus, SegmentState
from events.log import Recorded
from events.spec import Rung
from events.types import (
    Downgrade,
    Foreign,
    Problem,
    RenderCancelled,
    RenderCompleted,
    RenderFailed,
    RenderRejected,
    RenderRequested,
    SegmentTimedOut,
    event_id,
    type_name,
)

OPTIONS = {
    **{name: f"--{name}" for name in ("prompt", "hook", "cta", "archetype", "seed", "transition")},
    "draft": "--draft",
    "encoder": "--encoder",
    "preset_id": "--preset",
    "target_duration_seconds": "--duration",
    "image_uris": "--image",
    "mask_uri": "--mask",
    "music_uri": "--music",
    "voice_uri": "--voice",
    "logo_uri": "--logo",
    "font_uri": "--font",
    "beats": "--beat",
    "deadline_seconds": "--deadline",
    "budget": "--budget",
    "engine_policy": "--engine-policy",
    "brand_safe": "--brand-safe",
    "job_id": "--job-id",
}
"""The option that sets a field of the request."""


def option_of(field: str) -> str:
    """The command line's name of a request's field, such as ``--image`` of ``image_uris[2]``."""
    name = field.split(".", 1)[0].split("[", 1)[0]
    return OPTIONS.get(name, "")


def event_view(recorded: Recorded) -> dict[str, Any]:
    """An event as one line of ``pytoon log --json``: seq, type, id, time, data.

    ``signed_by`` is the service and the key that signed it, where keys are configured.
    """
    event = recorded.event
    time = dt.datetime.fromtimestamp(recorded.time_s, dt.UTC).isoformat(timespec="milliseconds")
    data = msgspec.to_builtins(event)
    if isinstance(event, Foreign):
        kind, told_id = "foreign", ""
    else:
        kind, told_id = type_name(event), event_id(event)
        data.pop("type", None)
    if isinstance(event, RenderRequested) and not event.unreadable:
        # The request as it was published: flat.
        data = {"job_id": event.job_id, **event.ask}
    if recorded.envelope is not None:
        told_id = recorded.envelope.id
    view = {"seq": recorded.seq, "type": kind, "id": told_id, "time": time, "data": data}
    return view | ({"signed_by": recorded.signer} if recorded.signer else {})


def status_view(job: Job, output: Path | None = None) -> dict[str, Any]:
    """A job as ``pytoon status --json`` tells it; ``output`` is the film's path on this host."""
    film = job.end.output if isinstance(job.end, RenderCompleted) else None
    return {
        "job_id": job.job_id,
        "status": job.status.value,
        "seq": job.tail.seq,
        "segments": [_segment_view(job, segment) for segment in job.segments],
        "output": str(output) if output else None,
        "sha256": film.sha256 if film else None,
        "downgrades": [msgspec.to_builtins(downgrade) for downgrade in job.downgrades],
        "warnings": [msgspec.to_builtins(warned) for warned in job.warnings],
        "problems": [
            *({"message": problem} for problem in job.problems),
            *(problem_view(problem) for problem in rejections(job)),
        ],
        "end": end_reason(job),
        **_cost_view(job),
    }


def verdict_view(job: Job, output: Path | None) -> dict[str, Any]:
    """The line that ends ``pytoon render --json``; ``output`` is where the film was put."""
    end = job.end
    assert isinstance(end, RenderCompleted)
    verdict = msgspec.to_builtins(end.verdict)
    return {
        **verdict,
        "job_id": job.job_id,
        "status": job.status.value,
        "output": str(output) if output else None,
        "sha256": end.output.sha256,
        "downgrades": [msgspec.to_builtins(downgrade) for downgrade in end.downgrades],
        "warnings": [msgspec.to_builtins(warned) for warned in job.warnings],
        "elapsed_s": round(job.ended_s - job.requested_s, 3),
        **_cost_view(job),
    }


def _cost_view(job: Job) -> dict[str, Any]:
    return {"cost": job.cost, "cost_unsettled": job.cost_unsettled, "currency": job.currency}


def settle_hint(job: Job, index: int) -> str | None:
    """What a person can do for a segment whose create is in doubt; None for any other."""
    if not job.alive or not 0 <= index < len(job.segments) or not job.segments[index].in_doubt:
        return None
    return (
        "it waits for your word: "
        f"pytoon settle {job.job_id} {index + 1} --accept HANDLE | --give-up"
    )


def cost_line(job: Job) -> str | None:
    """What the job did cost, and what it may have cost besides; None where nothing did."""
    if not job.cost and not job.cost_unsettled:
        return None
    more = f", and perhaps {job.cost_unsettled:g} more" if job.cost_unsettled else ""
    return f"cost: {job.cost:g} {job.currency}{more}"


def problem_view(problem: Problem) -> dict[str, Any]:
    """A rejection's problem with the message that a person would read."""
    return {"message": problem_line(problem), **msgspec.to_builtins(problem)}


def problem_line(problem: Problem, names: Mapping[str, str] | None = None) -> str:
    """Field and option, value, limit, what to do next; stored files by their ``names``."""
    option = option_of(problem.field)
    field = f"{problem.field} ({option})" if option else problem.field or "request"
    value = f" {(names or {}).get(problem.value, problem.value)!r}" if problem.value else ""
    return f"{field}:{value} must be {problem.limit}; {problem.hint}"


def rejections(job: Job) -> tuple[Problem, ...]:
    """Why the request was rejected; empty if it was not."""
    return job.end.problems if isinstance(job.end, RenderRejected) else ()


def end_reason(job: Job) -> str | None:
    """Why the job ended without a film, if it did; rejections aside."""
    match job.end:
        case RenderFailed(reason=reason, detail=detail):
            return f"{reason.value}: {detail}" if detail else reason.value
        case RenderCancelled(why=why):
            return f"cancelled: {why}" if why else "cancelled"
        case _:
            return None


def downgrade_lines(downgrades: Sequence[Downgrade]) -> list[str]:
    """All steps down the ladder in words; segments that took the same one share a line."""
    alike: dict[tuple[bool, Downgrade], list[Downgrade]] = {}
    for told in downgrades:
        step = msgspec.structs.replace(told, segment=None)
        alike.setdefault((told.segment is None, step), []).append(told)
    return [downgrade_line(*each) for each in alike.values()]


def downgrade_line(downgrade: Downgrade, *alike: Downgrade) -> str:
    """A step down the ladder in words, and which other segments took the ``alike`` one."""
    segments = sorted(each.segment for each in (downgrade, *alike) if each.segment is not None)
    numbers = [str(segment + 1) for segment in segments]
    what = f"segment {numbers[0]}" if numbers else "the film"
    if alike and numbers:
        what = f"segments {', '.join(numbers[:-1])} and {numbers[-1]}"
    before, after = _rung_words(downgrade.from_rung), _rung_words(downgrade.to_rung)
    detail = f": {downgrade.detail}" if downgrade.detail else ""
    return f"{what} went from {before} to {after} ({downgrade.reason.value}{detail})"


def _rung_words(rung: Rung) -> str:
    return f"{rung.engine} {'still ' if rung.still else ''}{rung.archetype}"


def status_lines(job: Job, output: Path | None = None) -> list[str]:
    """A job for a person to read."""
    reason = end_reason(job)
    lines = [f"{job.job_id}: {job.status.value}" + (f" ({reason})" if reason else "")]
    if job.spec:
        spec = job.spec
        lines.append(
            f"  {spec.archetype} · {spec.preset_id} · {spec.frames / spec.fps:g} s · "
            f"{len(spec.segments)} segment{'s' if len(spec.segments) != 1 else ''}"
        )
    for segment in job.segments:
        view = _segment_view(job, segment)
        tries = f", attempt {segment.attempt}" if segment.attempt > 1 else ""
        why = f": {view['failure']}" if view["failure"] else ""
        reused = ", reused" if view["reused"] else ""
        name = f"segment {segment.index + 1}"
        lines.append(f"  {name}: {view['status']} {view['engine']}{tries}{reused}{why}")
        if (hint := settle_hint(job, segment.index)) is not None:
            lines.append(f"    {hint}")
    if job.soundtrack:
        lines.append("  soundtrack: mixed")
    if output:
        lines.append(f"  film: {output}")
    if (cost := cost_line(job)) is not None:
        lines.append(f"  {cost}")
    lines += [f"  downgrade: {line}" for line in downgrade_lines(job.downgrades)]
    lines += [f"  warning: {warned.message}" for warned in job.warnings]
    lines += [f"  problem: {problem}" for problem in job.problems]
    lines += [f"  rejected: {problem_line(problem)}" for problem in rejections(job)]
    return lines


def steps(job: Job, history: tuple[Recorded, ...]) -> list[tuple[str, float]]:
    """How long each step took, in seconds, by the times at which its events were stored."""
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for recorded in history:
        if not isinstance(recorded.event, Foreign):
            name = type_name(recorded.event)
            first.setdefault(name, recorded.time_s)
            last[name] = recorded.time_s
    spans = (
        ("planning", first.get("render_requested"), last.get("render_planned")),
        ("segments", last.get("render_planned"), last.get("segment_rendered")),
        ("soundtrack", last.get("render_planned"), last.get("soundtrack_mixed")),
        ("assembly", last.get("assembly_requested"), last.get("render_completed")),
        ("in all", first.get("render_requested"), job.ended_s or None),
    )
    return [
        (name, end - begin)
        for name, begin, end in spans
        if begin is not None and end is not None and end >= begin
    ]


def _segment_view(job: Job, segment: SegmentState) -> dict[str, Any]:
    assert job.spec is not None
    rung = segment.rendered.rung if segment.rendered else job.spec.ladder[segment.rung_index]
    failure = segment.failure if segment.rendered is None else None
    if failure is None:
        why = None
    elif isinstance(failure, SegmentTimedOut):
        why = f"timed out ({failure.deadline.value})"
    else:
        why = f"{failure.reason.value}: {failure.detail}"
    return {
        "index": segment.index,
        "status": segment.status.value,
        "engine": rung.engine,
        "archetype": rung.archetype.value,
        "attempts": segment.attempt,
        "failure": why,
        "reused": segment.rendered is not None and segment.rendered.reused,
        "generation": _generation_view(segment),
    }


def _generation_view(segment: SegmentState) -> dict[str, Any] | None:
    """The segment's create of which the outcome or the cost is not known, if there is one."""
    generation = segment.generation
    if generation is None:
        return None
    return {
        "engine": generation.engine,
        "attempt": generation.attempt,
        "handle": generation.handle,
        "cost_reserved": generation.cost_reserved,
        "in_doubt": segment.in_doubt,
    }


def is_over(job: Job) -> bool:
    """Whether the job has ended."""
    return job.end is not None


def is_unknown(job: Job) -> bool:
    """Whether nobody ever asked for this job."""
    return job.status is JobStatus.UNKNOWN and not job.problems
