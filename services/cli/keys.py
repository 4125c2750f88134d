"""``keys``: the services' signing keys are made, exchanged and retired; no secret is shown."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.cli.exits import Refused
from services.cli.visit import arrive, nats_option

if TYPE_CHECKING:
    from events.jetstream import JetStreamLog
    from events.keys import Trust
    from services.cli.visit import Arrival

LOOKED_AT = 5000
"""Among how many of a log's last messages one is looked for that is signed."""

folder_option = click.option(
    "--in",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("keys"),
    show_default=True,
    metavar="FOLDER",
    help="Where trusted.json lies.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def keys() -> None:
    """Make, exchange and retire the keys that services sign events with."""


@keys.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("keys"))
def make(folder: Path) -> None:
    """Make a key for each service in FOLDER (default: keys), and trusted.json.

    Give each service its own SERVICE.key and nothing else of the private ones, and trusted.json
    to everybody. One set of keys is for one log.
    """
    from services.signing import need_library

    need_library()
    from events.keyfiles import TRUSTED, KeyFileError, private_path, write_private, write_trust
    from events.keys import PrivateKey, Trust, TrustedKey
    from events.writers import WRITERS

    paths = [folder / TRUSTED, *(private_path(folder, service) for service in WRITERS)]
    there = [str(path) for path in paths if path.exists()]
    if there:
        raise Refused(
            f"{', '.join(there)}: there already. Name another folder; to exchange a key, see "
            "pytoon keys add."
        )
    trusted = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for service in WRITERS:
            key = PrivateKey.made()
            write_private(private_path(folder, service), key)
            trusted.append(TrustedKey(service=service, public=key.public))
        write_trust(folder / TRUSTED, Trust(keys=tuple(trusted)))
    except (OSError, KeyFileError) as error:
        raise Refused(f"{error}.") from error
    click.echo(f"{folder / TRUSTED}: whose signatures count; give it to everybody.")
    for trusted_key in trusted:
        path = private_path(folder, trusted_key.service)
        click.echo(f"{path}: for {trusted_key.service} alone (key {trusted_key.id}).")
    click.echo(f"Then: pytoon init --keys {folder / TRUSTED}")


@keys.command()
@click.argument("service")
@folder_option
def add(service: str, folder: Path) -> None:
    """Make another key for SERVICE, which does not sign with it yet.

    It is written to SERVICE.next.key, and trusted.json has it from now on. Note that by
    `pytoon init --keys`, give the file to everybody and start all services again; then let
    SERVICE.next.key take the place of SERVICE.key, and start that service again.
    """
    trust = _trust(folder)
    from msgspec.structs import replace

    from events.keyfiles import TRUSTED, KeyFileError, private_path, write_private, write_trust
    from events.keys import PrivateKey, TrustedKey
    from events.writers import WRITERS

    if service not in WRITERS:
        raise Refused(
            f"There is no service {service!r} that signs; there are {', '.join(WRITERS)}."
        )
    key = PrivateKey.made()
    path = private_path(folder, service, following=True)
    more = TrustedKey(service=service, public=key.public)
    try:
        write_private(path, key)
        write_trust(folder / TRUSTED, replace(trust, keys=(*trust.keys, more)))
    except KeyFileError as error:
        raise Refused(f"{error}.") from error
    click.echo(f"{path}: the next key of {service} (key {key.id}).")
    click.echo(f"{folder / TRUSTED}: has it, too. Then: pytoon init --keys {folder / TRUSTED}")


@keys.command()
@click.argument("key")
@click.option(
    "--at",
    "until",
    type=click.IntRange(min=0),
    metavar="SEQ",
    help="The last message that it counts for; default: the log's last one.",
)
@folder_option
@nats_option
def retire(key: str, *, until: int | None, folder: Path, nats_url: str) -> None:
    """Let KEY count for nothing that is stored from now on; what it has signed stays good.

    Note that by `pytoon init --keys`, give trusted.json to everybody and start all services
    again.
    """
    trust = _trust(folder)
    from msgspec.structs import replace

    from events.keyfiles import TRUSTED, KeyFileError, write_trust

    known = {item.id: item for item in trust.keys}
    if key not in known:
        raise Refused(f"{folder / TRUSTED} has no key {key!r}; there are {', '.join(known)}.")
    service = known[key].service
    if known[key].until is not None:
        raise Refused(f"The key {key} of {service} was retired after {known[key].until} already.")
    if len(trust.current(service)) == 1:
        raise Refused(f"It is the only key of {service}: pytoon keys add {service} makes another.")
    if until is None:
        with arrive(nats_url, services=False) as arrival:
            until = asyncio.run(_last_seq(arrival))
    retired = replace(known[key], until=until)
    rows = tuple(retired if item.id == key else item for item in trust.keys)
    try:
        write_trust(folder / TRUSTED, replace(trust, keys=rows))
    except KeyFileError as error:
        raise Refused(f"{error}.") from error
    click.echo(f"{key}: counts as {service}'s up to message {until}, and no longer.")
    click.echo(f"Then: pytoon init --keys {folder / TRUSTED}")


@keys.command()
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
def show(file: Path | None) -> None:
    """List the public keys of FILE (default: keys/trusted.json), and what they count for."""
    from services.signing import trust_of

    trust = trust_of(file or Path("keys/trusted.json"))
    for item in trust.keys:
        told = "in use" if item.until is None else f"retired after message {item.until}"
        click.echo(f"{item.id}  {item.service:20}  {told}")
    click.echo(f"Services sign from message {trust.signed_from} on.")
    click.echo(f"Fingerprint: {trust.fingerprint()}")


async def begin_signing(log: JetStreamLog, file: Path, *, from_now: bool) -> str | None:
    """Look after the messages of a log in which nothing was signed yet: they would be foreign.

    Only by ``from_now`` do they count as they are, and then the file says up to which.  Returns
    what is to be told.  Raises ``Refused``.
    """
    from msgspec.structs import replace

    from events.keyfiles import KeyFileError, write_trust
    from events.keys import Keyring
    from events.types import type_name
    from events.writers import APPENDS
    from services.signing import METADATA, NONE

    keyring, last_seq = log.settings.keyring, (await log.usage()).last_seq
    assert keyring is not None, "it was connected with these keys"
    signs = (await log.metadata()).get(METADATA, NONE) != NONE
    if signs or keyring.trust.signed_from > last_seq:
        return None
    types = {type_name(kind) for kinds in APPENDS.values() for kind in kinds}
    if any(item.signer for item in await log.recent(sorted(types), messages_max=LOOKED_AT)):
        # The log's note of its keys was lost, and not what they have signed.
        return None
    if not from_now:
        raise Refused(
            f"The log's messages up to {last_seq} are signed by nobody, and by {file} all must be "
            f"from {keyring.trust.signed_from} on. Stop the services, then say --from-now: what "
            "is there counts as it is, and the file is told so."
        )
    trust = replace(keyring.trust, signed_from=last_seq + 1)
    try:
        write_trust(file, trust)
    except KeyFileError as error:
        raise Refused(f"From which message on services sign must stand in it: {error}.") from error
    log.settings = replace(log.settings, keyring=Keyring(trust))
    return f"{file}: services sign from message {trust.signed_from} on. Give it to everybody."


async def _last_seq(arrival: Arrival) -> int:
    from services.cli.visit import Visit

    async with Visit.open(arrival, made=False) as visit:
        return int((await visit.patiently(visit.log.usage)).last_seq)


def _trust(folder: Path) -> Trust:
    from services.signing import need_library, trust_of

    need_library()
    from events.keyfiles import TRUSTED

    return trust_of(folder / TRUSTED)
