"""The toolkit's jobs from end to end, on small films."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

import av
import cv2
import msgspec
import numpy as np
import pytest

from assembler import produce
from assembler.ahead import ahead
from assembler.encode import default_profile
from assembler.planes import Frame
from assembler.probe import probe
from assembler.stills import ingest_still
from assembler.timeline import pieces
from assembler.verdict import Refused
from events.spec import (
    Archetype,
    Artifact,
    Asset,
    AssetRole,
    Box,
    Caption,
    CaptionRole,
    Card,
    RenderSpec,
    Rung,
    SoundPlan,
)
from events.types import Reason
from tests.assembler.reels import HEIGHT, WIDTH, band, encoded, film_spec, moving, write_wav

FRAMES = 150
RUNG = Rung(engine="compositor", archetype=Archetype.PRODUCT_HERO)


def quiet(_done: int, _total: int) -> None:
    """Report to nobody."""


def planned(folder: Path) -> tuple[RenderSpec, dict[str, Path]]:
    """A film of 5 s: one picture, no words, music; with the files that it is made of."""
    picture = np.random.default_rng(5).integers(0, 255, (40, 30, 3), np.uint8)
    cv2.imwrite(str(folder / "p.png"), cv2.resize(picture, (600, 800)))
    still = ingest_still(folder / "p.png", folder / "still.png")
    art = Artifact(sha256="still", bytes=1, media_type="image/png")
    asset = Asset(
        role=AssetRole.AUTO,
        uri="p.png",
        source=art,
        still=art,
        width=still.width,
        height=still.height,
        has_alpha=still.has_alpha,
        subject=still.subject,
        palette=still.palette,
    )
    music = write_wav(folder / "music.wav", band(48_000 * 6))
    plain = film_spec(FRAMES)
    spec = msgspec.structs.replace(
        plain,
        archetype=Archetype.PRODUCT_HERO,
        assets=(asset,),
        segments=tuple(msgspec.structs.replace(plan, asset=0) for plan in plain.segments),
        sound=SoundPlan(music=music),
    )
    return spec, {"still": folder / "still.png", "music": folder / "music.wav"}


class Film:
    """All that goes into an assembly."""

    def __init__(self, folder: Path) -> None:
        """Render the bodies and the sound of a small film."""
        self.spec, self.sources = planned(folder)
        self.rungs = (RUNG,) * len(self.spec.segments)
        self.bodies: dict[int, Path] = {}
        self.infos = {}
        for plan in self.spec.segments:
            path = self.bodies[plan.index] = folder / f"body-{plan.index}.mp4"
            self.infos[plan.index] = produce.render_body(
                self.spec, self.rungs, plan.index, self.sources, path, 0, quiet
            )
        self.sound = folder / "sound.mp4"
        self.mixed = produce.mix_soundtrack(self.spec, self.sources, self.sound)

    def assemble(
        self, folder: Path, bodies: Mapping[int, Path] | None = None, **facts: Any
    ) -> produce.Assembled:
        """Assemble into a new folder."""
        folder.mkdir()
        return produce.assemble(
            self.spec,
            self.rungs,
            bodies or self.bodies,
            self.sound,
            self.sources,
            folder,
            {"job_id": "job-1", **facts},
            quiet,
        )


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """A film whose parts are rendered."""
    return Film(tmp_path_factory.mktemp("parts"))


def test_body_is_the_planned_part_of_the_film(film: Film, tmp_path: Path) -> None:
    """A body has the planned frames and fingerprint, tells of each, and comes out the same."""
    told: list[tuple[int, int]] = []
    out = tmp_path / "again.mp4"
    info = produce.render_body(
        film.spec, film.rungs, 1, film.sources, out, 0, lambda *at: told.append(at)
    )
    frames = film.spec.segments[1].body_frames
    assert (info.frames, info.fingerprint) == (frames, film.spec.encoder.fingerprint)
    assert told == [(number, frames) for number in range(1, frames + 1)]
    assert out.read_bytes() == film.bodies[1].read_bytes()


def test_drawing_ahead_makes_the_same_film(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hurried body has the bytes of one whose frames were drawn one by one."""
    taken: list[int] = []

    def counted(frames: Iterable[Frame]) -> Generator[Frame]:
        for frame in ahead(frames):
            taken.append(frame.y.size)
            yield frame

    monkeypatch.setattr(produce, "ahead", counted)
    last = film.spec.segments[-1]
    out = tmp_path / "last.mp4"
    produce.render_body(
        film.spec, film.rungs, last.index, film.sources, out, 0, quiet, hurried=True
    )
    assert last.body_frames == len(taken)
    assert film.bodies[last.index].read_bytes() == out.read_bytes()


