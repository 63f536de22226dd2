"""Retention policies: what they delete, what they keep, and who may create them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select, update
from sqlmodel import col

from app.domain.access.caller import Permission
from app.domain.shared.limits import Limits, RetentionLimits
from app.services.events.bulk_changes import BATCH_SIZE
from app.services.events.events import delete_selected
from app.services.retention import application
from app.services.retention.application import apply_due_policies
from app.services.shared import leases
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import TIMEOUT_SECONDS, Client
from tests.conftest import Serve
from tests.factories import create_api_key
from tests.graphql.test_deliveries import create_channel

PAYLOAD = """
{ retentionPolicy { id name target filter keepFor lastAppliedAt } userErrors { code message path } }
"""
CREATE = f"""
mutation ($input: CreateRetentionPolicyInput!) {{ createRetentionPolicy(input: $input) {PAYLOAD} }}
"""
UPDATE = f"""
mutation ($input: UpdateRetentionPolicyInput!) {{ updateRetentionPolicy(input: $input) {PAYLOAD} }}
"""
DELETE = f"mutation ($id: ID!) {{ deleteRetentionPolicy(id: $id) {PAYLOAD} }}"
POLICIES = """
query ($first: Int = 20, $after: String) {
  retentionPolicies(first: $first, after: $after) {
    totalCount nodes { id name target filter keepFor lastAppliedAt } pageInfo { endCursor }
  }
}
"""
NODE = "query ($id: ID!) { node(id: $id) { __typename id ... on RetentionPolicy { name } } }"
SUMMARIES = (
    "{ events(first: 100, orderBy: {field: RECORDED_AT, direction: ASC}) { nodes { summary } } }"
)
AUDIT = """
query ($actions: [AuditAction!]) {
  auditEntries(filter: {actions: $actions}) { nodes { actor subjectType subjectName changes } }
}
"""
LOG_EVENTS = "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { accepted } }"
CHANGES = "{ eventChanges(first: 100) { nodes { kind actor } } }"
EVERYTHING = {"name": "all", "filter": {}, "keepFor": "P30D"}
OLD = datetime.now(UTC) - timedelta(days=31)
# Applied at once, without a pause.
RETENTION = RetentionLimits(max_time_percent=100)


async def create_policy(client: Client, **input: Any) -> Any:
    payload = await client.execute_field(CREATE, input=EVERYTHING | input)
    assert payload["userErrors"] == []
    return payload["retentionPolicy"]


async def make_old(database: Database, *summaries: str, **more: datetime) -> None:
    """Changes the times of events and of all log entries, which clients cannot set."""
    times = {"occurred_at": OLD, "recorded_at": OLD, "updated_at": OLD} | more
    of_events = update(tables.Event).where(col(tables.Event.summary).in_(summaries))
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(of_events.values(**times))
        await session.execute(update(tables.Change).values(at=OLD))


async def list_summaries(client: Client) -> list[str]:
    return [each["summary"] for each in (await client.execute_field(SUMMARIES))["nodes"]]


@pytest.fixture
def retention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the application of policies to the test."""
    monkeypatch.setattr(application, "RETRY_SECONDS", 10 * TIMEOUT_SECONDS)


