"""Workflows: graphs in ComfyUI's API format, each with a manifest that says what varies.

A graph is ``{id: {class_type, inputs}}``; an input that is a list ``[id, slot]`` is a link.  The
manifest, a YAML file of the same name beside it, names the inputs that are filled in for each
clip, the sizes and lengths that the model can make, the node that saves, and what the server must
have.  Both are judged when they are loaded, so that a slip shows before anything is asked.

Left out: whether a server has what a workflow needs (``checking``).
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from adapters.comfyui.failures import failed
from config import SHIPPED
from config.errors import ConfigError
from config.models import Model
from config.wording import limit_of, shown
from events.types import Reason

WORKFLOWS = SHIPPED / "workflows"
"""The workflows that ship."""

FILE_BYTES_MAX = 1_000_000
NODES_MAX = 500
SEEDS = 1 << 64
"""Seeds are 0 to this less one; a larger one is refused."""

PARAMS = ("prompt", "image", "seed", "width", "height", "frames", "fps", "prefix")
NEEDED = ("width", "height", "frames", "prefix")

Graph = dict[str, dict[str, Any]]


class Target(Model):
    """An input of a node, with the class that the node has to be of."""

    node: str
    class_type: str
    input: str


class Limits(Model):
    """What the model can make.  Widths, heights and edges in pixels, lengths in frames.

    Sizes are multiples of ``multiple_of``, lengths ``frame_step`` × n + ``frame_offset``: what is
    off that grid comes back smaller without a word, so it is snapped up before.
    """

    multiple_of: Annotated[int, Field(ge=2, le=256, multiple_of=2)]
    frame_step: Annotated[int, Field(ge=1, le=64)]
    frame_offset: Annotated[int, Field(ge=0, le=64)]
    frames_max: Annotated[int, Field(ge=1, le=16_384)]
    short_edge_max: Annotated[int, Field(ge=16, le=16_384)]
    long_edge_max: Annotated[int, Field(ge=16, le=16_384)]
    edge_min: Annotated[int, Field(ge=2, le=1024)] = 64
    fps: Annotated[float, Field(ge=1, le=120)]

    @model_validator(mode="after")
    def _is_on_its_grid(self) -> Self:
        for name in ("short_edge_max", "long_edge_max"):
            if getattr(self, name) % self.multiple_of:
                raise ValueError(f"{name} must be a multiple of {self.multiple_of}")
        if self.short_edge_max > self.long_edge_max:
            raise ValueError("short_edge_max must be at most long_edge_max")
        if (self.frames_max - self.frame_offset) % self.frame_step:
            raise ValueError(f"frames_max must be {self.frame_step} × n + {self.frame_offset}")
        return self


class Requires(Model):
    """What a server must have besides the classes of the graph's own nodes.

    ``models`` are file names by folder under its ``models/``.
    """

    classes: tuple[str, ...] = ()
    models: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Manifest(Model):
    """What stands in the YAML file."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    graph: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+\.json$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    model: Annotated[str, Field(min_length=1, max_length=100)]
    server_min: Annotated[str, Field(pattern=r"^\d+(\.\d+){1,3}$")]
    params: dict[str, Annotated[tuple[Target, ...], Field(min_length=1)]]
    limits: Limits
    output: str
    requires: Requires = Requires()

    @model_validator(mode="after")
    def _params_are_known(self) -> Self:
        unknown = sorted(set(self.params) - set(PARAMS))
        if unknown:
            raise ValueError(f"params: no such: {', '.join(unknown)}; there are {PARAMS}")
        missing = [name for name in NEEDED if name not in self.params]
        if missing:
            raise ValueError(f"params: {', '.join(missing)} must have a target")
        return self


@dataclass(frozen=True, slots=True)
class Shape:
    """Size (pixels), length (frames) and rate (frames a second) of a clip on the model's grid."""

    width: int
    height: int
    frames: int
    fps: float


