"""Whether a finished film may be shipped, and what is worth knowing about it.

What a platform would refuse, or a person would call broken, is fatal: ``Refused``.  What may be
meant so (a black stretch, a picture that stands still, a quiet track) is told with its figure.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise, zip_longest
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from assembler.ahead import ahead
from assembler.encode import BT709, LIMITED_RANGE
from assembler.loudness import RATE, integrated_lufs, true_peak_db
from assembler.planes import Frame
from assembler.probe import Probe, ProbeError, pictures, probe
from assembler.proof import DEPTH, Product, Sight, at_fault, mean_ssim, sight, told
from assembler.sound import Mixed, SoundError, decode
from events.spec import Motion, RenderSpec, Warned
from events.types import ProductProof, Reason, Verdict

DECODERS = 2
"""Of a finished film: a core a decoder, and nothing else is left to do."""
SAMPLE_S = 1.5
"""Pictures are looked at no oftener than this (at keyframes, which are at most 2 s apart)."""
COARSE = 8
"""Black and frozen pictures are told from every eighth pixel of every eighth row."""
BLACK_MEAN_MAX = 20.0
BLACK_SPREAD_MAX = 3.0
"""Luma, of which 16 is black: a dark picture with something in it is not black."""
FROZEN_DIFFERENCE_MAX = 0.35
FROZEN_BYTES_MAX = 40
FROZEN_BYTES_PER_PIXEL_MAX = 1 / 400
"""A picture stands still if two samples differ in luma by less than this on average, and a frame
between them takes no more bytes than that: a slow motion is far above both."""

TOLD_AGAIN = frozenset({"draft", "encoder_downgraded"})
"""What the plan warned of and whoever has only the verdict must know, too."""

SOUND_SLACK_S = Fraction(1, 1000)


class Refused(Exception):
    """The film must not be shipped; ``segments`` are those to render again, the worst first."""

    def __init__(self, reason: Reason, detail: str, *segments: int) -> None:
        """Keep why, in words with figures, and where."""
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.segments = segments


@dataclass(slots=True)
class _Looks:
    """What sampling finds: the coarse luma of each sample, and how the product looks."""

    samples: list[tuple[int, NDArray[np.float32]]] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)


def judge(
    path: Path,
    spec: RenderSpec,
    *,
    still: bool = False,
    sound: Mixed | None = None,
    product: Product | None = None,
) -> Verdict:
    """Probe the finished film ``path`` against its plan.

    ``still``: the film is meant to stand still (a static template).  ``sound``: what was measured
    when it was mixed; it is measured here otherwise.  ``product``: prove that the product is
    shown as it is.  Raises ``Refused``.
    """
    try:
        found = probe(path)
    except ProbeError as error:
        raise Refused(Reason.CORRUPT_OUTPUT, str(error)) from error
    wrong = _wrong(found, spec)
    if wrong:
        raise Refused(Reason.CORRUPT_OUTPUT, "; ".join(wrong))
    heard = _heard(path, spec, sound)
    looks = _look(path, spec, found.picture.keyframes, product)
    proof = _proof(looks, spec)
    moving = not still and spec.style.motion is not Motion.MINIMAL
    bitrate_kbps = round(found.bytes * 8 * spec.fps / (1000 * spec.frames))
    warnings = (
        *(warned for warned in spec.warnings if warned.code in TOLD_AGAIN),
        *_black(looks, spec),
        *(_frozen(looks, found.picture.sizes, spec) if moving else ()),
        *_heavy(bitrate_kbps, spec),
        *heard.warnings,
    )
    assert found.sound is not None
    return Verdict(
        width=found.picture.width,
        height=found.picture.height,
        fps=f"{found.picture.fps.numerator}/{found.picture.fps.denominator}",
        frames=found.picture.frames,
        duration_s=found.picture.frames / spec.fps,
        video_codec=found.picture.codec,
        pixel_format="yuv420p",
        audio_codec=found.sound.codec,
        audio_duration_s=float(found.sound.duration_s),
        bitrate_kbps=bitrate_kbps,
        bytes=found.bytes,
        lufs=heard.lufs,
        true_peak_db=heard.true_peak_db,
        product=proof,
        warnings=warnings,
    )


def segment_of(spec: RenderSpec, frame: int) -> int:
    """The segment that a frame of the film belongs to."""
    return max(plan.index for plan in spec.segments if plan.start <= frame)


def _wrong(found: Probe, spec: RenderSpec) -> list[str]:
    """All that is fatal about the packets and headers, in words with figures."""
    picture, sound = found.picture, found.sound
    checks = [
        (picture.codec == "h264", f"the codec is {picture.codec}, not h264"),
        (
            (picture.width, picture.height) == (spec.width, spec.height),
            f"the size is {picture.width}×{picture.height}, not {spec.width}×{spec.height}",
        ),
        (picture.fps == spec.fps, f"{picture.fps} frames a second, not {spec.fps}"),
        (picture.frames == spec.frames, f"{picture.frames} frames, not {spec.frames}"),
        (picture.even, "the frames are not evenly timed"),
        (bool(picture.keyframes) and picture.keyframes[0] == 0, "the first frame is no keyframe"),
        (
            picture.tags == (BT709, BT709, BT709, LIMITED_RANGE),
            f"the colours are tagged {picture.tags}, not as BT.709, limited range",
        ),
        (found.index_in_front, "the index (moov) lies behind the picture"),
        (sound is not None, "there is no sound track"),
    ]
    if sound is not None:
        length_s = Fraction(spec.frames, spec.fps)
        apart_s = abs(sound.duration_s - length_s)
        told = f"the sound lasts {float(sound.duration_s):.3f} s, the film {float(length_s):.3f} s"
        checks.append((apart_s <= SOUND_SLACK_S, told))
        checks.append((sound.gapless, "the sound has gaps"))
        checks.append((sound.codec == "aac", f"the sound is {sound.codec}, not aac"))
    return [problem for right, problem in checks if not right]


def _heard(path: Path, spec: RenderSpec, sound: Mixed | None) -> Mixed:
    """Decode the whole sound track; measure it where that has not been done."""
    samples = round(Fraction(spec.frames * RATE, spec.fps))
    try:
        heard = decode(path, samples, film=True)
    except SoundError as error:
        raise Refused(Reason.CORRUPT_OUTPUT, f"the sound: {error}") from error
    if heard.shape[1] < samples:
        raise Refused(Reason.CORRUPT_OUTPUT, f"{heard.shape[1]} of {samples} samples can be heard")
    return sound or Mixed(integrated_lufs(heard), true_peak_db(heard))


def _look(
    path: Path, spec: RenderSpec, keyframes: Sequence[int], product: Product | None
) -> _Looks:
    """Decode the sampled pictures, one at a time."""
    sampled = _spaced(keyframes, SAMPLE_S * spec.fps)
    bodies = {plan.body_start for plan in spec.segments}.intersection(keyframes)
    proven = bodies if product is not None else set()
    deep = {key: min(DEPTH + 1, _until_next(key, keyframes, spec)) for key in sorted(proven)}
    looked_at = {key + count - 1 for key, count in deep.items()}
    runs = sorted((dict.fromkeys(sampled, 1) | deep).items())
    looks = _Looks()
    try:
        with closing(_decoded(path, runs)) as decoded:
            for number, seen in decoded:
                if number in sampled:
                    looks.samples.append((number, seen.y[::COARSE, ::COARSE].astype(np.float32)))
                if product is not None and number in looked_at:
                    looks.sights += filter(None, [sight(seen, number, product)])
    except ProbeError as error:
        raise Refused(Reason.CORRUPT_OUTPUT, str(error)) from error
    looks.samples.sort(key=lambda sample: sample[0])
    looks.sights.sort(key=lambda each: each.frame)
    return looks


def _decoded(path: Path, runs: Sequence[tuple[int, int]]) -> Generator[tuple[int, Frame]]:
    """Decode runs of frames side by side, ahead of those who look at them; in no order."""
    with ExitStack() as stack:
        lines = [
            stack.enter_context(closing(ahead(pictures(path, part))))
            for part in (runs[index::DECODERS] for index in range(DECODERS))
            if part
        ]
        for row in zip_longest(*lines):
            yield from filter(None, row)


def _proof(looks: _Looks, spec: RenderSpec) -> ProductProof | None:
    """Judge the product's likeness over all samples; raises ``Refused``."""
    sights = looks.sights
    if not sights:
        return None
    if faults := at_fault(sights):
        segments = dict.fromkeys(segment_of(spec, frame) for frame in faults)
        detail = f"the product is not shown as it is: {told(sights)}"
        raise Refused(Reason.CORRUPT_OUTPUT, detail, *segments)
    return ProductProof(
        frames_sampled=len(sights),
        ssim_mean=mean_ssim(sights),
        ssim_min=min(each.ssim for each in sights),
        difference_max=max(each.difference for each in sights),
    )


