"""Whether a graph fits the classes of nodes that a server has, by what the server says of them.

A server says less: it ignores inputs that its class does not have, so that a misspelt one has no
effect and no message.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from adapters.comfyui.workflows import Graph

ANY = "*"
NUMBERS: dict[str, tuple[type, ...]] = {"INT": (int,), "FLOAT": (int, float)}


def lint(graph: Graph, classes: Mapping[str, Any], files: Collection[str] = ()) -> list[str]:
    """What is wrong with a graph, a line each.

    ``classes`` is ``/object_info``; classes that it lacks are passed over, because they are told
    elsewhere.  ``files`` are values that name files of the server, which other checks look for.
    """
    found = []
    for key, node in graph.items():
        declared = classes.get(node["class_type"])
        if declared is None:
            continue
        place = f"node {key} ({node['class_type']})"
        groups = declared.get("input", {})
        known = {**groups.get("required", {}), **groups.get("optional", {})}
        found += [
            f"{place}: {name} is missing"
            for name, config in groups.get("required", {}).items()
            if name not in node["inputs"] and not _is_dynamic(config)
        ]
        for name, value in node["inputs"].items():
            if name not in known:
                # A dynamic input brings inputs of its own, named after it with a dot.
                if not _is_dynamic(known.get(name.partition(".")[0], ())):
                    found.append(f"{place}: it has no input {name}")
                continue
            wrong = _wrong(value, known[name], graph, classes, files)
            if wrong:
                found.append(f"{place}: {name} {wrong}")
    return found


def _wrong(
    value: Any,
    config: Sequence[Any],
    graph: Graph,
    classes: Mapping[str, Any],
    files: Collection[str],
) -> str:
    """What is wrong with one input; empty where nothing is."""
    kind = config[0]
    facts = config[1] if len(config) > 1 and isinstance(config[1], dict) else {}
    if isinstance(value, list):
        return _wrong_link(value, kind, graph, classes)
    options = kind if isinstance(kind, list) else facts.get("options") if kind == "COMBO" else None
    if options is not None:
        return "" if value in options or value in files else f"cannot be {value!r}"
    if kind in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, NUMBERS[kind]):
            return f"must be a number, not {value!r}"
        low, high = facts.get("min"), facts.get("max")
        if (low is not None and value < low) or (high is not None and value > high):
            return f"must be {low} to {high}, not {value}"
    return ""


def _wrong_link(value: Sequence[Any], kind: Any, graph: Graph, classes: Mapping[str, Any]) -> str:
    source = classes.get(graph[value[0]]["class_type"])
    if source is None:
        return ""
    outputs = source.get("output", [])
    if value[1] >= len(outputs):
        return f"is output {value[1]} of node {value[0]}, which has {len(outputs)}"
    given = outputs[value[1]]
    wanted = set(str(kind).split(","))
    if ANY in wanted or given == ANY or _is_dynamic((kind,)) or given in wanted:
        return ""
    return f"must be {kind}, and output {value[1]} of node {value[0]} is {given}"


def _is_dynamic(config: Sequence[Any]) -> bool:
    """Whether an input's own value says which others there are."""
    return bool(config) and isinstance(config[0], str) and config[0].startswith("COMFY_")
