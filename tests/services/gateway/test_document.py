"""The OpenAPI document, as somebody who writes a client for it reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.gateway.conftest import House, house_of

ADDRESSES = {
    ("get", "/api/v1/presets"),
    ("post", "/api/v1/assets"),
    ("post", "/api/v1/jobs"),
    ("get", "/api/v1/jobs"),
    ("get", "/api/v1/jobs/{job_id}"),
    ("get", "/api/v1/jobs/{job_id}/segments"),
    ("get", "/api/v1/jobs/{job_id}/segments/{index}/body"),
    ("get", "/api/v1/jobs/{job_id}/events"),
    ("get", "/api/v1/jobs/{job_id}/output"),
    ("get", "/api/v1/jobs/{job_id}/thumbnail"),
    ("post", "/api/v1/jobs/{job_id}/cancel"),
    ("get", "/api/v1/jobs/{job_id}/frames/{n}"),
    ("post", "/api/v1/frames"),
    ("post", "/api/v1/session"),
    ("delete", "/api/v1/session"),
    ("get", "/health"),
    ("get", "/ready"),
}


async def _document(house: House) -> dict[str, Any]:
    return dict((await house.client.get("/openapi.json")).json())


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield method, path, operation


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _refs(value)


async def test_every_address_is_named(house: House) -> None:
    """All that a client may ask, each once, and nothing besides."""
    document = await _document(house)
    found = {(method, path) for method, path, _ in _operations(document)}
    assert found == ADDRESSES
    ids = [operation["operationId"] for _, _, operation in _operations(document)]
    assert sorted(ids) == sorted(set(ids))


async def test_every_reference_leads_somewhere(house: House) -> None:
    """A generator of clients stops at the first that does not."""
    document = await _document(house)
    refs = set(_refs(document))
    assert "#/components/schemas/RenderRequest" in refs
    for ref in refs:
        found: Any = document
        for step in ref.removeprefix("#/").split("/"):
            found = found[step]
        assert found


async def test_everything_is_described(house: House) -> None:
    """Operations, parameters, what a request and an answer hold."""
    document = await _document(house)
    for _, path, operation in _operations(document):
        assert operation["summary"]
        assert operation["description"], path
        assert operation["tags"], path
        for parameter in operation.get("parameters", ()):
            if parameter["in"] != "path":
                assert parameter["description"], (path, parameter["name"])
    request = document["components"]["schemas"]["RenderRequest"]
    assert [] == [
        name for name, told in request["properties"].items() if "description" not in told
    ]
    named = {tag["name"] for tag in document["tags"]}
    assert {tag for _, _, told in _operations(document) for tag in told["tags"]} == named


async def test_every_refusal_is_a_problem(house: House) -> None:
    """One shape, and the header that says when to come again."""
    document = await _document(house)
    for _, path, operation in _operations(document):
        for status, told in operation["responses"].items():
            if int(status) < 400 or (path, status) == ("/ready", "503"):
                continue
            schema = told["content"]["application/problem+json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ProblemDetails"}
            assert list(told["content"]) == ["application/problem+json"]
            assert ("Retry-After" in told.get("headers", {})) == (status in {"429", "503"})


@pytest.mark.parametrize("keys", ["", "shop:a-secret-of-the-shop"], ids=["none", "one"])
async def test_it_says_which_key_is_wanted(tmp_path: Path, keys: str) -> None:
    """The scheme, and on each address whether it is asked for."""
    async with house_of(tmp_path, keys=keys, actors=False) as house:
        document = await _document(house)
    scheme = document["components"]["securitySchemes"]["ApiKey"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "X-API-Key")
    wanted: list[dict[str, list[str]]] = [{"ApiKey": []}] if keys else [{}, {"ApiKey": []}]
    for _, path, operation in _operations(document):
        assert operation.get("security", []) == (wanted if path.startswith("/api/") else [])


async def test_the_looks_that_there_are_are_named(house: House) -> None:
    """And the example is a request that is one."""
    document = await _document(house)
    request = document["components"]["schemas"]["RenderRequest"]["properties"]
    assert request["preset_id"]["enum"] == sorted(house.config.presets)
    body = document["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]
    assert set(body["example"]) <= set(request)
    uploaded = {**body["example"], "image_uris": [f"sha256:{'0' * 64}"]}
    asked = await house.client.post("/api/v1/jobs", content=json.dumps(uploaded))
    assert asked.status_code == 202
