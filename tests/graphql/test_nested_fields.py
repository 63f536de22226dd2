"""Filters find values in nested objects and lists by their path."""

from __future__ import annotations

from typing import Any

import pytest

from app.database_setup import prepare_database
from app.store.engine import dialect
from tests.client import LOG_EVENT, Client
from tests.conftest import Serve, build_settings
from tests.event_type_client import (
    ADD_FIELD,
    REMOVE_FIELD,
    UNKNOWN_ID,
    UPDATE_EVENT,
    change_event_type,
    define_event_type,
    field_input,
)
from tests.graphql.test_duplicates import CREATE
from tests.graphql.test_lists import EVENTS, extract_summaries
from tests.graphql.test_notifications import ADDED
from tests.store import old_database
from tests.store.test_search_index import empty_url, field_filter, find_summaries

__all__ = ["empty_url"]

NOTIFICATIONS = "query ($filter: EventFilter) { notifications(filter: $filter) { totalCount } }"
COUNTS = "query ($filter: EventFilter) { eventCounts(filter: $filter) { count } }"
CHANGES = "query ($filter: EventFilter) { eventChanges(filter: $filter) { nodes { kind } } }"
CHANGED = "subscription ($filter: EventFilter) { eventChanged(filter: $filter) { cursor } }"
ACKNOWLEDGE = """mutation ($filter: EventFilter) {
  acknowledgeEvents(filter: $filter) { acknowledgedCount } }"""
UNACKNOWLEDGE = """mutation ($filter: EventFilter) {
  unacknowledgeEvents(filter: $filter) { changedCount } }"""
DELETE_ALL = """mutation ($filter: EventFilter!) {
  deleteEvents(filter: $filter, expectedCount: 0) { changedCount } }"""
SUMMARY = "query ($filter: EventFilter) { notificationSummary(filter: $filter) { openCount } }"
SUMMARY_CHANGED = """subscription ($filter: EventFilter) {
  notificationSummaryChanged(filter: $filter) { openCount } }"""
OF_TYPE = """query ($id: ID!, $filter: EventFilter) {
  eventType(by: {id: $id}) { events(filter: $filter) { totalCount nodes { id } } } }"""

# As GitHub sends the event `push`.
PUSH: dict[str, Any] = {
    "ref": "refs/heads/main",
    "forced": False,
    "repository": {
        "id": 35129377,
        "full_name": "acme/tocsin",
        "topics": ["events", "graphql"],
        "owner": {"login": "acme", "email": None},
    },
    "commits": [
        {"message": "Fix the pump", "added": ["a.py", "b.py"], "author": {"name": "Ann"}},
        {"message": "Test it", "added": [], "author": {"name": "Ben"}},
    ],
    "service.name": "hooks",
    "pushed.by": {"name": "Ann"},
    "received_at": {"utc": "2026-04-10T12:00:00Z"},
    "area": {"coordinates": [[[11.5, 48.1], [11.6, 48.2]], []]},
    "pages": [[{"title": "Home"}], [[{"title": "Wells", "hits": [[3]]}]], "end"],
    "nothing": [[]],
}
FOUND: list[tuple[str, str, Any]] = [
    ("repository.full_name", "EXISTS", None),
    ("repository.full_name", "EQ", "acme/tocsin"),
    ("repository.full_name", "CONTAINS", "me/toc"),
    ("repository.full_name", "NE", "acme/other"),
    ("repository.full_name", "GT", "acme/a"),
    ("repository.full_name", "IN", ["x", "acme/tocsin"]),
    ("repository.id", "GTE", 35129377),
    ("repository.id", "LT", 35129378),
    ("repository.owner.login", "EQ", "acme"),
    ("repository.owner", "EXISTS", None),
    ("repository.topics", "EQ", "graphql"),
    ("repository.topics", "CONTAINS", "events"),
    ("commits.author.name", "EQ", "Ben"),
    ("commits.author.name", "IN", ["Ann"]),
    ("commits.message", "CONTAINS", "pump"),
    ("commits.added", "EQ", "b.py"),
    ("service.name", "EQ", "hooks"),
    ("pushed.by.name", "EQ", "Ann"),
    ("received_at.utc", "LTE", "2026-04-10T14:00:00+02:00"),
    ("area.coordinates", "EQ", 48.2),
    ("area.coordinates", "IN", [1, 11.5]),
    ("area.coordinates", "CONTAINS", 48.1),
    ("area.coordinates", "GT", 48.1),
    ("pages", "EQ", "end"),
    ("pages.title", "EQ", "Home"),
    ("pages.title", "CONTAINS", "ell"),
    ("pages.hits", "EQ", 3),
    ("nothing", "EXISTS", None),
    ("repository.owner.email", "NOT_EXISTS", None),
    ("repository.name", "NOT_EXISTS", None),
]
NOT_FOUND: list[tuple[str, str, Any]] = [
    ("repository.full_name", "NOT_EXISTS", None),
    ("repository.full_name", "EQ", "acme"),
    ("repository.full_name", "NE", "acme/tocsin"),
    ("repository.owner.email", "EXISTS", None),
    ("repository.owner.email", "NE", "x"),
    ("full_name", "EXISTS", None),
    ("repository.topics", "NE", "graphql"),
    ("repository.topics", "CONTAINS", "graph"),
    ("commits.author.name", "NE", "Ben"),
    ("commits.author", "EQ", "Ann"),
    ("service", "EXISTS", None),
    ("repository.id", "GT", 35129377),
    ("area.coordinates", "NE", 48.2),
    ("area.coordinates", "GT", 48.2),
    ("pages.title", "NE", "Home"),
    ("nothing", "EQ", ""),
]


