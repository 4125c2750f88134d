"""What can go wrong with configuration."""

from __future__ import annotations


class ConfigError(Exception):
    """A configuration cannot be used.

    The message names where the value stands (a file or an environment variable), the key's path,
    the value, and what is allowed: change the value there and start again.
    """

    def __init__(self, where: str, key: str, value: str, allowed: str) -> None:
        told = f"{where}: {key}" if key else where
        super().__init__(f"{told}: {value}: {allowed}" if value else f"{told}: {allowed}")
        self.where = where
        self.key = key
        self.value = value
        self.allowed = allowed
