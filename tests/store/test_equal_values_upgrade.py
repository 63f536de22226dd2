"""Upgrade of a database whose digests compare notations instead of values."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import JSON, bindparam, delete, text
from sqlmodel import col

from app.database_setup import prepare_database
from app.store import tables
from app.store.engine import dialect
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import Client
from tests.conftest import Serve, build_settings
from tests.graphql.test_duplicates import LOG
from tests.store import old_database
from tests.store.test_search_index import empty_url

__all__ = ["empty_url"]

RULES = "{ duplicationRules { nodes { name matchCount } } }"
RESET = "mutation { resetDuplication { clearedCount } }"
NOON = "2026-04-10T12:00:00Z"


@pytest.fixture
async def old_url(empty_url: str) -> str:
    """A database that the code before digests by value has written."""
    engine = dialect.create_migration_engine(dialect.parse_database_url(empty_url))
    async with engine.begin() as connection:
        await connection.run_sync(old_database.load)
    await engine.dispose()
    return empty_url


async def log(client: Client, **report: Any) -> Any:
    return await client.execute_field(LOG, input={"occurredAt": NOON} | report)


async def test_no_report_of_before_the_upgrade_is_a_conflict(old_url: str, serve: Serve) -> None:
    await prepare_database(build_settings(old_url))

    async with serve(old_url) as client:
        replies = {
            name: await client.execute_field(LOG, input=old_database.report(name))
            for name in old_database.REPORTS
        }
        total = (await client.execute_field("{ events { totalCount } }"))["totalCount"]

    assert [(name, reply["userErrors"]) for name, reply in replies.items()] == [
        (name, []) for name in old_database.REPORTS
    ]
    assert all(reply["duplicate"] for reply in replies.values())
    assert replies["gauge"]["event"]["occurrences"] == 2  # replays are not counted
    assert total == 9


async def test_a_report_of_before_the_upgrade_with_other_content_is_a_conflict(
    old_url: str, serve: Serve
) -> None:
    await prepare_database(build_settings(old_url))

    async with serve(old_url) as client:
        reply = await client.execute_field(
            LOG, input=old_database.report("host") | {"summary": "another"}
        )

    assert [error["code"] for error in reply["userErrors"]] == ["CONFLICT"]


EQUAL_REPORTS: dict[str, tuple[str, dict[str, Any]]] = {
    "an instant with another offset, a set in another order": (
        "gauge",
        {
            "type": "gauge",
            "fields": {"started": "2026-04-10T12:00:00.000Z", "colors": ["green", "red"]},
        },
    ),
    "the same notation": (
        "gauge",
        {
            "type": "gauge",
            "fields": {"started": "2026-04-10T14:00:00+02:00", "colors": ["red", "green"]},
        },
    ),
    "the values that the event had when it was logged": (
        "updated",
        {
            "type": "gauge",
            "fields": {"started": "2026-04-12T12:00:00Z", "colors": ["blue", "red"]},
        },
    ),
    "tags in another order": ("tags", {"type": "tagged", "tags": ["a", "b"]}),
    "a nested path": (
        "host",
        {"type": "host", "subject": "s", "fields": {"labels": {"host": "db-1"}}},
    ),
    "a key with a dot": (
        "unchanged",
        {"type": "host", "subject": "s", "fields": {"labels": {"host": "db-9"}}},
    ),
    "an absent value instead of null": (
        "state",
        {"type": "state", "entity": {"type": "Pump", "id": "1"}},
    ),
    "one of two originals that became equal": (
        "merged",
        {"type": "gauge", "fields": {"started": "2026-04-11T12:00:00+00:00"}},
    ),
}


@pytest.mark.parametrize("kind", EQUAL_REPORTS)
async def test_an_equal_report_after_the_upgrade_is_a_duplicate(
    old_url: str, serve: Serve, kind: str
) -> None:
    original, report = EQUAL_REPORTS[kind]
    await prepare_database(build_settings(old_url))

    async with serve(old_url) as client:
        known = await client.execute_field(LOG, input=old_database.report(original))
        reply = await log(client, **report)

    assert (reply["userErrors"], reply["duplicate"]) == ([], True)
    assert reply["event"]["id"] == known["event"]["id"]
    assert reply["event"]["occurrences"] == known["event"]["occurrences"] + 1


async def test_an_event_with_another_nested_value_is_no_duplicate_after_the_upgrade(
    old_url: str, serve: Serve
) -> None:
    await prepare_database(build_settings(old_url))

    async with serve(old_url) as client:
        other = await log(client, type="host", subject="s", fields={"labels": {"host": "db-2"}})
        current = await log(client, type="gauge", **old_database.UPDATE)

    assert (other["userErrors"], other["duplicate"]) == ([], False)
    # Fingerprints are those of events as they were logged.
    assert (current["userErrors"], current["duplicate"]) == ([], False)


async def test_a_rule_with_only_nested_paths_has_no_original_from_before_the_upgrade(
    old_url: str, serve: Serve
) -> None:
    database = Database(old_url)
    rule = "rule_id = (SELECT id FROM duplication_rule WHERE name = 'host')"
    async with database.write(ALL_ORGANIZATIONS) as session:
        # The old version stored no fingerprint for such a rule.
        for table in ("first_event", "fingerprint"):
            await session.execute(text(f"DELETE FROM {table} WHERE {rule}"))
        await session.execute(
            text("UPDATE duplication_rule SET fingerprint = :paths WHERE name = 'host'").bindparams(
                bindparam("paths", ["fields.labels.host"], JSON)
            )
        )
    await database.close()
    await prepare_database(build_settings(old_url))
    report = {"type": "host", "fields": {"labels": {"host": "db-1"}}}

    async with serve(old_url) as client:
        first = await log(client, **report)
        second = await log(client, **report)

    assert (first["userErrors"], first["duplicate"]) == ([], False)
    assert (second["userErrors"], second["duplicate"]) == ([], True)
    assert second["event"] == first["event"] | {"occurrences": 2}


async def test_counts_of_duplicates_are_kept_by_the_upgrade(old_url: str, serve: Serve) -> None:
    await prepare_database(build_settings(old_url))

    async with serve(old_url) as client:
        nodes = (await client.execute_field(RULES))["nodes"]
        reset = await client.execute_field(RESET)

    assert {each["name"]: each["matchCount"] for each in nodes} == {
        "gauge": 2,
        "tags": 0,
        "host": 0,
        "state": 0,
    }
    assert reset == {"clearedCount": 7}  # two of eight became one


async def test_an_updated_event_without_its_log_entries_keeps_its_fingerprint(
    old_url: str, serve: Serve
) -> None:
    database = Database(old_url)
    async with database.write(ALL_ORGANIZATIONS) as session:
        event_id = (
            await session.execute(text("SELECT id FROM event WHERE source_id = 'updated'"))
        ).scalar_one()
        await session.execute(
            delete(tables.Change).where(col(tables.Change.subject_id) == UUID(str(event_id)))
        )
    await database.close()
    await prepare_database(build_settings(old_url))

    async with serve(old_url) as client:
        reply = await log(client, **old_database.REPORTS["updated"])
        others = await log(
            client, **EQUAL_REPORTS["an instant with another offset, a set in another order"][1]
        )

    assert (reply["userErrors"], others["duplicate"]) == ([], True)
