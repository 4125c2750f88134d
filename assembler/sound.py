"""The film's sound: any track in, one AAC track as long as the picture out.

Loudness is measured, brought to the target and held under the peak by a limiter; what that takes
is given back at most twice.  Then the *decoded* AAC is measured, because encoding moves peaks, and
turned down at most twice.

AAC begins with a priming packet that players skip only if they read edit lists.  It is left out:
the first packet kept holds the first sound of the film (its first 21 ms are faded in by the
codec's window), so that every player has the sound in time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy as np

from assembler.encode import open_output, open_packets
from assembler.loudness import RATE, Sound, integrated_lufs, limit, peaks_of, true_peak_db
from assembler.mixing import decibels, lay
from events.spec import Artifact, SoundPlan, Warned

if TYPE_CHECKING:
    from av.container import InputContainer

DURATION_READ_S = 61
"""No more of a track than this is ever decoded: the longest film has 60 s."""
DEMUXERS = (
    "aac,ac3,aiff,amr,asf,avi,caf,eac3,flac,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,"
    "mpegts,ogg,wav,w64,wv"
)
"""Formats that hold sound and name no other files or hosts (playlists do)."""
ERROR_SHARE_MAX = 0.2
"""Tracks with more undecodable packets than this are refused as corrupt."""
LEVEL_MAX = 8.0
"""Floating-point tracks may hold any number; this is +18 dBFS."""

GAIN_DB_MAX = 20.0
LUFS_MIN = -60.0
"""A quieter sound is not raised: it is noise, or meant to be silent."""
LOUDNESS_TOLERANCE_LU = 0.3
LOUDNESS_WARNING_LU = 1.0
HEADROOM_DB = 1.0
"""The limiter works this far below the peak allowed: encoding raises peaks."""
CORRECTIONS_MAX = 2
TRIM_MARGIN_DB = 0.1
VOICE_CUT_S_MIN = 0.05

FRAME = 1024
"""Samples in an AAC packet."""

READING_HINT = "Use WAV, MP3, M4A (AAC), FLAC or Ogg."


class SoundError(Exception):
    """The track cannot be used: tell the client ``problem``, ``limit`` and ``hint``."""

    def __init__(self, problem: str, *, limit: str = "", hint: str = "") -> None:
        """Keep what is wrong, the limit that it breaks (or "") and what would help."""
        super().__init__(problem)
        self.problem = problem
        self.limit = limit
        self.hint = hint


@dataclass(frozen=True, slots=True)
class SoundInfo:
    """What a track is, as it was delivered; ``rate`` in samples a second."""

    duration_s: float
    channels: int
    rate: int


@dataclass(frozen=True, slots=True)
class Mixed:
    """The decoded result's loudness (LUFS) and true peak (dBTP); None where not measurable."""

    lufs: float | None
    true_peak_db: float | None
    warnings: tuple[Warned, ...] = ()


