"""What can be set: defaults, presets, engines, fonts, and what a request may ask.

``load`` reads the shipped YAML, a directory over it, and the environment over both;
``parse_request`` judges a request; ``resolve`` merges a request, its preset and the defaults.
"""

from __future__ import annotations

from config.errors import ConfigError
from config.loader import SHIPPED, load, shipped
from config.models import Config, EngineSettings, FontTable, Preset
from config.request import RenderRequest, parse_request
from config.resolution import AskedAsset, Resolved, resolve

__all__ = [
    "SHIPPED",
    "AskedAsset",
    "Config",
    "ConfigError",
    "EngineSettings",
    "FontTable",
    "Preset",
    "RenderRequest",
    "Resolved",
    "load",
    "parse_request",
    "resolve",
    "shipped",
]
