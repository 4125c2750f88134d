"""Real plans and real films without services: what planner, renderer and assembler do, one after
the other in this process, so that a test can look at every step and alter what lies between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.assets import AssetFetcher, AssetLimits
from adapters.base import Capabilities
from adapters.compositor import drawn_from
from adapters.files import FileStore
from adapters.pooled import PooledStudio
from assembler import produce
from assembler.encode import encode_piece
from assembler.film import Film
from assembler.planes import Frame
from config import load
from events.spec import Archetype, RenderSpec, Rung
from events.types import Problem, RenderRejected
from services.actor import Context, Limits
from services.planner.core import PlanRender
from services.planner.shell import Performer

COMPOSING = Capabilities(archetypes=frozenset(Archetype), generates=False, local=True)
Altered = Callable[[int, Frame], Frame]
"""Makes another frame of a frame, given its number in the film."""


class Rejected(Exception):
    """There is no plan."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Keep why."""
        super().__init__(str(problems))
        self.problems = problems


class Here:
    """Runs in this process what goes to workers."""

    async def run(self, function: Callable[..., Any], *args: Any, **_bounds: Any) -> Any:
        """Call ``function(*args, report)``."""
        return function(*args, quiet)


def quiet(_done: int, _total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Planned:
    """A plan, its first rung for each segment, and where all that it names lies."""

    spec: RenderSpec
    sources: Mapping[str, Path]
    folder: Path

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The rung of each segment."""
        return (self.spec.ladder[0],) * len(self.spec.segments)

    def film(self) -> Film:
        """What draws its frames."""
        return Film(self.spec, self.rungs, self.sources)

    def body(
        self, segment: int, name: str = "body", *, alter: Altered | None = None, quality: int = 0
    ) -> Path:
        """Draw and encode a segment's body, each frame altered before it is encoded."""
        path = self.folder / f"{name}-{segment}.mp4"
        part, film = self.spec.segments[segment], self.film()
        numbers = range(part.body_start, part.body_start + part.body_frames)
        frames: Iterable[Frame] = map(film.frame, numbers)
        if alter is not None:
            frames = map(alter, numbers, frames)
        encode_piece(
            frames,
            part.body_frames,
            path,
            self.spec.encoder,
            fps=self.spec.fps,
            width=self.spec.width,
            height=self.spec.height,
            quality=quality,
        )
        return path

    def bodies(self, *, quality: int = 0) -> dict[int, Path]:
        """All bodies as they should be."""
        return {part.index: self.body(part.index, quality=quality) for part in self.spec.segments}

    def assembled(self, bodies: Mapping[int, Path], name: str = "out") -> produce.Assembled:
        """Mix, join and judge; raises ``Refused``."""
        folder = self.folder / name
        folder.mkdir()
        sound = folder / "sound.mp4"
        mixed = produce.mix_soundtrack(self.spec, self.sources, sound)
        facts = {"sound": {"lufs": mixed.lufs, "true_peak_db": mixed.true_peak_db}}
        return produce.assemble(
            self.spec, self.rungs, bodies, sound, self.sources, folder, facts, quiet
        )


def planned(folder: Path, preset: str, *pictures: Path, **ask: Any) -> Planned:
    """Plan a film as the planner does: judged, resolved, its files decoded, its words set.

    Paths in ``ask`` become URIs.  Raises ``Rejected``.
    """
    folder.mkdir(exist_ok=True)
    return asyncio.run(_planned(folder, preset, pictures, ask))


async def _planned(
    folder: Path, preset: str, pictures: tuple[Path, ...], ask: dict[str, Any]
) -> Planned:
    config = load(environ={})
    store = FileStore(folder / "artifacts")
    body = {"preset_id": preset, "target_duration_seconds": 2, "seed": 7, "hook": ""} | ask
    body["image_uris"] = [path.as_uri() for path in pictures]
    body |= {key: value.as_uri() for key, value in body.items() if isinstance(value, Path)}
    fetcher = AssetFetcher(store, (Path("/"),), AssetLimits())
    studio = PooledStudio(store, Here(), fetcher, config)  # type: ignore[arg-type]
    engines = {"compositor": COMPOSING, "template": COMPOSING}
    planner = Performer(studio, config, engines, lambda: 1e6)
    context = Context(now_s=0.0, limits=Limits(), deliveries=Limits().crashes_max)
    answer = await planner.plan(PlanRender(job_id="job", ask=body), context)
    if isinstance(answer, RenderRejected):
        raise Rejected(answer.problems)
    spec = answer.spec
    named = [*drawn_from(spec).values()]
    named += [track for track in (spec.sound.music, spec.sound.voice) if track]
    sources = {artifact.sha256: await store.fetch(artifact) for artifact in named}
    return Planned(spec, sources, folder)
