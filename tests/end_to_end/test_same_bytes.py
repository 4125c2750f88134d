"""The same request gives the same bytes: twice, in new homes, on one worker and on four."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from events.types import RenderCompleted
from tests.end_to_end.films import ask, ended
from tests.end_to_end.pictures import KINDS, music, voice

pytestmark = pytest.mark.timeout(300)
WORKERS = "PYTOON_LIMITS__WORKERS"


def _made(folder: Path, body: dict[str, object], workers: int) -> dict[str, str]:
    """The sha256 of a film and of what comes with it, made in a home of its own."""
    folder.mkdir()
    end = ended(folder, {"film": body}, {WORKERS: str(workers)})["film"]
    done = end.job.end
    assert isinstance(done, RenderCompleted), done
    assert end.path is not None
    assert done.output.sha256 == hashlib.sha256(end.path.read_bytes()).hexdigest()
    assert done.verdict.warnings == ()
    return {"film": done.output.sha256, "thumbnail": done.thumbnail.sha256}


@pytest.mark.slow
def test_a_short_film_is_the_same_on_one_worker_and_on_four(tmp_path: Path) -> None:
    """Two segments, their transition and music, in two new homes.  (6 s; 19 s under load)"""
    body = ask(
        "brand_safe_minimal",
        KINDS["png"](tmp_path),
        target_duration_seconds=5,
        music_uri=music(tmp_path),
    )
    assert _made(tmp_path / "one", body, 1) == _made(tmp_path / "four", body, 4)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["overlay_glow", "product_hero_punchy", "meme_fast"])
def test_a_film_of_everything_is_the_same_however_it_is_made(tmp_path: Path, preset: str) -> None:
    """Three pictures, words, logo, music and voice: once on one worker, twice on four.  (40 s)"""
    body = ask(
        preset,
        *(KINDS[kind](tmp_path) for kind in ("alpha", "portrait", "webp")),
        target_duration_seconds=9,
        hook="Fresh every day 👍🏽 طازج",
        cta="Try it",
        logo_uri=KINDS["palette"](tmp_path),
        music_uri=music(tmp_path),
        voice_uri=voice(tmp_path),
    )
    first = _made(tmp_path / "one", body, 1)
    assert first == _made(tmp_path / "four", body, 4)
    assert first == _made(tmp_path / "again", body, 4)
