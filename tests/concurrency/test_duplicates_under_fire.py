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
from tests.http.test_command import serving

WRITERS, FINGERPRINTS, REPEATS = map(int, os.environ.get("FIRE", "4,50,4").split(","))
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
CAUGHT = "{ duplicationRules { nodes { name caught } } }"
RESET = "mutation { resetDuplication { forgotten userErrors { message } } }"
ACKNOWLEDGE = """mutation {
  acknowledgeEvents(filter: {}) { acknowledgedCount userErrors { message } } }"""
DELETE = "mutation ($id: ID!) { deleteEvent(id: $id) { event { id } userErrors { code } } }"

Servers = Sequence[Client]


@contextlib.asynccontextmanager
async def two_servers(folder: Path, database_url: str) -> AsyncIterator[Servers]:
    """Two processes of `tocsin serve` on one database, each behind a patient client."""
    ports = free_ports(2)
    async with contextlib.AsyncExitStack() as started:
        opened = [serving(folder, port, database_url=database_url) for port in ports]
        await asyncio.gather(*(started.enter_async_context(each) for each in opened))
        clients = [Client(f"http://127.0.0.1:{port}") for port in ports]
        for client in clients:
            client.http.timeout = httpx.Timeout(PATIENCE_SECONDS)
            await started.enter_async_context(client)
        yield clients


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        free = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in free:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in free]


@pytest.fixture
async def servers(database_url: str, tmp_path: Path) -> AsyncIterator[Servers]:
    async with two_servers(tmp_path, database_url) as clients:
        yield clients


@dataclass(frozen=True)
class Answer:
    """What became of one report: COUNT, REJECT, FLAG by the rule that acted, or STORED."""

    outcome: str
    subject: str
    event_id: str | None
    first_id: str | None

    @classmethod
    def of(cls, report: dict[str, Any], result: dict[str, Any]) -> Answer:
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


async def make(client: Client, action: str, fingerprint: Sequence[str], **given: Any) -> None:
    said = {"name": action, "fingerprint": fingerprint, "window": "PT15M", "action": action}
    payload = await client.ask(MAKE, input=said | given)
    assert payload["userErrors"] == []


def reports(prefix: str = "f", **given: Any) -> list[dict[str, Any]]:
    return [
        {"subject": f"{prefix}{n}", "occurredAt": NOON, "notification": True} | given
        for n in range(FINGERPRINTS)
    ]


async def fire(servers: Servers, said: Sequence[Sequence[dict[str, Any]]]) -> list[Answer]:
    """Every writer reports what its own list says, one by one, REPEATS times each at once."""

    async def write(number: int) -> list[Answer]:
        answers = []
        for report in said[number]:
            at_once = (one(servers[(number + n) % 2], report) for n in range(REPEATS))
            answers += await asyncio.gather(*at_once)
        return answers

    return list(chain.from_iterable(await asyncio.gather(*map(write, range(WRITERS)))))


async def one(server: Client, report: dict[str, Any]) -> Answer:
    return Answer.of(report, await server.ask(LOG, input=report))


async def fire_lists(servers: Servers, said: Sequence[Sequence[dict[str, Any]]]) -> list[Answer]:
    """Every writer reports lists, every other one from the end."""

    async def write(number: int) -> list[Answer]:
        listed = list(said[number])[:: 1 - 2 * (number % 2)]
        answers = []
        for n in range(REPEATS):
            for start in range(0, len(listed), LIST):
                part = listed[start : start + LIST]
                payload = await servers[(number + n) % 2].ask(LOG_LIST, input=part)
                answers += [
                    Answer.of(report, result)
                    for report, result in zip(part, payload["results"], strict=True)
                ]
        return answers

    return list(chain.from_iterable(await asyncio.gather(*map(write, range(WRITERS)))))


async def everything(client: Client, query: str) -> list[dict[str, Any]]:
    found, after = [], None
    while True:
        page = await client.ask(query, after=after)
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


async def caught(client: Client) -> dict[str, int]:
    return {rule["name"]: rule["caught"] for rule in (await client.ask(CAUGHT))["nodes"]}


def of_each(answers: Iterable[Answer], outcome: str) -> Counter[str]:
    return Counter(each.subject for each in answers if each.outcome == outcome)


ways = pytest.mark.parametrize("shoot", [fire, fire_lists])