@dataclass(frozen=True, slots=True)
class Workflow:
    """A graph and its manifest; ``digest`` (64 hex digits) names both."""

    name: str
    graph: Graph
    manifest: Manifest
    digest: str

    @property
    def takes_picture(self) -> bool:
        """Whether a clip begins with a picture."""
        return "image" in self.manifest.params

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of nodes that a server must have."""
        named = {str(node["class_type"]) for node in self.graph.values()}
        return tuple(sorted(named | set(self.manifest.requires.classes)))

    def shape(self, width: int, height: int, seconds: float, *, scale: float = 1.0) -> Shape:
        """The shape that covers ``seconds`` and has the film's aspect, as large as the model can.

        It is never larger than the film needs; ``scale`` makes it smaller.  Raises
        ``EngineFailure`` (unsupported) for a clip that the model cannot make so long.
        """
        limits = self.manifest.limits
        short, long = sorted((width, height))
        fit = min(1.0, limits.short_edge_max / short, limits.long_edge_max / long) * scale
        # A hair below the frame's border is the border: 3 s at 24 fps are 72 frames, not 73.
        wanted = math.ceil(seconds * limits.fps - 1e-6)
        steps = max(0, math.ceil((wanted - limits.frame_offset) / limits.frame_step))
        frames = max(1, limits.frame_offset + steps * limits.frame_step)
        if frames > limits.frames_max:
            longest = limits.frames_max / limits.fps
            detail = f"{self.name} makes at most {longest:.2f} s, not {seconds:.2f} s"
            raise failed(Reason.UNSUPPORTED, detail)
        return Shape(self._edge(width * fit), self._edge(height * fit), frames, limits.fps)

    def _edge(self, pixels: float) -> int:
        limits = self.manifest.limits
        wanted = max(float(limits.edge_min), pixels)
        return math.ceil(wanted / limits.multiple_of - 1e-6) * limits.multiple_of

    def filled(self, values: Mapping[str, Any]) -> Graph:
        """The graph with ``values`` (by the names of ``PARAMS``) in place."""
        graph = copy.deepcopy(self.graph)
        for name, targets in self.manifest.params.items():
            for target in targets:
                graph[target.node]["inputs"][target.input] = values[name]
        return graph


def load_workflow(name: str, folder: str = "") -> Workflow:
    """The workflow of that name from ``folder``, else from those that ship.

    Raises ``ConfigError`` with file, key, value and limit.
    """
    folders = [*([Path(folder)] if folder else []), WORKFLOWS]
    for place in folders:
        path = place / f"{name}.yaml"
        if path.is_file():
            return _loaded(name, path)
    known = ", ".join(sorted({p.stem for place in folders for p in place.glob("*.yaml")}))
    raise ConfigError("workflows", name, "", f"no such workflow; there are {known}")


def _loaded(name: str, path: Path) -> Workflow:
    manifest = _manifest(path)
    graph_path = path.parent / manifest.graph
    content = _read(graph_path)
    found = hashlib.sha256(content).hexdigest()
    if found != manifest.sha256:
        allowed = f"{manifest.graph} has changed: look at it, then write sha256: {found}"
        raise ConfigError(str(path), "sha256", manifest.sha256, allowed)
    graph = checked_graph(content, graph_path)
    _check_targets(manifest, graph, path)
    digest = hashlib.sha256(content + _read(path)).hexdigest()
    return Workflow(name, graph, manifest, digest)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            size = f"{path.stat().st_size} bytes"
            raise ConfigError(str(path), "", size, f"at most {FILE_BYTES_MAX}")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), "", "", f"cannot be read: {error}") from error


def _manifest(path: Path) -> Manifest:
    try:
        raw = yaml.safe_load(_read(path).decode())
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        told = " ".join(str(error).split())
        raise ConfigError(str(path), "", "", f"is no YAML: {told}") from error
    try:
        return Manifest.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        value = "" if first["type"] in {"missing", "value_error"} else shown(first["input"])
        raise ConfigError(str(path), key, value, limit_of(first)) from error


def checked_graph(content: bytes, path: Path) -> Graph:
    """A graph whose nodes have a class and inputs, and whose links lead to nodes of it.

    A node without ``inputs`` is not only wrong: the server takes it, and its worker dies of it.
    """
    where = str(path)
    try:
        raw = json.loads(content)
    except ValueError as error:
        raise ConfigError(where, "", "", f"is no JSON: {error}") from error
    if isinstance(raw, dict) and isinstance(raw.get("nodes"), list):
        allowed = "is in the format of the user interface: use File, Export (API) there"
        raise ConfigError(where, "nodes", "", allowed)
    if not isinstance(raw, dict) or not 1 <= len(raw) <= NODES_MAX:
        raise ConfigError(where, "", "", f"must be an object of 1 to {NODES_MAX} nodes")
    for key, node in raw.items():
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            raise ConfigError(where, key, "", "a node needs a class_type")
        if not isinstance(node.get("inputs"), dict):
            raise ConfigError(where, key, "", "a node needs inputs, be they {}")
        for name, value in node["inputs"].items():
            if isinstance(value, list) and not _is_link(value, raw):
                allowed = "a list is a link: [id of a node here, number of its output]"
                raise ConfigError(where, f"{key}.inputs.{name}", shown(str(value)), allowed)
    return raw


def _is_link(value: list[Any], graph: Mapping[str, Any]) -> bool:
    return (
        len(value) == 2  # noqa: PLR2004 - a link is a pair
        and isinstance(value[0], str)
        and value[0] in graph
        and type(value[1]) is int
        and value[1] >= 0
    )


def _check_targets(manifest: Manifest, graph: Graph, path: Path) -> None:
    """Every target is an input of the node and class that it names; the output is a node."""
    for name, targets in manifest.params.items():
        for number, target in enumerate(targets):
            where = f"params.{name}.{number}"
            node = graph.get(target.node)
            if node is None:
                raise ConfigError(str(path), f"{where}.node", target.node, "no node of the graph")
            if node["class_type"] != target.class_type:
                allowed = f"node {target.node} is a {node['class_type']}"
                raise ConfigError(str(path), f"{where}.class_type", target.class_type, allowed)
            if target.input not in node["inputs"]:
                known = ", ".join(node["inputs"])
                allowed = f"no input of node {target.node}; there are {known}"
                raise ConfigError(str(path), f"{where}.input", target.input, allowed)
            if isinstance(node["inputs"][target.input], list):
                allowed = f"is a link in node {target.node}; what is filled in must be a value"
                raise ConfigError(str(path), f"{where}.input", target.input, allowed)
    if manifest.output not in graph:
        raise ConfigError(str(path), "output", manifest.output, "no node of the graph")
    prefixes = {target.node for target in manifest.params["prefix"]}
    if prefixes != {manifest.output}:
        raise ConfigError(
            str(path), "params.prefix", "", f"its node is the output, {manifest.output}"
        )
