"""Search by category, words and custom fields in every field that takes a filter."""

from __future__ import annotations

from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import pytest

from tests.client import Client
from tests.graphql.test_history import CHANGED, CHANGES, DELETE, UPDATE
from tests.graphql.test_lists import EVENTS, extract_summaries
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


def predicate_filter(field: str, operator: str, *value: Any) -> dict[str, Any]:
    """A filter with one predicate."""
    attributes = {"value": value[0]} if value else {}
    return {"fields": [{"field": field, "operator": operator} | attributes]}


async def find_summaries(client: Client, filter: dict[str, Any]) -> list[str]:
    """Returns the summaries of the selected events. The count must agree."""
    page = await client.execute_field(EVENTS, filter=filter)
    rows = await client.execute_field(COUNT, filter=filter)
    selected = extract_summaries(page)
    assert page["totalCount"] == len(selected)
    assert [row["count"] for row in rows] == [len(selected)][: len(selected)]
    return selected


async def create_event_type(client: Client, **overrides: Any) -> None:
    payload = await client.execute_field(
        CREATE, input={"name": "Trip", "state": "PUBLISHED"} | overrides
    )
    assert payload["userErrors"] == []


async def test_events_are_found_by_the_category_of_their_type(client: Client) -> None:
    await create_event_type(client, type="pump.trip", category="pumps")
    await create_event_type(client, type="flare", category="Pumps")
    for type_name in ("pump.trip", "flare", "pumps"):
        await client.log_event(type=type_name, summary=type_name)

    assert await find_summaries(client, {"category": "pumps"}) == ["pump.trip"]
    assert await find_summaries(client, {"category": "Pumps"}) == ["flare"]
    assert await find_summaries(client, {"category": "pump"}) == []
    assert await find_summaries(client, {"not": {"category": "pumps"}}) == ["pumps", "flare"]


async def test_an_event_logged_before_its_type_was_registered_has_no_category(
    client: Client,
) -> None:
    await client.log_event(type="pump.trip", summary="before")
    await create_event_type(client, type="pump.trip", category="pumps")
    await client.log_event(type="pump.trip", summary="after")

    assert await find_summaries(client, {"category": "pumps"}) == ["after"]


async def test_no_event_is_a_duplicate_as_long_as_no_rule_flags_one(client: Client) -> None:
    await client.log_event(summary="one")

    assert await find_summaries(client, {"duplicate": True}) == []
    assert await find_summaries(client, {"duplicate": False}) == ["one"]


FINDING = (
    *("pump", "PUMP", "tripped pump", "3", "  pump,\ttripped! ", "bearing", "pump bearing"),
    *("café", "CAFÉ", "cafe\u0301", "ｐｕｍｐ", "abc 12", "ABC_12", "acme.com", "https"),
    *("café’s", "pump pump", "pump-3", "pump*", "(pump"),
)
# Parts of words, words in separate events, and characters that a database might treat as operators.
MISSING = (
    *("pum", "ump", "pump flare", "trippe", "bearings", "pump3", "u", "ab", "ABC12", "cafe"),
    *('"pump" AND (3', "pump OR", "NOT flare", "pump NEAR tripped", "-flare", "words:pump"),
)


async def test_a_search_matches_whole_words_in_any_spelling(client: Client) -> None:
    await client.log_event(**PUMP)
    await client.log_event(summary="other")

    summaries_by_search = {
        search: await find_summaries(client, {"search": search}) for search in FINDING
    }

    assert summaries_by_search == {search: ["Pump 3 tripped"] for search in FINDING}


async def test_a_search_matches_nothing_else(client: Client) -> None:
    await client.log_event(**PUMP)

    summaries_by_search = {
        search: await find_summaries(client, {"search": search}) for search in MISSING
    }

    assert summaries_by_search == {search: [] for search in MISSING}