@ways
async def test_of_equal_reports_exactly_one_is_stored(servers: Servers, shoot: Any) -> None:
    actions = ["REJECT", "COUNT", "FLAG"]
    for action in actions:
        await make(servers[0], action, [f"fields.{action}"])
    said = [report | {"fields": {actions[n % 3]: n}} for n, report in enumerate(reports())]

    answers = await shoot(servers, [said] * WRITERS)

    stored = await everything(servers[1], STORED)
    firsts = {each["subject"]: each["id"] for each in stored if each["duplicateOf"] is None}
    assert len(firsts) == FINGERPRINTS
    assert len(answers) == FINGERPRINTS * EACH
    assert {(each.subject, each.first_id) for each in answers} == set(firsts.items())
    assert of_each(answers, "STORED") == dict.fromkeys(firsts, 1)
    for number, action in enumerate(actions):
        of_it = {report["subject"] for report in said[number::3]}
        assert of_each(answers, action) == dict.fromkeys(of_it, EACH - 1)
        kept = [each for each in stored if each["subject"] in of_it]
        assert len(kept) == len(of_it) * (EACH if action == "FLAG" else 1)
        assert {each["occurrences"] for each in kept} == {EACH if action == "COUNT" else 1}
        assert (await caught(servers[1]))[action] == len(of_it) * (EACH - 1)


async def overlapping(client: Client) -> list[list[dict[str, Any]]]:
    """Three rules, and what each writer says: every event is met by one, two or three of them."""
    event_type = (await client.ask(DEFINE))["eventType"]
    await make(client, "COUNT", ["fields.a"], eventTypeId=event_type["id"])
    await make(client, "REJECT", ["subject", "summary"])
    await make(client, "FLAG", ["subject"])
    three = [
        [report | {"type": "t", "summary": "s", "fields": {"a": n}} for n, report in numbered()],
        [report | {"summary": "s"} for _, report in numbered()],
        [report for _, report in numbered()],
    ]
    # Each writer begins with another kind, and goes round.
    return [[three[(writer + n) % 3][n] for n in range(FINGERPRINTS)] for writer in range(WRITERS)]


def numbered() -> Iterable[tuple[int, dict[str, Any]]]:
    return enumerate(reports())


@ways
async def test_of_reports_that_three_rules_meet_exactly_one_is_stored(
    servers: Servers, shoot: Any
) -> None:
    said = await overlapping(servers[0])

    answers = await shoot(servers, said)

    stored = await everything(servers[1], STORED)
    firsts = {each["subject"]: each["id"] for each in stored if each["duplicateOf"] is None}
    assert len(firsts) == FINGERPRINTS
    assert len(answers) == FINGERPRINTS * EACH
    assert {(each.subject, each.first_id) for each in answers} == set(firsts.items())
    assert of_each(answers, "STORED") == dict.fromkeys(firsts, 1)
    told = {action: of_each(answers, action).total() for action in ("COUNT", "REJECT", "FLAG")}
    assert await caught(servers[1]) == told
    assert len(stored) == FINGERPRINTS + told["FLAG"]
    counted: Counter[str] = Counter()
    for each in stored:  # those that were flagged have the subject of their first
        counted[each["subject"]] += each["occurrences"] - 1
    assert +counted == of_each(answers, "COUNT")


@ways
async def test_nothing_is_lost_while_firsts_are_forgotten_acknowledged_and_deleted(
    servers: Servers, shoot: Any
) -> None:
    said = [each[:FEWER] for each in await overlapping(servers[0])]
    over = asyncio.Event()
    deleted: set[str] = set()

    async def forget() -> None:
        while not over.is_set():
            assert (await servers[0].ask(RESET))["userErrors"] == []

    async def acknowledge() -> None:
        while not over.is_set():
            assert (await servers[1].ask(ACKNOWLEDGE))["userErrors"] == []

    async def delete() -> None:
        while not over.is_set():
            nodes = (await servers[1].ask(STORED))["nodes"]
            firsts = [each["id"] for each in nodes if each["duplicateOf"] is None]
            for event_id in firsts[: FEWER // 10]:
                payload = await servers[1].ask(DELETE, id=event_id)
                assert payload["userErrors"] == []
                deleted.add(event_id)

    meanwhile = [asyncio.create_task(each()) for each in (forget, acknowledge, delete)]
    try:
        answers = await shoot(servers, said)
    finally:
        over.set()
        await asyncio.gather(*meanwhile)

    stored = {each["id"]: each for each in await everything(servers[0], STORED)}
    kept = [each for each in answers if each.outcome in ("STORED", "FLAG")]
    assert len(answers) == FEWER * EACH
    assert {each.event_id for each in kept} == stored.keys() | deleted
    assert not deleted & stored.keys()
    counted = Counter(each.event_id for each in answers if each.outcome == "COUNT")
    assert {each["id"]: each["occurrences"] - 1 for each in stored.values()} == {
        event_id: counted[event_id] for event_id in stored
    }
    flagged = {each.event_id: each.first_id for each in answers if each.outcome == "FLAG"}
    for each in stored.values():
        first_id = flagged.get(each["id"])
        assert each["duplicateOf"] == ({"id": first_id} if first_id in stored else None)

    await servers[0].ask(RESET)
    again = await fire_lists(servers, [reports("again", summary="s")] * WRITERS)

    assert of_each(again, "STORED") == {each["subject"]: 1 for each in reports("again")}
    assert await caught(servers[0]) == {
        "COUNT": 0,
        "REJECT": of_each(again, "REJECT").total(),
        "FLAG": 0,
    }
