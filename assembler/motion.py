"""How pictures move: paths of a window over a picture, as functions of the film's frame.

The profiles are data (``config/motion.yaml``).  Every path is made of straight moves between
windows that lie inside the picture; so does, therefore, every window in between, and no edge is
ever shown.  Seeds come from the plan: same plan, same path.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec
import numpy as np

from assembler.sampling import Window
from events.spec import Box, Motion

PROFILES = Path(__file__).resolve().parent.parent / "config" / "motion.yaml"
"""Read by its path: the package around it would bring in what a worker does not need."""
ENTRY_ZOOM = 0.015
"""The widest window is this much smaller than the picture, so that a pan has room."""
FOCUS = (0.5, 0.45)
"""Where a picture is looked at when nothing tells what is in it: its middle, a little up."""
SUBJECT_MARGIN = 0.04
JUMP_STEP, JUMP_MAX = 0.12, 0.3
"""How much closer each beat's framing is than the last one's, and before what it starts again."""
ANCHORED_SHARE = 0.5
"""How much of jumps and zooms is left where a subject has a place of its own: it has to fit there
at the closest, and is to be large at the widest."""


class Easing(StrEnum):
    """How a move begins and ends."""

    LINEAR = "linear"
    SOFT = "soft"
    SINE = "sine"
    PUNCH = "punch"


class Move(StrEnum):
    """What a camera does during a segment; a pan goes along the picture's longer slack."""

    PUSH_IN = "push_in"
    PULL_OUT = "pull_out"
    PAN = "pan"
    PAN_BACK = "pan_back"


class PictureMotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See ``config/motion.yaml``."""

    zoom: float
    travel: float
    sweep: float
    easing: Easing
    beat_s: float
    moves: tuple[Move, ...]


class BackgroundMotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See ``config/motion.yaml``."""

    drift: float
    swell: float
    period_s: float
    flow: float


class ProductMotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See ``config/motion.yaml``."""

    float_px: float
    swell: float
    period_s: float


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One level of liveliness."""

    picture: PictureMotion
    background: BackgroundMotion
    product: ProductMotion


@functools.cache
def profiles() -> dict[Motion, Profile]:
    """Return all profiles; raises msgspec.ValidationError where the file is not as it says."""
    return msgspec.yaml.decode(PROFILES.read_bytes(), type=dict[Motion, Profile])


def eased(easing: Easing, t: float) -> float:
    """Return how much of a move is done at ``t`` (0..1) of its time; 0 at 0 and 1 at 1."""
    t = min(max(t, 0.0), 1.0)
    match easing:
        case Easing.LINEAR:
            return t
        case Easing.SOFT:
            return 0.6 * t + 0.4 * t * t * (3 - 2 * t)
        case Easing.SINE:
            return 0.5 - 0.5 * math.cos(math.pi * t)
        case Easing.PUNCH:
            quick = (1 - math.exp(-9 * t)) / (1 - math.exp(-9))
            return 0.72 * quick + 0.28 * t


@dataclass(frozen=True, slots=True)
class Glide:
    """A straight move of a window over the frames ``[start, start + frames)`` of the film."""

    start: int
    frames: int
    begin: Window
    end: Window
    easing: Easing

    def at(self, n: int) -> Window:
        """Return the window of film frame ``n``; it rests before its start and after its end."""
        share = eased(self.easing, (n - self.start) / max(1, self.frames - 1))
        return Window(
            x=self.begin.x + (self.end.x - self.begin.x) * share,
            y=self.begin.y + (self.end.y - self.begin.y) * share,
            width=self.begin.width + (self.end.width - self.begin.width) * share,
        )


