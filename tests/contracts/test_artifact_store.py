"""One suite for every artifact store: a folder, a bucket of S3, a bucket of NATS objects."""

from __future__ import annotations

import asyncio
import hashlib
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.base import StoreError
from events.spec import Artifact
from tests.broker import NatsServer
from tests.buckets import S3Server
from tests.contracts.stores import S3, Folder, House, objects
from tests.patience import COMES_S

CONTENT = b"a film"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
KEY = "1" * 64
LARGE = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(40_000))
"""1.3 MB: more than one chunk, one piece, one part of anything."""


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for all tests of this module: each has a prefix of its own."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest_asyncio.fixture(params=["folder", "s3", "objects"])
async def house(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """Every kind of store there is, empty."""
    if request.param == "folder":
        yield Folder(tmp_path)
    elif request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        yield S3(tmp_path, tmp_path.name)
    else:
        (tmp_path / "nats").mkdir()
        broker = NatsServer(tmp_path / "nats")
        try:
            async with objects(tmp_path, await broker.start()) as bucket:
                yield bucket
        finally:
            broker.kill()


async def test_an_artifact_is_named_by_its_content(house: House) -> None:
    """The name is the sha256 and the size is told; another host finds it under them."""
    expected = Artifact(sha256=SHA256, bytes=len(CONTENT), media_type="video/mp4")
    assert expected == await house.opened().put_bytes(CONTENT, "video/mp4")
    assert CONTENT == (await house.opened().fetch(expected)).read_bytes()


async def test_a_large_artifact_comes_back_whole(house: House, tmp_path: Path) -> None:
    """What is moved in pieces is put together in their order."""
    source = tmp_path / "film.mp4"
    source.write_bytes(LARGE)
    artifact = await house.opened().put_file(source, "video/mp4")
    assert (len(LARGE), hashlib.sha256(LARGE).hexdigest()) == (artifact.bytes, artifact.sha256)
    assert LARGE == (await house.opened().fetch(artifact)).read_bytes()


async def test_an_empty_artifact_is_one(house: House) -> None:
    """Nothing is a content, too."""
    artifact = await house.opened().put_bytes(b"", "text/plain")
    assert b"" == (await house.opened().fetch(artifact)).read_bytes()
    assert await house.opened().has(artifact)


async def test_the_same_content_is_stored_once(house: House, tmp_path: Path) -> None:
    """Storing again leaves one artifact, and nothing half-done beside it."""
    source = tmp_path / "film.mp4"
    source.write_bytes(CONTENT)
    first = await house.opened().put_bytes(CONTENT, "video/mp4")
    assert first == await house.opened().put_file(source, "video/mp4")
    assert [SHA256] == await house.names()
    assert source.exists()


async def test_many_may_store_the_same_content_at_once(house: House) -> None:
    """Each is told that it is there, and it is there once."""
    stores = [house.opened() for _ in range(4)]
    putting = [store.put_bytes(LARGE, "video/mp4") for store in stores]
    first, *others = await asyncio.gather(*putting)
    assert [first] * 3 == others
    assert [first.sha256] == await house.names()
    assert LARGE == (await house.opened().fetch(first)).read_bytes()


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.01, 0.05])
async def test_a_write_that_is_broken_off_leaves_nothing_half_done(
    house: House, after_s: float
) -> None:
    """Wherever it was: there is all of it or nothing, and it can be stored again."""
    sha256 = hashlib.sha256(LARGE).hexdigest()
    writing = asyncio.create_task(house.opened().put_bytes(LARGE, "video/mp4"))
    await asyncio.sleep(after_s)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    artifact = await house.opened().put_bytes(LARGE, "video/mp4")
    assert sha256 == artifact.sha256
    async with asyncio.timeout(COMES_S):
        # A thread that writes to the disk is not stopped by it, and ends what it does.
        while await house.names() != [sha256]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert LARGE == (await house.opened().fetch(artifact)).read_bytes()


async def test_a_moved_file_is_gone(house: House, tmp_path: Path) -> None:
    """With ``move`` the store takes the file itself."""
    source = tmp_path / "film.mp4"
    source.write_bytes(CONTENT)
    artifact = await house.opened().put_file(source, "video/mp4", move=True)
    assert not source.exists()
    assert await house.opened().has(artifact)


async def test_an_artifact_is_read_only(house: House) -> None:
    """Nobody changes by accident what is named by its content."""
    artifact = await house.opened().put_bytes(CONTENT, "video/mp4")
    path = await house.opened().fetch(artifact)
    assert stat.S_IMODE(path.stat().st_mode) & 0o222 == 0


async def test_a_missing_artifact_is_an_error(house: House) -> None:
    """The error names what is missing."""
    store = house.opened()
    missing = Artifact(sha256="0" * 64, bytes=1, media_type="video/mp4")
    assert not await store.has(missing)
    with pytest.raises(StoreError, match="0" * 64):
        await store.fetch(missing)


