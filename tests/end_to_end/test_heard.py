"""The sound as others measure it: FFmpeg's ``ebur128`` on the decoded AAC, nothing of ours asked.

``ebur128`` is another implementation of ITU-R BS.1770 than ``assembler/loudness.py``, and its
true peak comes of another interpolation.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import av
import av.filter
import av.logging
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from assembler.loudness import RATE, Sound
from assembler.sound import mix
from events.spec import Artifact, SoundPlan
from tests.assembler.reels import tone, write_wav
from tests.assembler.test_sound import HARD
from tests.end_to_end.making import planned

FPS = 30
TARGET_LUFS, PEAK_DB = -14.0, -1.0
PEAK_SLACK_DB = 0.1
"""What two interpolations of a peak between samples may differ by."""
QUICK = {"clicks", "silent", "0.3 s, loud"}
SUMMARY = re.compile(r"I:\s+(-?[\d.]+|-?inf) LUFS.*Peak:\s+(-?[\d.]+|-?inf) dBFS", re.DOTALL)
HEARD: dict[str, tuple[Sound, int]] = {
    **HARD,
    "silent": (np.zeros((2, 6 * RATE), np.float32), RATE),
    "0.3 s, loud": (tone(3 * RATE // 10, level=0.99), RATE),
}


def decoded(path: Path, **options: str) -> Sound:
    """Every sample of a file's sound, as a player has them."""
    with av.open(str(path), options=options) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(frames, axis=1).astype(np.float32)


def measured(path: Path) -> tuple[float, float]:
    """Integrated loudness (LUFS) and true peak (dBTP) as FFmpeg has them."""
    with av.open(str(path)) as container:
        graph = av.filter.Graph()
        source = graph.add_abuffer(template=container.streams.audio[0])
        meter = graph.add("ebur128", "peak=true:framelog=quiet")
        sink = graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(sink)
        graph.configure()
        for frame in (*container.decode(audio=0), None):
            graph.push(frame)
            with contextlib.suppress(av.FFmpegError):
                while isinstance(graph.pull(), av.AudioFrame):
                    pass
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        with av.logging.Capture() as said:
            del source, meter, sink, graph
    finally:
        av.logging.set_level(level)
    found = SUMMARY.search("".join(text for _, _, text in said))
    assert found, said
    return float(found[1]), float(found[2])


def _mixed(
    folder: Path, music: Artifact | None, voice: Artifact | None = None, frames: int = 150
) -> tuple[Path, list[str]]:
    sources = {track.sha256: folder / f"{track.sha256}.wav" for track in (music, voice) if track}
    out = folder / "mixed.mp4"
    plan = SoundPlan(music=music, voice=voice)
    return out, [warned.code for warned in mix(plan, frames, FPS, sources, out).warnings]


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in HEARD],
)
def test_loudness_and_peak_as_others_measure_them(tmp_path: Path, name: str) -> None:
    """Within 1 LU of the target or told why not; the true peak is never over −1 dBTP."""
    sound, rate = HEARD[name]
    track = write_wav(tmp_path / "track.wav", sound, rate=rate)
    out, told = _mixed(tmp_path, track)
    lufs, peak_db = measured(out)
    assert peak_db <= PEAK_DB + PEAK_SLACK_DB
    if name == "silent":
        assert told == ["loudness_not_measurable"]
        assert peak_db == -np.inf
    elif told:
        assert told == ["loudness_off_target"]
        assert abs(lufs - TARGET_LUFS) > 1
    else:
        assert lufs == pytest.approx(TARGET_LUFS, abs=1.0)


def _level_db(sound: Sound, hz: float, step: int = 480, reach: int = 960) -> NDArray[np.floating]:
    """The level of one frequency in each 10 ms, dB."""
    at = np.arange(sound.shape[1])
    turned = sound.mean(axis=0) * np.exp(-2j * np.pi * hz * at / RATE)
    smooth = np.convolve(turned, np.hanning(2 * reach) / reach, "same")
    return 20 * np.log10(np.abs(smooth[::step]) + 1e-9)


