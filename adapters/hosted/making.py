"""Makes the generator behind an entry of kind ``hosted``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.hosted.generator import HostedGenerator
from adapters.hosted.options import declared_for, options_of
from adapters.secret import SecretMissing, read_secret
from config.models import EngineSettings

if TYPE_CHECKING:
    from adapters.registry import Resources


def from_settings(settings: EngineSettings, resources: Resources) -> HostedGenerator:
    """The generator; nothing is asked of the service.

    Raises ``ConfigError`` where entry or declaration is wrong, and ``EngineUnusable`` without a
    key: then the engine is left out of every ladder.
    """
    from adapters.registry import EngineUnusable  # noqa: PLC0415 - it imports us when it is asked

    options = options_of(settings)
    declared = declared_for(settings, options, resources.config, resources.environ)
    variable = options.secret_env or declared.auth.secret_env
    try:
        secret = read_secret(resources.environ, variable, options.secret_file)
    except SecretMissing as error:
        raise EngineUnusable(f"{declared.title}: {error}") from error
    return HostedGenerator(
        settings.name,
        declared,
        options,
        secret,
        resources.workers,
        currency=resources.config.budget.currency,
    )
