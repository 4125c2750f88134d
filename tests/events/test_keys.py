"""Tests of ``events.keys``: what is signed, and what a signature is worth."""

from __future__ import annotations

import base64
import hashlib
import pickle

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from events.codec import Message
from events.keys import (
    Checked,
    KeyRefused,
    NoKey,
    PrivateKey,
    Trust,
    TrustedKey,
    checked_public,
    key_id,
)
from events.link import link, record
from events.log import Tail
from events.notices import CircuitClosed, Posting, drafted
from events.types import AssemblyRequested, Foreign
from tests.signing import Keys

KEYS = Keys()
DONE = AssemblyRequested(job_id="a", attempt=1)
SUBJECT = "pytoon.jobs.a.assembly_requested"


def message(seq: int = 7, keys: Keys = KEYS, service: str = "planner") -> Message:
    """A signed event as it is stored."""
    tail = Tail(job_id="a", seq=6, ordinal=6, digest="d" * 64, first_seq=1)
    (draft,) = link(
        tail, [DONE], source=f"pytoon/{service}", time_s=0.0, keyring=keys.ring(service)
    )
    return Message(
        seq=seq, subject=draft.subject, headers=draft.headers, body=draft.body, time_s=0.0
    )


def signed_by_hand(stored: Message) -> bytes:
    """What must be signed, written down once more for whoever checks it in another language."""
    pieces = [stored.subject.encode()]
    for name, value in sorted(stored.headers.items()):
        if name.startswith(("ce-", "pytoon-")) and name != "pytoon-signature":
            pieces += [name.encode(), value.encode()]
    pieces.append(stored.body)
    hashed = hashlib.sha256()
    for piece in pieces:
        hashed.update(len(piece).to_bytes(8, "big") + piece)
    return b"pytoon-signature-1\n" + hashed.hexdigest().encode()


def test_a_signature_is_what_it_is_said_to_be() -> None:
    """Anybody can check it with an Ed25519 of their own: nothing of ours is called here."""
    stored = message()
    trusted = next(key for key in KEYS.trust.keys if key.service == "planner")
    raw = base64.b64decode(trusted.public)
    public = Ed25519PublicKey.from_public_bytes(raw)
    assert hashlib.sha256(raw).hexdigest()[:16] == stored.headers["pytoon-key"]
    signature = base64.b64decode(stored.headers["pytoon-signature"])
    public.verify(signature, signed_by_hand(stored))
    with pytest.raises(InvalidSignature):
        public.verify(signature, signed_by_hand(stored)[:-1] + b"g")


def test_a_known_signature_stays() -> None:
    """Of a fixed key and a fixed message: old logs depend on it (Ed25519 has no chance in it)."""
    seed = bytes(range(32))
    pem = b"-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n" % base64.b64encode(
        bytes.fromhex("302e020100300506032b657004220420") + seed
    )
    key = PrivateKey.read(pem)
    assert "56475aa75463474c" == key.id
    data = b"pytoon-signature-1\n" + b"0" * 64
    expected = (
        "CxrvSWM1rU/vBZx35zO6vWxgMQsuAYqRMieZ2AdWIyutXi1h4g2rvLhyIMbrCrAUITkHaoTMV2wK6CWBCr73Aw=="
    )
    assert expected == key.sign(data)


def test_a_signed_event_is_read_as_it_was_written() -> None:
    """With who signed it; without keys it is read, too, and nobody is named."""
    stored = message()
    read = record(stored, KEYS.reader())
    assert DONE == read.event
    assert f"planner/{KEYS.id('planner')}" == read.signer
    unread = record(stored)
    assert (DONE, "") == (unread.event, unread.signer)
    assert read.digest == unread.digest


def test_a_bare_ask_needs_no_signature() -> None:
    """A client is nobody that we know."""
    for ask in ("render_requested", "render_cancel_requested", "generation_settled"):
        stored = Message(
            seq=7, subject=f"pytoon.jobs.a.{ask}", headers={"x": "y"}, body=b"{}", time_s=0.0
        )
        assert Checked() == KEYS.reader().check(stored)


def test_what_is_older_than_the_keys_counts() -> None:
    """From a sequence on, and not before, it must be signed."""
    stored = msgspec.structs.replace(message(9), headers={})
    reader = Keys(signed_from=10).reader()
    assert Checked() == reader.check(stored)
    assert "it is not signed" in reader.check(msgspec.structs.replace(stored, seq=10)).why


def test_a_retired_key_counts_up_to_a_message() -> None:
    """What it signed before stays good; what is stored after is not, whatever its date."""
    rows = tuple(
        msgspec.structs.replace(key, until=7) if key.service == "planner" else key
        for key in KEYS.trust.keys
    )
    ring = KEYS.ring(trust=Trust(keys=rows))
    assert ring.check(message(7)).signer
    told = ring.check(message(8)).why
    assert f"signed by planner (key {KEYS.id('planner')}), whose key was retired after 7" == told


