"""Lists of events: filters, orders and pages."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from uuid import UUID

import pytest

from app.store.change_log import changes
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import Client

EVENTS = """
query (
  $filter: EventFilter, $orderBy: EventOrder, $first: Int, $after: String, $last: Int,
  $before: String, $offset: Int
) {
  events(
    filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last,
    before: $before, offset: $offset
  ) {
    totalCount
    nodes { summary }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""
OLDEST_FIRST = {"field": "OCCURRED_AT", "direction": "ASC"}
RECORDED_LAST_FIRST = {"field": "RECORDED_AT", "direction": "DESC"}


async def log_days(client: Client, *days: int) -> None:
    for day in days:
        await client.log_event(summary=str(day), occurredAt=f"2026-04-{day:02}T10:00:00Z")


def extract_summaries(page: Any) -> list[str]:
    return [node["summary"] for node in page["nodes"]]


async def test_the_default_order_is_latest_first(client: Client) -> None:
    await log_days(client, 2, 3, 1)

    assert extract_summaries(await client.execute_field(EVENTS)) == ["3", "2", "1"]
    assert extract_summaries(await client.execute_field(EVENTS, orderBy=OLDEST_FIRST)) == [
        "1",
        "2",
        "3",
    ]
    assert extract_summaries(await client.execute_field(EVENTS, orderBy=RECORDED_LAST_FIRST)) == [
        "1",
        "3",
        "2",
    ]


async def test_instants_are_compared_by_time(client: Client) -> None:
    await client.log_event(summary="later", occurredAt="2026-04-10T10:00:00-05:00")
    await client.log_event(summary="earlier", occurredAt="2026-04-10T12:00:00+00:00")

    assert extract_summaries(await client.execute_field(EVENTS)) == ["later", "earlier"]


async def test_forward_pages_contain_every_row_once_during_inserts(client: Client) -> None:
    await log_days(client, *range(1, 6))
    seen: list[str] = []
    page = await client.execute_field(EVENTS, first=2)
    seen += extract_summaries(page)

    for late in (10, 11, 12):
        await log_days(client, late)
        if page["pageInfo"]["hasNextPage"]:
            page = await client.execute_field(EVENTS, first=2, after=page["pageInfo"]["endCursor"])
            seen += extract_summaries(page)

    assert seen == ["5", "4", "3", "2", "1"]
    assert page["pageInfo"]["hasNextPage"] is False


async def test_backward_pages_contain_every_row_once(client: Client) -> None:
    await log_days(client, *range(1, 6))
    last = await client.execute_field(EVENTS, last=2)

    middle = await client.execute_field(EVENTS, last=2, before=last["pageInfo"]["startCursor"])
    await log_days(client, 10)
    front = await client.execute_field(EVENTS, last=3, before=middle["pageInfo"]["startCursor"])

    assert [extract_summaries(page) for page in (last, middle, front)] == [
        ["2", "1"],
        ["4", "3"],
        ["10", "5"],
    ]
    assert [page["pageInfo"]["hasPreviousPage"] for page in (last, middle, front)] == [
        *(True, True, False)
    ]
    assert [page["pageInfo"]["hasNextPage"] for page in (last, middle)] == [False, True]


async def test_equal_instants_are_ordered_by_id(client: Client) -> None:
    for summary in "abcd":
        await client.log_event(summary=summary, occurredAt="2026-04-10T10:00:00Z")
    first = await client.execute_field(EVENTS, orderBy=OLDEST_FIRST, first=3)

    second = await client.execute_field(
        EVENTS, orderBy=OLDEST_FIRST, first=3, after=first["pageInfo"]["endCursor"]
    )

    assert extract_summaries(first) + extract_summaries(second) == ["a", "b", "c", "d"]


async def test_the_most_severe_and_newest_events_are_first(
    client: Client,
) -> None:
    for severity in ("info", "error", "success", "warn"):
        for number in (1, 2):
            await client.log_event(summary=f"{severity} {number}", severity=severity)
    most_severe_first = {"field": "SEVERITY", "direction": "DESC"}
    first = await client.execute_field(EVENTS, orderBy=most_severe_first, first=3)

    rest = await client.execute_field(
        EVENTS, orderBy=most_severe_first, after=first["pageInfo"]["endCursor"]
    )
    least = await client.execute_field(EVENTS, orderBy=most_severe_first | {"direction": "ASC"})

    assert extract_summaries(first) == ["error 2", "error 1", "warn 2"]
    assert extract_summaries(rest) == [
        *("warn 1", "info 2", "info 1", "success 2", "success 1"),
    ]
    assert extract_summaries(least) == [
        *("success 1", "success 2", "info 1", "info 2", "warn 1", "warn 2", "error 1", "error 2"),
    ]


async def test_an_update_of_the_severity_moves_the_event_in_the_order(client: Client) -> None:
    event = await client.log_event(summary="raised", severity="info")
    await client.log_event(summary="warned", severity="warn")

    await client.execute_field(
        """mutation ($input: UpdateEventInput!) {
             updateEvent(input: $input) { userErrors { code } } }""",
        input={"id": event["id"], "severity": "error"},
    )

    page = await client.execute_field(EVENTS, orderBy={"field": "SEVERITY", "direction": "DESC"})
    assert extract_summaries(page) == ["raised", "warned"]


async def test_an_offset_skips_rows(client: Client) -> None:
    await log_days(client, *range(1, 6))

    page = await client.execute_field(EVENTS, first=2, offset=2)

    assert extract_summaries(page) == ["3", "2"]
    assert page["totalCount"] == 5
    assert page["pageInfo"]["hasPreviousPage"] is True


async def test_the_default_page_size_is_20(client: Client) -> None:
    await log_days(client, *range(1, 25))

    page = await client.execute_field(EVENTS)

    assert extract_summaries(page) == [str(day) for day in range(24, 4, -1)]
    assert page["totalCount"] == 24


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"first": 0}, ["first"]),
        ({"first": 101}, ["first"]),
        ({"last": 0}, ["last"]),
        ({"last": -1}, ["last"]),
        ({"first": 1, "last": 1}, ["last"]),
        ({"offset": 10_001}, ["offset"]),
        ({"offset": -1}, ["offset"]),
        ({"offset": 1, "last": 1}, ["offset"]),
        ({"filter": {"ids": ["no-id"]}}, ["filter", "ids", "0"]),
        ({"filter": {"ids": ["018f0000-0000-7000-8000-000000000000"] * 101}}, ["filter", "ids"]),
        ({"filter": {"source": "a\0"}}, ["filter", "source"]),
        ({"filter": {"types": ["\0*"]}}, ["filter", "types", "0"]),
        ({"filter": {"eventTypeId": "7"}}, ["filter", "eventTypeId"]),
        ({"filter": {"tags": {"all": ["\0"]}}}, ["filter", "tags", "all", "0"]),
        (
            {"filter": {"or": [{}, {"not": {"ids": ["x"]}}]}},
            [*["filter", "or", "1", "not", "ids", "0"]],
        ),
        ({"filter": {"not": {"not": {"not": {"not": {"not": {}}}}}}}, ["filter"]),
        ({"filter": {"or": [{"subject": "a", "source": "b"}] * 51}}, ["filter"]),
    ],
)
async def test_an_invalid_argument_is_an_error_with_its_path(
    client: Client, arguments: dict[str, Any], argument: list[str]
) -> None:
    error = await client.expect_error(EVENTS, **arguments)

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": argument}
    assert error["path"] == ["events"]