def test_music_ducks_and_comes_back_sanely(tmp_path: Path) -> None:
    """Down by 8 dB as the voice begins, begun no earlier than 150 ms before; held while it speaks;
    back within 1 dB in under a second and a half, without a step.
    """
    voice = np.zeros((2, 6 * RATE), np.float32)
    voice[:, 2 * RATE : 4 * RATE] = tone(2 * RATE, 1000, 0.3)
    music = write_wav(tmp_path / "m.wav", tone(7 * RATE, 300))
    out, _ = _mixed(tmp_path, music, write_wav(tmp_path / "v.wav", voice), frames=180)
    level = _level_db(decoded(out), 300)
    before = float(np.median(level[100:180]))
    assert np.ptp(level[50:184]) < 0.5
    assert level[202] - before == pytest.approx(-8, abs=1.0)
    assert np.abs(level[205:400] - before + 8).max() < 1.0
    assert level[415] < before - 6
    assert level[500] > before - 1.5
    assert np.abs(np.diff(level[20:500])).max() < 1.6
    lufs, peak_db = measured(out)
    assert lufs == pytest.approx(TARGET_LUFS, abs=1.0)
    assert peak_db <= PEAK_DB + PEAK_SLACK_DB


def test_loops_do_not_click_in_what_is_decoded(tmp_path: Path) -> None:
    """A click is energy at all frequencies: beside a low tone there is none, loop after loop."""
    music = write_wav(tmp_path / "m.wav", tone(48_017, 333.3, 0.5))
    out, _ = _mixed(tmp_path, music, frames=240)
    heard = decoded(out)[0]
    window = np.hanning(2048)
    starts = range(RATE // 4, heard.size - 2 * RATE, 512)
    spectra = [np.abs(np.fft.rfft(heard[at : at + 2048] * window)) for at in starts]
    above = np.array([spectrum[3000 * 2048 // RATE :].max() for spectrum in spectra])
    assert 20 * np.log10(above.max() / max(spectrum.max() for spectrum in spectra)) < -60


def test_a_click_would_be_heard(tmp_path: Path) -> None:
    """The same measure finds one that is put there: a jump to another phase."""
    sound = tone(8 * RATE, 333.3, 0.5)
    sound[:, 4 * RATE :] = tone(8 * RATE, 333.3, 0.5)[:, 101 : 4 * RATE + 101]
    heard = sound[0]
    window = np.hanning(2048)
    at = 4 * RATE - 1024
    spectrum = np.abs(np.fft.rfft(heard[at : at + 2048] * window))
    assert 20 * np.log10(spectrum[3000 * 2048 // RATE :].max() / spectrum.max()) > -50


def test_music_fades_in_and_out(tmp_path: Path) -> None:
    """It begins and ends at nothing, and the way there only goes down."""
    out, _ = _mixed(tmp_path, write_wav(tmp_path / "m.wav", tone(20 * RATE, 440, 0.3)))
    heard = np.abs(decoded(out)[0][: 5 * RATE])
    loudest = heard[2 * RATE : 3 * RATE].max()
    assert heard[:24].max() < 0.05 * loudest
    assert heard[-48:].max() < 0.01 * loudest
    tail = heard[-round(0.8 * RATE) :].reshape(-1, 1920).max(axis=1)
    assert (np.diff(tail) < 0.01 * loudest).all()
    assert tail[0] > 0.9 * loudest


def _grey(path: Path, luma: int) -> Path:
    assert cv2.imwrite(str(path), np.full((640, 360, 3), luma, np.uint8))
    return path


@pytest.mark.slow
def test_a_beep_is_heard_with_its_flash(tmp_path: Path) -> None:
    """Within 20 ms through the whole pipeline, by players that read edit lists and by others.

    (8 s)
    """
    flash_s = 2.5
    voice = np.zeros((2, 5 * RATE), np.float32)
    begin = round(flash_s * RATE)
    voice[:, begin : begin + 4800] = tone(4800, 1000, 0.5)
    write_wav(tmp_path / "voice.wav", voice)
    made = planned(
        tmp_path,
        "meme_fast",
        _grey(tmp_path / "black.png", 0),
        _grey(tmp_path / "white.png", 255),
        target_duration_seconds=5,
        voice_uri=tmp_path / "voice.wav",
    )
    film = made.assembled(made.bodies()).output
    for options in ({}, {"ignore_editlist": "1"}):
        with av.open(str(film), options=options) as container:
            lumas = [
                (float(frame.time or 0), frame.to_ndarray()[:1920].mean())
                for frame in container.decode(video=0)
            ]
        seen_s = next(at for at, luma in lumas if luma > 128)
        heard_s = np.flatnonzero(np.abs(decoded(film, **options)[0]) > 0.1)[0] / RATE
        assert seen_s == pytest.approx(flash_s, abs=1e-6)
        assert heard_s == pytest.approx(seen_s, abs=0.02)
