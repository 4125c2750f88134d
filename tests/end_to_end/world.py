"""Real processes on a real server, with the null engine and short times."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from config import Config, load
from events.jetstream import JetStreamLog
from events.job import Job, fold
from events.types import RenderCompleted
from services.composition import durables
from services.home import Home
from tests.broker import NatsServer
from tests.patience import PATIENT

QUICK = {
    "PYTOON_ENGINES__NULL__ENABLED": "true",
    "PYTOON_LOG__ACK_WAIT_S": "1.0",
    "PYTOON_LOG__HEARTBEAT_S": "0.3",
    "PYTOON_RUNTIME__FETCH_WAIT_S": "0.2",
}
"""The null engine, and a message that its reader dropped comes again after a second."""


class Processes:
    """The services of a test, as processes that can be killed."""

    def __init__(self, server: NatsServer, folder: Path) -> None:
        self.server = server
        self.home = Home(folder / "home")
        self.home.create()
        self.environ = {**os.environ, **QUICK}
        self.started: list[subprocess.Popen[bytes]] = []

    @property
    def config(self) -> Config:
        """The configuration that the processes have."""
        return load(environ=QUICK)

    async def log(self) -> JetStreamLog:
        """A connection to the log, its streams and durables made."""
        log = await JetStreamLog.connect(
            self.server.url, token=self.server.token, settings=PATIENT
        )
        await log.provision(durables(self.config))
        return log

    def spawn(self, when: str = "never", number: int = 1) -> subprocess.Popen[bytes]:
        """Start a process of all four actors."""
        command = [sys.executable, "-m", "tests.end_to_end.mortal"]
        facts = [self.server.url, self.server.token, str(self.home.path), when, str(number)]
        with (self.home.logs / "services.log").open("ab") as told:
            process = subprocess.Popen(
                [*command, *facts], env=self.environ, stdout=told, stderr=told
            )
        self.started.append(process)
        return process

    def kill(self) -> None:
        """Kill -9 whatever still runs."""
        for process in self.started:
            process.kill()
            process.wait(timeout=10)


async def ask(log: JetStreamLog, job_id: str, **changes: Any) -> None:
    """Request a film."""
    body = {"preset_id": "overlay_classic", "target_duration_seconds": 15, "prompt": "Hello"}
    await log.publish_ask(job_id, "render_requested", msgspec.json.encode(body | changes))


async def job_of(log: JetStreamLog, job_id: str) -> Job:
    """The job as its log tells it now."""
    return fold(job_id, await log.read(job_id))


async def ended(log: JetStreamLog, job_id: str, within_s: float = 30.0) -> Job:
    """The job at its end."""
    async with asyncio.timeout(within_s):
        while True:
            job = await job_of(log, job_id)
            if job.end is not None:
                return job
            await asyncio.sleep(0.05)


def output_of(job: Job) -> str:
    """The sha256 of a completed job's film."""
    assert isinstance(job.end, RenderCompleted), job.end
    return job.end.output.sha256
