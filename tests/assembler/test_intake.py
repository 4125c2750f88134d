"""What is taken in of a generated clip, what is told of it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from assembler.clips import ClipLayer, pictures
from assembler.intake import Taken, Unfit, Wanted, take_in
from assembler.planes import Frame, frame_to_rgb
from tests.assembler.takes import BT601, Draw, Picture, flat, make_clip, scenery, turned

WIDTH, HEIGHT = 216, 384
BT470BG = 5
WANTED = Wanted(width=WIDTH, height=HEIGHT, fps=30, frames=60)


def taken(path: Path, wanted: Wanted = WANTED) -> Taken:
    """What comes of taking a clip in."""
    return take_in(path, path.with_name("raw"), wanted)


def codes(path: Path, wanted: Wanted = WANTED) -> list[str]:
    """The warnings about a clip."""
    return [warning.code for warning in taken(path, wanted).warnings]


def then(first: Draw, second: Draw, at_s: float) -> Draw:
    """One thing, then another."""
    return lambda at: first(at) if at < at_s else second(at)


@pytest.fixture(scope="module", name="scene")
def a_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two and a half seconds of drifting lights at 24 a second, and what is not wanted."""
    folder = tmp_path_factory.mktemp("scene")
    told = {"comment": '{"prompt": "a secret"}', "title": "secret"}
    return make_clip(folder / "s.mp4", scenery(WIDTH, HEIGHT), frames=60, metadata=told)


def test_a_good_clip_is_kept_as_it_is_but_for_its_words(scene: Path, tmp_path: Path) -> None:
    """The same pictures at the same times; nothing that a service wrote beside them."""
    out = tmp_path / "raw"
    assert take_in(scene, out, WANTED) == Taken(media_type="video/mp4")
    before, after = (
        [(at, bytes(picture.planes[0])) for at, picture in pictures(path)] for path in (scene, out)
    )
    assert before == after
    assert b"secret" in scene.read_bytes()
    assert b"secret" not in out.read_bytes()


def test_the_same_clip_gives_the_same_bytes(scene: Path, tmp_path: Path) -> None:
    """Nothing of time or chance gets into what is kept."""
    for name in "ab":
        take_in(scene, tmp_path / name, WANTED)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_colours_that_are_not_told_are_told_by_who_knows(codec: str, tmp_path: Path) -> None:
    """A large untagged picture would be taken for BT.709; its service says that it is BT.601."""
    red = (200, 40, 30)
    path = make_clip(
        tmp_path / "c.mp4",
        flat(64, 640, red),
        frames=4,
        codec=codec,
        matrix=BT601,
        tagged=False,
        options={"x265-params": "log-level=none"} if codec == "libx265" else {},
    )
    seen = []
    for matrix in (0, BT470BG):
        wanted = Wanted(
            width=64, height=640, fps=24, frames=4, moving=False, untagged_matrix=matrix
        )
        take_in(path, tmp_path / "raw", wanted)
        frame = Frame.empty(64, 640)
        ClipLayer(tmp_path / "raw", 0, 24, 64, 640).draw(0, frame)
        seen.append(np.abs(frame_to_rgb(frame)[300, 30].astype(int) - red).max())
    assert seen[1] <= 6 < seen[0]


def test_sound_is_left_behind(scene: Path, tmp_path: Path) -> None:
    """A film has its own."""
    both = tmp_path / "both.mkv"
    with av.open(str(scene)) as source, av.open(str(both), "w") as target:
        track = target.add_stream_from_template(source.streams.video[0])
        sound = target.add_stream("aac", rate=48_000)
        assert isinstance(sound, av.AudioStream)
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 48_000), np.float32), format="fltp", layout="mono"
        )
        silence.rate, silence.pts = 48_000, 0
        target.mux(sound.encode(silence))
        target.mux(sound.encode(None))
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                target.mux(packet)
    take_in(both, tmp_path / "raw", WANTED)
    with av.open(str(tmp_path / "raw")) as found:
        assert [stream.type for stream in found.streams] == ["video"]


def test_a_turned_clip_stays_turned(tmp_path: Path) -> None:
    """What its header wishes is no metadata to be lost."""
    path = turned(make_clip(tmp_path / "t.mp4", scenery(HEIGHT, WIDTH), frames=60))
    assert codes(path) == []
    assert {picture.rotation for _, picture in pictures(tmp_path / "raw")} == {-90}