async def test_each_operator_finds_nested_values(client: Client) -> None:
    await client.log_event(summary="push", fields=PUSH)

    for expected, predicates in ((["push"], FOUND), ([], NOT_FOUND)):
        for predicate in predicates:
            summaries = await find_summaries(client, **field_filter(*predicate))
            assert (predicate, summaries) == (predicate, expected)


async def test_a_subscription_finds_the_same_nested_values(client: Client) -> None:
    every = [field_filter(*predicate) for predicate in FOUND]
    none = [field_filter(*predicate) for predicate in NOT_FOUND]
    for filter, expected in (
        ({"and": every}, "push"),
        ({"or": [*none, {"types": ["end"]}]}, "end"),
    ):
        async with client.subscription(ADDED, filter=filter) as notifications:
            await client.log_event(summary="push", fields=PUSH, notification=True)
            await client.log_event(summary="end", type="end", notification=True)

            added = await notifications.receive_next()

        assert added["node"]["summary"] == expected


async def test_an_update_changes_the_nested_values_that_are_found(client: Client) -> None:
    event = await client.log_event(summary="push", fields=PUSH)

    await client.execute_field(
        UPDATE_EVENT,
        input={"id": event["id"], "fields": {"repository": {"full_name": "acme/other"}}},
    )

    assert await find_summaries(client, **field_filter("repository.full_name", "EQ", "acme/other"))
    for predicate in (
        ("repository.full_name", "EQ", "acme/tocsin"),
        ("repository.owner.login", "EXISTS", None),
    ):
        assert await find_summaries(client, **field_filter(*predicate)) == []


async def test_nested_values_can_be_counted(client: Client) -> None:
    for full_name in ("acme/a", "acme/b", "acme/a"):
        await client.log_event(fields={"repository": {"full_name": full_name}})

    counts = await client.execute_field(
        '{ eventCounts(byFields: ["repository.full_name"]) { fields count } }'
    )

    assert counts == [
        {"fields": {"repository.full_name": "acme/a"}, "count": 2},
        {"fields": {"repository.full_name": "acme/b"}, "count": 1},
    ]


async def test_a_path_through_lists_in_lists_is_counted_and_compared(client: Client) -> None:
    payload = await client.execute_field(
        CREATE,
        input={
            "name": "title",
            "fingerprint": ["fields.pages.title"],
            "window": "PT15M",
            "action": "REJECT",
        },
    )
    assert payload["userErrors"] == []
    pages = {"pages": [[{"title": "Home"}], [{"title": "Wells"}]], "at": [[1, 2], [3]]}

    first, again = [
        await client.execute_field(LOG_EVENT, input={"fields": pages}) for _ in range(2)
    ]
    counts = await client.execute_field(
        '{ eventCounts(byFields: ["pages.title", "at"]) { fields count } }'
    )

    assert first["userErrors"] == []
    assert [error["code"] for error in again["userErrors"]] == ["DUPLICATE"]
    assert counts == [
        {"fields": {"pages.title": title, "at": number}, "count": 1}
        for title in ("Home", "Wells")
        for number in (1, 2, 3)
    ]


