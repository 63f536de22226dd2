"""`byFields`, `sum` and `occurrences` of `eventCounts`."""

from __future__ import annotations

import json
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import Client
from tests.factories import create_api_key

COUNTS = """
query ($by: [EventDimension!]! = [], $byFields: [String!], $sum: [String!], $first: Int) {
  eventCounts(by: $by, byFields: $byFields, sum: $sum, first: $first) {
    severity fields sums count occurrences
  }
}
"""
LOG_EVENTS = "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { accepted } }"
CREATE_RULE = """
mutation ($input: CreateDuplicationRuleInput!) {
  createDuplicationRule(input: $input) { userErrors { message } }
}
"""
DELETE = "mutation ($id: ID!) { deleteEvent(id: $id) { userErrors { code } } }"


async def log_fields(client: Client, *fields: dict[str, Any]) -> None:
    reports = [{"fields": each} for each in fields]
    answer = await client.execute_field(LOG_EVENTS, input=reports)
    assert answer["accepted"] == len(reports)


async def count_by(client: Client, *names: str, **variables: Any) -> list[tuple[Any, int]]:
    rows = await client.execute_field(COUNTS, byFields=names, **variables)
    return [(row["fields"], row["count"]) for row in rows]


async def sum_of(client: Client, name: str) -> Any:
    [row] = await client.execute_field(COUNTS, sum=[name])
    return row["sums"][name]


async def test_events_are_grouped_by_a_custom_field_with_the_largest_first(client: Client) -> None:
    await log_fields(
        client, {"host": "b"}, {"host": "a"}, {"host": "a"}, {"other": 1}, {"host": "B"}
    )

    assert await count_by(client, "host") == [
        ({"host": "a"}, 2),
        ({"host": "B"}, 1),
        ({"host": "b"}, 1),
        ({"host": None}, 1),
    ]


async def test_equal_values_are_in_one_group_and_types_are_kept(client: Client) -> None:
    await log_fields(
        client,
        *({"v": each} for each in (150, 150.0, "150", True, False, 1, 0, 0.5, "", -0.0)),
        *({"v": each} for each in ("2026-04-10T12:00:00+02:00", "2026-04-10T10:00:00Z")),
        *({"v": each} for each in (None, [], {"a": 1}, [{"a": 1}], [None])),
    )

    rows = await count_by(client, "v")

    assert [(json.dumps(fields["v"]), count) for fields, count in rows] == [
        ("null", 5),
        ("0", 2),
        ("150", 2),
        ('"2026-04-10T10:00:00.000000Z"', 2),
        ("false", 1),
        ("true", 1),
        ("0.5", 1),
        ("1", 1),
        ('""', 1),
        ('"150"', 1),
    ]


async def test_long_texts_and_large_integers_are_distinguished(client: Client) -> None:
    texts = ["x" * 200, "x" * 201, "x" * 300 + "a", "x" * 300 + "b"]
    numbers = [2**53, 2**53 + 1, -(2**53) - 1, -(2**53), 10**30, -(10**308)]
    await log_fields(client, *({"v": each} for each in texts + numbers))

    rows = await count_by(client, "v")

    assert {fields["v"] for fields, _ in rows} == {*texts, *numbers}
    assert all(count == 1 for _, count in rows)
    assert all(isinstance(fields["v"], str | int) for fields, _ in rows)


async def test_an_event_counts_once_for_each_element_of_a_list(client: Client) -> None:
    await log_fields(client, {"tags": ["a", "b", "a"], "n": 5}, {"tags": "a", "n": 2})

    rows = await client.execute_field(COUNTS, byFields=["tags"], sum=["n"])

    assert [(row["fields"]["tags"], row["count"], row["sums"]["n"]) for row in rows] == [
        ("a", 2, 7),
        ("b", 1, 5),
    ]


async def test_fields_attributes_and_names_with_dots_combine(client: Client) -> None:
    await log_fields(client, {"a.b": 1, " ": "x"}, {"a.b": 1, " ": "x"}, {"a.b": 2, "é'\"": True})

    rows = await client.execute_field(
        COUNTS, by=["SEVERITY"], byFields=["a.b", " ", "é'\"", "a.b"], first=1
    )

    assert rows == [
        {
            "severity": "INFO",
            "fields": {"a.b": 1, " ": "x", "é'\"": None},
            "sums": {},
            "count": 2,
            "occurrences": 2,
        }
    ]


