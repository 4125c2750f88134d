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
from services.gateway.problems import Refused

FIELD = "file"
FIELDS_MAX = 8


async def take(request: Request, store: ArtifactStore) -> Artifact:
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
            detail = f"There is no file in the field {FIELD!r}."
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
        if not upload.size:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "The file is empty.")
        return await _stored(upload, store)
    finally:
        await form.close()


async def _stored(upload: UploadFile, store: ArtifactStore) -> Artifact:
    with tempfile.TemporaryDirectory(prefix="pytoon-upload-") as folder:
        path = Path(folder) / "upload"

        def copy() -> None:
            upload.file.seek(0)
            with path.open("wb") as target:
                shutil.copyfileobj(upload.file, target)

        await asyncio.to_thread(copy)
        return await store.put_file(path, "application/octet-stream", move=True)
