"""Graphs and manifests: those that ship, and what is said of those that are wrong."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from adapters.base import EngineFailure
from adapters.comfyui.linting import lint
from adapters.comfyui.workflows import WORKFLOWS, Shape, load_workflow
from config import ConfigError
from tests.comfy.validation import CLASSES, Judge

NAMES = sorted(path.stem for path in WORKFLOWS.glob("*.yaml"))
FAMILIES = {"wan22": (32, 4, 24), "wan21": (16, 4, 16), "ltxv": (32, 8, 25), "proof": (2, 1, 24)}
"""What each family's sizes are a multiple of, the step of its lengths, and its rate."""


def test_what_ships() -> None:
    """Every graph has a manifest, and they are those that the documents tell of."""
    assert NAMES == sorted(path.stem for path in WORKFLOWS.glob("*.json"))
    assert [
        "ltxv_i2v",
        "ltxv_t2v",
        "proof_picture",
        "proof_words",
        "wan21_t2v",
        "wan22_5b_i2v",
        "wan22_5b_t2v",
    ] == NAMES


def values(name: str) -> dict[str, Any]:
    """What would be filled in for a second."""
    shape = load_workflow(name).shape(1080, 1920, 1.0)
    return {
        "prompt": "a lighthouse",
        "image": "pytoon/a/0-a1.png",
        "seed": (1 << 64) - 1,
        "width": shape.width,
        "height": shape.height,
        "frames": shape.frames,
        "fps": shape.fps,
        "prefix": "pytoon/a/0-a1",
    }


@pytest.mark.parametrize("name", NAMES)
def test_each_fits_the_server(name: str) -> None:
    """Every class, input, link, number and choice is one that ComfyUI 0.33 has."""
    workflow = load_workflow(name)
    graph = workflow.filled(values(name))
    assert [] == sorted(set(workflow.classes) - set(CLASSES))
    models = workflow.manifest.requires.models
    files = {"pytoon/a/0-a1.png", *(file for names in models.values() for file in names)}
    assert [] == lint(graph, CLASSES, files)
    known = {folder: list(names) for folder, names in models.items()}
    judge = Judge(CLASSES, known, {"pytoon/a/0-a1.png"})
    outputs = judge.outputs(graph, None)
    assert [workflow.manifest.output] == outputs
    assert {} == judge.faults(graph, outputs)


@pytest.mark.parametrize("name", NAMES)
def test_each_uses_every_node_and_model(name: str) -> None:
    """No node hangs loose, and the manifest lists the files that the graph loads."""
    workflow = load_workflow(name)
    reached = {workflow.manifest.output}
    for _ in workflow.graph:
        reached |= {
            value[0]
            for key in reached
            for value in workflow.graph[key]["inputs"].values()
            if isinstance(value, list)
        }
    assert set(workflow.graph) == reached
    named = {
        value
        for node in workflow.graph.values()
        for value in node["inputs"].values()
        if str(value).endswith(".safetensors")
    }
    models = workflow.manifest.requires.models
    assert named == {file for names in models.values() for file in names}


@pytest.mark.parametrize("name", NAMES)
def test_each_has_the_grid_of_its_family(name: str) -> None:
    """Off that grid a clip comes back smaller than it was asked for."""
    limits = load_workflow(name).manifest.limits
    told = (limits.multiple_of, limits.frame_step, limits.fps)
    assert FAMILIES[name.partition("_")[0]] == told


@pytest.mark.parametrize(
    ("name", "film", "shape"),
    [
        # 9:16 in the largest that the model makes, snapped up.
        ("wan22_5b_t2v", (1080, 1920, 3.2), Shape(704, 1280, 77, 24)),
        ("wan21_t2v", (1080, 1920, 3.0), Shape(480, 832, 49, 16)),
        ("ltxv_i2v", (1080, 1920, 3.0), Shape(704, 1280, 81, 25)),
        # Facts: 170 × 300 × 20 asked for gave 168 × 296 × 17.  Up, not down.
        ("wan21_t2v", (170, 300, 20 / 16), Shape(176, 304, 21, 16)),
        # Already on the grid: nothing is added.
        ("wan21_t2v", (160, 288, 17 / 16), Shape(160, 288, 17, 16)),
        ("proof_words", (1080, 1920, 2.0), Shape(1080, 1920, 48, 24)),
        # Lying down.
        ("wan22_5b_t2v", (1920, 1080, 1.0), Shape(1280, 704, 25, 24)),
    ],
)
def test_shapes(name: str, film: tuple[int, int, float], shape: Shape) -> None:
    """The film's aspect, as large as the model can, and never too short."""
    assert shape == load_workflow(name).shape(*film)


@given(
    name=st.sampled_from(NAMES),
    width=st.integers(16, 8192),
    height=st.integers(16, 8192),
    frames=st.integers(1, 150),
    fps=st.integers(10, 60),
)
def test_every_shape_is_on_the_grid(
    name: str, width: int, height: int, frames: int, fps: int
) -> None:
    """Long enough, within the model's bounds, and on its grid; or refused as too long."""
    workflow = load_workflow(name)
    limits = workflow.manifest.limits
    seconds = frames / fps
    try:
        shape = workflow.shape(width, height, seconds)
    except EngineFailure:
        assert seconds * limits.fps > limits.frames_max - limits.frame_step
        return
    assert (0, 0) == (shape.width % limits.multiple_of, shape.height % limits.multiple_of)
    assert 0 == (shape.frames - limits.frame_offset) % limits.frame_step
    assert shape.frames / shape.fps >= seconds - 1e-6
    assert shape.frames - limits.frame_step < seconds * limits.fps + 1
    assert limits.long_edge_max >= max(shape.width, shape.height)


