"""Whatever the OpenAPI document allows, and much that it does not.

Never an error of ours, and every answer is as the document says: its status, its headers, its
media type and its shape.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
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
from schemathesis.specs.openapi.checks import positive_data_acceptance

from services.gateway.addresses import bind
from services.gateway.serving import serve
from tests.services.gateway.conftest import ASK, house_of

KEY = "a-key-for-schemathesis"
HEADERS = {"X-API-Key": KEY}


@pytest.fixture(name="address")
def an_address(tmp_path: Path) -> Iterator[str]:
    """A gateway with services on a port of its own, in a loop of its own; one job is there.

    New for each mode: a wrong query of an empty list is no query on the wire, which a job of the
    mode before would answer rightly.
    """
    listening = bind("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def run(folder: Path) -> None:
        async with house_of(folder, keys=f"doc:{KEY}", plans=True, draws=True) as house:
            house.client.headers.update(HEADERS)
            await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "known"})
            await house.ended("known")
            ready.set()
            await serve(house.app, listening, stop)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run(tmp_path)))
    thread.start()
    assert ready.wait(20)
    yield address
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    loop.close()


def _ask_everything(address: str, examples_max: int, mode: GenerationMode) -> Counter[int]:
    """Ask each address of the document, and judge each answer; how often each status came."""
    schema = schemathesis.openapi.from_dict(httpx.get(f"{address}/openapi.json").json())
    schema.config.generation = GenerationConfig(modes=list(GenerationMode))
    seen: Counter[int] = Counter()
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
            # Every second one looks at a job that is there.
            if mode is GenerationMode.POSITIVE and case.path_parameters and seen.total() % 2:
                case.path_parameters["job_id"] = "known"
            answer = case.call(base_url=address, timeout=10, headers=HEADERS)
            # A request may be as the document says and still name a file that is not there.
            case.validate_response(
                answer, headers=HEADERS, excluded_checks=[positive_data_acceptance]
            )
            seen[answer.status_code] += 1
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == ["application/problem+json"]

        # What takes nothing cannot be asked wrongly.
        with suppress(Unsatisfiable):
            ask()
    return seen


def test_what_the_document_allows_is_answered_as_it_says(address: str) -> None:
    """A few of everything that each address takes."""
    seen = _ask_everything(address, 8, GenerationMode.POSITIVE)
    assert {*map(int, (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT))} <= set(seen)
    assert HTTPStatus.NOT_FOUND in seen


def test_what_it_does_not_allow_is_refused(address: str) -> None:
    """A few of everything that it does not take."""
    seen = _ask_everything(address, 8, GenerationMode.NEGATIVE)
    assert {400, 401, 422} <= set(seen)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_much_of_everything(address: str, mode: GenerationMode) -> None:
    """Hundreds for each address: some minutes."""
    assert _ask_everything(address, 200, mode).total() > 1000
