"""Who may do what on a NATS server of one's own: a user a service, with the least that it needs.

``nats_conf`` writes the server's configuration from here: which events a service appends stands
in ``events.writers``, its durables come from the composition root, the engines from the
configuration.

A right to publish covers the subject, not where the answer goes: a user of any stream may have the
server store what is in the log already, or an acknowledgement, under a subject that is not the
user's.  So what is read is decoded strictly, and where keys are configured (``services.signing``)
an event must be signed by a service that may say it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePosixPath

from config import Config
from events.jetapi import API
from events.notices import (
    BUDGETS,
    ENGINES,
    BudgetReserved,
    BudgetSettled,
    Notice,
    notice_name,
)
from events.spec import Struct
from events.subjects import DEAD_LETTER_ROOT, DEAD_LETTERS, PROGRESS, STREAM, type_filter
from events.types import CLIENT_ASKS, type_name
from events.writers import APPENDS, TELLS
from services import composition
from services.assembler import shell as assembler
from services.fallback_controller import shell as fallback_controller
from services.planner import shell as planner
from services.segment_renderer import shell as segment_renderer

OPERATOR = "operator"
CLIENT = "client"
GATEWAY = "gateway"
USERS = (OPERATOR, CLIENT, GATEWAY, *composition.SERVICES)
"""Everybody who has a user on the server."""


SERVER_CERTIFICATE = "server.pem"
SERVER_KEY = "server.key"
CA_CERTIFICATE = "ca.pem"


class Tls(Struct, frozen=True, kw_only=True):
    """Where a server finds its certificate, its key and the CA; whether clients need one, too."""

    folder: PurePosixPath
    client_certificates: bool = False


class Rights(Struct, frozen=True, kw_only=True):
    """What a user may publish and subscribe to, as NATS has it; ``deny`` beats ``publish``."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    deny: tuple[str, ...] = ()


def rights(config: Config) -> dict[str, Rights]:
    """Each user's rights."""
    durables = {
        planner.NAME: planner.durables(ack_wait_s=1),
        segment_renderer.NAME: segment_renderer.durables(
            composition.enabled(config), ack_wait_s=1
        ),
        fallback_controller.NAME: fallback_controller.durables(ack_wait_s=1),
        assembler.NAME: assembler.durables(ack_wait_s=1),
    }
    store = _of_store(config)
    names = tuple(spec.name for specs in durables.values() for spec in specs)
    found = {
        OPERATOR: Rights(publish=(">",), subscribe=(">",)),
        CLIENT: _of_reader(CLIENT, names, store),
        GATEWAY: _of_reader(GATEWAY, names, store, f"{API}.CONSUMER.LIST.{STREAM}"),
    }
    for name, specs in durables.items():
        found[name] = _of_service(name, [spec.name for spec in specs], store)
    return found


def _of_service(name: str, durables: Sequence[str], store: tuple[str, ...]) -> Rights:
    """Its own events and notices, reading any job, and what its durables hand out."""
    events = (type_filter(type_name(kind)) for kind in APPENDS[name])
    notices = (_subject_of(kind) for kind in TELLS[name])
    handed_out = (
        subject
        for durable in durables
        for subject in (
            f"{API}.CONSUMER.INFO.{STREAM}.{durable}",
            f"{API}.CONSUMER.MSG.NEXT.{STREAM}.{durable}",
            f"$JS.ACK.{STREAM}.{durable}.>",
        )
    )
    return Rights(
        publish=(
            *events,
            *notices,
            f"{PROGRESS}.*",
            f"{DEAD_LETTER_ROOT}.>",
            *_reading(),
            *handed_out,
            *store,
        ),
        subscribe=(f"_INBOX_{name}.>",),
    )


def _of_reader(name: str, durables: Sequence[str], store: tuple[str, ...], *more: str) -> Rights:
    """A client's asks, reading any job and following it by consumers of its own.

    Who may make a consumer could change a service's: so those are denied by name.
    """
    return Rights(
        publish=(
            *(type_filter(ask) for ask in sorted(CLIENT_ASKS)),
            *_reading(),
            f"{API}.STREAM.MSG.GET.{DEAD_LETTERS}",
            f"{API}.CONSUMER.CREATE.{STREAM}.*",
            f"{API}.CONSUMER.DELETE.{STREAM}.*",
            f"{API}.CONSUMER.MSG.NEXT.{STREAM}.*",
            *more,
            *store,
        ),
        deny=tuple(
            f"{API}.CONSUMER.{verb}.{STREAM}.{durable}"
            for durable in durables
            for verb in ("CREATE", "DELETE", "MSG.NEXT")
        ),
        subscribe=(f"_INBOX_{name}.>", f"{PROGRESS}.*"),
    )


