"""What is deployed: each file, command, variable and password that it names exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from config import load
from events.keyfiles import TRUSTED as TRUSTED_FILE
from events.writers import WRITERS
from services.cli.operating import metrics_option, serve
from services.gateway.keys import FILE_VARIABLE
from services.permissions import USERS, password_variable
from services.signing import SIGNING, TRUSTED

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NODES = [name for name in SERVICES if name.startswith("nats-")]
OURS = [name for name, service in SERVICES.items() if "pytoon" in service["image"]]
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)")
TEXT = (ROOT / "compose.yaml").read_text("utf-8")


def test_no_secret_is_in_it() -> None:
    """Each is a file of a folder that git does not know; who needs it is given it alone."""
    secrets: dict[str, dict[str, str]] = COMPOSE["secrets"]
    assert {f"./secrets/{name}" for name in secrets} == {one["file"] for one in secrets.values()}
    words = {password_variable(user) for user in USERS}
    assert set(secrets) == words | {"PYTOON_NATS_ROUTES_PASSWORD", "PYTOON_API_KEYS"}
    assert "secrets/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
    for node in NODES:
        assert set(SERVICES[node]["secrets"]) == set(secrets) - {"PYTOON_API_KEYS"}
    assert {"COMFYUI_IMAGE", *COMPOSE["x-traced"]} == set(VARIABLE.findall(TEXT))
    # What lets traces in somewhere is a secret, too: a collector of one's own has it.
    assert "OTEL_EXPORTER_OTLP_HEADERS" not in TEXT


def test_the_page_makes_every_secret() -> None:
    """The commands of the page write the files that are named, and nothing else."""
    page = (ROOT / "docs/howto/deploy.md").read_text("utf-8")
    users = re.search(r"^for user in ([A-Z_ ]+)$", page, re.MULTILINE)
    assert users is not None
    made = {f"PYTOON_NATS_{user}_PASSWORD" for user in users.group(1).split()}
    assert made | {"PYTOON_API_KEYS"} == set(COMPOSE["secrets"])


def test_each_service_comes_as_its_own_user() -> None:
    """With its own password, to all three servers, once the log is made."""
    assert len(OURS) == 6
    for name in OURS:
        user = "operator" if name == "init" else name
        told = SERVICES[name]["environment"]
        assert told["NATS_URL"].startswith(f"nats://{user}@nats-1:4222,")
        assert all(f"{node}:4222" in told["NATS_URL"] for node in NODES)
        assert told["NATS_PASSWORD_FILE"] == f"/run/secrets/{password_variable(user)}"
        keys = ["PYTOON_API_KEYS"] if name == "gateway" else []
        assert [password_variable(user), *keys] == SERVICES[name]["secrets"]
        if name != "init":
            assert SERVICES[name]["depends_on"] == {
                "init": {"condition": "service_completed_successfully"}
            }
            assert SERVICES[name]["healthcheck"]
    assert set(SERVICES["init"]["depends_on"]) == set(NODES)
    assert "/run/secrets/PYTOON_API_KEYS" == SERVICES["gateway"]["environment"][FILE_VARIABLE]


def test_every_setting_is_one() -> None:
    """What the environment sets of the configuration is known there: the loader refuses others."""
    for name in OURS:
        told = {key: str(value) for key, value in SERVICES[name]["environment"].items()}
        assert 3 == load(environ=told).log.replicas


def test_traces_are_sent_by_all_or_by_none() -> None:
    """Each service is told the operator's collector, of which the file names none."""
    for name in OURS:
        told = SERVICES[name]["environment"]
        sent = {key: value for key, value in told.items() if key.startswith("OTEL_")}
        assert sent == ({} if name == "init" else COMPOSE["x-traced"])
    for key, value in COMPOSE["x-traced"].items():
        assert [key] == VARIABLE.findall(value)
    assert COMPOSE["x-traced"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "${OTEL_EXPORTER_OTLP_ENDPOINT:-}"


def test_each_service_signs_with_its_own_key() -> None:
    """With compose.signed.yaml beside: nobody has another's key, and all trust the same."""
    added = yaml.safe_load((ROOT / "compose.signed.yaml").read_text("utf-8"))
    assert set(OURS) == set(added["services"])
    folder = "/run/secrets"
    for name, service in added["services"].items():
        own = [f"{name}.key"] if name in WRITERS else []
        assert ["trusted.json", *own] == service["secrets"]
        signing = {SIGNING: folder} if own else {}
        assert {TRUSTED: f"{folder}/{TRUSTED_FILE}", **signing} == service["environment"]
    assert added["services"]["init"]["command"] == ["init", "--keys", f"{folder}/{TRUSTED_FILE}"]
    files = {TRUSTED_FILE, *(f"{service}.key" for service in WRITERS)}
    assert {file: {"file": f"./keys/{file}"} for file in files} == added["secrets"]
    assert "/keys/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


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
    name, *others = SERVICES[node]["command"]
    assert (name, set(others)) == (node, set(NODES) - {node})
    script: str = SERVICES[node]["entrypoint"][2].replace("$$", "$").rstrip() + " -t"
    assert "-c /etc/nats/nats.conf" in script
    script = script.replace("/etc/nats", str(ROOT)).replace("/run/secrets", str(tmp_path))
    for secret in SERVICES[node]["secrets"]:
        (tmp_path / secret).write_text("word\n", "utf-8")
    tried = subprocess.run(
        ["sh", "-ec", script, "nats", *SERVICES[node]["command"]],
        cwd=tmp_path,
        env={"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"},
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
    (installed,) = re.findall(r"'\.\[([\w,]+)\]'", text)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(installed.split(",")) == set(project["optional-dependencies"]) - {"dev", "bench"}
