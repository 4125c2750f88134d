"""Hosted engines for whole films: what ships, but polled many times a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from adapters.hosted.declaration import SHIPPED
from tests.hosted.provider import PRICE
from tests.hosted.transport import Listening


def engine(
    name: str,
    place: Listening,
    folder: Path,
    declaration: str = "replicate",
    *,
    cancel_billed: bool | None = None,
) -> dict[str, Any]:
    """An entry of ``engines.yaml`` for a provider; its declaration lies in ``folder``'s config."""
    found = yaml.safe_load((SHIPPED / f"{declaration}.yaml").read_text())
    found["poll"] |= {"every_s": 0.05, "denied_max": 2}
    found["result"] |= {"wait_s": 0.05}
    found["cancel"] = found.get("cancel") and found["cancel"] | {"billed": cancel_billed}
    own = folder / "config" / "engines"
    own.mkdir(parents=True, exist_ok=True)
    (own / f"quick_{declaration}.yaml").write_text(yaml.safe_dump(found))
    options = {
        "declaration": f"quick_{declaration}",
        "base_url": place.url,
        "price": {"per_clip": PRICE},
        "allow_private_addresses": True,
    }
    return {"name": name, "kind": "hosted", "options": options}
