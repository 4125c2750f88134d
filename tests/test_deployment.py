"""What is deployed: each file, command, variable and password that it names exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.cli.operating import metrics_option, serve
from services.permissions import USERS, password_variable

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NODES = [name for name in SERVICES if name.startswith("nats-")]
OURS = [name for name, service in SERVICES.items() if "pytoon" in service["image"]]
VARIABLE = re.compile(r"\$\{(\w+)(:\?|:-[^}]*)?\}")


def test_every_variable_is_needed_and_exemplified() -> None:
    """Compose refuses to start without them; none has a value here."""
    text = (ROOT / "compose.yaml").read_text("utf-8")
    examples = (ROOT / ".env.example").read_text("utf-8")
    kept = dict(re.findall(r"^(?:# )?(\w+)=(.*)$", examples, re.MULTILINE))
    found = dict(VARIABLE.findall(text))
    assert set(kept) == set(found)
    assert all(marked == ":?" for name, marked in found.items() if name != "COMFYUI_IMAGE")
    assert set(kept.values()) == {""}
    assert {password_variable(user) for user in USERS} < set(found)


def test_each_service_comes_as_its_own_user() -> None:
    """With its own password, to all three servers, once the log is made."""
    assert len(OURS) == 6
    for name in OURS:
        user = "operator" if name == "init" else name
        url: str = SERVICES[name]["environment"]["NATS_URL"]
        assert url.startswith(f"nats://{user}:${{{password_variable(user)}:?}}@nats-1:4222,")
        assert all(f"{node}:4222" in url for node in NODES)
        if name != "init":
            assert SERVICES[name]["depends_on"] == {
                "init": {"condition": "service_completed_successfully"}
            }
            assert SERVICES[name]["healthcheck"]
    assert set(SERVICES["init"]["depends_on"]) == set(NODES)


def test_commands_are_ours() -> None:
    """What is served exists, with the options that are given."""
    names = serve.params[0].type.choices  # type: ignore[attr-defined]
    options = {option for parameter in serve.params for option in parameter.opts}
    assert callable(metrics_option)
    for name in OURS:
        command = SERVICES[name]["command"]
        if name == "init":
            assert command == ["init"]
            continue
        assert command[:2] == ["serve", name]
        assert name in names
        assert {part for part in command if part.startswith("--")} <= options


def test_files_and_volumes_exist() -> None:
    """What is mounted lies here, or is a volume that is declared."""
    for service in SERVICES.values():
        assert service["restart"] in {"unless-stopped", "on-failure"}
        for mount in service["volumes"]:
            source = mount.partition(":")[0]
            assert (ROOT / source).exists() if source[0] == "." else source in COMPOSE["volumes"]


def test_prometheus_asks_who_is_there() -> None:
    """Its targets are services of the deployment, at the ports that they serve."""
    text = (ROOT / "docs/reference/monitoring/prometheus.yml").read_text("utf-8")
    job = yaml.safe_load(text)["scrape_configs"][0]
    names = set(job["dns_sd_configs"][0]["names"])
    assert names == {name for name in OURS if "--metrics" in SERVICES[name]["command"]}
    assert all("0.0.0.0:9100" in SERVICES[name]["command"] for name in names)
    assert job["static_configs"] == [{"targets": ["gateway:8080"]}]


@pytest.mark.parametrize("node", NODES)
def test_each_node_is_configured_well(node: str, tmp_path: Path) -> None:
    """The server itself reads the file and the flags, and finds nothing wrong."""
    words = {password_variable(user): "word" for user in USERS}
    command = [VARIABLE.sub("word", part) for part in SERVICES[node]["command"]]
    command[command.index("/etc/nats/nats.conf")] = str(ROOT / "nats.conf")
    assert command[command.index("--name") + 1] == node
    assert all(f"@{other}:6222" in command[-1] for other in NODES if other != node)
    binary = str(Path(sys.executable).with_name("nats-server"))
    tried = subprocess.run(
        [binary, *command, "-t"],
        cwd=tmp_path,
        env=os.environ | words,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.returncode == 0, tried.stderr


def test_the_image_has_every_room() -> None:
    """What is copied exists, what the program imports is copied, and nobody runs as root."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    copied = {
        part
        for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE)
        for part in line.split()
    }
    assert all((ROOT / part).exists() for part in copied)
    rooms = {"events", "config", "assembler", "adapters", "services", "schemas"}
    assert rooms <= copied
    kept = (ROOT / ".dockerignore").read_text("utf-8")
    assert copied == set(re.findall(r"^!(.*)$", kept, re.MULTILINE))
    assert re.search(r"^USER pytoon$", text, re.MULTILINE)
