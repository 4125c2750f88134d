"""Answers that go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.comfy.wire import Request, Response


@dataclass
class Rule:
    """Requests that are answered otherwise, ``times`` times.

    ``answer`` makes the answer of the true one; it is awaited before, or, with ``instead``, never
    made.  ``delay_s`` comes first.
    """

    method: str
    path: str
    answer: Callable[[Response], Response] = lambda response: response
    times: int = 1
    delay_s: float = 0.0
    instead: bool = False

    def means(self, request: Request) -> bool:
        """Whether it is about this request, and not used up."""
        same = self.method == request.method and request.path.startswith(self.path)
        return same and self.times > 0


def drop(response: Response) -> Response:
    """Break the connection instead of answering."""
    return replace(response, drop=True)


def truncate(response: Response) -> Response:
    """Send half of the body, then break the connection."""
    return replace(response, cut=len(response.body) // 2)


def trouble(response: Response) -> Response:
    """Answer 500."""
    del response
    return Response(500, b"500 Internal Server Error\n\nServer got itself in trouble")


def garbage(response: Response) -> Response:
    """Send as many other bytes."""
    return replace(response, body=bytes(index * 37 % 251 for index in range(len(response.body))))
