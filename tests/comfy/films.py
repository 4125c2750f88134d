"""What a graph makes, and the film of it: small, quick, and with the prompt inside, as real ones.

Sizes and lengths that are off the model's grid shrink without a word, as they really do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

GRIDS = {
    "Wan22ImageToVideoLatent": (32, 4),
    "EmptyHunyuanLatentVideo": (16, 4),
    "EmptyLTXVLatentVideo": (32, 8),
    "LTXVImgToVideo": (32, 8),
}
"""By class: what sizes are a multiple of, and what lengths less one are."""


@dataclass(frozen=True)
class Ordered:
    """The film that a graph orders, and the node and prefix that save it."""

    width: int
    height: int
    frames: int
    fps: float
    output: str
    prefix: str
    seed: int


def ordered(graph: Mapping[str, Any], output: str) -> Ordered:
    """What the graph makes at that output."""
    nodes = {key: (node["class_type"], node["inputs"]) for key, node in graph.items()}
    found: dict[str, Any] = {"seed": 0, "fps": 24.0}
    for kind, inputs in nodes.values():
        if kind in GRIDS:
            grid, step = GRIDS[kind]
            found["width"] = inputs["width"] // grid * grid
            found["height"] = inputs["height"] // grid * grid
            found["frames"] = (inputs["length"] - 1) // step * step + 1
        if kind == "EmptyImage" and "width" not in found:
            found |= {"width": inputs["width"], "height": inputs["height"]}
            found["frames"] = inputs["batch_size"]
        if kind == "ImageScale":
            found |= {"width": inputs["width"], "height": inputs["height"]}
        if kind == "CreateVideo":
            found["fps"] = float(inputs["fps"])
        found["seed"] = inputs.get("seed", inputs.get("noise_seed", found["seed"]))
    for kind, inputs in nodes.values():
        if kind == "RepeatImageBatch":
            found["frames"] = inputs["amount"]
    return Ordered(**found, output=output, prefix=nodes[output][1]["filename_prefix"])


def make_film(path: Path, film: Ordered, graph: Mapping[str, Any]) -> None:
    """Encode it: a moving bar on a colour that depends on the seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata["prompt"] = json.dumps(graph)
        stream: Any = container.add_stream("libx264", rate=Fraction(film.fps).limit_denominator())
        stream.width, stream.height, stream.pix_fmt = film.width, film.height, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "30"}
        for number in range(film.frames):
            picture = np.full((film.height, film.width, 3), film.seed % 200, np.uint8)
            at = number * 7 % film.width
            picture[:, at : at + 8] = 255
            frame: Any = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