async def test_two_cursors_or_a_cursor_with_an_offset_are_errors(client: Client) -> None:
    await log_days(client, 1, 2)
    cursor = (await client.execute_field(EVENTS))["pageInfo"]["startCursor"]

    both = await client.expect_error(EVENTS, after=cursor, before=cursor)
    offset = await client.expect_error(EVENTS, after=cursor, offset=1)

    assert both["extensions"] == {"code": "BAD_USER_INPUT", "path": ["before"]}
    assert offset["extensions"] == {"code": "BAD_USER_INPUT", "path": ["offset"]}


@pytest.mark.parametrize("damage", ["", "x", "!", "é", "\0", "A" * 100])
async def test_a_damaged_cursor_is_rejected(client: Client, damage: str) -> None:
    await log_days(client, 1)
    cursor = (await client.execute_field(EVENTS))["pageInfo"]["startCursor"]

    error = await client.expect_error(EVENTS, after=cursor[:-1] + damage)

    assert error["extensions"] == {"code": "INVALID_CURSOR", "path": ["after"]}


async def test_a_cursor_of_another_order_is_rejected(client: Client) -> None:
    await log_days(client, 1)
    cursor = (await client.execute_field(EVENTS))["pageInfo"]["startCursor"]

    error = await client.expect_error(EVENTS, after=cursor, orderBy=OLDEST_FIRST)

    assert error["extensions"] == {"code": "INVALID_CURSOR", "path": ["after"]}


