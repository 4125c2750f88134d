"""Hands a picture over to a service: in the body, by an upload, or under a URL of one's own.

It happens before anything is created, so that it costs nothing and may be done again.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
from pathlib import Path
from typing import Any

from adapters.base import EngineFailure
from adapters.generation import ClipAsk
from adapters.hosted.client import Answer, Client, Foreign, NoAnswer
from adapters.hosted.declaration import Declaration, Image, Upload
from adapters.hosted.failures import failed
from adapters.hosted.options import HostedOptions
from adapters.hosted.selecting import text
from adapters.hosted.templates import MISSING, filled, filled_url
from adapters.workers import Report, WorkerPool
from events.types import Reason

FITTING_S = 60.0
"""Seconds in which a worker has to make a picture small enough."""

ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}


class Hander:
    """Hands pictures over to one service."""

    def __init__(
        self, declared: Declaration, options: HostedOptions, client: Client, workers: WorkerPool
    ) -> None:
        self._declared = declared
        self._options = options
        self._client = client
        self._workers = workers

    async def values(self, ask: ClipAsk, folder: Path, key: str) -> dict[str, Any]:
        """What the create is to say of the picture.  Raises ``EngineFailure``."""
        declared = self._declared.image
        if ask.still is None or declared is None:
            return {}
        fitted = folder / "handed-over"
        media_type = await self._workers.run(
            fit, ask.still, fitted, declared.bytes_max, deadline_s=FITTING_S
        )
        if media_type not in ENDINGS:
            raise failed(Reason.UNSUPPORTED, f"the picture: {media_type}", cost=0.0)
        image = await self._image(ask, declared, fitted, media_type, key)
        return {"image": image, "image_type": media_type}

    async def _image(
        self, ask: ClipAsk, declared: Image, fitted: Path, media_type: str, key: str
    ) -> str:
        if declared.by == "url":
            return self._published(ask, fitted, media_type)
        content = await asyncio.to_thread(fitted.read_bytes)
        if declared.upload is not None:
            return await self._uploaded(declared.upload, content, media_type, key)
        encoded = base64.b64encode(content).decode()
        return encoded if declared.by == "base64" else f"data:{media_type};base64,{encoded}"

    def _published(self, ask: ClipAsk, fitted: Path, media_type: str) -> str:
        """The picture in the folder that the options name, and its URL there."""
        name = f"{ask.still_sha256}.{ENDINGS[media_type]}"
        place = Path(self._options.image_folder) / name
        partial = place.with_name(f".{name}.part")
        shutil.copyfile(fitted, partial)
        partial.replace(place)
        return self._options.image_url.replace("{name}", name)

    async def _uploaded(self, upload: Upload, content: bytes, media_type: str, key: str) -> str:
        settings = {**self._declared.settings, "key": key, "image_type": media_type}
        url = filled_url(upload.url, settings)
        assert url is not None, "the declaration was judged: every placeholder has a value"
        body = filled(upload.body, settings)
        form: dict[str, Any]
        if upload.how == "multipart":
            file = (f"{key}.{ENDINGS[media_type]}", content, media_type)
            form = {"files": {upload.field: file}, "data": {} if body is MISSING else body}
        elif upload.how == "raw":
            form = {"content": content, "headers": {"Content-Type": media_type}}
        else:
            form = {"json": {} if body is MISSING else body}
        answer_s = self._declared.result.transfer_s
        try:
            answer = await self._client.ask(upload.method, url, answer_s=answer_s, **form)
            if upload.how == "put" and answer.good:
                target = text(upload.put, answer.content)
                sent = await self._client.put(target, content, media_type, answer_s=answer_s)
                _check(sent)
        except (NoAnswer, Foreign) as error:
            detail = f"the picture could not be uploaded: {error}"
            raise failed(Reason.UNAVAILABLE, detail, again=True, cost=0.0) from error
        _check(answer)
        image = text(upload.image, answer.content)
        if not image:
            detail = f"the upload's answer names no picture: {answer.seen}"
            raise failed(Reason.UNAVAILABLE, detail, cost=0.0)
        return image


def _check(answer: Answer) -> None:
    if not answer.good:
        raise _refused(answer)


def _refused(answer: Answer) -> EngineFailure:
    transient = answer.status >= 500 or answer.status == 429  # noqa: PLR2004 - HTTP's own
    detail = f"the picture could not be uploaded: {answer.seen}"
    return failed(Reason.UNAVAILABLE, detail, again=transient, cost=0.0)


def fit(source: Path, out: Path, bytes_max: int, report: Report) -> str:
    """In a worker: write the picture so that it fits; its media type, or what is wrong."""
    from assembler.handover import fit_picture  # noqa: PLC0415 - only workers load it

    try:
        media_type = fit_picture(source, out, bytes_max)
    except (ValueError, OSError) as error:
        return str(error)
    report(1, 1)
    return media_type
