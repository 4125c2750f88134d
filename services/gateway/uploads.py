"""Files that clients send: one multipart field ``file``, read to the disk and put in the store."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from http import HTTPStatus
from pathlib import Path

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from adapters.base import ArtifactStore
from events.spec import Artifact
from events.types import Problem
from services.gateway.problems import Refused, too_many, wrong

FIELD = "file"
FIELDS_MAX = 8


class Uploads:
    """The uploads under way: each takes room on the disk, so there are only so many at once."""

    def __init__(self, store: ArtifactStore, *, uploads_max: int, disk_free_mb_min: float) -> None:
        self._store = store
        self._uploads_max = uploads_max
        self._disk_free_mb_min = disk_free_mb_min
        self._slots = asyncio.Semaphore(uploads_max)

    async def take(self, request: Request) -> Artifact:
        """Store the file of a multipart request.  Raises ``Refused``."""
        if self._slots.locked():
            raise too_many("uploads", self._uploads_max)
        async with self._slots:
            free_mb = shutil.disk_usage(tempfile.gettempdir()).free / 1e6
            if free_mb < self._disk_free_mb_min:
                detail = (
                    f"The gateway's disk has {free_mb:.0f} MB free and keeps "
                    f"{self._disk_free_mb_min:g}: make room there, then send the file again."
                )
                raise Refused(HTTPStatus.INSUFFICIENT_STORAGE, detail)
            return await _take(request, self._store)


async def _take(request: Request, store: ArtifactStore) -> Artifact:
    """Store the file of a multipart request.  Raises ``Refused``.

    The parser writes large files to the disk as they come; what a file is, is told by decoding it
    when a film asks for it, and not by its name.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        detail = f"Send the file as multipart/form-data in the field {FIELD!r}, not as {kind!r}."
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    parser = MultiPartParser(request.headers, request.stream(), max_files=1, max_fields=FIELDS_MAX)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        detail = f"The form cannot be read: {getattr(error, 'message', error)}"
        raise Refused(HTTPStatus.BAD_REQUEST, detail) from error
    try:
        upload = form.get(FIELD)
        if not isinstance(upload, UploadFile):
            raise _wrong("", "a file", f"send it in the field {FIELD!r} of the form")
        if not upload.size:
            raise _wrong("0 bytes", "not empty", "send the file itself: curl -F file=@NAME")
        return await _stored(upload, store)
    finally:
        await form.close()


def _wrong(value: str, limit: str, hint: str) -> Refused:
    return wrong(Problem(field=FIELD, value=value, limit=limit, hint=hint))


async def _stored(upload: UploadFile, store: ArtifactStore) -> Artifact:
    with tempfile.TemporaryDirectory(prefix="pytoon-upload-") as folder:
        path = Path(folder) / "upload"

        def copy() -> None:
            upload.file.seek(0)
            with path.open("wb") as target:
                shutil.copyfileobj(upload.file, target)

        await asyncio.to_thread(copy)
        return await store.put_file(path, "application/octet-stream", move=True)