@pytest.mark.parametrize("search", ["", " ", "\t\n\u3000"])
async def test_a_blank_search_text_sets_no_condition(client: Client, search: str) -> None:
    await client.log_event(**PUMP)

    assert await find_summaries(client, {"search": search}) == ["Pump 3 tripped"]
    assert await find_summaries(client, {"not": {"search": search}}) == []


@pytest.mark.parametrize("search", ["!?", "_", "*", " ** ", "\u0301", "\u200d", "+"])
async def test_a_search_text_without_a_word_is_rejected(client: Client, search: str) -> None:
    await client.log_event(**PUMP)

    for query in (EVENTS, COUNT, BELL):
        for filter, path in (
            ({"search": search}, ["filter", "search"]),
            ({"and": [{"not": {"search": search}}]}, ["filter", "and", "0", "not", "search"]),
        ):
            error = await client.expect_error(query, filter=filter)
            assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": path}
    async with client.subscription(CHANGED, filter={"search": search}) as changed:
        error = await changed.receive_error()
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": ["filter", "search"]}


WRITTEN = {
    "Brand 🔥 im Schaltschrank": ("🔥", "🔥brand", "schalt* 🔥", "BRAND*", "s*", "🔥*"),
    "配電盤で火災が発生しました": (
        "配電",
        "火災",
        "火災が発生",
        "発",
        "た",
        "ました",
        "火災 配電盤",
    ),
    "ポンプ３号機・停止": ("ポンプ", "ﾎﾟﾝﾌﾟ", "3", "号機", "停止", "ンプ 停"),
    "ปั๊มน้ำหยุดทำงาน": ("น้ำ", "หยุด", "หยุดทำ", "ปั๊ม งาน"),
    "ປັ໊ມນ້ຳຢຸດ": ("ຢຸດ", "ນ້ຳ"),
    "ម៉ាស៊ីនឈប់": ("ឈប់", "ម៉ាស៊ីន"),
    "ပန့်ရပ်သွားသည်": ("ရပ်", "သွား"),
    "reconfiguration of abcdefghijklmnopqrstuvwxyz0123456789": (
        "reconfig*",
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "abcdefghijklmnopqrstuvwxyz0123456789*",
        "abcdefghijklmnopqrstuvwxyz012345678*",
        "ABC*",
        "a* r* o*",
    ),
}


@pytest.mark.parametrize("summary", WRITTEN)
async def test_a_search_matches_symbols_parts_and_prefixes_in_queries_and_subscriptions(
    client: Client, summary: str
) -> None:
    head = await client.execute_field("{ logHead }")
    for each in WRITTEN:
        await client.log_event(summary=each)

    for search in WRITTEN[summary]:
        filter = {"search": search}
        assert (search, await find_summaries(client, filter)) == (search, [summary])
        async with client.subscription(CHANGED, filter=filter, after=head) as changed:
            entry = await changed.receive_next()
        assert (search, entry["changes"]["summary"]) == (search, [None, summary])


UNFOUND = (
    *("🚒", "🔥 pump", "config*", "盤配", "発火", "しい", "ンポ", "nfiguration*"),
    *("abcdefghijklmnopqrstuvwxyz01", "abcdefghijklmnopqrstuvwxyz0a*", "brandi*"),
)


async def test_a_search_does_not_match_other_symbols_parts_and_prefixes(client: Client) -> None:
    for summary in WRITTEN:
        await client.log_event(summary=summary)

    results = {search: await find_summaries(client, {"search": search}) for search in UNFOUND}

    assert results == {search: [] for search in UNFOUND}


async def test_only_summary_and_content_are_searched(client: Client) -> None:
    await client.log_event(
        type="alpha", summary="beta", content="gamma", source="delta", tags=["epsilon"]
    )

    assert await find_summaries(client, {"search": "beta gamma"}) == ["beta"]
    for word in ("alpha", "delta", "epsilon"):
        assert await find_summaries(client, {"search": word}) == []


