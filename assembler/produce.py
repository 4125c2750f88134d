"""The toolkit's jobs: a segment's body, the film's sound, the finished film.

Plain functions with picklable arguments, called in worker processes.  Files come as ``sources``
(sha256 to local path) and go to the paths that are given; ``report`` is told frames done and
frames in all.  The same arguments make the same bytes.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from assembler import sound
from assembler.ahead import ahead
from assembler.draft import as_drawn
from assembler.encode import (
    SOFTWARE,
    EncodeError,
    PieceInfo,
    encode_piece,
    first_bytes,
    libraries,
    picture_of,
    room_bytes,
    stand_in,
)
from assembler.film import Film
from assembler.join import JoinError, join
from assembler.planes import Frame, frame_to_rgb
from assembler.scenes import TEMPLATE
from assembler.sound import Mixed
from assembler.timeline import Piece, pieces, shown
from assembler.verdict import Refused, judge
from events.spec import Archetype, CaptionRole, EncoderProfile, RenderSpec, Rung, Warned
from events.types import Reason, Verdict

Report = Callable[[int, int], None]

METADATA_VERSION = 1
JPEG_QUALITY = 90
THUMBNAIL_SHARE = 1 / 6
"""Where the thumbnail is taken, as a share of the film, if no hook says otherwise."""
THUMBNAIL_SHARE_MAX = 1 / 3
ENCODERS = 2
"""Transitions that are encoded at once, each by one thread: a film's end is waited for."""
MIXTURE_SHARE = 0.9
"""What a mixture's keyframe is taken to need, as a share of the mean of the two beside it.
Mixtures are softer and need 0.6 to 0.7.  Where grain is so strong that the rate holds down the
two themselves it is 1.3: most of these are told apart, and not encoded in vain."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """The finished film's files and what a probe found; ``warnings`` are new ones."""

    output: Path
    thumbnail: Path
    metadata: Path
    verdict: Verdict
    warnings: tuple[Warned, ...]


def render_body(  # noqa: PLR0917 - all that a body depends on, across the process boundary
    spec: RenderSpec,
    rungs: Sequence[Rung],
    segment: int,
    sources: Mapping[str, Path],
    out: Path,
    quality: int,
    report: Report,
    clips: Mapping[int, Path] | None = None,
    *,
    hurried: bool = False,
) -> PieceInfo:
    """Draw and encode the body of a segment into ``out``.

    ``rungs`` has the rung of each segment; ``quality`` is how often better quality was asked
    for; ``clips`` has the segments' clips, as far as they were generated.  ``hurried`` draws
    ahead of the encoder on a core of its own: it changes nothing but the time that it takes.
    Raises ``EncodeError``, and what ``Film.frame`` raises.
    """
    spec = as_drawn(spec)
    plan = spec.segments[segment]
    film = Film(spec, rungs, sources, clips)
    span = (plan.body_start, plan.body_frames)
    ready = hurried and spec.encoder.codec == SOFTWARE
    with closing(ahead(_frames(film, *span))) if ready else nullcontext() as frames:
        return _encoded(
            film,
            spec,
            span,
            out,
            frames=frames,
            quality=quality,
            on_frame=lambda done: report(done, plan.body_frames),
        )


def draw_still(
    spec: RenderSpec,
    archetype: Archetype,
    segment: int,
    sources: Mapping[str, Path],
    out: Path,
) -> None:
    """Draw the picture that an engine is to animate into the PNG ``out``.

    It is a segment's first one, as it would be composed; ``spec`` is without words and watermark.
    Raises what ``Film.frame`` raises.
    """
    rung = Rung(engine="", archetype=archetype)
    film = Film(spec, (rung,) * len(spec.segments), sources)
    start, _ = shown(spec, spec.segments[segment])
    done, encoded = cv2.imencode(".png", frame_to_rgb(film.frame(start))[..., ::-1])
    assert done
    out.write_bytes(np.asarray(encoded).tobytes())


def mix_soundtrack(spec: RenderSpec, sources: Mapping[str, Path], out: Path) -> Mixed:
    """Mix and encode the film's sound into ``out``; raises ``SoundError``."""
    return sound.mix(spec.sound, spec.frames, spec.fps, sources, out)


