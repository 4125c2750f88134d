"""Planning's work in a worker: which encoder a film gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.preparation import PreparationFiles
from adapters.preparing import prepare
from events.spec import Archetype, EncoderProfile
from tests.assembler.words import FONTS
from tests.builders import style

X264 = EncoderProfile(
    codec="libx264", preset="superfast", crf=21, params="", bitrate_max_kbps=12_000
)
WIDTH, HEIGHT = 216, 384


def files(nvenc: EncoderProfile | None) -> PreparationFiles:
    """A film without pictures, sounds or words."""
    return PreparationFiles(
        pictures=(),
        logo=None,
        sounds=(),
        font=None,
        texts=(),
        text_fields=(),
        archetype=Archetype.MEME_TEXT,
        style=style(),
        encoder=X264,
        nvenc=nvenc,
        width=WIDTH,
        height=HEIGHT,
        frames=60,
        fps=30,
        fonts_dir=Path(FONTS),
        bytes_max=1,
        edge_px_max=1,
        pixels_max=1,
        still_edge_px_max=1,
    )


def card(codec: str = "h264_nvenc") -> EncoderProfile:
    """The setting of a graphics card."""
    return EncoderProfile(codec=codec, preset="p5", crf=25, params="", bitrate_max_kbps=12_000)


@pytest.mark.parametrize("codec", ["h264_nvenc", "h264_not_built_in"])
def test_an_encoder_that_does_not_work_here_is_replaced_and_told(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No card, no driver, no such encoder in the libraries: x264 encodes, and the plan says so."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    answer = prepare(files(card(codec)), lambda *_: None)
    assert answer.encoder is not None
    assert ("libx264", "superfast") == (answer.encoder.codec, answer.encoder.preset)
    assert answer.encoder.fingerprint
    [told] = answer.warnings
    assert "encoder_downgraded" == told.code
    assert f"{codec} does not work here: " in told.message
    assert "Errno" not in told.message


def test_an_encoder_that_works_is_the_films() -> None:
    """What was tried out and works is planned, without a word."""
    # The one codec that works everywhere stands in for a card's.
    working = EncoderProfile(
        codec="libx264", preset="ultrafast", crf=30, params="", bitrate_max_kbps=9_000
    )
    answer = prepare(files(working), lambda *_: None)
    assert answer.encoder is not None
    assert ("ultrafast", 30, ()) == (answer.encoder.preset, answer.encoder.crf, answer.warnings)
