"""What can be set about a hosted engine: the ``options`` of an entry of kind ``hosted``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from adapters.hosted.declaration import (
    Declaration,
    Duration,
    Name,
    Price,
    Seconds,
    Setting,
    Size,
    judged,
    load_declaration,
)
from config.errors import ConfigError
from config.models import Config, EngineSettings, Model
from config.wording import nearest, shown
from events.spec import Archetype

MARGIN_S = 60.0
"""Between the end of polling and the time at which the job gives the attempt up: room to look,
to cancel and to look again."""


class HostedOptions(Model):
    """The options; a key that is left out has what the declaration says."""

    declaration: Name
    price: Price | None = None
    secret_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")] | None = None
    secret_file: str = ""
    base_url: str = ""
    settings: dict[Name, Setting] = Field(default_factory=dict)
    archetypes: Annotated[tuple[Archetype, ...], Field(min_length=1)] | None = None
    durations: Annotated[tuple[Duration, ...], Field(min_length=1, max_length=64)] | None = None
    sizes: Annotated[tuple[Size, ...], Field(max_length=64)] | None = None
    deadline_s: Seconds | None = None
    image_folder: str = ""
    image_url: str = ""
    allow_private_addresses: bool = False
    not_taken_s: Annotated[float, Field(ge=0)] | None = None
    unanswered_s: Annotated[float, Field(ge=0)] | None = None
    generating_s: Annotated[float, Field(ge=0)] | None = None

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query):
            raise ValueError(f"{shown(url)} is no address: write it as https://api.example.com")
        return url.rstrip("/")


def options_of(settings: EngineSettings) -> HostedOptions:
    """The options of an engine; raises ``ConfigError`` with key, value and limit."""
    return judged(HostedOptions, settings.options, f"engines.{settings.name}.options")


def declared_for(
    settings: EngineSettings, options: HostedOptions, config: Config, environ: Mapping[str, str]
) -> Declaration:
    """The declaration with an engine's own options laid over it.  Raises ``ConfigError``."""
    where = f"engines.{settings.name}.options"
    over = environ.get("PYTOON_CONFIG")
    declared = load_declaration(options.declaration, Path(over) / "engines" if over else None)
    unknown = sorted(set(options.settings) - set(declared.settings))
    if unknown:
        known = ", ".join(sorted(declared.settings)) or "none"
        allowed = f"no such setting; there are {known}{nearest(unknown[0], declared.settings)}"
        raise ConfigError(where, f"settings.{unknown[0]}", "", allowed)
    price = options.price or declared.price
    if price is None:
        currency = config.budget.currency
        variable = f"PYTOON_ENGINES__{settings.name.upper()}__OPTIONS__PRICE"
        allowed = (
            f"is missing, and none is assumed: say what a clip costs you in {currency}, as in"
        )
        raise ConfigError(where, "price", "", f"{allowed} {variable}='{{per_second: 0.05}}'")
    offers = declared.offers.model_copy(
        update={
            key: value
            for key, value in (
                ("archetypes", options.archetypes),
                ("durations", options.durations),
                ("sizes", options.sizes),
            )
            if value is not None
        }
    )
    poll = declared.poll
    if options.deadline_s is not None:
        poll = poll.model_copy(update={"deadline_s": options.deadline_s})
    given_up_s = (
        config.limits.generating_s if options.generating_s is None else options.generating_s
    )
    if given_up_s and poll.deadline_s + MARGIN_S > given_up_s:
        allowed = f"at most {given_up_s - MARGIN_S:g}: {MARGIN_S:g} s less than generating_s"
        raise ConfigError(where, "deadline_s", f"{poll.deadline_s:g}", allowed)
    if declared.image is not None and declared.image.by == "url" and declared.create.picture:
        _check_publishing(where, options)
    return declared.model_copy(
        update={
            "settings": {**declared.settings, **options.settings},
            "base_url": options.base_url or declared.base_url.rstrip("/"),
            "price": price,
            "offers": offers,
            "poll": poll,
        }
    )


def _check_publishing(where: str, options: HostedOptions) -> None:
    """Pictures that are handed over by URL need a folder that somebody serves."""
    if not Path(options.image_folder).is_dir() or not options.image_folder:
        allowed = "a folder whose files are served at image_url"
        raise ConfigError(where, "image_folder", shown(options.image_folder), allowed)
    if "{name}" not in options.image_url:
        allowed = "the URL of a file of image_folder, such as https://cdn.example.com/{name}"
        raise ConfigError(where, "image_url", shown(options.image_url), allowed)
