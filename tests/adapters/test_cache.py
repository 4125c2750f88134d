"""Copies of artifacts: bounded, the longest unused go first, what is in use stays."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from adapters.base import StoreError
from adapters.cache import IN_USE_S, ReadCache


def put(cache: ReadCache, content: bytes, *, unused_s: float = 0.0) -> str:
    """Take content in, as if it had last been used so long ago; returns its sha256."""
    filled = cache.blank()
    filled.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    path = cache.take(filled, sha256)
    then_s = time.time() - unused_s
    os.utime(path, (then_s, then_s))
    return sha256


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    """Only as many as must."""
    cache = ReadCache(tmp_path, bytes_max=25)
    oldest = put(cache, b"0123456789", unused_s=3 * IN_USE_S)
    older = put(cache, b"abcdefghij", unused_s=2 * IN_USE_S)
    newest = put(cache, b"ABCDEFGHIJ")
    kept = [name for name in (oldest, older, newest) if cache.find(name, 10)]
    assert [older, newest] == kept


def test_to_be_handed_out_is_to_be_used(tmp_path: Path) -> None:
    """A worker may be about to open it."""
    cache = ReadCache(tmp_path, bytes_max=25)
    asked = put(cache, b"0123456789", unused_s=3 * IN_USE_S)
    other = put(cache, b"abcdefghij", unused_s=2 * IN_USE_S)
    assert cache.find(asked, 10) is not None
    put(cache, b"ABCDEFGHIJ")
    assert (True, None) == (cache.find(asked, 10) is not None, cache.find(other, 10))


def test_what_is_in_use_stays_over_the_bound(tmp_path: Path) -> None:
    """The bound gives way, not the work."""
    cache = ReadCache(tmp_path, bytes_max=5)
    names = [put(cache, content) for content in (b"0123456789", b"abcdefghij")]
    assert all(cache.find(name, 10) for name in names)


def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    """Not what another process is filling just now."""
    cache = ReadCache(tmp_path, bytes_max=1000)
    left, filling = cache.blank(), cache.blank()
    os.utime(left, (0, 0))
    put(cache, b"0123456789")
    assert (False, True) == (left.exists(), filling.exists())


def test_a_copy_of_another_size_is_none(tmp_path: Path) -> None:
    """A full disk may have cut it."""
    cache = ReadCache(tmp_path, bytes_max=1000)
    name = put(cache, b"0123456789")
    assert (None, True) == (cache.find(name, 11), cache.find(name, 0) is not None)


def test_a_name_leads_nowhere_else(tmp_path: Path) -> None:
    """As with every store."""
    with pytest.raises(StoreError):
        ReadCache(tmp_path, bytes_max=1000).find("../../etc/passwd", 0)
