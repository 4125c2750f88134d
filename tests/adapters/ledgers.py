"""A ledger in memory: what the log would know of an attempt's generation."""

from __future__ import annotations

from adapters.base import EngineFailure
from events.job import Generation


class MemoryLedger:
    """Keeps what it is told.  ``refusal`` is raised where a create is to be intended."""

    def __init__(
        self,
        known: Generation | None = None,
        *,
        engine: str = "local_comfyui",
        attempt: int = 1,
        refusal: EngineFailure | None = None,
    ) -> None:
        self._known = known
        self._engine = engine
        self._attempt = attempt
        self._refusal = refusal
        self.intents: list[tuple[str, float]] = []
        self.handles: list[str] = []

    @property
    def known(self) -> Generation | None:
        """What a process that comes later would find."""
        if self._known is not None and self.handles:
            return Generation(
                attempt=self._known.attempt,
                engine=self._known.engine,
                key=self._known.key,
                cost_reserved=self._known.cost_reserved,
                handle=self.handles[0],
            )
        return self._known

    async def intend(self, key: str, cost: float) -> None:
        """Once an attempt."""
        if self._refusal is not None:
            raise self._refusal
        assert self._known is None, "an attempt intends once"
        self.intents.append((key, cost))
        self._known = Generation(
            attempt=self._attempt, engine=self._engine, key=key, cost_reserved=cost
        )

    async def submitted(self, handle: str) -> None:
        """Once an attempt, and after its intent."""
        assert self._known is not None, "a handle follows an intent"
        assert self._known.handle is None, "this attempt's handle is stored already"
        assert not self.handles, "an attempt has one handle"
        self.handles.append(handle)
