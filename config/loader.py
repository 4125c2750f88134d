"""Reads a configuration: the shipped files, a directory laid over them, the environment over both.

The shipped files lie beside this module.  ``PYTOON_CONFIG`` names a directory whose files of the
same names are laid over them key by key (a list replaces a list).  Then each environment variable
``PYTOON_<SECTION>__<KEY>`` sets one key; its value is read as YAML.  An engine of the list is
addressed by its name: ``PYTOON_ENGINES__TEMPLATE__ENABLED=false``.

Every error says where the value stands.  Left out here: what the keys mean (``models``) and what a
request may ask (``request``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.errors import ConfigError
from config.models import Config
from config.wording import limit_of, nearest, shown

SHIPPED = Path(__file__).resolve().parent
PREFIX = "PYTOON_"
RESERVED = frozenset(
    {
        "API_KEYS",
        "ASSET_ROOTS",
        "CONFIG",
        "HOME",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "SIGNING_KEYS",
        "TRUSTED_KEYS",
    }
)
"""Names after ``PYTOON_`` that are read elsewhere and are no keys of the configuration."""

SHORT = {"PYTOON_STORE": ("store", "url")}
"""Variables with a name of their own for one key; their value is a text, not YAML."""

SECTIONS = (
    "defaults",
    "sound",
    "limits",
    "budget",
    "circuits",
    "settle",
    "store",
    "log",
    "runtime",
    "gateway",
    "traces",
)
"""The sections of ``defaults.yaml``."""

FILES = {
    "delivery": "delivery.yaml",
    "presets": "presets.yaml",
    "engines": "engines.yaml",
    "generation": "generation.yaml",
}
"""The sections that have a file of their own."""

FONTS = "fonts/fonts.yaml"
BYTES_MAX = 1_000_000
"""A larger YAML file is no configuration of ours."""

KeyPath = tuple[str | int, ...]
Origins = dict[KeyPath, str]


class StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML that refuses a key that is written twice: one of the two would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the base's signature
        """Build a mapping.  Raises ``yaml.YAMLError`` for a repeated key."""
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            if key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: the key {key!r} is written twice")
            seen.add(key)
        return dict(super().construct_mapping(node, deep=deep))


def load(directory: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration.

    ``directory`` is laid over the shipped files (default: ``PYTOON_CONFIG`` of ``environ``, which
    is the process's environment unless given).  Raises ``ConfigError``.
    """
    environ = os.environ if environ is None else environ
    over = directory or (Path(environ["PYTOON_CONFIG"]) if environ.get("PYTOON_CONFIG") else None)
    if over is not None and not over.is_dir():
        raise ConfigError("PYTOON_CONFIG", "", str(over), "there is no such directory")
    raw: dict[str, Any] = {}
    origins: Origins = {}
    for layer in (SHIPPED, *([over] if over else [])):
        for key, value, where in _sections(layer, required=layer == SHIPPED):
            raw[key] = _laid_over(raw.get(key), value, (key,), where, origins)
    for name, path, value in _overrides(raw, environ):
        _set(raw, path, value)
        origins[path] = name
    return _validated(raw, origins)


def _sections(layer: Path, *, required: bool) -> Iterator[tuple[str, Any, str]]:
    """Each section of a directory with the file it stands in."""
    defaults = layer / "defaults.yaml"
    if required or defaults.is_file():
        content = _read(defaults)
        if not isinstance(content, dict):
            raise ConfigError(str(defaults), "", "", f"must hold the sections {SECTIONS}")
        for key, value in content.items():
            if key not in SECTIONS:
                allowed = f"no such section{nearest(str(key), SECTIONS)}"
                raise ConfigError(str(defaults), str(key), "", allowed)
            yield key, value, str(defaults)
    for key, name in FILES.items():
        path = layer / name
        if required or path.is_file():
            content = _read(path)
            if key == "engines":
                content = content.get("engines") if isinstance(content, dict) else content
            yield key, content, str(path)
    path = layer / FONTS
    if required or path.is_file():
        content = _read(path)
        if isinstance(content, dict):
            content = {**content, "directory": str(path.parent)}
        yield "fonts", content, str(path)


