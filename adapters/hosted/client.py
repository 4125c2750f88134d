"""One hosted service over HTTP: requests, bounded answers, and what an answer does not tell.

Nothing is asked twice here and no redirect is followed: whoever asks decides.  The secret is sent
to the service's own addresses only, and no text leaves without having been redacted.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
import json
import ssl
import time
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import httpx

from adapters.hosted.declaration import Declaration
from adapters.secret import Secret
from events.spec import Struct

ANSWER_BYTES_MAX = 8_000_000
"""More than that is no answer about one piece of work."""
RETRY_AFTER_S_MAX = 600.0
SEEN_CHARS_MAX = 160
CONNECT_S = 10.0


class NoAnswer(Exception):
    """No whole answer came.  ``sent``: the service may have got the request."""

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__(detail)
        self.sent = sent


class Foreign(Exception):
    """An address that is not the service's own: our secret is not sent there."""


class Answer(Struct, frozen=True, kw_only=True):
    """What a service answered; ``content`` is its JSON, None where that is none."""

    status: int
    content: Any = None
    seen: str = ""
    """Status and the beginning of the body, for a person; redacted."""
    retry_after_s: float | None = None

    @property
    def good(self) -> bool:
        """Whether the request was met."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own bounds


class Client:
    """Asks one service.  ``transport`` replaces the network in tests."""

    def __init__(
        self,
        declared: Declaration,
        secret: Secret,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._declared = declared
        self._secret = secret
        self._own = {_origin(declared.base_url), *(_origin(host) for host in declared.hosts)}
        timeout = httpx.Timeout(None, connect=CONNECT_S)
        common: dict[str, Any] = {"timeout": timeout, "trust_env": False, "transport": transport}
        self._http = httpx.AsyncClient(verify=trusted(), **common)
        # A create never goes over a connection that was used before: one that the service just
        # closes would leave it unknown whether anything was made.
        self._fresh = httpx.AsyncClient(
            verify=trusted(), limits=httpx.Limits(max_keepalive_connections=0), **common
        )

    async def close(self) -> None:
        """Release the connections."""
        await self._http.aclose()
        await self._fresh.aclose()

    def url(self, url: str) -> str:
        """``url`` whole: what has no host is the service's."""
        if "://" in url or split(url).scheme:
            return url
        return f"{self._declared.base_url}/{url.removeprefix('/')}"

    def is_own(self, url: str) -> bool:
        """Whether an address is the service's own."""
        return _origin(self.url(url)) in self._own

    def redact(self, text: str) -> str:
        """``text`` without the secret."""
        return self._secret.redact(text)

    def auth(self) -> dict[str, str]:
        """The header that shows who we are."""
        declared = self._declared.auth
        return {declared.header: self._secret.header(declared.scheme)}

    async def ask(
        self,
        method: str,
        url: str,
        *,
        answer_s: float,
        fresh: bool = False,
        headers: Mapping[str, str] | None = None,
        **body: Any,
    ) -> Answer:
        """Send one request and read its answer whole.  Raises ``NoAnswer``, ``Foreign``."""
        target = self.url(url)
        if not self.is_own(target):
            raise Foreign(f"{told(target)} is no address of {told(self._declared.base_url)}")
        more = {"Accept": "application/json", **self._declared.headers, **(headers or {})}
        return await self._asked(
            self._fresh if fresh else self._http,
            method,
            target,
            answer_s,
            headers={**more, **self.auth()},
            **body,
        )

    async def put(self, url: str, content: bytes, media_type: str, *, answer_s: float) -> Answer:
        """Send bytes to an address that the service gave for them; without the secret."""
        headers = {"Content-Type": media_type}
        return await self._asked(
            self._http, "PUT", url, answer_s, headers=headers, content=content
        )

    async def _asked(
        self, http: httpx.AsyncClient, method: str, url: str, answer_s: float, **more: Any
    ) -> Answer:
        try:
            async with asyncio.timeout(answer_s), http.stream(method, url, **more) as response:
                content = await self._body(response)
                return self._answer(response, content)
        except httpx.InvalidURL as error:
            raise NoAnswer(f"{told(url)} is no address", sent=False) from error
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NoAnswer(self._why(error), sent=False) from error
        except httpx.HTTPError as error:
            raise NoAnswer(self._why(error), sent=True) from error
        except TimeoutError as error:
            raise NoAnswer(f"no answer within {answer_s:g} s", sent=True) from error

    async def _body(self, response: httpx.Response) -> bytes:
        content = bytearray()
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > ANSWER_BYTES_MAX:
                detail = f"{response.status_code}, with more than {ANSWER_BYTES_MAX} bytes"
                raise NoAnswer(detail, sent=True)
        return bytes(content)

    def _answer(self, response: httpx.Response, content: bytes) -> Answer:
        try:
            found = json.loads(content) if content else None
        except (ValueError, RecursionError):
            found = None
        body = " ".join(content[:2000].decode("utf-8", "replace").split())
        seen = f"{response.status_code} {self.redact(body)[:SEEN_CHARS_MAX]}".strip()
        return Answer(
            status=response.status_code,
            content=found,
            seen=seen,
            retry_after_s=_retry_after_s(response.headers.get("retry-after", "")),
        )

    def _why(self, error: Exception) -> str:
        return self.redact(f"{type(error).__name__}: {error}".strip(": "))


@cache
def trusted() -> ssl.SSLContext:
    """Whose certificates are trusted.  Read once: it takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)


def told(url: str) -> str:
    """An address as it may be written down: without query, which may hold a signature, or user."""
    parts = split(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def joined(url: str, location: str) -> str:
    """Where a redirect leads; nowhere, if it is none."""
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def split(url: str) -> SplitResult:
    """An address's parts; a foreign text that is no address has none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port.  A bare host name is spoken to by HTTPS."""
    parts = split(url if "://" in url else f"https://{url}")
    try:
        port = parts.port
    except ValueError:
        port = -1
    return parts.scheme, parts.hostname or "", port or (443 if parts.scheme == "https" else 80)


def _retry_after_s(value: str) -> float | None:
    """Seconds of a ``Retry-After``, be it a number or a date; None where there is none."""
    try:
        wait_s = float(value)
    except ValueError:
        try:
            when = email.utils.parsedate_to_datetime(value)
        except (TypeError, ValueError):
            return None
        when = when if when.tzinfo else when.replace(tzinfo=dt.UTC)
        wait_s = when.timestamp() - time.time()
    return min(max(wait_s, 0.0), RETRY_AFTER_S_MAX) if wait_s == wait_s else None  # noqa: PLR0124 - not NaN