def _black(looks: _Looks, spec: RenderSpec) -> list[Warned]:
    """Name the stretches whose samples are all black."""
    dark = [
        float(luma.mean()) < BLACK_MEAN_MAX and float(luma.std()) < BLACK_SPREAD_MAX
        for _, luma in looks.samples
    ]
    return _stretches(
        [number for number, _ in looks.samples], dark, spec, "black_stretch", "is black"
    )


def _frozen(looks: _Looks, sizes: Sequence[int], spec: RenderSpec) -> list[Warned]:
    """Name the stretches over which the picture does not change."""
    most = FROZEN_BYTES_MAX + FROZEN_BYTES_PER_PIXEL_MAX * spec.width * spec.height
    same = [
        float(np.abs(luma - later).mean()) < FROZEN_DIFFERENCE_MAX
        and median(sizes[number:then]) < most
        for (number, luma), (then, later) in pairwise(looks.samples)
    ]
    numbers = [number for number, _ in looks.samples]
    return _stretches(numbers, [*same, False], spec, "frozen_stretch", "stands still")


def _stretches(
    numbers: Sequence[int], flags: Sequence[bool], spec: RenderSpec, code: str, what: str
) -> list[Warned]:
    """One warning a run of flagged samples; each reaches up to the next sample."""
    warnings = []
    begun: int | None = None
    for number, flag in zip([*numbers, spec.frames], [*flags, False], strict=True):
        if flag and begun is None:
            begun = number
        elif not flag and begun is not None:
            message = (
                f"the picture {what} from {begun / spec.fps:.1f} s to {number / spec.fps:.1f} s"
            )
            warnings.append(Warned(code=code, message=message))
            begun = None
    return warnings


def _heavy(bitrate_kbps: int, spec: RenderSpec) -> list[Warned]:
    """Warn of a film with more bits than its profile allows."""
    most = spec.encoder.bitrate_max_kbps
    if bitrate_kbps <= most:
        return []
    message = f"{bitrate_kbps} kbit/s, over the {most} kbit/s that platforms keep as they are"
    return [Warned(code="bitrate_high", message=message)]


def _spaced(keyframes: Sequence[int], apart: float) -> set[int]:
    """Keyframes at least so many frames apart, from the first on."""
    chosen: list[int] = []
    for key in keyframes:
        if not chosen or key - chosen[-1] >= apart:
            chosen.append(key)
    return set(chosen)


def _until_next(key: int, keyframes: Sequence[int], spec: RenderSpec) -> int:
    """Number of frames from a keyframe up to the next one, or to the end."""
    return min((other for other in keyframes if other > key), default=spec.frames) - key


__all__ = ["Refused", "judge", "segment_of"]
