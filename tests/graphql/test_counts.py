"""Counts of events for dashboards."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from app.domain.access.caller import Permission
from app.domain.shared.durations import Duration
from app.graphql.shared.scalars import SCALARS
from app.store.engine.database import Database
from tests.client import Client
from tests.factories import create_api_key

COUNTS = """
query ($by: [EventDimension!]!, $filter: EventFilter, $every: Duration, $first: Int) {
  eventCounts(by: $by, filter: $filter, every: $every, first: $first) {
    severity type category entity { type entityId } source outcome acknowledged bucket count
  }
}
"""
CREATE = """
mutation ($input: CreateEventTypeInput!) { createEventType(input: $input) { eventType { id } } }
"""
DELETE = "mutation ($id: ID!) { deleteEvent(id: $id) { userErrors { code } } }"
LOG_EVENTS = "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { accepted } }"
WELL = {"type": "Well", "id": "1"}
THE_DAY = {"occurredAt": {"from": "2026-04-10T00:00:00Z", "to": "2026-04-11T00:00:00Z"}}
MONDAYS = [("2026-04-06T00:00", 1), ("2026-04-13T00:00", 1)]
ALL_TIME = {"occurredAt": {"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}}


async def log_sample_events(client: Client) -> None:
    """Logs four events: two of a registered type, three about wells."""
    await client.execute_field(
        CREATE,
        input={"name": "Trip", "type": "pump.trip", "category": "pumps", "state": "PUBLISHED"},
    )
    for attributes in (
        {"type": "pump.trip", "severity": "error", "entity": WELL, "outcome": "FAILURE"},
        {"type": "pump.trip", "severity": "error", "entity": WELL, "source": "/b"},
        {"type": "flare", "entity": {"type": "Well", "id": "2"}, "acknowledged": True},
        {"type": "flare", "severity": "error", "outcome": "SUCCESS"},
    ):
        await client.log_event(
            **{"source": "/a", "occurredAt": "2026-04-10T10:00:00Z"} | attributes
        )


async def fetch_counts(client: Client, *by: str, **overrides: Any) -> list[dict[str, Any]]:
    """Returns the rows without null values."""
    rows = await client.execute_field(COUNTS, by=by, **overrides)
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


async def count_by_bucket(client: Client, every: str, *instants: str) -> list[tuple[str, int]]:
    """Logs an event at each instant. Returns the start of each bucket and its count."""
    for instant in instants:
        await client.log_event(occurredAt=instant)
    rows = await client.execute_field(COUNTS, by=[], every=every, filter=ALL_TIME)
    return [(row["bucket"].removesuffix(":00.000000Z"), row["count"]) for row in rows]


@pytest.mark.parametrize(
    ("dimension", "rows"),
    [
        ("SEVERITY", [{"severity": "ERROR", "count": 3}, {"severity": "INFO", "count": 1}]),
        ("TYPE", [{"type": "flare", "count": 2}, {"type": "pump.trip", "count": 2}]),
        ("CATEGORY", [{"category": "pumps", "count": 2}, {"count": 2}]),
        (
            "ENTITY",
            [
                {"entity": {"type": "Well", "entityId": "1"}, "count": 2},
                {"entity": {"type": "Well", "entityId": "2"}, "count": 1},
                {"count": 1},
            ],
        ),
        ("SOURCE", [{"source": "/a", "count": 3}, {"source": "/b", "count": 1}]),
        (
            "OUTCOME",
            [
                {"count": 2},
                {"outcome": "FAILURE", "count": 1},
                {"outcome": "SUCCESS", "count": 1},
            ],
        ),
        (
            "ACKNOWLEDGED",
            [{"acknowledged": False, "count": 3}, {"acknowledged": True, "count": 1}],
        ),
    ],
)
async def test_events_are_counted_by_a_dimension_with_the_largest_first(
    client: Client, dimension: str, rows: list[dict[str, Any]]
) -> None:
    await log_sample_events(client)

    assert await fetch_counts(client, dimension) == rows


async def test_dimensions_combine_and_repeated_ones_are_ignored(client: Client) -> None:
    await log_sample_events(client)

    rows = await fetch_counts(client, "TYPE", "SEVERITY", "TYPE")

    assert rows == [
        {"type": "pump.trip", "severity": "ERROR", "count": 2},
        {"type": "flare", "severity": "ERROR", "count": 1},
        {"type": "flare", "severity": "INFO", "count": 1},
    ]


async def test_equal_counts_are_ordered_by_value_by_code_point(client: Client) -> None:
    for source in ("/b", "/B", "/é", "/a"):
        await client.log_event(source=source, summary="x")

    rows = await fetch_counts(client, "SOURCE")

    assert [row["source"] for row in rows] == ["/B", "/a", "/b", "/é"]


async def test_without_a_dimension_there_is_one_row(client: Client) -> None:
    await log_sample_events(client)

    assert await fetch_counts(client) == [{"count": 4}]


async def test_without_matching_events_there_is_no_row(client: Client) -> None:
    assert await fetch_counts(client) == []
    assert await fetch_counts(client, "SEVERITY") == []
    assert await fetch_counts(client, every="PT1H", filter=THE_DAY) == []


async def test_only_events_that_the_filter_selects_are_counted(client: Client) -> None:
    await log_sample_events(client)

    assert await fetch_counts(client, "TYPE", filter={"severities": ["INFO"]}) == [
        {"type": "flare", "count": 1}
    ]
    assert await fetch_counts(client, filter={"category": "pumps"}) == [{"count": 2}]
    assert await fetch_counts(client, filter={"search": "trip"}) == [{"count": 2}]
    assert await fetch_counts(client, filter={"or": []}) == []


async def test_a_deleted_event_is_not_counted(client: Client) -> None:
    event = await client.log_event(summary="x")

    await client.execute_field(DELETE, id=event["id"])

    assert await fetch_counts(client) == []


async def test_events_of_another_organization_are_not_counted(
    own_client: Client, database: Database
) -> None:
    await log_sample_events(own_client)
    key = await create_api_key(
        database, Permission.EVENT_READ, Permission.EVENT_CREATE, organization="acme"
    )
    other = own_client.as_key(key)

    assert await fetch_counts(other, "SEVERITY") == []
    assert await fetch_counts(other, every="PT1H", filter=THE_DAY) == []


async def test_a_key_without_permission_to_read_counts_nothing(
    own_client: Client, database: Database
) -> None:
    await log_sample_events(own_client)
    writer = own_client.as_key(await create_api_key(database, Permission.EVENT_CREATE))

    error = await writer.expect_error(COUNTS, by=["SEVERITY"])

    assert error["extensions"]["code"] == "FORBIDDEN"


async def test_buckets_are_ordered_by_time_and_then_by_count(
    client: Client,
) -> None:
    for instant, severity in (
        *(("10:59:59.999999", "info"), ("11:00:00", "info")),
        *(("11:59:59", "error"), ("11:30:00", "error"), ("13:00:00", "warn")),
    ):
        await client.log_event(occurredAt=f"2026-04-10T{instant}Z", severity=severity)

    rows = await fetch_counts(client, "SEVERITY", every="PT1H", filter=THE_DAY)

    assert rows == [
        {"severity": "INFO", "bucket": "2026-04-10T10:00:00.000000Z", "count": 1},
        {"severity": "ERROR", "bucket": "2026-04-10T11:00:00.000000Z", "count": 2},
        {"severity": "INFO", "bucket": "2026-04-10T11:00:00.000000Z", "count": 1},
        {"severity": "WARN", "bucket": "2026-04-10T13:00:00.000000Z", "count": 1},
    ]


@pytest.mark.parametrize(
    ("every", "instants", "buckets"),
    [
        (
            "PT1M",
            ("2026-04-10T10:00:59.999999Z", "2026-04-10T10:01:00Z", "2026-04-10T10:01:00.000001Z"),
            [("2026-04-10T10:00", 1), ("2026-04-10T10:01", 2)],
        ),
        (
            "P1D",
            ("2026-04-10T23:59:59.999999Z", "2026-04-11T00:00:00Z", "2026-04-11T01:00:00+02:00"),
            [("2026-04-10T00:00", 2), ("2026-04-11T00:00", 1)],
        ),
        (
            "PT7M",  # 420 seconds, counted from the epoch and not from the hour
            ("1970-01-01T00:06:59.999999Z", "1970-01-01T00:07:00Z", "1970-01-01T01:00:00Z"),
            [("1970-01-01T00:00", 1), ("1970-01-01T00:07", 1), ("1970-01-01T00:56", 1)],
        ),
        (
            "PT1M",
            ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:00Z", "1969-12-31T23:58:59.999999Z"),
            [("1969-12-31T23:58", 1), ("1969-12-31T23:59", 2)],
        ),
        (
            "P1D",
            ("1969-12-31T00:00:00Z", "1969-12-30T23:59:59.999999Z", "1900-02-28T12:00:00Z"),
            [("1900-02-28T00:00", 1), ("1969-12-30T00:00", 1), ("1969-12-31T00:00", 1)],
        ),
        ("P1D", ("0001-01-01T00:00:00.000001Z",), [("0001-01-01T00:00", 1)]),
        ("P1W", ("2026-04-12T23:59:59Z", "2026-04-13T00:00:00Z"), MONDAYS),
        ("P14D", ("2026-04-10T10:00:00Z",), [("2026-03-30T00:00", 1)]),
        # The first bucket would start before the calendar begins.
        ("P7D", ("0001-01-01T00:00:00Z",), [("0001-01-01T00:00", 1)]),
        ("P999999999D", ("1969-12-31T00:00:00Z",), [("0001-01-01T00:00", 1)]),
        ("P999999999D", ("2026-04-10T10:00:00Z",), [("1970-01-01T00:00", 1)]),
    ],
)
async def test_a_bucket_includes_its_start_and_excludes_its_end(
    client: Client, every: str, instants: tuple[str, ...], buckets: list[tuple[str, int]]
) -> None:
    assert await count_by_bucket(client, every, *instants) == buckets


async def test_first_limits_the_rows_to_the_largest_counts(client: Client) -> None:
    reports = [{"source": f"/{n % 101}"} for n in range(102)]
    await client.execute_field(LOG_EVENTS, input=reports)

    default = await fetch_counts(client, "SOURCE")
    null = await fetch_counts(client, "SOURCE", first=None)
    two = await fetch_counts(client, "SOURCE", first=2)

    assert len(default) == len(null) == 100
    assert two == [{"source": "/0", "count": 2}, {"source": "/1", "count": 1}]


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"first": 0}, ["first"]),
        ({"first": -1}, ["first"]),
        ({"first": 1_001}, ["first"]),
        ({"first": 10_001, "every": "PT1M", "filter": THE_DAY}, ["first"]),
        ({"every": "PT59S", "filter": THE_DAY}, ["every"]),
        ({"every": "PT59.999999S", "filter": THE_DAY}, ["every"]),
        ({"every": "PT60.5S", "filter": THE_DAY}, ["every"]),
        ({"every": "PT0S", "filter": THE_DAY}, ["every"]),
        ({"every": "P0M", "filter": THE_DAY}, ["every"]),
        ({"every": "P1M"}, ["filter", "occurredAt"]),
        ({"every": "PT1M"}, ["filter", "occurredAt"]),
        ({"every": "PT1M", "filter": {}}, ["filter", "occurredAt"]),
        (
            {"every": "PT1M", "filter": {"occurredAt": {"from": "2026-04-10T00:00:00Z"}}},
            ["filter", "occurredAt"],
        ),
        (
            {"every": "PT1M", "filter": {"occurredAt": {"to": "2026-04-10T00:00:00Z"}}},
            ["filter", "occurredAt"],
        ),
        # A bound inside a nested filter does not count.
        ({"every": "PT1M", "filter": {"or": [THE_DAY]}}, ["filter", "occurredAt"]),
        ({"filter": {"search": "\0"}}, ["filter", "search"]),
    ],
)
async def test_an_argument_over_its_limit_is_an_error_with_its_path(
    client: Client, arguments: dict[str, Any], argument: list[str]
) -> None:
    error = await client.expect_error(COUNTS, by=["SEVERITY"], **arguments)

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": argument}
    assert error["path"] == ["eventCounts"]


async def test_the_maximum_of_each_argument_is_accepted(client: Client) -> None:
    await client.log_event(summary="x")

    assert await fetch_counts(client, first=1_000) == [{"count": 1}]
    assert await fetch_counts(client, first=10_000, every="PT60S", filter=THE_DAY) == []


@pytest.mark.parametrize(
    "text",
    [
        *("P1Y1D", "P1M1D", "P1M1Y", "P1MT1H", "P1.5M", "P1W1M", "P1000000Y", "P1M1W"),
        *("P0.5D", "PT1.5M", "PT1.5H", "PT1,5S"),
        *("P", "PT", "P1DT", "", " PT1M", "PT1M ", "pt1m", "-PT1M", "+PT1M", "PT-1M", "1M"),
        *("PT1S1M", "P1D1W", "PT1M\n", "PT١M", "60", "00:01:00", "PT0.1234567S", "P1000000000D"),
        "P" + "9" * 400 + "D",
    ],
)
async def test_no_other_text_is_a_duration(client: Client, text: str) -> None:
    answer = await client.execute(COUNTS, by=[], every=text, filter=THE_DAY)

    [error] = answer["errors"]
    assert answer.get("data") is None
    quoted = json.dumps(text)[:100]
    assert f": Invalid Duration {quoted}: expected an ISO 8601 duration" in error["message"]


@pytest.mark.parametrize("value", [60, 60.5, True, ["PT1M"], {"minutes": 1}])
async def test_no_other_value_is_a_duration(client: Client, value: Any) -> None:
    answer = await client.execute(COUNTS, by=[], every=value, filter=THE_DAY)

    message = f": Invalid Duration {json.dumps(value)}: expected an ISO 8601 duration"
    assert message in answer["errors"][0]["message"]


async def test_an_invalid_literal_is_quoted_and_has_its_location(client: Client) -> None:
    answer = await client.execute(
        '{ eventCounts(by: [], every: "1M", filter: { occurredAt: { from: "yesterday", to: 5 } }) '
        "{ count } }"
    )

    errors = [
        (error["message"].partition(":")[0], error["locations"]) for error in answer["errors"]
    ]
    assert errors == [
        ('Invalid Duration "1M"', [{"line": 1, "column": 30}]),
        ('Invalid DateTime "yesterday"', [{"line": 1, "column": 66}]),
        ("Invalid DateTime 5", [{"line": 1, "column": 83}]),
    ]


async def test_a_duration_can_be_a_literal(client: Client) -> None:
    rows = await client.execute_field(
        """{ eventCounts(by: [], every: "PT1H30M", filter: {occurredAt: {
             from: "2026-04-10T00:00:00Z", to: "2026-04-11T00:00:00Z"}}) { count } }"""
    )

    assert rows == []


DURATION = SCALARS[Duration]
FORMS = [
    ("PT0S", timedelta(0), "PT0S"),
    ("PT1M", timedelta(minutes=1), "PT1M"),
    ("PT60S", timedelta(minutes=1), "PT1M"),
    ("PT90M", timedelta(minutes=90), "PT1H30M"),
    ("PT0.5S", timedelta(seconds=0.5), "PT0.5S"),
    ("PT0.000001S", timedelta(microseconds=1), "PT0.000001S"),
    ("PT24H", timedelta(days=1), "P1D"),
    ("P1W", timedelta(weeks=1), "P7D"),
    ("P1W2DT3H4M5.6S", timedelta(9, 5, 600_000, hours=3, minutes=4), "P9DT3H4M5.6S"),
    ("P400D", timedelta(days=400), "P400D"),  # neither a year nor months
    ("P400DT1S", timedelta(days=400, seconds=1), "P400DT1S"),
    ("P999999999D", timedelta(days=999_999_999), "P999999999D"),
]


@pytest.mark.parametrize(("text", "length", "written"), FORMS)
def test_a_duration_is_parsed_and_serialized_in_iso_8601(
    text: str, length: timedelta, written: str
) -> None:
    assert DURATION.parse_value is not None
    assert DURATION.serialize is not None

    assert DURATION.parse_value(text) == Duration(length)
    assert DURATION.serialize(Duration(length)) == written


@given(st.timedeltas(min_value=timedelta(0)))
def test_a_serialized_duration_is_parsed_unchanged(length: timedelta) -> None:
    assert DURATION.parse_value is not None
    assert DURATION.serialize is not None

    assert DURATION.parse_value(DURATION.serialize(Duration(length))) == Duration(length)


@given(st.text("PTWDHMS0123456789.", max_size=12))
def test_any_text_is_parsed_as_a_duration_or_rejected(text: str) -> None:
    assert DURATION.parse_value is not None
    try:
        duration = DURATION.parse_value(text)
    except GraphQLError:
        return
    assert duration.length >= timedelta(0)
