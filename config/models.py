"""The shape of a configuration: one frozen model a section.

Units are the last part of a name.  What each value is for, and why it is what it is, stands beside
it in the YAML files; here stand its type and the bounds it must keep.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from config.stores import StoreAddress, parse_store
from events.spec import (
    Archetype,
    CaptionPosition,
    CaptionSize,
    EnginePolicy,
    Motion,
    TransitionKind,
)
from events.stream import LogSettings

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
EvenPixels = Annotated[int, Field(ge=16, le=8192, multiple_of=2)]
Gain = Annotated[float, Field(ge=-60, le=12)]
TransitionMs = Annotated[float, Field(ge=0, le=2000)]


class Model(BaseModel):
    """Base of every section: frozen, strict, and closed to keys that mean nothing."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class Encoder(Model):
    """The setting that every frame of a film is encoded with."""

    codec: Literal["libx264", "h264_nvenc"]
    preset: str
    crf: Annotated[int, Field(ge=0, le=51)]
    params: str = ""


class HardwareEncoder(Model):
    """The setting of a graphics card's encoder, where a film asks for one."""

    preset: str
    cq: Annotated[int, Field(ge=1, le=51)]
    params: str = ""


class DraftEncoder(Model):
    """The setting that drafts are encoded with."""

    preset: str
    crf: Annotated[int, Field(ge=0, le=51)]


class Defaults(Model):
    """What holds when neither the request nor its preset says otherwise."""

    width: EvenPixels
    height: EvenPixels
    fps: Annotated[int, Field(ge=1, le=120)]
    segment_s: Annotated[float, Field(ge=2, le=4)]
    transition: TransitionKind
    transition_ms: TransitionMs
    engine_policy: EnginePolicy
    brand_safe: bool
    font: str
    logo_uri: str | None
    deadline_s: Positive
    encoder: Encoder
    nvenc: HardwareEncoder
    draft: DraftEncoder


class Sound(Model):
    """Loudness and format of what is heard."""

    target_lufs: Annotated[float, Field(ge=-40, le=-5)]
    true_peak_db: Annotated[float, Field(le=0)]
    sample_rate: Literal[44100, 48000]
    bitrate_kbps: Annotated[int, Field(ge=64, le=512)]


class LimitSettings(Model):
    """The bound of every loop, retry, download and worker process."""

    segments_in_flight_per_job: Count
    retries_max: Annotated[int, Field(ge=0)]
    backoff_base_s: Positive
    backoff_max_s: Positive
    crashes_max: Count
    deliveries_max: Count
    assembly_attempts_max: Count
    timer_recheck_s: Positive
    not_taken_s: NotNegative
    unanswered_s: NotNegative
    generating_s: NotNegative
    composing_s: NotNegative
    no_progress_s: Positive
    too_long_s: Positive
    planning_s: Positive
    memory_mb_max: Annotated[int, Field(ge=100)]
    workers: Annotated[int, Field(ge=0, le=1024)]
    asset_bytes_max: Count
    sound_bytes_max: Count
    font_bytes_max: Count
    edge_px_max: Count
    pixels_max: Count
    still_edge_px_max: Count
    fetch_s: Positive
    fetch_redirects_max: Annotated[int, Field(ge=0)]
    disk_free_mb_min: Annotated[int, Field(ge=0)]
    reuse_bodies: bool


