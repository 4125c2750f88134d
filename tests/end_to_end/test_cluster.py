"""Three NATS servers on one machine: leaders and services are killed again and again."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from config import load
from events.jetstream import JetStreamLog
from events.job import JobStatus
from events.link import flaws
from events.log import LogError
from services.composition import SERVICES, durables
from services.home import Home
from services.permissions import CLIENT, OPERATOR
from tests.cluster import Cluster
from tests.end_to_end.world import QUICK, ask, job_of

_log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
JOBS = 20
KILL_EVERY_S = 8.0
"""A new leader takes 4 to 8 s: with less between two kills nobody would ever lead."""
WITHIN_S = 300.0
CLUSTER = {**QUICK, "PYTOON_LOG__REPLICAS": "3", "PYTOON_LOG__ACK_WAIT_S": "3.0"}


class Crew:
    """One process a service, each under its own user; who is killed is started again."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._home = Home(folder / "home")
        self._home.create()
        self._told = folder / "services.log"
        self._running = {name: self._spawned(name) for name in SERVICES}

    def kill(self, name: str) -> None:
        """Kill -9 one, and start another."""
        self._end(name)
        self._running[name] = self._spawned(name)

    def stop(self) -> None:
        """Kill -9 all."""
        for name in self._running:
            self._end(name)

    def _end(self, name: str) -> None:
        self._running[name].kill()
        self._running[name].wait(timeout=10)

    def _spawned(self, name: str) -> subprocess.Popen[bytes]:
        environ = {**os.environ, **CLUSTER, "PYTOON_HOME": str(self._home.path)}
        environ |= {"NATS_URL": self._cluster.url(name), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-P", "-m", "services.cli", "serve", name]
        with self._told.open("ab") as told:
            return subprocess.Popen(command, env=environ, stdout=told, stderr=told)


async def _leader(log: JetStreamLog) -> str | None:
    """Who leads the stream of events now."""
    try:
        info = await log.connection.api("STREAM.INFO.EVENTS", {})
    except LogError:
        return None
    leader = info.get("cluster", {}).get("leader")
    return str(leader) if leader else None


async def _killing(cluster: Cluster, crew: Crew, log: JetStreamLog, kills: list[str]) -> None:
    """Kill the leader and a service, bring the server back, and go on until cancelled."""
    choose = random.Random(5)
    while True:
        await asyncio.sleep(KILL_EVERY_S)
        leader = await _leader(log)
        service = choose.choice(SERVICES)
        await asyncio.to_thread(crew.kill, service)
        kills.append(service)
        if leader is None:
            continue
        await asyncio.to_thread(cluster.kill, leader)
        kills.append(leader)
        await asyncio.sleep(2.0)
        cluster.spawn(leader)


async def _asked(log: JetStreamLog, job_id: str) -> None:
    """Ask until it is acknowledged."""
    while True:
        try:
            return await ask(log, job_id)
        except LogError:
            await asyncio.sleep(0.2)


async def _ended(log: JetStreamLog, job_id: str) -> None:
    while True:
        try:
            if (await job_of(log, job_id)).end is not None:
                return
        except LogError as error:
            _log.info("%s: %s", job_id, error)
        await asyncio.sleep(0.5)


@pytest.mark.slow
@pytest.mark.timeout(500)
async def test_twenty_jobs_while_leaders_and_services_are_killed(tmp_path: Path) -> None:
    """All complete, none twice, and what was acknowledged is there; takes some two minutes."""
    config = load(environ=CLUSTER)
    cluster = Cluster(tmp_path, config, size=3)
    crew: Crew | None = None
    kills: list[str] = []
    names = [f"job-{number}" for number in range(JOBS)]
    try:
        await cluster.start()
        operator = await JetStreamLog.connect(
            cluster.url(OPERATOR), settings=config.log.settings()
        )
        await operator.provision(durables(config))
        log = await JetStreamLog.connect(cluster.url(CLIENT), settings=config.log.settings())
        crew = Crew(cluster, tmp_path)
        started_s = asyncio.get_running_loop().time()
        killer = asyncio.create_task(_killing(cluster, crew, operator, kills))
        async with asyncio.timeout(WITHIN_S):
            for name in names:
                await _asked(log, name)
                await asyncio.sleep(1.0)
            await asyncio.gather(*(_ended(log, name) for name in names))
        took_s = asyncio.get_running_loop().time() - started_s
        killer.cancel()
        await asyncio.gather(killer, return_exceptions=True)
        servers = sum(name in cluster.names for name in kills)
        _log.info(
            "%.0f s, %d leaders and %d services killed", took_s, servers, len(kills) - servers
        )
        assert servers >= 3
        for name in cluster.names:
            if not cluster.runs(name):
                cluster.spawn(name)
        for name in names:
            await _ended(operator, name)
            history = await operator.read(name)
            ids = [entry.envelope.id for entry in history if entry.envelope]
            assert len(ids) == len(set(ids))
            assert flaws(history) == ()
            assert (await job_of(operator, name)).status is JobStatus.COMPLETED
        info = await operator.connection.api("STREAM.INFO.EVENTS", {})
        assert 3 == info["config"]["num_replicas"]
        await log.close()
        await operator.close()
    finally:
        if crew is not None:
            crew.stop()
        cluster.stop()
