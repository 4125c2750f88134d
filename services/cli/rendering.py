"""``demo``, ``render``, ``submit``: ask for a film, and wait for it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from services.cli.asking import (
    JobId,
    Media,
    Number,
    body_of,
    files_of,
    names_of,
    new_job_id,
    words_of,
)
from services.cli.exits import Interrupted, Refused
from services.cli.visit import Visit, arrive, nats_option

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_Command = TypeVar("_Command", bound="Callable[..., Any]")

TRACEPARENT = "TRACEPARENT"
"""The environment's name for the span that a command is called in, as CI systems set it."""

DEMO_PROMPT = "Sleep does the rest"
DEMO_BEATS = ("Rosehip, squalane, vitamin E", "Three drops before bed")
DEMO_CTA = "Try it tonight"

_REQUEST_OPTIONS = (
    click.option("--preset", required=True, metavar="ID", help="See `pytoon presets`."),
    click.option(
        "--image", type=Media(), multiple=True, help="A picture; again for more, shown in turn."
    ),
    click.option("--mask", type=Media(), help="What of the first picture is the product (white)."),
    click.option("--prompt", help="Directs engines; the hook when --hook is not given."),
    click.option(
        "--duration", type=Number(), default=15.0, show_default=True, metavar="SECONDS",
        help="Length of the film, 1 to 60.",
    ),
    click.option("--music", type=Media(), help="Looped or cut to length."),
    click.option("--voice", type=Media(), help="Over the music, which is lowered under it."),
    click.option("--logo", type=Media(), help="The watermark."),
    click.option("--font", type=Media(), help="A font file for the captions."),
    click.option("--hook", help='The first caption; "" for none.'),
    click.option("--beat", multiple=True, metavar="TEXT", help="A caption in between; again."),
    click.option("--cta", help="The last caption."),
    click.option(
        "--archetype",
        type=click.Choice(["PRODUCT_HERO", "OVERLAY", "MEME_TEXT"], case_sensitive=False),
        help="Instead of the preset's.",
    ),
    click.option(
        "--engine-policy",
        type=click.Choice(["local_only", "local_preferred", "api_only"], case_sensitive=False),
        help="Which engines may be asked.",
    ),
    click.option("--brand-safe/--no-brand-safe", default=None, help="Never redraw the product."),
    click.option("--seed", type=int, help="The same seed and request make the same film."),
    click.option(
        "--transition",
        type=click.Choice(
            ["cut", "crossfade", "fade_black", "slide", "wipe", "zoom"], case_sensitive=False
        ),
        help="Between segments, instead of the preset's.",
    ),
    click.option(
        "--deadline", type=Number(), metavar="SECONDS", help="When the film must be done at last."
    ),
    click.option(
        "--budget", type=Number(), metavar="AMOUNT", help="What engines may cost for it at most."
    ),
    click.option(
        "--draft", is_flag=True, help="A preview with a quarter of the pixels, in less time."
    ),
    click.option(
        "--encoder",
        type=click.Choice(["x264", "nvenc"], case_sensitive=False),
        help="nvenc: a graphics card's, where there is one.",
    ),
    click.option("--job-id", type=JobId(), help="Your own id: asking again starts nothing."),
    nats_option,
)  # fmt: skip

out_option = click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, writable=True),
    help="Where the film goes (default ./<job id>.mp4).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="For scripts.")


def request_options(command: _Command) -> _Command:
    """Give a command every option of a request."""
    for option in reversed(_REQUEST_OPTIONS):
        command = option(command)
    return command


@click.command()
@request_options
@out_option
@click.option("--detach", is_flag=True, help="Do not wait: print the job's id.")
@json_option
def render(*, out: Path | None, detach: bool, as_json: bool, **options: Any) -> None:
    """Render a film and wait for it.

    Ctrl-C leaves the job going on; `pytoon resume JOB` waits for it again.
    """
    ask_and_wait(options, out=out, detach=detach, as_json=as_json)


