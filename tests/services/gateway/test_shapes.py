"""Whatever the OpenAPI document allows, and much that it does not: never an error of ours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.config import GenerationConfig

from services.gateway.addresses import bind
from services.gateway.serving import serve
from tests.services.gateway.conftest import ASK, house_of

SEEN_BY = {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT}


@pytest.fixture(name="address", scope="module")
def an_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway with services on a port of its own, in a loop of its own; one job is there."""
    listening = bind("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def run(folder: Path) -> None:
        async with house_of(folder) as house:
            await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "known"})
            await house.ended("known")
            ready.set()
            await serve(house.app, listening, stop)

    folder = tmp_path_factory.mktemp("document")
    thread = threading.Thread(target=lambda: loop.run_until_complete(run(folder)))
    thread.start()
    assert ready.wait(20)
    yield address
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    loop.close()


def _ask_everything(address: str, examples_max: int, mode: GenerationMode) -> dict[int, int]:
    """Ask each address of the document; returns how often each status came."""
    document = httpx.get(f"{address}/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.generation = GenerationConfig(modes=list(GenerationMode))
    seen: dict[int, int] = {}
    for found in schema.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=examples_max,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: schemathesis.Case[Any]) -> None:
            if "job_id" in (case.path_parameters or {}) and len(seen) % 2:
                case.path_parameters["job_id"] = "known"
            answer = case.call(base_url=address, timeout=10)
            seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
            assert answer.status_code < 500 or answer.status_code == 501, (
                f"{case.as_curl_command()}: {answer.text}"
            )
            if (
                answer.status_code >= 400
                and answer.content
                and b"Invalid HTTP" not in answer.content
            ):
                assert answer.headers["content-type"] == ["application/problem+json"]

        # What takes nothing cannot be asked wrongly.
        with suppress(Unsatisfiable):
            ask()
    return seen


def test_nothing_in_the_document_is_an_error_of_ours(address: str) -> None:
    """A few of everything that each address takes."""
    seen = _ask_everything(address, 8, GenerationMode.POSITIVE)
    assert SEEN_BY & set(seen)


def test_nothing_against_the_document_is_an_error_of_ours(address: str) -> None:
    """A few of everything that it does not take."""
    seen = _ask_everything(address, 8, GenerationMode.NEGATIVE)
    assert {404, 422} <= set(seen)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_much_of_everything(address: str, mode: GenerationMode) -> None:
    """Hundreds for each address: a minute or two."""
    assert sum(_ask_everything(address, 200, mode).values()) > 1000
