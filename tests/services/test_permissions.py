"""Who may do what on a server with the configuration that ships: everything is tried."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner

from config import Config, load, shipped
from events.jetstream import JetStreamLog
from events.job import JobStatus
from events.log import LogDenied, LogUnavailable
from events.pruning import prune_job
from events.stream import LogSettings
from events.subjects import stream_subjects
from events.types import type_name
from events.writers import APPENDS
from services import composition
from services.cli.permissions import permissions
from services.composition import SERVICES
from services.home import Home
from services.permissions import ASKED, CLIENT, GATEWAY, OPERATOR, nats_conf
from tests.cluster import PASSWORDS, Cluster, provisioned
from tests.end_to_end.world import QUICK, ask, ended
from tests.patience import COMES_S

ROOT = Path(__file__).parents[2]
API = "$JS.API"
NOBODYS = "nobody.may.publish.this"


@pytest.fixture(name="config", scope="module")
def a_config() -> Config:
    """With the null engine."""
    return load(environ=QUICK)


@pytest_asyncio.fixture(name="server")
async def a_server(tmp_path: Path, config: Config) -> AsyncIterator[Cluster]:
    """A server with all users, its streams and durables made by the operator."""
    async with provisioned(tmp_path, config) as cluster:
        yield cluster


def test_the_file_that_ships_is_what_the_command_prints() -> None:
    """``pytoon permissions > nats.conf`` changes nothing."""
    assert nats_conf(shipped()) == (ROOT / "nats.conf").read_text("utf-8")


@pytest.mark.parametrize("mutual", [False, True])
def test_tls_is_the_only_difference(mutual: bool) -> None:
    """Written with --tls the file has the two blocks more, and clients certify when asked to."""
    told = ["--client-certificates"] if mutual else []
    written = CliRunner().invoke(permissions, ["--tls", "/etc/nats/tls", *told])
    assert 0 == written.exit_code
    lines, plain = written.output.splitlines(), (ROOT / "nats.conf").read_text("utf-8")
    added = [line for line in lines if line not in plain.splitlines()]
    assert 2 == added.count("tls {") + added.count("  tls {")
    assert f"  verify: {str(mutual).lower()}" in added
    assert [] == [line for line in added if "accounts" in line or "allow" in line]
    assert plain.partition("accounts {")[2] == written.output.partition("accounts {")[2]


def test_client_certificates_need_tls() -> None:
    """Else a file without any would be written, and taken for one with."""
    assert 2 == CliRunner().invoke(permissions, ["--client-certificates"]).exit_code


def test_who_wrote_what_in_recorded_histories() -> None:
    """Each event's source may append it."""
    seen = 0
    for path in sorted((ROOT / "tests" / "replay").glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            headers: dict[str, Any] = json.loads(line)["headers"]
            source, kind = headers.get("ce-source", ""), headers.get("ce-type")
            if source.removeprefix("pytoon/") in APPENDS:
                service = source.removeprefix("pytoon/")
                assert kind in {type_name(one) for one in APPENDS[service]}, (path, service)
                seen += 1
    assert seen > 20


async def _refused(client: Any, errors: list[str], subjects: Sequence[str]) -> set[str]:
    """Which of these the server does not let a user publish; it tells a moment later, in order."""
    for subject in (*subjects, NOBODYS):
        await client.publish(subject, b"{}", reply=client.new_inbox())
    await client.flush(timeout=COMES_S)
    async with asyncio.timeout(COMES_S):
        while not any(f'"{NOBODYS}"' in error for error in errors):  # noqa: ASYNC110 - no bell
            await asyncio.sleep(0.01)
    return {text for text in subjects if any(f'"{text.lower()}"' in error for error in errors)}


async def _connected(server: Cluster, user: str) -> tuple[Any, list[str]]:
    errors: list[str] = []

    async def hear(error: Exception) -> None:
        # What an account calls the log's API is what its users are refused.
        errors.append(str(error).lower().replace(f'"{ASKED}.', f'"{API.lower()}.'))

    return await server.raw(user, error_cb=hear), errors


MAY_APPEND = {
    CLIENT: "render_requested render_cancel_requested generation_settled",
    GATEWAY: "render_requested render_cancel_requested generation_settled",
    "planner": "render_rejected render_planned segment_requested assembly_requested",
    "segment-renderer": "segment_rendered segment_failed generation_intended generation_submitted"
    " circuit_probed circuit_closed reserved settled",
    "fallback-controller": "segment_requested segment_timed_out rung_descended assembly_requested"
    " render_cancelled render_failed circuit_opened circuit_closed",
    "assembler": "soundtrack_mixed render_completed assembly_failed",
}
"""Events and notices by user, written down a second time: a right is given on purpose."""


def _may_append(user: str) -> set[str]:
    return set(MAY_APPEND[user].split())


def _kind(subject: str) -> str:
    tokens = subject.split(".")
    return tokens[3] if tokens[1] == "jobs" else tokens[-1]


@pytest.mark.parametrize("user", [CLIENT, GATEWAY, *SERVICES])
async def test_each_appends_its_own_and_nothing_else(server: Cluster, user: str) -> None:
    """Every subject of the stream is tried, plain and as a part of an atomic batch."""
    client, errors = await _connected(server, user)
    subjects = [pattern.replace("*", "x") for pattern in stream_subjects()]
    others = {subject for subject in subjects if _kind(subject) not in _may_append(user)}
    assert others == await _refused(client, errors, subjects)
    for subject in others:
        headers = {"Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1", "Nats-Batch-Commit": "1"}
        await client.publish(subject, b"{}", headers=headers)
    await client.flush(timeout=COMES_S)
    await client.close()
    operator = await server.raw(OPERATOR)
    info = await operator.jetstream().stream_info("EVENTS", subjects_filter=">")
    assert {_kind(subject) for subject in info.state.subjects or {}} <= _may_append(user)
    await operator.close()


@pytest.mark.parametrize("user", [CLIENT, GATEWAY, *SERVICES])
async def test_each_settles_its_own_messages_only(
    server: Cluster, config: Config, user: str
) -> None:
    """Nobody can say for another that work is done; what nobody could read, services put aside."""
    client, errors = await _connected(server, user)
    names = {spec.name for spec in composition.durables(config)}
    mine = {
        name for name in names if f"{API}.CONSUMER.INFO.EVENTS.{name}" in _may_ask(user, config)
    }
    acks = {name: f"$JS.ACK.EVENTS.{name}.1.1.1.1.1" for name in names}
    aside = {"pytoon.dlq.jobs.x.render_planned"}
    subjects = {*acks.values(), *aside, "$JS.ACK.AUDIT.x.1.1.1.1.1", "$JS.ACK.DLQ.x.1.1.1.1.1"}
    allowed = {acks[name] for name in mine} | (aside if user in SERVICES else set())
    assert allowed == subjects - await _refused(client, errors, sorted(subjects))
    await client.close()


ASKED_OF_STREAMS = (
    *("CREATE", "UPDATE", "DELETE", "INFO", "PURGE", "SNAPSHOT", "RESTORE", "MSG.GET"),
    *("MSG.DELETE", "PEER.REMOVE", "PEER.EVACUATE", "LEADER.STEPDOWN", "CANCEL_MOVE"),
)
ASKED_OF_CONSUMERS = (
    *("CREATE", "DURABLE.CREATE", "DELETE", "INFO", "MSG.NEXT", "PAUSE", "UNPIN", "RESET"),
    *("LEADER.STEPDOWN", "PEER.REMOVE", "PEER.EVACUATE"),
)
ASKED_OF_THE_SERVER = (
    *("STREAM.LIST", "STREAM.NAMES", "META.LEADER.STEPDOWN", "META.RESCUE", "SERVER.REMOVE"),
    *("SERVER.EVACUATE", "ACCOUNT.PURGE.x", "ACCOUNT.STREAM.MOVE.x.x"),
    "ACCOUNT.STREAM.CANCEL_MOVE.x.x",
)
STREAMS = ("EVENTS", "DLQ", "AUDIT", "OBJ_films", "OTHER")
READS = {"STREAM.INFO.EVENTS", "STREAM.MSG.GET.EVENTS", "DIRECT.GET.EVENTS"}
STORES = {"STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET", "STREAM.PURGE"}


def test_the_servers_whole_api_is_known() -> None:
    """What the program of the server itself says that one may ask: a newer one may have more."""
    known = {
        *(f"STREAM.{verb}" for verb in ASKED_OF_STREAMS),
        *(f"CONSUMER.{verb}" for verb in (*ASKED_OF_CONSUMERS, "LIST", "NAMES")),
        *(text.replace(".x", "") for text in ASKED_OF_THE_SERVER),
        "DIRECT.GET",
    }
    program = Path(sys.executable).with_name("nats-server").read_bytes()
    rooms = rb"(?:STREAM|CONSUMER|DIRECT|META|SERVER|ACCOUNT)"
    found = set(re.findall(rb"\$JS\.API\.(" + rooms + rb"(?:\.[A-Z_]+)+)", program))
    assert len(found) > 20
    # In the program one text follows another without a gap: each begins with one that is known.
    texts = {text.decode() for text in found}
    assert set() == {text for text in texts if not text.startswith(tuple(known))}


def _may_ask(user: str, config: Config) -> set[str]:
    """A user's questions to JetStream, written down a second time."""
    mine = {
        spec.name
        for spec in composition.durables(config)
        if spec.name == user
        or (user == "segment-renderer" and spec.name.startswith(user))
        or (user == "fallback-controller" and spec.name == "fallback-timers")
    }
    allowed = set(READS)
    allowed |= {f"CONSUMER.{verb}.EVENTS.{name}" for name in mine for verb in ("INFO", "MSG.NEXT")}
    if user in {CLIENT, GATEWAY}:
        verbs = ("CREATE", "INFO", "DELETE", "MSG.NEXT")
        filtered = "CONSUMER.CREATE.EVENTS.reader-1.pytoon.jobs.x.render_requested"
        allowed |= {f"CONSUMER.{verb}.EVENTS.reader-1" for verb in verbs}
        allowed |= {filtered, "STREAM.MSG.GET.DLQ"}
    if user == GATEWAY:
        allowed.add("CONSUMER.LIST.EVENTS")
    if config.store.address.kind == "nats":
        allowed |= {f"{what}.OBJ_films" for what in STORES}
    return {f"{API}.{text}" for text in allowed}


@pytest.mark.parametrize("store", ["home", "nats://films"])
@pytest.mark.parametrize("user", [CLIENT, GATEWAY, *SERVICES])
async def test_each_asks_for_its_own_and_nothing_else(
    tmp_path: Path, user: str, store: str
) -> None:
    """Every question of the API, of every stream and consumer; stores, inboxes and the system."""
    config = load(environ={**QUICK, "PYTOON_STORE": store})
    consumers = [*(spec.name for spec in composition.durables(config)), "reader-1"]
    asked = {f"STREAM.{verb}.{stream}" for verb in ASKED_OF_STREAMS for stream in STREAMS}
    asked |= {
        f"CONSUMER.{verb}.{stream}.{name}{more}"
        for verb in ASKED_OF_CONSUMERS
        for stream in STREAMS
        for name in consumers
        for more in ("", ".pytoon.jobs.x.render_requested")
    }
    asked |= {
        f"{what}.{stream}"
        for what in ("CONSUMER.CREATE", "CONSUMER.LIST", "CONSUMER.NAMES", "DIRECT.GET")
        for stream in STREAMS
    }
    asked |= {*ASKED_OF_THE_SERVER, "INFO", "DIRECT.GET.EVENTS.pytoon.jobs.x.render_requested"}
    films = {"$O.films.C.x", "$O.films.M.x"}
    elsewhere = {
        *("$O.others.C.x", "$O.others.M.x", "$KV.x.y", "$SYS.REQ.SERVER.PING", "$SRV.PING"),
        *("$SYS.REQ.USER.INFO", "$JS.FC.EVENTS.x.y", "$JS.SNAPSHOT.RESTORE.EVENTS.x"),
        *("$JS.SNAPSHOT.ACK.EVENTS.x", "$JS.EVENT.ADVISORY.API", "pytoon.other", "other"),
        *(f"_INBOX_{other}.x" for other in (CLIENT, GATEWAY, OPERATOR, *SERVICES)),
    }
    subjects = {f"{API}.{text}" for text in asked} | films | elsewhere
    allowed = _may_ask(user, config) | (films if store != "home" else set())
    assert allowed <= subjects
    cluster = Cluster(tmp_path, config)
    try:
        await cluster.start()
        client, errors = await _connected(cluster, user)
        refused = await _refused(client, errors, sorted(subjects))
        await client.close()
    finally:
        cluster.stop()
    assert allowed == subjects - refused


async def test_who_may_not_is_told_at_once(server: Cluster) -> None:
    """And by name: a question that nobody answers would look like a server that is away."""
    settings = LogSettings(request_timeout_s=30.0)
    log = await JetStreamLog.connect(server.url("planner"), settings=settings)
    started_s = asyncio.get_running_loop().time()
    with pytest.raises(LogDenied, match=r"may not publish to \$JS.API.CONSUMER.CREATE"):
        await log.jobs()
    with pytest.raises(LogDenied, match=r"\$JS.API.STREAM.PURGE.EVENTS"):
        await prune_job(log.connection, "x", 1)
    assert asyncio.get_running_loop().time() - started_s < 15.0
    await log.close()


@pytest.mark.parametrize("user", [CLIENT, GATEWAY, *SERVICES])
async def test_each_hears_its_own_answers_only(server: Cluster, user: str) -> None:
    """Progress is told by services and heard by clients; inboxes are everyone's own."""
    client, errors = await _connected(server, user)
    inboxes = [f"_INBOX_{one}.>" for one in (CLIENT, GATEWAY, OPERATOR, *SERVICES) if one != user]
    foreign = (
        *("pytoon.jobs.>", "pytoon.engines.>", "pytoon.budgets.>", "pytoon.dlq.>", "pytoon.>"),
        *("_INBOX.>", *inboxes, "$JS.>", "$JS.API.>", "$JS.ACK.>", "$O.>", "$SYS.>"),
        *("$KV.>", "_R_.>", ">", "*"),
    )
    for subject in (*foreign, "pytoon.progress.x", f"_INBOX_{user}.x"):
        await client.subscribe(subject)
    hears = user in {CLIENT, GATEWAY}
    tells = not await _refused(client, errors, ["pytoon.progress.y"])
    deaf = {text for text in foreign if any(f'to "{text.lower()}"' in told for told in errors)}
    assert set(foreign) == deaf
    assert hears == (not any('to "pytoon.progress.x"' in told for told in errors))
    assert not any(f'to "_inbox_{user}.x"' in told for told in errors)
    assert tells == (not hears)
    await client.close()


@pytest.mark.slow
async def test_a_wrong_password_is_nobody(server: Cluster) -> None:
    """Neither with another's, nor without."""
    where = server.url("planner").rpartition("@")[2]
    for login in (f"planner:{PASSWORDS['client']}@", ""):
        with pytest.raises(LogUnavailable):
            await JetStreamLog.connect(
                f"nats://{login}{where}", settings=LogSettings(connect_timeout_s=2.0)
            )


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_film_with_each_service_under_its_own_user(
    server: Cluster, config: Config, tmp_path: Path
) -> None:
    """Four processes, four users, and a client that is a fifth; takes some 15 s."""
    home = Home(tmp_path / "home")
    home.create()
    environ = {**os.environ, **QUICK, "PYTOON_HOME": str(home.path)}
    environ.pop("NATS_TOKEN", None)
    told = tmp_path / "services.log"
    with told.open("ab") as out:
        services = [
            subprocess.Popen(  # noqa: ASYNC220 - they outlive the call, and are waited for in a thread
                [sys.executable, "-P", "-m", "services.cli", "serve", name],
                env=environ | {"NATS_URL": server.url(name), "PYTHONPATH": str(ROOT)},
                stdout=out,
                stderr=out,
            )
            for name in SERVICES
        ]
    log = await JetStreamLog.connect(server.url(CLIENT))
    try:
        await ask(log, "mine")
        job = await ended(log, "mine", within_s=120)
        heard = [recorded async for recorded in _first(log, "mine", len(await log.read("mine")))]
    finally:
        await log.close()
        for service in services:
            service.terminate()
        codes = [await asyncio.to_thread(service.wait, 30) for service in services]
    assert job.status is JobStatus.COMPLETED
    assert heard[-1].event == job.end
    assert [0] * 4 == codes
    assert "permissions violation" not in told.read_text("utf-8").lower()


async def _first(log: JetStreamLog, job_id: str, count: int) -> AsyncIterator[Any]:
    """The first messages of a job, followed as a client follows it."""
    async with aclosing(log.follow(job_id)) as messages:  # type: ignore[type-var]
        async for recorded in messages:
            yield recorded
            count -= 1
            if not count:
                return
