"""Reading a configuration: layers, the environment, and errors that say where to look."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from config import ConfigError, load, shipped


def _refusal(directory: Path | None, environ: Mapping[str, str]) -> str:
    with pytest.raises(ConfigError) as refused:
        load(directory, environ)
    return str(refused.value)


def test_shipped_files_load() -> None:
    """What ships needs nothing from the environment."""
    config = load(environ={})
    assert shipped() == config
    assert (1080, 1920, 30) == (
        config.defaults.width,
        config.defaults.height,
        config.defaults.fps,
    )
    assert ["compositor", "template"] == [e.name for e in config.engines if e.enabled]


def test_environment_sets_a_key() -> None:
    """A variable beats the files; its value is read as YAML."""
    config = load(
        environ={
            "PYTOON_DEFAULTS__FPS": "24",
            "PYTOON_DEFAULTS__ENCODER__CRF": "23",
            "PYTOON_PRESETS__MEME_FAST__MOTION": "punchy",
            "PYTOON_ENGINES__NULL__ENABLED": "true",
            "PYTOON_ENGINES__COMPOSITOR__OPTIONS": "{threads: 2}",
        }
    )
    assert 24 == config.defaults.fps
    assert 23 == config.defaults.encoder.crf
    assert "punchy" == config.presets["meme_fast"].motion
    null, compositor = config.engine("null"), config.engine("compositor")
    assert null is not None
    assert null.enabled
    assert compositor is not None
    assert {"threads": 2} == compositor.options


@pytest.mark.parametrize("name", ["PYTOON_HOME", "PYTOON_ASSET_ROOTS", "PYTOON_LOG_LEVEL", "PATH"])
def test_other_variables_are_no_keys(name: str) -> None:
    """Names that are read elsewhere change nothing here."""
    assert shipped() == load(environ={name: "/somewhere"})


def test_directory_is_laid_over(tmp_path: Path) -> None:
    """A directory changes the keys that it names and adds presets; a list replaces a list."""
    (tmp_path / "defaults.yaml").write_text("limits: {crashes_max: 7}\n", encoding="utf-8")
    (tmp_path / "engines.yaml").write_text(
        "engines: [{name: template, kind: template}]\n", encoding="utf-8"
    )
    (tmp_path / "presets.yaml").write_text(
        "ours: {title: Ours, archetype: OVERLAY, motion: subtle, caption_size: auto,"
        " caption_position: center, margin_px: 100, music_db: -18, voice_db: -6}\n",
        encoding="utf-8",
    )
    config = load(environ={"PYTOON_CONFIG": str(tmp_path)})
    assert 7 == config.limits.crashes_max
    assert shipped().limits.retries_max == config.limits.retries_max
    assert ["template"] == [engine.name for engine in config.engines]
    assert {*shipped().presets, "ours"} == set(config.presets)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("PYTOON_DEFAULTS__FPS", "300", "defaults.fps: 300: at most 120"),
        ("PYTOON_DEFAULTS__FPS", "'30'", "defaults.fps: 30: a whole number"),
        ("PYTOON_DEFAULTS__FPS", "true", "defaults.fps: true: a whole number"),
        ("PYTOON_DEFAULTS__FPS", ".nan", "defaults.fps"),
        ("PYTOON_DEFAULTS__FSP", "30", "no such key; did you mean 'fps'?"),
        ("PYTOON_DEFAULTS__TRANSITION", "spin", "one of 'cut', 'crossfade'"),
        ("PYTOON_DEFAULTS__ENCODER__CRV", "20", "did you mean 'crf'?"),
        ("PYTOON_PRESETS__MEME_FAST__FONTS", "Inter", "did you mean 'font'?"),
        ("PYTOON_PRESETS__MEME_FAST__FONT", "Comic Sans", "does not ship"),
        ("PYTOON_DEFAULTS_FPS", "30", "PYTOON_<SECTION>__<KEY>"),
        ("PYTOON_DEFAULT__FPS", "30", "sections: "),
        ("PYTOON_DEFAULTS", "{}", "names a section but no key"),
        ("PYTOON_ENGINES__WAN__ENABLED", "true", "no such engine"),
        ("PYTOON_DEFAULTS__FPS", "[1", "is no YAML value"),
        ("PYTOON_LOG__HEARTBEAT_S", "4", "at most half of ack_wait_s"),
    ],
)
def test_error_names_variable_key_and_what_is_allowed(name: str, value: str, told: str) -> None:
    """Whoever set the variable sees which one, its key, its value and the limit."""
    message = _refusal(None, {name: value})
    assert told in message
    assert name in message or "heartbeat" in message or "presets.meme_fast" in message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("limits: {crashes_max: 0}\n", "limits.crashes_max: 0: at least 1"),
        ("limits: {crashes_max: 1, crashes_max: 2}\n", "'crashes_max' is written twice"),
        ("limit: {crashes_max: 1}\n", "no such section; did you mean 'limits'?"),
        ("limits: [1\n", "is no YAML"),
        ("- 1\n", "must hold the sections"),
        ("limits: 5\n", "an object"),
    ],
)
def test_error_names_the_file(tmp_path: Path, content: str, told: str) -> None:
    """Whoever wrote the file sees which one it is."""
    path = tmp_path / "defaults.yaml"
    path.write_text(content, encoding="utf-8")
    message = _refusal(tmp_path, {})
    assert message.startswith(str(path))
    assert told in message


def test_missing_directory_is_named() -> None:
    """A directory that is not there is an error, not an empty layer."""
    assert "there is no such directory" in _refusal(None, {"PYTOON_CONFIG": "/nowhere/at/all"})


def test_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 end in our error."""
    (tmp_path / "presets.yaml").write_bytes(b"\xff\xfe\x00")
    assert "presets.yaml: cannot be read" in _refusal(tmp_path, {})