FILTERED = {
    "type": "com.acme.disk_full",
    "entity": {"type": "Well", "id": "well-001"},
    "severity": "error",
    "summary": "wanted",
    "source": "/hosts/a",
    "sourceId": "17",
    "subject": "disk",
    "outcome": "FAILURE",
    "occurredAt": "2026-04-10T10:00:00Z",
    "notification": True,
    "acknowledged": True,
    "tags": ["StudyId:1", "x"],
}


@pytest.mark.parametrize(
    "filter",
    [
        {"types": ["com.acme.disk_full"]},
        {"types": ["other", "com.acme.*"]},
        {"entity": {"type": "Well", "id": "well-001"}},
        {"entityId": "well-001"},
        {"severities": ["WARN", "ERROR"]},
        {"source": "/hosts/a"},
        {"sourceIds": ["16", "17"]},
        {"subject": "disk"},
        {"outcome": "FAILURE"},
        {"occurredAt": {"from": "2026-04-10T10:00:00Z", "to": "2026-04-10T10:00:00.000001Z"}},
        {"notification": True},
        {"acknowledged": True},
        {"tags": {"all": ["StudyId:1", "x"]}},
        {"tags": {"any": ["y", "x"]}},
        {"lastOccurredAt": {"from": "2026-04-10T10:00:00Z"}},
        {"updatedAt": {"from": "2026-04-10T10:00:00Z"}, "subject": "disk"},
        {"missing": ["CONTENT"], "subject": "disk"},
        {"missing": [], "subject": "disk"},
        {"not": {"missing": ["ENTITY"]}},
        {"and": [{"source": "/hosts/a"}, {"subject": "disk"}]},
        {"or": [{"source": "nobody"}, {"subject": "disk"}]},
        {"not": {"or": [{"source": "administrator"}, {"subject": "other"}]}},
        {"and": [], "subject": "disk"},
        {"types": ["com.*"], "severities": ["ERROR"], "entityId": "well-001"},
    ],
)
async def test_a_filter_selects_matching_events(client: Client, filter: dict[str, Any]) -> None:
    await client.log_event(**FILTERED)
    await client.log_event(
        type="COM.ACME.DISK_FULL", summary="other", occurredAt="2026-04-10T09:00:00Z"
    )

    page = await client.execute_field(EVENTS, filter=filter)

    assert extract_summaries(page) == ["wanted"]
    assert page["totalCount"] == 1


@pytest.mark.parametrize(
    "filter",
    [
        {"types": []},
        {"ids": []},
        {"severities": []},
        {"types": ["com.acme.disk_ful"]},
        {"types": ["COM.ACME*"]},
        {"types": ["com.acme.disk_full_*"]},
        {"types": ["com_acme*"]},
        {"entity": {"type": "Pump", "id": "well-001"}},
        {"occurredAt": {"from": "2026-04-10T10:00:00.000001Z"}},
        {"occurredAt": {"to": "2026-04-10T10:00:00Z"}},
        {"lastOccurredAt": {"from": "2026-04-10T10:00:00.000001Z"}},
        {"updatedAt": {"to": "2026-04-10T10:00:00Z"}},
        {"missing": ["SUBJECT"]},
        {"missing": ["CONTENT", "SOURCE_ID"]},
        {"acknowledged": False},
        {"tags": {"all": []}},
        {"tags": {"any": []}},
        {"tags": {"all": ["x", "y"]}},
        {"or": []},
        {"not": {"subject": "disk"}},
        {"not": {"and": []}},
    ],
)
async def test_a_filter_selects_no_other_events(client: Client, filter: dict[str, Any]) -> None:
    await client.log_event(**FILTERED)

    page = await client.execute_field(EVENTS, filter=filter)

    assert extract_summaries(page) == []


