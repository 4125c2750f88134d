"""What a probe reads out of a film file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from assembler.loudness import RATE
from assembler.probe import ProbeError, pictures, probe
from assembler.sound import write_aac
from tests.assembler.reels import FPS, HEIGHT, WIDTH, encoded, joined, moving, tone

FRAMES = 70


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of one piece."""
    folder = tmp_path_factory.mktemp("film")
    encoded(folder / "p.mp4", moving(FRAMES))
    write_aac(tone(FRAMES * RATE // FPS), folder / "s.mp4", bitrate_kbps=192)
    path = folder / "film.mp4"
    joined([folder / "p.mp4"], [FRAMES], folder / "s.mp4", path)
    return path


def remuxed(source: Path, out: Path, *, late: int = 0, sound: bool = True) -> Path:
    """Copy a film without care: ``late`` shifts one frame, and the index lands behind."""
    with av.open(str(source)) as old, av.open(str(out), "w", format="mp4") as new:
        video = new.add_stream_from_template(old.streams.video[0])
        audio = new.add_stream_from_template(old.streams.audio[0]) if sound else None
        for packet in old.demux():
            if packet.size == 0 or (packet.stream.type == "audio" and audio is None):
                continue
            if late and packet.stream.type == "video" and packet.pts == late * 512:
                packet.pts = packet.dts = late * 512 + 100
            packet.stream = audio if audio and packet.stream.type == "audio" else video
            new.mux_one(packet)
    return out


def test_film_is_described(film: Path) -> None:
    """Everything that a verdict needs is read from the file."""
    found = probe(film)
    picture, sound = found.picture, found.sound
    assert (picture.codec, picture.profile) == ("h264", "High")
    assert (picture.width, picture.height) == (WIDTH, HEIGHT)
    assert picture.fps == FPS
    assert (picture.frames, picture.even, picture.keyframes[0]) == (FRAMES, True, 0)
    assert picture.tags == (1, 1, 1, 1)
    assert len(picture.sizes) == FRAMES
    assert found.index_in_front
    assert found.bytes == film.stat().st_size
    assert sound is not None
    assert (sound.codec, sound.rate, sound.channels) == ("aac", RATE, 2)
    assert (sound.duration_s, sound.gapless) == (Fraction(FRAMES, FPS), True)


def test_uneven_times_and_a_late_index_are_seen(film: Path, tmp_path: Path) -> None:
    """A frame that is 6.5 ms late makes the film uneven; moov behind mdat is told."""
    found = probe(remuxed(film, tmp_path / "late.mp4", late=20))
    assert found.picture.frames == FRAMES
    assert not found.picture.even
    assert not found.index_in_front
    assert probe(remuxed(film, tmp_path / "even.mp4")).picture.even


def test_film_without_sound(film: Path, tmp_path: Path) -> None:
    """No sound track is a fact, not an error."""
    assert probe(remuxed(film, tmp_path / "mute.mp4", sound=False)).sound is None


def test_frames_are_decoded_from_keyframes(film: Path) -> None:
    """Runs of frames come out as a whole decode has them."""
    with av.open(str(film)) as container:
        whole = [picture.to_ndarray()[:HEIGHT] for picture in container.decode(video=0)]
    keys = probe(film).picture.keyframes
    runs = [(keys[0], 3), (keys[-1], 2)]
    seen = [(number, picture.y.copy()) for number, picture in pictures(film, runs)]
    assert [number for number, _ in seen] == [0, 1, 2, keys[-1], keys[-1] + 1]
    assert all(np.array_equal(luma, whole[number]) for number, luma in seen)


@pytest.mark.parametrize("content", [b"", b"words\n" * 99, bytes(4000)])
def test_what_is_no_film_is_an_error(tmp_path: Path, content: bytes) -> None:
    """Text, zeros and nothing cannot be probed."""
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(ProbeError, match="cannot be read"):
        probe(path)


def test_sound_alone_is_no_film(film: Path) -> None:
    """A file without a picture is told as such."""
    with pytest.raises(ProbeError, match="no picture"):
        probe(film.with_name("s.mp4"))


def test_truncated_film_is_noticed(film: Path, tmp_path: Path) -> None:
    """A film that was cut off has fewer packets, or cannot be read."""
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    try:
        frames = probe(cut).picture.frames
    except ProbeError:
        frames = 0
    assert frames < FRAMES


def test_undecodable_keyframe_is_an_error(film: Path, tmp_path: Path) -> None:
    """A picture whose data is not what it should be is named by its number."""
    whole = bytearray(film.read_bytes())
    start = whole.index(b"mdat") + 4
    whole[start : start + 6000] = bytes(6000)
    (tmp_path / "bad.mp4").write_bytes(whole)
    with pytest.raises(ProbeError, match="decode"):
        list(pictures(tmp_path / "bad.mp4", [(0, 1)]))
