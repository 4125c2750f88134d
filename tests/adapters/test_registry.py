"""Which engine stands behind an entry, and what is told where none does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.base import Capabilities, Engine, Health
from adapters.compositor import CompositorEngine
from adapters.files import FileStore
from adapters.generated import GeneratedEngine
from adapters.null import NullEngine
from adapters.registry import (
    EngineFactory,
    EngineUnusable,
    Resources,
    kinds,
    make_engine,
    make_engines,
)
from config.errors import ConfigError
from config.loader import shipped
from config.models import EngineSettings
from tests.hosted.bench import HereWorkers, generator, settings
from tests.hosted.provider import KEY

PLUG_IN = "tests.adapters.test_registry"


def resources(tmp_path: Path, *engines: EngineSettings, **environ: str) -> Resources:
    """What engines share, in a process with these entries."""
    config = shipped().model_copy(update={"engines": engines})
    store = FileStore(tmp_path / "store")
    return Resources(store=store, workers=HereWorkers(), config=config, environ=environ)


def entry(kind: str, *, enabled: bool = True, **options: Any) -> EngineSettings:
    """An entry of that kind."""
    return EngineSettings(name="mine", kind=kind, enabled=enabled, options=options)


class Plain:
    """An engine of another package: no more than the port asks for."""

    def __init__(self, name: str) -> None:
        self.name = name

    def capabilities(self) -> Capabilities:
        """Nothing."""
        return Capabilities(archetypes=frozenset(), generates=False, local=True)

    async def health(self) -> Health:
        """Well."""
        return Health(ok=True)

    async def render(self, *_: Any) -> Any:
        """Never asked here."""
        raise AssertionError

    async def close(self) -> None:
        """Nothing to release."""


def plain(settings: EngineSettings, resources: Resources) -> Plain:
    """A factory as other packages have them."""
    return Plain(settings.name)


def misnamed(settings: EngineSettings, resources: Resources) -> Plain:
    """One that ignores its entry."""
    return Plain("other")


def broken(settings: EngineSettings, resources: Resources) -> Plain:
    """One with a fault."""
    raise KeyError("colour")


def no_engine(settings: EngineSettings, resources: Resources) -> Any:
    """One that makes something else."""
    return object()


def clips(settings: EngineSettings, resources: Resources) -> Any:
    """One that only makes clips."""
    made = generator("luma")
    made.name = settings.name
    return made


def keyless(settings: EngineSettings, resources: Resources) -> Any:
    """One that cannot be asked."""
    raise EngineUnusable("set ACME_KEY")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs a package that brings kinds, as far as Python can tell."""

    def install(name: str = "pytoon-acme", **points: str) -> None:
        site = tmp_path / f"site-{name}"
        about = site / f"{name.replace('-', '_')}-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "".join(f"{kind} = {target}\n" for kind, target in points.items())
        (about / "entry_points.txt").write_text(f"[pytoon.engines]\n{lines}")
        monkeypatch.syspath_prepend(str(site))

    return install


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("compositor", CompositorEngine),
        ("template", CompositorEngine),
        ("null", NullEngine),
        ("comfyui", GeneratedEngine),
    ],
)
def test_the_kinds_that_ship(kind: str, made: type, tmp_path: Path) -> None:
    """Each makes its engine, under the entry's own name."""
    engine = make_engine(entry(kind), resources(tmp_path))
    assert isinstance(engine, made)
    assert "mine" == engine.name


def test_a_hosted_engine_needs_its_key(tmp_path: Path) -> None:
    """Without one it is left out, and told; with one it is an engine that generates elsewhere."""
    hosted = settings("runway")
    without = make_engines(resources(tmp_path, hosted, entry("null")))
    assert ["mine"] == list(without.usable)
    assert {"paid": "Runway: there is no key: set RUNWAYML_API_SECRET, or name a file in "
            "secret_file"} == without.left_out  # fmt: skip
    found = make_engines(resources(tmp_path, hosted, RUNWAYML_API_SECRET=KEY))
    can = found.usable["paid"].capabilities()
    assert (True, False, {}) == (can.generates, can.local, found.left_out)


def test_what_is_off_is_not_made(tmp_path: Path) -> None:
    """Not even looked at."""
    found = make_engines(resources(tmp_path, entry("no_such", enabled=False)))
    assert ({}, {}) == (found.usable, found.left_out)


def test_a_wrong_entry_stops_the_start(tmp_path: Path) -> None:
    """As every mistake in the configuration does."""
    with pytest.raises(ConfigError, match="did you mean 'hosted'"):
        make_engines(resources(tmp_path, entry("hostet")))
    with pytest.raises(ConfigError, match=r"engines\.mine\.options: declaration: is missing"):
        make_engines(resources(tmp_path, entry("hosted")))


def test_other_packages_bring_kinds(package: Any, tmp_path: Path) -> None:
    """By an entry point; one that makes only clips is drawn over as ours are."""
    package(acme=f"{PLUG_IN}:plain", acme_clips=f"{PLUG_IN}:clips")
    assert {"acme", "acme_clips", "hosted"} <= set(kinds())
    found = make_engine(entry("acme"), resources(tmp_path))
    assert "mine" == found.name
    drawn: Engine = make_engine(entry("acme_clips"), resources(tmp_path))
    assert isinstance(drawn, GeneratedEngine)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (f"{PLUG_IN}:broken", "KeyError: 'colour'"),
        (f"{PLUG_IN}:nothing", "AttributeError"),
        ("no_such_module:x", "ModuleNotFoundError"),
        (f"{PLUG_IN}:no_engine", "makes a object, which is no engine"),
        (f"{PLUG_IN}:misnamed", "calls itself 'other', not 'mine'"),
    ],
)
def test_a_plug_in_that_does_not_work(
    target: str, told: str, package: Any, tmp_path: Path
) -> None:
    """It is left out and told by name; the others are not hurt."""
    package(acme=target)
    other = EngineSettings(name="other", kind="null")
    found = make_engines(resources(tmp_path, entry("acme"), other))
    assert ["other"] == list(found.usable)
    assert "the kind 'acme' of the package pytoon-acme" in found.left_out["mine"]
    assert told in found.left_out["mine"]


def test_a_plug_in_may_say_itself_what_it_lacks(package: Any, tmp_path: Path) -> None:
    """In its own words."""
    package(acme=f"{PLUG_IN}:keyless")
    found = make_engines(resources(tmp_path, entry("acme")))
    assert {"mine": "set ACME_KEY"} == found.left_out


def test_two_packages_of_one_kind(package: Any, tmp_path: Path) -> None:
    """Which one is meant cannot be told."""
    package(acme=f"{PLUG_IN}:plain")
    package("pytoon-other", acme=f"{PLUG_IN}:plain")
    with pytest.raises(ConfigError, match="brought by each of pytoon-acme, pytoon-other"):
        make_engine(entry("acme"), resources(tmp_path))


def test_no_package_replaces_a_kind_that_ships(package: Any, tmp_path: Path) -> None:
    """What is installed beside us does not take over."""
    package(null=f"{PLUG_IN}:plain")
    assert isinstance(make_engine(entry("null"), resources(tmp_path)), NullEngine)


FACTORIES: tuple[EngineFactory, ...] = (plain, misnamed, broken, clips)
"""The type check sees that a plug-in's plain functions are factories."""
