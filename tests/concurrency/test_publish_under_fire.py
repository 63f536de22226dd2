"""Concurrent publication: the version of a guard rule that validates a report, with two servers.

Every version has its own message. Odd versions accept the subject `passes`, even ones reject
everything; every third version only warns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client
from tests.concurrency.test_duplicates_under_fire import Servers, fetch_all_nodes, start_two_servers

VERSIONS, WRITERS = 30, 4
ERROR_FIELDS = "{ code message ... on GuardViolation { version rule { name } } }"
CREATE = """mutation ($input: CreateGuardRuleInput!) {
  createGuardRule(input: $input) { guardRule { id } userErrors { message } } }"""
EDIT = """mutation ($input: UpdateGuardRuleInput!) {
  updateGuardRule(input: $input) { userErrors { message } } }"""
PUBLISH = """mutation ($id: ID!, $version: Int) { publishGuardRule(id: $id, version: $version) {
  guardRule { publishedVersion { number message } } userErrors { message } } }"""
LOG = f"""mutation ($input: [LogEventInput!]!) {{
  logEvents(input: $input) {{
    results {{ event {{ id }} warnings {ERROR_FIELDS} userErrors {ERROR_FIELDS} }} }} }}"""
REVISE = f"""mutation ($input: UpdateEventInput!) {{
  updateEvent(input: $input) {{
    event {{ id }} warnings {ERROR_FIELDS} userErrors {ERROR_FIELDS} }} }}"""
SUBJECTS = ("refused", "passes", "refused")


@dataclass
class PublishCounter:
    """The number of publications that have begun and that have been confirmed."""

    begun: int = 0
    answered: int = 0
    over: bool = False
    stored: set[str] = field(default_factory=set)


def rule_content(version: int) -> dict[str, Any]:
    passes = "event.subject == 'passes'" if version % 2 else "false"
    return {
        # A different text each time, so that no compiled expression is reused.
        "expression": f"{passes} && {version} == {version}",
        "message": f"version {version}",
        "enforcement": "REJECT" if version % 3 else "WARN",
    }


def enforced_version(results: list[dict[str, Any]]) -> int:
    """Asserts that one version validated all of these reports. Returns its number."""
    errors = [result["userErrors"] + result["warnings"] for result in results]
    [first] = errors[0]
    version = int(first["version"])
    expected = rule_content(version)
    for subject, result, violations in zip(SUBJECTS, results, errors, strict=True):
        holds = subject == "passes" and version % 2 == 1
        violation = {
            "code": "GUARD_REJECTED",
            "message": expected["message"],
            "version": version,
            "rule": {"name": "g"},
        }
        assert violations == ([] if holds else [violation])
        assert (result["event"] is not None) == (holds or expected["enforcement"] == "WARN")
        assert bool(result["userErrors"]) == (result["event"] is None)
    return version


@pytest.fixture
async def servers(database_url: str, tmp_path: Path) -> AsyncIterator[Servers]:
    async with start_two_servers(tmp_path, database_url) as clients:
        yield clients


async def log_reports(server: Client, clock: PublishCounter) -> None:
    """Logs a list of reports. One version must validate all: none that was replaced before the
    request.
    """
    earliest = clock.answered

    payload = await server.execute_field(LOG, input=[{"subject": each} for each in SUBJECTS])

    assert earliest <= enforced_version(payload["results"]) <= clock.begun
    clock.stored |= {each["event"]["id"] for each in payload["results"] if each["event"]}


async def update_event(server: Client, clock: PublishCounter, event_id: str) -> None:
    """The same for an update."""
    earliest = clock.answered

    payload = await server.execute_field(REVISE, input={"id": event_id, "content": "revised"})

    [violation] = payload["userErrors"] + payload["warnings"]
    assert earliest <= violation["version"] <= clock.begun
    assert violation["message"] == f"version {violation['version']}"
    assert (payload["event"] is None) == bool(violation["version"] % 3)


async def test_a_report_is_validated_by_exactly_one_published_version(
    servers: Servers,
) -> None:
    clock = PublishCounter()
    free = (await servers[0].log_event(subject="refused"))["id"]
    payload = await servers[0].execute_field(CREATE, input={"name": "g"} | rule_content(1))
    rule_id = payload["guardRule"]["id"]
    await publish_rule(servers[0], clock, rule_id)

    async def write(number: int) -> None:
        while not clock.over:
            await log_reports(servers[number % 2], clock)
            await update_event(servers[(number + 1) % 2], clock, free)

    writers = [asyncio.create_task(write(number)) for number in range(WRITERS)]
    try:
        for version in range(2, VERSIONS + 1):
            edited = {"id": rule_id} | rule_content(version)
            assert (await servers[version % 2].execute_field(EDIT, input=edited))[
                "userErrors"
            ] == []
            await publish_rule(servers[(version + 1) % 2], clock, rule_id)
            for server in servers:
                await log_reports(server, clock)
    finally:
        clock.over = True
        await asyncio.gather(*writers)

    stored = await fetch_all_nodes(servers[0], STORED)
    assert {each["id"] for each in stored} == clock.stored | {free}


STORED = """query ($after: String) {
  events(first: 100, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }"""


async def publish_rule(server: Client, clock: PublishCounter, rule_id: str) -> None:
    clock.begun += 1
    payload = await server.execute_field(PUBLISH, id=rule_id)
    assert payload["userErrors"] == []
    version = payload["guardRule"]["publishedVersion"]
    assert version == {"number": clock.begun, "message": f"version {clock.begun}"}
    clock.answered += 1
