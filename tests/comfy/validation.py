"""What the server says of a graph before it queues it, word for word where it was captured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CLASSES: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parent.parent / "data/comfyui/object_info.json").read_text()
)
"""``/object_info`` of a ComfyUI 0.33.0, as far as the workflows need it."""

MODEL_INPUTS = {
    "UNETLoader": ("unet_name", "diffusion_models"),
    "CLIPLoader": ("clip_name", "text_encoders"),
    "VAELoader": ("vae_name", "vae"),
    "CheckpointLoaderSimple": ("ckpt_name", "checkpoints"),
}
"""Where a class takes a file, and from which folder."""

Faults = dict[str, dict[str, Any]]


class Judge:
    """Judges graphs as a server with these models and pictures would."""

    def __init__(
        self, classes: Mapping[str, Any], models: Mapping[str, list[str]], pictures: set[str]
    ) -> None:
        self._classes = classes
        self._models = models
        self._pictures = pictures

    def unknown(self, graph: Mapping[str, Any]) -> dict[str, Any] | None:
        """The first node whose class is missing, as an error."""
        for key, node in graph.items():
            kind = node.get("class_type")
            title = node.get("_meta", {}).get("title", kind)
            if kind not in self._classes:
                words = (
                    "has no class_type. The workflow may be corrupted or a custom node is missing."
                    if kind is None
                    else "not found. The custom node may not be installed."
                )
                return {
                    "type": "missing_node_type",
                    "message": f"Node '{title}' {words}",
                    "details": f"Node ID '#{key}'",
                    "extra_info": {"node_id": key, "class_type": kind, "node_title": title},
                }
        return None

    def outputs(self, graph: Mapping[str, Any], only: list[str] | None) -> list[str]:
        """The nodes that save something."""
        return [
            key
            for key, node in graph.items()
            if self._classes[node["class_type"]]["output_node"] and (only is None or key in only)
        ]

    def faults(self, graph: Mapping[str, Any], outputs: list[str]) -> Faults:
        """What is wrong with the nodes that the outputs depend on, by node."""
        found: Faults = {}
        for output in outputs:
            self._walk(graph, (output,), found, set())
        return found

    def _walk(
        self, graph: Mapping[str, Any], path: tuple[str, ...], found: Faults, seen: set[str]
    ) -> None:
        """Judge the last node of a path that begins at an output, and what it depends on."""
        output, key = path[0], path[-1]
        if key in path[:-1]:
            self._note_cycle(graph, path, found)
            return
        if key in seen:
            return
        seen.add(key)
        node = graph[key]
        inputs = node["inputs"]
        declared = self._classes[node["class_type"]]["input"]
        errors = []
        for name, config in declared["required"].items():
            if name not in inputs:
                if config[0] == "COMFY_DYNAMICCOMBO_V3":
                    continue
                errors.append(
                    _error("required_input_missing", "Required input is missing", name, name)
                )
                continue
            errors += self._value(graph, node["class_type"], name, config, inputs[name])
        for name, value in inputs.items():
            if _is_link(value) and value[0] in graph:
                try:
                    self._walk(graph, (*path, value[0]), found, seen)
                except (KeyError, IndexError) as error:
                    config = {**declared["required"], **declared.get("optional", {})}[name]
                    told = _inner(error, name, config, value)
                    _note(found, graph, value[0], output, [told])
        if errors:
            _note(found, graph, key, output, errors)

    def _note_cycle(self, graph: Mapping[str, Any], path: tuple[str, ...], found: Faults) -> None:
        """What was come back to, and all that lies between, depend on themselves."""
        circle = path[path.index(path[-1]) : -1]
        words = [f"{key} ({graph[key]['class_type']})" for key in (*circle, circle[0])]
        for key in circle:
            error = {
                "type": "dependency_cycle",
                "message": "Dependency cycle detected",
                "details": " -> ".join(words),
                "extra_info": {"node_id": key, "cycle_nodes": list(circle)},
            }
            _note(found, graph, key, path[0], [error])

    def _value(
        self, graph: Mapping[str, Any], kind: str, name: str, config: list[Any], value: Any
    ) -> list[dict[str, Any]]:
        facts = {"input_config": config, "received_value": value}
        if isinstance(value, list):
            return self._link(graph, name, config, value)
        if str(config[0]) in {"INT", "FLOAT"}:
            return _number(name, config, value)
        options = config[0] if isinstance(config[0], list) else None
        if config[0] == "COMBO":
            options = config[1]["options"]
        if kind in MODEL_INPUTS and MODEL_INPUTS[kind][0] == name:
            options = self._models.get(MODEL_INPUTS[kind][1], [])
        if kind == "LoadImage" and name == "image":
            if value in self._pictures:
                return []
            details = f"image - Invalid image file: {value}"
            return [
                _error(
                    "custom_validation_failed", "Custom validation failed for node", details, name
                )
            ]
        if options is not None and value not in options:
            details = f"{name}: '{value}' not in {options}"
            return [_error("value_not_in_list", "Value not in list", details, name, **facts)]
        return []

    def _link(
        self, graph: Mapping[str, Any], name: str, config: list[Any], value: list[Any]
    ) -> list[dict[str, Any]]:
        if not _is_link(value):
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            facts = {"input_config": config, "received_value": value}
            return [_error("bad_linked_input", message, name, name, **facts)]
        given = self._classes[graph[value[0]]["class_type"]]["output"][value[1]]
        if given != config[0]:
            details = f"{name}, received_type({given}) mismatch input_type({config[0]})"
            message = "Return type mismatch between linked nodes"
            facts = {"input_config": config, "received_type": given, "linked_node": value}
            return [_error("return_type_mismatch", message, details, name, **facts)]
        return []


def _number(name: str, config: list[Any], value: Any) -> list[dict[str, Any]]:
    bounds = config[1] if len(config) > 1 else {}
    kind = int if config[0] == "INT" else float
    try:
        number = kind(value)
    except (TypeError, ValueError) as error:
        details = f"{name}, {value}, {error}"
        message = f"Failed to convert an input value to a {config[0]} value"
        facts = {
            "input_config": config,
            "received_value": value,
            "exception_message": str(error),
        }
        return [_error("invalid_input_type", message, details, name, **facts)]
    facts = {"input_config": config, "received_value": value}
    if "min" in bounds and number < bounds["min"]:
        message = f"Value {number} smaller than min of {bounds['min']}"
        return [_error("value_smaller_than_min", message, name, name, **facts)]
    if "max" in bounds and number > bounds["max"]:
        message = f"Value {number} bigger than max of {bounds['max']}"
        return [_error("value_bigger_than_max", message, name, name, **facts)]
    return []


def _note(
    found: Faults, graph: Mapping[str, Any], key: str, output: str, errors: list[dict[str, Any]]
) -> None:
    kind = graph[key]["class_type"]
    entry = found.setdefault(key, {"errors": errors, "dependent_outputs": [], "class_type": kind})
    entry["dependent_outputs"].append(output)


def _inner(error: Exception, name: str, config: Any, link: list[Any]) -> dict[str, Any]:
    """A node that cannot even be judged: told where its judging was asked for."""
    return _error(
        "exception_during_inner_validation",
        "Exception when validating inner node",
        str(error),
        name,
        input_config=config,
        exception_message=str(error),
        exception_type=type(error).__name__,
        traceback=[],
        linked_node=link,
    )


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _error(kind: str, message: str, details: str, name: str, **facts: Any) -> dict[str, Any]:
    extra = {"input_name": name, **facts}
    return {"type": kind, "message": message, "details": details, "extra_info": extra}