async def test_an_organization_id_is_not_searchable(client: Client) -> None:
    await client.log_event(summary="x")
    organization = await client.execute_field("{ organization { id } }")

    assert await find_summaries(client, {"search": organization["id"].replace("-", "")}) == []
    assert await find_summaries(client, {"search": "@" + organization["id"].replace("-", "")}) == []


HOLDING = [
    *(("pressure", "EQ", 4.5), ("count", "EQ", 150.0), ("cause", "EQ", "wear")),
    *(("planned", "EQ", False), ("at", "EQ", "2026-04-10T10:00:00Z")),
    *(("pressure", "NE", 4), ("count", "NE", "150"), ("planned", "NE", 0), ("detail", "NE", 1)),
    *(("parts", "EQ", "bearing"), ("parts", "NE", "wheel"), ("cause", "NE", "Wear")),
    *(("parts", "IN", ["wheel", "bearing"]), ("parts", "GT", 1)),
    *(("count", "GT", 149.9), ("count", "GTE", 150), ("count", "LT", 151), ("count", "LTE", 150)),
    *(("cause", "GT", "Wear"), ("cause", "LT", "wearing"), ("day", "GT", "2026-04-09")),
    *(("at", "GTE", "2026-04-10T10:00:00Z"), ("at", "LT", "2026-04-10T12:00:01+02:00")),
    *(("count", "IN", [1, 150]), ("cause", "IN", [150, "wear"]), ("planned", "IN", [False])),
    *(("cause", "CONTAINS", "ea"), ("cause", "CONTAINS", ""), ("parts", "CONTAINS", "bearing")),
    *(("parts", "CONTAINS", 7.0), ("parts", "CONTAINS", True), ("parts", "CONTAINS", "seal")),
]
FAILING = [
    *(("pressure", "EQ", "4.5"), ("count", "EQ", True), ("planned", "EQ", 0), ("count", "EQ", 1)),
    *(("cause", "EQ", "Wear"), ("parts", "NE", "bearing"), ("nothing", "EQ", "null")),
    *(("parts", "EQ", "wheel"), ("parts", "GT", 7)),
    *(("pressure", "NE", 4.5), ("nothing", "NE", 1), ("missing", "NE", 1)),
    *(("count", "GT", 150), ("count", "GT", "1"), ("cause", "GT", 1), ("planned", "LT", 1)),
    *(("missing", "LT", 1), ("nothing", "LTE", 1)),
    *(("count", "IN", []), ("count", "IN", ["150", True]), ("parts", "IN", ["wheel"])),
    *(("cause", "CONTAINS", "EA"), ("cause", "CONTAINS", "%"), ("parts", "CONTAINS", "bear")),
    *(("parts", "CONTAINS", 1), ("count", "CONTAINS", 5), ("count", "CONTAINS", 150)),
    *(("detail", "CONTAINS", "a"), ("detail", "CONTAINS", 1)),
]


async def test_a_predicate_selects_matching_events(client: Client) -> None:
    await client.log_event(**PUMP)
    await client.log_event(summary="without fields")

    results = [(each, await find_summaries(client, predicate_filter(*each))) for each in HOLDING]

    assert results == [(each, ["Pump 3 tripped"]) for each in HOLDING]


async def test_a_predicate_selects_no_other_events(client: Client) -> None:
    await client.log_event(**PUMP)

    results = [(each, await find_summaries(client, predicate_filter(*each))) for each in FAILING]

    assert results == [(each, []) for each in FAILING]


NEIGHBORS = [2**53 - 1, 2**53, 2**53 + 1, 10**19 - 1, 10**19]
NEIGHBORS = sorted({*NEIGHBORS, *(-number for number in NEIGHBORS)})
COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "EQ": eq,
    "NE": ne,
    "GT": gt,
    "GTE": ge,
    "LT": lt,
    "LTE": le,
}


