"""A finished job taken apart: its yardstick, its quality, the cost of its join.

The yardstick is x264 alone on the film's own frames: superfast, crf 20, one thread, with the
film's own structure (no B-frames, a keyframe every two seconds), the frames ready in memory in
the encoder's own buffers.  Frames are drawn, then encoded, some dozens at a time, and only the
encoder is timed; the drawn frames are kept without loss for the quality's measurement.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.video.stream import VideoStream

from adapters.compositor import drawn_from
from adapters.files import FileStore
from adapters.workers import WorkerPool
from assembler import produce
from assembler.encode import picture_of
from assembler.film import Film
from assembler.timeline import pieces
from events.client import Pytoon
from events.job import Job
from events.spec import RenderSpec
from services.home import Home
from services.server import ensure_server, leave_server

CHUNK_FRAMES = 45
YARDSTICK = {
    "preset": "superfast",
    "crf": "20",
    "x264-params": "bframes=0:open-gop=0:stitchable=1:keyint=60",
}
"""It stays what it is, whatever our own encoder's setting becomes."""
LOSSLESS = {"preset": "ultrafast", "qp": "0"}
MODEL = "vmaf_v0.6.1"
DEADLINE_S = 600.0
SELF_FRAMES = 120
"""Frames of the comparison of the lossless film with itself."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What x264 alone and drawing alone took, in CPU seconds, for so many frames."""

    frames: int
    encode_s: float
    draw_s: float


@dataclass(frozen=True, slots=True)
class Quality:
    """VMAF of the film and of the lossless frames against themselves; the film's bit rate."""

    vmaf: float
    worst: float
    itself: float
    video_kbps: float


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished job with the files that its film is drawn and joined from."""

    job: Job
    sources: Mapping[str, Path]
    bodies: Mapping[int, Path]
    soundtrack: Path

    @property
    def spec(self) -> RenderSpec:
        """The job's plan."""
        assert self.job.spec is not None
        return self.job.spec


def finished(home: Path, job_id: str) -> Finished:
    """Read a job and its files from its home; its server is started if need be."""
    return asyncio.run(_finished(Home(home), job_id))


async def _finished(home: Home, job_id: str) -> Finished:
    used = home.use_server()
    try:
        address = ensure_server(home)
        async with Pytoon.connect(address.url, token=address.token) as pytoon:
            job = await pytoon.replay(job_id)
    finally:
        leave_server(home, used)
    assert job.spec is not None
    assert job.soundtrack is not None
    store = FileStore(home.artifacts)
    drawn = {sha: await store.fetch(artifact) for sha, artifact in drawn_from(job.spec).items()}
    bodies = {
        segment.index: await store.fetch(segment.rendered.artifact)
        for segment in job.segments
        if segment.rendered
    }
    return Finished(job, drawn, bodies, await store.fetch(job.soundtrack.artifact))


def yardstick(done: Finished, keep: Path) -> Yardstick:
    """Encode the film's frames by x264 alone; write them without loss to ``keep``."""
    spec = done.spec
    film = Film(spec, done.job.rungs, done.sources)
    encode_s = draw_s = 0.0
    with (
        av.open(str(keep.with_suffix(".alone.mp4")), "w") as alone,
        av.open(str(keep), "w") as lossless,
    ):
        timed, kept = _stream(alone, spec, YARDSTICK, 1), _stream(lossless, spec, LOSSLESS, 0)
        for first in range(0, spec.frames, CHUNK_FRAMES):
            began_s = time.process_time()
            chunk = list(_drawn(film, first, min(first + CHUNK_FRAMES, spec.frames)))
            drawn_s = time.process_time()
            packets = [packet for picture in chunk for packet in timed.encode(picture)]
            encode_s += time.process_time() - drawn_s
            draw_s += drawn_s - began_s
            alone.mux(packets)
            for picture in chunk:
                lossless.mux(kept.encode(picture))
        began_s = time.process_time()
        rest = timed.encode(None)
        encode_s += time.process_time() - began_s
        alone.mux(rest)
        lossless.mux(kept.encode(None))
    return Yardstick(spec.frames, encode_s, draw_s)


def _drawn(film: Film, first: int, end: int) -> Iterator[av.VideoFrame]:
    for number in range(first, end):
        frame = film.frame(number)
        picture = picture_of(frame, frame.y.shape[1], frame.y.shape[0])
        picture.pts = number
        yield picture


