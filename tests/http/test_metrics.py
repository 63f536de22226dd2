"""Prometheus metrics: correct counts, a bounded set of labels, and no secrets."""

from __future__ import annotations

import asyncio
import json
import re
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import asyncpg
import httpx
import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr

from app.main import create_app
from app.settings import Settings
from tests.client import ADMINISTRATOR, TIMEOUT_SECONDS, Client
from tests.conftest import Serve

ROOT = Path(__file__).parents[2]
FOLLOW = "subscription { notificationAdded { cursor } }"
UNNAMED = "query A { logHead } query B { logHead }"
WAITING = (
    "SELECT count(*) FROM pg_locks WHERE relation = 'duplication_rule'::regclass AND NOT granted"
)


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


@pytest.mark.parametrize(
    "payload",
    [
        {"query": UNNAMED},
        {"query": UNNAMED, "operationName": "C"},
        {"query": "fragment F on Query { logHead }"},
    ],
)
async def test_a_request_without_a_known_operation_counts_as_a_mistake_of_the_client(
    client: Client, payload: dict[str, str]
) -> None:
    before = await scrape_metrics(client)

    over_http = await client.http.post("/graphql", json=payload)
    stream = {"accept": "text/event-stream"}
    over_stream = await client.http.post("/graphql", json=payload, headers=stream)
    async with client.socket() as socket:
        assert (await socket.receive())["type"] == "connection_ack"
        await socket.send(id="1", type="subscribe", payload=payload)
        over_socket = await socket.receive()
    after = await scrape_metrics(client)

    [error] = over_socket["payload"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert over_http.json() == {"errors": [error]}
    assert f"data: {json.dumps({'errors': [error]}, separators=(',', ':'))}\n" in over_stream.text
    assert metric_increases(before, after, "tocsin_operations_total") == {
        '{kind="unknown",operation="invalid",result="BAD_USER_INPUT"}': 3
    }


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("query", "operation"),
    [
        ("{ duplicationRules { nodes { id } } }", "duplicationRules"),  # by a plan
        (
            "{ duplicationRules { nodes { id } } __schema { description } }",
            "several",
        ),  # graphql-core
    ],
)
async def test_operations_that_their_client_ends_early_count_as_cancelled(
    client: Client, database_url: str, query: str, operation: str
) -> None:
    """PostgreSQL only, because a table lock there can block the reads of a query."""
    before = await scrape_metrics(client)
    subscribe = {"id": "1", "type": "subscribe", "payload": {"query": query}}
    connection = await asyncpg.connect(database_url)
    await connection.execute("BEGIN; LOCK TABLE duplication_rule IN ACCESS EXCLUSIVE MODE")

    async def wait_for_reads(count: int) -> None:
        while await connection.fetchval(WAITING) != count:
            await asyncio.sleep(0.01)

    async with asyncio.timeout(TIMEOUT_SECONDS):
        async with client.socket() as socket:
            assert (await socket.receive())["type"] == "connection_ack"
            await socket.send(**subscribe)
            await wait_for_reads(1)
            await socket.send(id="1", type="complete")
            await wait_for_reads(0)
            await socket.send(**subscribe)
            await wait_for_reads(1)
        await wait_for_reads(0)
        await connection.close()
        while (after := await scrape_metrics(client))["tocsin_sockets"]:
            await asyncio.sleep(0.01)

    labels = f'kind="query",operation="{operation}"'
    assert metric_increases(before, after, "tocsin_operations_total") == {
        f'{{{labels},result="CANCELLED"}}': 2
    }
    durations = metric_increases(before, after, "tocsin_operation_duration_seconds_count")
    assert durations == {f"{{{labels}}}": 2}


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
        "python_version",
        "version",
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


@pytest.mark.parametrize(
    ("address", "settings", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("[::1]", {}, 200),
        ("192.0.2.1", {}, 401),
        ("tocsin.example", {}, 401),
        ("127.0.0.1", {"public_url": "https://tocsin.example"}, 401),
        ("127.0.0.1", {"trusted_proxies": "127.0.0.1"}, 401),
        ("192.0.2.1", {"metrics_token": "scraper"}, 200),
    ],
)
async def test_without_a_token_metrics_are_available_only_on_the_same_machine(
    address: str, settings: dict[str, Any], status: int
) -> None:
    app = create_app(Settings(bootstrap_key=SecretStr(ADMINISTRATOR), **settings))
    transport = httpx.ASGITransport(app)
    headers = {"authorization": "Bearer scraper"}

    async with httpx.AsyncClient(transport=transport, base_url=f"http://{address}") as http:
        response = await http.get("/metrics", headers=headers)

    assert response.status_code == status
    assert ("TOCSIN_METRICS_TOKEN" in response.text) == (status == 401)
    assert ("tocsin_build_info" in response.text) == (status == 200)


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


async def test_series_exist_before_the_first_operation_and_pass_the_checks_of_prometheus(
    database_url: str, serve: Serve
) -> None:
    async with serve(database_url) as client:
        await client.log_event(notification=True)
    async with serve(database_url) as client:  # which counts notifications when it starts
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while "tocsin_open_notifications 1.0" not in (text := await read_text(client)):
                await asyncio.sleep(0.1)
    checked = await asyncio.create_subprocess_exec(
        *("promtool", "check", "metrics"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    problems, _ = await checked.communicate(text.encode())

    lines = text.splitlines()
    versions = f'python_version="{python_version()}",version="{version("tocsin")}"'
    for series in (
        f"tocsin_build_info{{{versions}}} 1.0",
        'tocsin_operations_total{kind="mutation",operation="logEvent",'
        'result="INTERNAL_SERVER_ERROR"} ',
        'tocsin_operations_total{kind="subscription",operation="eventChanged",result="OK"} ',
        "tocsin_database_connections_max ",
    ):
        assert any(each.startswith(series) for each in lines)
    assert (checked.returncode, problems.decode()) == (0, "")


def test_the_dashboard_uses_existing_metrics() -> None:
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    names = {name for each in expressions for name in re.findall(r"tocsin_\w+", each)}

    known = {
        sample
        for metric in REGISTRY.collect()
        for sample in (metric.name, f"{metric.name}_total", f"{metric.name}_bucket")
    }

    assert len(names) >= 12
    assert names - known == set()


def test_the_log_events_are_documented() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    names = {
        name
        for file in (ROOT / "app").rglob("*.py")
        for name in re.findall(
            r"(?:log\.(?:info|warning|error|exception)|log_failure)\(\s*\"(\w+)\"",
            file.read_text(),
        )
    }

    assert len(names) > 25
    assert {name for name in names if f"`{name}`" not in page} == set()


async def read_text(client: Client) -> str:
    return (await client.http.get("/metrics")).text
