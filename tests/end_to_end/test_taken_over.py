"""A user of the NATS server who was taken over, and says where answers are to go.

What a user may publish is checked, and where the answer goes is not: in one account the server
itself sends it anywhere, its own API included, and says there whatever the user had it store.
So every way is tried to every place that would do harm, with the configuration that ships.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from config import Config, load
from events.jetstream import JetStreamLog
from services.composition import SERVICES
from services.permissions import CLIENT, GATEWAY, OPERATOR
from tests.cluster import Cluster, provisioned
from tests.end_to_end.world import QUICK
from tests.patience import COMES_S, PATIENT, comes_true

API = "$JS.API"
DURABLE = "fallback-timers"
"""Whom the attacks on a consumer are for."""

OWN = {
    CLIENT: "render_requested",
    GATEWAY: "render_requested",
    "planner": "render_rejected",
    "segment-renderer": "segment_rendered",
    "fallback-controller": "render_failed",
    "assembler": "soundtrack_mixed",
    OPERATOR: "render_requested",
}
"""A type that each may append."""

DURABLES = {
    "planner": "planner",
    "segment-renderer": "segment-renderer-null",
    "fallback-controller": "fallback-controller",
    "assembler": "assembler",
}
SETTLED_S = 0.5


@pytest.fixture(name="config", scope="module")
def a_config() -> Config:
    """With the null engine."""
    return load(environ=QUICK)


@pytest_asyncio.fixture(name="server")
async def a_server(tmp_path: Path, config: Config) -> AsyncIterator[Cluster]:
    """A server with all users, streams, mirror, durables, and a job."""
    async with provisioned(tmp_path, config) as cluster:
        log = await JetStreamLog.connect(cluster.url(OPERATOR), settings=PATIENT)
        await log.mirror()
        await log.publish_ask("first", "render_requested", b"{}")
        await log.close()
        yield cluster


def _asks(stream: dict[str, Any], durable: dict[str, Any]) -> dict[str, bytes]:
    """What the server could be asked, by place: each alone does harm, as the control shows."""
    repointed = {name: value for name, value in durable.items() if name != "filter_subjects"}
    repointed["filter_subject"] = "pytoon.jobs.*.render_cancelled"
    return {
        f"{API}.STREAM.DELETE.EVENTS": b"",
        f"{API}.STREAM.DELETE.AUDIT": b"",
        f"{API}.STREAM.PURGE.EVENTS": b"",
        f"{API}.STREAM.UPDATE.EVENTS": json.dumps(stream | {"metadata": {"x": "y"}}).encode(),
        f"{API}.STREAM.CREATE.OTHER": json.dumps({"name": "OTHER", "subjects": ["o"]}).encode(),
        f"{API}.CONSUMER.DELETE.EVENTS.{DURABLE}": b"",
        f"{API}.CONSUMER.CREATE.EVENTS.{DURABLE}": json.dumps(
            {"stream_name": "EVENTS", "config": repointed}
        ).encode(),
        "pytoon.jobs.film.render_completed": b"{}",
        "pytoon.engines.x.circuit_opened": b"{}",
        "pytoon.dlq.x": b"{}",
    }


async def _state(operator: Any) -> tuple[object, ...]:
    """All that an attack could change: streams, consumers, and what lies where nobody put it."""
    streams = await _ask(operator, f"{API}.STREAM.LIST", {})
    consumers = await _ask(operator, f"{API}.CONSUMER.LIST.EVENTS", {})
    told = await _ask(operator, f"{API}.STREAM.INFO.EVENTS", {"subjects_filter": ">"})
    subjects = told.get("state", {}).get("subjects", {})
    mine = {f"pytoon.jobs.x.{kind}" for kind in OWN.values()}
    return (
        sorted(json.dumps(one["config"], sort_keys=True) for one in streams["streams"]),
        sorted(
            json.dumps(one["config"], sort_keys=True)
            for one in consumers.get("consumers", ())
            if one["name"] in {*DURABLES.values(), DURABLE}
        ),
        sorted(set(subjects) - mine),
        told.get("state", {}).get("first_seq"),
        [one["state"]["messages"] for one in streams["streams"] if one["config"]["name"] == "DLQ"],
    )


async def _ask(client: Any, subject: str, request: object) -> dict[str, Any]:
    answer = await client.request(subject, json.dumps(request).encode(), timeout=COMES_S)
    return dict(json.loads(answer.data))


async def _asks_now(operator: Any) -> dict[str, bytes]:
    stream = await _ask(operator, f"{API}.STREAM.INFO.EVENTS", {})
    durable = await _ask(operator, f"{API}.CONSUMER.INFO.EVENTS.{DURABLE}", {})
    return _asks(stream["config"], durable["config"])


async def _have_said(client: Any, user: str, place: str, body: bytes) -> None:
    """Every way in which a user can have the server send this body, or what it says itself."""
    own = f"pytoon.jobs.x.{OWN[user]}"
    stored = json.loads((await client.request(own, body, timeout=COMES_S)).data)["seq"]
    get = json.dumps({"seq": stored}).encode()
    await client.publish(f"{API}.DIRECT.GET.EVENTS", get, reply=place)
    await client.publish(f"{API}.STREAM.MSG.GET.EVENTS", get, reply=place)
    await client.publish(f"{API}.STREAM.INFO.EVENTS", b"", reply=place)
    await client.publish(own, body, reply=place)
    if user in {CLIENT, GATEWAY}:
        await _have_delivered(client, stored, place)
    elif user in DURABLES:
        pull = json.dumps({"batch": 100, "expires": 300_000_000}).encode()
        subject = f"{API}.CONSUMER.MSG.NEXT.EVENTS.{DURABLES[user]}"
        await client.publish(subject, pull, reply=place)
    await client.flush(timeout=COMES_S)


async def _have_delivered(client: Any, seq: int, place: str) -> None:
    """By consumers of one's own: one that is pulled from, and one that delivers by itself."""
    begin = {"deliver_policy": "by_start_sequence", "opt_start_seq": seq, "ack_policy": "none"}
    for name, more in (("pulled", {}), ("pushed", {"deliver_subject": place})):
        request = {"stream_name": "EVENTS", "config": {"name": name, **begin, **more}}
        await _ask(client, f"{API}.CONSUMER.CREATE.EVENTS.{name}", request)
    pull = json.dumps({"batch": 10, "no_wait": True}).encode()
    await client.publish(f"{API}.CONSUMER.MSG.NEXT.EVENTS.pulled", pull, reply=place)
    await client.flush(timeout=COMES_S)
    await asyncio.sleep(0.05)
    for name in ("pulled", "pushed"):
        await _ask(client, f"{API}.CONSUMER.DELETE.EVENTS.{name}", {})


