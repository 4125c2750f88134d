"""From options to a request."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import click
import pytest

from adapters.files import FileStore
from services.cli.asking import (
    JobId,
    Media,
    body_of,
    files_of,
    names_of,
    new_job_id,
    words_of,
)
from services.cli.exits import Refused

_NOTHING: dict[str, Any] = dict.fromkeys(
    ("preset", "duration", "deadline", "prompt", "hook", "cta", "archetype", "engine_policy",
     "brand_safe", "seed", "transition", "budget", "draft", "encoder", "mask", "music", "voice",
     "logo", "font")
) | {"beat": (), "image": ()}  # fmt: skip


def _options(**given: Any) -> dict[str, Any]:
    return _NOTHING | {"preset": "overlay_classic", "duration": 15.0} | given


def test_only_what_was_given_is_asked() -> None:
    """What is left out is the preset's to say; false and empty are answers, too."""
    given = _options(hook="", brand_safe=False, seed=0, beat=("one", "two"), draft=False)
    expected = {
        "preset_id": "overlay_classic",
        "target_duration_seconds": 15.0,
        "hook": "",
        "brand_safe": False,
        "seed": 0,
        "beats": ["one", "two"],
    }
    assert expected == words_of(given)


def test_a_draft_and_an_encoder_are_asked_for() -> None:
    """They are fields of the request; a draft's own id tells it from its film."""
    words = words_of(_options(draft=True, encoder="nvenc"))
    assert (True, "nvenc") == (words["draft"], words["encoder"])
    assert new_job_id("overlay_classic", draft=True).startswith("overlay_classic-draft-")
    assert "draft" not in new_job_id("overlay_classic")


def test_words_go_as_they_are() -> None:
    """Quotes, percent signs, newlines and every script survive."""
    text = "50% \"off\" 'now': %{pts}\nشاي 奶茶 🎬"
    assert text in body_of({"prompt": text}).decode().replace('\\"', '"').replace("\\n", "\n")


def test_text_that_is_no_text_is_refused() -> None:
    """Bytes that are not UTF-8 come from the shell as lone surrogates."""
    with pytest.raises(Refused, match="--prompt: the text is not UTF-8"):
        words_of(_options(prompt="\udcff"))


async def test_files_are_named_by_their_content(tmp_path: Path) -> None:
    """Local files go to the store, in order; URIs go as they are."""
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "m.mp3").write_bytes(b"m")
    store = FileStore(tmp_path / "store")
    given = _options(image=(tmp_path / "a.png", "https://host/b.png"), music=tmp_path / "m.mp3")
    a, m = (f"sha256:{hashlib.sha256(content).hexdigest()}" for content in (b"a", b"m"))
    expected = {"image_uris": [a, "https://host/b.png"], "music_uri": m}
    assert expected == await files_of(given, store)


async def test_a_file_beyond_the_limit_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    """The message names option, size and limit."""
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(30_000_000)
    store = FileStore(tmp_path / "store")
    with pytest.raises(Refused, match=r"--image: .*large.png has 30.0 MB, the limit is 20 MB"):
        await files_of(_options(image=(large,)), store)


@pytest.mark.parametrize("uri", ["https://host/p.png", "file:///p.png", "sha256:" + "0" * 64])
def test_a_uri_is_left_to_the_services(uri: str) -> None:
    """They know what they may read."""
    assert uri == Media().convert(uri, None, None)


@pytest.mark.parametrize("name", ["missing.png", ".", "x" * 300, "a\0b"])
def test_what_is_no_file_is_bad_usage(name: str) -> None:
    """Missing files, folders, and names that no file can have."""
    with pytest.raises(click.BadParameter):
        Media().convert(name, None, None)


def test_a_new_job_id_is_readable_and_new() -> None:
    """It starts with the preset and keeps the rules for ids."""
    ids = {new_job_id("overlay_classic") for _ in range(200)}
    assert len(ids) == 200
    assert all(re.fullmatch(r"overlay_classic-[0-9a-z]{8}", made) for made in ids)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", new_job_id("ß" * 99 + "x" * 99))


@pytest.mark.parametrize("bad", ["", "a b", "a.b", "a/b", "*", ">", "ä", "x" * 65, "a\n"])
def test_a_job_id_that_is_no_token_is_bad_usage(bad: str) -> None:
    """Dots and wildcards would reach other subjects."""
    with pytest.raises(click.BadParameter, match="1 to 64 of"):
        JobId().convert(bad, None, None)


async def test_files_are_told_by_the_names_that_a_person_gave(tmp_path: Path) -> None:
    """A rejection names the file, not the sha256 that the request names it by."""
    path = tmp_path / "a picture.png"
    path.write_bytes(b"x")
    options = dict.fromkeys(("mask", "music", "voice", "logo", "font")) | {"image": (path,)}
    files = await files_of(options, FileStore(tmp_path / "store"))
    assert names_of(options, files) == {files["image_uris"][0]: str(path)}
