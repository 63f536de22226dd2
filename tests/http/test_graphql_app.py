"""GraphQL over POST beside FastAPI's routes: it has all that other requests have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.routing import Mount

from app.domain.shared.limits import DocumentLimits, Limits
from app.graphql.transport import http_endpoint
from app.main import create_app
from tests.client import ADMINISTRATOR
from tests.conftest import SQLITE, build_settings
from tests.http.test_headers import GUARDS

PAGE = "https://forms.example"
EVENTS = "{ events(first: 60) { nodes { id } } }"
CREATE_KEY = """mutation ($input: CreateApiKeyInput!) {
  createApiKey(input: $input) { secret } }"""


@pytest.fixture
def dialect() -> str:
    """SQLite only: the way of a request does not depend on the database."""
    return SQLITE


@pytest.fixture
async def http(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that another one serves below the path /ops."""
    settings = build_settings(
        database_url,
        cors_origins=PAGE,
        limits=Limits(body_bytes=500),
        documents=DocumentLimits(cost=70),
        requests={"points_per_minute": 100},
    )
    app = create_app(settings)
    headers = {"authorization": f"Bearer {ADMINISTRATOR}"}
    transport = httpx.ASGITransport(Starlette(routes=[Mount("/ops", app)]))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://a/ops/", headers=headers) as client,
    ):
        yield client


async def post(http: httpx.AsyncClient, query: str, **headers: str) -> httpx.Response:
    return await http.post("graphql", json={"query": query}, headers=headers)


def count_responses(status: int) -> float:
    labels = {"api": "graphql", "status": str(status)}
    return REGISTRY.get_sample_value("tocsin_http_responses_total", labels) or 0.0


def count_planned() -> float:
    return REGISTRY.get_sample_value("tocsin_plans_total", {"result": "planned"}) or 0.0


async def test_a_query_below_a_path_has_id_guards_cost_and_counts(http: httpx.AsyncClient) -> None:
    headers = {"x-request-id": "request-1", "origin": PAGE}
    responses_before, planned_before = count_responses(200), count_planned()

    first = await http.post("graphql", json={"query": "{ logHead }"}, headers=headers)
    with_slash = await http.post("graphql/", json={"query": "{ logHead }"}, headers=headers)

    assert first.json() == with_slash.json()
    assert first.json()["extensions"] == {"cost": {"requested": 1, "limit": 70}}
    for response in (first, with_slash):
        assert (response.status_code, response.headers["x-request-id"]) == (200, "request-1")
        assert GUARDS.items() <= dict(response.headers).items()
        assert response.headers["access-control-allow-origin"] == PAGE
    assert count_responses(200) == responses_before + 2
    assert count_planned() == planned_before + 2


async def test_refusals_have_status_code_and_guards(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"name": "k", "permissions": ["EVENT_CREATE"]}
    body = {"query": CREATE_KEY, "variables": {"input": key}}
    secret = (await http.post("graphql", json=body)).json()["data"]["createApiKey"]["secret"]

    responses = {
        "invalid key": await post(http, "{ logHead }", authorization="Bearer wrong"),
        "no permission": await post(
            http, "{ events { totalCount } }", authorization=f"Bearer {secret}"
        ),
        "large body": await post(http, "{ logHead }" + " " * 500),
        "large cost": await post(http, "{ events(first: 100) { nodes { id } } }"),
        "within the rate limit": await post(http, EVENTS),
        "over the rate limit": await post(http, EVENTS),
    }
    monkeypatch.setattr(http_endpoint, "negotiate_media_type", lambda _header: 1 / 0)
    responses["a bug"] = await post(http, "{ logHead }", **{"x-request-id": "request-2"})

    assert {name: summarize(response) for name, response in responses.items()} == {
        "invalid key": (401, "UNAUTHENTICATED"),
        "no permission": (200, "FORBIDDEN"),
        "large body": (413, "BAD_USER_INPUT"),
        "large cost": (200, "LIMIT_EXCEEDED"),
        "within the rate limit": (200, None),
        "over the rate limit": (429, "LIMIT_EXCEEDED"),
        "a bug": (500, "INTERNAL_SERVER_ERROR"),
    }
    assert int(responses["over the rate limit"].headers["retry-after"]) > 0
    reference = responses["a bug"].json()["errors"][0]["extensions"]["reference"]
    assert reference == responses["a bug"].headers["x-request-id"] == "request-2"
    for response in responses.values():
        assert GUARDS.items() <= dict(response.headers).items()


def summarize(response: httpx.Response) -> tuple[int, Any]:
    """Returns the status and the code of the first error."""
    [error, *_] = response.json().get("errors", [{"extensions": {"code": None}}])
    return response.status_code, error["extensions"]["code"]
