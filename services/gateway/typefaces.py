"""The fonts that ship, by the sha256 that a plan names them by: the page's preview is set in them.

What clients upload is not served: a font of theirs has no place here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from fastapi.responses import FileResponse

from services.gateway.problems import Refused


class Typefaces:
    """The files below a directory; they are hashed when the first one is asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._paths: Mapping[str, Path] = {}

    def file(self, sha256: str) -> FileResponse:
        """The font with this content.  Raises ``Refused``."""
        if not self._paths:
            self._paths = {
                hashlib.sha256(path.read_bytes()).hexdigest(): path
                for path in sorted(self._directory.glob("*/*.[ot]tf"))
            }
        path = self._paths.get(sha256)
        if path is None:
            raise Refused(HTTPStatus.NOT_FOUND, "No font that ships has this content.")
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return FileResponse(path, media_type="font/sfnt", headers=headers)
