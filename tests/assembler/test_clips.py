"""Clips of every size, rate and colour become frames of the film."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest

from assembler.clips import ClipError, ClipLayer, fitted
from assembler.film import Film
from assembler.planes import Frame, frame_from_rgb, frame_to_rgb
from events.spec import Archetype, Rung
from tests.assembler.takes import (
    BT601,
    BT709,
    Draw,
    Picture,
    counting,
    flat,
    make_clip,
    scenery,
    turned,
)
from tests.builders import spec

WIDTH, HEIGHT, FPS = 216, 384, 30
RED = (200, 40, 30)


def drawn(path: Path, n: int, start: int = 0) -> Frame:
    """Film frame ``n`` over a clip."""
    frame = Frame.empty(WIDTH, HEIGHT)
    ClipLayer(path, start, FPS, WIDTH, HEIGHT).draw(n, frame)
    return frame


def level(path: Path, n: int, start: int = 0) -> float:
    """Mean luma of a film frame."""
    return float(drawn(path, n, start).y.mean())


def ring(width: int, height: int) -> Draw:
    """A white circle in the middle, on black: it shows what is stretched."""
    y, x = np.mgrid[0:height, 0:width]
    inside = np.hypot(x - (width - 1) / 2, y - (height - 1) / 2) < 0.2 * min(width, height)
    picture: Picture = np.repeat(np.where(inside, 235, 16).astype(np.uint8)[..., None], 3, axis=2)
    return lambda _: picture


def roundness(frame: Frame) -> float:
    """Width over height of what is bright."""
    bright = frame.y > 128
    return float(np.ptp(np.flatnonzero(bright.any(axis=0))) + 1) / float(
        np.ptp(np.flatnonzero(bright.any(axis=1))) + 1
    )


@pytest.mark.parametrize(
    ("width", "height"),
    [(1080, 1920), (720, 1280), (768, 1344), (1280, 720), (853, 480), (480, 832), (640, 640)],
)
def test_a_picture_of_any_shape_fills_the_frame(width: int, height: int) -> None:
    """Scaled alike both ways, the frame inside of it, its middle in the frame's middle."""
    fit = fitted(width, height, Fraction(1), (1080, 1920))
    across, down = fit.width / (fit.x1 - fit.x0), fit.height / (fit.y1 - fit.y0)
    assert across == pytest.approx(down, rel=0.004)
    assert 0 <= fit.left <= fit.width - 1080
    assert 0 <= fit.top <= fit.height - 1920
    middle = fit.x0 + (fit.left + 540) / across, fit.y0 + (fit.top + 960) / down
    assert middle == pytest.approx((width / 2, height / 2), abs=2)


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [(216, 384, None), (384, 216, None), (300, 300, None), (432, 384, Fraction(1, 2))],
)
def test_nothing_is_stretched(
    width: int, height: int, shape: Fraction | None, tmp_path: Path
) -> None:
    """A circle stays one, also where pixels are not square."""
    draw = ring(width, height)
    if shape is not None:
        tall = ring(width // 2, height)(0.0)
        draw = lambda _: np.repeat(tall, 2, axis=1)  # noqa: E731
    path = make_clip(tmp_path / "ring.mp4", draw, frames=2, shape=shape)
    assert roundness(drawn(path, 0)) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "matrix", "full"),
    [
        ("libx264", "yuv420p", BT709, False),
        ("libx264", "yuv420p", BT709, True),
        ("libx264", "yuv420p", BT601, False),
        ("libx264", "yuvj420p", BT601, True),
        ("libx264", "yuv444p", BT709, False),
        ("libx264", "yuv420p10le", BT709, False),
        ("libx265", "yuv420p10le", BT601, False),
        ("libvpx-vp9", "yuv420p", BT709, False),
        ("libx264rgb", "rgb24", BT709, False),
    ],
)
def test_colours_stay_what_they_are(
    codec: str,
    pixel_format: str,
    matrix: int,
    full: bool,
    tmp_path: Path,
) -> None:
    """Whatever matrix, range, depth and subsampling a clip has, within its coding."""
    path = make_clip(
        tmp_path / "red.mkv",
        flat(WIDTH, HEIGHT, RED),
        frames=2,
        codec=codec,
        pixel_format=pixel_format,
        matrix=matrix,
        full_range=full,
        tagged=codec != "libx264rgb",
    )
    wanted = frame_from_rgb(np.full((HEIGHT, WIDTH, 3), RED, np.uint8))
    found = drawn(path, 0)
    for plane, right in ((found.y, wanted.y), (found.u, wanted.u), (found.v, wanted.v)):
        assert abs(float(plane.mean()) - float(right.mean())) <= 3


def test_small_untagged_pictures_are_taken_for_sd(tmp_path: Path) -> None:
    """As players take them."""
    path = make_clip(
        tmp_path / "sd.mp4", flat(WIDTH, HEIGHT, RED), frames=1, matrix=BT601, tagged=False
    )
    seen = frame_to_rgb(drawn(path, 0))[100, 100].astype(int)
    assert np.abs(seen - RED).max() <= 6


