"""ComfyUI servers as engines that generate: the engine kind ``comfyui``."""

from __future__ import annotations

from adapters.comfyui.generator import ComfyGenerator, from_settings

__all__ = ["ComfyGenerator", "from_settings"]
