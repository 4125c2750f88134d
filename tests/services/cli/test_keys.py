"""``keys``, ``init --keys``, and what commands say of a log whose events are signed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nats
import pytest

from events.writers import WRITERS
from services.home import read_json
from tests.end_to_end.shell import opened
from tests.services.cli.conftest import _ENVIRON, Person

_REQUEST = ("--preset", "overlay_classic", "--duration", "6")
SIGNED = {"PYTOON_TRUSTED_KEYS": "keys/trusted.json", "PYTOON_SIGNING_KEYS": "keys"}


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Somebody whose home's services sign, with a finished film named ``done``."""
    with opened(tmp_path_factory.mktemp("signer"), **_ENVIRON) as shell:
        made = shell.call("keys", "make")
        assert (made.code, made.err) == (0, "")
        shell.environ = {
            **_ENVIRON,
            **{name: str(shell.folder / text) for name, text in SIGNED.items()},
        }
        rendered = shell.call("render", *_REQUEST, "--job-id", "done")
        assert rendered.code == 0, rendered.err
        yield shell


def secrets_of(folder: Path) -> list[str]:
    """What is in the private keys."""
    found = [path.read_text("ascii").splitlines()[1] for path in sorted(folder.glob("*.key"))]
    assert len(found) >= len(WRITERS)
    return found


def store(person: Person, subject: str, body: bytes, headers: Mapping[str, str] | None) -> None:
    """Have a message stored by somebody who has only the server's token."""
    told = read_json(person.home.run_json)

    async def publish() -> None:
        client = await nats.connect(str(told["url"]), token=str(told["token"]))
        await client.jetstream().publish(subject, body, headers=dict(headers or {}))
        await client.close()

    asyncio.run(publish())


def test_keys_are_made_once(person: Person) -> None:
    """Each for its service; a second time nothing is written over, and nothing is ever shown."""
    made = person.call("keys", "make", "keys")
    assert made.code == 0
    assert "keys/planner.key: for planner alone" in made.out
    again = person.call("keys", "make", "keys")
    assert (again.code, "there already" in again.err) == (2, True)
    shown = person.call("keys", "show")
    assert shown.code == 0
    assert [*WRITERS] == [line.split()[1] for line in shown.out.splitlines()[: len(WRITERS)]]
    said = made.out + made.err + again.err + shown.out
    assert [] == [text for text in secrets_of(person.folder / "keys") if text in said]


@pytest.mark.slow
def test_a_key_is_exchanged(person: Person) -> None:
    """The next one is trusted before it is used; the old one retires and stays in the list."""
    assert person.call("keys", "make").code == 0
    first = person.call("keys", "show").out.split()[0]
    lonely = person.call("keys", "retire", first, "--at", "3")
    assert (lonely.code, "the only key of planner" in lonely.err) == (2, True)
    assert person.call("keys", "add", "planner").code == 0
    assert (person.folder / "keys/planner.next.key").stat().st_mode & 0o777 == 0o600
    twice = person.call("keys", "add", "planner")
    assert (twice.code, "planner.next.key is there already" in twice.err) == (2, True)
    retired = person.call("keys", "retire", first, "--at", "3")
    assert (retired.code, "up to message 3, and no longer" in retired.out) == (0, True)
    shown = person.call("keys", "show").out
    assert f"{first}  planner               retired after message 3" in shown
    assert len(WRITERS) == shown.count("in use")
    for arguments, told in (
        (("retire", first), "was retired after 3 already"),
        (("retire", "0123"), "has no key '0123'; there are"),
        (("add", "gateway"), "no service 'gateway' that signs"),
    ):
        refused = person.call("keys", *arguments)
        assert (refused.code, told in refused.err) == (2, True), refused.err


def test_a_signed_film_is_said_to_be_signed(signer: Person) -> None:
    """Audit names each service and its key, the log each event's; everything is well."""
    audit = signer.call("audit", "done", "--json")
    assert (audit.code, audit.told["flaws"], audit.told["notes"]) == (0, [], [])
    shown = signer.call("keys", "show").out
    ids = {line.split()[1]: line.split()[0] for line in shown.splitlines()[: len(WRITERS)]}
    quiet = "fallback-controller"  # nothing went wrong
    assert {f"{name}/{ids[name]}" for name in WRITERS if name != quiet} == set(
        audit.told["signed"]
    )
    told = signer.call("audit", "done").out
    assert f"  signed by assembler: 2 (key {ids['assembler']})" in told
    events = signer.log("done")
    assert f"assembler/{ids['assembler']}" == events[-1]["signed_by"]
    assert "signed_by" not in events[0]
    doctor = {
        finding["name"]: finding
        for finding in map(json.loads, signer.call("doctor", "--json").out.splitlines())
    }
    assert ("ok", "ok") == (doctor["keys"]["state"], doctor["signatures"]["state"])
    assert "4 trusted" in doctor["keys"]["detail"]


def test_a_forgery_is_told_by_name(signer: Person) -> None:
    """By audit, log, status and doctor: who is named, which key, and why; the film stays."""
    body = b'{"type": "render_failed", "job_id": "film", "reason": "internal", "detail": ""}'
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "x",
        "ce-type": "render_failed",
        "ce-source": "pytoon/fallback-controller",
        "ce-time": "2026-11-28T00:00:00Z",
        "pytoon-version": "1",
        "pytoon-ordinal": "2",
        "pytoon-prev": "",
        "pytoon-job-seq": "1",
        "pytoon-key": "0123456789abcdef",
        "pytoon-signature": "A" * 88,
    }
    store(signer, "pytoon.jobs.film.render_failed", body, headers)
    rendered = signer.call("render", *_REQUEST, "--job-id", "film", "--json")
    assert (rendered.code, rendered.told["status"]) == (0, "completed")
    why = "the key 0123456789abcdef is nobody's here (fallback-controller is named)"
    audit = signer.call("audit", "film", "--json")
    assert audit.code == 3
    (flaw,) = audit.told["flaws"]
    assert flaw.endswith(f"(render_failed) is forged: {why}")
    first = signer.log("film")[0]
    assert ("foreign", True, why) == (first["type"], first["data"]["forged"], first["data"]["why"])
    assert why in signer.call("status", "film").out
    doctor = signer.call("doctor").out
    assert "WARN  signatures    1 forged: message " in doctor
    assert why in doctor


