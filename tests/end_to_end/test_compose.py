"""What ``compose.yaml`` would start, started by hand: no Docker engine is needed for it.

Entrypoints, arguments, environments, secrets and health checks are the file's own.  What stands
for a container is mapped to this machine: names of hosts and ports to the loopback interface,
paths of mounts to a folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import free_ports
from tests.collector import Collector
from tests.end_to_end.film_checks import check_film

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NODES = [name for name in SERVICES if name.startswith("nats-")]
OURS = [name for name, service in SERVICES.items() if "pytoon" in service["image"]]
OPTIONAL = re.compile(r"(?<!\$)\$\{(\w+):-([^}]*)\}")
"""A variable of whoever calls compose, and what it is where nobody has set it."""
KEY = "a-key-of-this-test"
REQUEST = {
    "preset_id": "meme_fast",
    "target_duration_seconds": 1,
    "prompt": "By hand",
}
HEALTHY_S = 60.0
MADE_S = 120.0


class ByHand:
    """The services of the file as processes of this machine, ``told`` as compose's environment."""

    def __init__(self, folder: Path, told: Mapping[str, str]) -> None:
        self.folder = folder
        self._set = told
        ports = iter(free_ports(3 * len(NODES) + len(OURS)))
        self._ports = {
            (name, port): next(ports) for name in NODES for port in ("4222", "6222", "8222")
        }
        self._ports |= {
            (name, "8080" if name == "gateway" else "9100"): next(ports) for name in OURS
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        for name, file in COMPOSE["secrets"].items():
            word = f"me:{KEY}" if name == "PYTOON_API_KEYS" else f"word-of-{name}"
            target = folder / Path(file["file"]).name
            target.write_text(word + "\n", "utf-8")

    def port(self, name: str, port: str) -> int:
        """The port of this machine that stands for a service's."""
        return self._ports[name, port]

    def mapped(self, name: str, text: str) -> str:
        """A text of the file, as compose reads it and as it is for this machine."""
        text = OPTIONAL.sub(lambda found: self._set.get(found[1], found[2]), text)
        text = text.replace("$$", "$")
        for node in NODES:
            for port in ("4222", "6222"):
                text = text.replace(f"{node}:{port}", f"127.0.0.1:{self.port(node, port)}")
        own = {port: number for (who, port), number in self._ports.items() if who == name}
        for port, number in own.items():
            text = re.sub(rf"(0\.0\.0\.0|127\.0\.0\.1):{port}\b", f"127.0.0.1:{number}", text)
        # The script of the servers names the two others by its arguments.
        for place, node in enumerate(SERVICES[name]["command"] if name in NODES else (), 1):
            text = text.replace(f"${place}:6222", f"127.0.0.1:{self.port(node, '6222')}")
        text = text.replace("/run/secrets/*", f"{self._secrets(name)}/*")
        return text.replace("/run/secrets", str(self.folder)).replace("/etc/nats", str(ROOT))

    def _secrets(self, name: str) -> Path:
        """A folder with what that service is given, and nothing else."""
        folder = self.folder / f"secrets-of-{name}"
        folder.mkdir(exist_ok=True)
        for secret in SERVICES[name].get("secrets", ()):
            shutil.copy(self.folder / secret, folder / secret)
        return folder

    def environ(self, name: str) -> dict[str, str]:
        """Nothing of ours but what the file says, and the programs of the image."""
        kept = {key: os.environ[key] for key in ("HOME", "LANG") if key in os.environ}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
        told = {
            key: self.mapped(name, value)
            for key, value in SERVICES[name].get("environment", {}).items()
        }
        home = {"PYTOON_HOME": str(self.folder / "films")} if name in OURS else {}
        return kept | {"PATH": path, "PYTHONPATH": str(ROOT)} | home | told

    def command(self, name: str) -> list[str]:
        """Entrypoint and arguments; a server is told its ports, which the file has in a mount."""
        entrypoint = SERVICES[name].get("entrypoint", ["pytoon"])
        command = [self.mapped(name, part) for part in (*entrypoint, *SERVICES[name]["command"])]
        if name in NODES:
            here = f" -a 127.0.0.1 -p {self.port(name, '4222')} -m {self.port(name, '8222')}"
            command[2] = command[2].rstrip() + here
        return command

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start it where its volume would be."""
        where = self.folder / ("films" if name in OURS else name)
        where.mkdir(exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self.command(name), cwd=where, env=self.environ(name), stdout=log, stderr=log
            )
        return self.running[name]

    def healthy(self, name: str) -> None:
        """Ask the file's own health check until it is content."""
        asked: list[str] = SERVICES[name]["healthcheck"]["test"]
        assert asked[0] == "CMD"
        until_s = time.monotonic() + HEALTHY_S
        while True:
            asking = subprocess.run(
                [self.mapped(name, part) for part in asked[1:]],
                env=self.environ(name),
                capture_output=True,
                timeout=10,
                check=False,
            )
            if asking.returncode == 0:
                return
            if time.monotonic() > until_s or self.running[name].poll() is not None:
                raise AssertionError(f"{name}: {asking.stderr.decode()}\n{self.said(name)}")
            time.sleep(0.3)

    def said(self, name: str) -> str:
        """What it has logged."""
        return (self.folder / f"{name}.log").read_text("utf-8")

    def ask(self, path: str, body: object = None, *, key: str = KEY) -> Any:
        """Ask the gateway."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port('gateway', '8080')}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-API-Key": key, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def stop(self) -> None:
        """As ``docker compose down`` does: ask, wait, kill; the log comes last."""
        for name in reversed(self.running):
            self.running[name].terminate()
            try:
                self.running[name].wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.running[name].kill()
                self.running[name].wait(timeout=10)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Where traces go, if somebody names it."""
    with Collector() as collecting:
        yield collecting


@pytest.fixture
def by_hand(tmp_path: Path, collector: Collector) -> Iterator[ByHand]:
    """Nothing started yet; all that is started is stopped."""
    services = ByHand(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    try:
        yield services
    finally:
        services.stop()


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(shutil.which("wget") is None, reason="the servers' health check is by wget")
def test_what_the_file_starts_makes_a_film(
    by_hand: ByHand, collector: Collector, tmp_path: Path
) -> None:
    """(30 s.) In its order: healthy servers, ``init``, services; each healthy; a film by REST."""
    for name in NODES:
        by_hand.start(name)
    for name in SERVICES["init"]["depends_on"]:
        by_hand.healthy(name)
    # ``restart: on-failure``: the servers may be healthy before they have chosen who leads.
    codes = [by_hand.start("init").wait(timeout=60) for _ in range(1)]
    while codes[-1] != 0:
        assert len(codes) < 20, by_hand.said("init")
        codes.append(by_hand.start("init").wait(timeout=60))
    del by_hand.running["init"]
    served = [name for name in OURS if name != "init"]
    for name in served:
        by_hand.start(name)
    for name in served:
        by_hand.healthy(name)
    job = json.loads(by_hand.ask("/api/v1/jobs", REQUEST))["job_id"]
    until_s = time.monotonic() + MADE_S
    while json.loads(by_hand.ask(f"/api/v1/jobs/{job}"))["status"] != "completed":
        assert time.monotonic() < until_s, by_hand.said("planner")
        time.sleep(0.5)
    film = tmp_path / "film.mp4"
    film.write_bytes(by_hand.ask(f"/api/v1/jobs/{job}/output"))
    check_film(film, 1)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        by_hand.ask("/api/v1/jobs", key="another")
    assert b"pytoon_queue_depth" in by_hand.ask("/metrics")
    words = {path.read_text("utf-8").strip() for path in tmp_path.glob("PYTOON_*")}
    assert 9 == len(words)
    for name in (*NODES, *OURS):
        assert [] == [word for word in words if word in by_hand.said(name)], name
        assert "permissions violation" not in by_hand.said(name).lower()
    # They are sent every few seconds.
    collector.until(lambda: collector.named("POST /api/v1/jobs"))
    (asked,) = collector.named("POST /api/v1/jobs")
    traced = {f"pytoon-{name}" for name in served}
    collector.until(lambda: traced <= {span.service for span in collector.of(asked.trace_id)})
