"""``doctor``: what works on this machine, what does not, and what to do about it.

The media libraries are tried in processes of their own: one that cannot be loaded, or dies of it,
is a finding like any other.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from services.cli.exits import expected_end
from services.cli.visit import Visit, arrive, nats_option
from services.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config import Config
    from events.stream import DeadLetter, Usage
    from events.types import Foreign
    from services.cli.visit import Arrival

CHILD_S = 60.0
ASK_S = 5.0
LOG_WARN = 0.8
DISK_WARN_MB = 2_000
DEAD_LETTERS_SHOWN = 5
FORGED_SHOWN = 5
CHECKED_MAX = 5000
"""Of how many of the log's last messages the signatures are checked."""

_CODECS = """\
import av
from av.codec import Codec
for name in ("libx264", "aac"):
    Codec(name, "w")
for name in ("h264", "aac", "mp3", "vorbis", "flac"):
    Codec(name, "r")
print(f"PyAV {av.__version__}: libx264 and aac")
"""
_OPENCV = """\
import cv2
print(f"OpenCV {cv2.__version__}")
"""
_SKIA = """\
import skia
skia.Surface(8, 8)
print(f"skia-python {skia.__version__}")
"""
_LIBRARIES = {
    "codecs": (_CODECS, "pip install --force-reinstall av"),
    "opencv": (_OPENCV, "pip install --force-reinstall opencv-python-headless"),
    "skia": (_SKIA, "pip install --force-reinstall skia-python"),
}
_SYSTEM_LIBRARIES = {"libEGL.so": "libegl1", "libGL.so": "libgl1", "libGLESv2": "libgles2"}

