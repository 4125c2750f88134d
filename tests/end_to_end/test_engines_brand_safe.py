"""Brand-safe films with engines: not a pixel of the product leaves, and the proof applies.

Every byte that reaches a hosted service or a ComfyUI server is looked at, as it came over the
socket.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.loader import SHIPPED
from events.types import RenderCompleted
from tests.comfy.server import ComfyServer
from tests.comfy.wire import Request
from tests.end_to_end.engines import works
from tests.end_to_end.film_checks import check_film
from tests.hosted.bench import make_clip
from tests.hosted.provider import KEY, Provider
from tests.hosted.quick import engine
from tests.hosted.transport import listening

PRODUCT = SHIPPED / "demo" / "product.png"
PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8")
"""How files of pictures begin."""
SMALL = 8000
"""Bytes: what is asked in words has less, and no picture of a product fits."""

pytestmark = pytest.mark.timeout(300)


def asked(preset: str, **changes: Any) -> dict[str, Any]:
    """A film of one segment with a product."""
    return {
        "preset_id": preset,
        "pictures": [PRODUCT],
        "prompt": "Good morning",
        "target_duration_seconds": 2,
        "draft": True,
    } | changes


def shown(requests: Iterable[Request]) -> list[str]:
    """Every request that carries a picture, or is large enough to."""
    return [f"{r.method} {r.path}" for r in requests if len(r.body) > SMALL or _pictured(r)]


def _pictured(request: Request) -> bool:
    if any(mark in request.body for mark in (*PICTURES, b"image/", b"multipart/")):
        return True
    try:
        asked = request.json() if request.body else {}
    except ValueError:
        return True
    return any(_is_picture(text) for text in _texts(asked))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    if isinstance(value, str):
        yield value


def _is_picture(text: str) -> bool:
    try:
        return base64.b64decode(text.rpartition(",")[2], validate=True).startswith(PICTURES)
    except ValueError:
        return False


@pytest.fixture
def clip(tmp_path: Path) -> bytes:
    """What a service serves."""
    return make_clip(tmp_path / "served.mp4", frames=80, size=(288, 512))


SAFE = [
    pytest.param("overlay_classic", False, id="overlay"),
    pytest.param("meme_smooth", True, id="meme", marks=pytest.mark.slow),
]
PICTURED = [("meme_smooth", False), ("product_hero_clean", False)]


@pytest.mark.parametrize(("preset", "says_so"), SAFE)
@pytest.mark.parametrize("dialect", ["replicate", pytest.param("luma", marks=pytest.mark.slow)])
async def test_a_hosted_service_sees_no_product(
    dialect: str, preset: str, *, says_so: bool, clip: bytes, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It is asked for what lies behind, in words, once; what it makes is in the film."""
    monkeypatch.setenv("REPLICATE_API_TOKEN", KEY)
    monkeypatch.setenv("LUMA_AGENTS_API_KEY", KEY)
    monkeypatch.setenv("PYTOON_CONFIG", str(tmp_path / "config"))
    provider = Provider(dialect, clip)
    safe = {"brand_safe": True} if says_so else {}
    async with listening(provider) as place:
        entry = engine("paid", place, tmp_path, dialect)
        async with works(tmp_path, [entry]) as made:
            job, _ = await made.film("film", **asked(preset, **safe))
    assert ["paid"] == [rung.engine for rung in job.rungs]
    assert job.spec is not None
    assert job.spec.brand_safe
    requests = [each.request for each in provider.asked]
    assert 1 == provider.count("create")
    assert [] == shown(requests)
    (sent,) = (each.request.json() for each in provider.asked if each.kind == "create")
    assert "nothing for sale" in json.dumps(sent)


@pytest.mark.parametrize(("preset", "says_so"), SAFE)
async def test_a_comfyui_server_sees_no_product(
    preset: str, *, says_so: bool, tmp_path: Path
) -> None:
    """Nothing is uploaded, and no node loads a picture."""
    server = await ComfyServer(tmp_path / "comfy").start()
    options = {"servers": [server.url], "poll_s": 0.1}
    safe = {"brand_safe": True} if says_so else {}
    try:
        entry = {"name": "comfy", "kind": "comfyui", "options": options}
        async with works(tmp_path, [entry]) as made:
            job, _ = await made.film("film", **asked(preset, **safe))
    finally:
        await server.kill()
    assert ["comfy"] == [rung.engine for rung in job.rungs]
    assert [] == shown(server.requests)
    assert set() == server.disk.pictures
    (posted,) = server.posted
    assert "LoadImage" not in {node["class_type"] for node in posted["prompt"].values()}


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "brand_safe"), PICTURED)
async def test_what_the_tests_above_rely_on(
    preset: str, *, brand_safe: bool, clip: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without brand-safe pictures do leave, and are seen to (8 s)."""
    monkeypatch.setenv("REPLICATE_API_TOKEN", KEY)
    monkeypatch.setenv("PYTOON_CONFIG", str(tmp_path / "config"))
    provider, server = Provider("replicate", clip), await ComfyServer(tmp_path / "comfy").start()
    provider.fault("create", "422")
    try:
        async with listening(provider) as place:
            comfy = {"servers": [server.url], "poll_s": 0.1}
            entries = [
                engine("paid", place, tmp_path),
                {"name": "comfy", "kind": "comfyui", "options": comfy},
            ]
            server.runs = ["error", "error", "error"]
            async with works(tmp_path, entries, limits={"backoff_base_s": 0.1}) as made:
                ask = asked(preset, brand_safe=brand_safe)
                await made.film("film", **ask)
    finally:
        await server.kill()
    assert shown(each.request for each in provider.asked if each.kind == "create")
    assert "POST /upload/image" in shown(server.requests)
    assert server.disk.pictures


@pytest.mark.slow
async def test_the_product_is_proven_before_what_was_generated(
    clip: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At full size: every sampled frame shows the uploaded pixels, whatever lies behind (8 s)."""
    monkeypatch.setenv("REPLICATE_API_TOKEN", KEY)
    monkeypatch.setenv("PYTOON_CONFIG", str(tmp_path / "config"))
    provider = Provider("replicate", clip)
    async with listening(provider) as place:
        entry = engine("paid", place, tmp_path)
        async with works(tmp_path, [entry]) as made:
            job, path = await made.film("film", **asked("overlay_classic", draft=False))
    assert ["paid"] == [rung.engine for rung in job.rungs]
    assert isinstance(job.end, RenderCompleted)
    check_film(path, 2)
    proof = job.end.verdict.product
    assert proof is not None
    assert proof.frames_sampled > 0
    assert proof.ssim_min >= 0.96
    assert proof.ssim_mean >= 0.98
    assert [] == shown(each.request for each in provider.asked)