@pytest.mark.parametrize("codec", ["libx265", "libvpx-vp9", "mpeg4", "mjpeg"])
def test_other_codecs_are_taken(codec: str, tmp_path: Path) -> None:
    """Whatever can be decoded here and fits a container."""
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    form = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = make_clip(
        tmp_path / "c.mkv",
        scenery(96, 170),
        frames=30,
        fps=15,
        codec=codec,
        pixel_format=form,
        full_range=codec == "mjpeg",
        options=options,
    )
    taken(path, Wanted(width=96, height=170, fps=30, frames=60))
    assert len(list(pictures(tmp_path / "raw"))) == 30


def flicker(at: float) -> Picture:
    """Almost black, and never twice the same."""
    return np.full((HEIGHT, WIDTH, 3), round(3 * at) % 3, np.uint8)


@pytest.mark.parametrize(
    ("draw", "why"),
    [
        (flat(WIDTH, HEIGHT, (0, 0, 0)), "black throughout"),
        (flicker, "black throughout"),
        (lambda _: scenery(WIDTH, HEIGHT)(0.0), "stands still throughout"),
        (flat(WIDTH, HEIGHT, (0, 120, 0)), "stands still throughout"),
        (scenery(32, 56), "32×56 px"),
    ],
)
def test_what_is_no_clip_is_refused(draw: Draw, why: str, tmp_path: Path) -> None:
    """And not asked for again: the same ask would give the same."""
    with pytest.raises(Unfit, match=why) as refused:
        taken(make_clip(tmp_path / "c.mp4", draw, frames=60))
    assert not refused.value.again


def test_a_still_is_fit_for_a_film_that_stands_still(tmp_path: Path) -> None:
    """Minimal motion is meant so."""
    still = scenery(WIDTH, HEIGHT)(0.0)
    path = make_clip(tmp_path / "c.mp4", lambda _: still, frames=60)
    wanted = Wanted(width=WIDTH, height=HEIGHT, fps=30, frames=60, moving=False)
    assert codes(path, wanted) == []


def test_a_dark_scene_is_no_black_one(tmp_path: Path) -> None:
    """Something is in it."""
    path = make_clip(tmp_path / "c.mp4", scenery(WIDTH, HEIGHT, light=0.12), frames=60)
    assert codes(path) == []


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_cut_file_is_refused(share: float, scene: Path, tmp_path: Path) -> None:
    """Whether its index is missing or only some of its pictures; another try may be whole."""
    path = tmp_path / "cut.mkv"
    with av.open(str(scene)) as source, av.open(str(path), "w") as target:
        track = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                target.mux(packet)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)] + bytes(2000) + content[-2000:])
    with pytest.raises(Unfit) as refused:
        taken(path)
    assert refused.value.again


def test_a_clip_of_a_fraction_of_its_length_is_refused(tmp_path: Path) -> None:
    """It is no answer to what was asked."""
    path = make_clip(tmp_path / "c.mp4", scenery(WIDTH, HEIGHT), frames=20)
    with pytest.raises(Unfit, match=r"0\.83 s long; 2\.00 s were asked"):
        taken(path)


@pytest.mark.parametrize(
    ("draw", "frames", "told"),
    [
        (scenery(WIDTH, HEIGHT), 40, ["clip_held"]),
        (scenery(64, 114), 60, ["clip_enlarged"]),
        (scenery(HEIGHT, WIDTH), 60, ["clip_cropped"]),
        (then(flat(WIDTH, HEIGHT, (0, 0, 0)), scenery(WIDTH, HEIGHT), 1.4), 60, ["clip_black"]),
    ],
)
def test_what_is_odd_is_told(draw: Draw, frames: int, told: list[str], tmp_path: Path) -> None:
    """The clip is used all the same."""
    assert codes(make_clip(tmp_path / "c.mp4", draw, frames=frames)) == told


def test_a_clip_that_freezes_is_told(tmp_path: Path) -> None:
    """For how long, in seconds."""
    still = scenery(WIDTH, HEIGHT)(0.0)
    draw = then(lambda _: still, scenery(WIDTH, HEIGHT), 3.0)
    path = make_clip(tmp_path / "c.mp4", draw, frames=120)
    [warning] = taken(path, Wanted(width=WIDTH, height=HEIGHT, fps=30, frames=150)).warnings
    assert warning.code == "clip_frozen"
    assert "stands still for 3" in warning.message or "stands still for 2.8" in warning.message