async def test_a_policy_is_created_listed_changed_and_deleted_with_audit_entries(
    client: Client,
) -> None:
    filter = {
        "types": ["sensor.*"],
        "severities": ["INFO"],
        "occurredAt": {"from": "2026-01-01T00:00:00.000000Z"},
        "missing": ["SOURCE_ID"],
        "fields": [{"field": "a", "operator": "IN", "value": [1, "x"]}],
        "not": {"tags": {"any": ["keep"]}, "ids": [str(uuid4())]},
    }
    created = await create_policy(client, name="Sensors", filter=filter, keepFor="P90D")
    other = await create_policy(client, name="History", target="HISTORY", filter=None)

    listed = await client.execute_field(POLICIES)
    page = await client.execute_field(POLICIES, first=1)
    second = await client.execute_field(POLICIES, after=page["pageInfo"]["endCursor"])
    node = await client.execute_field(NODE, id=created["id"])
    changed = await client.execute_field(
        UPDATE, input={"id": created["id"], "name": "S", "filter": {}, "keepFor": "P1W"}
    )
    deleted = await client.execute_field(DELETE, id=created["id"])
    left = await client.execute_field(POLICIES)

    names = {"id": created["id"], "name": "Sensors", "target": "EVENTS"}
    assert created == names | {"filter": filter, "keepFor": "P90D", "lastAppliedAt": None}
    assert [each["id"] for each in listed["nodes"]] == [created["id"], other["id"]]
    assert listed["totalCount"] == 2
    assert [each["id"] for each in second["nodes"]] == [other["id"]]
    assert node == {"__typename": "RetentionPolicy", "id": created["id"], "name": "Sensors"}
    after = changed["retentionPolicy"]
    assert (after["name"], after["filter"], after["keepFor"]) == ("S", {}, "P7D")
    assert deleted["retentionPolicy"]["id"] == created["id"]
    assert [each["id"] for each in left["nodes"]] == [other["id"]]
    audit = await client.execute_field(AUDIT, actions=["CREATED", "UPDATED", "DELETED"])
    values = {"name": "S", "target": "EVENTS", "filter": {}, "keepFor": "P7D"}
    assert [
        (each["subjectName"], each["changes"])
        for each in audit["nodes"]
        if each["subjectType"] == "RetentionPolicy"
    ] == [
        ("S", {name: [value, None] for name, value in values.items()}),
        (
            "S",
            {"name": ["Sensors", "S"], "filter": [filter, {}], "keepFor": ["P90D", "P7D"]},
        ),
        (
            "History",
            {"name": [None, "History"], "target": [None, "HISTORY"], "keepFor": [None, "P30D"]},
        ),
        (
            "Sensors",
            {
                "name": [None, "Sensors"],
                "target": [None, "EVENTS"],
                "filter": [None, filter],
                "keepFor": [None, "P90D"],
            },
        ),
    ]


async def test_invalid_policies_are_rejected_and_not_stored(client: Client) -> None:
    invalid: list[tuple[dict[str, Any], str, str]] = [
        ({"name": ""}, "name", "name must not be empty."),
        (
            {"keepFor": "PT23H"},
            "keepFor",
            "keepFor must be from P1D to P36600D.",
        ),
        ({"keepFor": "P36601D"}, "keepFor", "keepFor must be from P1D to P36600D."),
        (
            {"filter": None},
            "filter",
            "A policy for events requires a filter. To select all events, use {}.",
        ),
        (
            {"target": "HISTORY"},
            "filter",
            "A policy for the history must not have a filter. Omit the filter.",
        ),
        (
            {"keepFor": "P1M"},
            "keepFor",
            "keepFor must not be in years or months, because their length varies. Use days, such "
            "as P30D.",
        ),
    ]

    answers = [
        await client.execute_field(CREATE, input=EVERYTHING | changes) for changes, _, _ in invalid
    ]
    unknown = await client.expect_error(
        CREATE, input=EVERYTHING | {"filter": {"types": ["x"], "search": "..."}}
    )

    assert [each["userErrors"] for each in answers] == [
        [{"code": "INVALID_INPUT", "message": message, "path": ["input", name]}]
        for _, name, message in invalid
    ]
    assert unknown["extensions"]["code"] == "BAD_USER_INPUT"
    assert (await client.execute_field(POLICIES))["nodes"] == []


async def test_changes_that_cannot_be_made_are_rejected(client: Client) -> None:
    policy = await create_policy(client)
    missing = str(uuid4())

    null = await client.execute_field(UPDATE, input={"id": policy["id"], "keepFor": None})
    unknown = await client.execute_field(UPDATE, input={"id": missing, "name": "x"})
    deleted = await client.execute_field(DELETE, id=missing)

    message = f"There is no retention policy {missing}."
    assert null["userErrors"][0]["path"] == ["input", "keepFor"]
    assert unknown["userErrors"] == [
        {"code": "NOT_FOUND", "message": message, "path": ["input", "id"]}
    ]
    assert deleted["userErrors"] == [{"code": "NOT_FOUND", "message": message, "path": ["id"]}]
    [left] = (await client.execute_field(POLICIES))["nodes"]
    assert (left["name"], left["keepFor"]) == ("all", "P30D")


