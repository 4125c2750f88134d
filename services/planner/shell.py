"""The planner's performer: judges the request, has its files taken in, fixes the film."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from adapters.base import Capabilities, EngineFailure, StoreError
from adapters.studio import Preparation, Prepared, Studio, Unpreparable
from config import Config, parse_request, resolve
from events.log import DurableSpec
from events.types import Event, Problem, Reason, RenderPlanned, RenderRejected
from events.writers import PLANNER
from services.actor import Actor, Command, Context, GiveBack, Work
from services.planner.core import PlanRender, decide
from services.planner.plan import build_spec, preparation_of, with_encoder

NAME = PLANNER

RETRY_S = 2.0
"""Delay before a request is planned again when a worker died or the store failed."""


class Performer:
    """Performs ``PlanRender``."""

    def __init__(
        self,
        studio: Studio,
        config: Config,
        capabilities: Mapping[str, Capabilities],
        disk_free_mb: Callable[[], float],
    ) -> None:
        self._studio = studio
        self._disk_free_mb = disk_free_mb
        self._config = config
        self._capabilities = capabilities

    async def __call__(self, command: Command, work: Work) -> Sequence[Event]:
        """Plan the film, or reject the request with every problem named."""
        assert isinstance(command, PlanRender)
        return (await self.plan(command, work.context),)

    async def plan(self, command: PlanRender, context: Context) -> RenderPlanned | RenderRejected:
        """The plan of a request, or why there is none.  Raises ``GiveBack`` for another try."""
        if command.unreadable:
            return _rejected(command, _not_an_object(command.unreadable))
        request = parse_request(command.ask, presets=self._config.presets)
        if isinstance(request, tuple):
            return _rejected(command, *request)
        free_mb, least_mb = self._disk_free_mb(), self._config.limits.disk_free_mb_min
        if free_mb < least_mb:
            return _rejected(command, _no_room(free_mb, least_mb))
        resolved = resolve(request, self._config)
        preparation = preparation_of(request, resolved)
        preparation = with_encoder(preparation, resolved, self._config)
        try:
            prepared = await self._prepared(command.job_id, preparation)
        except Unpreparable as unpreparable:
            return _rejected(command, *unpreparable.problems)
        except EngineFailure as failure:
            again = failure.reason is not Reason.UNAVAILABLE
            if again and context.deliveries < context.limits.crashes_max:
                raise GiveBack(str(failure), delay_s=RETRY_S) from failure
            return _rejected(command, _undigestible(failure))
        except (StoreError, OSError) as error:
            msg = f"{type(error).__name__}: {error}"
            raise GiveBack(msg, delay_s=RETRY_S) from error
        spec = build_spec(resolved, prepared, self._config, self._capabilities)
        return RenderPlanned(job_id=command.job_id, spec=spec)

    async def _prepared(self, job_id: str, preparation: Preparation) -> Prepared:
        try:
            return await self._studio.prepare(job_id, preparation)
        except (ValueError, RuntimeError, ArithmeticError, LookupError) as error:
            # What nobody foresaw is bounded like a crash: three tries, then it is told.
            detail = f"{type(error).__name__}: {error}"
            raise EngineFailure(Reason.INTERNAL, detail, retryable=True) from error


def _rejected(command: PlanRender, *problems: Problem) -> RenderRejected:
    return RenderRejected(job_id=command.job_id, problems=problems)


def _not_an_object(why: str) -> Problem:
    return Problem(
        field="body",
        value="",
        limit=f"a JSON object in UTF-8: {why}",
        hint='send an object such as {"preset_id": "overlay_classic", "prompt": "…", '
        '"target_duration_seconds": 15}',
    )


def _no_room(free_mb: float, least_mb: int) -> Problem:
    return Problem(
        field="services",
        value=f"{free_mb:.0f} MB free",
        limit=f"at least {least_mb} MB free on the disk of the artifacts",
        hint="make room there, then send the request again with another job id",
    )


def _undigestible(failure: EngineFailure) -> Problem:
    if failure.reason is Reason.UNAVAILABLE:
        return Problem(
            field="services",
            value="",
            limit="services that can draw on their machine",
            hint=failure.detail,
        )
    limits = {
        Reason.TIMEOUT: "files that can be read in time",
        Reason.OUT_OF_MEMORY: "files that fit in the memory of a worker",
    }
    return Problem(
        field="assets",
        value=failure.detail,
        limit=limits.get(failure.reason, "files that do not end the process that reads them"),
        hint="save the pictures and sounds anew with another program, or make them smaller",
    )


def actor(
    studio: Studio,
    config: Config,
    capabilities: Mapping[str, Capabilities],
    disk_free_mb: Callable[[], float],
    *,
    slots: int,
    ack_wait_s: float,
) -> Actor:
    """The planner."""
    return Actor(
        name=NAME,
        durables=durables(ack_wait_s=ack_wait_s),
        decide=decide,
        perform=Performer(studio, config, capabilities, disk_free_mb),
        slots=slots,
    )


def durables(*, ack_wait_s: float) -> tuple[DurableSpec, ...]:
    """What asks for a plan, for the next segment, or for the assembly."""
    types = ("render_requested", "segment_rendered", "soundtrack_mixed", "rung_descended")
    return (DurableSpec(name=NAME, types=types, ack_wait_s=ack_wait_s),)