@pytest.mark.parametrize("fps", [12, 16, 24, 25, 30, 50, 60])
def test_a_clip_goes_on_at_its_own_speed(fps: int, tmp_path: Path) -> None:
    """Half a second into the film it is half a second into the clip, between pictures too."""
    path = make_clip(tmp_path / "count.mp4", counting(WIDTH, HEIGHT), frames=2 * fps, fps=fps)
    for n in (0, 1, 7, 15, 31, 44):
        wanted = 16 + 219 / 255 * (40 + 40 * n / FPS)
        assert level(path, n) == pytest.approx(wanted, abs=1.5)


def test_a_clip_starts_where_its_segment_is_first_seen(tmp_path: Path) -> None:
    """Before that, its first picture."""
    path = make_clip(tmp_path / "count.mp4", counting(WIDTH, HEIGHT), frames=60, fps=30)
    assert level(path, 100, start=90) == pytest.approx(level(path, 10), abs=0.01)
    assert level(path, 80, start=90) == pytest.approx(level(path, 0), abs=0.01)


def test_a_clip_that_ends_early_holds_its_last_picture(tmp_path: Path) -> None:
    """For as long as it takes."""
    path = make_clip(tmp_path / "count.mp4", counting(WIDTH, HEIGHT), frames=30, fps=30)
    assert level(path, 29) == level(path, 30) == level(path, 200)
    assert level(path, 28) < level(path, 29)


def test_any_order_gives_the_same_frames(tmp_path: Path) -> None:
    """Frame n depends on n alone; clips with pictures that refer to later ones included."""
    path = make_clip(
        tmp_path / "scene.mp4",
        scenery(WIDTH, HEIGHT),
        frames=48,
        options={"preset": "medium", "bf": "3", "g": "20", "crf": "28"},
    )
    in_order = ClipLayer(path, 0, FPS, WIDTH, HEIGHT)
    kept: dict[int, bytes] = {}
    frame = Frame.empty(WIDTH, HEIGHT)
    for n in range(60):
        in_order.draw(n, frame)
        kept[n] = frame.y.tobytes() + frame.u.tobytes() + frame.v.tobytes()
    assert len(set(kept.values())) > 50
    numbers = list(range(60))
    random.Random(3).shuffle(numbers)
    layer = ClipLayer(path, 0, FPS, WIDTH, HEIGHT)
    for n in numbers[:20]:
        layer.draw(n, frame)
        assert kept[n] == frame.y.tobytes() + frame.u.tobytes() + frame.v.tobytes(), n


def test_a_turned_clip_is_shown_upright(tmp_path: Path) -> None:
    """As its header wishes: a quarter turn with the clock."""
    picture = np.zeros((WIDTH, HEIGHT, 3), np.uint8)
    picture[: WIDTH // 2, : HEIGHT // 2] = 255
    upright = drawn(turned(make_clip(tmp_path / "t.mp4", lambda _: picture, frames=1)), 0).y
    corners = [bool(upright[y, x] > 128) for y in (40, HEIGHT - 40) for x in (40, WIDTH - 40)]
    assert corners == [False, True, False, False]


def test_a_broken_clip_is_told(tmp_path: Path) -> None:
    """As an error of its own."""
    path = tmp_path / "no.mp4"
    path.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(ClipError, match="cannot be read"):
        drawn(path, 0)


@pytest.mark.parametrize("kind", ["playlist", "list"])
def test_a_playlist_is_no_clip(kind: str, tmp_path: Path) -> None:
    """What would have the library open other files, or connections, is not even looked into."""
    secret = make_clip(tmp_path / "secret.mp4", flat(WIDTH, HEIGHT, RED), frames=2)
    told = {
        "playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n",
        "list": f"ffconcat version 1.0\nfile {secret.name}\n",
    }
    path = tmp_path / "clip.mp4"
    path.write_text(told[kind], encoding="ascii")
    with pytest.raises(ClipError):
        drawn(path, 0)


def test_a_film_shows_the_clips_of_the_segments_that_were_generated(tmp_path: Path) -> None:
    """The clip in one segment, our own drawing in the other, and both in between."""
    rung = Rung(engine="painter", archetype=Archetype.MEME_TEXT, generates=True)
    plain = Rung(engine="compositor", archetype=Archetype.MEME_TEXT)
    plan = spec(2, ladder=(rung, plain), width=WIDTH, height=HEIGHT)
    first, second = plan.segments
    plan = msgspec.structs.replace(
        plan,
        segments=(
            msgspec.structs.replace(first, body_frames=88),
            msgspec.structs.replace(second, body_start=92, body_frames=88),
        ),
        transition=msgspec.structs.replace(plan.transition, kind="crossfade", frames=4),
    )
    white = make_clip(tmp_path / "w.mp4", flat(WIDTH, HEIGHT, (255, 255, 255)), frames=92, fps=30)
    film = Film(plan, (rung, plain), {}, {0: white})
    levels = [float(film.frame(n).y.mean()) for n in (87, 88, 89, 90, 91, 92)]
    assert levels[0] > 230
    assert levels == sorted(levels, reverse=True)
    assert levels[5] < 150
    with pytest.raises(ClipError, match="its clip is not here"):
        Film(plan, (rung, plain), {}).frame(0)
