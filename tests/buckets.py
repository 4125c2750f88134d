"""An S3 server of the tests' own on the loopback, with one bucket: moto, killed by pid."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Self

import httpx

BUCKET = "films"
SECRET = "not-to-be-told-5e1f"


class S3Server:
    """Started with the bucket made; ``environ`` is what a client needs."""

    def __init__(self, folder: Path) -> None:
        self._said = folder / "s3.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def environ(self) -> dict[str, str]:
        """The endpoint and the credentials, as an operator sets them."""
        return {
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> Self:
        """Return when it answers and has the bucket."""
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        self.url = self._address()
        httpx.put(f"{self.url}/{BUCKET}", trust_env=False).raise_for_status()
        return self

    def stop(self) -> None:
        """End it; its objects are gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)

    def _address(self) -> str:
        assert self._process is not None
        for _ in range(1500):
            found = re.search(r"http://127\.0\.0\.1:\d+", self._said.read_text("utf-8"))
            if found:
                return found.group()
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            break
        raise AssertionError(self._said.read_text("utf-8"))
