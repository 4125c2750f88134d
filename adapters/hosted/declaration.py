"""What a hosted service is, in words that a YAML file can hold: ``config/engines/<name>.yaml``.

All of them are one machine: create, an id, states, a result that expires.  A declaration says how
this one is spoken to; ``docs/howto/add-an-engine.md`` explains every key.  It is judged whole when
an engine is made: a placeholder that nothing fills, a path that is none or a state that is named
twice stops the start, with file, key and what is allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from adapters.hosted.selecting import compiled
from adapters.hosted.templates import names
from config.errors import ConfigError
from config.loader import StrictLoader
from config.models import Count, Model, NotNegative, Positive
from config.wording import limit_of, nearest, shown
from events.spec import Archetype
from events.types import Reason

T = TypeVar("T", bound=Model)

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "engines"
FILE_BYTES_MAX = 200_000

ASK_NAMES = frozenset(
    {"prompt", "duration", "ratio", "width", "height", "seed", "image", "image_type", "key"}
)
"""What a create may be filled with, besides the declaration's own settings."""

NOT_DECLARED = frozenset({Reason.OUTCOME_UNKNOWN, Reason.CANCELLED, Reason.CRASH_LOOP})
"""Reasons that the machine itself finds; a service cannot tell them."""


class State(StrEnum):
    """What may have become of work at a service."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


def _path(path: str) -> str:
    compiled(path)
    return path


def _as_tuple(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    return pattern


def _declarable(reason: Reason) -> Reason:
    if reason in NOT_DECLARED:
        raise ValueError(f"{reason.value} is found by the machine, not told by a service")
    return reason


Paths = Annotated[tuple[Annotated[str, AfterValidator(_path)], ...], BeforeValidator(_as_tuple)]
"""One path or several: the first that finds something holds."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Setting = str | int | float | bool
Header = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]
Status = Annotated[str, Field(pattern=r"^[1-5][0-9][0-9]$")]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Auth(Model):
    """How we show who we are: ``header: scheme secret``."""

    header: Header = "Authorization"
    scheme: Annotated[str, Field(pattern=r"^[A-Za-z]{0,20}$")] = "Bearer"
    secret_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]


class Request(Model):
    """One request: a URL, relative to ``base_url`` or whole, and a JSON body, both templates.

    ``model`` is what a film's log calls the maker of its clips.
    """

    method: Method = "POST"
    url: str
    model: str = ""
    body: dict[str, Any] = Field(default_factory=dict)


class Duration(Model):
    """A length on offer: what is sent for it, and how long it is."""

    send: str | int | float
    seconds: Positive


class Size(Model):
    """A picture size on offer: what is sent for it, and its pixels (or their ratio)."""

    send: str
    width: Count
    height: Count


class Price(Model):
    """What a clip costs, in the budget's currency: one of the two."""

    per_second: NotNegative | None = None
    per_clip: NotNegative | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.per_second is None) == (self.per_clip is None):
            raise ValueError("give either per_second or per_clip")
        return self

    def of(self, seconds: float) -> float:
        """The cost of a clip so long."""
        return self.per_clip if self.per_clip is not None else (self.per_second or 0) * seconds


class Offers(Model):
    """What can be asked for.  ``seed_max`` None: it takes no seed."""

    archetypes: Annotated[tuple[Archetype, ...], Field(min_length=1)] = tuple(Archetype)
    durations: Annotated[tuple[Duration, ...], Field(min_length=1, max_length=64)]
    sizes: Annotated[tuple[Size, ...], Field(max_length=64)] = ()
    prompt_chars_max: Annotated[int, Field(ge=50, le=100_000)] = 2000
    seed_max: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = 2**31 - 1


class Upload(Model):
    """A request that takes the picture, and where its answer says the picture's URL.

    ``multipart`` sends it as the form's ``field``, ``raw`` as the body; ``put`` asks with a JSON
    body for an address (``put``) and sends it there.
    """

    how: Literal["multipart", "raw", "put"] = "multipart"
    method: Method = "POST"
    url: str
    body: dict[str, Any] = Field(default_factory=dict)
    field: str = "file"
    put: Paths = ()
    image: Paths

    @model_validator(mode="after")
    def _put_has_its_path(self) -> Self:
        if (self.how == "put") != bool(self.put):
            raise ValueError("put: the path of the address to send to goes with how: put")
        return self


class Image(Model):
    """How a picture is handed over.  One that has more than ``bytes_max`` is sent as JPEG."""

    by: Literal["data_uri", "base64", "upload", "url"]
    bytes_max: Annotated[int, Field(ge=10_000, le=100_000_000)]
    upload: Upload | None = None

    @model_validator(mode="after")
    def _upload_is_declared(self) -> Self:
        if (self.by == "upload") != (self.upload is not None):
            raise ValueError("upload: goes with by: upload")
        return self


