"""From a clip that is wanted to what is asked of a service."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.base import EngineFailure
from adapters.hosted.asking import asked, fitting, key_of, size_for
from adapters.hosted.declaration import Declaration, Size
from tests.hosted.bench import ask, declared, settings


def of(name: str = "runway", **options: Any) -> Declaration:
    """A shipped declaration."""
    return declared(settings(name, **options))[0]


@pytest.mark.parametrize(
    ("frames", "sent"),
    [(1, 2), (60, 2), (61, 3), (98, 4), (120, 4), (121, 5), (300, 10)],
)
def test_the_shortest_that_covers(frames: int, sent: int) -> None:
    """To the frame: what is one frame longer costs the next length."""
    made = asked(ask(frames=frames), of(price={"per_second": 0.1}))
    assert sent == made.values["duration"]
    assert made.cost == pytest.approx(0.1 * sent)


def test_too_long_for_it() -> None:
    """It is told how long it makes them."""
    with pytest.raises(EngineFailure, match=r"at most 10 s; 10\.03 s are needed"):
        asked(ask(frames=301), of())


SIZES = {
    "wide": Size(send="wide", width=1280, height=720),
    "square": Size(send="square", width=1024, height=1024),
    "small": Size(send="small", width=360, height=640),
    "middle": Size(send="middle", width=720, height=1280),
    "large": Size(send="large", width=2160, height=3840),
    "nearly": Size(send="nearly", width=1152, height=1920),
}


@pytest.mark.parametrize(
    ("offered", "film", "chosen"),
    [
        (("wide", "square", "middle"), (1080, 1920), "middle"),
        (("small", "middle"), (1080, 1920), "middle"),
        (("small", "middle", "large"), (1080, 1920), "large"),
        (("small", "middle", "large"), (540, 960), "middle"),
        (("nearly", "small"), (1080, 1920), "small"),
        (("wide", "square"), (1080, 1920), "square"),
        (("wide", "middle"), (1920, 1080), "wide"),
    ],
)
def test_the_size_whose_shape_is_nearest(
    offered: tuple[str, ...], film: tuple[int, int], chosen: str
) -> None:
    """Of those the smallest that covers the film, else the largest."""
    declaration = of()
    offers = declaration.offers.model_copy(update={"sizes": tuple(SIZES[o] for o in offered)})
    declaration = declaration.model_copy(update={"offers": offers})
    found = size_for(ask(width=film[0], height=film[1]), declaration)
    assert found is not None
    assert chosen == found.send


def test_a_service_without_sizes_is_not_told_one() -> None:
    """The key vanishes."""
    made = asked(ask(), of(sizes=[]))
    assert "ratio" not in made.body()


def test_seeds_fit() -> None:
    """A seed that is too large is folded, always in the same way; some services take none."""
    body = asked(ask(seed=2**62 + 5), of()).body()
    assert (2**62 + 5) % 2**32 == body["seed"]
    assert "seed" not in asked(ask(), of("luma")).body()


def test_a_prompt_is_nothing_but_a_prompt() -> None:
    """Braces and quotes in it come to the service as they are."""
    prompt = '{model} "quoted" {0.__class__} \\ 100 %'
    assert prompt == asked(ask(prompt=prompt), of()).body()["promptText"]


@pytest.mark.parametrize("prompt", ["word " * 400, "x" * 2000, "é" * 1001])
def test_a_long_prompt_is_cut(prompt: str) -> None:
    """After a word if there is one, and told."""
    kept, warnings = fitting(prompt, of())
    assert 990 < len(kept) <= 1000
    assert prompt.startswith(kept)
    assert ["prompt_shortened"] == [warning.code for warning in warnings]
    assert ("short", ()) == fitting("short", of())


def test_a_key_names_an_attempt() -> None:
    """The same for whoever makes it, and another for another attempt."""
    keys = {
        key_of(made)
        for made in (ask(), ask(), ask(attempt=2), ask(segment=1), ask(job_id="job-2"))
    }
    assert 4 == len(keys)
