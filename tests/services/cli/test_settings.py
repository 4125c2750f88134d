"""Settings that the running services do not have are told, by name and not by value."""

from __future__ import annotations

from services.cli.settings import differing, fingerprints
from services.home import read_json
from tests.services.cli.conftest import Person


def test_settings_are_told_apart_by_name() -> None:
    """Changed, added and removed ones; what each process has its own of is none."""
    theirs = {
        "PYTOON_A": "1",
        "PYTOON_B": "x",
        "PYTOON_C": "gone",
        "PYTOON_HOME": "/a",
        "PATH": "",
    }
    ours = {"PYTOON_A": "1", "PYTOON_B": "y", "PYTOON_D": "new", "PYTOON_HOME": "/b"}
    told = {"pid": 1, "settings": fingerprints(theirs)}
    assert ["PYTOON_B", "PYTOON_C", "PYTOON_D"] == differing(told, ours)
    assert [] == differing(told, theirs)
    assert [] == differing({"pid": 1}, ours)
    assert "gone" not in str(told)
    assert {} == fingerprints({"PYTOON_API_KEYS": "name:secret"})


def test_a_command_is_told_whose_settings_hold(settled: Person) -> None:
    """The services were started without it: the film is theirs all the same."""
    request = ("render", "--preset", "overlay_classic", "--duration", "2")
    first = settled.call(*request)
    assert (0, False) == (first.code, "Note:" in first.err)
    called = settled.call(*request, PYTOON_DEFAULTS__FPS="25")
    assert 0 == called.code
    pid = read_json(settled.home.services_json)["pid"]
    assert f"Note: the services that run already (pid {pid})" in called.err
    assert "those hold: PYTOON_DEFAULTS__FPS." in called.err
    assert "PYTOON_DEFAULTS__FPS" in settled.call("engines", PYTOON_DEFAULTS__FPS="25").err
    assert "Note:" not in settled.call("engines").err
