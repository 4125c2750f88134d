"""What a store elsewhere does with copies, and when it is away, full or lies."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path

import obstore
import pytest
import pytest_asyncio
from obstore.store import S3Store

from adapters.base import StoreAway, StoreError
from adapters.cache import ReadCache
from adapters.objects import ObjectsRemote
from adapters.remote import RemoteStore
from adapters.s3 import S3Remote
from events.jetstream import JetStreamLog
from events.objects import ObjectBucket
from events.spec import Artifact
from tests.broker import NatsServer
from tests.buckets import BUCKET, SECRET, S3Server
from tests.patience import PATIENT

CONTENT = b"a film"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ARTIFACT = Artifact(sha256=SHA256, bytes=len(CONTENT), media_type="video/mp4")


class Shelf:
    """A remote in memory, one piece a content, that counts how often it is asked for one."""

    name = "shelf"

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content = content
        self.downloads = 0

    async def is_whole(self, sha256: str, size: int) -> bool:
        """It has one content."""
        return sha256 == hashlib.sha256(self.content).hexdigest() and size in {
            0,
            len(self.content),
        }

    async def upload(self, path: Path, sha256: str, media_type: str) -> None:
        """It never has room."""
        raise StoreAway("the shelf is full")

    async def download(self, sha256: str) -> AsyncGenerator[bytes, None]:
        """Whatever is asked for, its content."""
        self.downloads += 1
        await asyncio.sleep(0.01)
        yield self.content

    async def write_note(self, key: str, note: bytes) -> None:
        """It takes none."""
        raise StoreAway("the shelf is full")

    async def read_note(self, key: str) -> bytes | None:
        """It has none."""
        return None


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server that only these tests use."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def environ(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, and what its clients need."""
    for name, value in s3_server.environ.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest_asyncio.fixture
async def log(nats_server: NatsServer) -> AsyncIterator[JetStreamLog]:
    """A connection to a server."""
    log = await JetStreamLog.connect(nats_server.url, token=nats_server.token, settings=PATIENT)
    try:
        yield log
    finally:
        await log.close()


def behind(remote: Shelf | S3Remote | ObjectsRemote, folder: Path) -> RemoteStore:
    """The store of a remote, with copies of its own."""
    return RemoteStore(remote, ReadCache(folder / "copies", 1_000_000))


def copies(folder: Path) -> list[str]:
    """The names of all files beside the store."""
    return [path.name for path in (folder / "copies").rglob("*") if path.is_file()]


async def test_a_file_is_downloaded_once(tmp_path: Path) -> None:
    """All segments of a film ask for its picture at the same moment, and again later."""
    shelf = Shelf()
    store = behind(shelf, tmp_path)
    paths = await asyncio.gather(*(store.fetch(ARTIFACT) for _ in range(8)))
    assert ({CONTENT}, 1) == ({path.read_bytes() for path in paths}, shelf.downloads)
    assert paths[0] == await behind(shelf, tmp_path).fetch(ARTIFACT)
    assert 1 == shelf.downloads


async def test_a_cut_copy_is_fetched_again(tmp_path: Path) -> None:
    """A copy that lost its end is as good as none."""
    shelf = Shelf()
    path = await behind(shelf, tmp_path).fetch(ARTIFACT)
    path.chmod(0o600)
    path.write_bytes(CONTENT[:2])
    assert CONTENT == (await behind(shelf, tmp_path).fetch(ARTIFACT)).read_bytes()


async def test_other_content_is_not_handed_out(tmp_path: Path) -> None:
    """Whatever the remote says of it; nothing of it is left."""
    with pytest.raises(StoreError, match="other content"):
        await behind(Shelf(CONTENT[::-1]), tmp_path).fetch(ARTIFACT)
    assert [] == copies(tmp_path)


async def test_what_could_not_be_stored_is_not_kept(tmp_path: Path) -> None:
    """A copy here would tell this host that all is well."""
    with pytest.raises(StoreAway, match="full"):
        await behind(Shelf(), tmp_path).put_bytes(b"another film", "video/mp4")
    assert [] == copies(tmp_path)