class _Resampling:
    """To stereo at 48 kHz, whatever comes: damaged tracks change rate and channels midway."""

    def __init__(self) -> None:
        """Wait for the first frame."""
        self._resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        self._shape: tuple[str, str, int] | None = None

    def feed(self, frame: av.AudioFrame) -> list[Sound]:
        """What comes of a frame, now; raises ``ValueError`` where it is no possible sound."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        before: list[Sound] = []
        if shape != self._shape:
            before = self.rest()
            self._shape = None
            self._resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        frame.pts = None
        after = [cast("Sound", piece.to_ndarray()) for piece in self._resampler.resample(frame)]
        self._shape = shape
        return before + after

    def rest(self) -> list[Sound]:
        """What has not come yet."""
        if self._shape is None:
            return []
        return [cast("Sound", piece.to_ndarray()) for piece in self._resampler.resample(None)]


def prepare_sound(path: Path) -> SoundInfo:
    """Check that a track can be decoded; raises ``SoundError``.

    Any format, rate and number of channels that FFmpeg reads is taken, silence and clipping
    included; the type is told by decoding, not by the file's name.
    """
    with _opened(path) as container:
        stream = container.streams.audio[0]
        info = SoundInfo(0.0, stream.codec_context.channels, stream.codec_context.rate or RATE)
        told_s = container.duration / av.time_base if container.duration else 0.0
    samples = decode(path, DURATION_READ_S * RATE).shape[1]
    whole = samples < DURATION_READ_S * RATE
    duration_s = samples / RATE if whole else max(told_s, samples / RATE)
    return SoundInfo(duration_s, info.channels, info.rate)


def mix(plan: SoundPlan, frames: int, fps: int, sources: Mapping[str, Path], out: Path) -> Mixed:
    """Mix, master and encode the sound of a film of ``frames`` into the MP4 file ``out``.

    ``sources`` maps the sha256 of music and voice to their files.  The track is as long as the
    picture to the sample.  The same sources make the same bytes.  Raises ``SoundError``.
    """
    assert plan.sample_rate == RATE
    samples = round(Fraction(frames * RATE, fps))
    warnings: list[Warned] = []
    music = _source(plan.music, samples, sources)
    voice = _source(plan.voice, samples + RATE, sources)
    if voice is not None and voice.shape[1] > samples + VOICE_CUT_S_MIN * RATE:
        message = f"the voice is longer than the film ({samples / RATE:.2f} s): its end is cut"
        warnings.append(Warned(code="voice_cut", message=message))
    sound = lay(music, voice, samples, music_db=plan.music_db, voice_db=plan.voice_db)
    if music is None and voice is None:
        write_aac(sound, out, bitrate_kbps=plan.bitrate_kbps)
        return Mixed(None, None)
    mixed = _master(sound, plan, out)
    return Mixed(mixed.lufs, mixed.true_peak_db, (*warnings, *mixed.warnings))


def decode(path: Path, samples_max: int, *, film: bool = False) -> Sound:
    """Decode at most ``samples_max`` samples to stereo, 48 kHz, full scale 1.0.

    Undecodable packets are left out up to a fifth of all.  A ``film`` of ours has a picture, too.
    Raises ``SoundError``.
    """
    parts: list[Sound] = []
    samples = good = bad = 0
    with open_packets(path, streams=2) if film else _opened(path) as container:
        resampling = _Resampling()
        for packet in container.demux(container.streams.audio[0]):
            try:
                for frame in packet.decode():
                    resampled = resampling.feed(frame)
                    parts.extend(resampled)
                    samples += sum(part.shape[1] for part in resampled)
                good += 1
            except (av.FFmpegError, ValueError):
                bad += 1
            if samples >= samples_max:
                break
        parts.extend(resampling.rest())
    if not parts or bad > ERROR_SHARE_MAX * (good + bad):
        raise SoundError(
            f"{bad} of {good + bad} packets cannot be decoded",
            limit=f"at most {ERROR_SHARE_MAX:.0%} undecodable",
            hint="The file is damaged: export it again. " + READING_HINT,
        )
    sound = np.concatenate(parts, axis=1)[:, :samples_max].astype(np.float32, copy=False)
    np.nan_to_num(sound, copy=False)
    return np.clip(sound, -LEVEL_MAX, LEVEL_MAX, out=sound)


def _opened(path: Path) -> InputContainer:
    """Open a track with the formats that are safe to open; raises ``SoundError``."""
    options = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file"}
    try:
        container = av.open(str(path), options=options)
    except (av.FFmpegError, OSError) as error:
        raise SoundError(
            f"no sound can be read: {error.strerror or error}",
            limit="an audio file that FFmpeg can decode",
            hint=READING_HINT,
        ) from error
    if not container.streams.audio or not container.streams.audio[0].codec_context.rate:
        container.close()
        raise SoundError(
            "the file has no sound track", limit="at least one sound track", hint=READING_HINT
        )
    return container


def _source(
    artifact: Artifact | None, samples_max: int, sources: Mapping[str, Path]
) -> Sound | None:
    """Decode a plan's track, where it has one."""
    return None if artifact is None else decode(sources[artifact.sha256], samples_max)


