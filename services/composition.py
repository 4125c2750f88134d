"""The composition root: which actors run, on which log, with which engines and stores.

The four actors may share a process; they still know one another only through the log.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import structlog

from adapters.assets import AssetFetcher, AssetLimits
from adapters.base import ArtifactStore, Engine
from adapters.compositor import CompositorEngine
from adapters.files import FileStore
from adapters.null import NullEngine, NullStudio
from adapters.pooled import PooledStudio
from adapters.studio import Studio
from adapters.workers import WorkerPool
from config import Config
from events.log import DurableSpec, EventLog, LogError
from services import planner, segment_renderer
from services.actor import Actor, Limits
from services.assembler import shell as assembler_shell
from services.fallback_controller import shell as controller_shell
from services.home import Home
from services.planner import shell as planner_shell
from services.runtime import Runtime, RuntimeSettings
from services.segment_renderer import shell as renderer_shell
