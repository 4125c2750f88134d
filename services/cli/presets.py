"""``presets``: the looks that a request can name."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For scripts: one object, by id.")
def presets(*, as_json: bool) -> None:
    """List the presets."""
    from config import load

    known = load().presets
    if as_json:
        told = {name: preset.model_dump(mode="json") for name, preset in known.items()}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    width = max(map(len, known))
    for name, preset in known.items():
        safe = ", brand-safe" if preset.brand_safe else ""
        click.echo(f"{name:{width}}  {preset.archetype:12}  {preset.title}")
        click.echo(
            f"{'':{width}}  {'':12}  {preset.motion} motion, {preset.font}, captions "
            f"{preset.caption_position}{safe}"
        )