class Kept(Model):
    """A value of the answer to the create that is needed later.

    ``otherwise`` makes it of the id: for a person who accepts work by its id alone.
    """

    path: Paths
    otherwise: str


class Create(Model):
    """How work is begun: from words alone, from words and a picture, or both.

    ``accepted`` are the statuses that come with an id, ``refused`` those that prove that nothing
    was made, with what they mean; ``again`` are those of them after which it may be asked again.
    Any other answer, and none, means that nobody knows.
    """

    words: Request | None = None
    picture: Request | None = None
    key_header: Header | None = None
    accepted: Annotated[tuple[int, ...], Field(min_length=1)] = (200, 201, 202)
    refused: dict[Status, Annotated[Reason, AfterValidator(_declarable)]]
    again: tuple[int, ...] = (429,)
    id: Paths
    keep: dict[Name, Kept] = Field(default_factory=dict)
    answer_s: Seconds = 60.0
    last_s: Seconds = 5.0

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.words is None and self.picture is None:
            raise ValueError("declare words, picture, or both")
        for status in self.refused:
            if not (400 <= int(status) < 500 and status != "408"):  # noqa: PLR2004
                raise ValueError(
                    f"refused: {status} does not prove that nothing was made: 4xx does"
                )
        both = sorted({str(status) for status in self.accepted} & set(self.refused))
        if both:
            raise ValueError(f"accepted and refused: {', '.join(both)}")
        return self


class Poll(Model):
    """How work is followed: never faster than ``every_s``, at most for ``deadline_s``.

    ``states`` says which of the service's words mean what; ``codes`` does for an HTTP status that
    comes without one.  Something at ``error`` means failure, whatever the state is called.
    """

    url: str
    every_s: Annotated[float, Field(ge=0.01, le=600)]
    every_max_s: Annotated[float, Field(ge=0.01, le=600)] = 15.0
    grow: Annotated[float, Field(ge=1, le=4)] = 1.25
    deadline_s: Seconds = 1500.0
    answer_s: Seconds = 30.0
    denied_max: Annotated[int, Field(ge=1, le=100)] = 3
    state: Paths
    states: dict[State, tuple[str, ...]]
    codes: dict[Status, State] = Field(default_factory=dict)
    error: Paths = ()
    code: Paths = ()
    progress: Paths = ()

    @model_validator(mode="after")
    def _says_every_end(self) -> Self:
        missing = [s.value for s in (State.SUCCEEDED, State.FAILED) if not self.states.get(s)]
        if missing:
            raise ValueError(f"states: {', '.join(missing)}: no word means it")
        words = [word for each in self.states.values() for word in each]
        twice = sorted({word for word in words if words.count(word) > 1})
        if twice:
            raise ValueError(f"states: {', '.join(twice)}: means two things")
        if self.every_max_s < self.every_s:
            raise ValueError(f"every_max_s ({self.every_max_s:g}) is less than every_s")
        return self

    def means(self, word: str) -> State | None:
        """The state that a service's word means; None for a word that is not declared."""
        return next((state for state, words in self.states.items() if word in words), None)


class Result(Model):
    """Where the clip is.  ``get``: a URL whose answer says it; else the poll's own answer does.

    ``cost`` finds what it did cost, in units of ``cost_unit`` of the budget's currency.
    ``send_auth`` sends the secret with the download, if that is at the service itself.
    """

    get: str = ""
    url: Paths
    cost: Paths = ()
    cost_unit: Positive = 1.0
    error: Paths = ()
    code: Paths = ()
    send_auth: bool = False
    tries_max: Annotated[int, Field(ge=1, le=20)] = 4
    wait_s: Annotated[float, Field(ge=0.01, le=60)] = 2.0
    transfer_s: Seconds = 300.0
    bytes_max: Annotated[int, Field(ge=1000, le=10_000_000_000)] = 500_000_000


class Cancel(Model):
    """How work is stopped, and in which states: it is looked at before, always.

    A request that deletes what is finished must not name ``succeeded``.  ``billed`` False: what
    was cancelled costs nothing; None: that is not known.
    """

    method: Method
    url: str
    only_in: Annotated[tuple[State, ...], Field(min_length=1)] = (State.QUEUED, State.RUNNING)
    billed: bool | None = None
    wait_s: Seconds = 30.0

    @field_validator("only_in")
    @classmethod
    def _not_what_has_ended(cls, states: tuple[State, ...]) -> tuple[State, ...]:
        ended = [state.value for state in states if state in ENDED]
        if ended:
            raise ValueError(f"{', '.join(ended)}: what has ended is never cancelled")
        return states


