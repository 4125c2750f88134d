"""``local_only``: no process of the services opens a connection off the machine, whatever fails.

Every Python that is started here notes, by an audit hook, each address that it connects or sends
to and each name that it resolves.  "The machine" is 127.0.0.1 here, and the hosted service lives
at 127.9.9.9, where nobody listens.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.end_to_end.engines import configured, painter
from tests.end_to_end.shell import ROOT, Shell, opened
from tests.painter import plugged_in

HOSTED = "127.9.9.9"
HERE = {"127.0.0.1", "::1", "localhost"}
HOOK = """
import os, sys

def noted(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = args[1]
    elif event == "socket.getaddrinfo":
        address = args[:2]
    else:
        return
    if isinstance(address, tuple) and address[0] is not None:
        host = address[0]
        host = host.decode() if isinstance(host, bytes) else str(host)
        line = f"{os.getpid()} {event} {host}\\n".encode()
        handle = os.open(os.environ["SEEN_BY_TEST"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, line)
        os.close(handle)

sys.addaudithook(noted)
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def watched(folder: Path) -> dict[str, str]:
    """An environment in which every Python notes where it connects to."""
    site = plugged_in(folder / "site")
    (site / "sitecustomize.py").write_text(HOOK, encoding="ascii")
    hosted = {
        "name": "luma",
        "kind": "hosted",
        "options": {
            "declaration": "luma",
            "base_url": f"http://{HOSTED}:9",
            "price": {"per_clip": 0.5},
            "allow_private_addresses": True,
        },
    }
    comfy = {"name": "comfy", "kind": "comfyui", "options": {"servers": ["http://127.0.0.1:9"]}}
    engines = [hosted, comfy, painter(folder, fails="unavailable")]
    limits = {"backoff_base_s": 0.1, "retries_max": 1}
    return {
        "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
        "PYTOON_CONFIG": str(configured(folder, engines, limits=limits)),
        "SEEN_BY_TEST": str(folder / "seen"),
        "LUMA_AGENTS_API_KEY": "a-key-of-nobody-0123456789",
    }


def film(shell: Shell, policy: str) -> list[str]:
    """Render a draft under a policy; the engines that failed, in order."""
    ask = ("--preset", "overlay_classic", "--prompt", "Hello", "--duration", "2", "--draft")
    told = shell.call(
        *("render", *ask, "--engine-policy", policy, "--job-id", policy, "--json"), within_s=180
    )
    assert told.code == 0, told.err
    return [
        event["data"]["rung"]["engine"]
        for event in shell.log(policy)
        if event["type"] == "segment_failed"
    ]


def hosts(folder: Path) -> set[str]:
    """Where any process connected to, or what it resolved."""
    lines = (folder / "seen").read_text(encoding="ascii").splitlines()
    return {line.split()[2] for line in lines}


def test_local_only_opens_no_connection_off_the_machine(tmp_path: Path) -> None:
    """Engines on this machine fail, and hosted ones are not even resolved (20 s)."""
    with opened(tmp_path, **watched(tmp_path)) as shell:
        failed = film(shell, "local_only")
        assert set(failed) == {"comfy", "painter"}
        told = shell.call("status", "local_only").out
        assert "downgrade: segment 1 went from comfy" in told
        assert "downgrade: segment 1 went from painter" in told
    assert hosts(tmp_path)
    assert hosts(tmp_path) <= HERE


def test_the_same_film_would_have_gone_out_otherwise(tmp_path: Path) -> None:
    """What the test above relies on: the hosted engine is asked where it may be (20 s)."""
    with opened(tmp_path, **watched(tmp_path)) as shell:
        failed = film(shell, "local_preferred")
        assert "luma" in failed
        assert failed.index("painter") < failed.index("luma")
    assert HOSTED in hosts(tmp_path)