class Budget(Model):
    """What may be spent on engines that cost money; None: no cap."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    per_job: NotNegative | None
    per_day: NotNegative | None


class Circuits(Model):
    """When an engine that keeps failing is left alone, and for how long."""

    failures: Count
    open_s: Positive


class Settle(Model):
    """How long a create in doubt waits for a person; None: half of what the film has left."""

    wait_s: NotNegative | None


class StoreSettings(Model):
    """Where artifacts are kept, and the bounds of a store that is elsewhere."""

    url: str
    cache_bytes_max: Count
    bucket_bytes_max: Count
    request_s: Positive
    retry_s: Positive

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        return parse_store(url).name

    @property
    def address(self) -> StoreAddress:
        """The address, read."""
        return parse_store(self.url)


class LogLimits(Model):
    """The event log: times, sizes, tries."""

    ack_wait_s: Positive
    heartbeat_s: Positive
    bytes_max: Count
    asks_up_to: Annotated[float, Field(gt=0, le=1)]
    dead_letter_bytes_max: Count
    replicas: Literal[1, 3, 5]
    duplicate_window_s: Positive
    connect_timeout_s: Positive
    request_timeout_s: Positive
    append_timeout_s: Positive
    stale_reads_max: Annotated[int, Field(ge=0)]
    newer_delay_s: Positive

    @model_validator(mode="after")
    def _heartbeat_comes_in_time(self) -> Self:
        if self.heartbeat_s * 2 > self.ack_wait_s:
            raise ValueError(
                f"heartbeat_s ({self.heartbeat_s:g}) must be at most half of ack_wait_s "
                f"({self.ack_wait_s:g}), or long work is handed out twice"
            )
        return self

    def settings(self) -> LogSettings:
        """What both logs take."""
        shared = self.model_dump(exclude={"ack_wait_s", "heartbeat_s"})
        return LogSettings(**shared)


class Runtime(Model):
    """The shell around every actor."""

    fetch_wait_s: Annotated[float, Field(gt=0, le=2)]
    retry_delay_s: Positive
    retry_delay_max_s: Positive
    stop_grace_s: NotNegative
    jobs_cached_max: Count


class GatewaySettings(Model):
    """Bounds of the REST gateway."""

    requests_a_minute: Count
    body_bytes_max: Count
    body_s: Positive
    frame_s: Positive
    frames_waiting_max: Count
    head_s: Positive
    stalled_s: Positive
    answer_s: Positive
    connections_max: Count
    uploads_max: Count
    streams_max: Count
    stream_send_s: Positive
    plans_max: Count
    rows_kept_max: Count
    restart_delay_max_s: Positive
    stop_s: Positive


class TraceSettings(Model):
    """Bounds of sending traces, besides those of OpenTelemetry's own variables."""

    flush_s: Positive


class SafeBox(Model):
    """The edges of the box that no platform covers; pixels of the finished frame."""

    left: Annotated[int, Field(ge=0)]
    top: Annotated[int, Field(ge=0)]
    right: Count
    bottom: Count

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.right - self.left < 240 or self.bottom - self.top < 240:  # noqa: PLR2004
            raise ValueError("the safe box must be at least 240 pixels wide and high")
        return self


class Delivery(Model):
    """What the platforms want of a file: dated data."""

    as_of: str
    source: str
    safe_box: SafeBox
    bitrate_kbps_max: Count
    bytes_max: Count


class Preset(Model):
    """A look.  ``None`` takes the default."""

    title: str
    archetype: Archetype
    motion: Motion
    caption_size: CaptionSize
    caption_position: CaptionPosition
    margin_px: Annotated[int, Field(ge=0, le=400)]
    music_db: Gain
    voice_db: Gain
    font: str | None = None
    brand_safe: bool | None = None
    engine_policy: EnginePolicy | None = None
    transition: TransitionKind | None = None
    transition_ms: TransitionMs | None = None
    target_lufs: Annotated[float, Field(ge=-40, le=-5)] | None = None
    shadow: bool = False
    glow: bool = False


class EngineSettings(Model):
    """An engine that may be asked; the order of the list is the order of the asking.

    ``slots``: how many clips one service has under way at an engine that generates (None: as
    many as ``generation.slots`` says).
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    enabled: bool = True
    slots: Annotated[int, Field(ge=1, le=1000)] | None = None
    options: dict[str, Any] = {}


class ClipPrompts(Model):
    """What engines are asked; ``{prompt}`` and ``{camera}`` stand for the film's own words."""

    hero: str
    meme: str
    background: str
    nothing: str

    @model_validator(mode="after")
    def _say_the_prompt(self) -> Self:
        told = {"hero": self.hero, "meme": self.meme, "background": self.background}
        silent = [name for name, template in told.items() if "{prompt}" not in template]
        if silent:
            raise ValueError(f"{', '.join(silent)}: must hold {{prompt}}")
        return self


