"""Events found by category, words and custom fields, wherever a filter is taken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import Client
from tests.graphql.test_history import CHANGED, CHANGES, DELETE, UPDATE
from tests.graphql.test_lists import EVENTS, summaries
from tests.graphql.test_notifications import ADDED, BELL

COUNT = "query ($filter: EventFilter) { eventCounts(by: [], filter: $filter) { count } }"
CREATE = """
mutation ($input: CreateEventTypeInput!) {
  createEventType(input: $input) { eventType { id } userErrors { code path } }
}
"""
PUMP: dict[str, Any] = {
    "type": "pump.trip",
    "summary": "Pump 3 tripped",
    "content": "The bearing of the café’s pump is worn: see https://acme.com/ABC_12.",
    "severity": "error",
    "fields": {
        "pressure": 4.5,
        "count": 150,
        "cause": "wear",
        "at": "2026-04-10T12:00:00+02:00",
        "day": "2026-04-10",
        "planned": False,
        "parts": ["bearing", 7, True, None, ["seal"]],
        "nothing": None,
        "detail": {"a": 1},
    },
}


def having(field: str, operator: str, *value: Any) -> dict[str, Any]:
    """A filter of one predicate."""
    given = {"value": value[0]} if value else {}
    return {"fields": [{"field": field, "operator": operator} | given]}


async def found(client: Client, filter: dict[str, Any]) -> list[str]:
    """The summaries of the events, which are counted by the same filter."""
    page = await client.ask(EVENTS, filter=filter)
    rows = await client.ask(COUNT, filter=filter)
    selected = summaries(page)
    assert page["totalCount"] == len(selected)
    assert [row["count"] for row in rows] == [len(selected)][: len(selected)]
    return selected


async def a_type(client: Client, **given: Any) -> None:
    payload = await client.ask(CREATE, input={"name": "Trip", "state": "PUBLISHED"} | given)
    assert payload["userErrors"] == []


async def test_events_are_found_by_the_category_of_their_type(client: Client) -> None:
    await a_type(client, type="pump.trip", category="pumps")
    await a_type(client, type="flare", category="Pumps")
    for type_name in ("pump.trip", "flare", "pumps"):
        await client.log(type=type_name, summary=type_name)

    assert await found(client, {"category": "pumps"}) == ["pump.trip"]
    assert await found(client, {"category": "Pumps"}) == ["flare"]
    assert await found(client, {"category": "pump"}) == []
    assert await found(client, {"not": {"category": "pumps"}}) == ["pumps", "flare"]


async def test_an_event_logged_before_its_type_was_registered_has_no_category(
    client: Client,
) -> None:
    await client.log(type="pump.trip", summary="before")
    await a_type(client, type="pump.trip", category="pumps")
    await client.log(type="pump.trip", summary="after")

    assert await found(client, {"category": "pumps"}) == ["after"]


async def test_no_event_is_a_duplicate_as_long_as_no_rule_flags_one(client: Client) -> None:
    await client.log(summary="one")

    assert await found(client, {"duplicate": True}) == []
    assert await found(client, {"duplicate": False}) == ["one"]


FINDING = (
    *("pump", "PUMP", "tripped pump", "3", "  pump,\ttripped! ", "bearing", "pump bearing"),
    *("café", "CAFÉ", "cafe\u0301", "ｐｕｍｐ", "abc 12", "ABC_12", "acme.com", "https"),
    *("café’s", "pump pump", "pump-3", "pump*", "(pump"),
)
# Parts of words, words of which one is elsewhere, and what a database might take for operators.
MISSING = (
    *("pum", "ump", "pump flare", "trippe", "bearings", "pump3", "u", "ab", "ABC12", "cafe"),
    *('"pump" AND (3', "pump OR", "NOT flare", "pump NEAR tripped", "-flare", "words:pump"),
)


async def test_a_search_finds_whole_words_in_any_spelling(client: Client) -> None:
    await client.log(**PUMP)
    await client.log(summary="other")

    told = {search: await found(client, {"search": search}) for search in FINDING}

    assert told == {search: ["Pump 3 tripped"] for search in FINDING}


async def test_a_search_finds_nothing_else(client: Client) -> None:
    await client.log(**PUMP)

    told = {search: await found(client, {"search": search}) for search in MISSING}

    assert told == {search: [] for search in MISSING}


@pytest.mark.parametrize("search", ["", " ", "!?", "_", "*", "\u0301"])
async def test_where_no_word_is_wanted_none_is_missing(client: Client, search: str) -> None:
    await client.log(**PUMP)

    assert await found(client, {"search": search}) == ["Pump 3 tripped"]


async def test_summary_and_content_are_searched_and_nothing_else(client: Client) -> None:
    await client.log(
        type="alpha", summary="beta", content="gamma", source="delta", tags=["epsilon"]
    )

    assert await found(client, {"search": "beta gamma"}) == ["beta"]
    for word in ("alpha", "delta", "epsilon"):
        assert await found(client, {"search": word}) == []


async def test_words_of_another_organization_s_id_find_nothing(client: Client) -> None:
    await client.log(summary="x")
    organization = await client.ask("{ organization { id } }")

    assert await found(client, {"search": organization["id"].replace("-", "")}) == []
    assert await found(client, {"search": "@" + organization["id"].replace("-", "")}) == []


HOLDING = [
    *(("pressure", "EQ", 4.5), ("count", "EQ", 150.0), ("cause", "EQ", "wear")),
    *(("planned", "EQ", False), ("at", "EQ", "2026-04-10T10:00:00Z")),
    *(("pressure", "NE", 4), ("count", "NE", "150"), ("planned", "NE", 0), ("detail", "NE", 1)),
    *(("parts", "NE", "bearing"), ("cause", "NE", "Wear")),
    *(("count", "GT", 149.9), ("count", "GTE", 150), ("count", "LT", 151), ("count", "LTE", 150)),
    *(("cause", "GT", "Wear"), ("cause", "LT", "wearing"), ("day", "GT", "2026-04-09")),
    *(("at", "GTE", "2026-04-10T10:00:00Z"), ("at", "LT", "2026-04-10T12:00:01+02:00")),
    *(("count", "IN", [1, 150]), ("cause", "IN", [150, "wear"]), ("planned", "IN", [False])),
    *(("cause", "CONTAINS", "ea"), ("cause", "CONTAINS", ""), ("parts", "CONTAINS", "bearing")),
    *(("parts", "CONTAINS", 7.0), ("parts", "CONTAINS", True)),
]
FAILING = [
    *(("pressure", "EQ", "4.5"), ("count", "EQ", True), ("planned", "EQ", 0), ("count", "EQ", 1)),
    *(("cause", "EQ", "Wear"), ("parts", "EQ", "bearing"), ("nothing", "EQ", "null")),
    *(("pressure", "NE", 4.5), ("nothing", "NE", 1), ("missing", "NE", 1)),
    *(("count", "GT", 150), ("count", "GT", "1"), ("cause", "GT", 1), ("planned", "LT", 1)),
    *(("parts", "GT", 1), ("missing", "LT", 1), ("nothing", "LTE", 1)),
    *(("count", "IN", []), ("count", "IN", ["150", True]), ("parts", "IN", ["bearing"])),
    *(("cause", "CONTAINS", "EA"), ("cause", "CONTAINS", "%"), ("parts", "CONTAINS", "bear")),
    *(("parts", "CONTAINS", "seal"), ("parts", "CONTAINS", 1), ("count", "CONTAINS", 5)),
    *(("count", "CONTAINS", 150), ("detail", "CONTAINS", "a"), ("detail", "CONTAINS", 1)),
]


async def test_a_predicate_selects_events_whose_value_is_so(client: Client) -> None:
    await client.log(**PUMP)
    await client.log(summary="without fields")

    told = [(each, await found(client, having(*each))) for each in HOLDING]

    assert told == [(each, ["Pump 3 tripped"]) for each in HOLDING]


async def test_a_predicate_selects_no_others(client: Client) -> None:
    await client.log(**PUMP)

    told = [(each, await found(client, having(*each))) for each in FAILING]

    assert told == [(each, []) for each in FAILING]


async def test_a_field_that_is_null_is_absent(client: Client) -> None:
    await client.log(**PUMP)

    assert await found(client, having("parts", "EXISTS")) == ["Pump 3 tripped"]
    assert await found(client, having("detail", "EXISTS", None)) == ["Pump 3 tripped"]
    assert await found(client, having("nothing", "EXISTS")) == []
    assert await found(client, having("nothing", "NOT_EXISTS")) == ["Pump 3 tripped"]
    assert await found(client, having("missing", "NOT_EXISTS", None)) == ["Pump 3 tripped"]
    assert await found(client, {"not": having("missing", "NE", 1)}) == ["Pump 3 tripped"]


async def test_all_predicates_must_hold_and_none_selects_nothing(client: Client) -> None:
    await client.log(**PUMP)
    [wear] = having("cause", "EQ", "wear")["fields"]
    [high] = having("pressure", "GT", 5)["fields"]

    assert await found(client, {"fields": [wear]}) == ["Pump 3 tripped"]
    assert await found(client, {"fields": [wear, high]}) == []
    assert await found(client, {"fields": []}) == []
    assert await found(client, {"or": [{"fields": [high]}, {"fields": [wear]}]}) == [
        "Pump 3 tripped"
    ]


async def test_the_value_may_stand_in_the_query_itself(client: Client) -> None:
    await client.log(**PUMP)

    page = await client.ask(
        """query ($cause: JSON) { events(filter: {fields: [
             {field: "count", operator: IN, value: [150, "x", true]}
             {field: "cause", operator: EQ, value: $cause}
           ]}) { totalCount } }""",
        cause="wear",
    )

    assert page == {"totalCount": 1}


async def test_an_updated_event_is_found_by_what_it_has_become(client: Client) -> None:
    event = await client.log(**PUMP)

    await client.ask(
        UPDATE,
        input={
            "id": event["id"],
            "summary": "Valve 4 leaks",
            "fields": {"cause": None, "pressure": 9, "parts": ["seal"], "new": "x"},
        },
    )

    for filter in ({"search": "tripped"}, having("cause", "EXISTS"), having("pressure", "EQ", 4.5)):
        assert await found(client, filter) == []
    assert await found(client, having("parts", "CONTAINS", "bearing")) == []
    for filter in (
        *({"search": "valve bearing"}, having("cause", "NOT_EXISTS"), having("pressure", "EQ", 9)),
        *(having("parts", "CONTAINS", "seal"), having("new", "EQ", "x")),
        having("count", "EQ", 150),
    ):
        assert await found(client, filter) == ["Valve 4 leaks"]


async def test_content_that_is_taken_away_is_not_found_any_more(client: Client) -> None:
    event = await client.log(**PUMP)

    await client.ask(UPDATE, input={"id": event["id"], "content": None})

    assert await found(client, {"search": "bearing"}) == []
    assert await found(client, {"search": "pump"}) == ["Pump 3 tripped"]


async def test_a_refused_update_leaves_the_event_findable_as_it_was(client: Client) -> None:
    event = await client.log(**PUMP)

    payload = await client.ask(
        UPDATE, input={"id": event["id"], "summary": "Valve", "content": "x" * 100_001}
    )

    assert payload["userErrors"] == [{"code": "INVALID_INPUT"}]
    assert await found(client, {"search": "valve"}) == []
    assert await found(client, {"search": "tripped"}) == ["Pump 3 tripped"]


async def test_a_deleted_event_is_not_found(client: Client) -> None:
    event = await client.log(**PUMP)
    await client.log(**PUMP | {"summary": "Pump 4"})

    await client.ask(DELETE, id=event["id"])

    for filter in ({"search": "pump"}, having("count", "EQ", 150), {"types": ["pump.*"]}):
        assert await found(client, filter) == ["Pump 4"]


async def test_the_log_is_asked_for_words_and_fields_as_they_were_and_became(
    client: Client,
) -> None:
    event = await client.log(**PUMP)
    await client.ask(
        UPDATE,
        input={"id": event["id"], "summary": "Valve", "content": None, "fields": {"cause": "age"}},
    )
    await client.ask(DELETE, id=event["id"])

    async def kinds(filter: dict[str, Any]) -> list[str]:
        return [node["kind"] for node in (await client.ask(CHANGES, filter=filter))["nodes"]]

    assert await kinds({"search": "tripped"}) == ["LOGGED", "UPDATED"]
    assert await kinds({"search": "valve"}) == ["UPDATED", "DELETED"]
    assert await kinds(having("cause", "EQ", "wear")) == ["LOGGED", "UPDATED"]
    assert await kinds(having("cause", "IN", ["age"])) == ["UPDATED", "DELETED"]
    assert await kinds(having("count", "GT", 100)) == ["LOGGED", "UPDATED", "DELETED"]
    assert await kinds({"search": "flare"}) == []


LIVE = [
    {"search": "tripped bearing"},
    having("cause", "EQ", "wear"),
    having("parts", "CONTAINS", "bearing"),
    {"category": "pumps"},
    {"duplicate": False, "category": "pumps"},
]


@pytest.mark.parametrize("filter", LIVE)
async def test_a_subscriber_hears_live_and_again_what_the_filter_selects(
    client: Client, filter: dict[str, Any]
) -> None:
    fields = [
        {"name": "cause", "kind": "TEXT"},
        {"name": "parts", "kind": "MULTI_SELECT", "options": ["bearing", "seal"]},
    ]
    await a_type(client, type="pump.trip", category="pumps", fields=fields)
    given = PUMP | {"fields": {"cause": "wear", "parts": ["seal", "bearing"]}}
    head = await client.ask("{ logHead }")
    live: list[Any] = []

    async with client.subscription(CHANGED, filter=filter, after=head) as changed:
        await client.log(summary="other")
        wanted = await client.log(**given)
        live.append(await changed.next())
        await client.ask(DELETE, id=wanted["id"])
        live.append(await changed.next())
    async with client.subscription(CHANGED, filter=filter, after=head) as replayed:
        again = await replayed.take(2)

    assert [(change["kind"], change["eventId"]) for change in live] == [
        *(("LOGGED", wanted["id"]), ("DELETED", wanted["id"]))
    ]
    assert [change["cursor"] for change in again] == [change["cursor"] for change in live]


async def test_a_subscriber_hears_of_an_event_that_leaves_its_words(client: Client) -> None:
    event = await client.log(**PUMP)
    head = await client.ask("{ logHead }")

    async with client.subscription(CHANGED, filter={"search": "tripped"}, after=head) as changed:
        await client.ask(UPDATE, input={"id": event["id"], "summary": "Valve"})
        left = await changed.next()
        await client.ask(UPDATE, input={"id": event["id"], "severity": "info"})
        await client.ask(UPDATE, input={"id": event["id"], "summary": "Tripped again"})
        back = await changed.next()

    assert left["changes"]["summary"] == ["Pump 3 tripped", "Valve"]
    assert back["changes"]["summary"] == ["Valve", "Tripped again"]


async def test_the_bell_and_its_subscription_take_type_prefixes(client: Client) -> None:
    head = await client.ask("{ logHead }")
    wanted = {"types": ["pump.*"]}

    async with client.subscription(ADDED, filter=wanted, after=head) as bell:
        await client.log(**PUMP | {"type": "flare", "summary": "other", "notification": True})
        await client.log(**PUMP | {"notification": True})
        rung = await bell.next()

    listed = await client.ask(BELL, filter=wanted)
    assert rung["node"]["summary"] == "Pump 3 tripped"
    assert (summaries(listed), listed["totalCount"]) == (["Pump 3 tripped"], 1)


TEXTS_101 = [str(n) for n in range(101)]
DEEP: Any = None
for _ in range(51):
    DEEP = [DEEP]
BAD_PREDICATES: list[tuple[tuple[Any, ...], list[str]]] = [
    *((("EXISTS", 1), ["value"]), (("EXISTS", False), ["value"]), (("NOT_EXISTS", ""), ["value"])),
    *((("EQ", None), ["value"]), (("EQ", [1]), ["value"]), (("EQ", {"a": 1}), ["value"])),
    *((("EQ",), ["value"]), (("NE", None), ["value"]), (("NE", []), ["value"])),
    *((("GT", None), ["value"]), (("GT", True), ["value"]), (("LTE", [1]), ["value"])),
    *((("LT", {}), ["value"]), (("GTE", False), ["value"])),
    *((("IN", None), ["value"]), (("IN", 1), ["value"]), (("IN", "a"), ["value"])),
    *((("IN", [1, None]), ["value"]), (("IN", [[1]]), ["value"]), (("IN", [{}]), ["value"])),
    *((("IN", TEXTS_101), ["value"]), (("IN", ["a", "\0"]), ["value", "1"])),
    *((("CONTAINS", None), ["value"]), (("CONTAINS", ["a"]), ["value"])),
    *((("EQ", "a\0"), ["value"]), (("EQ", "\ud800"), ["value"]), (("EQ", 10**400), ["value"])),
    *((("IN", [1, float("inf")]), ["value", "1"]), (("EQ", float("inf")), ["value"])),
    *((("IN", DEEP), ["value"]), (("EQ", "x" * 65_536), ["value"])),
]


@pytest.mark.parametrize("within", ["", "and", "or", "not"])
async def test_a_predicate_that_nothing_can_be_asked_is_an_error_that_names_it(
    client: Client, within: str
) -> None:
    for (operator, *value), place in BAD_PREDICATES:
        predicate = having("a", operator, *value)["fields"][0]
        filter: dict[str, Any] = {"fields": [{"field": "b", "operator": "EXISTS"}, predicate]}
        path = ["fields", "1", *place]
        if within:
            filter = {within: filter if within == "not" else [{}, filter]}
            path = [within, *([] if within == "not" else ["1"]), *path]

        error = await client.error(EVENTS, filter=filter)

        told = {"code": "BAD_USER_INPUT", "argument": ["filter", *path]}
        assert error["extensions"] == told, predicate


@pytest.mark.parametrize("name", ["\0", "x" * 256, "\ud800"])
async def test_a_field_s_name_that_none_can_have_is_an_error_that_names_it(
    client: Client, name: str
) -> None:
    error = await client.error(EVENTS, filter=having(name, "EXISTS"))

    argument = ["filter", "fields", "0", "field"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": argument}


async def test_a_number_that_is_infinite_in_the_query_is_an_error(client: Client) -> None:
    error = await client.error(
        """{ events(filter: {fields: [{field: "a", operator: GT, value: 1e400}]}) {
             totalCount } }"""
    )

    argument = ["filter", "fields", "0", "value"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": argument}


ROOTS = [
    "eventCounts(by: [], filter: $filter) { count }",
    "eventChanges(filter: $filter) { nodes { kind } }",
    "organization { events(filter: $filter) { totalCount } }",
    'entity(type: "a", id: "b") { events(filter: $filter) { totalCount } }',
]


@pytest.mark.parametrize("root", ROOTS)
async def test_every_list_with_a_filter_refuses_the_same(client: Client, root: str) -> None:
    bad = having("a", "EXISTS", 1)

    error = await client.error(f"query ($filter: EventFilter) {{ {root} }}", filter=bad)

    argument = ["filter", "fields", "0", "value"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": argument}


async def test_a_subscription_refuses_the_same(client: Client) -> None:
    async with client.subscription(CHANGED, filter=having("a", "EQ", [1])) as changed:
        error = await changed.error()

    argument = ["filter", "fields", "0", "value"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": argument}


async def test_each_predicate_is_one_of_the_100_things_a_filter_says(client: Client) -> None:
    await client.log(**PUMP)
    one = {"field": "count", "operator": "EQ", "value": 150}

    assert await found(client, {"fields": [one] * 100}) == ["Pump 3 tripped"]
    assert await found(client, {"and": [{"fields": [one] * 50}] * 2}) == ["Pump 3 tripped"]
    for filter, argument in (
        ({"fields": [one] * 101}, ["filter", "fields"]),
        ({"fields": [one] * 100, "search": "pump"}, ["filter"]),
        ({"and": [{"fields": [one] * 51}] * 2}, ["filter"]),
        ({"or": [{"fields": []}] * 101}, ["filter", "or"]),
        ({"or": [{"or": [{"fields": []}] * 51}] * 2}, ["filter"]),
    ):
        error = await client.error(EVENTS, filter=filter)
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": argument}


async def test_a_predicate_lies_at_most_5_filters_deep(client: Client) -> None:
    await client.log(**PUMP)
    filter = having("count", "EQ", 150)
    for _ in range(4):
        filter = {"and": [filter]}

    assert await found(client, filter) == ["Pump 3 tripped"]
    error = await client.error(EVENTS, filter={"or": [filter]})

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": ["filter"]}


PREFIXES = [f"a.{n}*" for n in range(100)]
FULL = [
    {"types": [f"a.{n}" for n in range(100)]},
    {"sourceIds": TEXTS_101[:100]},
    having("cause", "IN", TEXTS_101[:100]),
]


@pytest.mark.parametrize("leaf", FULL, ids=["types", "ids", "values"])
async def test_a_filter_full_of_values_is_answered(client: Client, leaf: dict[str, Any]) -> None:
    await client.log(**PUMP)

    assert await found(client, {"or": [leaf] * 11}) == []
    assert await found(client, {"and": [leaf] * 11}) == []
    assert await found(client, {"not": {"or": [leaf] * 11}}) == ["Pump 3 tripped"]


async def test_each_prefix_is_one_of_the_100_things_a_filter_says(client: Client) -> None:
    await client.log(**PUMP)

    assert await found(client, {"types": PREFIXES}) == []
    assert await found(client, {"types": [*PREFIXES[:99], "pump.*"]}) == ["Pump 3 tripped"]
    for filter in ({"types": PREFIXES, "subject": "a"}, {"or": [{"types": PREFIXES}] * 11}):
        error = await client.error(EVENTS, filter=filter)
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": ["filter"]}
