"""Keys for tests: a set of all services, what each of them has of it, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from events.keyfiles import TRUSTED, private_path, write_private, write_trust
from events.keys import Keyring, PrivateKey, Trust, TrustedKey
from events.stream import LogSettings
from events.writers import WRITERS


class Keys:
    """A key of each service, made anew; ``trust`` may be replaced by another view of them."""

    def __init__(self, *, signed_from: int = 1) -> None:
        self.own = {service: PrivateKey.made() for service in WRITERS}
        self.trust = Trust(
            keys=tuple(
                TrustedKey(service=service, public=key.public) for service, key in self.own.items()
            ),
            signed_from=signed_from,
        )

    def ring(self, *services: str, trust: Trust | None = None) -> Keyring:
        """What a process has that runs these services; all if none is named."""
        names = services or tuple(self.own)
        return Keyring(trust or self.trust, {name: self.own[name] for name in names})

    def reader(self) -> Keyring:
        """What somebody has who only reads."""
        return Keyring(self.trust)

    def id(self, service: str) -> str:
        """What a service's key is called."""
        return self.own[service].id

    def settings(self, *services: str) -> LogSettings:
        """Of a log that signs as these services, or as all."""
        return LogSettings(keyring=self.ring(*services))

    def write(self, folder: Path, services: Sequence[str] = WRITERS) -> Path:
        """The files of these services in a folder; returns the one with the public keys."""
        folder.mkdir(parents=True, exist_ok=True)
        for service in services:
            write_private(private_path(folder, service), self.own[service])
        write_trust(folder / TRUSTED, self.trust)
        return folder / TRUSTED