def _master(sound: Sound, plan: SoundPlan, out: Path) -> Mixed:
    """Bring a mix to its loudness and peak, encode it, and measure what a player will decode."""
    before = integrated_lufs(sound)
    measurable = before is not None and before >= LUFS_MIN
    wanted_db = plan.target_lufs - before if measurable and before is not None else 0.0
    limited = _limited(sound, plan, wanted_db, measurable=measurable)
    trim_db = 0.0
    lufs = peak_db = None
    for _ in range(CORRECTIONS_MAX + 1):
        write_aac(limited * decibels(trim_db), out, bitrate_kbps=plan.bitrate_kbps)
        heard = decode(out, sound.shape[1])
        lufs = integrated_lufs(heard) if measurable else None
        peak_db = true_peak_db(heard)
        if peak_db is None or peak_db <= plan.true_peak_db:
            break
        trim_db -= peak_db - plan.true_peak_db + TRIM_MARGIN_DB
    return Mixed(lufs, peak_db, _judged(lufs, peak_db, wanted_db, plan))


def _limited(sound: Sound, plan: SoundPlan, wanted_db: float, *, measurable: bool) -> Sound:
    """Raise a mix as wanted and limit it; what the limiter takes is given back, in two steps."""
    peaks = peaks_of(sound)
    ceiling_db = plan.true_peak_db - HEADROOM_DB
    gain_db = min(wanted_db, GAIN_DB_MAX)
    limited = limit(sound, ceiling_db, gain_db=gain_db, peaks=peaks)
    for _ in range(CORRECTIONS_MAX if measurable else 0):
        reached = integrated_lufs(limited)
        short_lu = plan.target_lufs - reached if reached is not None else 0.0
        louder_db = min(short_lu, GAIN_DB_MAX - gain_db)
        if abs(louder_db) <= LOUDNESS_TOLERANCE_LU:
            break
        gain_db += louder_db
        limited = limit(sound, ceiling_db, gain_db=gain_db, peaks=peaks)
    return limited


def _judged(
    lufs: float | None, peak_db: float | None, wanted_db: float, plan: SoundPlan
) -> tuple[Warned, ...]:
    """Say with figures what the sound could not be brought to."""
    warnings = []
    if lufs is None:
        message = "the sound is too short or too quiet to measure: its level was left as it is"
        warnings.append(Warned(code="loudness_not_measurable", message=message))
    elif abs(lufs - plan.target_lufs) > LOUDNESS_WARNING_LU:
        why = (
            f"no more than {GAIN_DB_MAX:g} dB are added"
            if wanted_db > GAIN_DB_MAX
            else "its peaks allow no more"
        )
        message = f"{lufs:.1f} LUFS where {plan.target_lufs:.1f} are wanted: {why}"
        warnings.append(Warned(code="loudness_off_target", message=message))
    if peak_db is not None and peak_db > plan.true_peak_db:
        message = f"true peak {peak_db:.1f} dBTP, over {plan.true_peak_db:.1f}"
        warnings.append(Warned(code="true_peak_high", message=message))
    return tuple(warnings)


def write_aac(sound: Sound, out: Path, *, bitrate_kbps: int) -> None:
    """Encode a stereo sound to AAC in an MP4 without its priming packet.

    The track decodes to exactly the samples given, edit lists or not.
    """
    samples = sound.shape[1]
    with open_output(str(out)) as container:
        stream = container.add_stream("aac", rate=RATE)
        context = stream.codec_context
        context.layout = "stereo"
        context.format = "fltp"
        context.bit_rate = bitrate_kbps * 1000
        context.time_base = Fraction(1, RATE)
        context.flags |= av.codec.context.Flags.bitexact
        at = 0
        for frame in (*_frames(sound), None):
            for packet in stream.encode(frame):
                if packet.pts is None or packet.pts < 0 or at >= samples:
                    continue
                packet.pts = packet.dts = at
                packet.duration = min(FRAME, samples - at)
                at += FRAME
                container.mux_one(packet)


def _frames(sound: Sound) -> Iterator[av.AudioFrame]:
    """Cut a sound into the encoder's frames, the last filled up with silence."""
    for start in range(0, sound.shape[1], FRAME):
        part = sound[:, start : start + FRAME]
        filled = np.ascontiguousarray(np.pad(part, ((0, 0), (0, FRAME - part.shape[1]))))
        frame = av.AudioFrame.from_ndarray(filled, format="fltp", layout="stereo")
        frame.rate = RATE
        frame.pts = start
        frame.time_base = Fraction(1, RATE)
        yield frame


__all__ = [
    "Mixed",
    "SoundError",
    "SoundInfo",
    "decode",
    "mix",
    "prepare_sound",
    "write_aac",
]
