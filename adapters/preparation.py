"""What goes to a worker process for planning, and what comes back: plain values only.

Every problem is an answer, not an exception: all of them are to be told at once.
"""

from __future__ import annotations

from pathlib import Path

from events.spec import (
    Archetype,
    AssetRole,
    Box,
    Caption,
    CaptionRole,
    EncoderProfile,
    Struct,
    Style,
    Warned,
)
from events.types import Problem


class PictureFile(Struct, frozen=True, kw_only=True):
    """An uploaded picture, here; ``out`` is where its still goes."""

    field: str
    uri: str
    role: AssetRole
    path: Path
    mask: Path | None
    mask_field: str
    out: Path


class PreparationFiles(Struct, frozen=True, kw_only=True):
    """A preparation whose files are here."""

    pictures: tuple[PictureFile, ...]
    logo: PictureFile | None
    sounds: tuple[tuple[str, Path], ...]
    """Field (``music_uri``, ``voice_uri``) and file."""
    font: Path | None
    texts: tuple[tuple[CaptionRole, str], ...]
    text_fields: tuple[str, ...]
    archetype: Archetype
    style: Style
    encoder: EncoderProfile
    nvenc: EncoderProfile | None
    width: int
    height: int
    frames: int
    fps: int
    fonts_dir: Path
    bytes_max: int
    edge_px_max: int
    pixels_max: int
    still_edge_px_max: int


class StillFacts(Struct, frozen=True, kw_only=True):
    """What a picture turned out to be."""

    width: int
    height: int
    has_alpha: bool
    subject: Box | None
    palette: tuple[str, ...]
    media_type: str
    """Of the still's file."""


class PreparationAnswer(Struct, frozen=True, kw_only=True):
    """Problems, or everything that the plan needs."""

    problems: tuple[Problem, ...] = ()
    stills: tuple[StillFacts, ...] = ()
    logo: StillFacts | None = None
    font_files: tuple[tuple[str, Path], ...] = ()
    captions: tuple[Caption, ...] = ()
    encoder: EncoderProfile | None = None
    warnings: tuple[Warned, ...] = ()
