"""The guide to a new engine, followed word by word: its files, and a service as it describes."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from adapters.base import EngineFailure
from adapters.files import FileStore
from adapters.generated import GeneratedEngine
from adapters.hosted import HostedGenerator
from adapters.hosted.declaration import SHIPPED, load_declaration
from adapters.hosted.options import HostedOptions
from adapters.registry import Resources, make_engines
from config import load
from events.spec import Archetype
from events.types import Reason
from tests.adapters.ledgers import MemoryLedger
from tests.comfy.wire import Request
from tests.hosted import dialects
from tests.hosted.bench import BASE, HereWorkers, generate, generator, make_clip, make_still
from tests.hosted.provider import KEY, Provider
from tests.hosted.transport import InProcess
from tests.simulation.world import in_jumping_time

DOCS = Path(__file__).resolve().parents[2] / "docs" / "howto"
FENCE = re.compile(r"^( *)```yaml\n *# file: (\S+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def _acme(work: dialects.Work, base: str) -> dict[str, object]:
    words = {"queued": "waiting", "running": "rendering", "done": "ready", "failed": "failed",
             "cancelled": "stopped"}  # fmt: skip
    told: dict[str, object] = {"id": work.id, "state": words[work.state]}
    if work.state == "done":
        preview = {"kind": "still", "url": f"{base}/files/none/still.png"}
        told["files"] = [preview, {"kind": "video", "url": dialects.file_of(work, base)}]
        told["cents"] = 23
    if work.state == "failed":
        told["problem"] = {"code": "policy.text" if work.end == "moderated" else "capacity"}
    return {"data": told}


def _problem(request: Request) -> str:
    asked = request.json()
    known = {"model", "prompt", "length", "aspect", "seed", "first_frame"}
    if asked["model"] != "acme-2" or asked["length"] not in {"5s", "10s"}:
        return "model or length"
    return "" if set(asked) <= known else "an unknown key"


ACME = dialects.Dialect(
    scheme="Bearer",
    routes=(
        ("create", "POST", r"/v2/videos"),
        ("poll", "GET", r"/v2/videos/(?P<id>[^/]+)"),
        ("cancel", "POST", r"/v2/videos/(?P<id>[^/]+)/stop"),
    ),
    created=_acme,
    created_status=202,
    polled=_acme,
    problem=_problem,
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The files of the guide, written as it says."""
    text = (DOCS / "add-an-engine.md").read_text(encoding="utf-8")
    found = FENCE.findall(text)
    assert ["engines/acme.yaml", "engines.yaml"] == [name for _, name, _ in found]
    for indent, name, content in found:
        path = tmp_path / "config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line.removeprefix(indent) for line in content.splitlines()))
    return tmp_path / "config"


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """The service that the guide describes."""
    monkeypatch.setitem(dialects.DIALECTS, "acme", ACME)
    return Provider("acme", make_clip(tmp_path / "served.mp4"), base=BASE)


def made(directory: Path, provider: Provider) -> HostedGenerator:
    """The engine of the guide's files; only its address and its way there are ours."""
    config = load(environ={"PYTOON_CONFIG": str(directory)})
    environ = {"PYTOON_CONFIG": str(directory), "ACME_API_KEY": KEY}
    store = FileStore(directory.parent / "store")
    shared = Resources(store=store, workers=HereWorkers(), config=config, environ=environ)
    engines = make_engines(shared)
    assert ["acme", "compositor", "template"] == list(engines.usable)
    engine = engines.usable["acme"]
    assert isinstance(engine, GeneratedEngine)
    own = engine._generator
    assert isinstance(own, HostedGenerator)
    return generator(
        "fal",
        InProcess(provider),
        change=lambda _: own.declared.model_copy(update={"base_url": BASE}),
    )


@in_jumping_time
async def test_the_guide_makes_an_engine(directory: Path, provider: Provider) -> None:
    """From words and from a picture; the cost is what the answer tells."""
    engine = made(directory, provider)
    folder = directory.parent / "work"
    ledger = MemoryLedger()
    clip = await generate(engine, folder, ledger)
    assert (0.23, "Acme Video acme-2", [0.2]) == (
        clip.cost,
        clip.model,
        [cost for _, cost in ledger.intents],
    )
    still = make_still(directory.parent / "still.png")
    await generate(
        engine, folder, MemoryLedger(), still=still, still_sha256="a" * 64,
        archetype=Archetype.PRODUCT_HERO,
    )  # fmt: skip
    first, second = (work.asked for work in provider.bills)
    assert ("aspect" in first, "seed" in first) == (True, True)
    assert second["first_frame"]["uri"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("end", "reason", "again", "cost"),
    [
        ("moderated", Reason.MODERATED, False, None),
        ("failed", Reason.UNAVAILABLE, True, 0.0),
        ("never", Reason.TIMEOUT, False, 0.0),
    ],
)
@in_jumping_time
async def test_the_guides_failures(
    end: str,
    reason: Reason,
    *,
    again: bool,
    cost: float | None,
    directory: Path,
    provider: Provider,
) -> None:
    """What costs nothing may be tried again; what was cancelled costs nothing here."""
    provider.end = end
    with pytest.raises(EngineFailure) as caught:
        await generate(made(directory, provider), directory.parent / "work", MemoryLedger())
    found = caught.value
    assert (reason, again, cost) == (found.reason, found.retryable, found.cost)


@in_jumping_time
async def test_cancelled_by_the_guides_cancel(directory: Path, provider: Provider) -> None:
    """Nobody waits for it any more."""
    provider.end = "never"
    cancel = asyncio.Event()
    asyncio.get_running_loop().call_later(30, cancel.set)
    engine, folder = made(directory, provider), directory.parent / "work"
    with pytest.raises(EngineFailure, match="cancelled"):
        await generate(engine, folder, MemoryLedger(), cancel=cancel)
    assert "cancelled" == provider.works["work-1"].state


def test_the_guide_to_hosted_engines_names_what_there_is() -> None:
    """Every declaration with its variable, and every option."""
    text = (DOCS / "use-hosted-engines.md").read_text(encoding="utf-8")
    for path in SHIPPED.glob("*.yaml"):
        variable = load_declaration(path.stem).auth.secret_env
        assert f"| `{path.stem}` | `{variable}` |" in text
    told = set(re.findall(r"`([a-z_]+)`", text))
    of_every_engine = {"not_taken_s", "unanswered_s", "generating_s"}
    assert set() == set(HostedOptions.model_fields) - of_every_engine - told