def assemble(  # noqa: PLR0917 - all that a film depends on, across the process boundary
    spec: RenderSpec,
    rungs: Sequence[Rung],
    bodies: Mapping[int, Path],
    soundtrack: Path,
    sources: Mapping[str, Path],
    folder: Path,
    facts: Mapping[str, Any],
    report: Report,
    clips: Mapping[int, Path] | None = None,
) -> Assembled:
    """Draw the transitions, join all pieces and the sound, judge the film; files in ``folder``.

    ``bodies`` maps segments to their files, ``clips`` those that were generated to their clips.
    ``facts`` goes into the metadata as it is (plain JSON values); its ``sound``, if there, holds
    ``lufs`` and ``true_peak_db`` as mixed, which are measured otherwise.  Raises ``Refused``, and
    what ``Film.frame`` raises.
    """
    spec = as_drawn(spec)
    film = Film(spec, rungs, sources, clips)
    row = pieces(spec)
    output = folder / "film.mp4"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".pieces-") as scratch:
        drawn = _draw_transitions(film, spec, row, bodies, Path(scratch), report)
        parts = [
            bodies[piece.index] if piece.kind == "body" else drawn[piece.index] for piece in row
        ]
        warnings = _join(spec, row, parts, soundtrack, output)
    verdict = judge(
        output,
        spec,
        still=all(rung.engine == TEMPLATE or rung.still for rung in rungs),
        sound=_measured(facts),
        product=film if _proven(spec, rungs) else None,
    )
    thumbnail = folder / "thumbnail.jpg"
    thumbnail.write_bytes(jpeg(film.frame(thumbnail_frame(spec))))
    metadata = folder / "metadata.json"
    metadata.write_bytes(_metadata(spec, rungs, output, thumbnail, verdict, facts))
    return Assembled(output, thumbnail, metadata, verdict, (*warnings, *verdict.warnings))