_WORDS = {
    "Latin": "Ağ",
    "Cyrillic": "Ж",
    "Greek": "Ω",
    "Arabic": "ع",
    "Hebrew": "ש",
    "Devanagari": "क",
    "Thai": "ก",
    "emoji": "🎬",
    "Chinese": "中",
    "Japanese": "あ",
    "Korean": "한",
}
_FONTS = """\
import json, sys
from pathlib import Path
from assembler.fonts import resolve_fonts
words, bundled = json.loads(sys.argv[1]), Path(sys.argv[2])
missing = {}
for script, word in words.items():
    gone = resolve_fonts([word], "Inter", bundled=bundled).missing
    if gone:
        missing[script] = gone[0].package
print(json.dumps(missing))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``todo`` says what to do next where it is not ok."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    todo: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For scripts: one finding a line.")
@nats_option
def doctor(*, as_json: bool, nats_url: str) -> None:
    """Check this machine, and say what to do.

    Exit code 0 when nothing fails (warnings aside), else 3.
    """
    marks = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}
    failed = False
    for finding in _findings(nats_url):
        failed = failed or finding.state == "fail"
        if as_json:
            click.echo(json.dumps(asdict(finding), ensure_ascii=False))
            continue
        click.echo(f"{marks[finding.state]}  {finding.name:12}  {finding.detail}")
        if finding.todo:
            click.echo(f"{'':18}  → {finding.todo}")
    if failed:
        sys.exit(3)


def _findings(nats_url: str) -> Iterator[Finding]:
    from config import ConfigError, load

    home = Home.find()
    yield Finding("home", "ok", str(home.path))
    config: Config | None = None
    try:
        config = load()
        yield Finding("config", "ok", f"{len(config.presets)} presets")
    except ConfigError as error:
        yield Finding("config", "fail", str(error), "correct the value that is named")
    for name, (code, todo) in _LIBRARIES.items():
        yield _library(name, code, todo)
    if config is not None:
        yield _fonts(config)
        yield _disk(home, config)
        yield from _engines(config)
        yield from _left_out(config)
    yield _services(home, nats_url)
    yield from _keys()
    yield from _server(nats_url)


def _keys() -> Iterator[Finding]:
    """Whose signatures are believed here; nothing where none are configured."""
    from services.signing import TRUSTED, KeysRefused, keyring_of

    try:
        keyring = keyring_of()
    except KeysRefused as error:
        yield Finding("keys", "fail", str(error), "see the message")
        return
    if keyring is not None:
        trust = keyring.trust
        used = sum(key.until is None for key in trust.keys)
        retired = f", {len(trust.keys) - used} retired" if used < len(trust.keys) else ""
        detail = f"{used} trusted{retired} (fingerprint {trust.fingerprint()[:16]})"
        yield Finding("keys", "ok", f"{detail} of {os.environ[TRUSTED]}")


def _server(nats_url: str) -> Iterator[Finding]:
    """The server, by a real connection, and what it could not make sense of."""
    started_s = time.monotonic()
    try:
        with arrive(nats_url, services=False) as arrival:
            usage, letters, forged = asyncio.run(_look_into(arrival))
    except Exception as error:
        expected = expected_end(error)
        if expected is None:
            raise
        yield Finding("server", "fail", expected.message, "see the message")
        return
    took_ms = (time.monotonic() - started_s) * 1000
    yield Finding(
        "server", "ok", f"{arrival.shown_url} answers (in {took_ms:.0f} ms, start included)"
    )
    yield _log(usage)
    if forged is not None:
        yield _signatures(forged)
    if letters:
        shown = "; ".join(_letter(letter) for letter in letters[-DEAD_LETTERS_SHOWN:])
        todo = "these messages could not be read and were put aside; their senders are at fault"
        yield Finding("dead letters", "warn", f"{len(letters)}: {shown}", todo)
    else:
        yield Finding("dead letters", "ok", "none")


async def _look_into(
    arrival: Arrival,
) -> tuple[Usage | None, tuple[DeadLetter, ...], tuple[Foreign, ...] | None]:
    """How full the log is, what was put aside, and what is forged (None: nothing is signed).

    Nothing where no log has been made yet.
    """
    async with Visit.open(arrival) as visit:
        if arrival.embedded and arrival.home.is_fresh():
            return None, (), None
        usage = await visit.patiently(visit.log.usage, wait_s=ASK_S)
        letters = await visit.patiently(visit.log.dead_letters, wait_s=ASK_S)
        forged: tuple[Foreign, ...] | None = None
        if visit.log.settings.keyring is not None:
            forged = await visit.patiently(
                lambda: visit.log.forged(messages_max=CHECKED_MAX), wait_s=ASK_S
            )
        return usage, letters, forged


def _signatures(forged: tuple[Foreign, ...]) -> Finding:
    """What of the newest messages is not by whom it claims to be."""
    if not forged:
        return Finding("signatures", "ok", f"all good among the last {CHECKED_MAX:,} messages")
    shown = "; ".join(
        f"message {item.seq} on {item.subject}: {item.why}" for item in forged[-FORGED_SHOWN:]
    )
    todo = "somebody writes who should not; they changed nothing: see docs/howto/deploy.md"
    return Finding("signatures", "warn", f"{len(forged)} forged: {shown}", todo)


def _log(usage: Usage | None) -> Finding:
    if usage is None:
        return Finding("log", "ok", "not made yet; the first render makes it")
    size_mb = usage.bytes_max / 1e6
    detail = f"{usage.messages:,} messages, {usage.fullness:.1%} of {size_mb:,.0f} MB"
    if usage.fullness < LOG_WARN:
        return Finding("log", "ok", detail)
    todo = "pytoon prune, or raise log.bytes_max and run pytoon init: a full log takes no new jobs"
    return Finding("log", "warn", detail, todo)


def _letter(letter: DeadLetter) -> str:
    return f"{letter.subject} ({letter.why})"


def _services(home: Home, nats_url: str) -> Finding:
    if nats_url:
        return Finding("services", "ok", "run beside the server that --nats names")
    if home.services_ready():
        return Finding("services", "ok", "running")
    if home.services_run():
        todo = f"if this stays so, see {home.logs / 'services.log'}"
        return Finding("services", "warn", "starting", todo)
    return Finding("services", "ok", "not running; the next render starts them")


def _library(name: str, code: str, todo: str) -> Finding:
    done = _in_child(code)
    if done is None:
        return Finding(name, "fail", f"did not load within {CHILD_S:g} s", todo)
    if done.returncode == 0:
        return Finding(name, "ok", done.stdout.strip())
    said = done.stderr.strip().splitlines()
    why = said[-1] if said else f"the process died (code {done.returncode})"
    packages = [package for library, package in _SYSTEM_LIBRARIES.items() if library in why]
    if packages or (name == "skia" and "cannot open shared object" in why):
        # They are needed together, and a missing one hides the next.
        todo = "apt-get install libegl1 libgl1 (or your system's packages of EGL and OpenGL)"
    return Finding(name, "fail", why, todo)


def _fonts(config: Config) -> Finding:
    done = _in_child(_FONTS, json.dumps(_WORDS), str(config.fonts.directory))
    if done is None or done.returncode != 0:
        said = done.stderr.strip().splitlines() if done else []
        why = said[-1] if said else "no answer"
        return Finding("fonts", "fail", why, "see the findings above")
    missing: dict[str, str] = json.loads(done.stdout)
    if not missing:
        return Finding("fonts", "ok", ", ".join(_WORDS))
    packages = " ".join(sorted({package for package in missing.values() if package}))
    todo = f"apt-get install {packages}" if packages else "install a font of these scripts"
    detail = f"no font for {', '.join(missing)}: such captions are rejected"
    return Finding("fonts", "warn", detail, todo)


def _disk(home: Home, config: Config) -> Finding:
    free_mb = shutil.disk_usage(home.path).free // 1_000_000
    least_mb = config.limits.disk_free_mb_min
    detail = f"{free_mb:,} MB free at {home.path}"
    if free_mb < least_mb:
        todo = f"free some: below {least_mb} MB new requests are refused"
        return Finding("disk", "fail", detail, todo)
    if free_mb < DISK_WARN_MB:
        return Finding("disk", "warn", detail, f"below {least_mb} MB new requests are refused")
    return Finding("disk", "ok", detail)


def _engines(config: Config) -> Iterator[Finding]:
    enabled = [engine.name for engine in config.engines if engine.enabled]
    if enabled:
        yield Finding("engines", "ok", "asked in this order: " + ", ".join(enabled))
    else:
        todo = "enable the compositor and the template in engines.yaml"
        yield Finding("engines", "fail", "none is enabled", todo)


def _left_out(config: Config) -> Iterator[Finding]:
    """The enabled engines that cannot be asked from here; whether the others answer is not asked.

    ``pytoon engines`` does that.
    """
    from adapters.files import FileStore
    from adapters.registry import Resources, make_engines
    from adapters.workers import WorkerPool
    from config import ConfigError

    with tempfile.TemporaryDirectory() as folder:
        # Nothing is stored: a home that is not there yet is not made by looking.
        store = FileStore(Path(folder))
        resources = Resources(store=store, workers=WorkerPool(1), config=config)
        try:
            left_out = make_engines(resources).left_out
        except ConfigError as error:
            yield Finding("engines", "fail", str(error), "correct the value that is named")
            return
    for name, why in left_out.items():
        todo = f"films are made without {name} until then"
        yield Finding("engines", "warn", f"{name} is left out: {why}", todo)


def _in_child(code: str, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    root = Path(__file__).parents[2]
    try:
        return subprocess.run(  # noqa: S603 - our own snippets
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=CHILD_S,
            check=False,
            cwd=root,
        )
    except subprocess.TimeoutExpired:
        return None
