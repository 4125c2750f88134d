"""A job in one file: its messages as they are stored, what was made, and the sums of it all.

A bundle is a ZIP: ``messages.jsonl`` (one stored message a line), ``artifacts/<sha256>``,
``spec.json`` and ``verdict.json`` for whoever wants to look, ``README.txt`` and ``SHA256SUMS``.
Messages are kept verbatim, so that the chain of digests is the same wherever they are read.

Left out: how messages get into another log (``events.appending.restore``).
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from events.codec import Message
from events.spec import Artifact, Struct

FORMAT = 1
"""The version of the bundles that this build writes, and the newest that it reads."""

MESSAGES_BYTES_MAX = 1 << 28
"""The most that a bundle's messages may take; a job of ours takes some hundred kilobytes."""

_MESSAGES, _SUMS, _README = "messages.jsonl", "SHA256SUMS", "README.txt"
_ARTIFACTS = "artifacts/"
_CHUNK_BYTES = 1 << 20


class BundleError(Exception):
    """The file is no bundle, or a damaged one: get it again, or export it anew."""


class Line(Struct, frozen=True, kw_only=True):
    """A stored message as a line of a bundle; one that is no UTF-8 is in ``body_base64``."""

    seq: int
    subject: str
    time_s: float
    headers: dict[str, str]
    body: str = ""
    body_base64: str = ""


class Bundle(Struct, frozen=True, kw_only=True):
    """What is in a bundle; ``artifacts`` are the sha256 that it has the content of."""

    job_id: str
    messages: tuple[Message, ...]
    artifacts: tuple[str, ...]


def artifacts_of(value: object) -> Iterator[Artifact]:
    """Every artifact that an event names, however deep; one may come more than once."""
    if isinstance(value, Artifact):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from artifacts_of(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from artifacts_of(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from artifacts_of(item)


def write(
    path: Path,
    job_id: str,
    messages: Sequence[Message],
    artifacts: Mapping[str, Path],
    shown: Mapping[str, Any],
) -> None:
    """Write a bundle, whole or not at all; ``artifacts`` is where the content of each sha256 is.

    ``shown`` are documents for people, by file name.  Raises ``OSError``, and ``BundleError``
    where an artifact's content is not what its name says.
    """
    handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w+b") as file:
            with zipfile.ZipFile(file, "w") as archive:
                _fill(archive, job_id, messages, artifacts, shown)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _fill(
    archive: zipfile.ZipFile,
    job_id: str,
    messages: Sequence[Message],
    artifacts: Mapping[str, Path],
    shown: Mapping[str, Any],
) -> None:
    lines = b"".join(msgspec.json.encode(_line(message)) + b"\n" for message in messages)
    texts = {
        _MESSAGES: lines,
        **{name: msgspec.json.format(msgspec.json.encode(shown[name])) for name in shown},
        _README: _readme(job_id, len(messages), len(artifacts)).encode(),
    }
    sums = {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}
    for name, text in texts.items():
        archive.writestr(name, text, zipfile.ZIP_DEFLATED)
    for sha256, path in sorted(artifacts.items()):
        # Films and pictures are packed already.
        with path.open("rb") as source, archive.open(f"{_ARTIFACTS}{sha256}", "w") as target:
            sums[f"{_ARTIFACTS}{sha256}"] = _copied(source, target)
        if sums[f"{_ARTIFACTS}{sha256}"] != sha256:
            raise BundleError(f"artifact sha256:{sha256} has other content: see `pytoon audit`")
    archive.writestr(_SUMS, "".join(f"{sums[name]}  {name}\n" for name in sums))


def _line(message: Message) -> Line:
    line = Line(
        seq=message.seq, subject=message.subject, time_s=message.time_s, headers=message.headers
    )
    try:
        return msgspec.structs.replace(line, body=message.body.decode())
    except UnicodeDecodeError:
        return msgspec.structs.replace(line, body_base64=base64.b64encode(message.body).decode())


def _message(line: Line) -> Message:
    body = base64.b64decode(line.body_base64, validate=True) or line.body.encode()
    return Message(
        seq=line.seq, subject=line.subject, time_s=line.time_s, headers=line.headers, body=body
    )


def read(path: Path) -> Bundle:
    """What is in a bundle, its sums checked.  Raises ``BundleError`` and ``OSError``."""
    try:
        with zipfile.ZipFile(path) as archive:
            sums = _checked_sums(archive)
            if archive.getinfo(_MESSAGES).file_size > MESSAGES_BYTES_MAX:
                raise BundleError(f"{path}: more than {MESSAGES_BYTES_MAX} bytes of messages")
            decoded = msgspec.json.Decoder(Line).decode_lines(archive.read(_MESSAGES))
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError) as error:
        raise BundleError(f"{path} is no bundle, or a damaged one: {error}") from error
    messages = tuple(map(_message, decoded))
    jobs = {".".join(message.subject.split(".")[2:3]) for message in messages}
    if len(jobs) != 1:
        raise BundleError(f"{path} has messages of {len(jobs)} jobs instead of one")
    found = tuple(name[len(_ARTIFACTS) :] for name in sums if name.startswith(_ARTIFACTS))
    return Bundle(job_id=jobs.pop(), messages=messages, artifacts=found)


def unpack(path: Path, sha256: str, folder: Path) -> Path:
    """An artifact's content as a new file in ``folder``.  Raises ``BundleError``, ``OSError``."""
    handle, name = tempfile.mkstemp(dir=folder)
    try:
        with (
            os.fdopen(handle, "wb") as target,
            zipfile.ZipFile(path) as archive,
            archive.open(f"{_ARTIFACTS}{sha256}") as source,
        ):
            found = _copied(source, target)
    except (zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise BundleError(f"{path} is damaged at artifact {sha256}: {error}") from error
    if found != sha256:
        raise BundleError(f"{path}: artifact {sha256} has other content")
    return Path(name)


def _checked_sums(archive: zipfile.ZipFile) -> dict[str, str]:
    """The sum of each member by its name, all of them true."""
    lines = archive.read(_SUMS).decode().splitlines()
    sums = {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
    for name, sha256 in sums.items():
        with archive.open(name) as source:
            if _copied(source) != sha256:
                raise BundleError(f"{name} is not what {_SUMS} says: the bundle was altered")
    return sums


def _copied(source: IO[bytes], target: IO[bytes] | None = None) -> str:
    """The sha256 of all that was read, and written where there is a ``target``."""
    hashed = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        hashed.update(chunk)
        if target is not None:
            target.write(chunk)
    return hashed.hexdigest()


def _readme(job_id: str, messages: int, artifacts: int) -> str:
    return f"""Pytoon job {job_id}, bundle format {FORMAT}

{_MESSAGES}   the job's {messages} messages as they were stored, one a line, in order
{_ARTIFACTS}       {artifacts} files that the messages name, each under the sha256 of its content
spec.json        the plan of the film, if it was planned
verdict.json     what was found when the finished film was probed, if it was finished
{_SUMS}       the sha256 of every file above (sha256sum -c {_SUMS})

pytoon import FILE brings it into a log, where status, replay and audit read it.
"""
