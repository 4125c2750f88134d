"""The AsyncAPI document says what the subjects, the schemas and the services say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from config import shipped
from events.codec import encode_envelope
from events.log import Envelope
from events.notices import CircuitClosed, Posting, drafted
from events.subjects import PROGRESS, stream_subjects
from events.types import CLIENT_ASKS
from schemas.asyncapi import FILE, document
from schemas.generation import HERE, documents
from services.composition import durables
from tests.signing import Keys

DOCUMENT: dict[str, Any] = json.loads((HERE / FILE).read_text(encoding="utf-8"))


def references(node: Any) -> Iterator[str]:
    """Every ``$ref`` in it."""
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def pattern(address: str) -> str:
    """An address as a filter."""
    return re.sub(r"\{\w+\}", "*", address)


def test_it_is_committed() -> None:
    """What is read here is what is generated."""
    assert document() == DOCUMENT
    assert FILE in documents()


def test_every_subject_is_a_channel_and_no_other() -> None:
    """What the stream takes, and the progress that it does not take."""
    addresses = [pattern(channel["address"]) for channel in DOCUMENT["channels"].values()]
    assert sorted((*stream_subjects(), f"{PROGRESS}.*")) == sorted(addresses)


def test_a_channel_has_its_parameters() -> None:
    """Each with a word on what it is."""
    for channel in DOCUMENT["channels"].values():
        assert re.findall(r"\{(\w+)\}", channel["address"]) == list(channel["parameters"])
        assert all(parameter["description"] for parameter in channel["parameters"].values())


def test_every_message_is_a_schema_beside_it() -> None:
    """All of the events and notices, and nothing but them; progress has no form of its own."""
    refs = {ref for ref in references(DOCUMENT) if not ref.startswith("#")}
    files = {f"./{name}" for name in documents() if name.startswith(("events/", "notices/"))}
    assert files == refs
    assert len(files) + 1 == len(DOCUMENT["components"]["messages"])


def test_every_reference_leads_somewhere() -> None:
    """Within the document."""
    for ref in references(DOCUMENT):
        node: Any = DOCUMENT
        for key in ref.removeprefix("#/").split("/") if ref.startswith("#") else ():
            node = node[key]
        assert isinstance(node, dict)


def test_clients_send_the_asks_and_nothing_else() -> None:
    """A bare body, at most with a trace; everything else is the services' own."""
    sent = {name for name in DOCUMENT["operations"] if ".send." in name}
    assert {f"client.send.{ask}" for ask in CLIENT_ASKS} == sent
    messages = DOCUMENT["components"]["messages"]
    headers = {name: message.get("headers", {}) for name, message in messages.items()}
    bare = {name for name, told in headers.items() if "pytoon-version" not in str(told)}
    assert CLIENT_ASKS | {"progress"} == bare
    assert {"traceparent"} == {name for ask in CLIENT_ASKS for name in headers[ask]["properties"]}


def test_services_receive_what_their_durables_filter_for() -> None:
    """No more and no less: a service in another language would need the same."""
    expected = {token.partition(".")[0] for spec in durables(shipped()) for token in spec.types}
    found = {
        name.rpartition(".")[2]
        for name in DOCUMENT["operations"]
        if ".receive." in name and not name.startswith("client.")
    }
    assert expected == found


def test_headers_are_those_that_are_written() -> None:
    """Of an event the whole envelope, of a notice no chain, and of both the signature."""
    envelope = Envelope(
        id="a",
        type="b",
        source="c",
        time="d",
        version=1,
        ordinal=1,
        prev="",
        job_seq=0,
        causation="",
        traceparent="e",
    )
    ring = Keys().ring()
    notice = Posting(notice=CircuitClosed(engine="e"), after=0)
    draft = drafted(notice, source="pytoon/segment-renderer", time_s=0.0, keyring=ring)
    event, _ = ring.signed("pytoon/planner", "s", encode_envelope(envelope), b"")
    for name, headers in {"render_planned": event, "circuit_closed": draft.headers}.items():
        told = DOCUMENT["components"]["messages"][name]["headers"]["properties"]
        assert set(headers) == set(told)