@dataclass(frozen=True, slots=True)
class Camera:
    """The moves of a segment, one after another; ``aspect`` is the frame's width ÷ height."""

    moves: tuple[Glide, ...]
    aspect: float

    def at(self, n: int) -> Window:
        """Return the window of film frame ``n``."""
        move = self.moves[0]
        for later in self.moves[1:]:
            if n < later.start:
                break
            move = later
        return move.at(n)

    def extent(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom of all that is ever shown."""
        ends = [window for move in self.moves for window in (move.begin, move.end)]
        return (
            min(window.x for window in ends),
            min(window.y for window in ends),
            max(window.x + window.width for window in ends),
            max(window.y + window.width / self.aspect for window in ends),
        )

    def widths(self) -> tuple[float, float]:
        """Return the widths of the smallest and of the largest window."""
        ends = [window.width for move in self.moves for window in (move.begin, move.end)]
        return min(ends), max(ends)


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture of ``width``×``height`` px to move over, and the part of it to keep in frame.

    The widest window is ``widest`` px wide, 0 for as wide as the picture allows.  With ``anchor``
    (shares of the frame) the subject's middle stays there, and pans go to the side only: it is
    out of the way of the words there.
    """

    width: float
    height: float
    subject: Box | None = None
    widest: float = 0.0
    anchor: tuple[float, float] | None = None


def closest_zoom(motion: PictureMotion) -> float:
    """Return how much smaller an anchored camera's smallest window is than its widest one."""
    jumps = JUMP_MAX if motion.beat_s else 0.0
    return (1 + ANCHORED_SHARE * (jumps + motion.zoom)) / (1 - ENTRY_ZOOM)


def camera(
    scene: Scene,
    aspect: float,
    motion: PictureMotion,
    *,
    seed: int,
    start: int,
    frames: int,
    fps: int,
) -> Camera:
    """Return the moves over a picture that fills the frame, over ``frames`` frames of the film.

    ``seed`` chooses the moves.  With beats, each lasts ``beat_s`` and begins with a jump.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    beat = max(1, round(motion.beat_s * fps)) if motion.beat_s else frames
    count = max(1, round(frames / beat))
    edges = [start + index * frames // count for index in range(count + 1)]
    first = int(random.integers(len(motion.moves)))
    moves = []
    for index in range(count):
        kind = motion.moves[(first + index) % len(motion.moves)]
        sign = 1 if random.integers(2) else -1
        wide, near = _windows(scene, aspect, motion, kind, sign, jump=JUMP_STEP * index % JUMP_MAX)
        length = edges[index + 1] - edges[index]
        moves.append(Glide(edges[index], length, wide, near, motion.easing))
    return Camera(tuple(moves), aspect)


def _windows(
    scene: Scene, aspect: float, motion: PictureMotion, kind: Move, sign: int, *, jump: float
) -> tuple[Window, Window]:
    """Return the first and the last window of a move."""
    widest = min(scene.width, scene.height * aspect)
    if scene.widest:
        widest = min(widest, scene.widest)
    widest *= 1 - ENTRY_ZOOM
    zoom = motion.zoom
    if scene.anchor is not None:
        jump, zoom = ANCHORED_SHARE * jump, ANCHORED_SHARE * zoom
    focus = _focus(scene)
    if kind in (Move.PUSH_IN, Move.PULL_OUT):
        wide = _held(scene, aspect, focus, widest / (1 + jump))
        near = _held(scene, aspect, focus, widest / (1 + jump + zoom))
        return (wide, near) if kind is Move.PUSH_IN else (near, wide)
    width = widest / (1 + jump + zoom * 0.35)
    slack_x, slack_y = scene.width - width, scene.height - width / aspect
    across = slack_x >= slack_y or scene.anchor is not None
    reach = motion.travel * width
    if scene.subject is None:
        # Nobody knows what matters in it: a good part of all of it is shown.
        reach = max(reach, motion.sweep * max(slack_x, slack_y))
    reach = reach / 2 * (sign if kind is Move.PAN else -sign)
    step = (reach, 0.0) if across else (0.0, reach)
    ends = [
        _held(scene, aspect, (focus[0] + way * step[0], focus[1] + way * step[1]), width)
        for way in (-1, 1)
    ]
    return ends[0], ends[1]


def _focus(scene: Scene) -> tuple[float, float]:
    if scene.subject is None:
        return scene.width * FOCUS[0], scene.height * FOCUS[1]
    box = scene.subject
    return (
        (box.x + box.width / 2) * scene.width,
        (box.y + box.height / 2) * scene.height,
    )


def _held(scene: Scene, aspect: float, centre: tuple[float, float], width: float) -> Window:
    """Return a window about a centre, moved so that it keeps the subject, then in the picture."""
    height = width / aspect
    anchor = scene.anchor or (0.5, 0.5)
    x, y = centre[0] - width * anchor[0], centre[1] - height * anchor[1]
    if scene.subject is not None:
        box = scene.subject
        x = _keep(x, width, box.x * scene.width, box.width * scene.width)
        y = _keep(y, height, box.y * scene.height, box.height * scene.height)
    x = min(max(x, 0.0), scene.width - width)
    y = min(max(y, 0.0), scene.height - height)
    return Window(x, y, width)


def _keep(begin: float, length: float, part: float, part_length: float) -> float:
    """Return where a span begins that holds a part of the line, or its middle if it is longer."""
    margin = SUBJECT_MARGIN * length
    low, high = part + part_length + margin - length, part - margin
    if low > high:
        return part + part_length / 2 - length / 2
    return min(max(begin, low), high)


def wave(n: int, fps: int, period_s: float, phase: float = 0.0) -> float:
    """Return a slow swing between −1 and 1 at film frame ``n``; ``phase`` in turns."""
    return math.sin(2 * math.pi * (n / fps / period_s + phase))


__all__ = [
    "BackgroundMotion",
    "Camera",
    "Easing",
    "Glide",
    "Move",
    "PictureMotion",
    "ProductMotion",
    "Profile",
    "Scene",
    "camera",
    "closest_zoom",
    "eased",
    "profiles",
    "wave",
]
