"""From one picture layer to the next.  Words, watermark and a shared product are not touched."""

from __future__ import annotations

from typing import assert_never

import cv2
import numpy as np

from assembler.planes import BLACK_Y, NEUTRAL, Frame, Plane
from events.spec import TransitionKind

ZOOM_SHARE = 0.16


def blend(kind: TransitionKind, earlier: Frame, later: Frame, share: float, out: Frame) -> None:
    """Fill ``out`` with both pictures, the later one's ``share`` being 0..1.

    ``out`` may be neither of the two.  A cut has no frames of its own and never comes here.
    """
    match kind:
        case TransitionKind.CUT | TransitionKind.CROSSFADE:
            _crossfade(earlier, later, share, out)
        case TransitionKind.FADE_BLACK:
            _through_black(earlier, later, share, out)
        case TransitionKind.SLIDE:
            _slide(earlier, later, share, out)
        case TransitionKind.WIPE:
            _wipe(earlier, later, share, out)
        case TransitionKind.ZOOM:
            _zoom(earlier, later, share, out)
        case _:
            assert_never(kind)


def _planes(frame: Frame) -> tuple[Plane, Plane, Plane]:
    return frame.y, frame.u, frame.v


def _crossfade(earlier: Frame, later: Frame, share: float, out: Frame) -> None:
    for a, b, to in zip(_planes(earlier), _planes(later), _planes(out), strict=True):
        cv2.addWeighted(a, 1 - share, b, share, 0, dst=to)


def _through_black(earlier: Frame, later: Frame, share: float, out: Frame) -> None:
    seen, left = (earlier, 1 - 2 * share) if share < 0.5 else (later, 2 * share - 1)  # noqa: PLR2004
    ground = (BLACK_Y, NEUTRAL, NEUTRAL)
    for plane, dark, to in zip(_planes(seen), ground, _planes(out), strict=True):
        cv2.addWeighted(plane, left, plane, 0, dark * (1 - left), dst=to)


def _edge(width: int, share: float) -> int:
    """Return the even column that the later picture has reached, slow at both ends."""
    eased = share * share * (3 - 2 * share)
    return min(max(2 * round(eased * width / 2), 0), width)


def _slide(earlier: Frame, later: Frame, share: float, out: Frame) -> None:
    edge = _edge(out.y.shape[1], share)
    for index, (a, b, to) in enumerate(
        zip(_planes(earlier), _planes(later), _planes(out), strict=True)
    ):
        at = edge if index == 0 else edge // 2
        width = to.shape[1]
        to[:, : width - at] = a[:, at:]
        to[:, width - at :] = b[:, :at]


def _wipe(earlier: Frame, later: Frame, share: float, out: Frame) -> None:
    edge = _edge(out.y.shape[1], share)
    for index, (a, b, to) in enumerate(
        zip(_planes(earlier), _planes(later), _planes(out), strict=True)
    ):
        at = edge if index == 0 else edge // 2
        to[:, :at] = b[:, :at]
        to[:, at:] = a[:, at:]


def _zoom(earlier: Frame, later: Frame, share: float, out: Frame) -> None:
    """The earlier picture comes closer and gives way to the later one, which settles."""
    nearer = _closer(earlier, 1 + ZOOM_SHARE * share)
    settling = _closer(later, 1 + ZOOM_SHARE * (1 - share))
    _crossfade(nearer, settling, share, out)


def _closer(frame: Frame, zoom: float) -> Frame:
    planes = []
    for plane in _planes(frame):
        height, width = plane.shape
        matrix = np.array(
            [
                [1 / zoom, 0, (width - 1) / 2 * (1 - 1 / zoom)],
                [0, 1 / zoom, (height - 1) / 2 * (1 - 1 / zoom)],
            ]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        planes.append(
            cv2.warpAffine(
                plane, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
            ).astype(np.uint8, copy=False)
        )
    return Frame(*planes)


__all__ = ["blend"]
