"""Which spans there are, and what they tell: the one list, for the code and for its page.

Where OpenTelemetry has a convention, the attribute's name is its; ours begin with ``pytoon.``.
None of them holds a prompt, a caption, an address of an asset, an artifact's content or a secret.
``docs/reference/traces.md`` is made from here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Self


class SpanKind(StrEnum):
    """OpenTelemetry's kinds."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Attribute(StrEnum):
    """What a span may tell; ``told`` says what it is."""

    told: str

    def __new__(cls, name: str, told: str) -> Self:
        """A member from its name on the wire and its meaning."""
        made = str.__new__(cls, name)
        made._value_ = name
        made.told = told
        return made

    ERROR = "error.type", "why it failed: a reason of ours, a status, or the exception's name"
    METHOD = "http.request.method", "the request's method"
    ROUTE = "http.route", "the address with its parameters' names in the place of their values"
    STATUS = "http.response.status_code", "the answer's status"
    PATH = "url.path", "the request's path, without its query"
    SCHEME = "url.scheme", "`http` or `https`"
    SERVER = "server.address", "the host that is asked"
    SYSTEM = "messaging.system", "`nats`"
    OPERATION = "messaging.operation.name", "`process` or `append`"
    OPERATION_TYPE = "messaging.operation.type", "`process` or `send`"
    SUBJECT = "messaging.destination.name", "the message's subject"
    DURABLE = "messaging.consumer.group.name", "the durable consumer that handed it out"
    MESSAGE = "messaging.message.id", "the event's id; of a bare ask its sequence"
    CONVERSATION = "messaging.message.conversation_id", "the job's id"
    MESSAGES = "messaging.batch.message_count", "how many events are appended at once"
    JOB = "pytoon.job", "the job's id"
    PRESET = "pytoon.preset", "the id of the film's preset"
    STATE = "pytoon.state", "how the job ended: `completed`, `failed`, `cancelled`, `rejected`"
    SEGMENTS = "pytoon.segments", "how many segments the film has"
    FRAMES = "pytoon.frames", "frames of the film, or of the segment's body"
    SEQ = "pytoon.seq", "the message's sequence in the log"
    DELIVERIES = "pytoon.deliveries", "how often the message was handed out by now"
    TYPES = "pytoon.types", "the types of the events"
    OUTCOME = "pytoon.outcome", "what it came to, in a word"
    SEGMENT = "pytoon.segment", "the segment, from 0"
    ATTEMPT = "pytoon.attempt", "the attempt, from 1"
    ENGINE = "pytoon.engine", "the engine of the rung"
    ARCHETYPE = "pytoon.archetype", "the archetype of the rung"
    REASON = "pytoon.reason", "why an attempt came to nothing"
    REUSED = "pytoon.reused", "whether it had been made before and was taken again"
    MODEL = "pytoon.model", "the model that made it"
    COST = "pytoon.cost", "what it is known to have cost, in the configured currency"


Fact = str | int | float | bool | tuple[str, ...]
Facts = dict[Attribute, Fact]


class SpanSpec(NamedTuple):
    """One kind of span; what stands in braces in its name is of the case."""

    name: str
    who: str
    told: str
    attributes: tuple[Attribute, ...]
    kind: SpanKind = SpanKind.INTERNAL


_A = Attribute
_PLACE = (_A.SEGMENT, _A.ATTEMPT, _A.ENGINE, _A.ARCHETYPE, _A.REASON, _A.OUTCOME)
_RESULT = (_A.FRAMES, _A.REUSED, _A.MODEL, _A.COST)

JOB = SpanSpec(
    name="job",
    who="whichever service appends the end",
    told="The whole job, from its request to its end: the root, unless the request came with a"
    " `traceparent`. It is exported when the job has ended.",
    attributes=(_A.JOB, _A.STATE, _A.PRESET, _A.SEGMENTS, _A.FRAMES, _A.REASON),
)
REQUEST = SpanSpec(
    name="{method} {route}",
    kind=SpanKind.SERVER,
    who="gateway",
    told="A request under `/api/` that was let in, until its answer is sent.",
    attributes=(_A.METHOD, _A.ROUTE, _A.STATUS, _A.PATH, _A.SCHEME, _A.JOB),
)
PROCESS = SpanSpec(
    name="process {type}",
    kind=SpanKind.CONSUMER,
    who="each service",
    told="A message in hand, from its delivery until it is settled or given back. A timer that is"
    " looked at before its time leaves none.",
    attributes=(
        *(_A.SYSTEM, _A.OPERATION, _A.OPERATION_TYPE, _A.SUBJECT, _A.DURABLE, _A.MESSAGE),
        *(_A.CONVERSATION, _A.JOB, _A.SEQ, _A.DELIVERIES),
        *_PLACE,
    ),
)
APPEND = SpanSpec(
    name="append",
    kind=SpanKind.PRODUCER,
    who="each service",
    told="Events are appended, all or none. It is what their `traceparent` names, and so the"
    " parent of whatever they lead to.",
    attributes=(
        *(_A.SYSTEM, _A.OPERATION, _A.OPERATION_TYPE, _A.CONVERSATION, _A.JOB),
        *(_A.MESSAGES, _A.TYPES, _A.OUTCOME),
    ),
)
PLAN = SpanSpec(
    name="plan",
    who="planner",
    told="A request is judged, its files are taken in, and the film is fixed.",
    attributes=(_A.OUTCOME,),
)
RENDER = SpanSpec(
    name="render segment",
    who="segment-renderer",
    told="A segment's body is made, or taken again.",
    attributes=(*_PLACE, *_RESULT),
)
MIX = SpanSpec(
    name="mix",
    who="assembler",
    told="The soundtrack is mixed, or taken again.",
    attributes=(_A.ATTEMPT, _A.REASON, _A.OUTCOME, _A.REUSED),
)
ASSEMBLE = SpanSpec(
    name="assemble",
    who="assembler",
    told="The film is joined and judged; a segment is told where it is at fault.",
    attributes=(_A.ATTEMPT, _A.SEGMENT, _A.REASON, _A.OUTCOME, _A.COST),
)
COUNT = SpanSpec(
    name="count failure",
    who="fallback-controller",
    told="A failure is counted on the circuit of its engine.",
    attributes=(_A.ENGINE, _A.REASON),
)
PERFORM = SpanSpec(
    name="perform",
    who="each service",
    told="Any other command.",
    attributes=(*_PLACE, *_RESULT),
)
CREATE = SpanSpec(
    name="create",
    kind=SpanKind.CLIENT,
    who="segment-renderer",
    told="A clip is asked of a hosted service or of a ComfyUI server.",
    attributes=(_A.ENGINE, _A.SERVER, _A.STATUS, _A.OUTCOME),
)
POLL = SpanSpec(
    name="poll",
    kind=SpanKind.CLIENT,
    who="segment-renderer",
    told="The clip is waited for, until it is there or will not be.",
    attributes=(_A.ENGINE, _A.SERVER, _A.OUTCOME),
)
DOWNLOAD = SpanSpec(
    name="download",
    kind=SpanKind.CLIENT,
    who="segment-renderer",
    told="The clip is fetched and read through.",
    attributes=(_A.ENGINE, _A.SERVER, _A.OUTCOME),
)

SPANS = (
    *(JOB, REQUEST, PROCESS, APPEND, PLAN, RENDER, MIX, ASSEMBLE, COUNT, PERFORM),
    *(CREATE, POLL, DOWNLOAD),
)
"""Each one; any of them may have ``error.type`` besides."""
