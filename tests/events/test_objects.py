"""A bucket of objects: as every other client of NATS has it, whole or not there."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from nats.js.errors import ObjectNotFoundError
from nats.js.object_store import ObjectStore

from events.jetstream import JetStreamLog
from events.log import LogError
from events.objects import CHUNK_BYTES, ObjectBucket, checked_bucket, digest_of
from tests.broker import NatsServer
from tests.patience import PATIENT

NAME = "a film"
CHUNKS = (b"x" * CHUNK_BYTES,) * 40 + (b"the end",)
WHOLE = b"".join(CHUNKS)


@pytest_asyncio.fixture
async def log(nats_server: NatsServer) -> AsyncIterator[JetStreamLog]:
    """A connection."""
    log = await JetStreamLog.connect(nats_server.url, token=nats_server.token, settings=PATIENT)
    try:
        yield log
    finally:
        await log.close()


@pytest_asyncio.fixture
async def bucket(log: JetStreamLog) -> ObjectBucket:
    """A bucket of ours, made."""
    bucket = ObjectBucket(log.connection, "films", request_timeout_s=5)
    await bucket.make(bytes_max=1 << 26, replicas=1)
    return bucket


@pytest_asyncio.fixture
async def theirs(bucket: ObjectBucket, nats_server: NatsServer) -> AsyncIterator[ObjectStore]:
    """The same bucket, by the library's own client."""
    client = await nats_server.raw()
    try:
        yield await client.jetstream().object_store("films")
    finally:
        await client.close()


async def read(bucket: ObjectBucket, name: str = NAME) -> bytes:
    """An object's content."""
    described = await bucket.describe(name)
    assert described is not None
    return b"".join([chunk async for chunk in bucket.read(described)])


async def test_others_read_what_we_write(bucket: ObjectBucket, theirs: ObjectStore) -> None:
    """With its digest, which they check."""
    await bucket.put(NAME, iter(CHUNKS), headers={"Content-Type": ["video/mp4"]})
    found = await theirs.get(NAME)
    assert found.data == WHOLE
    assert found.info.digest == digest_of(hashlib.sha256(WHOLE))
    assert (len(WHOLE), 41) == (found.info.size, found.info.chunks)


async def test_we_read_what_others_write(bucket: ObjectBucket, theirs: ObjectStore) -> None:
    """An operator may put a file there with any tool."""
    await theirs.put(NAME, WHOLE)
    described = await bucket.describe(NAME)
    assert described is not None
    assert described.digest == digest_of(hashlib.sha256(WHOLE))
    assert await bucket.is_whole(described)
    assert await read(bucket) == WHOLE


async def test_what_others_deleted_is_gone(bucket: ObjectBucket, theirs: ObjectStore) -> None:
    """They leave a description that says so."""
    await bucket.put(NAME, iter(CHUNKS))
    await theirs.delete(NAME)
    assert await bucket.describe(NAME) is None


async def test_an_object_is_not_there_before_it_is_whole(
    bucket: ObjectBucket, theirs: ObjectStore
) -> None:
    """A writer that fails half-way leaves neither an object nor its chunks."""

    def failing() -> Iterator[bytes]:
        yield from CHUNKS[:30]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await bucket.put(NAME, failing())
    assert await bucket.describe(NAME) is None
    with pytest.raises(ObjectNotFoundError):
        await theirs.get(NAME)
    assert 0 == (await theirs.status()).stream_info.state.messages


async def test_replacing_leaves_nothing_of_the_old(
    bucket: ObjectBucket, theirs: ObjectStore
) -> None:
    """One description and the new one's chunks."""
    await bucket.put(NAME, iter(CHUNKS))
    await bucket.put(NAME, iter((b"a", b"b")))
    assert await read(bucket) == b"ab"
    assert 3 == (await theirs.status()).stream_info.state.messages


async def test_of_two_writers_one_stays(bucket: ObjectBucket, theirs: ObjectStore) -> None:
    """The other is told of it, and leaves no chunks."""
    contents = [b"%d" % number for number in range(4)]
    stored = await asyncio.gather(*(bucket.put(NAME, iter((content,))) for content in contents))
    assert 1 == len({described.nuid for described in stored})
    assert stored[0].digest == digest_of(hashlib.sha256(await read(bucket)))
    assert 2 == (await theirs.status()).stream_info.state.messages


async def test_a_lost_chunk_is_noticed(bucket: ObjectBucket, log: JetStreamLog) -> None:
    """A damaged store of the server drops messages and says nothing."""
    described = await bucket.put(NAME, iter(CHUNKS))
    assert await bucket.is_whole(described)
    await log.connection.api("STREAM.MSG.DELETE.OBJ_films", {"seq": 7})
    assert not await bucket.is_whole(described)
    assert len(await read(bucket)) == len(WHOLE) - CHUNK_BYTES


async def test_a_note_is_its_description(bucket: ObjectBucket, theirs: ObjectStore) -> None:
    """The last one holds, and is the only one."""
    for text in ("older", "newer"):
        await bucket.note("note", text)
    found = await bucket.describe("note")
    assert (found and found.description) == "newer"
    assert (await theirs.get_info("note")).description == "newer"
    assert 1 == (await theirs.status()).stream_info.state.messages


async def test_a_bucket_that_is_there_stays(bucket: ObjectBucket) -> None:
    """Its operator may have made it larger."""
    await bucket.put(NAME, iter((b"a",)))
    await bucket.make(bytes_max=1 << 20, replicas=1)
    assert await read(bucket) == b"a"


async def test_no_bucket_is_an_error(log: JetStreamLog) -> None:
    """And not an empty one."""
    with pytest.raises(LogError, match="stream not found"):
        await ObjectBucket(log.connection, "none", request_timeout_s=5).describe(NAME)


@pytest.mark.parametrize("name", ["", "a.b", "a>", "*", "a" * 65])
def test_a_bucket_is_one_token(name: str) -> None:
    """Else it would name other streams' subjects."""
    with pytest.raises(ValueError, match="is not 1 to 64 characters"):
        checked_bucket(name)