def test_two_keys_of_a_service_count_side_by_side() -> None:
    """While one takes the other's place."""
    other = Keys()
    both = Trust(keys=(*KEYS.trust.keys, *other.trust.keys))
    ring = KEYS.ring(trust=both)
    assert f"planner/{KEYS.id('planner')}" == ring.check(message()).signer
    assert f"planner/{other.id('planner')}" == ring.check(message(keys=other)).signer


def test_who_has_no_key_signs_nothing() -> None:
    """It is told whose is missing."""
    with pytest.raises(NoKey, match="signed as assembler: its key is not here"):
        link(
            Tail(job_id="a"),
            [DONE],
            source="pytoon/assembler",
            time_s=0.0,
            keyring=KEYS.ring("planner"),
        )


def test_what_is_claimed_is_told_harmlessly() -> None:
    """A forger writes to the operator's terminal no more than plain characters, and few."""
    stored = message()
    evil = "\x1b[2J\u202eevil" + "x" * 1000
    for forged in (
        {**stored.headers, "pytoon-key": evil},
        {"ce-source": f"pytoon/{evil}", "pytoon-version": "1"},
    ):
        why = KEYS.reader().check(msgspec.structs.replace(stored, headers=forged)).why
        assert "?[2J?evilxxx" in why
        assert why.isascii()
        assert why.isprintable()
        assert len(why) < 300


def test_newer_things_are_believed_of_services_alone() -> None:
    """An unknown version stops every reader of a job: not everybody may do that."""
    headers = {"pytoon-version": "99"}
    stored = Message(seq=7, subject=SUBJECT, headers=headers, body=b"{}", time_s=0.0)
    assert isinstance(record(stored, KEYS.reader()).event, Foreign)


def test_a_notice_is_signed_with_its_place() -> None:
    """Nothing links notices, so the one before it is named."""
    posting = Posting(notice=CircuitClosed(engine="e"), after=41)
    draft = drafted(posting, source="pytoon/segment-renderer", time_s=0.0, keyring=KEYS.ring())
    assert "41" == draft.headers["pytoon-after"]
    stored = Message(
        seq=42, subject=draft.subject, headers=draft.headers, body=draft.body, time_s=0.0
    )
    assert f"segment-renderer/{KEYS.id('segment-renderer')}" == KEYS.reader().check(stored).signer
    unsigned = drafted(posting, source="pytoon/segment-renderer", time_s=0.0)
    assert not {"pytoon-after", "pytoon-key"} & unsigned.headers.keys()


def test_a_private_key_is_written_and_read() -> None:
    """As PEM that OpenSSL reads, too; it says nothing of itself but its id."""
    key = PrivateKey.made()
    again = PrivateKey.read(key.pem())
    assert (key.id, key.sign(b"x")) == (again.id, again.sign(b"x"))
    assert f"PrivateKey({key.id})" == f"{key!r}" == f"{key}"
    assert key_id(key.public) == key.id
    with pytest.raises(TypeError, match="stays in its process"):
        pickle.dumps(key)


def test_what_is_no_private_key_is_refused() -> None:
    """The message says why, and nothing of what is in it."""
    secret = PrivateKey.made().pem()
    locked = load_pem_private_key(secret, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
    )
    other = X25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    cut = secret[:-40]
    for pem, why in (
        (locked, "encrypted"),
        (b"word", "no private key in PEM"),
        (cut, "no private key in PEM"),
        (other, "another kind"),
    ):
        with pytest.raises(KeyRefused, match=why) as caught:
            PrivateKey.read(pem)
        assert secret.splitlines()[1].decode()[:20] not in str(caught.value)


@pytest.mark.parametrize("text", ["", "x", "AAAA", "A" * 43, "A" * 42 + "B=", "ä" * 43 + "="])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    """Thirty-two bytes in base64, written in the one way there is."""
    with pytest.raises(KeyRefused, match="32 bytes in base64"):
        checked_public(text)


def test_who_trusts_alike_has_one_fingerprint() -> None:
    """Whatever the order; another key, its end or its beginning makes another one."""
    keys = KEYS.trust.keys
    base = KEYS.trust.fingerprint()
    assert base == Trust(keys=keys[::-1]).fingerprint()
    retired = (msgspec.structs.replace(keys[0], until=5), *keys[1:])
    others = {
        Trust(keys=keys[1:]).fingerprint(),
        Trust(keys=keys, signed_from=2).fingerprint(),
        Trust(keys=retired).fingerprint(),
        Trust(keys=(TrustedKey(service="assembler", public=keys[0].public),)).fingerprint(),
    }
    assert 4 == len(others - {base})
