"""The sound track: any track in, AAC of the right length, loudness and peak out."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from assembler.loudness import RATE, Sound, integrated_lufs, true_peak_db
from assembler.sound import Mixed, SoundError, decode, mix, prepare_sound, write_aac
from events.spec import Artifact, SoundPlan
from tests.assembler.reels import band, encoded, length_s, moving, tone, write_wav

FRAMES, FPS = 150, 30
SAMPLES = FRAMES * RATE // FPS


def mixed(
    folder: Path,
    frames: int = FRAMES,
    *,
    music: Artifact | None = None,
    voice: Artifact | None = None,
) -> tuple[Mixed, Path]:
    """Mix tracks that lie in a folder under their artifacts' names."""
    tracks = [track for track in (music, voice) if track is not None]
    sources = {track.sha256: folder / f"{track.sha256}.wav" for track in tracks}
    out = folder / "mixed.mp4"
    return mix(SoundPlan(music=music, voice=voice), frames, FPS, sources, out), out


HARD: dict[str, tuple[Sound, int]] = {
    "loud": (np.clip(band(6 * RATE, 0.6), -1, 1), RATE),
    "clipped": (np.sign(band(6 * RATE)), RATE),
    "clicks": (np.tile((np.arange(6 * RATE) % 24_000 == 0) * 1.0, (2, 1)), RATE),
    "quiet": (band(6 * RATE, 0.02), RATE),
    "mono": (tone(6 * RATE)[:1], RATE),
    "8 kHz": (tone(6 * 8000, rate=8000), 8000),
    "96 kHz": (tone(3 * 96_000, rate=96_000), 96_000),
    "5.1": (np.tile(band(6 * RATE), (3, 1)), RATE),
    "0.3 s": (tone(3 * RATE // 10), RATE),
}


@pytest.mark.parametrize("name", HARD)
def test_loudness_and_peak_of_hard_inputs(tmp_path: Path, name: str) -> None:
    """Within 1 LU of −14 or a warning that says why not; never over −1 dBTP."""
    sound, rate = HARD[name]
    track = write_wav(tmp_path / "track.wav", sound, rate=rate)
    info = prepare_sound(tmp_path / "track.wav")
    assert (info.channels, info.rate) == (sound.shape[0], rate)
    assert info.duration_s == pytest.approx(sound.shape[1] / rate, abs=0.001)
    result, out = mixed(tmp_path, music=track)
    heard = decode(out, SAMPLES)
    assert heard.shape == (2, SAMPLES)
    assert result.lufs == integrated_lufs(heard)
    assert result.true_peak_db == true_peak_db(heard)
    assert result.lufs is not None
    assert result.true_peak_db is not None
    assert result.true_peak_db <= -1.0
    if name == "clicks":
        assert [warned.code for warned in result.warnings] == ["loudness_off_target"]
        assert f"{result.lufs:.1f} LUFS" in result.warnings[0].message
    else:
        assert result.lufs == pytest.approx(-14.0, abs=1.0)
        assert result.warnings == ()


@pytest.mark.parametrize(
    ("sound", "frames"),
    [
        (np.zeros((2, RATE), np.float32), FRAMES),
        (tone(RATE, level=0.0004), FRAMES),
        (tone(RATE), 9),
    ],
)
def test_what_cannot_be_measured_is_left_as_it_is(
    tmp_path: Path, sound: Sound, frames: int
) -> None:
    """Silence, below −60 LUFS, and a film under 0.4 s are told as not measurable."""
    track = write_wav(tmp_path / "track.wav", sound)
    result, out = mixed(tmp_path, frames, music=track)
    assert result.lufs is None
    assert [warned.code for warned in result.warnings] == ["loudness_not_measurable"]
    heard = decode(out, SAMPLES)
    assert np.abs(heard).max() <= np.abs(sound).max() * 1.1 + 1e-4


def test_quiet_track_is_raised_by_20_db_at_most(tmp_path: Path) -> None:
    """The warning says what was reached and that the gain has a bound."""
    result, _ = mixed(tmp_path, music=write_wav(tmp_path / "t.wav", tone(6 * RATE, level=0.004)))
    before = integrated_lufs(tone(6 * RATE, level=0.004))
    assert before is not None
    assert result.lufs == pytest.approx(before + 20, abs=0.5)
    assert "20 dB" in result.warnings[0].message


def test_no_track_makes_a_silent_one(tmp_path: Path) -> None:
    """A film without sound has a sound track all the same, and no warning."""
    result, out = mixed(tmp_path)
    assert result == Mixed(None, None)
    heard = decode(out, 10 * SAMPLES)
    assert heard.shape[1] >= SAMPLES
    assert np.abs(heard).max() < 1e-6


def test_format_length_and_bytes(tmp_path: Path) -> None:
    """AAC, 48 kHz, stereo, about 192 kbit/s, as long as the picture, the same bytes twice."""
    track = write_wav(tmp_path / "track.wav", band(6 * RATE))
    _, out = mixed(tmp_path, 151, music=track)
    first = out.read_bytes()
    with av.open(str(out)) as container:
        stream = container.streams.audio[0]
        context = stream.codec_context
        assert (context.name, context.rate, context.channels) == ("aac", 48_000, 2)
        assert length_s(stream) == Fraction(151, FPS)
        assert stream.start_time == 0
        sizes = [packet.size for packet in container.demux(stream)]
    assert sum(sizes) * 8 / (151 / FPS) == pytest.approx(192_000, rel=0.15)
    mixed(tmp_path, 151, music=track)
    assert out.read_bytes() == first


def test_voice_lies_over_music(tmp_path: Path) -> None:
    """The voice is heard well above the music, whose level drops under it."""
    voice = np.zeros((2, 5 * RATE), np.float32)
    voice[:, 2 * RATE : 3 * RATE] = tone(RATE, 1000, 0.2)
    result, out = mixed(
        tmp_path,
        music=write_wav(tmp_path / "m.wav", tone(6 * RATE, 300)),
        voice=write_wav(tmp_path / "v.wav", voice),
    )
    heard = decode(out, SAMPLES)[0]
    spoken = np.abs(np.fft.rfft(heard[2 * RATE + 4800 : 3 * RATE - 4800]))
    before = np.abs(np.fft.rfft(heard[RATE // 2 : RATE // 2 + 38_400]))
    at_300, at_1000 = 300 * 38_400 // RATE, 1000 * 38_400 // RATE
    assert 20 * np.log10(spoken[at_1000] / spoken[at_300]) == pytest.approx(20, abs=2)
    assert 20 * np.log10(before[at_300] / spoken[at_300]) == pytest.approx(8, abs=1)
    assert result.lufs == pytest.approx(-14, abs=1)


def test_long_voice_is_cut_with_a_warning(tmp_path: Path) -> None:
    """A voice that does not fit is told, because something said is lost."""
    result, _ = mixed(tmp_path, voice=write_wav(tmp_path / "v.wav", tone(6 * RATE)))
    assert [warned.code for warned in result.warnings] == ["voice_cut"]
    assert "5.00 s" in result.warnings[0].message


def floats(value: float) -> bytes:
    """A WAV of 32-bit floats, all of one value."""
    body = struct.pack("<f", value) * 2 * RATE
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(body), b"WAVE", b"fmt ", 16, 3, 2,
                       RATE, RATE * 8, 8, 32, b"data", len(body))  # fmt: skip
    return head + body


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_impossible_numbers_do_no_harm(tmp_path: Path, value: float) -> None:
    """Not-a-number and infinity in a float track become finite sound under the peak."""
    (tmp_path / "t.wav").write_bytes(floats(value))
    result, out = mixed(tmp_path, music=Artifact(sha256="t", bytes=1, media_type="audio/wav"))
    assert np.isfinite(decode(out, SAMPLES)).all()
    assert result.true_peak_db is None or result.true_peak_db <= -1.0


def playlist(folder: Path) -> bytes:
    """A playlist that names a file of this machine."""
    write_wav(folder / "secret.wav", tone(RATE))
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{folder}/secret.wav\n".encode()


def film(folder: Path) -> bytes:
    """A file with a picture and no sound."""
    return encoded(folder / "p.mp4", moving(3)).read_bytes()


BAD: dict[str, Any] = {
    "text": lambda _: b"these are words\n" * 500,
    "empty": lambda _: b"",
    "noise": lambda _: np.random.default_rng(0).bytes(50_000),
    "playlist": playlist,
    "concat": lambda folder: (
        playlist(folder) and f"ffconcat version 1.0\nfile {folder}/secret.wav\n".encode()
    ),
    "picture": film,
    "header": lambda folder: (
        write_wav(folder / "a.wav", tone(RATE)),
        (folder / "a.wav").read_bytes()[:44],
    )[1],
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_track_is_refused(tmp_path: Path, name: str) -> None:
    """Told by decoding, whatever it is called; limit and hint say what would be taken."""
    path = tmp_path / "track.mp3"
    path.write_bytes(BAD[name](tmp_path))
    with pytest.raises(SoundError) as caught:
        prepare_sound(path)
    assert caught.value.limit
    assert "WAV, MP3" in caught.value.hint


def test_missing_track_is_refused(tmp_path: Path) -> None:
    """A file that is not there is a SoundError like any."""
    with pytest.raises(SoundError, match="No such file"):
        prepare_sound(tmp_path / "none.wav")


def test_damaged_track_is_used_or_refused_by_how_much_is_left(tmp_path: Path) -> None:
    """A few bad packets are left out; a track that is mostly bad is refused."""
    write_aac(band(8 * RATE), tmp_path / "good.mp4", bitrate_kbps=192)
    whole = (tmp_path / "good.mp4").read_bytes()
    start = whole.index(b"mdat") + 4
    rng = np.random.default_rng(0)
    hurt = bytearray(whole)
    hurt[start + 50_000 : start + 51_000] = rng.bytes(1000)
    (tmp_path / "hurt.mp4").write_bytes(hurt)
    assert prepare_sound(tmp_path / "hurt.mp4").duration_s > 7
    hurt[start + 100 : start + 180_000] = rng.bytes(179_900)
    (tmp_path / "lost.mp4").write_bytes(hurt)
    with pytest.raises(SoundError, match="cannot be decoded") as caught:
        prepare_sound(tmp_path / "lost.mp4")
    assert "damaged" in caught.value.hint


def test_long_track_is_not_decoded_whole(tmp_path: Path) -> None:
    """The length of a long track is told by its header; no more than the film is decoded."""
    write_wav(tmp_path / "long.wav", np.zeros((1, 90 * 8000), np.float32), rate=8000)
    assert prepare_sound(tmp_path / "long.wav").duration_s == pytest.approx(90)
    assert decode(tmp_path / "long.wav", 1000).shape == (2, 1000)


@pytest.mark.parametrize("samples", [1, 1023, 1024, 1025, 1600, 48_000])
def test_samples_keep_their_places(tmp_path: Path, samples: int) -> None:
    """Whatever its length, a sound decodes to its own samples, in place from the first on."""
    given = tone(samples, 1000)
    write_aac(given, tmp_path / "a.mp4", bitrate_kbps=192)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.audio[0]
        assert length_s(stream) == Fraction(samples, RATE)
    heard = decode(tmp_path / "a.mp4", samples)
    assert heard.shape == given.shape
    assert np.abs(heard - given)[:, 1024:-1024].max(initial=0) < 0.02