@pytest.mark.parametrize("comparison", COMPARISONS)
async def test_integers_beyond_doubles_are_compared_exactly(
    client: Client, comparison: str
) -> None:
    for number in NEIGHBORS:
        await client.log_event(summary=str(number), fields={"n": number})

    selected = {
        value: await find_summaries(client, predicate_filter("n", comparison, value))
        for value in NEIGHBORS
    }

    assert selected == {
        value: [str(n) for n in reversed(NEIGHBORS) if COMPARISONS[comparison](n, value)]
        for value in NEIGHBORS
    }


async def test_integers_beyond_doubles_are_elements_and_literals(client: Client) -> None:
    for numbers in ([2**53], [2**53, 2**53 + 1], [2**53 + 1]):
        await client.log_event(summary=str(len(numbers)), fields={"n": numbers[0], "list": numbers})

    page = await client.execute_field(
        """{ events(filter: {fields: [{field: "n", operator: IN, value: [9007199254740993, 1]}]}) {
             nodes { fields } } }"""
    )
    containing = await client.execute_field(
        EVENTS, filter=predicate_filter("list", "CONTAINS", 2**53 + 1)
    )

    assert page == {"nodes": [{"fields": {"n": 2**53 + 1, "list": [2**53 + 1]}}]}
    assert containing["totalCount"] == 2


async def test_a_subscription_filter_compares_large_integers_exactly(
    client: Client,
) -> None:
    filter = predicate_filter("n", "GT", 2**53)
    head = await client.execute_field("{ logHead }")

    async with client.subscription(CHANGED, filter=filter, after=head) as changed:
        for number in (2**53, 2**53 + 1):
            await client.log_event(summary=str(number), fields={"n": number})
        entry = await changed.receive_next()

    assert entry["changes"]["fields"] == [None, {"n": 2**53 + 1}]


async def test_a_field_that_is_null_is_absent(client: Client) -> None:
    await client.log_event(**PUMP)

    assert await find_summaries(client, predicate_filter("parts", "EXISTS")) == ["Pump 3 tripped"]
    assert await find_summaries(client, predicate_filter("detail", "EXISTS", None)) == [
        "Pump 3 tripped"
    ]
    assert await find_summaries(client, predicate_filter("nothing", "EXISTS")) == []
    assert await find_summaries(client, predicate_filter("nothing", "NOT_EXISTS")) == [
        "Pump 3 tripped"
    ]
    assert await find_summaries(client, predicate_filter("missing", "NOT_EXISTS", None)) == [
        "Pump 3 tripped"
    ]
    assert await find_summaries(client, {"not": predicate_filter("missing", "NE", 1)}) == [
        "Pump 3 tripped"
    ]


async def test_all_predicates_must_be_true(client: Client) -> None:
    await client.log_event(**PUMP)
    [wear] = predicate_filter("cause", "EQ", "wear")["fields"]
    [high] = predicate_filter("pressure", "GT", 5)["fields"]

    assert await find_summaries(client, {"fields": [wear]}) == ["Pump 3 tripped"]
    assert await find_summaries(client, {"fields": [wear, high]}) == []
    assert await find_summaries(client, {"fields": []}) == []
    assert await find_summaries(client, {"or": [{"fields": [high]}, {"fields": [wear]}]}) == [
        "Pump 3 tripped"
    ]


async def test_the_value_can_be_a_literal(client: Client) -> None:
    await client.log_event(**PUMP)

    page = await client.execute_field(
        """query ($cause: JSON) { events(filter: {fields: [
             {field: "count", operator: IN, value: [150, "x", true]}
             {field: "cause", operator: EQ, value: $cause}
           ]}) { totalCount } }""",
        cause="wear",
    )

    assert page == {"totalCount": 1}


