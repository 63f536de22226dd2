"""Event types shaped by many at once, on a real server: nothing is lost, nothing is half done."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import text

from app.store.engine.database import EVERYWHERE, Database
from tests.client import Client
from tests.conftest import Serve
from tests.definitions import (
    ADD_FIELD,
    ADD_RULE,
    CREATE,
    DELETE,
    FIND,
    REMOVE_FIELD,
    UPDATE,
    UPDATE_EVENT,
    asks,
    define,
    field,
    rule,
    shape,
    told,
)

AT_ONCE = 20
LOG = """mutation ($input: LogEventInput!) { logEvent(input: $input) {
  event { id type fields eventTypeVersion eventType { id } } userErrors { code path } } }"""


async def at_once(*asked: tuple[Client, str, dict[str, Any]]) -> list[Any]:
    """The payloads; an error fails the test."""
    return await asyncio.gather(
        *(client.ask(mutation, **variables) for client, mutation, variables in asked)
    )


async def versions(database: Database) -> list[int]:
    async with database.read(EVERYWHERE) as session:
        numbers = text("SELECT number FROM event_type_version ORDER BY number")
        return list(await session.scalars(numbers))


async def orphans(database: Database) -> int:
    """Events of a type that is gone."""
    async with database.read(EVERYWHERE) as session:
        counted = text(
            "SELECT count(*) FROM event WHERE event_type_id IS NOT NULL"
            " AND event_type_id NOT IN (SELECT id FROM event_type)"
        )
        return int((await session.scalars(counted)).one())


async def test_of_twenty_updates_of_one_version_one_wins(
    own_client: Client, database: Database, database_url: str, serve: Serve
) -> None:
    made = await define(own_client)
    async with serve(database_url) as second:
        payloads = await at_once(
            *(
                (server, UPDATE, {"input": {"id": made["id"], "ifVersion": 1, "name": str(n)}})
                for n, server in zip(range(AT_ONCE), [own_client, second] * AT_ONCE, strict=False)
            )
        )

    [won] = [each["eventType"] for each in payloads if each["eventType"]]
    lost = [told(each["userErrors"]) for each in payloads if not each["eventType"]]
    assert won["version"] == 2
    assert lost == [[("CONFLICT", "input.ifVersion")]] * 19
    assert await own_client.ask(FIND, id=made["id"]) == won
    assert await versions(database) == [1, 2]


async def test_twenty_fields_added_at_once_are_all_there(
    own_client: Client, database: Database
) -> None:
    made = await define(own_client)

    payloads = await at_once(
        *(
            (own_client, ADD_FIELD, {"id": made["id"], "field": field(f"f{n}")})
            for n in range(AT_ONCE)
        )
    )

    after = await own_client.ask(FIND, id=made["id"])
    assert [each["userErrors"] for each in payloads] == [[]] * AT_ONCE
    assert sorted(each["eventType"]["version"] for each in payloads) == [*range(2, AT_ONCE + 2)]
    assert {each["name"] for each in after["fields"]} == {f"f{n}" for n in range(AT_ONCE)}
    assert [each["position"] for each in after["fields"]] == [*range(AT_ONCE)]
    assert await versions(database) == [*range(1, AT_ONCE + 2)]


async def test_of_twenty_fields_of_one_name_one_is_added(
    own_client: Client, database: Database
) -> None:
    made = await define(own_client)

    payloads = await at_once(
        *((own_client, ADD_FIELD, {"id": made["id"], "field": field("a")}) for _ in range(AT_ONCE))
    )

    lost = [told(each["userErrors"]) for each in payloads if each["userErrors"]]
    assert lost == [[("ALREADY_EXISTS", "field.name")]] * 19
    assert await versions(database) == [1, 2]


async def test_of_twenty_types_of_one_name_one_is_made(
    own_client: Client, database: Database
) -> None:
    given = {"input": {"name": "Gauge", "fields": [field("a")]}}

    payloads = await at_once(*((own_client, CREATE, given) for _ in range(AT_ONCE)))

    lost = [told(each["userErrors"]) for each in payloads if each["userErrors"]]
    assert lost == [[("ALREADY_EXISTS", "input.type")]] * 19
    assert await versions(database) == [1]


async def test_two_types_cannot_take_one_name_at_once(client: Client) -> None:
    made = [await define(client, type=f"t{n}") for n in range(4)]

    payloads = await at_once(
        *((client, UPDATE, {"input": {"id": each["id"], "type": "wanted"}}) for each in made)
    )

    lost = [told(each["userErrors"]) for each in payloads if each["userErrors"]]
    assert lost == [[("ALREADY_EXISTS", "input.type")]] * 3
    kept = [(await client.ask(FIND, id=each["id"]))["version"] for each in made]
    assert sorted(kept) == [1, 1, 1, 2]


async def test_no_two_rules_close_a_cycle_at_once(client: Client) -> None:
    made = await define(client, *map(field, "ab"))
    there = rule("SHOW", "b", asks("a"))
    back = rule("SHOW", "a", asks("b"))

    payloads = await at_once(
        *((client, ADD_RULE, {"id": made["id"], "rule": each}) for each in (there, back))
    )

    wrong = [told(each["userErrors"]) for each in payloads if each["userErrors"]]
    assert wrong == [[("CYCLE", "rule.condition")]]


async def test_a_field_is_removed_or_a_rule_names_it_never_both(client: Client) -> None:
    for n in range(5):
        made = await define(client, *map(field, "ab"), type=f"t{n}")

        removed, ruled = await at_once(
            (client, REMOVE_FIELD, {"id": made["fields"][0]["id"]}),
            (client, ADD_RULE, {"id": made["id"], "rule": rule("SHOW", "b", asks("a"))}),
        )

        wrong = [*told(removed["userErrors"]), *told(ruled["userErrors"])]
        assert wrong in (
            [("IN_USE", "id")],
            [("INVALID_INPUT", "rule.condition.field.field")],
        )


async def test_no_event_is_ever_of_a_type_that_is_gone(
    own_client: Client, database: Database, database_url: str, serve: Serve
) -> None:
    deleted = 0
    async with serve(database_url) as second:
        for n in range(8):
            made = await define(own_client, field("a"), type=f"t{n}")
            reports = [
                (
                    server,
                    LOG,
                    {"input": {"type": f"t{n}"} | ({"eventTypeId": made["id"]} if by_id else {})},
                )
                for server in (own_client, second)
                for by_id in (False, True)
            ]

            *logged, gone = await at_once(*reports, (second, DELETE, {"id": made["id"]}))

            for payload in logged:
                if payload["event"] is None:
                    assert told(payload["userErrors"]) == [("NOT_FOUND", "input.eventTypeId")]
            registered = [each["event"] for each in logged if each["event"]]
            if gone["eventType"] is None:
                assert told(gone["userErrors"]) == [("IN_USE", "id")]
            else:
                deleted += 1
                assert {each["eventTypeVersion"] for each in registered} <= {None}
    assert await orphans(database) == 0
    assert 0 <= deleted <= 8


async def test_an_event_has_the_name_that_its_type_had_never_another(
    own_client: Client, database: Database
) -> None:
    for n in range(8):
        made = await define(own_client, type=f"old{n}")

        *logged, renamed = await at_once(
            *((own_client, LOG, {"input": {"type": name}}) for name in (f"old{n}", f"new{n}")),
            (own_client, LOG, {"input": {"eventTypeId": made["id"]}}),
            (own_client, UPDATE, {"input": {"id": made["id"], "type": f"new{n}"}}),
        )

        now = await own_client.ask(FIND, id=made["id"])
        if renamed["eventType"] is None:
            assert told(renamed["userErrors"]) == [("IN_USE", "input.type")]
        for event in (each["event"] for each in logged):
            if event["eventType"] is not None:
                assert event["type"] == now["type"]
    assert await orphans(database) == 0


async def test_an_event_is_judged_by_the_version_that_it_names(client: Client) -> None:
    made = await define(client, field("a"))
    changes = [
        (client, ADD_FIELD, {"id": made["id"], "field": field(f"f{n}", default=str(n))})
        for n in range(6)
    ]
    reports = [(client, LOG, {"input": {"type": "gauge"}}) for _ in range(14)]

    payloads = await at_once(
        *(each for pair in zip(changes, reports, strict=False) for each in pair), *reports[6:]
    )

    events = [each["event"] for each in payloads if "event" in each]
    assert len(events) == 14
    for event in events:
        assert len(event["fields"]) == event["eventTypeVersion"] - 1


async def test_events_are_updated_while_their_type_changes(client: Client) -> None:
    made = await define(client, field("a"))
    events = [await client.log(type="gauge", fields={"a": "0"}) for _ in range(5)]

    payloads = await at_once(
        *(
            (client, UPDATE_EVENT, {"input": {"id": each["id"], "fields": {"a": "1"}}})
            for each in events
        ),
        *(
            (client, ADD_FIELD, {"id": made["id"], "field": field(f"f{n}", required=True)})
            for n in range(5)
        ),
    )

    assert [each["userErrors"] for each in payloads] == [[]] * 10
    assert [each["event"]["eventTypeVersion"] for each in payloads[:5]] == [1] * 5


async def test_what_one_server_shapes_the_other_judges_by_at_once(
    own_client: Client, database_url: str, serve: Serve
) -> None:
    async with serve(database_url) as second:
        made = await define(own_client, field("a"))
        first = await second.log(type="gauge", fields={"a": "x"})
        await shape(own_client, ADD_FIELD, id=made["id"], field=field("b", default="y"))

        later = await second.log(type="gauge", fields={"a": "x"})

    assert (first["eventTypeVersion"], first["fields"]) == (1, {"a": "x"})
    assert (later["eventTypeVersion"], later["fields"]) == (2, {"a": "x", "b": "y"})