async def test_more_than_1_000_names_cause_a_warning_and_are_found_up_to_there(
    client: Client,
) -> None:
    fields: dict[str, Any] = {"z": {f"{n:04}": n for n in range(1_000)}}

    payload = await client.execute_field(LOG_EVENT, input={"summary": "wide", "fields": fields})
    full = await client.execute_field(
        LOG_EVENT, input={"summary": "full", "fields": {"z": {f"{n:04}": n for n in range(999)}}}
    )

    [warning] = payload["warnings"]
    assert (warning["code"], warning["path"]) == ("INVALID_INPUT", ["input", "fields"])
    assert "1,000" in warning["message"]
    assert payload["event"]["fields"] == fields
    assert full["warnings"] == []
    assert await find_summaries(client, **field_filter("z.0998", "EQ", 998)) == ["full", "wide"]
    assert await find_summaries(client, **field_filter("z.0999", "EXISTS", None)) == []


@pytest.mark.parametrize(
    "predicate",
    [
        ("repository.full_name", "EQ", "acme/tocsin"),
        ("repository.owner.login", "EXISTS", None),
        ("commits.author.name", "EQ", "Ben"),
        ("commits.files", "EQ", "a"),
        ("labels.team", "EQ", "core"),
    ],
)
async def test_an_upgrade_finds_nested_values_of_stored_events(
    empty_url: str, serve: Serve, predicate: tuple[str, str, Any]
) -> None:
    engine = dialect.create_migration_engine(dialect.parse_database_url(empty_url))
    async with engine.begin() as connection:
        await connection.run_sync(old_database.load)
    await engine.dispose()
    await prepare_database(build_settings(empty_url))

    async with serve(empty_url) as client:
        page = await client.execute_field(EVENTS, filter=field_filter(*predicate))
        unfiltered = await client.execute_field(
            EVENTS, filter={"fields": [{"field": "labels.host", "operator": "EXISTS"}]}
        )

    assert extract_summaries(page) == ["push"]
    assert sorted(extract_summaries(unfiltered)) == ["host", "host"]


async def test_an_empty_name_is_refused_in_filters(client: Client) -> None:
    filter = {"and": [field_filter("", "EXISTS", None)]}

    error = await client.expect_error(EVENTS, filter=filter)

    assert argument_of(error) == "filter.and.0.fields.0.field"
    assert error["message"].endswith("field must not be empty.")


def argument_of(error: Any) -> str:
    assert error["extensions"]["code"] == "BAD_USER_INPUT", error
    return ".".join(error["extensions"]["path"])


async def test_a_field_that_an_event_type_never_had_is_refused(client: Client) -> None:
    event_type = await define_event_type(
        client, field_input("volume", "NUMBER"), field_input("old")
    )
    old_id = next(each["id"] for each in event_type["fields"] if each["name"] == "old")
    await change_event_type(client, REMOVE_FIELD, id=old_id)
    of_type, by_name = {"eventTypeId": event_type["id"]}, {"types": [event_type["type"]]}
    unknown = field_filter("volume.unit", "EXISTS", None)
    refused: list[tuple[dict[str, Any], str]] = [
        (of_type | unknown, "filter.fields.0.field"),
        (of_type | {"or": [{"not": unknown}]}, "filter.or.0.not.fields.0.field"),
        ({"and": [of_type, unknown]}, "filter.and.1.fields.0.field"),
        (by_name | unknown, "filter.fields.0.field"),
        ({"and": [by_name, {"or": [unknown]}]}, "filter.and.1.or.0.fields.0.field"),
    ]
    for filter, argument in refused:
        for document in (EVENTS, NOTIFICATIONS, COUNTS, CHANGES):
            error = await client.expect_error(document, filter=filter)
            assert argument_of(error) == argument
            assert "'volume.unit'" in error["message"]
    accepted: list[dict[str, Any]] = [
        of_type | field_filter("volume", "EXISTS", None),
        of_type | field_filter("old", "EXISTS", None),
        {"or": [of_type, unknown]},
        {"not": of_type} | unknown,
        by_name | field_filter("old", "EXISTS", None),
        {"types": [event_type["type"], "free"]} | unknown,
        {"types": [f"{event_type['type']}*"]} | unknown,
        {"not": by_name} | unknown,
        {"eventTypeId": UNKNOWN_ID} | unknown,
    ]
    for filter in accepted:
        assert await find_summaries(client, **filter) == []


