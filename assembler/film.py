"""The film: any of its frames, drawn from the plan.

A frame is a function of the plan, the rungs and its number alone: the same in every process.
Picture layers are drawn first (in a transition both, blended), then the product if both sides
share it, then the watermark and the words, which no transition touches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from assembler.draft import scaled
from assembler.kept import Bench, bench_of
from assembler.layout import REFERENCE_WIDTH_PX
from assembler.lettering import Captions, Sample
from assembler.planes import Frame, Patch, Plane, blend_patch
from assembler.product import Product
from assembler.scenes import Scenes, View
from assembler.transitions import blend
from assembler.watermark import watermark
from events.spec import Box, Motion, RenderSpec, Rung

PROOF_EDGE_PX = 8
SKETCH_WIDTH_PX = 240


class Film:
    """A film that is drawn frame by frame, in any order."""

    def __init__(
        self,
        spec: RenderSpec,
        rungs: Sequence[Rung],
        sources: Mapping[str, Path],
        clips: Mapping[int, Path] | None = None,
    ) -> None:
        """Take a plan, the rung of each segment, and where the plan's artifacts lie.

        ``sources`` maps sha256 to a local file, ``clips`` the segments that were generated to
        their clips.  Nothing is decoded before the first frame.
        """
        assert len(rungs) == len(spec.segments)
        cv2.setNumThreads(1)
        if any(rung.still for rung in rungs):
            spec = held_still(spec)
        self._spec, self._rungs = spec, tuple(rungs)
        # What was generated may be generated anew: nothing of it is kept.
        self._bench = Bench() if clips else bench_of(spec, rungs)
        self._scenes = Scenes(spec, sources, clips, self._bench.parts)
        self._sources = sources
        self._captions = Captions(spec, sources, self._sampler())
        self._mark: Patch | None = None
        self._sides = [Frame.empty(spec.width, spec.height) for _ in range(2)]

    def frame(self, n: int) -> Frame:
        """Return frame ``n`` of the film; raises OSError or StillError where a source is gone."""
        frame = self._picture(n)
        if (mark := self._watermark()) is not None:
            blend_patch(frame, mark)
        for patch, opacity in self._captions.overlay(n):
            blend_patch(frame, patch, opacity)
        return frame

    def lossless_product(self, n: int) -> Frame:
        """Return frame ``n`` without words and watermark."""
        return self._picture(n)

    def product_mask(self, n: int) -> Plane:
        """Return 255 where frame ``n`` must show the product exactly (H×W), else 0.

        That is where it is opaque, 8 px inside its edge, under no word and no watermark; where no
        product stands before the picture, the picture is the product.
        """
        spec = self._spec
        product = self._shared(n)
        mask = np.zeros((spec.height, spec.width), np.uint8)
        if product is None:
            mask[:] = 255
        else:
            patch = product.patch(n)
            opaque = (patch.alpha == 255).astype(np.uint8) * 255  # noqa: PLR2004
            _paste(mask, opaque, patch.x, patch.y)
        covers = [patch for patch, _ in self._captions.overlay(n)]
        if (mark := self._watermark()) is not None:
            covers.append(mark)
        for patch in covers:
            _clear(mask, patch.alpha > 0, patch.x, patch.y)
        kernel = np.ones((2 * PROOF_EDGE_PX + 1,) * 2, np.uint8)
        eroded: Plane = cv2.erode(mask, kernel, borderValue=0).astype(np.uint8, copy=False)
        return eroded

    def _watermark(self) -> Patch | None:
        logo = self._spec.logo
        if logo is None:
            return None
        if self._mark is None:
            still = self._sources[logo.still.sha256]
            self._mark = watermark(still, self._spec.style, self._spec.width / REFERENCE_WIDTH_PX)
        return self._mark

    def _sampler(self) -> Sample | None:
        """Return what tells the captions what they have to be read on; None if nobody can know.

        Where segments may be generated, a body is drawn before the others' pictures exist.
        It is drawn small, which costs little and tells as much.
        """
        spec, rungs, sources = self._spec, self._rungs, self._sources
        sketches = self._bench.sketches
        if any(rung.generates for rung in spec.ladder):
            return None

        def sketched(asked: Sequence[tuple[int, Box]]) -> list[Plane]:
            share = SKETCH_WIDTH_PX / spec.width
            sketch = Film(scaled(spec, share), rungs, sources)
            return [_under(sketch._picture(n).y, box, share) for n, box in asked]

        def sample(asked: Sequence[tuple[int, Box]]) -> list[Plane]:
            return sketches.get(tuple(asked), lambda: sketched(asked))

        return sample

    def _view(self, index: int) -> View:
        plan = self._spec.segments[index]
        return self._bench.views.get(index, lambda: self._scenes.view(plan, self._rungs[index]))

    def _around(self, n: int) -> tuple[int, int | None, float]:
        """Return the segment of frame ``n``, the one it gives way to, and that one's share."""
        assert 0 <= n < self._spec.frames, "the frame lies in the film"
        row = self._spec.segments
        for at, plan in enumerate(row):
            end = plan.body_start + plan.body_frames
            if n < end:
                return at, None, 0.0
            if at + 1 < len(row) and n < row[at + 1].body_start:
                frames = row[at + 1].body_start - end
                return at, at + 1, (n - end + 1) / (frames + 1)
        return len(row) - 1, None, 0.0

    def _shared(self, n: int) -> Product | None:
        """Return the product that stands still through frame ``n``, if there is one."""
        at, then, _ = self._around(n)
        product = self._view(at).product
        if then is not None and self._view(then).product is not product:
            return None
        return product

    def _picture(self, n: int) -> Frame:
        """Return a new frame with everything but words and watermark."""
        frame = Frame.empty(self._spec.width, self._spec.height)
        at, then, share = self._around(n)
        view = self._view(at)
        if then is None:
            view.picture.draw(n, frame)
            if view.product is not None:
                view.product.draw(n, frame)
            return frame
        later = self._view(then)
        shared = view.product is later.product
        for side, into in zip((view, later), self._sides, strict=True):
            side.picture.draw(n, into)
            if side.product is not None and not shared:
                side.product.draw(n, into)
        blend(self._spec.transition.kind, self._sides[0], self._sides[1], share, frame)
        if shared and view.product is not None:
            view.product.draw(n, frame)
        return frame