async def test_only_who_may_delete_events_creates_and_changes_policies(
    own_client: Client, database: Database
) -> None:
    policy = await create_policy(own_client)
    for_keys = own_client.as_key(await create_api_key(database, Permission.ORGANIZATION_MANAGE))
    for_events = own_client.as_key(await create_api_key(database, Permission.EVENT_DELETE))

    errors = [
        await caller.expect_error(operation, input=input)
        for caller in (for_keys, for_events)
        for operation, input in ((CREATE, EVERYTHING), (UPDATE, {"id": policy["id"], "name": "x"}))
    ]
    deleted = await for_keys.execute_field(DELETE, id=policy["id"])

    assert [each["extensions"]["code"] for each in errors] == ["FORBIDDEN"] * 4
    assert errors[0]["message"] == (
        "A retention policy deletes events, which requires the permission EVENT_DELETE."
    )
    assert deleted["userErrors"] == []


async def test_an_organization_has_a_maximum_number_of_policies(
    database_url: str, serve: Serve
) -> None:
    async with serve(database_url, limits={"retention_policies": 1}) as client:
        await create_policy(client)

        payload = await client.execute_field(CREATE, input=EVERYTHING)

        assert payload["userErrors"] == [
            {
                "code": "LIMIT_REACHED",
                "message": "The organization has the maximum number of retention policies, 1. "
                "Delete one of them first.",
                "path": ["input"],
            }
        ]
        assert (await client.execute_field(POLICIES))["totalCount"] == 1


@pytest.mark.usefixtures("retention")
async def test_events_are_deleted_once_they_are_older_than_their_policy_allows(
    own_client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "MAX_SELECTED_EVENTS", 2)
    other = own_client.as_key(await create_api_key(database, *Permission, organization="acme"))
    names = ["old 1", "old 2", "old 3", "updated", "repeated", "kept type"]
    for name in names:
        await own_client.log_event(summary=name, type="b" if name == "kept type" else "a.x")
    await other.log_event(summary="old 1", type="a.x")
    await make_old(database, *names)
    await make_old(database, "updated", updated_at=datetime.now(UTC))
    await make_old(database, "repeated", last_occurred_at=datetime.now(UTC))
    await own_client.log_event(summary="new", type="a.x")
    policy = await create_policy(own_client, name="A", filter={"types": ["a.*"]})

    await apply_due_policies(database, RETENTION, Limits())
    await apply_due_policies(database, RETENTION, Limits())

    assert await list_summaries(own_client) == ["updated", "repeated", "kept type", "new"]
    assert await list_summaries(other) == ["old 1"]
    changes = (await own_client.execute_field(CHANGES))["nodes"]
    deletions = [each["actor"] for each in changes if each["kind"] == "DELETED"]
    assert deletions == ["retention policy A"] * 3
    [entry] = (await own_client.execute_field(AUDIT, actions=["RETENTION_APPLIED"]))["nodes"]
    before = entry["changes"].pop("before")[1]
    assert entry == {
        "actor": "retention policy A",
        "subjectType": "RetentionPolicy",
        "subjectName": "A",
        "changes": {"deletedEvents": [None, 3]},
    }
    [applied] = (await own_client.execute_field(POLICIES))["nodes"]
    assert applied["id"] == policy["id"]
    applied_at = datetime.fromisoformat(applied["lastAppliedAt"])
    assert applied_at - datetime.fromisoformat(before) == timedelta(days=30)


