"""What a request may ask, and the judge that names everything that is wrong with one.

``RenderRequest`` is the public contract: its bounds are part of it and stand in the JSON schema.
A field that is ``null`` is as good as left out.  The judge answers in plain words, a problem a
field, and never raises: whatever JSON holds is input.  Left out here: whether the files that a
request names can be read and decoded (the planner's preparation), and what holds for what is left
out (``resolution``).
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails

from config.models import Model
from config.wording import limit_of, nearest, shown
from events.spec import Archetype, AssetRole, EnginePolicy, TransitionKind
from events.types import Problem

DURATION_S_MIN = 1
DURATION_S_MAX = 60
PROMPT_CHARS_MAX = 5_000
CAPTION_CHARS_MAX = 200
BEATS_MAX = 20
ASSETS_MAX = 20
URI_CHARS_MAX = 2_048
SEED_MAX = 2**53 - 1
"""The largest whole number that every JSON reader keeps exact."""
DEADLINE_S_MIN = 10
DEADLINE_S_MAX = 86_400
DIGITS_MAX = 18
"""Longer whole numbers are not read: they do not fit 64 bits."""
DEPTH_MAX = 6
"""A request nests no deeper: an object, a list, an object."""
ENTRIES_MAX = 1_000
"""Values in a request, all told: beyond that nothing of it is read."""
PROBLEMS_MAX = 20
"""More problems than this are counted and not named."""

SCHEMES = ("file", "http", "https", "sha256")
VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})

Uri = Annotated[
    str,
    Field(min_length=1, max_length=URI_CHARS_MAX),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^(file://|https?://|sha256:[0-9a-f]{64}$)",
            "maxLength": URI_CHARS_MAX,
        }
    ),
]
"""``file:///…`` on the service's host, ``http(s)://…``, or ``sha256:<64 hex digits>``: a file
that is in the artifact store already."""

CaptionText = Annotated[str, Field(max_length=CAPTION_CHARS_MAX)]


class EncoderChoice(StrEnum):
    """What encodes a film."""

    X264 = "x264"
    NVENC = "nvenc"


class AssetAsked(Model):
    """A picture and what it shows."""

    uri: Uri
    """Where the picture is."""
    role: AssetRole = AssetRole.AUTO
    """What it shows; a person's face stays in frame."""
    mask_uri: Uri | None = None
    """A grey picture of the same shape: white is the subject."""


class RenderRequest(Model):
    """A film, as a client asks for it."""

    preset_id: str
    """Which look; `pytoon presets` lists them."""
    target_duration_seconds: Annotated[float, Field(ge=DURATION_S_MIN, le=DURATION_S_MAX)]
    """Length of the film; it is exactly as long, to the frame."""
    prompt: Annotated[str, Field(max_length=PROMPT_CHARS_MAX)] | None = None
    """What the film is about: directs engines, and is the hook when `hook` is not given."""
    image_uris: Annotated[tuple[Uri, ...], Field(max_length=ASSETS_MAX)] | None = None
    """Pictures, shown in turn; in OVERLAY each as a product."""
    mask_uri: Uri | None = None
    """A grey picture that cuts out the subject of the first of `image_uris`."""
    assets: Annotated[tuple[AssetAsked, ...], Field(max_length=ASSETS_MAX)] | None = None
    """Pictures with what they show; they follow `image_uris`."""
    music_uri: Uri | None = None
    """Music: looped or cut to the film's length."""
    voice_uri: Uri | None = None
    """A voice, over the music."""
    logo_uri: Uri | None = None
    """Watermark."""
    font_uri: Uri | None = None
    """A brand font (TrueType or OpenType) for the captions; not under brand-safe."""
    hook: CaptionText | None = None
    """The first words on the screen; an empty text means none."""
    beats: Annotated[tuple[CaptionText, ...], Field(max_length=BEATS_MAX)] | None = None
    """What is told after the hook, one caption each."""
    cta: CaptionText | None = None
    """The last words: what the viewer is to do."""
    archetype: Archetype | None = None
    """What kind of film, instead of the preset's."""
    brand_safe: bool | None = None
    """Whether the product must be shown as it was uploaded, instead of the preset's."""
    engine_policy: EnginePolicy | None = None
    """Which engines may be asked, instead of the preset's."""
    transition: TransitionKind | None = None
    """How one segment becomes the next, instead of the preset's."""
    seed: Annotated[int, Field(ge=0, le=SEED_MAX)] | None = None
    """Same request and seed, same film; left out, it follows from the request's content."""
    deadline_seconds: Annotated[float, Field(ge=DEADLINE_S_MIN, le=DEADLINE_S_MAX)] | None = None
    """Seconds from now after which nobody needs the film any more."""
    draft: bool | None = None
    """A quick preview: the same film at a quarter of the pixels, to look at before rendering."""
    encoder: EncoderChoice | None = None
    """`x264`, or `nvenc`: a graphics card's; where that does not work, x264 and a warning."""
    budget: Annotated[float, Field(ge=0)] | None = None
    """What engines may cost for this film, in the configured currency; 0: none that costs."""


