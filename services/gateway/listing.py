"""Which jobs there are, the newest first, and what each looks like in a list.

What was listed is kept, so that a page costs what is new in the log and not what is in it: the
jobs' ids, and the lines of those that were shown.  The line of a job that has ended stays; any
other is made anew when it is a second old.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice

from config.wording import shown
from events.job import Job, JobStatus
from events.log import EventLog
from events.spec import Struct
from events.subjects import is_token
from events.types import Problem, RenderCompleted
from services.gateway.links import job_url
from services.gateway.problems import wrong
from services.gateway.shapes import JobSummary
from services.gateway.told import preset_of, when
from services.views import is_over

KEPT_S = 1.0
"""How old a listing, and the line of a job under way, may be."""
OWN_KEPT_S = 0.1
"""The same after a job was asked for here: whoever asked finds it in the next listing."""
SCANNED_MAX = 500
"""Jobs that one page looks at for a filter; the answer says where to go on."""
LOADS_AT_ONCE = 8
TITLE_CHARS_MAX = 120
LENGTH_S_MAX = 86_400
"""No film is a day long: a larger number is nobody's wish."""


class Page(Struct, frozen=True, kw_only=True):
    """A part of the listing, newest first; ``after`` is where the next one begins."""

    jobs: tuple[JobSummary, ...]
    after: str | None


class Listing:
    """The ids of all jobs, oldest first, and some of their lines."""

    def __init__(
        self, log: EventLog, load: Callable[[str], Awaitable[Job]], rows_max: int
    ) -> None:
        self._log = log
        self._load = load
        self._rows_max = rows_max
        self._lock = asyncio.Lock()
        self._slots = asyncio.Semaphore(LOADS_AT_ONCE)
        self._rows: OrderedDict[str, tuple[float, JobSummary]] = OrderedDict()
        self._making: dict[str, asyncio.Task[JobSummary]] = {}
        self._forget_all(removed=0)

    def _forget_all(self, removed: int) -> None:
        self._ids: list[str] = []
        self._places: dict[str, int] = {}
        self._seq = 0
        self._removed = removed
        self._listed_s = float("-inf")
        self._own_seq = 0
        self._rows.clear()

    def note(self, job_id: str, seq: int) -> None:
        """Something was asked of a job here: the next listing is to know it."""
        self._own_seq = max(self._own_seq, seq)
        self._rows.pop(job_id, None)

    async def page(
        self, *, limit: int, after: str | None, status: JobStatus | None, preset_id: str | None
    ) -> Page:
        """Jobs from below ``after`` on.  Raises ``Refused`` where there is no such job."""
        await self._refresh()
        begin = len(self._ids)
        if after is not None:
            if after not in self._places:
                hint = "go on with the `after` of the page before, or begin without it"
                problem = Problem(
                    field="after", value=shown(after), limit="a job that there is", hint=hint
                )
                raise wrong(problem)
            begin = self._places[after]
        scanned_max = limit if status is None and preset_id is None else SCANNED_MAX
        # A copy of what may be looked at: the listing may change while jobs are loaded.
        wanted = list(islice(self._below(begin), scanned_max))
        found: list[JobSummary] = []
        seen = 0
        while seen < len(wanted) and len(found) < limit:
            some = wanted[seen : seen + limit]
            for row in await asyncio.gather(*map(self._row, some)):
                seen += 1
                if status in {None, row.status} and preset_id in {None, row.preset_id}:
                    found.append(row)
                if len(found) == limit:
                    break
        more = begin > seen
        return Page(jobs=tuple(found), after=wanted[seen - 1] if more else None)

    def _below(self, place: int) -> Iterator[str]:
        return (self._ids[at] for at in range(place - 1, -1, -1))

    async def _refresh(self) -> None:
        """Have the ids of all jobs that were asked for up to a moment ago, and here up to now."""
        own_seq = self._own_seq
        async with self._lock:
            own = own_seq > self._seq
            left_s = (OWN_KEPT_S if own else KEPT_S) + self._listed_s - time.monotonic()
            if left_s > 0 and not own:
                return
            await asyncio.sleep(max(0.0, left_s))
            usage = await self._log.usage()
            if usage.removed != self._removed:
                self._forget_all(usage.removed)
            # What was asked for until now has at most this sequence.
            for known in await self._log.jobs(after=self._seq, counted=False):
                # A stranger's subject may have an id that is none of ours: nobody can ask for it.
                if known.job_id not in self._places and is_token(known.job_id):
                    self._places[known.job_id] = len(self._ids)
                    self._ids.append(known.job_id)
                self._seq = known.seq
            self._seq = max(self._seq, usage.last_seq)
            self._listed_s = time.monotonic()

    async def _row(self, job_id: str) -> JobSummary:
        kept = self._rows.get(job_id)
        if kept is not None and time.monotonic() < kept[0]:
            self._rows.move_to_end(job_id)
            return kept[1]
        # However many ask for a line at once, it is made once.
        making = self._making.get(job_id)
        if making is None:
            making = self._making[job_id] = asyncio.create_task(self._make(job_id))
            making.add_done_callback(lambda _: self._making.pop(job_id, None))
        return await asyncio.shield(making)

    async def _make(self, job_id: str) -> JobSummary:
        async with self._slots:
            asked_s = time.monotonic()
            job = await self._load(job_id)
        row = summary(job)
        self._rows[job_id] = (float("inf") if is_over(job) else asked_s + KEPT_S, row)
        self._rows.move_to_end(job_id)
        while len(self._rows) > self._rows_max:
            self._rows.popitem(last=False)
        return row


def summary(job: Job) -> JobSummary:
    """A job's line in a listing."""
    return JobSummary(
        job_id=job.job_id,
        status=job.status,
        title=_title(job),
        preset_id=preset_of(job),
        requested=when(job.requested_s) or "",
        ended=when(job.ended_s),
        seconds=_seconds(job),
        segments=len(job.segments),
        segments_rendered=sum(segment.rendered is not None for segment in job.segments),
        output=f"{job_url(job.job_id)}/output" if isinstance(job.end, RenderCompleted) else None,
    )


def _seconds(job: Job) -> float | None:
    """The length that was asked for; None for what is none, which any client may publish."""
    asked = job.requested.ask.get("target_duration_seconds") if job.requested else None
    if isinstance(asked, bool) or not isinstance(asked, int | float) or abs(asked) > LENGTH_S_MAX:
        return None
    return float(asked)


def _title(job: Job) -> str | None:
    """The first words that were asked for: what a person knows a film by."""
    ask = job.requested.ask if job.requested else {}
    words = (ask.get(name) for name in ("hook", "prompt"))
    return next((text[:TITLE_CHARS_MAX] for text in words if isinstance(text, str) and text), None)