@pytest.mark.usefixtures("retention")
async def test_history_that_a_channel_has_not_read_is_kept_for_some_days(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with serve(database_url) as client:
        await create_channel(client, "http://127.0.0.1:65535/")
    # Without keys, a server delivers nothing.
    async with serve(database_url, secrets_keys=None) as client:
        await client.log_event(summary="two days old")
        two_days_ago = datetime.now(UTC) - timedelta(days=2)
        is_event = col(tables.Change.subject) == "event"
        policies = update(tables.RetentionPolicy)
        async with database.write(ALL_ORGANIZATIONS) as session:
            await session.execute(update(tables.Change).where(is_event).values(at=two_days_ago))
        await create_policy(client, target="HISTORY", filter=None, keepFor="P1D")

        await apply_due_policies(database, RETENTION, Limits())
        kept = await client.execute_field(CHANGES)
        async with database.write(ALL_ORGANIZATIONS) as session:
            await session.execute(policies.values(last_applied_at=None))
        await apply_due_policies(database, replace(RETENTION, undelivered_days=1), Limits())
        removed = await client.execute_field(CHANGES)

    async with database.read(ALL_ORGANIZATIONS) as session:
        has_gap = (await session.scalars(select(col(tables.Channel.has_gap)))).one()
    assert (len(kept["nodes"]), len(removed["nodes"]), has_gap) == (1, 0, True)


@pytest.mark.usefixtures("retention")
async def test_old_history_is_removed_for_one_organization_and_events_stay(
    own_client: Client, database: Database
) -> None:
    other = own_client.as_key(await create_api_key(database, *Permission, organization="acme"))
    await own_client.log_event(summary="old")
    await other.log_event(summary="old")
    await make_old(database)
    await own_client.log_event(summary="new")
    await create_policy(own_client, name="H", target="HISTORY", filter=None)

    await apply_due_policies(database, RETENTION, Limits())

    assert await list_summaries(own_client) == ["old", "new"]
    assert len((await own_client.execute_field(CHANGES))["nodes"]) == 1
    assert len((await other.execute_field(CHANGES))["nodes"]) == 1
    [entry] = (await own_client.execute_field(AUDIT, actions=["RETENTION_APPLIED"]))["nodes"]
    assert (entry["actor"], entry["subjectType"]) == ("retention policy H", "Organization")
    assert entry["changes"]["removedEventChanges"] == [None, 1]
    assert (await other.execute_field(AUDIT, actions=["RETENTION_APPLIED"]))["nodes"] == []


@pytest.mark.usefixtures("retention")
async def test_two_processes_apply_a_policy_once_and_a_dead_one_is_replaced(
    own_client: Client, database: Database
) -> None:
    names = [f"old {number}" for number in range(20)]
    for name in names:
        await own_client.log_event(summary=name)
    await make_old(database, *names)
    await create_policy(own_client)
    leased_until = datetime.now(UTC) + timedelta(seconds=60)
    lease = update(tables.RetentionPolicy)
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(lease.values(lease_holder="other", leased_until=leased_until))

    await apply_due_policies(database, RETENTION, Limits())
    leased = len(await list_summaries(own_client))
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(lease.values(leased_until=OLD))
    await asyncio.gather(*(apply_due_policies(database, RETENTION, Limits()) for _ in range(3)))

    assert leased == 20
    assert await list_summaries(own_client) == []
    entries = (await own_client.execute_field(AUDIT, actions=["RETENTION_APPLIED"]))["nodes"]
    assert [each["changes"]["deletedEvents"] for each in entries] == [[None, 20]]


@pytest.mark.usefixtures("retention")
@pytest.mark.parametrize("is_changed", [False, True])
async def test_an_interrupted_application_has_an_audit_entry_and_is_continued_at_once(
    own_client: Client, database: Database, is_changed: bool
) -> None:
    count = BATCH_SIZE + 1
    events = [{"summary": "old", "type": "t"} for _ in range(count)]
    for start in range(0, count, 100):
        await own_client.execute_field(LOG_EVENTS, input=events[start : start + 100])
    await make_old(database, "old")
    policy = await create_policy(own_client)
    retention = RetentionLimits(max_time_percent=0.001)  # a long pause after each batch
    application = asyncio.create_task(apply_due_policies(database, retention, Limits()))
    entries: list[Any] = []

    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not entries:
            await asyncio.sleep(0.02)
            entries = (await own_client.execute_field(AUDIT, actions=["RETENTION_APPLIED"]))[
                "nodes"
            ]
    is_running = not application.done()
    if is_changed:
        await own_client.execute_field(UPDATE, input={"id": policy["id"], "keepFor": "P29D"})
    application.cancel()
    await asyncio.wait([application])
    [interrupted] = (await own_client.execute_field(POLICIES))["nodes"]
    await apply_due_policies(database, RETENTION, Limits())

    assert is_running
    assert interrupted["lastAppliedAt"] is None
    assert [each["changes"]["deletedEvents"] for each in entries] == [[None, count - BATCH_SIZE]]
    entries = (await own_client.execute_field(AUDIT, actions=["RETENTION_APPLIED"]))["nodes"]
    deleted = [each["changes"]["deletedEvents"][1] for each in entries]
    assert deleted == [BATCH_SIZE, count - BATCH_SIZE]


@pytest.mark.usefixtures("retention")
async def test_a_policy_that_cannot_be_applied_does_not_stop_others(
    own_client: Client, database: Database
) -> None:
    await own_client.log_event(summary="old")
    await make_old(database, "old")
    unreadable = await create_policy(own_client, name="unreadable")
    table = tables.RetentionPolicy
    change = update(table).where(col(table.id) == UUID(unreadable["id"]))
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(change.values(filter={"recordedAt": {"to": "yesterday"}}))
    await create_policy(own_client, name="readable")

    await apply_due_policies(database, RETENTION, Limits())

    assert await list_summaries(own_client) == []
    policies = (await own_client.execute_field(POLICIES))["nodes"]
    assert {each["name"]: each["lastAppliedAt"] is None for each in policies} == {
        "unreadable": True,
        "readable": False,
    }
    table = tables.RetentionPolicy
    async with database.read(ALL_ORGANIZATIONS) as session:
        statement = select(col(table.name)).where(~leases.is_free(table))
        leased = [*await session.scalars(statement)]
    assert leased == ["unreadable"]


@pytest.mark.usefixtures("retention")
async def test_an_audit_entry_that_was_pruned_meanwhile_is_written_again(
    own_client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete_after_pruning(*arguments: Any) -> AsyncIterator[Any]:
        async def run() -> AsyncIterator[Any]:
            async with database.write(ALL_ORGANIZATIONS) as session:
                is_entry = col(tables.Change.kind) == "RETENTION_APPLIED"
                await session.execute(delete(tables.Change).where(is_entry))
            async for rows in delete_selected(*arguments):
                yield rows

        return run()

    monkeypatch.setattr(application, "MAX_SELECTED_EVENTS", 2)
    monkeypatch.setattr(application, "delete_selected", delete_after_pruning)
    for _ in range(3):
        await own_client.log_event(summary="old")
    await make_old(database, "old")
    await create_policy(own_client)

    await apply_due_policies(database, RETENTION, Limits())

    assert await list_summaries(own_client) == []
    entries = (await own_client.execute_field(AUDIT, actions=["RETENTION_APPLIED"]))["nodes"]
    assert [each["changes"]["deletedEvents"] for each in entries] == [[None, 3]]


async def test_a_running_server_applies_policies_by_itself(database_url: str, serve: Serve) -> None:
    retention = {"interval_seconds": 0.05}
    limits = {"retention_seconds": 0}
    async with serve(database_url, retention=retention, limits=limits) as client:
        await client.log_event(summary="logged", type="short")
        await client.log_event(summary="kept", type="long")

        await create_policy(client, filter={"types": ["short"]}, keepFor="PT0.01S")
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while await list_summaries(client) != ["kept"]:
                await asyncio.sleep(0.02)
        await client.log_event(summary="again", type="short")
        entries: list[Any] = []
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while len(entries) < 2:
                await asyncio.sleep(0.02)
                page = await client.execute_field(AUDIT, actions=["RETENTION_APPLIED"])
                entries = page["nodes"]

        assert await list_summaries(client) == ["kept"]
        assert [each["changes"]["deletedEvents"] for each in entries] == [[None, 1], [None, 1]]
