"""Handing pictures over: in the body, by an upload, under a URL of one's own."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.base import EngineFailure
from adapters.hosted.client import Client
from adapters.hosted.declaration import Image, judged
from adapters.hosted.handing import Hander
from adapters.secret import Secret
from events.types import Reason
from tests.hosted.bench import HereWorkers, ask, declared, make_still, settings
from tests.hosted.provider import KEY
from tests.simulation.world import in_jumping_time

Answers = Callable[[httpx.Request], httpx.Response]


def hander(image: dict[str, Any], answers: Answers, **options: Any) -> Hander:
    """Hands over as ``image`` says, to a service that answers so."""
    found, given = declared(settings("fal", **options))
    found = found.model_copy(update={"image": judged(Image, image, "test")})
    client = Client(found, Secret(KEY), transport=httpx.MockTransport(answers))
    return Hander(found, given, client, HereWorkers())


def never(request: httpx.Request) -> httpx.Response:
    """A service that is not to be asked."""
    raise AssertionError(f"asked: {request.url}")


async def handed(made: Hander, folder: Path, *, noise: bool = False) -> dict[str, Any]:
    """What the create is to say of a picture."""
    still = make_still(folder / "still.png", noise=noise)
    return await made.values(ask(still=still, still_sha256="ab" * 32), folder, "key-1")


@in_jumping_time
async def test_in_the_body(tmp_path: Path) -> None:
    """As it is, while it is small enough."""
    image = {"by": "data_uri", "bytes_max": 100_000}
    values = await handed(hander(image, never), tmp_path)
    head, _, content = values["image"].partition(",")
    assert "data:image/png;base64" == head
    assert (tmp_path / "still.png").read_bytes() == base64.b64decode(content)
    values = await handed(hander(image | {"by": "base64"}, never), tmp_path)
    assert (content, "image/png") == (values["image"], values["image_type"])


@in_jumping_time
async def test_a_picture_that_is_too_large_is_made_smaller(tmp_path: Path) -> None:
    """Noise of 6 MB becomes a JPEG within the limit."""
    image = {"by": "base64", "bytes_max": 1_500_000}
    values = await handed(hander(image, never), tmp_path, noise=True)
    assert "image/jpeg" == values["image_type"]
    assert 500_000 < len(base64.b64decode(values["image"])) <= 1_500_000


@in_jumping_time
async def test_what_cannot_be_made_small_enough(tmp_path: Path) -> None:
    """Nothing was created: another engine takes over."""
    image = {"by": "base64", "bytes_max": 10_000}
    with pytest.raises(EngineFailure, match="smaller than 10000 bytes") as caught:
        await handed(hander(image, never), tmp_path, noise=True)
    assert (Reason.UNSUPPORTED, 0.0) == (caught.value.reason, caught.value.cost)


@in_jumping_time
async def test_under_a_url_of_ones_own(tmp_path: Path) -> None:
    """The file lies whole in the folder that somebody serves."""
    served = tmp_path / "served"
    served.mkdir()
    url = "https://cdn.example.com/p/{name}"
    options = {"image_folder": str(served), "image_url": url}
    values = await handed(hander({"by": "url", "bytes_max": 100_000}, never, **options), tmp_path)
    assert f"https://cdn.example.com/p/{'ab' * 32}.png" == values["image"]
    assert ["ab" * 32 + ".png"] == [path.name for path in served.iterdir()]


UPLOADS: tuple[dict[str, Any], ...] = (
    {"how": "multipart", "url": "/files", "field": "content", "image": "$.urls.get"},
    {"how": "raw", "url": "/files", "image": "$.urls.get"},
    {
        "how": "put",
        "url": "/initiate",
        "body": {"type": "{image_type}", "name": "{key}"},
        "put": "$.upload",
        "image": "$.urls.get",
    },
)


def taking(seen: list[httpx.Request], status: int = 201) -> Answers:
    """A service that takes pictures."""

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        told = {"urls": {"get": "https://files/1.png"}, "upload": "https://store.example/put"}
        return httpx.Response(status, json=told, headers={"x": "y"})

    return answer


@pytest.mark.parametrize("upload", UPLOADS, ids=lambda upload: upload["how"])
@in_jumping_time
async def test_by_an_upload(upload: dict[str, Any], tmp_path: Path) -> None:
    """The answer says the picture's URL; the key goes to the service alone."""
    seen: list[httpx.Request] = []
    image = {"by": "upload", "bytes_max": 100_000, "upload": upload}
    values = await handed(hander(image, taking(seen)), tmp_path)
    assert "https://files/1.png" == values["image"]
    content = (tmp_path / "still.png").read_bytes()
    assert content in seen[-1].content
    assert f"Key {KEY}" == seen[0].headers["authorization"]
    if upload["how"] == "put":
        assert b'{"type":"image/png","name":"key-1"}' == seen[0].content
        assert "authorization" not in seen[1].headers
        assert ("PUT", "image/png") == (seen[1].method, seen[1].headers["content-type"])


@pytest.mark.parametrize(
    ("status", "again"), [(500, True), (429, True), (400, False), (413, False)]
)
@pytest.mark.parametrize("upload", UPLOADS, ids=lambda upload: upload["how"])
@in_jumping_time
async def test_an_upload_that_fails_costs_nothing(
    upload: dict[str, Any], status: int, again: bool, tmp_path: Path
) -> None:
    """It comes before anything is created."""
    image = {"by": "upload", "bytes_max": 100_000, "upload": upload}
    with pytest.raises(EngineFailure, match="uploaded") as caught:
        await handed(hander(image, taking([], status)), tmp_path)
    found = caught.value
    assert (Reason.UNAVAILABLE, again, 0.0) == (found.reason, found.retryable, found.cost)


@in_jumping_time
async def test_an_upload_that_is_not_answered(tmp_path: Path) -> None:
    """It may be made again."""

    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("silence")

    image = {"by": "upload", "bytes_max": 100_000, "upload": UPLOADS[0]}
    with pytest.raises(EngineFailure, match="silence") as caught:
        await handed(hander(image, silent), tmp_path)
    assert (True, 0.0) == (caught.value.retryable, caught.value.cost)


@in_jumping_time
async def test_words_alone_have_no_picture(tmp_path: Path) -> None:
    """Nothing is handed over, and nothing asked."""
    made = hander({"by": "data_uri", "bytes_max": 100_000}, never)
    assert {} == await made.values(ask(), tmp_path, "key-1")
