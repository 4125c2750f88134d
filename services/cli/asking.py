"""From a command's options to a request: files go into the artifact store, words into JSON."""

from __future__ import annotations

import asyncio
import json
import math
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.exits import Refused

if TYPE_CHECKING:
    from adapters.base import ArtifactStore

ID_CHARACTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_DIGITS = 8
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_URI = re.compile(r"(sha256:|file://|https?://)", re.IGNORECASE)
_SMALL_BYTES = 20_000_000
"""Files up to this size are stored without asking the configuration for its limit."""
_MEDIA_TYPE = "application/octet-stream"


class Media(click.ParamType):  # type: ignore[type-arg,unused-ignore] # newer clicks only
    """A local file, or a URI that the services can read."""

    name = "file"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | Path:
        """A path of a regular file, or the URI as it is."""
        if isinstance(value, Path) or _URI.match(value):
            return Path(value) if isinstance(value, Path) else str(value)
        path = Path(value).expanduser()
        try:
            if not path.exists():
                self.fail(f"{value!r}: there is no such file", param, ctx)
            if not path.is_file():
                self.fail(f"{value!r} is not a regular file", param, ctx)
            with path.open("rb"):
                pass
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            self.fail(f"{value!r} cannot be read: {why}", param, ctx)
        return path


class JobId(click.ParamType):  # type: ignore[type-arg,unused-ignore] # newer clicks only
    """A job's id: 1 to 64 of A–Z a–z 0–9 _ and -."""

    name = "job"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id, checked."""
        if not _ID.fullmatch(value):
            self.fail(f"{value!r}: a job id is 1 to 64 of A-Z a-z 0-9 _ and -", param, ctx)
        return str(value)


class Number(click.ParamType):  # type: ignore[type-arg,unused-ignore] # newer clicks only
    """A finite number; a whole one stays whole."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return int(number) if number.is_integer() else number


def new_job_id(preset_id: str, *, draft: bool = False) -> str:
    """A readable id that nobody has used: the preset's name and a few random characters.

    A draft's says that it is one, and so does the name of its file.
    """
    name = re.sub(r"[^A-Za-z0-9_-]", "", preset_id)[:24] or "job"
    name += "-draft" if draft else ""
    return f"{name}-" + "".join(secrets.choice(ID_CHARACTERS) for _ in range(_ID_DIGITS))


def words_of(options: dict[str, Any]) -> dict[str, Any]:
    """The request's fields that are no files, by their names on the wire; only what was given.

    Raises ``Refused`` for text that is not UTF-8.
    """
    names = {
        "preset": "preset_id",
        "duration": "target_duration_seconds",
        "deadline": "deadline_seconds",
        "beat": "beats",
    }
    plain = ("prompt", "hook", "cta", "archetype", "engine_policy", "brand_safe", "seed",
             "transition", "budget", "draft", "encoder")  # fmt: skip
    found = {names.get(name, name): options[name] for name in (*names, *plain)}
    ask = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in found.items()
        if value not in (None, ()) and not (name == "draft" and value is False)
    }
    for name, value in ask.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and not _is_unicode(text):
                raise Refused(f"--{name.replace('_', '-')}: the text is not UTF-8. Re-type it.")
    return ask


async def files_of(options: dict[str, Any], store: ArtifactStore) -> dict[str, Any]:
    """The request's files: local ones are put into the store and named by their sha256.

    Raises ``Refused`` for a file that is larger than the services would take.
    """
    ask: dict[str, Any] = {}
    if options["image"]:
        ask["image_uris"] = [await _uri("--image", image, store) for image in options["image"]]
    for name in ("mask", "music", "voice", "logo", "font"):
        if options[name] is not None:
            ask[f"{name}_uri"] = await _uri(f"--{name}", options[name], store)
    return ask


def names_of(options: dict[str, Any], files: dict[str, Any]) -> dict[str, str]:
    """What the person called the files that the request names by their sha256."""
    names = dict(zip(files.get("image_uris", ()), map(str, options["image"]), strict=True))
    for name in ("mask", "music", "voice", "logo", "font"):
        if options[name] is not None:
            names[files[f"{name}_uri"]] = str(options[name])
    return names


def body_of(ask: dict[str, Any]) -> bytes:
    """The request as it is published."""
    return json.dumps(ask, ensure_ascii=False, separators=(",", ":")).encode()


async def _uri(option: str, media: str | Path, store: ArtifactStore) -> str:
    if isinstance(media, str):
        return media
    try:
        await asyncio.to_thread(_check_size, option, media)
        artifact = await store.put_file(media, _MEDIA_TYPE)
    except OSError as error:
        raise Refused(f"{option}: {media} cannot be stored: {error.strerror}.") from error
    return f"sha256:{artifact.sha256}"


def _check_size(option: str, path: Path) -> None:
    size = path.stat().st_size
    if size <= _SMALL_BYTES:
        return
    from config import load

    limits = load().limits
    of_sound, of_font = option in {"--music", "--voice"}, option == "--font"
    limit = limits.sound_bytes_max if of_sound else limits.asset_bytes_max
    limit = limits.font_bytes_max if of_font else limit
    if size > limit:
        raise Refused(
            f"{option}: {path} has {size / 1e6:.1f} MB, the limit is {limit / 1e6:g} MB. "
            "Make the file smaller."
        )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
