"""Counters of events: `totalCount` of all events, and by type, severity, status, notification."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from app.database_setup import prepare_database
from app.domain.events.severity import Severity
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.verification import verify_database
from tests.client import Client
from tests.conftest import Serve, Statements, build_settings
from tests.store.undone_migrations import undo_0039

COUNT = "query ($filter: EventFilter) { events(filter: $filter) { totalCount } }"
LOG = """mutation ($input: [LogEventInput!]!) {
  logEvents(input: $input) { accepted } }"""
UPDATE = """mutation ($input: UpdateEventInput!) {
  updateEvent(input: $input) { userErrors { message } } }"""
CHANGE = """mutation ($id: ID!) {{ {}(id: $id) {{ userErrors {{ message }} }} }}"""


async def count(client: Client, **filter: Any) -> int:
    return int((await client.execute_field(COUNT, filter=filter))["totalCount"])


async def test_counters_follow_every_change(own_client: Client, database: Database) -> None:
    event = await own_client.log_event(type="pump", severity="WARN", notification=True)
    id = event["id"]
    quiet = await own_client.log_event(type="valve", severity="INFO")
    seen = []

    async def observe() -> None:
        statuses = [
            await count(own_client, statuses=[s]) for s in ("OPEN", "ACKNOWLEDGED", "RESOLVED")
        ]
        severities = [await count(own_client, severities=[s]) for s in ("INFO", "WARN", "ERROR")]
        seen.append((await count(own_client), statuses, severities))

    await observe()
    await own_client.execute_field(UPDATE, input={"id": id, "severity": "ERROR"})
    await observe()
    for change in ("acknowledgeEvent", "resolveEvent", "reopenEvent", "deleteEvent"):
        await own_client.execute_field(CHANGE.format(change), id=id)
        await observe()
    await own_client.execute_field(UPDATE, input={"id": quiet["id"], "summary": "quiet"})
    await observe()

    assert seen == [
        (2, [1, 0, 0], [1, 1, 0]),
        (2, [1, 0, 0], [1, 0, 1]),
        (2, [0, 1, 0], [1, 0, 1]),
        (2, [0, 0, 1], [1, 0, 1]),
        (2, [0, 1, 0], [1, 0, 1]),
        (1, [0, 0, 0], [1, 0, 0]),
        (1, [0, 0, 0], [1, 0, 0]),
    ]
    assert (await verify_database(database, lambda _: None)).problems == []


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({}, 4),
        ({"types": ["pump"]}, 2),
        ({"types": ["pump", "valve", "pump"]}, 3),
        ({"types": []}, 0),
        ({"severities": ["INFO", "ERROR"]}, 3),
        ({"statuses": ["OPEN"]}, 2),
        ({"notification": False}, 2),
        ({"types": ["pump"], "notification": True, "severities": ["ERROR"]}, 1),
    ],
)
async def test_a_count_by_counted_attributes_reads_no_event(
    own_client: Client, statements: Statements, filter: dict[str, Any], expected: int
) -> None:
    events = [
        {"type": "pump", "severity": "ERROR", "notification": True},
        {"type": "pump", "severity": "INFO", "notification": False},
        {"type": "valve", "severity": "INFO", "notification": False},
        {"type": "a", "severity": "WARN", "notification": True},
    ]
    await own_client.execute_field(
        LOG, input=[each | {"summary": "", "source": "/s"} for each in events]
    )
    statements.clear()

    assert await count(own_client, **filter) == expected

    assert any("event_count" in each for each in statements)
    assert not any("count(*)" in each.lower() for each in statements)


async def test_a_count_by_other_attributes_reads_events(
    own_client: Client, statements: Statements
) -> None:
    for type_name in ("pump", "pumpkin", "valve"):
        await own_client.log_event(type=type_name, source="/s")
    statements.clear()

    counts = [
        await count(own_client, types=[""]),
        await count(own_client, types=["", "pump"]),
        await count(own_client, types=["pump*"]),
        await count(own_client, source="/s", severities=["INFO"]),
        await count(own_client, **{"not": {"types": ["pump"]}}),
    ]

    assert counts == [0, 1, 2, 3, 2]
    assert not any("event_count" in each for each in statements)


async def test_writers_at_the_same_time_are_all_counted(
    own_client: Client, database: Database, database_url: str, serve: Serve
) -> None:
    async with serve(database_url) as other:
        calls = [
            client.execute_field(
                LOG,
                input=[
                    {"type": f"type{(n + m) % 5}", "summary": "", "source": "/s"} for m in range(5)
                ],
            )
            for n in range(20)
            for client in (own_client, other)
        ]
        await asyncio.gather(*calls)

    assert await count(own_client) == 200
    assert await count(own_client, types=["type3"]) == 40
    assert (await verify_database(database, lambda _: None)).problems == []


async def test_an_organization_counts_its_own_events(own_client: Client, client: Client) -> None:
    await own_client.log_event()

    before = await count(client)
    await client.log_event()

    assert (await count(client), await count(own_client)) == (before + 1, 1)


async def test_an_upgrade_counts_the_stored_events(
    own_client: Client, database: Database, database_url: str, dialect: str
) -> None:
    for severity in Severity:
        await own_client.log_event(type="pump", severity=severity.name)
    async with database.write(ALL_ORGANIZATIONS) as session:
        for statement in (
            *undo_0039(dialect),
            "UPDATE alembic_version SET version_num = '0038'",
        ):
            await session.execute(text(statement))

    await prepare_database(build_settings(database_url))

    assert await count(own_client) == await count(own_client, types=["pump"]) == len(Severity)
    assert await count(own_client, severities=["INFO"]) == 1
    assert (await verify_database(database, lambda _: None)).problems == []


async def test_verification_finds_counters_that_are_wrong(
    own_client: Client, database: Database
) -> None:
    await own_client.log_event(type="pump", severity="INFO", notification=False)
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(
            text("UPDATE event_count SET events = events + 1 WHERE type = 'pump'")
        )

    problems = (await verify_database(database, lambda _: None)).problems

    assert problems == [
        "Organization 'default': The number of events of the type 'pump' with the severity INFO, "
        "no status and notification false is 1, but the counter is 2."
    ]