def _reading() -> tuple[str, ...]:
    """Reading jobs without a consumer; the stream's own facts name the store and its fullness."""
    return (
        f"{API}.STREAM.INFO.{STREAM}",
        f"{API}.STREAM.MSG.GET.{STREAM}",
        f"{API}.DIRECT.GET.{STREAM}",
    )


def _of_store(config: Config) -> tuple[str, ...]:
    """Films in a bucket of the same server: put, read, and cleaned of half-written objects."""
    address = config.store.address
    if address.kind != "nats":
        return ()
    asked = ("STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET", "STREAM.PURGE")
    return (
        f"$O.{address.bucket}.>",
        *(f"{API}.{what}.OBJ_{address.bucket}" for what in asked),
    )


def _subject_of(kind: type[Notice]) -> str:
    of_budget = kind in {BudgetReserved, BudgetSettled}
    topics = f"{BUDGETS}.*.*" if of_budget else f"{ENGINES}.*"
    return f"{topics}.{notice_name(kind)}"


def password_variable(user: str) -> str:
    """The environment variable that has a user's password."""
    return f"PYTOON_NATS_{user.replace('-', '_').upper()}_PASSWORD"


def nats_conf(config: Config, *, tls: Tls | None = None) -> str:
    """The configuration of a NATS server for Pytoon, as ``nats.conf`` has it without ``tls``."""
    of_users = rights(config)
    users = "\n".join(_user(name, of_users[name]) for name in USERS)
    return _HEAD + (_encrypted(tls) if tls else _PLAIN) + _USERS + users + _FOOT


def _encrypted(tls: Tls) -> str:
    """Clients and the other servers of a cluster are spoken to by TLS only.

    Servers always show each other a certificate, clients where that is asked for.
    """
    files = "".join(
        f"    {option}: {json.dumps(str(tls.folder / name))}\n"
        for option, name in (
            ("cert_file", SERVER_CERTIFICATE),
            ("key_file", SERVER_KEY),
            ("ca_file", CA_CERTIFICATE),
        )
    )
    verify = f"    verify: {json.dumps(tls.client_certificates)}\n"
    of_clients = (files + verify).replace("    ", "  ")
    return (
        "# Written with --tls: whoever does not speak TLS, or knows no CA of ours, is sent away.\n"
        f"tls {{\n{of_clients}}}\n"
        "# Between the servers of a cluster; each shows the same certificate as to clients.\n"
        f"cluster {{\n  tls {{\n{files}  }}\n}}\n"
    )


def _user(name: str, of_user: Rights) -> str:
    allowed = _listed(of_user.publish)
    publish = f"publish: {{ allow: {allowed}" + (
        f",\n        deny: {_listed(of_user.deny)} }}" if of_user.deny else " }"
    )
    return f"""    {{
      user: {json.dumps(name)}, password: ${password_variable(name)}
      permissions: {{
        {publish}
        subscribe: {{ allow: {_listed(of_user.subscribe)} }}
      }}
    }}"""


def _listed(subjects: Sequence[str]) -> str:
    if len(subjects) == 1:
        return f"[{json.dumps(subjects[0])}]"
    rows = "".join(f"          {json.dumps(subject)}\n" for subject in subjects)
    return f"[\n{rows}        ]"


_HEAD = """\
# A NATS server of one's own for Pytoon: `nats-server -c nats.conf`.
# `pytoon` needs none of this: without --nats it runs a server of its own under PYTOON_HOME.
# Written by `pytoon permissions`; docs/howto/deploy.md tells how to use it, and how to make a
# cluster of three of it.

server_name: "pytoon"
listen: "0.0.0.0:4222"
# Whether it lives: /healthz.  Nothing secret is told there, but keep it from strangers.
http: "127.0.0.1:8222"

# As the embedded server has it; the largest plan of 60 s stays far below.
max_payload: 8MB
max_connections: 1024
# A client that reads too slowly is cut off; what it missed is in the log.
write_deadline: "10s"

jetstream {
  store_dir: "./nats-data"
  # With the default (2 min) a power cut in the first seconds loses the whole stream.
  sync_interval: always
  max_memory_store: 256MB
  # Above `log.bytes_max` of config/defaults.yaml, or the stream cannot be made; with a nats://
  # store of artifacts also above `store.bucket_bytes_max`.
  max_file_store: 20GB
}

"""

_PLAIN = """\
# No TLS, which passwords on a network that others share need: `pytoon permissions --tls FOLDER`
# writes this file with it.
"""

_USERS = """
# One user a service.  Each may append its own events, read jobs and take what is meant for it.
# Passwords come from the environment; one that begins with a digit needs quotes around it there.
authorization {
  users: [
"""

_FOOT = """
  ]
}
"""