def _stream(container: Any, spec: RenderSpec, wished: dict[str, str], threads: int) -> VideoStream:
    stream = cast("VideoStream", container.add_stream("libx264", rate=spec.fps))
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = spec.width, spec.height, "yuv420p"
    context.time_base = Fraction(1, spec.fps)
    context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1
    context.thread_count = threads
    if "crf" in wished:
        context.max_b_frames = 0
    context.options = wished
    return stream


def quality(film: Path, lossless: Path, fps: int) -> Quality:
    """Compare the film with the frames that it was drawn from."""
    scores = _vmaf(film, lossless, fps)
    itself = _vmaf(lossless, lossless, fps, frames=SELF_FRAMES)
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        size = sum(packet.size for packet in container.demux(stream))
        seconds = stream.frames / fps
    assert len(scores) == stream.frames, "every frame was compared"
    return Quality(
        vmaf=sum(scores) / len(scores),
        worst=min(scores),
        itself=sum(itself) / len(itself),
        video_kbps=size * 8 / 1000 / seconds,
    )


def _vmaf(film: Path, reference: Path, fps: int, *, frames: int = 0) -> list[float]:
    """VMAF of each frame, both inputs forced to BT.709 limited and matched by frame number."""
    forced = (
        "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709,"
        f"settb=1/{fps},setpts=N"
    )
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "vmaf.json"
        graph = (
            f"[0:v]{forced}[film];[1:v]{forced}[drawn];[film][drawn]libvmaf="
            f"model=version={MODEL}:n_threads=2:log_fmt=json:log_path={told}"
        )
        command = (
            _ffmpeg(), "-nostdin", "-v", "error", "-i", str(film),
            "-i", str(reference), "-lavfi", graph,
            *(("-frames:v", str(frames)) if frames else ()), "-f", "null", "-",
        )  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        return scores_of(told.read_text(encoding="utf-8"))


def _ffmpeg() -> str:
    """The one program that has VMAF; it is here for the benchmark only."""
    try:
        wheel = importlib.import_module("imageio_ffmpeg")
    except ImportError as error:
        message = "VMAF needs `pip install -e '.[bench]'` (or --no-vmaf)"
        raise RuntimeError(message) from error
    return str(wheel.get_ffmpeg_exe())


def scores_of(log: str) -> list[float]:
    """The score of each frame, by frame number, from libvmaf's JSON."""
    # libvmaf writes `nan` and `inf` for a pooled value it cannot make, which is no JSON.
    found = json.loads(re.sub(r":\s*-?(nan|inf)\b", ": null", log))
    return [
        float(frame["metrics"]["vmaf"])
        for frame in sorted(found["frames"], key=lambda frame: int(frame["frameNum"]))
    ]


def joining_s(done: Finished, folder: Path) -> tuple[float, float]:
    """CPU seconds of drawing and encoding all transitions, and of the join.

    They are those of a worker like the one that finishes a job, which has drawn bodies of the
    film before: what pictures and products cost to prepare is the bodies' share of the job.
    """
    return asyncio.run(_joining_s(done, folder))


async def _joining_s(done: Finished, folder: Path) -> tuple[float, float]:
    pool = WorkerPool(1, preload=("assembler.produce",))
    try:
        took: tuple[float, float] = await pool.run(_joined, done, folder, deadline_s=DEADLINE_S)
    finally:
        await pool.close()
    return took


def _joined(done: Finished, folder: Path, _report: object) -> tuple[float, float]:
    """In the worker: draw a frame of each body that one of two draws, then finish."""
    spec = done.spec
    row = pieces(spec)
    film = Film(spec, done.job.rungs, done.sources)
    for piece in [piece for piece in row if piece.kind == "body"][::2]:
        film.frame(piece.start)
    began_s = time.process_time()
    film = Film(spec, done.job.rungs, done.sources)
    drawn = produce._draw_transitions(
        film, spec, row, done.bodies, folder, lambda _done, _total: None
    )
    drawn_s = time.process_time()
    parts = [
        done.bodies[piece.index] if piece.kind == "body" else drawn[piece.index] for piece in row
    ]
    produce._join(spec, row, parts, done.soundtrack, folder / "joined.mp4")
    return drawn_s - began_s, time.process_time() - drawn_s


__all__ = [
    "Finished",
    "Quality",
    "Yardstick",
    "finished",
    "joining_s",
    "quality",
    "scores_of",
    "yardstick",
]