def thumbnail_frame(spec: RenderSpec) -> int:
    """The frame that stands for the film: amid the hook's first card, in the first third."""
    latest = int(spec.frames * THUMBNAIL_SHARE_MAX)
    for caption in spec.captions:
        if caption.role is CaptionRole.HOOK and caption.cards:
            card = caption.cards[0]
            return min(card.start + card.frames // 2, max(latest, card.start))
    return int(spec.frames * THUMBNAIL_SHARE)


def jpeg(frame: Frame) -> bytes:
    """A frame as JPEG."""
    height, width = frame.y.shape
    bgr = picture_of(frame, width, height).to_ndarray(
        format="bgr24", src_colorspace="ITU709", src_color_range="MPEG", dst_color_range="JPEG"
    )
    done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done
    return np.asarray(encoded).tobytes()


def _encoded(
    film: Film,
    spec: RenderSpec,
    span: tuple[int, int],
    path: Path,
    *,
    frames: Iterable[Frame] | None = None,
    quality: int = 0,
    mixed: bool = False,
    on_frame: Callable[[int], None] | None = None,
) -> PieceInfo:
    """Draw and encode ``span`` (first frame, count) with the film's encoder, or its stand-in.

    A graphics card may be missing here, or be busy with too many films; joining sees to it that
    the pieces fit.  ``frames`` are the span's, where they are drawn already; a film's frames are
    drawn by one thread at a time, so what may have to be drawn again must not come drawn ahead.
    """
    start, count = span
    size = {"fps": spec.fps, "width": spec.width, "height": spec.height}

    def encoded(drawn: Iterable[Frame], profile: EncoderProfile) -> PieceInfo:
        how = {"quality": quality, **size}
        return encode_piece(drawn, count, path, profile, **how, mixed=mixed, on_frame=on_frame)

    try:
        return encoded(_frames(film, start, count) if frames is None else frames, spec.encoder)
    except EncodeError:
        if spec.encoder.codec == SOFTWARE:
            raise
    return encoded(_frames(film, start, count), stand_in(spec.encoder, **size))


def _frames(film: Film, start: int, count: int) -> Iterator[Frame]:
    """Draw a run of frames, one at a time."""
    return (film.frame(number) for number in range(start, start + count))


def _draw_transitions(  # noqa: PLR0917 - all that transitions depend on
    film: Film,
    spec: RenderSpec,
    row: Sequence[Piece],
    bodies: Mapping[int, Path],
    folder: Path,
    report: Report,
) -> dict[int, Path]:
    """Draw and encode all transitions; the files by the segment that each leads away from.

    Nothing else is left to do for the film: two are encoded while the next one is drawn.
    """
    spans = [piece for piece in row if piece.kind == "transition"]
    total = sum(piece.frames for piece in spans)
    paths = {piece.index: folder / f"{piece.index}.mp4" for piece in spans}
    software = spec.encoder.codec == SOFTWARE

    def encoded(piece: Piece, frames: Sequence[Frame] | None) -> int:
        span, path = (piece.start, piece.frames), paths[piece.index]
        room = room_bytes(piece.frames, spec.fps, spec.encoder)
        if software and _may_fit(piece, room, bodies):
            _encoded(film, spec, span, path, frames=frames, mixed=True)
            if path.stat().st_size <= room:
                return piece.frames
        _encoded(film, spec, span, path, frames=frames)
        return piece.frames

    if not software:
        # What may have to be drawn again for another encoder is drawn as it is encoded.
        done = (encoded(piece, None) for piece in spans)
        _told(done, total, report)
        return paths
    with ThreadPoolExecutor(ENCODERS, "transition") as encoders:

        def begun() -> Iterator[Future[int]]:
            for piece in spans:
                frames = list(_frames(film, piece.start, piece.frames))
                yield encoders.submit(encoded, piece, frames)

        _told((each.result() for each in _held(begun(), ENCODERS)), total, report)
    return paths


def _may_fit(piece: Piece, room: float, bodies: Mapping[int, Path]) -> bool:
    """Whether a transition's keyframes may take no more than ``room`` bytes, by those beside it.

    If they do in the end is known when they are made.
    """
    try:
        beside = [first_bytes(bodies[piece.index + step]) for step in (0, 1)]
    except EncodeError:
        # Joining tells whose fault it is.
        return False
    return MIXTURE_SHARE * piece.frames * sum(beside) / 2 <= room


def _held(made: Iterator[Future[int]], most: int) -> Iterator[Future[int]]:
    """Yield what is made, in order, each when ``most`` more have been made after it."""
    waiting: deque[Future[int]] = deque()
    for each in made:
        waiting.append(each)
        if len(waiting) > most:
            yield waiting.popleft()
    yield from waiting


def _told(done: Iterator[int], total: int, report: Report) -> None:
    """Report numbers of frames as they are done."""
    for so_far in accumulate(done):
        report(so_far, total)


def _join(
    spec: RenderSpec, row: Sequence[Piece], parts: Sequence[Path], soundtrack: Path, output: Path
) -> list[Warned]:
    """Join; an unfit part is the fault of its segment, where it is a body."""
    try:
        joined = join(
            parts,
            [piece.frames for piece in row],
            soundtrack,
            output,
            profile=stand_in(spec.encoder, fps=spec.fps, width=spec.width, height=spec.height),
            fps=spec.fps,
            width=spec.width,
            height=spec.height,
        )
    except JoinError as error:
        at = row[error.piece] if error.piece is not None else None
        segments = [at.index] if at is not None and at.kind == "body" else []
        where = f"the {at.kind} of segment {at.index} " if at is not None else ""
        raise Refused(Reason.CORRUPT_OUTPUT, f"{where}{error}", *segments) from error
    return [
        Warned(
            code="piece_encoded_again",
            message=f"the {row[index].kind} of segment {row[index].index} came from another "
            "encoder: encoded again to fit the film",
        )
        for index in joined.encoded_again
    ]


def _proven(spec: RenderSpec, rungs: Sequence[Rung]) -> bool:
    """Whether the film must show a product as it was uploaded, and can be proven to.

    A draft is not: it is looked at, not posted.
    """
    pictured = any(plan.asset is not None for plan in spec.segments)
    asked = spec.brand_safe and not spec.draft
    return asked and pictured and all(rung.engine != TEMPLATE for rung in rungs)


def _measured(facts: Mapping[str, Any]) -> Mixed | None:
    """What was measured when the sound was mixed, where the facts tell it."""
    told = facts.get("sound")
    if not isinstance(told, Mapping):
        return None
    return Mixed(told.get("lufs"), told.get("true_peak_db"))


def _metadata(  # noqa: PLR0917 - it tells of all of them
    spec: RenderSpec,
    rungs: Sequence[Rung],
    output: Path,
    thumbnail: Path,
    verdict: Verdict,
    facts: Mapping[str, Any],
) -> bytes:
    """What the film is and what it was made of, as JSON; nothing in it tells the time of day."""
    told = {
        "version": METADATA_VERSION,
        **facts,
        "files": {path.name: _content(path) for path in (output, thumbnail)},
        "verdict": verdict,
        "film": {
            "preset_id": spec.preset_id,
            "archetype": spec.archetype,
            "brand_safe": spec.brand_safe,
            "seed": spec.seed,
            "prompt": spec.prompt,
            "width": spec.width,
            "height": spec.height,
            "fps": spec.fps,
            "frames": spec.frames,
            "draft": spec.draft,
            "transition": spec.transition,
            "segments": [
                {"start": plan.start, "frames": plan.frames, "asset": plan.asset, "rung": rung}
                for plan, rung in zip(spec.segments, rungs, strict=True)
            ],
            "captions": [
                {"role": caption.role, "text": caption.text} for caption in spec.captions
            ],
            "assets": [
                {"role": asset.role, "sha256": asset.source.sha256} for asset in spec.assets
            ],
            "music": spec.sound.music.sha256 if spec.sound.music else None,
            "voice": spec.sound.voice.sha256 if spec.sound.voice else None,
            "encoder": spec.encoder,
        },
        "libraries": {**libraries(), "opencv": cv2.__version__},
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


def _content(path: Path) -> dict[str, str | int]:
    """Name a file by what is in it."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "bytes": path.stat().st_size}


__all__ = [
    "Assembled",
    "assemble",
    "draw_still",
    "jpeg",
    "mix_soundtrack",
    "render_body",
    "thumbnail_frame",
]
