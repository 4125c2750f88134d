"""Takes the files that a request names into the artifact store.

``sha256:<hex>`` names what is already there; ``file://`` is read only under the allowed roots,
links resolved; ``http(s)`` only with size and time limits and from public addresses unless
private ones are allowed.  What a file *is*, its decoder says later, not its name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from adapters.base import ArtifactStore, StoreAway, StoreError
from events.spec import Artifact, Struct
from events.types import Problem

if TYPE_CHECKING:
    import httpx

MEDIA_TYPE = "application/octet-stream"
"""Of uploads: nothing is claimed about them before they are decoded."""
OUTSIDE = "put the file there, upload it, or allow its folder in PYTOON_ASSET_ROOTS"
"""What to do about a file where nothing may be read, whether or not it is there."""


class AssetLimits(Struct, frozen=True, kw_only=True):
    """Bounds of taking a file in."""

    fetch_s: float = 30.0
    redirects_max: int = 3
    allow_private_addresses: bool = False


class AssetProblem(Exception):
    """A file cannot be taken in; ``limit`` and ``hint`` say why and what to do."""

    def __init__(self, limit: str, hint: str) -> None:
        super().__init__(f"{limit}: {hint}")
        self.limit = limit
        self.hint = hint

    def problem(self, field: str, value: str) -> Problem:
        """As a problem of ``field``."""
        return Problem(field=field, value=value[:80], limit=self.limit, hint=self.hint)


class AssetFetcher:
    """Resolves URIs to artifacts."""

    def __init__(self, store: ArtifactStore, roots: Sequence[Path], limits: AssetLimits) -> None:
        self._store = store
        self._roots = tuple(root.resolve() for root in roots)
        self._limits = limits

    async def fetch(self, uri: str, bytes_max: int) -> Artifact:
        """The artifact of ``uri``, at most ``bytes_max`` bytes long.

        Raises ``AssetProblem``, and ``StoreError`` or ``StoreAway`` where the store itself fails.
        """
        scheme, _, rest = uri.partition(":")
        match scheme.lower():
            case "sha256":
                return await self._stored(rest, bytes_max)
            case "file":
                return await self._file(uri, bytes_max)
            case "http" | "https":
                return await self._http(uri, bytes_max)
            case _:
                raise AssetProblem("a sha256:, file:// or https:// URI", "use one of these")

    async def _stored(self, sha256: str, bytes_max: int) -> Artifact:
        artifact = Artifact(sha256=sha256.lower(), bytes=0, media_type=MEDIA_TYPE)
        try:
            path = await self._store.fetch(artifact)
        except StoreError as error:
            limit = "an artifact of the store"
            raise AssetProblem(limit, "store the file first, then name it") from error
        size = path.stat().st_size
        _check_size(size, bytes_max)
        return Artifact(sha256=artifact.sha256, bytes=size, media_type=MEDIA_TYPE)

    async def _file(self, uri: str, bytes_max: int) -> Artifact:
        parts = urlsplit(uri)
        allowed = ":".join(str(root) for root in self._roots)
        if parts.netloc not in {"", "localhost"}:
            raise AssetProblem("file:///path on the service's own host", "leave the host out")
        try:
            path = await asyncio.to_thread(Path(unquote(parts.path)).resolve, strict=True)
            inside = any(path.is_relative_to(root) for root in self._roots)
        except (OSError, ValueError, RuntimeError):
            named = Path(unquote(parts.path).replace("\0", ""))
            inside = any(named.is_relative_to(root) for root in self._roots)
            if inside:
                raise AssetProblem("a readable file", "check the path") from None
            raise AssetProblem(f"a file under {allowed}", OUTSIDE) from None
        if not inside:
            raise AssetProblem(f"a file under {allowed}", OUTSIDE)
        if not path.is_file():
            raise AssetProblem("a regular file", "name a picture or sound file")
        _check_size(path.stat().st_size, bytes_max)
        try:
            return await self._store.put_file(path, MEDIA_TYPE)
        except StoreAway:
            raise
        except OSError as error:
            raise AssetProblem(
                "a readable file", f"check its permissions ({error.strerror})"
            ) from error

    async def _http(self, uri: str, bytes_max: int) -> Artifact:
        import httpx  # noqa: PLC0415 - start-up time: most requests fetch nothing

        with tempfile.TemporaryDirectory(prefix="pytoon-fetch-") as folder:
            target = Path(folder) / "download"
            try:
                async with (
                    asyncio.timeout(self._limits.fetch_s),
                    httpx.AsyncClient(follow_redirects=False, trust_env=False) as client,
                ):
                    await self._download(client, uri, target, bytes_max)
            except TimeoutError as error:
                limit = f"{self._limits.fetch_s:g} s to download"
                raise AssetProblem(limit, "host it nearer, or upload the file") from error
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                hint = f"the download failed ({type(error).__name__})"
                raise AssetProblem("a file that can be downloaded", hint) from error
            return await self._store.put_file(target, MEDIA_TYPE, move=True)

    async def _download(
        self, client: httpx.AsyncClient, uri: str, target: Path, bytes_max: int
    ) -> None:
        url = uri
        for _ in range(self._limits.redirects_max + 1):
            pinned, more = await pinned_to_address(
                url, allow_private=self._limits.allow_private_addresses
            )
            async with client.stream("GET", pinned, **more) as response:
                if response.is_redirect:
                    url = str(response.headers.get("location", ""))
                    continue
                if not response.is_success:
                    limit = "a file that can be downloaded"
                    raise AssetProblem(limit, f"the server answered {response.status_code}")
                size = 0
                with target.open("wb") as file:
                    async for chunk in response.aiter_bytes():
                        size += len(chunk)
                        _check_size(size, bytes_max)
                        file.write(chunk)
                return
        raise AssetProblem(
            f"{self._limits.redirects_max} redirects at most", "name the final address"
        )


async def pinned_to_address(url: str, *, allow_private: bool) -> tuple[str, dict[str, Any]]:
    """Where to connect for ``url``, and what more to tell httpx; raises ``AssetProblem``.

    The connection goes to the very address that was checked: a name that resolves anew to a
    private address between check and use gains nothing.
    """
    try:
        parts = urlsplit(url)
        port, name = parts.port, parts.hostname
        addresses = await _addresses(name, port) if name else []
    except ValueError:
        # A port or a name that can be none.
        addresses = []
    if not addresses or parts.scheme not in {"http", "https"}:
        raise AssetProblem("an http(s) address", "redirects must lead to one, too")
    for address in addresses:
        public = ipaddress.ip_address(address.partition("%")[0]).is_global
        if not public and not allow_private:
            limit = "a public address"
            raise AssetProblem(limit, "private and local addresses are not fetched from")
    host = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    netloc = host if port is None else f"{host}:{port}"
    more = {
        "headers": {"Host": parts.netloc.rpartition("@")[2]},
        "extensions": {"sni_hostname": parts.hostname or ""},
    }
    return parts._replace(netloc=netloc).geturl(), more


async def _addresses(name: str, port: int | None) -> list[str]:
    """Where a name leads to.  An address leads to itself, without asking anybody."""
    try:
        return [str(ipaddress.ip_address(name))]
    except ValueError:
        pass
    found = await asyncio.get_running_loop().getaddrinfo(
        name, port or 443, type=socket.SOCK_STREAM
    )
    return [str(info[4][0]) for info in found]


def _check_size(size: int, bytes_max: int) -> None:
    if size > bytes_max:
        raise AssetProblem(f"at most {bytes_max / 1e6:g} MB", "make the file smaller")
    if size == 0:
        raise AssetProblem("a file with content", "the file is empty")
