"""Concurrent changes to event types, on a real server: no change is lost or partly applied."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import text

from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import Client
from tests.conftest import Serve
from tests.event_type_client import (
    ADD_FIELD,
    ADD_RULE,
    CREATE,
    DELETE,
    FIND,
    REMOVE_FIELD,
    UPDATE,
    UPDATE_EVENT,
    change_event_type,
    codes_and_paths,
    define_event_type,
    field_input,
    predicate_input,
    rule_input,
)

AT_ONCE = 5  # they queue for a lock, at most 5 s on a busy machine
LOG = """mutation ($input: LogEventInput!) { logEvent(input: $input) {
  event { id type fields eventTypeVersion eventType { id } } userErrors { code path } } }"""


async def run_concurrently(*requests: tuple[Client, str, dict[str, Any]]) -> list[Any]:
    """Returns the payloads. An error fails the test."""
    return await asyncio.gather(
        *(client.execute_field(mutation, **variables) for client, mutation, variables in requests)
    )


async def fetch_version_numbers(database: Database) -> list[int]:
    async with database.read(ALL_ORGANIZATIONS) as session:
        numbers = text("SELECT number FROM event_type_version ORDER BY number")
        return list(await session.scalars(numbers))


async def count_orphans(database: Database) -> int:
    """Counts events of deleted types."""
    async with database.read(ALL_ORGANIZATIONS) as session:
        counted = text(
            "SELECT count(*) FROM event WHERE event_type_id IS NOT NULL"
            " AND event_type_id NOT IN (SELECT id FROM event_type)"
        )
        return int((await session.scalars(counted)).one())


async def test_of_several_updates_of_one_version_one_wins(
    own_client: Client, database: Database, database_url: str, serve: Serve
) -> None:
    event_type = await define_event_type(own_client)
    async with serve(database_url) as second:
        payloads = await run_concurrently(
            *(
                (
                    server,
                    UPDATE,
                    {"input": {"id": event_type["id"], "ifVersion": 1, "name": str(n)}},
                )
                for n, server in zip(range(AT_ONCE), [own_client, second] * AT_ONCE, strict=False)
            )
        )

    [won] = [each["eventType"] for each in payloads if each["eventType"]]
    lost = [codes_and_paths(each["userErrors"]) for each in payloads if not each["eventType"]]
    assert won["version"] == 2
    assert lost == [[("CONFLICT", "input.ifVersion")]] * (AT_ONCE - 1)
    assert await own_client.execute_field(FIND, id=event_type["id"]) == won
    assert await fetch_version_numbers(database) == [1, 2]


async def test_several_concurrently_added_fields_are_all_stored(
    own_client: Client, database: Database
) -> None:
    event_type = await define_event_type(own_client)

    payloads = await run_concurrently(
        *(
            (own_client, ADD_FIELD, {"id": event_type["id"], "field": field_input(f"f{n}")})
            for n in range(AT_ONCE)
        )
    )

    after = await own_client.execute_field(FIND, id=event_type["id"])
    assert [each["userErrors"] for each in payloads] == [[]] * AT_ONCE
    assert sorted(each["eventType"]["version"] for each in payloads) == [*range(2, AT_ONCE + 2)]
    assert {each["name"] for each in after["fields"]} == {f"f{n}" for n in range(AT_ONCE)}
    assert [each["position"] for each in after["fields"]] == [*range(AT_ONCE)]
    assert await fetch_version_numbers(database) == [*range(1, AT_ONCE + 2)]


async def test_of_several_concurrent_fields_with_the_same_name_one_is_added(
    own_client: Client, database: Database
) -> None:
    event_type = await define_event_type(own_client)

    payloads = await run_concurrently(
        *(
            (own_client, ADD_FIELD, {"id": event_type["id"], "field": field_input("a")})
            for _ in range(AT_ONCE)
        )
    )

    lost = [codes_and_paths(each["userErrors"]) for each in payloads if each["userErrors"]]
    assert lost == [[("ALREADY_EXISTS", "field.name")]] * (AT_ONCE - 1)
    assert await fetch_version_numbers(database) == [1, 2]


async def test_of_several_concurrent_types_with_the_same_name_one_is_created(
    own_client: Client, database: Database
) -> None:
    attributes = {"input": {"name": "Gauge", "fields": [field_input("a")]}}

    payloads = await run_concurrently(*((own_client, CREATE, attributes) for _ in range(AT_ONCE)))

    lost = [codes_and_paths(each["userErrors"]) for each in payloads if each["userErrors"]]
    assert lost == [[("ALREADY_EXISTS", "input.type")]] * (AT_ONCE - 1)
    assert await fetch_version_numbers(database) == [1]


async def test_two_types_cannot_be_renamed_to_the_same_name_concurrently(client: Client) -> None:
    event_types = [await define_event_type(client, type=f"t{n}") for n in range(4)]

    payloads = await run_concurrently(
        *((client, UPDATE, {"input": {"id": each["id"], "type": "wanted"}}) for each in event_types)
    )

    lost = [codes_and_paths(each["userErrors"]) for each in payloads if each["userErrors"]]
    assert lost == [[("ALREADY_EXISTS", "input.type")]] * 3
    stored_versions = [
        (await client.execute_field(FIND, id=each["id"]))["version"] for each in event_types
    ]
    assert sorted(stored_versions) == [1, 1, 1, 2]


async def test_two_concurrent_rules_cannot_close_a_cycle(client: Client) -> None:
    event_type = await define_event_type(client, *map(field_input, "ab"))
    forward = rule_input("SHOW", "b", predicate_input("a"))
    back = rule_input("SHOW", "a", predicate_input("b"))

    payloads = await run_concurrently(
        *((client, ADD_RULE, {"id": event_type["id"], "rule": each}) for each in (forward, back))
    )

    rejected = [codes_and_paths(each["userErrors"]) for each in payloads if each["userErrors"]]
    assert rejected == [[("CYCLE", "rule.condition")]]


async def test_a_concurrently_used_field_is_not_removed(client: Client) -> None:
    for n in range(5):
        event_type = await define_event_type(client, *map(field_input, "ab"), type=f"t{n}")

        removed, ruled = await run_concurrently(
            (client, REMOVE_FIELD, {"id": event_type["fields"][0]["id"]}),
            (
                client,
                ADD_RULE,
                {"id": event_type["id"], "rule": rule_input("SHOW", "b", predicate_input("a"))},
            ),
        )

        rejected = [*codes_and_paths(removed["userErrors"]), *codes_and_paths(ruled["userErrors"])]
        assert rejected in (
            [("IN_USE", "id")],
            [("INVALID_INPUT", "rule.condition.field.field")],
        )


async def test_no_event_has_a_type_that_was_deleted_concurrently(
    own_client: Client, database: Database, database_url: str, serve: Serve
) -> None:
    deleted = 0
    async with serve(database_url) as second:
        for n in range(8):
            event_type = await define_event_type(own_client, field_input("a"), type=f"t{n}")
            reports = [
                (
                    server,
                    LOG,
                    {
                        "input": {"type": f"t{n}"}
                        | ({"eventTypeId": event_type["id"]} if by_id else {})
                    },
                )
                for server in (own_client, second)
                for by_id in (False, True)
            ]

            *logged, gone = await run_concurrently(
                *reports, (second, DELETE, {"id": event_type["id"]})
            )

            for payload in logged:
                if payload["event"] is None:
                    assert codes_and_paths(payload["userErrors"]) == [
                        ("NOT_FOUND", "input.eventTypeId")
                    ]
            registered = [each["event"] for each in logged if each["event"]]
            if gone["eventType"] is None:
                assert codes_and_paths(gone["userErrors"]) == [("IN_USE", "id")]
            else:
                deleted += 1
                assert {each["eventTypeVersion"] for each in registered} <= {None}
    assert await count_orphans(database) == 0
    assert 0 <= deleted <= 8


async def test_an_event_has_the_name_of_its_type_at_that_time(
    own_client: Client, database: Database
) -> None:
    for n in range(8):
        event_type = await define_event_type(own_client, type=f"old{n}")

        *logged, renamed = await run_concurrently(
            *((own_client, LOG, {"input": {"type": name}}) for name in (f"old{n}", f"new{n}")),
            (own_client, LOG, {"input": {"eventTypeId": event_type["id"]}}),
            (own_client, UPDATE, {"input": {"id": event_type["id"], "type": f"new{n}"}}),
        )

        now = await own_client.execute_field(FIND, id=event_type["id"])
        if renamed["eventType"] is None:
            assert codes_and_paths(renamed["userErrors"]) == [("IN_USE", "input.type")]
        for event in (each["event"] for each in logged):
            if event["eventType"] is not None:
                assert event["type"] == now["type"]
    assert await count_orphans(database) == 0


async def test_an_event_is_validated_by_the_version_that_it_names(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"))
    changes = [
        (client, ADD_FIELD, {"id": event_type["id"], "field": field_input(f"f{n}", default=str(n))})
        for n in range(6)
    ]
    reports = [(client, LOG, {"input": {"type": "gauge"}}) for _ in range(14)]

    payloads = await run_concurrently(
        *(each for pair in zip(changes, reports, strict=False) for each in pair), *reports[6:]
    )

    events = [each["event"] for each in payloads if "event" in each]
    assert len(events) == 14
    for event in events:
        assert len(event["fields"]) == event["eventTypeVersion"] - 1


async def test_events_can_be_updated_while_their_type_changes(client: Client) -> None:
    event_type = await define_event_type(client, field_input("a"))
    events = [await client.log_event(type="gauge", fields={"a": "0"}) for _ in range(5)]

    payloads = await run_concurrently(
        *(
            (client, UPDATE_EVENT, {"input": {"id": each["id"], "fields": {"a": "1"}}})
            for each in events
        ),
        *(
            (
                client,
                ADD_FIELD,
                {"id": event_type["id"], "field": field_input(f"f{n}", required=True)},
            )
            for n in range(5)
        ),
    )

    assert [each["userErrors"] for each in payloads] == [[]] * 10
    assert [each["event"]["eventTypeVersion"] for each in payloads[:5]] == [1] * 5


async def test_a_change_by_one_server_is_enforced_by_another_immediately(
    own_client: Client, database_url: str, serve: Serve
) -> None:
    async with serve(database_url) as second:
        event_type = await define_event_type(own_client, field_input("a"))
        first = await second.log_event(type="gauge", fields={"a": "x"})
        await change_event_type(
            own_client, ADD_FIELD, id=event_type["id"], field=field_input("b", default="y")
        )

        later = await second.log_event(type="gauge", fields={"a": "x"})

    assert (first["eventTypeVersion"], first["fields"]) == (1, {"a": "x"})
    assert (later["eventTypeVersion"], later["fields"]) == (2, {"a": "x", "b": "y"})