async def test_an_updated_event_is_found_by_its_new_values(client: Client) -> None:
    event = await client.log_event(**PUMP)

    await client.execute_field(
        UPDATE,
        input={
            "id": event["id"],
            "summary": "Valve 4 leaks",
            "fields": {"cause": None, "pressure": 9, "parts": ["seal"], "new": "x"},
        },
    )

    for filter in (
        {"search": "tripped"},
        predicate_filter("cause", "EXISTS"),
        predicate_filter("pressure", "EQ", 4.5),
    ):
        assert await find_summaries(client, filter) == []
    assert await find_summaries(client, predicate_filter("parts", "CONTAINS", "bearing")) == []
    for filter in (
        *(
            {"search": "valve bearing"},
            predicate_filter("cause", "NOT_EXISTS"),
            predicate_filter("pressure", "EQ", 9),
        ),
        *(predicate_filter("parts", "CONTAINS", "seal"), predicate_filter("new", "EQ", "x")),
        predicate_filter("count", "EQ", 150),
    ):
        assert await find_summaries(client, filter) == ["Valve 4 leaks"]


async def test_removed_content_is_no_longer_found(client: Client) -> None:
    event = await client.log_event(**PUMP)

    await client.execute_field(UPDATE, input={"id": event["id"], "content": None})

    assert await find_summaries(client, {"search": "bearing"}) == []
    assert await find_summaries(client, {"search": "pump"}) == ["Pump 3 tripped"]


async def test_a_rejected_update_does_not_change_the_search_index(client: Client) -> None:
    event = await client.log_event(**PUMP)

    payload = await client.execute_field(
        UPDATE, input={"id": event["id"], "summary": "Valve", "content": "x" * 100_001}
    )

    assert payload["userErrors"] == [{"code": "INVALID_INPUT"}]
    assert await find_summaries(client, {"search": "valve"}) == []
    assert await find_summaries(client, {"search": "tripped"}) == ["Pump 3 tripped"]


async def test_a_deleted_event_is_not_found(client: Client) -> None:
    event = await client.log_event(**PUMP)
    await client.log_event(**PUMP | {"summary": "Pump 4"})

    await client.execute_field(DELETE, id=event["id"])

    for filter in ({"search": "pump"}, predicate_filter("count", "EQ", 150), {"types": ["pump.*"]}):
        assert await find_summaries(client, filter) == ["Pump 4"]


async def test_filters_of_the_change_log_match_old_and_new_values(
    client: Client,
) -> None:
    event = await client.log_event(**PUMP)
    await client.execute_field(
        UPDATE,
        input={"id": event["id"], "summary": "Valve", "content": None, "fields": {"cause": "age"}},
    )
    await client.execute_field(DELETE, id=event["id"])

    async def kinds(filter: dict[str, Any]) -> list[str]:
        return [
            node["kind"] for node in (await client.execute_field(CHANGES, filter=filter))["nodes"]
        ]

    assert await kinds({"search": "tripped"}) == ["LOGGED", "UPDATED"]
    assert await kinds({"search": "valve"}) == ["UPDATED", "DELETED"]
    assert await kinds(predicate_filter("cause", "EQ", "wear")) == ["LOGGED", "UPDATED"]
    assert await kinds(predicate_filter("cause", "IN", ["age"])) == ["UPDATED", "DELETED"]
    assert await kinds(predicate_filter("count", "GT", 100)) == ["LOGGED", "UPDATED", "DELETED"]
    assert await kinds({"search": "flare"}) == []


LIVE = [
    {"search": "tripped bearing"},
    predicate_filter("cause", "EQ", "wear"),
    predicate_filter("parts", "CONTAINS", "bearing"),
    {"category": "pumps"},
    {"duplicate": False, "category": "pumps"},
]