async def test_a_field_that_one_of_several_types_has_is_accepted(client: Client) -> None:
    types = []
    for name, fields in (("one", ["a", "b"]), ("two", ["a", "c"])):
        await define_event_type(client, *map(field_input, fields), type=name, name=name)
        types.append(name)

    for name in ("a", "b", "c"):
        assert await find_summaries(client, types=types, **field_filter(name, "EXISTS", None)) == []
    error = await client.expect_error(
        EVENTS, filter={"types": types} | field_filter("d", "EXISTS", None)
    )

    assert argument_of(error) == "filter.fields.0.field"
    assert error["message"].startswith(
        "Unknown field 'd'. No version of event types 'one', 'two' has such a field, so no event "
        "has it. Correct the name, or remove types."
    )


async def test_a_filter_by_type_finds_events_from_before_the_type_was_registered(
    client: Client,
) -> None:
    await client.log_event(summary="early", type="gauge", fields={"pressure": 5})
    event_type = await define_event_type(client, field_input("volume", "NUMBER"), type="gauge")
    pressure = field_filter("pressure", "EQ", 5)

    assert await find_summaries(client, types=["gauge"], **pressure) == ["early"]
    error = await client.expect_error(EVENTS, filter={"eventTypeId": event_type["id"]} | pressure)
    assert argument_of(error) == "filter.fields.0.field"


@pytest.mark.parametrize("condition", ["eventTypeId", "types"])
async def test_a_field_that_an_event_type_never_had_is_refused_everywhere(
    client: Client, condition: str
) -> None:
    event_type = await define_event_type(client, field_input("volume", "NUMBER"))
    of_type = {"eventTypeId": event_type["id"], "types": [event_type["type"]]}[condition]
    filter = {condition: of_type} | field_filter("labels.host", "EQ", "a")

    for document in (ACKNOWLEDGE, UNACKNOWLEDGE, DELETE_ALL, SUMMARY):
        error = await client.expect_error(document, filter=filter)
        assert argument_of(error) == "filter.fields.0.field"
    for document in (ADDED, CHANGED, SUMMARY_CHANGED):
        async with client.subscription(document, filter=filter) as subscription:
            error = await subscription.receive_error()
        assert argument_of(error) == "filter.fields.0.field"
    in_type = await client.expect_error(
        OF_TYPE, id=event_type["id"], filter=field_filter("labels.host", "EQ", "a")
    )
    assert argument_of(in_type) == "filter.fields.0.field"
    for argument in ("byFields", "sum"):
        error = await client.expect_error(
            f"""query ($filter: EventFilter) {{
              eventCounts(filter: $filter, {argument}: ["volume", "x"]) {{ count }} }}""",
            filter={condition: of_type},
        )
        assert argument_of(error) == f"{argument}.1"


async def test_a_type_that_keeps_additional_fields_has_any_path(client: Client) -> None:
    event_type = await define_event_type(
        client, field_input("volume", "NUMBER"), additionalFields="KEEP"
    )
    payload = await client.execute_field(
        CREATE,
        input={
            "name": "host",
            "eventTypeId": event_type["id"],
            "fingerprint": ["fields.labels.host"],
            "window": "PT15M",
            "action": "REJECT",
        },
    )
    assert payload["userErrors"] == []
    labels = {"labels": {"host": "a"}}

    first, again = [
        await client.execute_field(
            LOG_EVENT, input={"type": event_type["type"], "summary": "kept", "fields": labels}
        )
        for _ in range(2)
    ]
    changed = await change_event_type(
        client, ADD_FIELD, id=event_type["id"], field=field_input("note")
    )

    assert first["userErrors"] == []
    assert [error["code"] for error in again["userErrors"]] == ["DUPLICATE"]
    assert changed["version"] == 2
    assert await find_summaries(
        client, eventTypeId=event_type["id"], **field_filter("labels.host", "EQ", "a")
    ) == ["kept"]
