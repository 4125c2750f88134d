"""Whether this process's spans leave it: only where an operator has named a collector.

By OpenTelemetry's own variables, so that what is set for other programs holds for this one.
Without an endpoint we import nothing of OpenTelemetry.  What is asked for and cannot be done is
told, and never stops a service: a film does not depend on who looks on.  It is asked at the start
of a service, before its server is: so nothing is imported for it that is not wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import structlog

logger = structlog.get_logger()

EXTRA = "pytoon[traces]"
PROTOCOL = "http/protobuf"


class Wanted(NamedTuple):
    """Where an operator wants spans sent, as it may be shown; ``problem``: why they cannot be."""

    collector: str
    problem: str = ""


def wanted(environ: Mapping[str, str]) -> Wanted | None:
    """What the environment asks for; None where it asks for nothing."""

    def told(name: str) -> str:
        """A variable of traces alone, or else of everything that is exported."""
        own = environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "").strip()
        return own or environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()

    endpoint = told("ENDPOINT")
    exporters = environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if not endpoint or disabled or "otlp" not in map(str.strip, exporters.split(",")):
        return None
    shown, fits = _read(endpoint)
    protocol = told("PROTOCOL") or PROTOCOL
    problem = ""
    if not fits:
        problem = f"the endpoint {shown!r} must be a URL such as http://127.0.0.1:4318"
    elif protocol != PROTOCOL:
        problem = (
            f"the protocol {protocol!r} is not spoken here: set OTEL_EXPORTER_OTLP_PROTOCOL="
            f"{PROTOCOL}, and the port that your collector takes that on (mostly 4318)"
        )
    return Wanted(collector=shown, problem=problem)


def _read(endpoint: str) -> tuple[str, bool]:
    """An endpoint as it may be shown, without user, password and query; and whether it is one."""
    try:
        parts = urlsplit(endpoint)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        # A host or a port that is none; the rest of it may hold a password, and is not shown.
        return endpoint.partition("://")[0] + "://…", False
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")), fits


def _flush_s() -> float:
    from config import load  # noqa: PLC0415 - for who wants traces alone

    return load().traces.flush_s


def set_up(
    environ: Mapping[str, str], flush_s: Callable[[], float] = _flush_s
) -> Callable[[], None]:
    """Have spans recorded and sent if that is wanted; returns what ends it.

    ``flush_s`` is asked, if so, how many seconds the last spans may take at the end.
    """
    found = wanted(environ)
    if found is None:
        return _nothing
    problem, bound_s = found.problem, flush_s()
    if not problem:
        try:
            from adapters import tracing  # noqa: PLC0415 - as above
            from services.otlp import OtlpRecorder  # noqa: PLC0415 - as above

            recorder = OtlpRecorder(found.collector)
        except ImportError as error:
            problem = f"{error.name or error} is not installed: pip install '{EXTRA}'"
        except (ValueError, OSError) as error:
            problem = f"{error}: see the OTEL_* variables"
    if problem:
        logger.warning("traces are not exported", collector=found.collector, why=problem)
        return _nothing
    tracing.record_with(recorder)
    logger.info("traces are exported", collector=found.collector)

    def end() -> None:
        tracing.record_with(None)
        recorder.close(bound_s)

    return end


def _nothing() -> None:
    """There is nothing to end."""