def _read(path: Path) -> Any:
    try:
        size = path.stat().st_size
        text = path.read_text(encoding="utf-8") if size <= BYTES_MAX else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "", "", f"cannot be read: {error}") from error
    if size > BYTES_MAX:
        raise ConfigError(str(path), "", f"{size} bytes", f"at most {BYTES_MAX}")
    try:
        return yaml.load(text, Loader=StrictLoader)  # noqa: S506 - a SafeLoader, only stricter
    except yaml.YAMLError as error:
        told = " ".join(str(error).split())
        raise ConfigError(str(path), "", "", f"is no YAML: {told}") from error


def _laid_over(base: Any, over: Any, path: KeyPath, where: str, origins: Origins) -> Any:
    """``over`` on ``base``, key by key; notes in ``origins`` where each key was set."""
    origins[path] = where
    if not isinstance(over, dict):
        return over
    base = base if isinstance(base, dict) else {}
    laid = dict(base)
    for key, value in over.items():
        laid[str(key)] = _laid_over(base.get(key), value, (*path, str(key)), where, origins)
    return laid


def _overrides(
    raw: Mapping[str, Any], environ: Mapping[str, str]
) -> Iterator[tuple[str, KeyPath, Any]]:
    """Each variable that sets a key: its name, the key's path, its value read as YAML."""
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name.removeprefix(PREFIX) in RESERVED:
            continue
        if name in SHORT:
            yield name, SHORT[name], environ[name]
            continue
        section, *keys = name.removeprefix(PREFIX).lower().split("__")
        if section not in raw:
            # One underscore where two belong, or a section that does not exist.
            if keys or section.split("_")[0] in raw:
                example = "PYTOON_<SECTION>__<KEY>, such as PYTOON_DEFAULTS__FPS"
                known = ", ".join(sorted(raw))
                raise ConfigError(name, "", "", f"sets no key: {example}; sections: {known}")
            continue
        if not keys or not all(keys):
            raise ConfigError(name, section, "", "names a section but no key of it")
        yield name, _path(name, raw, section, keys), _value(name, environ[name])


def _path(name: str, raw: Mapping[str, Any], section: str, keys: list[str]) -> KeyPath:
    """The key path that a variable means; list entries are found by their ``name``."""
    if section != "engines":
        return (section, *keys)
    names = [entry.get("name") for entry in raw[section] if isinstance(entry, dict)]
    if keys[0] not in names:
        known = ", ".join(str(known) for known in names)
        raise ConfigError(name, f"engines.{keys[0]}", "", f"no such engine; there are {known}")
    return (section, names.index(keys[0]), *keys[1:])


def _value(name: str, text: str) -> Any:
    try:
        return yaml.load(text, Loader=StrictLoader)  # noqa: S506 - a SafeLoader, only stricter
    except yaml.YAMLError as error:
        raise ConfigError(name, "", shown(text), "is no YAML value; quote it") from error


def _set(raw: dict[str, Any], path: KeyPath, value: Any) -> None:
    """Set one key; sections in between are made where they are missing."""
    place: Any = raw
    for key in path[:-1]:
        if isinstance(place, dict) and not isinstance(place.get(key), dict | list):
            place[key] = {}
        place = place[key]
    place[path[-1]] = value


def _validated(raw: dict[str, Any], origins: Origins) -> Config:
    # JSON is the strict mode in which a string is an enum's value and a list a tuple.
    try:
        return Config.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise _told(error.errors(include_url=False), origins) from error


def _told(errors: list[ErrorDetails], origins: Origins) -> ConfigError:
    """The first problem; the others are counted."""
    first = errors[0]
    path: KeyPath = first["loc"]
    where = next((origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in origins), "")
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    value = "" if first["type"] in {"missing", "value_error"} else shown(first["input"])
    key = ".".join(str(part) for part in path)
    allowed = limit_of(first) + _did_you_mean(first, path)
    return ConfigError(where or "configuration", key, value, allowed + more)


def _did_you_mean(error: ErrorDetails, path: KeyPath) -> str:
    model = _model_at(path[:-1]) if error["type"] == "extra_forbidden" else None
    return nearest(str(path[-1]), model.model_fields) if model else ""


def _model_at(path: KeyPath) -> type[BaseModel] | None:
    """The model that a key path leads to; None where there is none."""
    kind: Any = Config
    for part in path:
        if _is_model(kind):
            field = kind.model_fields.get(str(part))
            kind = field.annotation if field else None
        else:
            kind = next((inner for inner in get_args(kind) if _is_model(inner)), None)
    return kind if _is_model(kind) else None


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


@cache
def shipped() -> Config:
    """The configuration as it ships, whatever the environment says."""
    return load(SHIPPED, {})