def parse_request(ask: object, *, presets: Collection[str]) -> RenderRequest | tuple[Problem, ...]:
    """The request in ``ask``, or everything that is wrong with it (never empty, at most 21).

    ``ask`` is whatever a JSON text may hold; ``presets`` are the ids that there are.
    """
    if not isinstance(ask, Mapping):
        hint = 'publish a JSON object such as {"preset_id": …, "target_duration_seconds": 15}'
        return (Problem(field="request", value=shown(ask), limit="an object", hint=hint),)
    asked = {key: value for key, value in ask.items() if value is not None}
    unreadable = _unreadable(asked)
    if unreadable:
        return unreadable
    problems: dict[str, Problem] = {}
    request = _modelled(asked, problems)
    for problem in (*_preset_problems(asked, presets), *_field_problems(asked)):
        problems.setdefault(problem.field, problem)
    if problems:
        return _bounded(tuple(problems.values()))
    assert request is not None
    return request


def _bounded(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    left_out = len(problems) - PROBLEMS_MAX
    if left_out <= 0:
        return problems
    limit = f"{left_out} more problems"
    hint = "put right the ones above and send the request again"
    return (*problems[:PROBLEMS_MAX], Problem(field="request", value="", limit=limit, hint=hint))


def _unreadable(asked: Mapping[Any, Any]) -> tuple[Problem, ...]:
    """What no further judgement is possible on: size, depth, strings that are no text."""
    problems = []
    for entry, (field, value, depth) in enumerate(_walk(asked)):
        if entry >= ENTRIES_MAX or depth > DEPTH_MAX:
            limit = f"at most {ENTRIES_MAX} values, nested at most {DEPTH_MAX} deep"
            hint = "leave out what is no part of a request"
            return (Problem(field="request", value="", limit=limit, hint=hint),)
        if isinstance(value, float) and not math.isfinite(value):
            problems.append(_problem(field, value, "a finite number", "JSON has no NaN"))
        elif isinstance(value, int) and abs(value) >= 10**DIGITS_MAX:
            limit = f"a number of at most {DIGITS_MAX} digits"
            problems.append(_problem(field, value, limit, _hint(field)))
        elif isinstance(value, str) and not _is_text(value):
            hint = "write the character itself, or both halves of its surrogate pair"
            problems.append(_problem(field, value, "well-formed Unicode", hint))
    return _bounded(tuple(problems))


def _walk(asked: Mapping[Any, Any]) -> Iterator[tuple[str, Any, int]]:
    """Each key and value with its field path and depth, breadth first, without recursion."""
    waiting: list[tuple[str, Any, int]] = [("", asked, 0)]
    for field, value, depth in waiting:
        if depth:
            yield field, value, depth
        if depth > DEPTH_MAX or len(waiting) > ENTRIES_MAX + 1:
            continue
        if isinstance(value, Mapping):
            prefix = f"{field}." if field else ""
            for key in value:
                if not _is_text(str(key)):
                    yield f"{prefix}{shown(key)}", str(key), depth + 1
            waiting.extend((f"{prefix}{shown(key)}", value[key], depth + 1) for key in value)
        elif isinstance(value, list | tuple):
            waiting.extend((f"{field}[{i}]", inner, depth + 1) for i, inner in enumerate(value))


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _modelled(asked: Mapping[Any, Any], problems: dict[str, Problem]) -> RenderRequest | None:
    # JSON is the strict mode in which a string is an enum's value and a list a tuple.
    try:
        return RenderRequest.model_validate_json(json.dumps(asked, default=str))
    except ValidationError as error:
        for details in error.errors(include_url=False):
            problem = _told(details)
            problems.setdefault(problem.field, problem)
    return None


def _told(error: ErrorDetails) -> Problem:
    field = _field(error["loc"])
    known = AssetAsked.model_fields if field.startswith("assets[") else RenderRequest.model_fields
    match error["type"]:
        case "extra_forbidden":
            name = str(error["loc"][-1])
            fields = f"the fields are {', '.join(known)}"
            hint = f"leave it out{nearest(name, known)}"
            return _problem(field, error["input"], "no such field", f"{hint}; {fields}")
        case "missing":
            return _problem(field, "", "must be given", _hint(field))
        case "string_too_long":
            length = len(error["input"])
            limit = f"{limit_of(error)} (it has {length})"
            return _problem(field, error["input"], limit, "make it shorter")
        case "enum":
            values = str(error["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
            hint = "take one of them" + nearest(str(error["input"]), values.split(", "))
            return _problem(field, error["input"], f"one of {values}", hint)
        case _:
            return _problem(field, error["input"], limit_of(error), _hint(field))


_HINTS = {
    "preset_id": "`pytoon presets` lists them",
    "target_duration_seconds": "give the film's length in seconds, such as 15",
    "seed": "give a whole number, or leave it out",
    "deadline_seconds": "give the seconds that the film may take, or leave it out",
    "budget": "give an amount, or leave it out",
    "image_uris": 'give a list such as ["file:///pictures/bottle.png"]',
    "assets": 'give a list such as [{"uri": "file:///pictures/bottle.png", "role": "product"}]',
    "beats": 'give a list of texts such as ["Made by hand", "Lasts for years"]',
    "brand_safe": "give true or false without quotes, or leave it out",
    "draft": "give true or false without quotes, or leave it out",
}


def _hint(field: str) -> str:
    return _HINTS.get(field, "give that, or leave the field out")


def _field(loc: tuple[int | str, ...]) -> str:
    """A path such as ``assets[0].uri``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{shown(part)}" for part in loc)
    return "".join(parts).removeprefix(".") or "request"


def _problem(field: str, value: object, limit: str, hint: str) -> Problem:
    return Problem(field=field, value=shown(value), limit=limit, hint=hint)


def _preset_problems(asked: Mapping[Any, Any], presets: Collection[str]) -> Iterator[Problem]:
    preset_id = asked.get("preset_id")
    if isinstance(preset_id, str) and preset_id not in presets:
        limit = f"one of {', '.join(presets)}"
        hint = f"`pytoon presets` lists them{nearest(preset_id, presets)}"
        yield _problem("preset_id", preset_id, limit, hint)


def _field_problems(asked: Mapping[Any, Any]) -> Iterator[Problem]:
    """What the types cannot say: control characters, where a URI may lead, what goes together."""
    for field, text in _texts(asked):
        control = next((c for c in text if _is_control(c)), None)
        if control is not None:
            limit = "a text without control characters"
            yield _problem(field, text, limit, f"leave out U+{ord(control):04X}")
    for field, uri, picture in _uris(asked):
        problem = _uri_problem(field, uri, picture=picture)
        if problem:
            yield problem
    if asked.get("mask_uri") and not asked.get("image_uris"):
        hint = (
            "give the picture in image_uris, or the mask in assets[…].mask_uri beside its picture"
        )
        yield _problem("mask_uri", asked["mask_uri"], "belongs to the first of image_uris", hint)
    count = sum(len(_list(asked, key)) for key in ("image_uris", "assets"))
    if count > ASSETS_MAX:
        limit = f"at most {ASSETS_MAX} pictures together with image_uris (there are {count})"
        yield _problem("assets", asked.get("assets"), limit, "leave some out")


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc" and character not in "\t\n\r"


def _list(asked: Mapping[Any, Any], key: str) -> list[Any]:
    value = asked.get(key)
    return value if isinstance(value, list) else []


def _texts(asked: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """The fields that hold words."""
    named = [(key, asked.get(key)) for key in ("prompt", "hook", "cta")]
    listed = [(f"beats[{i}]", beat) for i, beat in enumerate(_list(asked, "beats"))]
    return ((field, text) for field, text in (*named, *listed) if isinstance(text, str))


def _uris(asked: Mapping[Any, Any]) -> Iterator[tuple[str, str, bool]]:
    """The fields that hold URIs, and whether a picture is expected behind each."""
    pictures = [(f"image_uris[{i}]", uri) for i, uri in enumerate(_list(asked, "image_uris"))]
    pictures += [(key, asked.get(key)) for key in ("mask_uri", "logo_uri")]
    for index, asset in enumerate(_list(asked, "assets")):
        if isinstance(asset, Mapping):
            pictures += [(f"assets[{index}].{key}", asset.get(key)) for key in ("uri", "mask_uri")]
    others = [(key, asked.get(key)) for key in ("music_uri", "voice_uri", "font_uri")]
    for field, uri in (*pictures, *others):
        if isinstance(uri, str) and uri:
            yield field, uri, (field, uri) in pictures


def _uri_problem(field: str, uri: str, *, picture: bool) -> Problem | None:
    limit = "file:///…, http://…, https://… or sha256:<64 hex digits>"
    if any(unicodedata.category(c) == "Cc" for c in uri):
        hint = "write it percent-encoded"
        return _problem(field, uri, "a URI without control characters", hint)
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError as error:
        return _problem(field, uri, limit, f"put right: {error}")
    if parts.scheme not in SCHEMES:
        is_path = uri.startswith(("/", "~", ".")) or not parts.scheme or len(parts.scheme) == 1
        hint = (
            "write a file's whole path as file:///… (the command line takes plain paths)"
            if is_path
            else f"{shown(parts.scheme)}: cannot be read from; use one of these"
        )
        return _problem(field, uri, limit, hint)
    if parts.scheme == "sha256":
        digest = parts.path
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):  # noqa: PLR2004
            return _problem(field, uri, limit, "give the 64 lower-case digits of its sha256")
        return None
    if parts.scheme == "file" and (host not in {None, "", "localhost"} or parts.path in {"", "/"}):
        return _problem(field, uri, limit, "a file URI has three slashes and a path: file:///a/b")
    if parts.scheme != "file" and not host:
        return _problem(field, uri, limit, "name the host, as in https://example.org/bottle.png")
    suffix = PurePosixPath(unquote(parts.path)).suffix.lower()
    if picture and suffix in VIDEO_SUFFIXES:
        hint = "give a still picture (PNG, JPEG, WebP); take a frame out of the video for now"
        return _problem(field, uri, "a picture: videos cannot be used as assets yet", hint)
    return None
