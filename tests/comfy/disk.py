"""The server's disk: what is uploaded to it, and what it saved."""

from __future__ import annotations

import email.parser
import email.policy
from pathlib import Path
from typing import Any

from tests.comfy.wire import Request, Response, json_response


class Disk:
    """Folders ``input`` and ``output``; ``pictures`` are the names that nodes can load."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures: set[str] = set()

    def upload(self, request: Request, *, assets: bool = False) -> Response:
        """Keep a picture; the same bytes keep their name, others get another one.

        With ``assets`` the server keeps a catalogue, and tells the picture's entry, too.
        """
        if len(request.body) > 104_857_600:
            text = b"Maximum request body size 104857600 exceeded."
            return Response(413, text, {"Content-Type": "text/plain; charset=utf-8"})
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
        fields: dict[str, Any] = {}
        for part in form.iter_parts():
            name = part.get_param("name", header="content-disposition")
            fields[str(name)] = (part.get_filename(), part.get_payload(decode=True))
        if "image" not in fields:
            return Response(400)
        name, content = fields["image"]
        subfolder = fields.get("subfolder", (None, b""))[1].decode()
        folder = self.folder / "input" / subfolder
        folder.mkdir(parents=True, exist_ok=True)
        stem, _, suffix = name.rpartition(".")
        number = 0
        while (path := folder / name).exists() and path.read_bytes() != content:
            number += 1
            name = f"{stem} ({number}).{suffix}"
        path.write_bytes(content)
        self.pictures.add(f"{subfolder}/{name}" if subfolder else name)
        told: dict[str, Any] = {"name": name, "subfolder": subfolder, "type": "input"}
        if assets:
            known = {"name": name, "size": len(content), "tags": ["input", "uploaded"]}
            told["asset"] = {"id": "b2821d84-67df-411e-8a4a-bace36a5488f", **known}
        return json_response(told)

    def view(self, request: Request) -> Response:
        """A file, or a range of it."""
        query = request.query
        if "filename" not in query:
            return Response(404)
        if ".." in query["filename"]:
            return Response(400)
        path = self.folder / query.get("type", "output") / query.get("subfolder", "")
        path /= query["filename"]
        if not path.is_file():
            return Response(404)
        content = path.read_bytes()
        headers = {
            "X-Content-Type-Options": "nosniff",
            "Content-Disposition": f'filename="{path.name}"',
            "Content-Type": "video/mp4",
            "Accept-Ranges": "bytes",
        }
        asked = request.headers.get("range", "")
        if not asked.startswith("bytes="):
            return Response(200, content, headers)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(content) - 1), len(content) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        return Response(206, content[start : end + 1], headers)