@click.command()
@request_options
@json_option
def submit(*, as_json: bool, **options: Any) -> None:
    """Ask for a film and leave: the services make it."""
    ask_and_wait(options, out=None, detach=True, as_json=as_json)


@click.command()
@out_option
@json_option
@nats_option
def demo(*, out: Path | None, as_json: bool, nats_url: str) -> None:
    """Make a first video with nothing configured.

    15 s of overlay_classic with music, from a picture and a track that come with Pytoon.
    """
    import config

    folder = Path(config.__file__).parent / "demo"
    picture, track = folder / "product.png", folder / "track.m4a"
    for path in (picture, track):
        if not path.is_file():
            raise Refused(f"{path} is missing: install Pytoon again.")
    options = dict.fromkeys(
        ("mask", "voice", "logo", "font", "hook", "archetype", "engine_policy", "brand_safe",
         "seed", "transition", "deadline", "budget", "encoder", "job_id")
    )  # fmt: skip
    options |= {
        "preset": "overlay_classic",
        "image": (picture,),
        "music": track,
        "prompt": DEMO_PROMPT,
        "beat": DEMO_BEATS,
        "cta": DEMO_CTA,
        "duration": 15.0,
        "draft": False,
        "nats_url": nats_url,
        "job_id": new_job_id("demo"),
    }
    ask_and_wait(options, out=out, detach=False, as_json=as_json)


def ask_and_wait(
    options: dict[str, Any], *, out: Path | None, detach: bool, as_json: bool
) -> None:
    """Publish the request that the options make; unless ``detach``, wait and save the film."""
    words = words_of(options)
    job_id = options["job_id"] or new_job_id(options["preset"], draft=options["draft"])
    if not detach:
        check_out(out)
    asked = False

    async def act(visit: Visit) -> None:
        nonlocal asked
        files = await files_of(options, visit.store)
        body = body_of({**words, **files})
        stored = await visit.patiently(
            lambda: visit.log.publish_ask(
                job_id, "render_requested", body, traceparent=os.environ.get(TRACEPARENT, "")
            )
        )
        asked = True
        if stored.body != body and _differs(stored.body, body):
            raise Refused(
                f"--job-id {job_id}: this job exists already, with another request. "
                f"Choose another id, or `pytoon resume {job_id}`."
            )
        if detach:
            tell_asked(job_id, as_json=as_json)
            return
        from services.cli.waiting import wait_for_film

        target, names = out or Path(f"{job_id}.mp4"), names_of(options, files)
        await wait_for_film(visit, job_id, out=target, as_json=as_json, names=names)

    with arrive(options["nats_url"], services=True) as arrival:
        run_visit(arrival, act, lambda: job_id if asked else None)


def run_visit(
    arrival: Any,
    act: Callable[[Visit], Coroutine[Any, Any, None]],
    going_on: Callable[[], str | None],
) -> None:
    """Open a visit, act in it, and turn Ctrl-C into a word about the job that goes on."""

    async def run() -> None:
        async with Visit.open(arrival) as visit:
            await act(visit)

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        raise Interrupted(going_on()) from None


def tell_asked(job_id: str, *, as_json: bool) -> None:
    """Print the id of a job that goes on without us."""
    if as_json:
        import json

        click.echo(json.dumps({"job_id": job_id, "status": "requested"}))
    else:
        click.echo(job_id)
        if sys.stderr.isatty():
            click.echo(f"pytoon watch {job_id}", err=True)


def check_out(out: Path | None) -> None:
    """Refuse at once what the film could not be written to at the end."""
    folder = Path() if out is None else out if out.is_dir() else out.parent
    if not folder.is_dir():
        raise Refused(f"-o {out}: there is no folder {folder}. Make it first.")
    if not os.access(folder, os.W_OK):
        raise Refused(f"-o {out or Path()}: {folder.absolute()} cannot be written to.")


def _differs(stored: bytes, ours: bytes) -> bool:
    import json

    try:
        return bool(json.loads(stored) != json.loads(ours))
    except ValueError:
        return True
