"""What worker processes do for studio and engines.

The media toolkit is imported only there, and its refusals come back as values: an exception with
facts of its own does not survive the way between processes.  Nothing that only the services need
is imported here: a worker's start is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.preparation import PreparationAnswer, PreparationFiles
from adapters.workers import Report
from events.spec import Archetype, RenderSpec, Rung, Struct, Warned
from events.types import Reason, Verdict


class Refusal(Struct, frozen=True, kw_only=True):
    """Why there is no result."""

    reason: Reason
    detail: str
    segments: tuple[int, ...] = ()
    """To be rendered again, the worst first."""


class MixedFacts(Struct, frozen=True, kw_only=True):
    """What was measured of a soundtrack."""

    lufs: float | None
    true_peak_db: float | None
    warnings: tuple[Warned, ...] = ()


class AssembledFiles(Struct, frozen=True, kw_only=True):
    """A film's files, and what a probe found in it."""

    output: Path
    thumbnail: Path
    metadata: Path
    verdict: Verdict
    warnings: tuple[Warned, ...] = ()


class Unfit(Struct, frozen=True, kw_only=True):
    """Why a clip cannot be used; ``again`` if the same service may do better at once."""

    why: str
    again: bool


Judged = tuple[str, tuple[Warned, ...]]
"""The media type of a clip that can be used, and what there is to tell about it."""


def prepare(files: PreparationFiles, report: Report) -> PreparationAnswer:
    """Decode every picture and sound, find every glyph, set every caption."""
    from adapters import preparing  # noqa: PLC0415 - only workers load the media libraries

    return preparing.prepare(files, report)


def mix(
    spec: RenderSpec, sources: Mapping[str, Path], out: Path, report: Report
) -> MixedFacts | Refusal:
    """Mix the film's sound into ``out``."""
    from assembler import produce  # noqa: PLC0415 - only workers load the media libraries
    from assembler.sound import SoundError  # noqa: PLC0415

    try:
        mixed = produce.mix_soundtrack(spec, sources, out)
    except (SoundError, ValueError, RuntimeError, ArithmeticError, LookupError) as error:
        return Refusal(reason=Reason.INTERNAL, detail=f"{type(error).__name__}: {error}")
    report(spec.frames, spec.frames)
    return MixedFacts(lufs=mixed.lufs, true_peak_db=mixed.true_peak_db, warnings=mixed.warnings)


def render(  # noqa: PLR0917 - all that a body depends on, across processes
    spec: RenderSpec,
    rung: Rung,
    segment: int,
    sources: dict[str, Path],
    clips: dict[int, Path],
    out: Path,
    quality: int,
    alone: bool,  # noqa: FBT001
    report: Report,
) -> tuple[int, str] | str:
    """Draw and encode a body: frames and fingerprint, or what went wrong in words."""
    from assembler import produce  # noqa: PLC0415 - only workers load it
    from assembler.stills import StillError  # noqa: PLC0415

    rungs = (rung,) * len(spec.segments)
    try:
        info: Any = produce.render_body(
            spec, rungs, segment, sources, out, quality, report, clips, hurried=alone
        )
    except (StillError, ValueError, RuntimeError, OSError, ArithmeticError, LookupError) as error:
        return f"{type(error).__name__}: {error}"
    return info.frames, info.fingerprint


def draw_still(  # noqa: PLR0917 - all that it depends on, across processes
    spec: RenderSpec,
    archetype: Archetype,
    segment: int,
    sources: dict[str, Path],
    out: Path,
    report: Report,
) -> str:
    """Draw the picture that is to be animated; what went wrong, in words."""
    from assembler import produce  # noqa: PLC0415 - only workers load it
    from assembler.stills import StillError  # noqa: PLC0415

    try:
        produce.draw_still(spec, archetype, segment, sources, out)
    except (StillError, ValueError, RuntimeError, OSError, ArithmeticError, LookupError) as error:
        return f"{type(error).__name__}: {error}"
    report(1, 1)
    return ""


def take_in(  # noqa: PLR0917 - all that it depends on, across processes
    path: Path,
    out: Path,
    size: tuple[int, int, int, int],
    moves: bool,  # noqa: FBT001 - across processes
    matrix: int,
    report: Report,
) -> Judged | Unfit:
    """Judge a clip, and write what is kept of it."""
    from assembler import intake  # noqa: PLC0415 - only workers load it

    width, height, fps, frames = size
    wanted = intake.Wanted(
        width=width,
        height=height,
        fps=fps,
        frames=frames,
        moving=moves,
        untagged_matrix=matrix,
    )
    try:
        taken = intake.take_in(path, out, wanted)
    except intake.Unfit as unfit:
        return Unfit(why=str(unfit), again=unfit.again)
    report(frames, frames)
    return taken.media_type, taken.warnings


def glance(  # noqa: PLR0917 - all that a frame depends on, across the process boundary
    spec: RenderSpec,
    rungs: Sequence[Rung],
    n: int,
    width: int,
    sources: Mapping[str, Path],
    clips: Mapping[int, Path],
    report: Report,
) -> bytes | str:
    """Draw one frame as a JPEG; or what went wrong, in words."""
    from assembler.glance import glance as drawn  # noqa: PLC0415 - only workers load it
    from assembler.stills import StillError  # noqa: PLC0415

    try:
        made = drawn(spec, rungs, n, width, sources, clips)
    except StillError as error:
        return str(error)
    except (ValueError, RuntimeError, OSError, ArithmeticError, LookupError) as error:
        return f"{type(error).__name__}: {error}"
    report(1, 1)
    return made


def assemble(  # noqa: PLR0917 - all that a film depends on, across the process boundary
    spec: RenderSpec,
    rungs: Sequence[Rung],
    bodies: Mapping[int, Path],
    soundtrack: Path,
    sources: Mapping[str, Path],
    clips: Mapping[int, Path],
    folder: Path,
    facts: Mapping[str, Any],
    report: Report,
) -> AssembledFiles | Refusal:
    """Draw the transitions, join and judge; the files are written to ``folder``."""
    from assembler import produce  # noqa: PLC0415 - only workers load the media libraries
    from assembler.stills import StillError  # noqa: PLC0415
    from assembler.verdict import Refused  # noqa: PLC0415

    try:
        done = produce.assemble(
            spec, rungs, bodies, soundtrack, sources, folder, facts, report, clips
        )
    except Refused as refused:
        return Refusal(reason=refused.reason, detail=refused.detail, segments=refused.segments)
    except (StillError, ValueError, RuntimeError, ArithmeticError, LookupError) as error:
        return Refusal(reason=Reason.INTERNAL, detail=f"{type(error).__name__}: {error}")
    return AssembledFiles(
        output=done.output,
        thumbnail=done.thumbnail,
        metadata=done.metadata,
        verdict=done.verdict,
        warnings=done.warnings,
    )