@pytest.mark.slow
def test_a_signed_job_moves_to_where_its_keys_are_trusted(signer: Person, person: Person) -> None:
    """Elsewhere services would begin it anew, so it is refused; without keys all is read."""
    bundle = str(signer.folder / "done.zip")
    assert signer.call("export", "done", "-o", bundle).code == 0
    assert person.call("keys", "make", "others").code == 0
    foreign: dict[str, Any] = {"PYTOON_TRUSTED_KEYS": str(person.folder / "others/trusted.json")}
    refused = person.call("import", bundle, **foreign)
    assert refused.code == 2
    assert "done has not ended (requested)." in refused.err
    assert "is nobody's here (planner is named)" in refused.err
    elsewhere: dict[str, Any] = {"PYTOON_HOME": str(person.folder / "elsewhere")}
    same: dict[str, Any] = {name: signer.environ[name] for name in SIGNED}
    imported = person.call("import", bundle, **elsewhere, **same)
    assert (imported.code, imported.err) == (0, "")
    with opened(person.folder / "third") as third:
        assert third.call("import", bundle).code == 0
        assert third.call("audit", "done").code == 0
    audit = person.call("audit", "done", "--json", **elsewhere, **same)
    assert (audit.code, audit.told["flaws"], bool(audit.told["signed"])) == (0, [], True)
    assert person.call("jobs", **elsewhere).code == 2


@pytest.mark.slow
def test_who_trusts_otherwise_does_not_start(signer: Person) -> None:
    """Neither a service nor a command, and the message says what to set."""
    nothing: dict[str, Any] = {"PYTOON_TRUSTED_KEYS": "", "PYTOON_SIGNING_KEYS": ""}
    refused = signer.call("status", "done", **nothing)
    assert (refused.code, "set PYTOON_TRUSTED_KEYS" in refused.err) == (2, True)
    refused = signer.call("serve", "planner", **nothing)
    assert (refused.code, "set PYTOON_TRUSTED_KEYS" in refused.err) == (2, True)
    refused = signer.call("serve", "planner", PYTOON_SIGNING_KEYS=str(signer.folder))
    assert (refused.code, "planner.key cannot be read" in refused.err) == (2, True)
    doctor = signer.call("doctor", PYTOON_TRUSTED_KEYS="nowhere.json").out
    assert "FAIL  keys          PYTOON_TRUSTED_KEYS: nowhere.json cannot be read" in doctor


@pytest.mark.slow
def test_a_log_that_has_messages_begins_to_be_signed(person: Person) -> None:
    """What it has counts as it is; the file is told from which message on that is over."""
    assert person.call("render", *_REQUEST, "--job-id", "old").code == 0
    person.leave()
    assert person.call("keys", "make").code == 0
    unasked = person.call("init", "--keys", "keys/trusted.json")
    assert (unasked.code, "say --from-now" in unasked.err) == (2, True)
    assert person.call("audit", "old").code == 0
    chosen = person.call("init", "--keys", "keys/trusted.json", "--from-now")
    assert chosen.code == 0, chosen.err
    from_seq = json.loads((person.folder / "keys/trusted.json").read_text())["signed_from"]
    assert f"services sign from message {from_seq} on" in chosen.out
    at: dict[str, Any] = {name: str(person.folder / text) for name, text in SIGNED.items()}
    audit = person.call("audit", "old", "--json", **at)
    assert (audit.code, audit.told["flaws"], audit.told["signed"]) == (0, [], {})
    (note,) = audit.told["notes"]
    assert "are from before the keys, and count unsigned" in note
    assert person.call("render", *_REQUEST, "--job-id", "new", **at).code == 0
    assert person.call("audit", "new", "--json", **at).told["signed"]
    person.leave()
    again = person.call("init", "--keys", "keys/trusted.json", "--from-now")
    assert (again.code, "sign from" in again.out) == (0, False)
    assert from_seq == json.loads((person.folder / "keys/trusted.json").read_text())["signed_from"]
    assert person.call("init", "--keys", "none").code == 0
    assert person.call("status", "old").code == 0
    # Chosen again: what it has is signed already, so no more is forgiven.
    assert person.call("init", "--keys", "keys/trusted.json", "--from-now").code == 0
    assert from_seq == json.loads((person.folder / "keys/trusted.json").read_text())["signed_from"]


def test_no_secret_is_written_anywhere(signer: Person) -> None:
    """Not into the log, not to a service's or the server's, nor into the home at all."""
    planted = [text.encode() for text in secrets_of(signer.folder / "keys")]
    texts = {
        str(path): path.read_bytes() for path in signer.home.path.rglob("*") if path.is_file()
    }
    assert any("services.log" in name for name in texts)
    assert any(b"pytoon-signature" in text for text in texts.values())
    assert [] == [name for name, text in texts.items() if any(key in text for key in planted)]
    said = "".join(
        called.out + called.err
        for called in (
            signer.call("doctor"),
            signer.call("audit", "--all", "--json"),
            signer.call("log", "done", "--json"),
            signer.call("keys", "show"),
        )
    ).encode()
    assert [] == [key for key in planted if key in said]
