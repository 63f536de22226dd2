"""Duplicates under fire: two servers, one database, and the same reports from all sides at once.

`FIRE=8,200,8` sets writers, fingerprints and repeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client import Client
from tests.http.test_command import start_server

WRITERS, FINGERPRINTS, REPEATS = map(int, os.environ.get("FIRE", "4,30,4").split(","))
EACH = WRITERS * REPEATS
NOON = "2026-04-10T12:00:00Z"
FEWER = max(10, FINGERPRINTS * 2 // 5)  # where much else goes on meanwhile
LIST = 100
PATIENCE_SECONDS = 300.0
RESULT = """
  event { id occurrences duplicateOf { id } } duplicate
  userErrors { code message ... on DuplicateError { rule { name } existing { id } } }
"""
LOG = f"mutation ($input: LogEventInput!) {{ logEvent(input: $input) {{ {RESULT} }} }}"
LOG_LIST = f"""mutation ($input: [LogEventInput!]!) {{
  logEvents(input: $input) {{ accepted duplicates rejected results {{ {RESULT} }} }}
}}"""
MAKE = """mutation ($input: CreateDuplicationRuleInput!) {
  createDuplicationRule(input: $input) { duplicationRule { id } userErrors { message } } }"""
DEFINE = """mutation {
  createEventType(input: {name: "T", type: "t", state: PUBLISHED, fields: [
    {name: "a", kind: NUMBER}
  ]}) { eventType { id } userErrors { message } } }"""
STORED = """query ($after: String) { events(first: 100, after: $after) {
  nodes { id subject occurrences duplicateOf { id } } pageInfo { hasNextPage endCursor } } }"""
MATCH_COUNTS = "{ duplicationRules { nodes { name matchCount } } }"
RESET = "mutation { resetDuplication { clearedCount userErrors { message } } }"
ACKNOWLEDGE = """mutation {
  acknowledgeEvents(filter: {}) { acknowledgedCount userErrors { message } } }"""
DELETE = "mutation ($id: ID!) { deleteEvent(id: $id) { event { id } userErrors { code } } }"

Servers = Sequence[Client]


@contextlib.asynccontextmanager
async def start_two_servers(folder: Path, database_url: str) -> AsyncIterator[Servers]:
    """Two processes of `tocsin serve` on one database, each behind a patient client."""
    ports = find_free_ports(2)
    async with contextlib.AsyncExitStack() as started:
        opened = [start_server(folder, port, database_url=database_url) for port in ports]
        await asyncio.gather(*(started.enter_async_context(each) for each in opened))
        clients = [Client(f"http://127.0.0.1:{port}") for port in ports]
        for client in clients:
            client.http.timeout = httpx.Timeout(PATIENCE_SECONDS)
            await started.enter_async_context(client)
        yield clients


def find_free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        free = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in free:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in free]


@pytest.fixture
async def servers(database_url: str, tmp_path: Path) -> AsyncIterator[Servers]:
    async with start_two_servers(tmp_path, database_url) as clients:
        yield clients


@dataclass(frozen=True)
class EventResult:
    """What became of one report: COUNT, REJECT, FLAG by the rule that acted, or STORED."""

    outcome: str
    subject: str
    event_id: str | None
    first_id: str | None

    @classmethod
    def from_payload(cls, report: dict[str, Any], result: dict[str, Any]) -> EventResult:
        event, subject = result["event"], report["subject"]
        if result["userErrors"]:
            [error] = result["userErrors"]
            assert error["code"] == "DUPLICATE", error
            assert event is None
            existing = error["existing"]
            return cls("REJECT", subject, None, existing and existing["id"])
        if not result["duplicate"]:
            return cls("STORED", subject, event["id"], event["id"])
        if event["occurrences"] > 1:
            return cls("COUNT", subject, event["id"], event["id"])
        first = event["duplicateOf"]
        return cls("FLAG", subject, event["id"], first and first["id"])


async def create_rule(
    client: Client, action: str, fingerprint: Sequence[str], **overrides: Any
) -> None:
    defaults = {"name": action, "fingerprint": fingerprint, "window": "PT15M", "action": action}
    payload = await client.execute_field(MAKE, input=defaults | overrides)
    assert payload["userErrors"] == []


def build_reports(prefix: str = "f", **overrides: Any) -> list[dict[str, Any]]:
    return [
        {"subject": f"{prefix}{n}", "occurredAt": NOON, "notification": True} | overrides
        for n in range(FINGERPRINTS)
    ]


async def send_concurrently(
    servers: Servers, reports_by_writer: Sequence[Sequence[dict[str, Any]]]
) -> list[EventResult]:
    """Every writer reports what its own list says, one by one, REPEATS times each at once."""

    async def write(number: int) -> list[EventResult]:
        answers = []
        for report in reports_by_writer[number]:
            at_once = (send_report(servers[(number + n) % 2], report) for n in range(REPEATS))
            answers += await asyncio.gather(*at_once)
        return answers

    return list(chain.from_iterable(await asyncio.gather(*map(write, range(WRITERS)))))


async def send_report(server: Client, report: dict[str, Any]) -> EventResult:
    return EventResult.from_payload(report, await server.execute_field(LOG, input=report))


async def send_lists_concurrently(
    servers: Servers, reports_by_writer: Sequence[Sequence[dict[str, Any]]]
) -> list[EventResult]:
    """Every writer reports lists, every other one from the end."""

    async def write(number: int) -> list[EventResult]:
        listed = list(reports_by_writer[number])[:: 1 - 2 * (number % 2)]
        answers = []
        for n in range(REPEATS):
            for start in range(0, len(listed), LIST):
                part = listed[start : start + LIST]
                payload = await servers[(number + n) % 2].execute_field(LOG_LIST, input=part)
                answers += [
                    EventResult.from_payload(report, result)
                    for report, result in zip(part, payload["results"], strict=True)
                ]
        return answers

    return list(chain.from_iterable(await asyncio.gather(*map(write, range(WRITERS)))))


async def fetch_all_nodes(client: Client, query: str) -> list[dict[str, Any]]:
    nodes, after = [], None
    while True:
        page = await client.execute_field(query, after=after)
        nodes += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return nodes
        after = page["pageInfo"]["endCursor"]


async def fetch_match_counts(client: Client) -> dict[str, int]:
    rules = (await client.execute_field(MATCH_COUNTS))["nodes"]
    return {rule["name"]: rule["matchCount"] for rule in rules}


def count_by_subject(answers: Iterable[EventResult], outcome: str) -> Counter[str]:
    return Counter(each.subject for each in answers if each.outcome == outcome)


ways = pytest.mark.parametrize("shoot", [send_concurrently, send_lists_concurrently])


@ways
async def test_of_equal_reports_exactly_one_is_stored(servers: Servers, shoot: Any) -> None:
    actions = ["REJECT", "COUNT", "FLAG"]
    for action in actions:
        await create_rule(servers[0], action, [f"fields.{action}"])
    reports_by_writer = [
        report | {"fields": {actions[n % 3]: n}} for n, report in enumerate(build_reports())
    ]

    answers = await shoot(servers, [reports_by_writer] * WRITERS)

    stored = await check_originals(servers[1], answers)
    for number, action in enumerate(actions):
        of_it = {report["subject"] for report in reports_by_writer[number::3]}
        assert count_by_subject(answers, action) == dict.fromkeys(of_it, EACH - 1)
        matching = [each for each in stored if each["subject"] in of_it]
        assert len(matching) == len(of_it) * (EACH if action == "FLAG" else 1)
        assert {each["occurrences"] for each in matching} == {EACH if action == "COUNT" else 1}
        assert (await fetch_match_counts(servers[1]))[action] == len(of_it) * (EACH - 1)


async def check_originals(client: Client, answers: Sequence[EventResult]) -> list[Any]:
    """Checks that one report of each subject was stored first. Returns the stored events."""
    stored = await fetch_all_nodes(client, STORED)
    firsts = {each["subject"]: each["id"] for each in stored if each["duplicateOf"] is None}
    assert len(firsts) == FINGERPRINTS
    assert len(answers) == FINGERPRINTS * EACH
    assert {(each.subject, each.first_id) for each in answers} == set(firsts.items())
    assert count_by_subject(answers, "STORED") == dict.fromkeys(firsts, 1)
    return stored


async def create_overlapping_rules(client: Client) -> list[list[dict[str, Any]]]:
    """Three rules, and what each writer says: every event is met by one, two or three of them."""
    event_type = (await client.execute_field(DEFINE))["eventType"]
    await create_rule(client, "COUNT", ["fields.a"], eventTypeId=event_type["id"])
    await create_rule(client, "REJECT", ["subject", "summary"])
    await create_rule(client, "FLAG", ["subject"])
    three = [
        [
            report | {"type": "t", "summary": "s", "fields": {"a": n}}
            for n, report in enumerate_reports()
        ],
        [report | {"summary": "s"} for _, report in enumerate_reports()],
        [report for _, report in enumerate_reports()],
    ]
    # Each writer begins with another kind, and goes round.
    return [[three[(writer + n) % 3][n] for n in range(FINGERPRINTS)] for writer in range(WRITERS)]


def enumerate_reports() -> Iterable[tuple[int, dict[str, Any]]]:
    return enumerate(build_reports())


@ways
async def test_of_reports_that_three_rules_meet_exactly_one_is_stored(
    servers: Servers, shoot: Any
) -> None:
    reports_by_writer = await create_overlapping_rules(servers[0])

    answers = await shoot(servers, reports_by_writer)

    stored = await check_originals(servers[1], answers)
    totals = {
        action: count_by_subject(answers, action).total() for action in ("COUNT", "REJECT", "FLAG")
    }
    assert await fetch_match_counts(servers[1]) == totals
    assert len(stored) == FINGERPRINTS + totals["FLAG"]
    counted: Counter[str] = Counter()
    for each in stored:  # those that were flagged have the subject of their first
        counted[each["subject"]] += each["occurrences"] - 1
    assert +counted == count_by_subject(answers, "COUNT")


@ways
async def test_nothing_is_lost_while_firsts_are_forgotten_acknowledged_and_deleted(
    servers: Servers, shoot: Any
) -> None:
    reports_by_writer = [each[:FEWER] for each in await create_overlapping_rules(servers[0])]
    over = asyncio.Event()
    deleted: set[str] = set()

    async def forget() -> None:
        while not over.is_set():
            assert (await servers[0].execute_field(RESET))["userErrors"] == []

    async def acknowledge() -> None:
        while not over.is_set():
            assert (await servers[1].execute_field(ACKNOWLEDGE))["userErrors"] == []

    async def delete() -> None:
        while not over.is_set():
            nodes = (await servers[1].execute_field(STORED))["nodes"]
            firsts = [each["id"] for each in nodes if each["duplicateOf"] is None]
            for event_id in firsts[: FEWER // 10]:
                payload = await servers[1].execute_field(DELETE, id=event_id)
                assert payload["userErrors"] == []
                deleted.add(event_id)

    meanwhile = [asyncio.create_task(each()) for each in (forget, acknowledge, delete)]
    try:
        answers = await shoot(servers, reports_by_writer)
    finally:
        over.set()
        await asyncio.gather(*meanwhile)

    stored = {each["id"]: each for each in await fetch_all_nodes(servers[0], STORED)}
    stored_answers = [each for each in answers if each.outcome in ("STORED", "FLAG")]
    assert len(answers) == FEWER * EACH
    assert {each.event_id for each in stored_answers} == stored.keys() | deleted
    assert not deleted & stored.keys()
    counted = Counter(each.event_id for each in answers if each.outcome == "COUNT")
    assert {each["id"]: each["occurrences"] - 1 for each in stored.values()} == {
        event_id: counted[event_id] for event_id in stored
    }
    flagged = {each.event_id: each.first_id for each in answers if each.outcome == "FLAG"}
    for each in stored.values():
        first_id = flagged.get(each["id"])
        assert each["duplicateOf"] == ({"id": first_id} if first_id in stored else None)

    await servers[0].execute_field(RESET)
    again = await send_lists_concurrently(servers, [build_reports("again", summary="s")] * WRITERS)

    assert count_by_subject(again, "STORED") == {
        each["subject"]: 1 for each in build_reports("again")
    }
    assert await fetch_match_counts(servers[0]) == {
        "COUNT": 0,
        "REJECT": count_by_subject(again, "REJECT").total(),
        "FLAG": 0,
    }
