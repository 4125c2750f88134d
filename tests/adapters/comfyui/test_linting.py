"""Graphs against the classes that a server has."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.comfyui.linting import lint
from adapters.comfyui.workflows import load_workflow
from tests.comfy.validation import CLASSES


@pytest.mark.parametrize(
    ("node", "name", "value", "told"),
    [
        ("8", "steps", 0, "node 8 (KSampler): steps must be 1 to 10000, not 0"),
        ("8", "steps", "20", "steps must be a number"),
        ("8", "sampler_name", "unipc", "sampler_name cannot be 'unipc'"),
        ("8", "positve", ["5", 0], "it has no input positve"),
        ("8", "latent_image", ["5", 0], "must be LATENT, and output 0 of node 5 is CONDITIONING"),
        ("8", "latent_image", ["7", 3], "is output 3 of node 7, which has 1"),
        ("1", "unet_name", "other.safetensors", "unet_name cannot be 'other.safetensors'"),
    ],
)
def test_a_slip_is_told(node: str, name: str, value: Any, told: str) -> None:
    """Also those that a server would pass over in silence."""
    workflow = load_workflow("wan22_5b_t2v")
    files = {file for names in workflow.manifest.requires.models.values() for file in names}
    shape = {"width": 704, "height": 1280, "frames": 49, "fps": 24}
    graph = workflow.filled({"prompt": "", "seed": 1, "prefix": "a", **shape})
    assert [] == lint(graph, CLASSES, files)
    graph[node]["inputs"][name] = value
    (line,) = lint(graph, CLASSES, files)
    assert told in line


def test_an_input_that_is_missing() -> None:
    """The server says so, too; here it is said before."""
    graph = load_workflow("wan22_5b_t2v").graph
    del graph["8"]["inputs"]["cfg"]
    told = lint(graph, {"KSampler": CLASSES["KSampler"]})
    assert ["node 8 (KSampler): cfg is missing"] == told
