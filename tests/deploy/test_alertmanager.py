"""Debian's Alertmanager, as it is, sends to sources by its webhook and its PagerDuty receiver.

The configurations are those of the page about sources. `.ci/run` installs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.client import Client
from tests.conftest import SQLITE, Serve
from tests.contract.doc_examples import parse_blocks
from tests.daemon import run_daemon
from tests.http.test_command import find_free_port

PAGE = Path(__file__).parents[2] / "docs/guides/sources.md"
CREATE = """
mutation ($kind: SourceKind!) {
  createSource(input: {name: "Alertmanager", kind: $kind}) { source { id } token }
}
"""
EVENTS = """
query ($type: String!) {
  events(filter: {types: [$type]}, orderBy: {field: RECORDED_AT, direction: ASC}) {
    nodes { alertKey status severity summary occurrences occurredAt resolvedBy fields }
  }
}
"""
CHANGES = "{ eventChanges(first: 100) { nodes { kind } } }"
REJECTED = "{ sources { nodes { rejected { error } } } }"
PATIENCE_SECONDS = 60.0
# The shortest times that Alertmanager accepts, so that a test sees its repetitions.
TIMES = {"group_wait": "100ms", "group_interval": "300ms", "repeat_interval": "300ms"}


@pytest.fixture
def dialect() -> str:
    return SQLITE  # the sender does not depend on the database


@dataclass
class Alertmanager:
    """A running Alertmanager, and what its receiver has logged."""

    client: Client
    http: httpx.AsyncClient
    event_type: str

    async def post_alert(self, starts_at: datetime, ends_at: datetime, **annotations: str) -> None:
        """Sends the alert as Prometheus does."""
        alert = {
            "labels": {"alertname": "Disk", "instance": "pump-7", "severity": "critical"},
            "annotations": {"summary": "Disk full"} | annotations,
            "startsAt": starts_at.isoformat(),
            "endsAt": ends_at.isoformat(),
            "generatorURL": "http://prometheus.example/graph",
        }
        response = await self.http.post("/api/v2/alerts", json=[alert])
        assert response.status_code == 200, response.text

    async def list_events(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = (
            await self.client.execute_field(EVENTS, type=self.event_type)
        )["nodes"]
        return nodes

    async def list_statuses(self) -> list[str]:
        return [each["status"] for each in await self.list_events()]

    async def count_sent(self) -> float:
        """Number of notifications that Alertmanager has sent."""
        metrics = (await self.http.get("/metrics")).text
        lines = [
            line.rsplit(" ", 1)
            for line in metrics.splitlines()
            if line.startswith("alertmanager_notifications_total{")
        ]
        return sum(float(value) for _, value in lines)

    async def count_failed(self) -> float:
        metrics = (await self.http.get("/metrics")).text
        lines = [
            line.rsplit(" ", 1)
            for line in metrics.splitlines()
            if line.startswith("alertmanager_notifications_failed_total{")
        ]
        return sum(float(value) for _, value in lines)


async def wait_until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():
            await asyncio.sleep(0.05)


def read_configuration(title: str, address: str, **values: str) -> str:
    """The configuration on the page about sources, with the values of a test."""
    [block] = [each for each in parse_blocks(PAGE.read_text()) if each.title == title]
    text = block.body
    for name, value in values.items():
        text = text.replace(name, value)
    configuration = yaml.safe_load(text.replace("https://tocsin.example.com", address))
    configuration["route"] |= TIMES
    return str(yaml.safe_dump(configuration))


@pytest.fixture(params=["ALERTMANAGER", "PAGERDUTY"])
async def alertmanager(
    request: pytest.FixtureRequest, serve: Serve, database_url: str, tmp_path: Path
) -> AsyncIterator[Alertmanager]:
    """Alertmanager with the receiver of the kind, and the server that it sends to."""
    kind, port = request.param, find_free_port()
    title = "alertmanager.yml" if kind == "ALERTMANAGER" else "alertmanager-pagerduty.yml"
    async with serve(database_url) as client:
        created = await client.execute_field(CREATE, kind=kind)
        file = tmp_path / "alertmanager.yml"
        file.write_text(
            read_configuration(
                title, client.url, ID=created["source"]["id"], TOKEN=created["token"]
            )
        )
        command = (
            "prometheus-alertmanager",
            f"--config.file={file}",
            f"--storage.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        )
        async with (
            run_daemon(*command, folder=tmp_path, port=port),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
        ):
            yield Alertmanager(client, http, f"{kind.lower()}.alert")


async def test_an_alert_fires_is_repeated_resolves_and_fires_again(
    alertmanager: Alertmanager,
) -> None:
    now = datetime.now(UTC)
    started, later = now - timedelta(minutes=2), now + timedelta(hours=1)

    async def has_statuses(*expected: str) -> bool:
        return await alertmanager.list_statuses() == list(expected)

    await alertmanager.post_alert(started, later)
    await wait_until(lambda: has_statuses("OPEN"))
    sent = await alertmanager.count_sent()
    await wait_until(lambda: is_greater(alertmanager.count_sent, sent + 2))
    [repeated] = await alertmanager.list_events()
    await alertmanager.post_alert(started, datetime.now(UTC))
    await wait_until(lambda: has_statuses("RESOLVED"))
    await alertmanager.post_alert(datetime.now(UTC), later)
    await wait_until(lambda: has_statuses("RESOLVED", "OPEN"))
    changes = (await alertmanager.client.execute_field(CHANGES))["nodes"]
    failed = await alertmanager.count_failed()
    sources = (await alertmanager.client.execute_field(REJECTED))["nodes"]

    assert (repeated["status"], repeated["severity"], repeated["occurrences"]) == (
        "OPEN",
        "ERROR",
        1,
    )
    assert [each["kind"] for each in changes] == ["LOGGED", "RESOLVED", "LOGGED"]
    assert (failed, sources) == (0, [{"rejected": []}])


async def is_greater(count: Callable[[], Awaitable[float]], minimum: float) -> bool:
    return await count() > minimum
