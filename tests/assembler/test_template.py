"""The last rung."""

from __future__ import annotations

from assembler.planes import Frame
from assembler.sampling import Dither
from assembler.template import template_layer
from events.spec import Archetype
from tests.assembler.pictures import plan


def test_a_template_follows_the_seed_where_there_is_no_palette() -> None:
    """Films of other seeds have other colours; the same seed has the same."""
    found = []
    for seed in (1, 1, 2):
        spec, _ = plan(Archetype.MEME_TEXT, seed=seed)
        frame = Frame.empty(spec.width, spec.height)
        template_layer(spec, Dither(spec.width, spec.height)).draw(0, frame)
        found.append(frame.u.tobytes())
    assert found[0] == found[1]
    assert found[0] != found[2]