@pytest.mark.parametrize("user", [CLIENT, GATEWAY, *SERVICES])
async def test_no_answer_leaves_the_account_of_who_asked(server: Cluster, user: str) -> None:
    """By no way is a stream or a consumer changed, or anything stored where nobody put it."""
    operator, client = await server.raw(OPERATOR), await server.raw(user)
    asks = await _asks_now(operator)
    before = await _state(operator)
    for place, body in asks.items():
        await _have_said(client, user, place, body)
        await _have_said(client, user, place.replace(API, "pytoon.api"), body)
    await asyncio.sleep(SETTLED_S)
    assert before == await _state(operator)
    await client.close()
    await operator.close()


@pytest.mark.parametrize("place", _asks({}, {}))
async def test_where_the_streams_are_each_of_them_does_harm(server: Cluster, place: str) -> None:
    """The control: the same from within their account, where only the operator is."""
    operator = await server.raw(OPERATOR)
    body = (await _asks_now(operator))[place]
    before = await _state(operator)
    await _have_said(operator, OPERATOR, place, body)

    async def harmed() -> bool:
        return before != await _state(operator)

    assert await comes_true(harmed)
    await operator.close()


@pytest.mark.parametrize("user", [CLIENT, GATEWAY, *SERVICES])
async def test_nobody_is_answered_in_anothers_place(server: Cluster, user: str) -> None:
    """Else an answer could be made up for a service that waits for one.

    Who may make consumers may name a place in the account of the log, where only the operator is:
    its inboxes have names that nobody could guess.
    """
    client = await server.raw(user)
    names = [name for name in (CLIENT, *SERVICES) if name != user]
    names += [OPERATOR] if user in SERVICES else []
    heard: list[str] = []

    async def hear(message: Any) -> None:
        heard.append(f"{message.subject} {message.data!r}")

    others = [await server.raw(name) for name in names]
    for name, other in zip(names, others, strict=True):
        await other.subscribe(f"_INBOX_{name}.x", cb=hear)
        await other.flush(timeout=COMES_S)
        await _have_said(client, user, f"_INBOX_{name}.x", b"{}")
    await asyncio.sleep(SETTLED_S)
    assert [] == heard
    for one in (client, *others):
        await one.close()


@pytest.mark.parametrize("user", SERVICES)
async def test_what_services_tell_is_heard_by_clients(server: Cluster, user: str) -> None:
    """Progress goes from account to account, soon after somebody listens, and to each once."""
    service = await server.raw(user)
    heard: dict[str, list[bytes]] = {name: [] for name in (CLIENT, GATEWAY, OPERATOR)}
    clients = [await server.raw(name) for name in heard]
    for client, told in zip(clients, heard.values(), strict=True):

        async def hear(message: Any, told: list[bytes] = told) -> None:
            told.append(message.data)

        await client.subscribe("pytoon.progress.film", cb=hear)
        await client.flush(timeout=COMES_S)
    async with asyncio.timeout(COMES_S):
        for number in count():
            await service.publish("pytoon.progress.film", b"%d" % number)
            await service.flush(timeout=COMES_S)
            await asyncio.sleep(0.05)
            if all(heard.values()):
                break
    for told in heard.values():
        assert len(told) == len(set(told))
    for one in (service, *clients):
        await one.close()