def test_transitions_do_not_depend_on_how_many_are_encoded_at_once(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other or side by side, the film has the same bytes."""
    beside = film.assemble(tmp_path / "beside").output.read_bytes()
    monkeypatch.setattr(produce, "ENCODERS", 1)
    assert beside == film.assemble(tmp_path / "alone").output.read_bytes()


@pytest.mark.parametrize(
    ("room", "share"), [(0.0, produce.MIXTURE_SHARE), (1.0, 0.0), (float("inf"), 1.0)]
)
def test_transitions_are_of_keyframes_where_they_have_room(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: float, share: float
) -> None:
    """Without, only the first is one: where it is seen before, and where it is seen after."""
    monkeypatch.setattr(produce, "room_bytes", lambda *_: room)
    monkeypatch.setattr(produce, "MIXTURE_SHARE", share)
    found = probe(film.assemble(tmp_path / "joined").output)
    rows = [piece for piece in pieces(film.spec) if piece.kind == "transition"]
    for piece in rows:
        later = set(range(piece.start + 1, piece.start + piece.frames))
        assert later & set(found.picture.keyframes) == (later if room > 1 else set())
    assert rows


def test_better_quality_takes_more_bytes(film: Film, tmp_path: Path) -> None:
    """A body that is asked for once more comes at a lower crf, to be joined with the others."""
    out = tmp_path / "better.mp4"
    info = produce.render_body(film.spec, film.rungs, 0, film.sources, out, 1, quiet)
    assert out.stat().st_size > film.bodies[0].stat().st_size
    assert info.fingerprint == film.infos[0].fingerprint


def test_assembled_film_is_whole(film: Film, tmp_path: Path) -> None:
    """The film has each frame, its sound, a thumbnail and its facts; nothing else is left."""
    done = film.assemble(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "film.mp4",
        "metadata.json",
        "thumbnail.jpg",
    ]
    assert (done.verdict.frames, done.verdict.audio_duration_s) == (FRAMES, FRAMES / 30)
    assert done.verdict.lufs == pytest.approx(-14, abs=1)
    assert done.verdict.product is not None
    assert done.verdict.product.ssim_mean >= 0.98
    assert done.warnings == done.verdict.warnings
    with av.open(str(done.output)) as container:
        assert sum(1 for _ in container.decode(video=0)) == FRAMES
    thumbnail = cv2.imread(str(done.thumbnail))
    assert thumbnail is not None
    assert thumbnail.shape == (HEIGHT, WIDTH, 3)


def test_metadata_tells_what_the_film_is(film: Film, tmp_path: Path) -> None:
    """Content hashes, verdict, rungs, libraries and the caller's facts; no time of day."""
    done = film.assemble(tmp_path / "out", downgrades=[], sound={"lufs": -14.5})
    told = json.loads(done.metadata.read_bytes())
    digest = hashlib.sha256(done.output.read_bytes()).hexdigest()
    assert told["files"]["film.mp4"] == {"sha256": digest, "bytes": done.verdict.bytes}
    assert told["job_id"] == "job-1"
    assert told["downgrades"] == []
    assert told["verdict"]["frames"] == FRAMES
    assert told["verdict"]["lufs"] == -14.5
    assert told["film"]["segments"][1]["rung"]["engine"] == "compositor"
    assert told["film"]["encoder"]["fingerprint"] == film.spec.encoder.fingerprint
    assert {"libavcodec", "opencv"} <= told["libraries"].keys()


def test_same_parts_make_the_same_files(film: Film, tmp_path: Path) -> None:
    """Film, thumbnail and metadata are equal byte for byte."""
    one, other = film.assemble(tmp_path / "one"), film.assemble(tmp_path / "other")
    assert one.output.read_bytes() == other.output.read_bytes()
    assert one.thumbnail.read_bytes() == other.thumbnail.read_bytes()
    assert one.metadata.read_bytes() == other.metadata.read_bytes()
    assert one.verdict == other.verdict


def test_bad_body_is_refused_by_segment(film: Film, tmp_path: Path) -> None:
    """A body with a frame too few is its segment's fault."""
    short = encoded(tmp_path / "short.mp4", moving(10))
    with pytest.raises(Refused, match="the body of segment 1 has 10 frames") as caught:
        film.assemble(tmp_path / "out", {**film.bodies, 1: short})
    assert (caught.value.reason, caught.value.segments) == (Reason.CORRUPT_OUTPUT, (1,))


def test_wrong_pictures_are_refused_by_segment(film: Film, tmp_path: Path) -> None:
    """A body that shows something else than the product does not get through the proof."""
    count = film.spec.segments[0].body_frames
    other = encoded(tmp_path / "other.mp4", moving(count))
    with pytest.raises(Refused, match="not shown as it is") as caught:
        film.assemble(tmp_path / "out", {**film.bodies, 0: other})
    assert caught.value.segments == (0,)


def test_body_of_another_encoder_is_a_warning(film: Film, tmp_path: Path) -> None:
    """It is encoded again to fit, and told by segment."""
    foreign = tmp_path / "foreign.mp4"
    with av.open(str(film.bodies[0])) as old, av.open(str(foreign), "w") as new:
        stream = new.add_stream("libx264", rate=30, options={"preset": "medium", "crf": "8"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for picture in old.decode(video=0):
            new.mux(stream.encode(picture))
        new.mux(stream.encode(None))
    done = film.assemble(tmp_path / "out", {**film.bodies, 0: foreign})
    assert done.warnings[0].code == "piece_encoded_again"
    assert "the body of segment 0" in done.warnings[0].message
    assert done.verdict.frames == FRAMES


def test_thumbnail_shows_the_hook() -> None:
    """The thumbnail is taken amid the hook's first card, or from the first sixth."""
    spec = film_spec(300)
    box = Box(x=0, y=0, width=10, height=10)
    card = Card(start=12, frames=60, lines=("Hi",), size_px=60, box=box)
    hook = Caption(role=CaptionRole.HOOK, text="Hi", cards=(card,))
    assert produce.thumbnail_frame(spec) == 50
    assert produce.thumbnail_frame(msgspec.structs.replace(spec, captions=(hook,))) == 42
    lasting = msgspec.structs.replace(
        hook, cards=(msgspec.structs.replace(card, start=0, frames=300),)
    )
    assert produce.thumbnail_frame(msgspec.structs.replace(spec, captions=(lasting,))) == 100


@pytest.mark.parametrize(
    ("yuv", "bgr"),
    [
        ((63, 102, 240), (0, 0, 255)),
        ((173, 42, 26), (0, 255, 0)),
        ((235, 128, 128), (255, 255, 255)),
        ((16, 128, 128), (0, 0, 0)),
    ],
)
def test_jpeg_has_the_films_colours(yuv: tuple[int, int, int], bgr: tuple[int, int, int]) -> None:
    """BT.709 in limited range becomes the same colours in the thumbnail."""
    sizes = ((64, 48), (32, 24), (32, 24))
    planes = [np.full(size, value, np.uint8) for size, value in zip(sizes, yuv, strict=True)]
    picture = cv2.imdecode(np.frombuffer(produce.jpeg(Frame(*planes)), np.uint8), 1)
    assert picture is not None
    assert picture[32, 24].astype(int) == pytest.approx(np.array(bgr), abs=5)


def test_a_draft_is_a_film_of_a_quarter(film: Film, tmp_path: Path) -> None:
    """Frames, sound and facts are a film's; the size is half each way, and nothing is proven."""
    draft = msgspec.structs.replace(film.spec, draft=True, width=2 * WIDTH, height=2 * HEIGHT)
    bodies: dict[int, Path] = {}
    for each in draft.segments:
        bodies[each.index] = tmp_path / f"{each.index}.mp4"
        produce.render_body(
            draft, film.rungs, each.index, film.sources, bodies[each.index], 0, quiet
        )
    done = produce.assemble(
        draft, film.rungs, bodies, film.sound, film.sources, tmp_path, {}, quiet
    )
    verdict, told = done.verdict, json.loads(done.metadata.read_bytes())
    assert (WIDTH, HEIGHT, FRAMES) == (verdict.width, verdict.height, verdict.frames)
    assert verdict.product is None
    assert told["film"]["draft"] is True
    assert (WIDTH, HEIGHT) == (told["film"]["width"], told["film"]["height"])
    assert "piece_encoded_again" not in {warned.code for warned in done.warnings}


def on_a_card(film: Film) -> RenderSpec:
    """The film, planned for an encoder that does not work here."""
    card = msgspec.structs.replace(
        film.spec.encoder, codec="h264_of_a_card", preset="p5", params="rc=vbr", fingerprint="card"
    )
    return msgspec.structs.replace(film.spec, encoder=card)


def test_an_encoder_that_is_missing_has_a_stand_in(film: Film, tmp_path: Path) -> None:
    """A machine without the plan's encoder makes whole pieces that fit one another."""
    spec = on_a_card(film)
    bodies: dict[int, Path] = {}
    for each in spec.segments:
        bodies[each.index] = tmp_path / f"{each.index}.mp4"
        info = produce.render_body(
            spec, film.rungs, each.index, film.sources, bodies[each.index], 0, quiet
        )
        assert info.fingerprint != spec.encoder.fingerprint
    done = produce.assemble(
        spec, film.rungs, bodies, film.sound, film.sources, tmp_path, {}, quiet
    )
    assert FRAMES == done.verdict.frames
    assert "piece_encoded_again" not in {warned.code for warned in done.warnings}


def test_pieces_of_a_card_and_of_none_are_made_to_fit(film: Film, tmp_path: Path) -> None:
    """Bodies that another encoder made are encoded again by x264, whatever the plan's was."""
    other = default_profile(width=WIDTH, height=HEIGHT, more="cabac=0")
    elsewhere = msgspec.structs.replace(film.spec, encoder=other)
    body = tmp_path / "body.mp4"
    produce.render_body(elsewhere, film.rungs, 0, film.sources, body, 0, quiet)
    bodies = {**film.bodies, 0: body}
    spec = on_a_card(film)
    done = produce.assemble(
        spec, film.rungs, bodies, film.sound, film.sources, tmp_path, {}, quiet
    )
    again = [warned for warned in done.warnings if warned.code == "piece_encoded_again"]
    assert "the body of segment 0" in again[0].message
    assert FRAMES == done.verdict.frames
