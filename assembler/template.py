"""The last rung: a still, designed ground.  It reads no file and cannot fail."""

from __future__ import annotations

from assembler.backgrounds import Stage, aurora, night
from assembler.colour import accent
from assembler.layers import Drift, WashLayer
from assembler.motion import BackgroundMotion
from assembler.sampling import Dither
from events.spec import RenderSpec

AT_REST = BackgroundMotion(drift=0.0, swell=0.0, period_s=1.0, flow=0.0)


def template_layer(spec: RenderSpec, dither: Dither) -> WashLayer:
    """Return the ground of a film whose pictures could not be drawn: its palette, at rest."""
    aspect = spec.width / spec.height
    palettes = [asset.palette for asset in spec.assets if asset.palette]
    if palettes:
        stage = Stage(1 / aspect, (0.47, 0.42 / aspect), 0.62 / aspect)
        wash = night(accent(palettes[0]), stage)
    else:
        wash = aurora(spec.seed, 1 / aspect)
    return WashLayer(wash, Drift(AT_REST, spec.fps, aspect), dither)


__all__ = ["template_layer"]
