"""Prometheus metrics: correct counts, a bounded set of labels, and no secrets."""

from __future__ import annotations

import re

import pytest

from tests.client import ADMINISTRATOR, Client
from tests.conftest import Serve

FOLLOW = "subscription { notificationAdded { cursor } }"


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


async def test_operations_are_counted_by_root_field_kind_and_result(client: Client) -> None:
    before = await scrape_metrics(client)

    await client.execute_field("query AnyNameAtAll { logHead }")
    await client.execute("{ logHead events { totalCount } }")
    await client.execute("{ noSuchField }")
    await client.execute("{ nonsense")
    await client.execute("{ __typename }")
    await client.expect_error('{ eventChanges(after: "nonsense") { nodes { kind } } }')
    await client.http.get(
        "/graphql", params={"query": 'mutation { deleteEvent(id: "1") { duplicate } }'}
    )
    await client.log_event(summary="counted")
    await client.expect_error(
        'mutation { acknowledgeEvents(filter: {search: "!!!"}) { userErrors { code } } }'
    )
    after = await scrape_metrics(client)

    assert metric_increases(before, after, "tocsin_operations_total") == {
        '{kind="query",operation="logHead",result="OK"}': 1,
        '{kind="query",operation="several",result="OK"}': 1,
        '{kind="query",operation="invalid",result="GRAPHQL_VALIDATION_FAILED"}': 1,
        '{kind="unknown",operation="invalid",result="GRAPHQL_PARSE_FAILED"}': 1,
        '{kind="query",operation="introspection",result="OK"}': 1,
        '{kind="query",operation="eventChanges",result="INVALID_CURSOR"}': 1,
        '{kind="mutation",operation="deleteEvent",result="BAD_USER_INPUT"}': 1,
        '{kind="mutation",operation="logEvent",result="OK"}': 1,
        '{kind="mutation",operation="acknowledgeEvents",result="BAD_USER_INPUT"}': 1,
    }
    assert (
        metric_increases(before, after, "tocsin_operation_duration_seconds_count")[
            '{kind="mutation",operation="logEvent"}'
        ]
        == 1
    )


async def test_events_are_counted_by_api_and_result(client: Client) -> None:
    before = await scrape_metrics(client)

    for _ in range(2):
        await client.log_event(source="probe", sourceId="1")
    await client.execute_field(
        'mutation { logEvents(input: [{summary: "a"}, {tags: [""]}]) { results { duplicate } } }'
    )
    after = await scrape_metrics(client)

    assert metric_increases(before, after, "tocsin_events_total") == {
        '{api="graphql",result="stored"}': 2,
        '{api="graphql",result="duplicate"}': 1,
        '{api="graphql",result="rejected"}': 1,
    }


async def test_sockets_are_counted_while_they_are_open(client: Client) -> None:
    before = await scrape_metrics(client)
    async with client.subscription(FOLLOW) as follower:
        await client.log_event(notification=True)
        await follower.receive_next()
        during = await scrape_metrics(client)

    assert during["tocsin_sockets"] == before["tocsin_sockets"] + 1


async def test_metrics_contain_no_organization_and_no_secret(client: Client) -> None:
    await client.execute_field("query SecretOperation { logHead }")
    await client.execute(f'{{ "{ADMINISTRATOR}" }}')

    text = (await client.as_key(None).http.get("/metrics")).text

    own = "\n".join(line for line in text.splitlines() if line.startswith("tocsin_"))
    assert "SecretOperation" not in own
    assert ADMINISTRATOR not in own
    assert "default" not in own
    assert set(re.findall(r"[{,](\w+)=", own)) == {
        "api", "kind", "le", "operation", "reason", "result", "status"
    }  # fmt: skip


async def test_metrics_can_require_a_token(database_url: str, serve: Serve) -> None:
    async with serve(database_url, metrics_token="scraper") as client:
        as_scraper = await client.as_key("scraper").http.get("/metrics")
        as_nobody = await client.as_key(None).http.get("/metrics")
        as_administrator = await client.http.get("/metrics")

    assert as_scraper.status_code == 200
    assert (as_nobody.status_code, as_administrator.status_code) == (401, 401)
    assert as_nobody.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_metrics_can_be_disabled(database_url: str, serve: Serve) -> None:
    async with serve(database_url, metrics=False) as client:
        answer = await client.http.get("/metrics")

    assert answer.status_code == 404


async def scrape_metrics(client: Client) -> dict[str, float]:
    text = (await client.as_key(None).http.get("/metrics")).text
    return {name: float(value) for name, value in re.findall(r"^(\w\S*) (\S+)$", text, re.M)}


def metric_increases(
    before: dict[str, float], after: dict[str, float], name: str
) -> dict[str, float]:
    """Returns the increases of a metric, by labels."""
    return {
        each.removeprefix(name): value - before.get(each, 0)
        for each, value in after.items()
        if each.startswith(name + "{") and value != before.get(each, 0)
    }
