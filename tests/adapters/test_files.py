"""What a sweep of the folder removes, and what it leaves."""

from __future__ import annotations

import os
import time
from pathlib import Path

from adapters.files import FileStore, Swept
from events.spec import Artifact

_NONE: frozenset[str] = frozenset()


def aged(store: FileStore, artifact: Artifact) -> Path:
    """The artifact's file, made two days old."""
    path = store.root / artifact.sha256[:2] / artifact.sha256
    old_s = time.time() - 2 * 86400
    os.utime(path, (old_s, old_s))
    return path


async def test_only_what_is_old_and_named_by_nobody_goes(tmp_path: Path) -> None:
    """And a rehearsal removes nothing."""
    store = FileStore(tmp_path)
    named, young, lost = [
        await store.put_bytes(text, "text/plain") for text in (b"a", b"b", b"cc")
    ]
    aged(store, named)
    path = aged(store, lost)
    kept = frozenset({named.sha256})
    for dry in (True, False):
        swept = await store.sweep(kept, 86400, dry=dry)
        assert (swept.artifacts, swept.bytes, path.exists()) == (1, 2, dry)
    assert [await store.has(artifact) for artifact in (named, young, lost)] == [True, True, False]


async def test_what_is_taken_again_is_young(tmp_path: Path) -> None:
    """By its note or by its content: an event that names it is on its way."""
    store = FileStore(tmp_path)
    artifact = await store.put_bytes(b"a", "text/plain")
    await store.remember("0" * 64, artifact)
    aged(store, artifact)
    assert await store.recall("0" * 64) == artifact
    assert (await store.sweep(_NONE, 86400, dry=False)).artifacts == 0
    path = aged(store, artifact)
    assert await store.put_bytes(b"a", "text/plain") == artifact
    assert (await store.sweep(_NONE, 86400, dry=False)).artifacts == 0
    assert path.exists()


async def test_a_note_goes_with_its_artifact(tmp_path: Path) -> None:
    """One of an artifact that is here stays."""
    store = FileStore(tmp_path)
    kept, lost = [await store.put_bytes(text, "text/plain") for text in (b"a", b"b")]
    await store.remember("0" * 64, kept)
    await store.remember("1" * 64, lost)
    await store.sweep(frozenset({kept.sha256}), -60, dry=False)
    assert ["0" * 64] == [note.name for note in (tmp_path / "index").iterdir()]


async def test_what_a_killed_process_has_left_goes(tmp_path: Path) -> None:
    """Once it is old: what is young may be under way in another process."""
    store = FileStore(tmp_path)
    for name in ("old", "young"):
        (tmp_path / "incoming" / name).write_bytes(b"half")
    os.utime(tmp_path / "incoming" / "old", (1, 1))
    assert Swept(artifacts=0, bytes=4) == await store.sweep(frozenset(), 60, dry=True)
    assert Swept(artifacts=0, bytes=4) == await store.sweep(frozenset(), 60, dry=False)
    assert ["young"] == [path.name for path in (tmp_path / "incoming").iterdir()]