@pytest.mark.parametrize("filter", LIVE)
async def test_a_subscriber_receives_selected_changes_live_and_replayed(
    client: Client, filter: dict[str, Any]
) -> None:
    fields = [
        {"name": "cause", "kind": "TEXT"},
        {"name": "parts", "kind": "MULTI_SELECT", "options": ["bearing", "seal"]},
    ]
    await create_event_type(client, type="pump.trip", category="pumps", fields=fields)
    attributes = PUMP | {"fields": {"cause": "wear", "parts": ["seal", "bearing"]}}
    head = await client.execute_field("{ logHead }")
    live: list[Any] = []

    async with client.subscription(CHANGED, filter=filter, after=head) as changed:
        await client.log_event(summary="other")
        expected = await client.log_event(**attributes)
        live.append(await changed.receive_next())
        await client.execute_field(DELETE, id=expected["id"])
        live.append(await changed.receive_next())
    async with client.subscription(CHANGED, filter=filter, after=head) as replayed:
        again = await replayed.receive_many(2)

    assert [(change["kind"], change["eventId"]) for change in live] == [
        *(("LOGGED", expected["id"]), ("DELETED", expected["id"]))
    ]
    assert [change["cursor"] for change in again] == [change["cursor"] for change in live]


async def test_a_subscriber_receives_a_change_that_removes_the_searched_words(
    client: Client,
) -> None:
    event = await client.log_event(**PUMP)
    head = await client.execute_field("{ logHead }")

    async with client.subscription(CHANGED, filter={"search": "tripped"}, after=head) as changed:
        await client.execute_field(UPDATE, input={"id": event["id"], "summary": "Valve"})
        left = await changed.receive_next()
        await client.execute_field(UPDATE, input={"id": event["id"], "severity": "info"})
        await client.execute_field(UPDATE, input={"id": event["id"], "summary": "Tripped again"})
        back = await changed.receive_next()

    assert left["changes"]["summary"] == ["Pump 3 tripped", "Valve"]
    assert back["changes"]["summary"] == ["Valve", "Tripped again"]


async def test_notifications_and_their_subscription_accept_type_prefixes(client: Client) -> None:
    head = await client.execute_field("{ logHead }")
    expected = {"types": ["pump.*"]}

    async with client.subscription(ADDED, filter=expected, after=head) as bell:
        await client.log_event(**PUMP | {"type": "flare", "summary": "other", "notification": True})
        await client.log_event(**PUMP | {"notification": True})
        rung = await bell.receive_next()

    listed = await client.execute_field(BELL, filter=expected)
    assert rung["node"]["summary"] == "Pump 3 tripped"
    assert (extract_summaries(listed), listed["totalCount"]) == (["Pump 3 tripped"], 1)


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
async def test_an_invalid_predicate_is_an_error_with_its_path(client: Client, within: str) -> None:
    for (operator, *value), error_path in BAD_PREDICATES:
        predicate = predicate_filter("a", operator, *value)["fields"][0]
        filter: dict[str, Any] = {"fields": [{"field": "b", "operator": "EXISTS"}, predicate]}
        path = ["fields", "1", *error_path]
        if within:
            filter = {within: filter if within == "not" else [{}, filter]}
            path = [within, *([] if within == "not" else ["1"]), *path]

        error = await client.expect_error(EVENTS, filter=filter)

        extensions = {"code": "BAD_USER_INPUT", "path": ["filter", *path]}
        assert error["extensions"] == extensions, predicate


