"""What a film is made of: the plan that ``RenderPlanned`` stores.

Everything a renderer or the assembler needs to draw the film is here, or is an artifact that is
named here by its sha256.  Times are whole frames of the film; lengths are pixels of the finished
frame unless a field says otherwise.  These structs are a storage format: fields are added with a
default, never renamed or re-used.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Archetype(StrEnum):
    """What kind of film it is."""

    PRODUCT_HERO = "PRODUCT_HERO"
    OVERLAY = "OVERLAY"
    MEME_TEXT = "MEME_TEXT"


class EnginePolicy(StrEnum):
    """Which engines may be asked."""

    LOCAL_ONLY = "local_only"
    LOCAL_PREFERRED = "local_preferred"
    API_ONLY = "api_only"


class Motion(StrEnum):
    """How lively the picture moves."""

    MINIMAL = "minimal"
    SUBTLE = "subtle"
    SMOOTH = "smooth"
    PUNCHY = "punchy"
    CHAOTIC = "chaotic"


class TransitionKind(StrEnum):
    """How one segment becomes the next."""

    CUT = "cut"
    CROSSFADE = "crossfade"
    FADE_BLACK = "fade_black"
    SLIDE = "slide"
    WIPE = "wipe"
    ZOOM = "zoom"


class CaptionPosition(StrEnum):
    """Where the captions' block lies inside the safe box."""

    UPPER_THIRD = "upper_third"
    CENTER = "center"
    LOWER_THIRD = "lower_third"


class CaptionSize(StrEnum):
    """How large captions are set."""

    AUTO = "auto"
    SMALL = "small"
    LARGE = "large"


class CaptionRole(StrEnum):
    """What a caption is for."""

    HOOK = "hook"
    BEAT = "beat"
    CTA = "cta"


class AssetRole(StrEnum):
    """What a picture shows, as far as the client told."""

    AUTO = "auto"
    PRODUCT = "product"
    PERSON = "person"
    BACKGROUND = "background"
    LOGO = "logo"


class Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every stored value: frozen, built by keyword."""


class Box(Struct, frozen=True, kw_only=True):
    """A rectangle; pixels of the film's frame, or fractions 0..1 of a picture where told."""

    x: float
    y: float
    width: float
    height: float


class Rung(Struct, frozen=True, kw_only=True):
    """One step of the ladder: which engine draws which archetype.

    ``generates``: the engine makes pictures that were not uploaded, and may cost money.
    ``still``: nothing moves but the words' coming and going; films only come here whose product
    could not be shown as it is while it moved.
    """

    engine: str
    archetype: Archetype
    generates: bool = False
    still: bool = False


class Artifact(Struct, frozen=True, kw_only=True):
    """A stored file, named by its content: ``sha256`` is 64 hex digits, never a path."""

    sha256: str
    bytes: int
    media_type: str


class Asset(Struct, frozen=True, kw_only=True):
    """A picture as it was ingested.

    ``source`` is the upload, byte for byte; ``still`` the upright sRGB picture (8 bits, straight
    alpha, longest edge at most 4096 px; a mask is its alpha already) that everything is drawn
    from: a PNG, or the upload itself where that is such a PNG or JPEG (with its metadata, then).
    ``subject`` is the box to keep in frame, in fractions of the still.
    """

    role: AssetRole
    uri: str
    source: Artifact
    still: Artifact
    width: int
    height: int
    has_alpha: bool
    subject: Box | None = None
    palette: tuple[str, ...] = ()


class FontFile(Struct, frozen=True, kw_only=True):
    """A font of the film, in the order of fall-back; ``family`` is the name text styles use."""

    family: str
    artifact: Artifact


class Card(Struct, frozen=True, kw_only=True):
    """Words that stand on the screen together from ``start`` for ``frames`` frames.

    ``lines`` are in logical order, already balanced and broken; ``box`` is the block that their
    ink may cover.
    """

    start: int
    frames: int
    lines: tuple[str, ...]
    size_px: float
    box: Box


class Caption(Struct, frozen=True, kw_only=True):
    """A text of the film, split into consecutive cards."""

    role: CaptionRole
    text: str
    cards: tuple[Card, ...]


class Style(Struct, frozen=True, kw_only=True):
    """How the film looks, resolved from request, preset and defaults.

    No platform's controls cover the ``safe_box`` (pixels of a 1080×1920 frame).
    """

    motion: Motion
    product_motion: Motion
    font: str
    caption_size: CaptionSize
    caption_position: CaptionPosition
    margin_px: int
    safe_box: Box = Box(x=120, y=288, width=768, height=960)
    shadow: bool = False
    glow: bool = False


class Transition(Struct, frozen=True, kw_only=True):
    """``frames`` is 0 for a cut."""

    kind: TransitionKind
    frames: int


class SegmentPlan(Struct, frozen=True, kw_only=True):
    """A segment covers the film's frames ``[start, start + frames)``.

    Its *body* ``[body_start, body_start + body_frames)`` is what lies between the transitions on
    either side; bodies are rendered by engines, transitions by the assembler.  ``asset`` indexes
    ``RenderSpec.assets`` (None: no picture).
    """

    index: int
    start: int
    frames: int
    body_start: int
    body_frames: int
    seed: int
    asset: int | None = None


class SoundPlan(Struct, frozen=True, kw_only=True):
    """What is heard.  Gains in dB; loudness in LUFS; peak in dBTP."""

    music: Artifact | None = None
    voice: Artifact | None = None
    music_db: float = -18.0
    voice_db: float = -6.0
    target_lufs: float = -14.0
    true_peak_db: float = -1.0
    sample_rate: int = 48_000
    bitrate_kbps: int = 192


class EncoderProfile(Struct, frozen=True, kw_only=True):
    """The one encoder setting of a film.

    ``library`` names the library build; ``fingerprint`` is the sha256 of the parameter sets
    (avcC) that this profile makes, which every piece of the film must have.
    """

    codec: str
    preset: str
    crf: int
    params: str
    bitrate_max_kbps: int
    library: str = ""
    fingerprint: str = ""


class Warned(Struct, frozen=True, kw_only=True):
    """Something that was done otherwise than asked, or that is worth knowing; never fatal."""

    code: str
    message: str


class RenderSpec(Struct, frozen=True, kw_only=True):
    """The whole plan of a film (see the module's docstring)."""

    version: int = 1
    preset_id: str
    archetype: Archetype
    engine_policy: EnginePolicy
    brand_safe: bool
    prompt: str
    seed: int
    width: int
    height: int
    fps: int
    frames: int
    segments: tuple[SegmentPlan, ...]
    transition: Transition
    style: Style
    captions: tuple[Caption, ...]
    fonts: tuple[FontFile, ...]
    assets: tuple[Asset, ...]
    logo: Asset | None
    sound: SoundPlan
    encoder: EncoderProfile
    ladder: tuple[Rung, ...]
    segments_in_flight_max: int
    deadline_s: float
    draft: bool = False
    cost_max: float | None = None
    """What engines may cost for this film, as its request has it; None: no cap of its own."""
    warnings: tuple[Warned, ...] = ()