async def test_s3_whose_metadata_lies_is_seen_through(environ: S3Server, tmp_path: Path) -> None:
    """The content decides."""
    raw = S3Store(BUCKET)
    path = f"lies/{SHA256[:2]}/{SHA256}"
    await obstore.put_async(raw, path, CONTENT[::-1], attributes={"sha256": SHA256})
    remote = S3Remote(BUCKET, "lies", request_s=5, retry_s=1)
    with pytest.raises(StoreError, match=f"{SHA256} in s3://films/lies has other content"):
        await behind(remote, tmp_path).fetch(ARTIFACT)


async def test_s3_that_is_away_is_said_so_without_the_secret(
    environ: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within its bound; work is given back, not failed."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = behind(S3Remote(BUCKET, "", request_s=1, retry_s=0.2), tmp_path)
    for ask in (store.fetch, store.has):
        with pytest.raises(StoreAway, match="s3://films cannot be used") as caught:
            await ask(ARTIFACT)
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is None


async def test_a_bucket_that_nobody_made_is_named(log: JetStreamLog, tmp_path: Path) -> None:
    """With the command that makes it."""
    bucket = ObjectBucket(log.connection, BUCKET, request_timeout_s=5)
    with pytest.raises(StoreAway, match="make it: pytoon init --store nats://films"):
        await behind(ObjectsRemote(bucket), tmp_path).fetch(ARTIFACT)


async def test_a_full_bucket_takes_nothing(log: JetStreamLog, tmp_path: Path) -> None:
    """And keeps nothing of what did not fit."""
    bucket = ObjectBucket(log.connection, BUCKET, request_timeout_s=5)
    await bucket.make(bytes_max=400_000, replicas=1)
    store = behind(ObjectsRemote(bucket), tmp_path)
    with pytest.raises(StoreAway, match=r"nats://films cannot be used: .*maximum bytes"):
        await store.put_bytes(bytes(1_000_000), "video/mp4")
    assert await store.has(await store.put_bytes(bytes(200_000), "video/mp4"))


async def test_nats_that_is_away_is_said_so(
    log: JetStreamLog, nats_server: NatsServer, tmp_path: Path
) -> None:
    """And is used again when it is back."""
    bucket = ObjectBucket(log.connection, BUCKET, request_timeout_s=10)
    hasty = ObjectBucket(log.connection, BUCKET, request_timeout_s=1)
    await bucket.make(bytes_max=1_000_000, replicas=1)
    artifact = await behind(ObjectsRemote(bucket), tmp_path / "a").put_bytes(CONTENT, "video/mp4")
    store = behind(ObjectsRemote(bucket), tmp_path / "b")
    nats_server.kill()
    with pytest.raises(StoreAway):
        await behind(ObjectsRemote(hasty), tmp_path / "c").fetch(artifact)
    await nats_server.start()
    assert CONTENT == (await store.fetch(artifact)).read_bytes()


async def test_an_object_that_lost_a_chunk_is_stored_again(
    log: JetStreamLog, tmp_path: Path
) -> None:
    """Its description is there and right, and still it is not whole."""
    bucket = ObjectBucket(log.connection, BUCKET, request_timeout_s=5)
    await bucket.make(bytes_max=1 << 22, replicas=1)
    content = bytes(500_000)
    artifact = await behind(ObjectsRemote(bucket), tmp_path / "a").put_bytes(content, "video/mp4")
    await log.connection.api("STREAM.MSG.DELETE.OBJ_films", {"seq": 2})
    store = behind(ObjectsRemote(bucket), tmp_path / "b")
    assert not await store.has(artifact)
    with pytest.raises(StoreError, match="bytes, not 500000"):
        await store.fetch(artifact)
    assert artifact == await store.put_bytes(content, "video/mp4")
    healed = await behind(ObjectsRemote(bucket), tmp_path / "c").fetch(artifact)
    assert content == healed.read_bytes()