async def test_numbers_are_added_exactly(client: Client) -> None:
    await log_fields(client, *({"v": each} for each in (0.1, 0.2, "7", True, [5], None, {"v": 9})))
    assert await sum_of(client, "v") == 0.3
    assert await sum_of(client, "none") is None

    await log_fields(client, *({"large": each} for each in (2**53 + 1, 2**53 + 1, -(10**30), 0.5)))
    assert await sum_of(client, "large") == float(2**54 + 2 - 10**30)
    await log_fields(client, {"large": 0.5}, {"large": 10**30})
    assert await sum_of(client, "large") == 2**54 + 3


async def test_sums_of_random_numbers_agree_with_decimal_arithmetic(client: Client) -> None:
    random = Random(5)
    numbers: list[int | float] = [random.randint(-(10**n), 10**n) for n in range(1, 60)]
    numbers += [random.uniform(-1, 1) * 10.0**n for n in range(-20, 20)]
    numbers += [round(random.uniform(-1_000, 1_000), 2) for _ in range(100)]
    await log_fields(client, *({"v": each, "g": n % 3} for n, each in enumerate(numbers)))

    rows = await client.execute_field(COUNTS, byFields=["g"], sum=["v", "g"])

    assert len(rows) == 3
    for row in rows:
        group = row["fields"]["g"]
        exact = sum(
            int(Decimal(str(each)).scaleb(50)) for n, each in enumerate(numbers) if n % 3 == group
        )
        total = row["sums"]["v"]
        assert total == float(Decimal(exact).scaleb(-50)), group
        assert row["sums"]["g"] == group * row["count"]


async def test_occurrences_include_counted_duplicates(client: Client) -> None:
    rule = {"name": "r", "fingerprint": ["summary"], "window": "P1D", "action": "COUNT"}
    await client.execute_field(CREATE_RULE, input=rule)
    for summary in ("a", "a", "a", "b"):
        await client.log_event(summary=summary, occurredAt="2026-04-10T10:00:00Z")

    [row] = await client.execute_field(COUNTS)

    assert (row["count"], row["occurrences"]) == (2, 4)


async def test_a_deleted_event_is_not_summed(client: Client) -> None:
    event = await client.log_event(fields={"v": 1})
    await client.log_event(fields={"v": 2})

    await client.execute_field(DELETE, id=event["id"])

    assert await sum_of(client, "v") == 2


async def test_values_of_another_organization_are_not_counted(
    own_client: Client, database: Database
) -> None:
    await log_fields(own_client, {"v": 1, "host": "a"})
    key = await create_api_key(
        database, Permission.EVENT_READ, Permission.EVENT_CREATE, organization="acme"
    )
    other = own_client.as_key(key)
    await log_fields(other, {"v": 2})

    rows = await other.execute_field(COUNTS, byFields=["host"], sum=["v"])

    assert [(row["fields"], row["sums"]) for row in rows] == [({"host": None}, {"v": 2})]


@pytest.mark.parametrize(
    ("arguments", "argument", "message"),
    [
        (
            {"byFields": list("abcdef")},
            ["byFields"],
            "At most 5 fields are allowed; byFields has 6.",
        ),
        ({"sum": list("abcdef")}, ["sum"], "At most 5 fields are allowed; sum has 6."),
        (
            {"byFields": ["a", "\0"]},
            ["byFields", "1"],
            "Character 1 is U+0000, which is not allowed. Remove the character.",
        ),
        (
            {"sum": ["x" * 256]},
            ["sum", "0"],
            "At most 255 characters are allowed; sum[0] has 256.",
        ),
        ({"byFields": ["a", ""]}, ["byFields", "1"], "byFields[1] must not be empty."),
        ({"sum": [""]}, ["sum", "0"], "sum[0] must not be empty."),
    ],
)
async def test_an_invalid_name_is_an_error_with_its_path(
    client: Client, arguments: dict[str, Any], argument: list[str], message: str
) -> None:
    error = await client.expect_error(COUNTS, **arguments)

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": argument}
    assert error["message"] == message


async def test_the_maximum_number_of_fields_is_accepted(client: Client) -> None:
    await log_fields(client, {"a": 1, "e": "x"})

    rows = await client.execute_field(COUNTS, byFields=list("abcdea"), sum=list("abcdea"))

    nothing = dict.fromkeys("bcd")
    assert [(row["fields"], row["sums"]) for row in rows] == [
        ({"a": 1, "e": "x"} | nothing, {"a": 1, "e": None} | nothing)
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"items": [{"p": 1}, {"p": 30}]},
        {"items": [{"p": 5}, {"p": 5}]},
        {"items": [{"p": 7}]},
        {"items.p": 1, "items": {"p": 5}},
        {"items": {"p": [4]}},
    ],
)
async def test_numbers_in_lists_and_several_numbers_are_not_added_up(
    client: Client, fields: dict[str, Any]
) -> None:
    await log_fields(client, {"items": {"p": 2}}, fields)

    assert await sum_of(client, "items.p") == 2