class GenerationSettings(Model):
    """How engines that generate are asked for clips, and what is taken of them."""

    prompts: ClipPrompts
    camera: dict[Motion, str]
    slots: Annotated[int, Field(ge=1, le=1000)]
    clip_bytes_max: Count
    taking_s: Positive

    @model_validator(mode="after")
    def _every_motion_has_a_camera(self) -> Self:
        missing = [motion for motion in Motion if motion not in self.camera]
        if missing:
            raise ValueError(f"camera: lacks {', '.join(missing)}")
        return self


class FontFace(Model):
    """A file of a family; ``path`` is relative to the fonts' directory."""

    path: str
    weight: Annotated[int, Field(ge=1, le=1000)]


class FontFamily(Model):
    """A family that ships."""

    license: str
    files: Annotated[tuple[FontFace, ...], Field(min_length=1)]


class FontTable(Model):
    """The fonts that ship and the names they go by.  ``directory`` holds the files."""

    directory: Path
    families: dict[str, FontFamily]
    aliases: dict[str, str] = {}
    caption_weights: dict[str, int] = {}
    fallbacks: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        named = {*self.aliases.values(), *self.caption_weights, *self.fallbacks}
        unknown = sorted(named - set(self.families))
        if unknown:
            raise ValueError(f"no such family: {', '.join(unknown)}")
        missing = [
            face.path
            for family in self.families.values()
            for face in family.files
            if not (self.directory / face.path).is_file()
        ]
        if missing:
            raise ValueError(f"no such file in {self.directory}: {', '.join(missing)}")
        return self

    def family(self, name: str) -> str | None:
        """The family behind ``name``, be it its own name or an alias; None when not shipped."""
        found = self.aliases.get(name, name)
        return found if found in self.families else None

    def file(self, name: str, weight: int | None = None) -> Path:
        """The file of a family or alias nearest to ``weight`` (default: the caption weight).

        Raises ``KeyError`` for a family that does not ship.
        """
        family = self.aliases.get(name, name)
        wanted = weight or self.caption_weights.get(family, 400)
        face = min(self.families[family].files, key=lambda face: abs(face.weight - wanted))
        return self.directory / face.path


class Config(Model):
    """Everything that can be set."""

    defaults: Defaults
    sound: Sound
    limits: LimitSettings
    budget: Budget
    circuits: Circuits
    settle: Settle
    store: StoreSettings
    log: LogLimits
    runtime: Runtime
    gateway: GatewaySettings
    traces: TraceSettings
    delivery: Delivery
    presets: Annotated[dict[str, Preset], Field(min_length=1)]
    engines: Annotated[tuple[EngineSettings, ...], Field(min_length=1)]
    generation: GenerationSettings
    fonts: FontTable

    @model_validator(mode="after")
    def _refers_to_what_exists(self) -> Self:
        names = [engine.name for engine in self.engines]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"engines: named twice: {', '.join(twice)}")
        fonts = {
            f"presets.{key}.font": preset.font or self.defaults.font
            for key, preset in self.presets.items()
        }
        for key, font in fonts.items():
            if self.fonts.family(font) is None:
                known = ", ".join(sorted({*self.fonts.families, *self.fonts.aliases}))
                raise ValueError(f"{key}: the font {font!r} does not ship; there are {known}")
        return self

    @property
    def is_null(self) -> bool:
        """Whether the null engine is switched on: then nothing here touches any media."""
        null = self.engine("null")
        return null is not None and null.enabled

    def engine(self, name: str) -> EngineSettings | None:
        """The engine of that name, enabled or not."""
        return next((engine for engine in self.engines if engine.name == name), None)
