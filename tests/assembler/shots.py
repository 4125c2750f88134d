"""Single frames of films as the planner fixes them: no services, no encoder, no sound.

What looks at the presets (contact sheets, golden frames) and what measures them draws with this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from adapters.studio import Prepared
from assembler.captions import plan_captions
from assembler.film import Film
from assembler.fonts import resolve_fonts
from assembler.looks import weight_of
from assembler.planes import frame_to_rgb
from assembler.stills import ingest_still
from config import RenderRequest, parse_request, resolve, shipped
from events.spec import Artifact, Asset, AssetRole, EncoderProfile, FontFile, RenderSpec, Rung
from services.planner.plan import build_spec

Pixels = NDArray[np.uint8]
ENCODER = EncoderProfile(
    codec="libx264", preset="superfast", crf=20, params="", bitrate_max_kbps=12_000
)


@dataclass(frozen=True, slots=True)
class Shots:
    """A film whose frames can be looked at."""

    spec: RenderSpec
    rungs: tuple[Rung, ...]
    sources: dict[str, Path]

    def film(self) -> Film:
        """The film, nothing of it drawn yet."""
        return Film(self.spec, self.rungs, self.sources)

    def moments(self) -> dict[str, int]:
        """Frames to look at: the hook, a beat, amid the first transition, the CTA."""
        spec = self.spec
        cards = [caption.cards[0] for caption in spec.captions]
        middles = [card.start + card.frames // 2 for card in cards] or [spec.frames // 2]
        first = spec.segments[0]
        found = {
            "hook": middles[0],
            "transition": first.body_start + first.body_frames + spec.transition.frames // 2,
            "beat": middles[len(middles) // 2],
            "cta": middles[-1],
        }
        return {name: min(n, spec.frames - 1) for name, n in found.items()}


def shots(
    preset: str, pictures: Sequence[Path], folder: Path, *, logo: Path | None = None, **ask: Any
) -> Shots:
    """Plan a film of a preset; stills go to ``folder``; ``ask`` has more of the request."""
    config = shipped()
    body = {
        "preset_id": preset,
        "target_duration_seconds": 6,
        "seed": 7,
        "prompt": "",
        "image_uris": [path.as_uri() for path in pictures] or None,
        **ask,
    }
    request = parse_request(body, presets=config.presets)
    assert isinstance(request, RenderRequest), request
    resolved = resolve(request, config)
    sources: dict[str, Path] = {}
    font_set = resolve_fonts(
        [text for _, text in resolved.captions],
        resolved.style.font,
        weight_of(resolved.style),
        bundled=config.fonts.directory,
    )
    fonts = tuple(
        FontFile(family=family, artifact=_kept(path, sources)) for family, path in font_set.files
    )
    planned = plan_captions(
        resolved.captions,
        style=resolved.style,
        frames=round(resolved.duration_s * resolved.fps),
        fps=resolved.fps,
        fonts=font_set,
        archetype=resolved.archetype,
    )
    prepared = Prepared(
        assets=tuple(_taken_in(path, folder, sources) for path in pictures),
        logo=_taken_in(logo, folder, sources) if logo else None,
        fonts=fonts,
        captions=planned.captions,
        encoder=ENCODER,
        style=resolved.style,
        warnings=planned.warnings,
    )
    # Without an engine there is no ladder: it is not needed to draw.
    spec = build_spec(resolved, prepared, config, {})
    rung = Rung(engine="compositor", archetype=spec.archetype)
    return Shots(spec, (rung,) * len(spec.segments), sources)


def rgb(film: Film, n: int, height: int = 1920) -> Pixels:
    """Frame ``n`` as RGB, averaged down to ``height`` rows."""
    picture = frame_to_rgb(film.frame(n))
    if picture.shape[0] == height:
        return picture
    width = round(picture.shape[1] * height / picture.shape[0])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _kept(path: Path, sources: dict[str, Path]) -> Artifact:
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    sources[sha256] = path
    return Artifact(sha256=sha256, bytes=len(content), media_type="application/octet-stream")


def _taken_in(path: Path, folder: Path, sources: dict[str, Path]) -> Asset:
    out = folder / f"{path.stem}-still.png"
    still = ingest_still(path, out)
    return Asset(
        role=AssetRole.AUTO,
        uri=path.as_uri(),
        source=_kept(path, {}),
        still=_kept(out, sources),
        width=still.width,
        height=still.height,
        has_alpha=still.has_alpha,
        subject=still.subject,
        palette=still.palette,
    )


__all__ = ["Pixels", "Shots", "rgb", "shots"]
