"""Who comes in, how often, and with how much: the gateway's middleware.

Plain ASGI, so that a stream is never held back.  Without any key the gateway answers to this
machine's own names alone, and to no page of another site, so that a browser cannot be made to
speak to it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection
from http import HTTPStatus

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.models import GatewaySettings
from services.gateway.keys import ApiKey, Keyring
from services.gateway.keys import Scope as KeyScope
from services.gateway.problems import Refused, problem_response

COOKIE = "pytoon_key"
HEADER = "X-API-Key"
PUBLIC = ("/", "/page/", "/health", "/ready", "/metrics", "/openapi.json", "/favicon.ico")
"""What is shown without a key; an entry that ends in a slash is a folder, but for the root."""
SESSION = "/api/v1/session"
"""Where any key is kept in a cookie, or forgotten: one that may only look, too."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "font-src 'self'; connect-src 'self'; img-src 'self' blob: data:; media-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What every answer carries: nothing that it holds is run, framed or taken for something else."""
UNTIMELY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
"""Answers to a body of which the rest is not read: nothing more comes on that connection."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


class Guard:
    """Judges each request before the application sees it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Keyring,
        bounds: GatewaySettings,
        upload_bytes_max: int,
        hosts: Collection[str] = LOOPBACK_NAMES,
    ) -> None:
        self._app = app
        self._keys = keys
        self._bounds = bounds
        self._upload_bytes_max = upload_bytes_max
        self._hosts = hosts
        self._rate = RateLimitItemPerMinute(bounds.requests_a_minute)
        # Two numbers a caller; a moving window would keep, and go through, each request's time.
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with a problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        try:
            caller = self._admitted(HTTPConnection(scope), scope)
            self._count(caller, scope)
            scope.setdefault("state", {})["caller"] = caller
            bytes_max = self._bytes_max(scope)
            self._check_length(scope, bytes_max)
        except Refused as refused:
            await problem_response(refused, scope["path"])(scope, receive, send)
            return
        await self._app(scope, self._bounded(receive, bytes_max), send)

    def _admitted(self, request: HTTPConnection, scope: Scope) -> str:
        try:
            return self._admit(request)
        except Refused:
            # Guesses are counted too.
            self._count(f"at {request.client.host}" if request.client else "anybody", scope)
            raise

    def _admit(self, request: HTTPConnection) -> str:
        """The caller's name; raises ``Refused``."""
        method, path = request.scope["method"], request.scope["path"]
        if not self._keys:
            self._check_local(request, method)
            return "local"
        text = request.headers.get(HEADER) or request.cookies.get(COOKIE) or ""
        key = self._keys.find(text) if text else None
        if key is None:
            if is_public(path):
                return f"at {request.client.host}" if request.client else "anybody"
            detail = f"An API key is needed: send it as {HEADER}."
            headers = {"WWW-Authenticate": f'ApiKey header="{HEADER}"'}
            if text:
                detail = "The API key is not known here."
            raise Refused(HTTPStatus.UNAUTHORIZED, detail, headers=headers)
        if HEADER not in request.headers:
            self._check_same_site(request, method)
        if path != SESSION:
            self._check_scope(key, method)
        return key.name

    @staticmethod
    def _check_scope(key: ApiKey, method: str) -> None:
        wanted = KeyScope.READ if method in SAFE else KeyScope.WRITE
        if wanted not in key.scopes:
            detail = f"The key {key.name!r} has not the scope {wanted.value!r}."
            raise Refused(HTTPStatus.FORBIDDEN, detail)

    def _check_local(self, request: HTTPConnection, method: str) -> None:
        host = request.headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name.lower() not in self._hosts:
            detail = (
                f"Without API keys only this machine is served, not {name[:80]!r}; "
                "set PYTOON_API_KEYS to serve others."
            )
            raise Refused(HTTPStatus.FORBIDDEN, detail)
        self._check_same_site(request, method)

    @staticmethod
    def _check_same_site(request: HTTPConnection, method: str) -> None:
        if method in SAFE:
            return
        origin = request.headers.get("origin")
        own = f"{request.url.scheme}://{request.headers.get('host', '')}"
        if origin is not None and origin != own:
            detail = "A page of another site may not ask for anything here."
            raise Refused(HTTPStatus.FORBIDDEN, detail)

    def _count(self, caller: str, scope: Scope) -> None:
        client = scope.get("client")
        if caller == "local" and client:
            caller = f"at {client[0]}"
        if not self._limiter.hit(self._rate, caller):
            free_s = self._limiter.get_window_stats(self._rate, caller).reset_time - time.time()
            wait_s = max(1, math.ceil(free_s))
            detail = (
                f"More than {self._bounds.requests_a_minute} requests a minute; "
                f"come again in {wait_s} s."
            )
            headers = {"Retry-After": str(wait_s)}
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, detail, headers=headers)

    def _bytes_max(self, scope: Scope) -> int:
        upload = scope["path"].rstrip("/").endswith("/assets")
        return self._upload_bytes_max if upload else self._bounds.body_bytes_max

    @staticmethod
    def _check_length(scope: Scope, bytes_max: int) -> None:
        told = Headers(scope=scope).get("content-length", "")
        if told.isdigit() and int(told) > bytes_max:
            raise _too_large(bytes_max)

    def _bounded(self, receive: Receive, bytes_max: int) -> Receive:
        """Receive at most so many bytes, and none that does not come in time."""
        taken = 0
        done = False
        deadline_s = asyncio.get_running_loop().time() + self._bounds.body_s

        async def bounded() -> Message:
            nonlocal taken, done
            if done:
                # After the body comes only the client's leaving: that may take its time.
                return await receive()
            try:
                async with asyncio.timeout_at(deadline_s):
                    message = await receive()
            except TimeoutError:
                detail = f"The body did not come within {self._bounds.body_s:g} s."
                raise Refused(HTTPStatus.REQUEST_TIMEOUT, detail) from None
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                done = not message.get("more_body", False)
                if taken > bytes_max:
                    raise _too_large(bytes_max)
            return message

        return bounded


def _with_headers(send: Send) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
            if message["status"] in UNTIMELY:
                headers["Connection"] = "close"
        await send(message)

    return told


def is_public(path: str) -> bool:
    """Whether a path is shown without a key."""
    return any(
        path == public or (public != "/" and public.endswith("/") and path.startswith(public))
        for public in PUBLIC
    )


def _too_large(bytes_max: int) -> Refused:
    detail = f"The body must be at most {bytes_max / 1e6:g} MB."
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
