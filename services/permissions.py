"""Who may do what on a NATS server of one's own: a user a service, with the least that it needs.

``nats_conf`` writes the server's configuration from here: which events a service appends stands
in ``events.writers``, its durables come from the composition root, the engines from the
configuration.

A right to publish covers the subject, not where the answer goes: within one account the server
would send it to its own API, too, or store it under any subject, in the name of whoever asked.  So
each user is in an account of its own, and what it may ask is imported from that of the streams:
the answer comes to where the question came from, and goes nowhere else (decision 0019).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import msgspec

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


ACCOUNT = "log"
"""The NATS account with the streams; every other user is in one that is named after it."""

ASKED = "pytoon.api"
"""Under which the other accounts have the API of the log's, since each has one of its own."""

TOLD = f"{PROGRESS}.*"

PULLS = f"{API}.CONSUMER.MSG.NEXT."
OF_ANY = f"{PULLS}{STREAM}.*"

ANSWERED_S = 15.0
"""The least time after which a direct get or a service's pull is forgotten, if no answer comes any
more."""

PULL_S_MAX = 600.0
"""How long a pull of a client in any language may wait."""

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
            TOLD,
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
            f"{API}.CONSUMER.CREATE.{STREAM}.*.>",
            f"{API}.CONSUMER.INFO.{STREAM}.*",
            f"{API}.CONSUMER.DELETE.{STREAM}.*",
            OF_ANY,
            f"$JS.ACK.{STREAM}.*.>",
            *more,
            *store,
        ),
        deny=tuple(
            subject
            for durable in durables
            for subject in (
                f"{API}.CONSUMER.CREATE.{STREAM}.{durable}",
                f"{API}.CONSUMER.CREATE.{STREAM}.{durable}.>",
                f"{API}.CONSUMER.INFO.{STREAM}.{durable}",
                f"{API}.CONSUMER.DELETE.{STREAM}.{durable}",
                f"{API}.CONSUMER.MSG.NEXT.{STREAM}.{durable}",
                f"$JS.ACK.{STREAM}.{durable}.>",
            )
        ),
        subscribe=(f"_INBOX_{name}.>", TOLD),
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
    others = (name for name in USERS if name != OPERATOR)
    accounts = (
        _account_of_log(of_users, max(ANSWERED_S, 2 * config.log.request_timeout_s)),
        *(_account(name, of_users[name]) for name in others),
    )
    return _HEAD + (_encrypted(tls) if tls else _PLAIN) + _ACCOUNTS + "\n".join(accounts) + "\n}\n"


def _account_of_log(of_users: Mapping[str, Rights], answered_s: float) -> str:
    """Where the streams are: what may be asked from the other accounts, and its operator."""
    asked = {text for name, one in of_users.items() if name != OPERATOR for text in one.publish}
    exports = (_export(text, answered_s) for text in sorted(asked - {TOLD}))
    return f"""  {ACCOUNT} {{
    jetstream: enabled
    users: [
{_user(OPERATOR, of_users[OPERATOR])}
    ]
    exports: [
{"".join(exports)}    ]
    imports: [
{_heard()}    ]
  }}"""


def _export(subject: str, answered_s: float) -> str:
    """A question of the log's account; one with many answers is told so, or has only the first.

    The server keeps a note for each of these until that time is over: nobody says which answer is
    the last.
    """
    waits_s = max(PULL_S_MAX, answered_s) if subject == OF_ANY else answered_s
    answers = f', response: stream, threshold: "{waits_s:g}s"' if _has_many(subject) else ""
    return f"      {{ service: {json.dumps(subject)}{answers} }}\n"


def _has_many(subject: str) -> bool:
    return subject.startswith((f"{API}.DIRECT.GET.", PULLS))


def _account(name: str, of_user: Rights) -> str:
    """An account with one user, which reaches the log by what it imports and by nothing else."""
    imports = "".join(_import(text) for text in of_user.publish if text != TOLD)
    imports += _heard() if TOLD in of_user.subscribe else ""
    exports = f'    exports: [ {{ stream: "{TOLD}" }} ]\n' if TOLD in of_user.publish else ""
    mapped = {text: _asked(text) for text in of_user.publish if _asked(text) != text}
    mappings = "".join(
        f"      {json.dumps(text)}: {json.dumps(asked.replace('*', '$1'))}\n"
        for text, asked in mapped.items()
    )
    seen = msgspec.structs.replace(
        of_user,
        publish=tuple(map(_asked, of_user.publish)),
        deny=tuple(map(_asked, of_user.deny)),
    )
    return f"""  {name} {{
    users: [
{_user(name, seen)}
    ]
    mappings: {{
{mappings}    }}
{exports}    imports: [
{imports}    ]
  }}"""


def _import(subject: str) -> str:
    local = _asked(subject)
    to = f", to: {json.dumps(local)}" if local != subject else ""
    return f"      {{ service: {{ account: {ACCOUNT}, subject: {json.dumps(subject)} }}{to} }}\n"


def _heard() -> str:
    """What services tell besides the log comes from their own accounts."""
    return "".join(
        f'      {{ stream: {{ account: {name}, subject: "{TOLD}" }} }}\n'
        for name in composition.SERVICES
    )


def _asked(subject: str) -> str:
    """What a question is called within the other accounts, and what their users' rights name.

    On most subjects of the API an account has one of its own that answers, so the log's is called
    otherwise there.
    """
    if not subject.startswith(f"{API}.") or _has_many(subject):
        return subject
    return f"{ASKED}{subject.removeprefix(API)}"


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

_ACCOUNTS = """
# One user a service, in an account of its own.  Each may append its own events, read jobs and take
# what is meant for it.  The streams are in another account: a service reaches of that what it
# imports, and a user has answers sent to its own account only, whatever they are to be called.
# Passwords come from the environment; one that begins with a digit needs quotes around it there.
accounts {
"""