@pytest.mark.parametrize("name", ["\0", "x" * 256, "\ud800"])
async def test_an_invalid_field_name_is_an_error_with_its_path(client: Client, name: str) -> None:
    error = await client.expect_error(EVENTS, filter=predicate_filter(name, "EXISTS"))

    argument = ["filter", "fields", "0", "field"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": argument}


async def test_an_infinite_number_literal_is_an_error(client: Client) -> None:
    error = await client.expect_error(
        """{ events(filter: {fields: [{field: "a", operator: GT, value: 1e400}]}) {
             totalCount } }"""
    )

    argument = ["filter", "fields", "0", "value"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": argument}


ROOTS = [
    "eventCounts(by: [], filter: $filter) { count }",
    "eventChanges(filter: $filter) { nodes { kind } }",
    "notifications(filter: $filter) { totalCount }",
    "organization { events(filter: $filter) { totalCount } }",
    'entity(type: "a", id: "b") { events(filter: $filter) { totalCount } }',
]


@pytest.mark.parametrize("root", ROOTS)
async def test_every_list_rejects_the_same_filters(client: Client, root: str) -> None:
    bad = predicate_filter("a", "EXISTS", 1)

    error = await client.expect_error(f"query ($filter: EventFilter) {{ {root} }}", filter=bad)

    argument = ["filter", "fields", "0", "value"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": argument}


async def test_a_subscription_rejects_the_same_filters(client: Client) -> None:
    async with client.subscription(CHANGED, filter=predicate_filter("a", "EQ", [1])) as changed:
        error = await changed.receive_error()

    argument = ["filter", "fields", "0", "value"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": argument}


async def test_predicates_count_towards_the_100_conditions_of_a_filter(client: Client) -> None:
    await client.log_event(**PUMP)
    one = {"field": "count", "operator": "EQ", "value": 150}

    assert await find_summaries(client, {"fields": [one] * 100}) == ["Pump 3 tripped"]
    assert await find_summaries(client, {"and": [{"fields": [one] * 50}] * 2}) == ["Pump 3 tripped"]
    for filter, argument in (
        ({"fields": [one] * 101}, ["filter", "fields"]),
        ({"fields": [one] * 100, "search": "pump"}, ["filter"]),
        ({"and": [{"fields": [one] * 51}] * 2}, ["filter"]),
        ({"or": [{"fields": []}] * 101}, ["filter", "or"]),
        ({"or": [{"or": [{"fields": []}] * 51}] * 2}, ["filter"]),
    ):
        error = await client.expect_error(EVENTS, filter=filter)
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": argument}


async def test_predicates_are_at_most_5_filters_deep(client: Client) -> None:
    await client.log_event(**PUMP)
    filter = predicate_filter("count", "EQ", 150)
    for _ in range(4):
        filter = {"and": [filter]}

    assert await find_summaries(client, filter) == ["Pump 3 tripped"]
    error = await client.expect_error(EVENTS, filter={"or": [filter]})

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": ["filter"]}


PREFIXES = [f"a.{n}*" for n in range(100)]
FULL = [
    {"types": [f"a.{n}" for n in range(100)]},
    {"sourceIds": TEXTS_101[:100]},
    predicate_filter("cause", "IN", TEXTS_101[:100]),
]


@pytest.mark.parametrize("leaf", FULL, ids=["types", "ids", "values"])
async def test_a_filter_with_the_maximum_number_of_values_is_accepted(
    client: Client, leaf: dict[str, Any]
) -> None:
    await client.log_event(**PUMP)

    assert await find_summaries(client, {"or": [leaf] * 11}) == []
    assert await find_summaries(client, {"and": [leaf] * 11}) == []
    assert await find_summaries(client, {"not": {"or": [leaf] * 11}}) == ["Pump 3 tripped"]


async def test_prefixes_count_towards_the_100_conditions_of_a_filter(client: Client) -> None:
    await client.log_event(**PUMP)

    assert await find_summaries(client, {"types": PREFIXES}) == []
    assert await find_summaries(client, {"types": [*PREFIXES[:99], "pump.*"]}) == ["Pump 3 tripped"]
    for filter in ({"types": PREFIXES, "subject": "a"}, {"or": [{"types": PREFIXES}] * 11}):
        error = await client.expect_error(EVENTS, filter=filter)
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": ["filter"]}


@pytest.mark.parametrize("field", ["source", "cloudEvent"], ids=["plan", "graphql-core"])
async def test_responses_have_the_same_encoding_whatever_executes_them(
    client: Client, field: str
) -> None:
    await client.log_event(summary="Überdruck 🔥")

    response = await client.post(f"{{ events {{ nodes {{ summary {field} }} }} }}")

    assert '"summary":"Überdruck 🔥"'.encode() in response.content