async def test_a_deleted_artifact_is_missing(house: House) -> None:
    """What somebody deleted is not here, whatever copies another host keeps."""
    artifact = await house.opened().put_bytes(CONTENT, "video/mp4")
    await house.delete(SHA256)
    store = house.opened()
    assert not await store.has(artifact)
    with pytest.raises(StoreError, match=SHA256):
        await store.fetch(artifact)
    assert artifact == await store.put_bytes(CONTENT, "video/mp4")
    assert CONTENT == (await house.opened().fetch(artifact)).read_bytes()


async def test_a_cut_artifact_is_an_error(house: House) -> None:
    """What lost its end is not handed out."""
    artifact = await house.opened().put_bytes(CONTENT, "video/mp4")
    await house.write(SHA256, CONTENT[:2])
    store = house.opened()
    assert not await store.has(artifact)
    with pytest.raises(StoreError, match="2 bytes"):
        await store.fetch(artifact)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "g" * 64, "/" * 64])
async def test_a_name_that_is_no_sha256_leads_nowhere(house: House, name: str) -> None:
    """No name can reach anything outside the store."""
    artifact = Artifact(sha256=name, bytes=0, media_type="")
    with pytest.raises(StoreError):
        await house.opened().fetch(artifact)
    assert not await house.opened().has(artifact)


async def test_what_was_made_of_an_input_is_recalled(house: House) -> None:
    """A note leads to its artifact, also for another host; nothing half-done is left."""
    store = house.opened()
    artifact = await store.put_bytes(CONTENT, "video/mp4")
    assert await store.recall(KEY) is None
    await store.remember(KEY, artifact)
    assert artifact == await house.opened().recall(KEY)
    assert await store.recall("2" * 64) is None
    assert sorted([KEY, SHA256]) == await house.names()


async def test_the_last_note_of_an_input_holds(house: House) -> None:
    """Noting again replaces what was noted."""
    store = house.opened()
    older, newer = [await store.put_bytes(content, "video/mp4") for content in (b"a", b"b")]
    await store.remember(KEY, older)
    await store.remember(KEY, newer)
    assert newer == await house.opened().recall(KEY)


async def test_many_may_note_the_same_input_at_once(house: House) -> None:
    """Whoever is last wins; what is read meanwhile is whole."""
    stores = [house.opened() for _ in range(8)]
    made = [await store.put_bytes(b"%d" % n, "video/mp4") for n, store in enumerate(stores)]
    noting = [store.remember(KEY, artifact) for store, artifact in zip(stores, made, strict=True)]
    recalled, *_ = await asyncio.gather(stores[0].recall(KEY), *noting)
    assert recalled is None or recalled in made
    assert await stores[0].recall(KEY) in made


async def test_only_what_is_here_whole_is_recalled(house: House) -> None:
    """An artifact that is gone, cut or another's is as good as never made."""
    store = house.opened()
    artifact = await store.put_bytes(CONTENT, "video/mp4")
    await store.remember(KEY, artifact)
    assert artifact == await store.recall(KEY)
    for damaged in (CONTENT[:2], b"no film"[: len(CONTENT)]):
        await house.write(SHA256, damaged)
        assert await store.recall(KEY) is None
    await house.delete(SHA256)
    assert await store.recall(KEY) is None


async def test_a_damaged_artifact_is_healed_by_storing_it_again(
    house: House, tmp_path: Path
) -> None:
    """What was made anew takes the place of what was damaged, for every host."""
    store = house.opened()
    artifact = await store.put_bytes(CONTENT, "video/mp4")
    source = tmp_path / "film.mp4"
    source.write_bytes(CONTENT)
    for again in (store.put_bytes(CONTENT, "video/mp4"), store.put_file(source, "video/mp4")):
        await house.write(SHA256, CONTENT[::-1])
        assert artifact == await again
        assert CONTENT == (await house.opened().fetch(artifact)).read_bytes()
    assert [SHA256] == await house.names()


@pytest.mark.parametrize(
    "note",
    [b"", b"\x00" * 40, b"[]", b'{"sha256": "../../x", "bytes": 0, "media_type": ""}'],
)
async def test_a_broken_note_is_no_note(house: House, note: bytes) -> None:
    """A power cut may leave anything in the index; it costs work, nothing else."""
    store = house.opened()
    artifact = await store.put_bytes(CONTENT, "video/mp4")
    await store.remember(KEY, artifact)
    await house.write(f"index/{KEY}", note)
    assert await store.recall(KEY) is None
    await store.remember(KEY, artifact)
    assert artifact == await store.recall(KEY)


@pytest.mark.parametrize("key", ["../escaped", "", "G" * 64, "1" * 63])
async def test_a_key_that_is_no_sha256_leads_nowhere(house: House, key: str) -> None:
    """No key can reach anything outside the index."""
    store = house.opened()
    artifact = await store.put_bytes(CONTENT, "video/mp4")
    with pytest.raises(StoreError):
        await store.remember(key, artifact)
    with pytest.raises(StoreError):
        await store.recall(key)
