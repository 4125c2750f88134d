"""One suite for every artifact store: what services may rely on, and files beyond it."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from adapters.base import StoreError
from adapters.files import FileStore
from events.spec import Artifact

CONTENT = b"a film"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


async def test_an_artifact_is_named_by_its_content(tmp_path: Path) -> None:
    """The name is the sha256 and the size is told."""
    store = FileStore(tmp_path / "store")
    expected = Artifact(sha256=SHA256, bytes=len(CONTENT), media_type="video/mp4")
    assert expected == await store.put_bytes(CONTENT, "video/mp4")
    assert CONTENT == (await store.fetch(expected)).read_bytes()


async def test_the_same_content_is_stored_once(tmp_path: Path) -> None:
    """Storing again leaves one file, and nothing half-done beside it."""
    store = FileStore(tmp_path / "store")
    source = tmp_path / "film.mp4"
    source.write_bytes(CONTENT)
    first = await store.put_bytes(CONTENT, "video/mp4")
    assert first == await store.put_file(source, "video/mp4")
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert [SHA256] == [path.name for path in files]
    assert source.exists()


async def test_a_moved_file_is_gone(tmp_path: Path) -> None:
    """With ``move`` the store takes the file itself."""
    store = FileStore(tmp_path / "store")
    source = tmp_path / "film.mp4"
    source.write_bytes(CONTENT)
    artifact = await store.put_file(source, "video/mp4", move=True)
    assert not source.exists()
    assert await store.has(artifact)


async def test_an_artifact_is_read_only(tmp_path: Path) -> None:
    """Nobody changes by accident what is named by its content."""
    store = FileStore(tmp_path / "store")
    path = await store.fetch(await store.put_bytes(CONTENT, "video/mp4"))
    assert stat.S_IMODE(path.stat().st_mode) & 0o222 == 0


async def test_a_missing_artifact_is_an_error(tmp_path: Path) -> None:
    """The error names what is missing."""
    store = FileStore(tmp_path / "store")
    missing = Artifact(sha256="0" * 64, bytes=1, media_type="video/mp4")
    assert not await store.has(missing)
    with pytest.raises(StoreError, match="0" * 64):
        await store.fetch(missing)


async def test_a_cut_artifact_is_an_error(tmp_path: Path) -> None:
    """A file that lost its end is not handed out."""
    store = FileStore(tmp_path / "store")
    artifact = await store.put_bytes(CONTENT, "video/mp4")
    path = await store.fetch(artifact)
    path.chmod(0o600)
    path.write_bytes(CONTENT[:2])
    with pytest.raises(StoreError, match="2 bytes"):
        await store.fetch(artifact)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "g" * 64, "/" * 64])
async def test_a_name_that_is_no_sha256_leads_nowhere(tmp_path: Path, name: str) -> None:
    """No name can reach a file outside the store."""
    store = FileStore(tmp_path / "store")
    with pytest.raises(StoreError):
        await store.fetch(Artifact(sha256=name, bytes=0, media_type=""))
