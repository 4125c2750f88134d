"""Makes the streams and the durables on a NATS server, or brings them up to date.

Whoever may do this may do everything with them, so the services never do: the operator's
``pytoon init`` and the embedded server's ``pytoon up`` call it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from events import jetapi
from events.jetapi import Refused
from events.log import DurableSpec, LogUnavailable
from events.reading import Reader
from events.stream import LogSettings
from events.subjects import STREAM


async def provision(
    connection: Reader,
    settings: LogSettings,
    durables: Sequence[DurableSpec],
    metadata: Mapping[str, str],
) -> None:
    """Make or update the streams and the durables.  Raises ``LogUnavailable``."""
    try:
        await _make_stream(connection, jetapi.stream_config(settings, dict(metadata)))
        await _make_stream(connection, jetapi.dead_letter_config(settings))
        for spec in durables:
            request = {"stream_name": STREAM, "config": jetapi.durable_config(spec)}
            await connection.api(f"CONSUMER.CREATE.{STREAM}.{spec.name}", request)
    except Refused as error:
        raise LogUnavailable(f"the streams cannot be made: {error}") from error


async def mirror(connection: Reader, settings: LogSettings) -> None:
    """Make the stream AUDIT, which follows the events.  Raises ``LogUnavailable``."""
    try:
        await _make_stream(connection, jetapi.mirror_config(settings))
    except Refused as error:
        raise LogUnavailable(f"the mirror cannot be made: {error}") from error


async def _make_stream(connection: Reader, config: dict[str, Any]) -> None:
    try:
        await connection.api(f"STREAM.CREATE.{config['name']}", config)
    except Refused as error:
        if error.code != jetapi.STREAM_EXISTS:
            raise
        found = await connection.api(f"STREAM.INFO.{config['name']}", {})
        wanted = jetapi.updated(config, found["config"])
        await connection.api(f"STREAM.UPDATE.{config['name']}", wanted)