class Failure(Model):
    """What a failure means whose code, or else words, ``match`` finds something in.

    ``billed`` False: such a failure costs nothing.  Only then can it be tried ``again``.
    """

    match: Annotated[str, AfterValidator(_pattern)]
    reason: Annotated[Reason, AfterValidator(_declarable)]
    again: bool = False
    billed: bool | None = None

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.again and self.billed is not False:
            raise ValueError("again: only with billed: false, or it is paid for twice")
        return self


class Declaration(Model):
    """A hosted service."""

    title: str
    as_of: Annotated[str, Field(pattern=r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]$")]
    source: str
    base_url: str
    hosts: tuple[str, ...] = ()
    """More hosts that its answers may send us to with our secret, besides ``base_url``'s."""
    local: bool = False
    auth: Auth
    headers: dict[Header, str] = Field(default_factory=dict)
    settings: dict[Name, Setting] = Field(default_factory=dict)
    offers: Offers
    price: Price | None = None
    image: Image | None = None
    create: Create
    poll: Poll
    result: Result
    cancel: Cancel | None = None
    failures: tuple[Failure, ...] = ()

    @model_validator(mode="after")
    def _placeholders_are_filled(self) -> Self:
        taken = sorted(set(self.settings) & (ASK_NAMES | {"id"} | set(self.create.keep)))
        if taken:
            raise ValueError(f"settings: {', '.join(taken)}: has a meaning of its own")
        settings = frozenset(self.settings)
        for where, template, known in _templates(self, settings):
            try:
                unknown = sorted(set(names(template)) - known)
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from error
            if unknown:
                told = f"{where}: nothing fills {', '.join(unknown)}"
                raise ValueError(f"{told}; there are {', '.join(sorted(known))}")
        if self.create.picture is not None and self.image is None:
            raise ValueError("image: says how the picture of create.picture is handed over")
        return self


def _templates(
    declared: Declaration, settings: frozenset[str]
) -> Iterator[tuple[str, Any, frozenset[str]]]:
    """Every template: where it stands, what it is, and what can fill it."""
    image = {"image", "image_type"}
    for where, request, known in (
        ("create.words", declared.create.words, ASK_NAMES - image),
        ("create.picture", declared.create.picture, ASK_NAMES),
    ):
        if request is not None:
            yield f"{where}.url", request.url, known | settings
            yield f"{where}.body", request.body, known | settings
            yield f"{where}.model", request.model, settings
    made = settings | {"id"}
    for key, kept in declared.create.keep.items():
        yield f"create.keep.{key}.otherwise", kept.otherwise, made
    later = made | set(declared.create.keep)
    yield "poll.url", declared.poll.url, later
    yield "result.get", declared.result.get, later
    if declared.cancel is not None:
        yield "cancel.url", declared.cancel.url, later
    if declared.image is not None and declared.image.upload is not None:
        yield "image.upload.url", declared.image.upload.url, settings
        yield "image.upload.body", declared.image.upload.body, settings | {"key", "image_type"}


def load_declaration(name: str, folder: Path | None = None) -> Declaration:
    """The declaration of that name: from ``folder``, else from those that ship.

    Raises ``ConfigError`` with file, key, value and limit.
    """
    folders = [*([folder] if folder else []), SHIPPED]
    for place in folders:
        path = place / f"{name}.yaml"
        if path.is_file():
            return parsed(_read(path), str(path))
    known = sorted({path.stem for place in folders for path in place.glob("*.yaml")})
    allowed = f"no such declaration; there are {', '.join(known)}{nearest(name, known)}"
    raise ConfigError("engines", "declaration", shown(name), allowed)


def _read(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > FILE_BYTES_MAX:
            raise ConfigError(str(path), "", f"{size} bytes", f"at most {FILE_BYTES_MAX}")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "", "", f"cannot be read: {error}") from error


def parsed(text: str, where: str) -> Declaration:
    """A declaration of YAML.  Raises ``ConfigError``."""
    try:
        raw = yaml.load(text, Loader=StrictLoader)  # noqa: S506 - a SafeLoader, only stricter
    except yaml.YAMLError as error:
        raise ConfigError(where, "", "", f"is no YAML: {' '.join(str(error).split())}") from error
    return judged(Declaration, raw, where)


def judged(kind: type[T], raw: object, where: str) -> T:
    """``raw`` as a model, strictly.  Raises ``ConfigError`` with key, value and limit."""
    try:
        # JSON is the strict mode in which a list is a tuple and a text an enum's value.
        return kind.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        value = "" if first["type"] in {"missing", "value_error"} else shown(first["input"])
        hint = ""
        if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
            hint = nearest(key, kind.model_fields)
        raise ConfigError(where, key, value, limit_of(first) + hint) from error
