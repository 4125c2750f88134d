"""Three NATS servers on one machine: leaders and services are killed again and again."""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from config import load
from events.jetstream import JetStreamLog
from events.job import JobStatus, fold
from events.link import flaws, record
from events.log import LogError, Recorded
from events.types import RenderCompleted
from services.composition import SERVICES, durables
from services.permissions import CLIENT, OPERATOR
from tests.cluster import Cluster
from tests.end_to_end.crew import CLUSTER, Crew
from tests.end_to_end.world import ask, job_of

T = TypeVar("T")

_log = logging.getLogger(__name__)

JOBS = 20
KILL_EVERY_S = 4.0
"""A new leader takes 4 to 8 s: it is killed as soon as it is one, or soon after."""
BACK_AFTER_S = 1.0
LEADER_S = 0.7
"""How long is asked who leads, so that kills keep their time."""
WITHIN_S = 400.0
ACKNOWLEDGED = re.compile(r'"event_id": "([0-9a-f-]{36})"')


class Killer:
    """Kills the leader and a service every few seconds; each comes back."""

    def __init__(self, cluster: Cluster, crew: Crew, log: JetStreamLog, seed: int) -> None:
        self._cluster = cluster
        self._crew = crew
        self._log = log
        self._choose = random.Random(seed)
        self._returning: set[asyncio.Task[None]] = set()
        self.leaders = 0
        self.services = 0

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            due_s += KILL_EVERY_S
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            leader = await self._leader()
            await asyncio.to_thread(self._crew.kill, self._choose.choice(SERVICES))
            self.services += 1
            if leader is not None and self._cluster.runs(leader):
                await asyncio.to_thread(self._cluster.kill, leader)
                self.leaders += 1
                task = asyncio.create_task(self._bring_back(leader))
                self._returning.add(task)
                task.add_done_callback(self._returning.discard)

    async def _bring_back(self, name: str) -> None:
        await asyncio.sleep(BACK_AFTER_S)
        self._cluster.spawn(name)

    async def rest(self) -> None:
        """All servers are back."""
        await asyncio.gather(*self._returning)

    async def _leader(self) -> str | None:
        """Who leads the stream of events now; None while nobody says so."""
        try:
            async with asyncio.timeout(LEADER_S):
                info = await self._log.connection.api("STREAM.INFO.EVENTS", {})
        except (TimeoutError, LogError):
            return None
        leader = info.get("cluster", {}).get("leader")
        return str(leader) if leader else None


async def _patiently(doing: Callable[[], Awaitable[T]]) -> T:
    """Do it again while the cluster has no leader."""
    while True:
        try:
            return await doing()
        except LogError as error:
            _log.info("not yet: %s", error)
            await asyncio.sleep(0.2)


async def _ended(log: JetStreamLog, job_id: str) -> None:
    while True:
        if (await _patiently(lambda: job_of(log, job_id))).end is not None:
            return
        await asyncio.sleep(0.5)


async def _watch(log: JetStreamLog, seen: dict[int, str]) -> None:
    """Note each message that anybody could have read, until cancelled."""
    async for recorded in log.follow(None):
        seen[recorded.seq] = recorded.digest


async def _histories(log: JetStreamLog, names: list[str]) -> list[tuple[Recorded, ...]]:
    """Each job's history: whole, completed once, and no event in it twice."""
    histories = []
    for name in names:
        # At the leader: a server that has just come back may be behind.
        stored = await _patiently(functools.partial(log.stored, name))
        history = tuple(record(message) for message in stored)
        ids = [entry.envelope.id for entry in history if entry.envelope]
        assert len(ids) == len(set(ids))
        assert flaws(history) == ()
        assert 1 == sum(isinstance(entry.event, RenderCompleted) for entry in history)
        assert fold(name, history).status is JobStatus.COMPLETED
        histories.append(history)
    return histories


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [5, 6, 7])
async def test_twenty_jobs_while_leaders_and_services_are_killed(
    tmp_path: Path, seed: int
) -> None:
    """(1 to 2 min each.) All complete, none twice, and nothing that was acknowledged is lost.

    Acknowledged is what a service has logged as appended, and what a reader was handed.
    """
    config = load(environ=CLUSTER)
    cluster = Cluster(tmp_path, config, size=3)
    crew: Crew | None = None
    seen: dict[int, str] = {}
    names = [f"job-{number}" for number in range(JOBS)]
    settings = config.log.settings()
    try:
        await cluster.start()
        operator = await JetStreamLog.connect(cluster.url(OPERATOR), settings=settings)
        await operator.provision(durables(config))
        log = await JetStreamLog.connect(cluster.url(CLIENT), settings=settings)
        crew = Crew(cluster, tmp_path)
        started_s = asyncio.get_running_loop().time()
        killer = Killer(cluster, crew, operator, seed)
        chores = [asyncio.create_task(killer.run()), asyncio.create_task(_watch(log, seen))]
        async with asyncio.timeout(WITHIN_S):
            for name in names:
                await _patiently(functools.partial(ask, log, name))
                await asyncio.sleep(1.0)
            await asyncio.gather(*(_ended(log, name) for name in names))
        took_s = asyncio.get_running_loop().time() - started_s
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        await killer.rest()
        facts = f"{took_s:.0f} s, {killer.leaders} leaders, {killer.services} services killed"
        (tmp_path / "kills.txt").write_text(facts + "\n", "utf-8")
        assert killer.leaders >= 3
        histories = await _histories(operator, names)
        kept = {entry.envelope.id for history in histories for entry in history if entry.envelope}
        acknowledged = set(ACKNOWLEDGED.findall(crew.said()))
        assert len(acknowledged) > JOBS
        assert acknowledged <= kept
        digests = {entry.seq: entry.digest for history in histories for entry in history}
        assert len(seen) > JOBS
        assert seen.items() <= digests.items()
        info = await _patiently(lambda: operator.connection.api("STREAM.INFO.EVENTS", {}))
        assert 3 == info["config"]["num_replicas"]
        await log.close()
        await operator.close()
    finally:
        if crew is not None:
            crew.stop()
        cluster.stop()