def held_still(spec: RenderSpec) -> RenderSpec:
    """Return a plan of the same film in which the product and what is behind it stand still."""
    style = msgspec.structs.replace(
        spec.style, motion=Motion.MINIMAL, product_motion=Motion.MINIMAL
    )
    return msgspec.structs.replace(spec, style=style)


def _under(luma: Plane, box: Box, share: float) -> Plane:
    """Return what lies under a box of the film in a picture of a share of its size."""
    return luma[
        max(0, int(box.y * share)) : math.ceil((box.y + box.height) * share),
        max(0, int(box.x * share)) : math.ceil((box.x + box.width) * share),
    ]


def _paste(mask: Plane, part: Plane, x: int, y: int) -> None:
    """Put a part into a mask; what lies outside is cut."""
    height, width = mask.shape
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + part.shape[1], width), min(y + part.shape[0], height)
    if left < right and top < bottom:
        mask[top:bottom, left:right] = part[top - y : bottom - y, left - x : right - x]


def _clear(mask: Plane, covered: NDArray[np.bool_], x: int, y: int) -> None:
    """Take out of a mask what is covered; what is not stays as it was."""
    height, width = mask.shape
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + covered.shape[1], width), min(y + covered.shape[0], height)
    if left < right and top < bottom:
        part = covered[top - y : bottom - y, left - x : right - x]
        mask[top:bottom, left:right][part] = 0


__all__ = ["Film"]
