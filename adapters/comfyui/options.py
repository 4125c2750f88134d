"""What can be set about ComfyUI servers: the ``options`` of an engine of kind ``comfyui``.

Every bound has its unit in its name; ``config/engines.yaml`` says what each is for.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Annotated, Self
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import Field, ValidationError, field_validator, model_validator

from adapters.secret import Secret
from config.errors import ConfigError
from config.models import EngineSettings, Model, NotNegative
from config.wording import limit_of, nearest, shown
from events.spec import Archetype

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$")]

SERVERS_MAX = 16


class Workflows(Model):
    """Which workflow makes a clip from words alone, and which one from words and a picture.

    None: such clips are not made here.
    """

    words: Name | None = None
    picture: Name | None = None


class ComfyOptions(Model):
    """The options; a key that is left out has the value that stands here."""

    servers: Annotated[tuple[str, ...], Field(min_length=1, max_length=SERVERS_MAX)] = (
        "http://127.0.0.1:8188",
    )
    is_local: bool | None = None
    workflow_folder: str = ""
    words: Name | None = "wan22_5b_t2v"
    picture: Name | None = "wan22_5b_i2v"
    archetypes: dict[Archetype, Workflows] = Field(default_factory=dict)
    poll_s: Annotated[float, Field(ge=0.05, le=30)] = 1.5
    request_s: Seconds = 10.0
    transfer_s: Seconds = 300.0
    gone_s: Seconds = 30.0
    queue_s: Seconds = 900.0
    no_progress_s: Seconds = 600.0
    too_long_s: Seconds = 1500.0
    cancel_s: Seconds = 5.0
    cool_down_s: Seconds = 60.0
    probe_s: Seconds = 120.0
    tries_max: Annotated[int, Field(ge=1, le=8)] = 3
    smaller: Annotated[float, Field(ge=0.25, le=0.95)] = 0.7
    clip_bytes_max: Annotated[int, Field(ge=1_000_000, le=10_000_000_000)] = 1_000_000_000
    not_taken_s: NotNegative | None = None
    unanswered_s: NotNegative | None = None
    generating_s: NotNegative | None = None
    """These three are the controller's, in place of the limits of the same names."""

    @field_validator("servers", mode="before")
    @classmethod
    def _one_text_for_all(cls, value: object) -> object:
        """The environment may name them in one text, with commas between."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return tuple(value) if isinstance(value, list) else value

    @field_validator("servers")
    @classmethod
    def _are_addresses(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        plain = tuple(server.rstrip("/") for server in servers)
        for server in plain:
            parts = urlsplit(server)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
                # Without what stands before an @: a password may be a part of it.
                told = shown(server.rpartition("@")[2])
                raise ValueError(f"{told} is no server: write it as http://127.0.0.1:8188")
        twice = sorted({name_of(server) for server in plain if plain.count(server) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        return plain

    @model_validator(mode="after")
    def _bounds_agree(self) -> Self:
        for name in ("not_taken_s", "unanswered_s", "generating_s"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(f"{name} must be a number, or be left out")
        for name in ("no_progress_s", "queue_s", "gone_s"):
            if getattr(self, name) > self.too_long_s:
                raise ValueError(
                    f"{name} ({getattr(self, name):g}) is more than too_long_s "
                    f"({self.too_long_s:g}), and would never be reached"
                )
        return self

    @property
    def stays_here(self) -> bool:
        """Whether nothing leaves this machine: as set, or because every server is on it."""
        if self.is_local is not None:
            return self.is_local
        return all(_is_loopback(urlsplit(server).hostname or "") for server in self.servers)

    def workflow(self, archetype: Archetype, *, picture: bool) -> str | None:
        """The workflow for such a clip; None where there is none."""
        own = self.archetypes.get(archetype)
        if own is not None:
            return own.picture if picture else own.words
        return self.picture if picture else self.words

    def workflow_names(self) -> tuple[str, ...]:
        """Every workflow that may be asked, each once."""
        named = [self.words, self.picture]
        for own in self.archetypes.values():
            named += [own.words, own.picture]
        return tuple(dict.fromkeys(name for name in named if name))


def options_of(settings: EngineSettings) -> ComfyOptions:
    """The options of an engine; raises ``ConfigError`` with key, value and limit."""
    where = f"engines.{settings.name}.options"
    try:
        # JSON is the strict mode in which a list is a tuple and a text an enum's value.
        return ComfyOptions.model_validate_json(json.dumps(settings.options, default=str))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        value = "" if first["type"] in {"missing", "value_error"} else shown(first["input"])
        hint = ""
        if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
            hint = nearest(key, ComfyOptions.model_fields)
        raise ConfigError(where, key, value, limit_of(first) + hint) from error


def name_of(server: str) -> str:
    """A server's address without what proves who we are: it is written to logs."""
    parts = urlsplit(server)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    place = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def secrets_of(server: str) -> tuple[Secret, ...]:
    """What an address has to prove who we are, in each form in which it is sent."""
    parts = urlsplit(server)
    if not parts.password:
        return ()
    name, word = unquote(parts.username or ""), unquote(parts.password)
    return Secret(f"{name}:{word}"), Secret(word)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
