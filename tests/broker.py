"""A NATS server of a test's own: its store in a temporary folder, its port free, killed by pid."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import nats


class NatsServer:
    """A server with a token, and every acknowledged message on the disk.

    ``kill`` and ``start`` leave it on the same port with the same store.
    """

    def __init__(self, folder: Path, *, max_payload: int = 1 << 20) -> None:
        self.folder = folder
        self.token = secrets.token_hex(8)
        self.port = -1
        self._max_payload = max_payload
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that is running."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> Self:
        """Start it, and return when it takes connections and its streams are recovered."""
        assert self._process is None
        config = self.folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f"max_payload: {self._max_payload}\n"
            f'authorization {{ token: "{self.token}" }}\n'
            f'jetstream {{ store_dir: "{self.folder}/store", sync_interval: always }}\n'
            f'ports_file_dir: "{self.folder}"\n'
        )
        binary = Path(sys.executable).with_name("nats-server")
        self._process = self._spawned([str(binary), "-c", str(config)])
        self.port = await self._listening()
        await self._ready()
        return self

    def kill(self) -> None:
        """Kill it as a power cut to the process would: kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    async def raw(self) -> Any:
        """A bare connection: any client in any language."""
        return await nats.connect(self.url, token=self.token)

    def _spawned(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "nats.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    async def _listening(self) -> int:
        ports = self.folder / f"nats-server_{self.pid}.ports"
        for _ in range(1000):
            if ports.exists() and (text := ports.read_text()).strip():
                return int(json.loads(text)["nats"][0].rpartition(":")[2])
            await asyncio.sleep(0.01)
        raise AssertionError((self.folder / "nats.log").read_text())

    async def _ready(self) -> None:
        client = await self.raw()
        try:
            await client.jetstream().account_info()
        finally:
            await client.close()
