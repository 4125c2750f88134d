"""Which engine stands behind an entry of ``config/engines.yaml``: kinds by name.

A kind is a function of the entry and of what all engines of a process share; it answers with an
``Engine``, or with a ``Generator``, around which the registry puts the one engine that keeps clips
and draws over them.  Kinds of other packages come by the entry point group ``pytoon.engines``.

An engine that cannot be asked from here (no key, a broken plug-in) is left out, and it is told
why; an entry that is wrong stops the start, as every mistake in the configuration does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from typing import TypeGuard, cast

from adapters.base import ArtifactStore, Engine
from adapters.generation import Generator
from adapters.workers import WorkerPool
from config.errors import ConfigError
from config.models import Config, EngineSettings
from config.wording import nearest, shown

GROUP = "pytoon.engines"
"""The entry point group: an entry's name is the kind, its object an ``EngineFactory``."""


class EngineUnusable(Exception):
    """An engine cannot be asked from this process; the message says what to do about it."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What the engines of a process share.  Nothing of it is theirs to close."""

    store: ArtifactStore
    workers: WorkerPool
    config: Config
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


EngineFactory = Callable[[EngineSettings, Resources], Engine | Generator]
"""Makes one engine, without any I/O but reading files.

Raises ``ConfigError`` where the entry's options are wrong, and ``EngineUnusable``.
"""


@dataclass(frozen=True, kw_only=True)
class Engines:
    """The enabled engines of a process, in their configured order.

    ``usable`` may be asked; each name in ``left_out`` comes with the reason and what to do.
    """

    usable: dict[str, Engine]
    left_out: dict[str, str]


def make_engines(resources: Resources) -> Engines:
    """Make every enabled engine.  Raises ``ConfigError`` for an entry that is wrong."""
    usable: dict[str, Engine] = {}
    left_out: dict[str, str] = {}
    for settings in resources.config.engines:
        if not settings.enabled:
            continue
        try:
            usable[settings.name] = make_engine(settings, resources)
        except EngineUnusable as why:
            left_out[settings.name] = str(why)
    return Engines(usable=usable, left_out=left_out)


def make_engine(settings: EngineSettings, resources: Resources) -> Engine:
    """Make one engine.  Raises ``ConfigError``, ``EngineUnusable``."""
    factory = BUILT_IN.get(settings.kind) or _plugged_in(settings)
    made = factory(settings, resources)
    if not _is_generator(made):
        return cast("Engine", made)
    from adapters.generated import GeneratedEngine  # noqa: PLC0415 - as below

    return GeneratedEngine(
        made,
        resources.store,
        resources.workers,
        settings=resources.config.generation,
        limits=resources.config.limits,
    )


def kinds() -> tuple[str, ...]:
    """Every kind that an entry may name: the built-in ones and those of other packages."""
    return tuple(sorted({*BUILT_IN, *(entry.name for entry in _entry_points())}))


def _entry_points() -> tuple[metadata.EntryPoint, ...]:
    return tuple(metadata.entry_points(group=GROUP))


def _plugged_in(settings: EngineSettings) -> EngineFactory:
    """The kind that another package brings; told by name where it does not work."""
    found = [entry for entry in _entry_points() if entry.name == settings.kind]
    where = f"engines.{settings.name}"
    if not found:
        allowed = f"no such kind; there are {', '.join(kinds())}{nearest(settings.kind, kinds())}"
        raise ConfigError(where, "kind", shown(settings.kind), allowed)
    if len(found) > 1:
        packages = ", ".join(sorted(_package_of(entry) for entry in found))
        raise ConfigError(where, "kind", shown(settings.kind), f"brought by each of {packages}")
    return partial(_guarded, found[0])


def _guarded(
    entry: metadata.EntryPoint, settings: EngineSettings, resources: Resources
) -> Engine | Generator:
    """Load a plug-in and call it: whatever it raises is told with its name."""
    named = f"the kind {entry.name!r} of the package {_package_of(entry)}"
    try:
        made: object = entry.load()(settings, resources)
    except (ConfigError, EngineUnusable):
        raise
    except Exception as error:
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        msg = f"{named} does not work: {detail}; update or remove that package"
        raise EngineUnusable(msg) from error
    if not (_is_engine(made) or _is_generator(made)):
        raise EngineUnusable(f"{named} makes a {type(made).__name__}, which is no engine")
    if made.name != settings.name:
        raise EngineUnusable(f"{named} calls itself {made.name!r}, not {settings.name!r}")
    return made


def _package_of(entry: metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist else "(unknown)"


def _is_engine(made: object) -> TypeGuard[Engine]:
    return _has(made, "capabilities", "health", "render", "close")


def _is_generator(made: object) -> TypeGuard[Generator]:
    return _has(made, "capabilities", "recipe", "health", "generate", "close")


def _has(made: object, *methods: str) -> bool:
    named = isinstance(getattr(made, "name", None), str)
    return named and all(callable(getattr(made, method, None)) for method in methods)


# What an engine needs is imported when one is made: a command line that composes should not wait
# for an HTTP client.


def _compositor(settings: EngineSettings, resources: Resources) -> Engine:
    from adapters.compositor import CompositorEngine  # noqa: PLC0415

    return CompositorEngine(
        resources.store,
        resources.workers,
        name=settings.name,
        limits=resources.config.limits,
    )


def _null(settings: EngineSettings, resources: Resources) -> Engine:
    from adapters.null import NullEngine  # noqa: PLC0415

    return NullEngine(resources.store, name=settings.name)


def _comfyui(settings: EngineSettings, resources: Resources) -> Generator:
    from adapters.comfyui import from_settings  # noqa: PLC0415

    return from_settings(settings, resources.workers)


def _hosted(settings: EngineSettings, resources: Resources) -> Generator:
    from adapters.hosted import from_settings  # noqa: PLC0415

    return from_settings(settings, resources)


BUILT_IN: dict[str, EngineFactory] = {
    "compositor": _compositor,
    "template": _compositor,
    "null": _null,
    "comfyui": _comfyui,
    "hosted": _hosted,
}
"""The kinds that ship."""
