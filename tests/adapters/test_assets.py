"""Taking in what a request names."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.assets import AssetFetcher, AssetLimits, AssetProblem
from adapters.base import StoreAway
from adapters.files import FileStore
from events.spec import Artifact

CONTENT = b"a picture"
BYTES_MAX = 1000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that may be read, with a picture, a secret beside it, and a link to the secret."""
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "a picture.png").write_bytes(CONTENT)
    (allowed / "large.png").write_bytes(b"x" * (BYTES_MAX + 1))
    (allowed / "empty.png").touch()
    (tmp_path / "secret.txt").write_text("secret")
    (allowed / "link.png").symlink_to(tmp_path / "secret.txt")
    return allowed


def fetcher(root: Path, *, allow_private: bool = False, fetch_s: float = 5.0) -> AssetFetcher:
    """A fetcher into a store beside the root."""
    limits = AssetLimits(allow_private_addresses=allow_private, fetch_s=fetch_s)
    return AssetFetcher(FileStore(root.parent / "store"), (root,), limits)


async def test_a_file_under_a_root_is_taken_in(root: Path) -> None:
    """Its content is in the store, and the file stays where it is."""
    artifact = await fetcher(root).fetch((root / "a picture.png").as_uri(), BYTES_MAX)
    assert len(CONTENT) == artifact.bytes
    again = await fetcher(root).fetch(f"sha256:{artifact.sha256}", BYTES_MAX)
    assert artifact == again


@pytest.mark.parametrize(
    ("uri", "limit"),
    [
        ("file:///etc/passwd", "a file under"),
        ("file://{root}/../secret.txt", "a file under"),
        ("file://{root}/link.png", "a file under"),
        ("file://{root}/%2e%2e/secret.txt", "a file under"),
        ("file://elsewhere{root}/a%20picture.png", "own host"),
        ("file://{root}/missing.png", "a readable file"),
        ("file://{root}/a%00.png", "a readable file"),
        ("file://{root}", "a regular file"),
        ("file://{root}/large.png", "0.001 MB"),
        ("file://{root}/empty.png", "a file with content"),
        ("sha256:" + "0" * 64, "an artifact of the store"),
        ("sha256:../../etc/passwd", "an artifact of the store"),
        ("ftp://example.invalid/a.png", "https://"),
        ("a.png", "https://"),
    ],
)
async def test_what_may_not_be_read_is_refused_in_words(root: Path, uri: str, limit: str) -> None:
    """The problem names the limit and what to do; the content of a secret never gets out."""
    with pytest.raises(AssetProblem) as caught:
        await fetcher(root).fetch(uri.format(root=root), BYTES_MAX)
    assert limit in caught.value.limit
    assert caught.value.hint
    assert "secret" not in caught.value.hint


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "file:///data/storage/uploads/product.png"])
async def test_a_file_elsewhere_is_told_the_ways_in(root: Path, uri: str) -> None:
    """The same whether it is there or not: which files this host has is nobody's business."""
    with pytest.raises(AssetProblem) as caught:
        await fetcher(root).fetch(uri, BYTES_MAX)
    assert caught.value.limit == f"a file under {root}"
    assert "upload it" in caught.value.hint
    assert "PYTOON_ASSET_ROOTS" in caught.value.hint


class Web:
    """A tiny HTTP server on this machine, answering by path."""

    def __init__(self) -> None:
        self.port = 0
        self.answered: list[asyncio.Task[None] | None] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        self.answered.append(asyncio.current_task())
        path = (await reader.readline()).split()[1].decode()
        while (await reader.readline()).strip():
            pass
        if path == "/slow":
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)
        head = {
            "/a.png": b"200 OK\r\nContent-Length: 9\r\n\r\na picture",
            "/endless": b"200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000,
            "/moved": b"302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
            "/away": f"302 Found\r\nLocation: http://127.0.0.1:{self.port}/a.png\r\n"
            "Content-Length: 0\r\n\r\n".encode(),
        }.get(path, b"404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.write(b"HTTP/1.1 " + head)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest_asyncio.fixture
async def web() -> AsyncIterator[str]:
    """The address of the server."""
    found = Web()
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"http://127.0.0.1:{found.port}"
        answered = [task for task in found.answered if task]
        for task in answered:
            # One that is slow would be waited for.
            task.cancel()
        await asyncio.gather(*answered, return_exceptions=True)


@pytest.mark.parametrize("path", ["/a.png", "/away"])
async def test_a_download_is_taken_in(root: Path, web: str, path: str) -> None:
    """Directly, or over a redirect."""
    artifact = await fetcher(root, allow_private=True).fetch(web + path, BYTES_MAX)
    assert len(CONTENT) == artifact.bytes


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/endless", "0.001 MB"),
        ("/missing", "can be downloaded"),
        ("/moved", "an http(s) address"),
        ("/slow", "1 s to download"),
    ],
)
async def test_a_download_that_fails_is_a_problem(
    root: Path, web: str, path: str, limit: str
) -> None:
    """Too large, absent, nowhere, too slow: each is told."""
    fetch_s = 1.0 if path == "/slow" else 10.0
    with pytest.raises(AssetProblem) as caught:
        await fetcher(root, allow_private=True, fetch_s=fetch_s).fetch(web + path, BYTES_MAX)
    assert limit in caught.value.limit


async def test_private_addresses_are_not_fetched_from(root: Path, web: str) -> None:
    """A request cannot make the services read what only they can reach."""
    with pytest.raises(AssetProblem) as caught:
        await fetcher(root).fetch(web + "/a.png", BYTES_MAX)
    assert "public" in caught.value.limit


@pytest.mark.parametrize("uri", ["http://h:99999/x", "http://h:no/x", "http://a..b/x", "http://["])
async def test_what_is_no_address_is_a_problem(root: Path, uri: str) -> None:
    """A port or a name that can be none is told as any other mistake."""
    with pytest.raises(AssetProblem, match="an http"):
        await fetcher(root, allow_private=True).fetch(uri, BYTES_MAX)


async def test_a_store_that_is_away_is_nobodys_fault(root: Path) -> None:
    """The request is good: it is planned when the store is back, and not rejected."""

    class Away(FileStore):
        async def put_file(self, path: Path, media_type: str, *, move: bool = False) -> Artifact:
            raise StoreAway("the store is away")

    limits = AssetLimits(fetch_s=5.0)
    away = AssetFetcher(Away(root.parent / "away"), (root,), limits)
    with pytest.raises(StoreAway):
        await away.fetch((root / "a picture.png").as_uri(), BYTES_MAX)
