"""Hosted services as engines that generate, each spoken to as a YAML file declares: ``hosted``."""

from __future__ import annotations

from adapters.hosted.generator import HostedGenerator
from adapters.hosted.making import from_settings

__all__ = ["HostedGenerator", "from_settings"]
