"""What was made before is not made again: keys that name everything a result depends on.

Equal keys, equal bytes.  A body's key is made of the plan as its segment sees it (``seen_by``),
the drawing code, the libraries and the processor; and a body is drawn from just that plan, so
that nothing can show in it that is not in its key.

Left out: where results and notes are kept (``ArtifactStore.remember`` and ``recall``).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import platform
from pathlib import Path

import msgspec

import assembler
import config
from assembler.kept import pictured, wordless
from events.spec import (
    Artifact,
    Caption,
    RenderSpec,
    Rung,
)

LIBRARIES = ("av", "msgspec", "numpy", "opencv-python-headless", "regex", "skia-python")
"""What draws and encodes; another version of one may make other bytes."""
PROCESSOR_SWITCHES = ("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "OPENCV_CPU_DISABLE")
"""Environment variables by which the libraries leave parts of the processor unused."""

CALLERS = ("children.py", "compositor.py", "reuse.py")
"""Beside us: what calls the drawing code, and how."""


def body_key(
    spec: RenderSpec, segment: int, rung: Rung, quality: int, clip: Artifact | None = None
) -> str:
    """The key of a segment's body; ``spec`` is the plan as the segment sees it.

    ``clip`` is what was generated for it, if it is drawn over that.
    """
    made_of = (spec, segment, rung, quality, *([clip.sha256] if clip else []))
    return _key("body", msgspec.json.encode(made_of))


def sound_key(spec: RenderSpec) -> str:
    """The key of the film's soundtrack."""
    return _key("sound", msgspec.json.encode((spec.sound, spec.frames, spec.fps)))


def seen_by(spec: RenderSpec, segment: int) -> RenderSpec:
    """The plan with all taken out of it that cannot show in a segment's body.

    What a field is not known to be without effect is kept: a body that is drawn once too often
    costs seconds, one that is taken for another spoils a film.
    """
    return msgspec.structs.replace(
        pictured(spec),
        captions=_captions_seen(spec, segment),
        # Where segments may be generated, no word can rely on what it will stand on.
        ladder=tuple(rung for rung in spec.ladder if rung.generates),
    )


def _captions_seen(spec: RenderSpec, segment: int) -> tuple[Caption, ...]:
    """The captions; those that stand nowhere in a body have lost their words.

    Their places and times are kept: the product stands clear of them all through the film, and
    what lies under them has a say in how the words of all captions are set.
    """
    plan = spec.segments[segment]
    end = plan.body_start + plan.body_frames
    return tuple(
        caption
        if any(
            card.start < end and card.start + card.frames > plan.body_start
            for card in caption.cards
        )
        else wordless(caption)
        for caption in spec.captions
    )


def _key(kind: str, content: bytes) -> str:
    digest = hashlib.sha256(f"{kind}\n{maker()}\n".encode())
    digest.update(content)
    return digest.hexdigest()


@functools.cache
def maker() -> str:
    """What makes results here: a digest of code, libraries and processor, once a process."""
    here = Path(__file__).parent
    files = [
        *sorted(Path(assembler.__file__).parent.glob("*.py")),
        *(here / name for name in CALLERS),
        Path(config.__file__).parent / "motion.yaml",
    ]
    told = [
        *(f"{path.parent.name}/{path.name} {_digest(path.read_bytes())}" for path in files),
        *(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES),
        f"python {platform.python_version()}",
        f"processor {processor()}",
    ]
    return _digest("\n".join(told).encode())


def processor() -> str:
    """What the processor can do: libraries that find more in it round differently."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = [f"features: {platform.processor()}"]
    able = {line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))}
    switched = [f"{name}={os.environ[name]}" for name in PROCESSOR_SWITCHES if name in os.environ]
    return " ".join([platform.machine(), *sorted(able or lines), *switched])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