def made(folder: Path, **changes: Any) -> Path:
    """A workflow of one's own: that of the proof, with changes to its manifest or graph."""
    graph = json.loads((WORKFLOWS / "proof_words.json").read_text())
    graph = changes.pop("graph", graph)
    content = graph if isinstance(graph, bytes) else json.dumps(graph).encode()
    (folder / "mine.json").write_bytes(content)
    manifest = yaml.safe_load((WORKFLOWS / "proof_words.yaml").read_text())
    sha256 = hashlib.sha256(content).hexdigest()
    manifest |= {"graph": "mine.json", "sha256": sha256, **changes}
    (folder / "mine.yaml").write_text(yaml.safe_dump(manifest))
    return folder


def refusal(folder: Path) -> ConfigError:
    """What is said of it."""
    with pytest.raises(ConfigError) as caught:
        load_workflow("mine", str(folder))
    return caught.value


def test_ones_own_folder_comes_first(tmp_path: Path) -> None:
    """A workflow of the same name beats the one that ships."""
    made(tmp_path, title="Mine")
    (tmp_path / "proof_words.yaml").write_text((tmp_path / "mine.yaml").read_text())
    assert "Mine" == load_workflow("proof_words", str(tmp_path)).manifest.title
    assert "Mine" != load_workflow("proof_words").manifest.title


def test_a_graph_that_has_changed(tmp_path: Path) -> None:
    """The manifest knows its graph by its sha256, and the message says the new one."""
    made(tmp_path)
    changed = (tmp_path / "mine.json").read_bytes() + b"\n"
    (tmp_path / "mine.json").write_bytes(changed)
    error = refusal(tmp_path)
    assert "sha256" == error.key
    assert hashlib.sha256(changed).hexdigest() in error.allowed


def targets(**changes: str) -> dict[str, Any]:
    """The proof's params with another target of the width."""
    manifest = yaml.safe_load((WORKFLOWS / "proof_words.yaml").read_text())
    width = {"node": "2", "class_type": "ImageScale", "input": "width", **changes}
    params: dict[str, Any] = {**manifest["params"], "width": [width]}
    return params


@pytest.mark.parametrize(
    ("changes", "key", "allowed"),
    [
        ({"params": targets(node="9")}, "params.width.0.node", "no node of the graph"),
        ({"params": targets(class_type="KSampler")}, "params.width.0.class_type", "ImageScale"),
        ({"params": targets(input="breadth")}, "params.width.0.input", "there are image"),
        ({"params": targets(input="image")}, "params.width.0.input", "is a link"),
        ({"params": {}}, "", "must have a target"),
        ({"params": {**targets(), "sorcery": targets()["width"]}}, "", "no such: sorcery"),
        ({"output": "9"}, "output", "no node of the graph"),
        ({"output": "4"}, "params.prefix", "its node is the output"),
        ({"server_min": "new"}, "server_min", "a text that matches"),
        ({"colour": "red"}, "colour", "no such key"),
        ({"graph": b"{"}, "", "is no JSON"),
        ({"graph": {"nodes": [], "links": []}}, "nodes", "Export (API)"),
        ({"graph": {}}, "", "1 to 500 nodes"),
        # Such a node is taken by the server, and kills its worker for good.
        ({"graph": {"1": {"class_type": "EmptyImage"}}}, "1", "inputs"),
        ({"graph": {"1": {"inputs": {}}}}, "1", "class_type"),
        ({"graph": {"1": {"class_type": "A", "inputs": {"x": ["2", 0]}}}}, "1.inputs.x", "link"),
        ({"graph": {"1": {"class_type": "A", "inputs": {"x": ["1"]}}}}, "1.inputs.x", "link"),
    ],
)
def test_what_is_wrong_is_named(
    changes: dict[str, Any], key: str, allowed: str, tmp_path: Path
) -> None:
    """With the file, the key and what would be right."""
    error = refusal(made(tmp_path, **changes))
    assert str(tmp_path) in error.where
    assert key in error.key
    assert allowed in error.allowed


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [
        ({"short_edge_max": 1081}, "must be a multiple of 2"),
        ({"multiple_of": 7}, "a multiple of 2"),
        ({"short_edge_max": 1920, "long_edge_max": 1080}, "at most long_edge_max"),
        ({"frame_step": 4}, "must be 4 × n + 0"),
    ],
)
def test_limits_agree(limits: dict[str, Any], allowed: str, tmp_path: Path) -> None:
    """What is off its own grid could never be met."""
    manifest = yaml.safe_load((WORKFLOWS / "proof_words.yaml").read_text())
    changed = {**manifest["limits"], "frames_max": 49, **limits}
    assert allowed in refusal(made(tmp_path, limits=changed)).allowed
