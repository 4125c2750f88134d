"""Small valid values for tests: specs, histories, events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from events.job import Job, fold
from events.log import Recorded
from events.spec import (
    Archetype,
    Artifact,
    CaptionPosition,
    CaptionSize,
    EncoderProfile,
    EnginePolicy,
    Motion,
    RenderSpec,
    Rung,
    SegmentPlan,
    SoundPlan,
    Style,
    Transition,
    TransitionKind,
)
from events.types import (
    AssemblyRequested,
    Event,
    RenderCompleted,
    RenderPlanned,
    RenderRequested,
    SegmentRendered,
    SegmentRequested,
    SoundtrackMixed,
    Stored,
    Verdict,
)

JOB = "job-1"
START_S = 1_000_000.0
LADDER = (
    Rung(engine="null", archetype=Archetype.OVERLAY),
    Rung(engine="compositor", archetype=Archetype.OVERLAY),
    Rung(engine="compositor", archetype=Archetype.MEME_TEXT),
    Rung(engine="template", archetype=Archetype.MEME_TEXT),
)


def artifact(text: str = "a") -> Artifact:
    """An artifact that is named by ``text`` repeated."""
    return Artifact(sha256=(text * 64)[:64], bytes=1, media_type="video/mp4")


def style() -> Style:
    """The look of ``overlay_classic``, about."""
    return Style(
        motion=Motion.SUBTLE,
        product_motion=Motion.SUBTLE,
        font="Inter",
        caption_size=CaptionSize.AUTO,
        caption_position=CaptionPosition.LOWER_THIRD,
        margin_px=120,
    )


def spec(
    segments: int = 2,
    *,
    in_flight: int = 4,
    ladder: Sequence[Rung] = LADDER,
    deadline_s: float = 3600.0,
    **changes: Any,
) -> RenderSpec:
    """A plan of ``segments`` segments of 90 frames, joined by cuts."""
    made = RenderSpec(
        preset_id="overlay_classic",
        archetype=Archetype.OVERLAY,
        engine_policy=EnginePolicy.LOCAL_PREFERRED,
        brand_safe=True,
        prompt="",
        seed=1,
        width=1080,
        height=1920,
        fps=30,
        frames=90 * segments,
        segments=tuple(
            SegmentPlan(
                index=i, start=90 * i, frames=90, body_start=90 * i, body_frames=90, seed=i
            )
            for i in range(segments)
        ),
        transition=Transition(kind=TransitionKind.CUT, frames=0),
        style=style(),
        captions=(),
        fonts=(),
        assets=(),
        logo=None,
        sound=SoundPlan(),
        encoder=EncoderProfile(
            codec="libx264", preset="superfast", crf=20, params="", bitrate_max_kbps=12_000
        ),
        ladder=tuple(ladder),
        segments_in_flight_max=in_flight,
        deadline_s=deadline_s,
    )
    return msgspec.structs.replace(made, **changes)


def recorded(event: Stored, seq: int, *, time_s: float = START_S) -> Recorded:
    """``event`` as if it had been stored at ``seq``."""
    return Recorded(
        seq=seq,
        subject=f"pytoon.jobs.{JOB}.test",
        job_id=JOB,
        time_s=time_s,
        event=event,
        digest=f"digest-{seq}",
        body=b"",
    )


def history(*events: Stored) -> tuple[Recorded, ...]:
    """The events stored one after the other, one second apart, from sequence 1."""
    return tuple(
        recorded(event, seq, time_s=START_S + seq - 1) for seq, event in enumerate(events, 1)
    )


def job_after(*events: Stored) -> Job:
    """The job that the events make."""
    return fold(JOB, history(*events))


def requested(**ask: Any) -> RenderRequested:
    """A request."""
    body = {"preset_id": "overlay_classic", "target_duration_seconds": 6} | ask
    return RenderRequested(job_id=JOB, ask=body)


def planned(plan: RenderSpec | None = None) -> RenderPlanned:
    """The plan of a request."""
    return RenderPlanned(job_id=JOB, spec=plan or spec())


def segment_requested(
    segment: int = 0, attempt: int = 1, *, rung: int = 0, ladder: Sequence[Rung] = LADDER
) -> SegmentRequested:
    """An ask for a segment."""
    return SegmentRequested(
        job_id=JOB, segment=segment, attempt=attempt, rung_index=rung, rung=ladder[rung]
    )


def segment_rendered(
    segment: int = 0, attempt: int = 1, *, rung: int = 0, ladder: Sequence[Rung] = LADDER
) -> SegmentRendered:
    """A segment's outcome."""
    return SegmentRendered(
        job_id=JOB,
        segment=segment,
        attempt=attempt,
        rung=ladder[rung],
        artifact=artifact(str(segment % 10)),
        seed=segment,
        frames=90,
        elapsed_s=1.0,
    )


def soundtrack_mixed() -> SoundtrackMixed:
    """A soundtrack."""
    return SoundtrackMixed(job_id=JOB, artifact=artifact("f"), lufs=-14.0, true_peak_db=-1.5)


def assembly_requested(attempt: int = 1) -> AssemblyRequested:
    """An ask to assemble."""
    return AssemblyRequested(job_id=JOB, attempt=attempt)


def completed(attempt: int = 1) -> RenderCompleted:
    """A finished film."""
    verdict = Verdict(
        width=1080,
        height=1920,
        fps="30/1",
        frames=180,
        duration_s=6.0,
        video_codec="h264",
        pixel_format="yuv420p",
        audio_codec="aac",
        audio_duration_s=6.0,
        bitrate_kbps=4000,
        bytes=1,
    )
    return RenderCompleted(
        job_id=JOB,
        attempt=attempt,
        output=artifact("d"),
        thumbnail=artifact("e"),
        metadata=artifact("b"),
        verdict=verdict,
        elapsed_s=1.0,
    )


def whole_history(plan: RenderSpec | None = None) -> tuple[Event, ...]:
    """Every event of a job of which nothing went wrong."""
    plan = plan or spec()
    asks = [segment_requested(i) for i in range(len(plan.segments))]
    outcomes = [segment_rendered(i) for i in range(len(plan.segments))]
    return (
        requested(),
        planned(plan),
        *asks,
        soundtrack_mixed(),
        *outcomes,
        assembly_requested(),
        completed(),
    )