async def test_null_in_a_filter_is_absent(client: Client) -> None:
    await client.log_event(**FILTERED)

    page = await client.execute_field(EVENTS, filter={"types": None, "occurredAt": {"from": None}})

    assert extract_summaries(page) == ["wanted"]


async def test_an_entity_a_type_and_the_organization_list_their_own_events(client: Client) -> None:
    event_type = await client.execute_field(
        """mutation { createEventType(input: {name: "Gauge", state: PUBLISHED}) {
             eventType { id type } } }"""
    )
    type_name = event_type["eventType"]["type"]
    await client.log_event(summary="typed", type=type_name, entity={"type": "Well", "id": "1"})
    await client.log_event(summary="same entity", entity={"type": "Well", "id": "1"})
    await client.log_event(summary="other")

    event = await client.execute_field(
        """{ events(filter: {types: ["general.gauge"]}) { nodes {
               entity { events(orderBy: {field: RECORDED_AT, direction: ASC}) {
                 nodes { summary } totalCount } }
               eventType { events { nodes { summary } totalCount } } } } }"""
    )
    organization = await client.execute_field("{ organization { events { totalCount } } }")

    [node] = event["nodes"]
    assert extract_summaries(node["entity"]["events"]) == ["typed", "same entity"]
    assert extract_summaries(node["eventType"]["events"]) == ["typed"]
    assert organization["events"]["totalCount"] == 3


FORGED = [
    *("{}", "[]", "5", "NaN", '["log"', '["events OCCURRED_AT DESC"]'),
    '["events OCCURRED_AT DESC","x","y"]',
    '["events OCCURRED_AT DESC","2026-01-01T00:00:00","x"]',
    '["events OCCURRED_AT DESC",7,8]',
    *('["log"]', '["log","e"]', '["log","e",null,null,null]', '["log","e","a","b",null]'),
    *('["log","e",1.5,1,null]', '["log","e",1,1,"x"]'),
]


@pytest.mark.parametrize("payload", FORGED)
async def test_a_forged_cursor_is_rejected(
    own_client: Client, database: Database, payload: str
) -> None:
    organization = await own_client.execute_field("{ organization { id } }")
    async with database.read(ALL_ORGANIZATIONS) as session:
        epoch = (await changes.fetch_snapshot(session)).epoch
    text = payload.replace('"e"', json.dumps(epoch)).encode()
    key = UUID(organization["id"]).bytes
    check = hashlib.blake2s(text, key=key, digest_size=6).digest()
    cursor = base64.urlsafe_b64encode(check + text).decode().rstrip("=")

    for field in ("events", "notifications"):
        error = await own_client.expect_error(
            f"query ($after: String) {{ {field}(after: $after) {{ nodes {{ id }} }} }}",
            after=cursor,
        )

        assert error["extensions"] == {"code": "INVALID_CURSOR", "path": ["after"]}


@pytest.mark.parametrize("rank", ["true", "1.0", "4", "-1", "null", '"ERROR"', "[]"])
async def test_a_forged_cursor_of_the_order_by_severity_is_rejected(
    own_client: Client, rank: str
) -> None:
    organization = await own_client.execute_field("{ organization { id } }")
    text = f'["events SEVERITY DESC",{rank},"{organization["id"]}"]'.encode()
    check = hashlib.blake2s(text, key=UUID(organization["id"]).bytes, digest_size=6).digest()
    cursor = base64.urlsafe_b64encode(check + text).decode().rstrip("=")

    error = await own_client.expect_error(
        EVENTS, after=cursor, orderBy={"field": "SEVERITY", "direction": "DESC"}
    )

    assert error["extensions"] == {"code": "INVALID_CURSOR", "path": ["after"]}


async def test_a_cursor_must_be_in_canonical_form(client: Client) -> None:
    await log_days(client, 1)
    cursor = (await client.execute_field(EVENTS))["pageInfo"]["startCursor"]

    error = await client.expect_error(EVENTS, after=cursor + "=")

    assert error["extensions"]["code"] == "INVALID_CURSOR"
