"""Integers are exact whatever their size, and free-form decimal numbers keep all their digits."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.archives.command_runner import run_command
from tests.client import Client
from tests.cloudevent_client import fetch_by_source, post_cloud_events
from tests.event_type_client import CHECK, codes_and_paths, define_event_type, field_input

# A document, because the client would send the nearest double.
LOG = """mutation { logEvent(input: {type: "%s", sourceId: "1", source: "/a", fields: %s}) {
  event { id fields } warnings { code message path } userErrors { code message path } } }"""
UPDATE = """mutation { updateEvent(input: {id: "%s", fields: %s}) {
  event { fields } warnings { code path } userErrors { code path } } }"""
HISTORY = '{ event(id: "%s") { fields cloudEvent history { nodes { changes } } } }'
FIND = """{ events(filter: {fields: [{field: "n", operator: %s, value: %s}]}) { totalCount } }"""
LOG_NUMBER = """mutation { logEvent(input: {fields: {n: %s}}) {
  event { fields } userErrors { code } } }"""
BY_SOURCE = '{ eventBySource(source: "/wells", sourceId: "%s") { cloudEvent } }'
DECIMALS = [
    "123456789123456.12345",
    "-0.1000000000000000055511151231257827",
    "1e-400",
    "-1e-99999999999999999999999",
    "12345678901234567890.5",
    "1.00000000000000000000000000000000000000000000000001E+5",
]
INTEGERS = ["9007199254740993", "-9007199254740993", "123456789012345678901234567890"]
SURVIVING = ["0.1", "1.5", "-2.0", "1e+300", "0.30000000000000004"]


async def post_text(client: Client, query: str, variables: str = "{}") -> str:
    """Posts a JSON text, so that numbers are sent as they are. Returns the response as text."""
    content = f'{{"query": {json.dumps(query)}, "variables": {variables}}}'
    response = await client.http.post(
        "/graphql", content=content, headers={"content-type": "application/json"}
    )
    assert "errors" not in response.json(), response.text
    return response.text


@pytest.mark.parametrize("number", [*DECIMALS, *INTEGERS, *SURVIVING])
async def test_a_free_form_number_goes_out_as_it_came_in(
    own_client: Client, database_url: str, tmp_path: Path, number: str
) -> None:
    literal = f"{{n: {number}, list: [{number}, {{deep: {number}}}]}}"
    fields = f'"fields":{{"n":{number},"list":[{number},{{"deep":{number}}}]}}'
    variables = f'{{"n": {number}}}'

    answer = await post_text(own_client, LOG % ("free", literal))
    id = json.loads(answer)["data"]["logEvent"]["event"]["id"]
    stored = await post_text(own_client, HISTORY % id)
    by_variable = await post_text(
        own_client,
        "mutation ($n: JSON!) { logEvent(input: {fields: {n: $n}}) { event { fields } } }",
        variables,
    )
    updated = await post_text(own_client, UPDATE % (id, f"{{m: {number}}}"))
    exported = await run_command(database_url, "export")

    assert fields in answer
    assert fields in stored
    assert f'"data":{fields.removeprefix(chr(34) + "fields" + chr(34) + ":")}' in stored
    assert f'"fields":{{"n":{number}}}' in by_variable
    assert f'"m":{number}' in updated
    assert f'"data":{{"n":{number}' in exported.out


@pytest.mark.parametrize("number", [*DECIMALS, *INTEGERS])
async def test_a_number_in_a_cloud_event_is_kept(client: Client, number: str) -> None:
    event = '{"specversion": "1.0", "id": "%s", "source": "/wells", "type": "t", "data": %s}'
    bodies = {"a": f'{{"n": {number}}}', "b": f"[{number}]"}

    for id, data in bodies.items():
        content = (event % (id, data)).encode()
        sent = await post_cloud_events(client, content, content_type="application/cloudevents+json")
        assert sent.status_code == 202, sent.text

    answers = [await post_text(client, BY_SOURCE % id) for id in bodies]
    assert f'"data":{{"n":{number}}}' in answers[0]
    assert f'"data":[{number}]' in answers[1]


async def test_a_number_over_a_websocket_is_kept(client: Client) -> None:
    query = "mutation ($n: JSON!) { logEvent(input: {fields: {n: $n}}) { event { fields } } }"
    message = '{"id": "1", "type": "subscribe", "payload": {"query": %s, "variables": {"n": %s}}}'

    async with client.socket() as socket:
        await socket.receive()
        await socket.connection.send(message % (json.dumps(query), DECIMALS[0]))
        frame = await socket.connection.recv()

    assert f'"n":{DECIMALS[0]}' in str(frame)


@pytest.mark.parametrize("number", DECIMALS)
async def test_a_registered_number_that_loses_digits_causes_a_warning(
    client: Client, number: str
) -> None:
    await define_event_type(client, field_input("n", "NUMBER"))

    payload = json.loads(await post_text(client, LOG % ("gauge", f"{{n: {number}}}")))
    logged = payload["data"]["logEvent"]
    updated = json.loads(
        await post_text(client, UPDATE % (logged["event"]["id"], f"{{n: {number}}}"))
    )["data"]["updateEvent"]
    checked = json.loads(
        await post_text(
            client,
            CHECK,
            f'{{"input": {{"type": "gauge", "fields": {{"n": {number}}}}}}}',
        )
    )["data"]["checkEvent"]

    assert logged["event"]["fields"] == {"n": float(number)}
    [warning] = logged["warnings"]
    assert codes_and_paths([warning]) == [("FIELD_INVALID", "input.fields.n")]
    assert warning["message"] == (
        f"The number {number} has more digits than a double-precision number can hold (about 16): "
        f"{json.dumps(float(number))} is stored instead. To keep all digits, send the number as a "
        "string in a field of kind TEXT."
    )
    assert updated["event"]["fields"] == {"n": float(number)}
    assert codes_and_paths(updated["warnings"]) == [("FIELD_INVALID", "input.fields.n")]
    assert checked["warnings"] == logged["warnings"]


@pytest.mark.parametrize("number", [*DECIMALS, "1.50000000000000000001", "1.5"])
async def test_a_number_with_a_fraction_is_no_integer(client: Client, number: str) -> None:
    await define_event_type(client, field_input("n", "INTEGER"))
    valid = json.loads(await post_text(client, LOG % ("gauge", "{n: 1}")))["data"]["logEvent"]
    report = LOG.replace('"1"', '"2"') % ("gauge", f"{{n: {number}}}")

    logged = json.loads(await post_text(client, report))["data"]["logEvent"]
    update = UPDATE % (valid["event"]["id"], f"{{n: {number}}}")
    updated = json.loads(await post_text(client, update))["data"]["updateEvent"]
    variables = f'{{"input": {{"type": "gauge", "fields": {{"n": {number}}}}}}}'
    checked = json.loads(await post_text(client, CHECK, variables))["data"]["checkEvent"]

    for payload in (logged, updated, checked):
        assert codes_and_paths(payload["userErrors"]) == [("FIELD_INVALID", "input.fields.n")]
    message = logged["userErrors"][0]["message"]
    shown = number if float(number).is_integer() else json.dumps(float(number))
    assert message == f"Invalid value {shown}: expected an integer."
    assert logged["event"] is None
    stored = await client.execute_field("{ events { nodes { fields } } }")
    assert stored == {"nodes": [{"fields": {"n": 1}}]}


@pytest.mark.parametrize("kind", ["INTEGER", "NUMBER"])
@pytest.mark.parametrize(
    ("number", "integer"),
    [
        ("9007199254740993.0", 9007199254740993),
        ("-900719925474099.30E1", -9007199254740993),
        ("123456789012345678901234567890.00", 123456789012345678901234567890),
        ("1.5e1", 15),
        ("2.0", 2),
    ],
)
async def test_an_integer_in_another_notation_is_stored_exactly(
    client: Client, kind: str, number: str, integer: int
) -> None:
    await define_event_type(client, field_input("n", kind))

    text = await post_text(client, LOG % ("gauge", f"{{n: {number}}}"))
    found = [
        json.loads(await post_text(client, FIND % ("EQ", each)))["data"]["events"]["totalCount"]
        for each in (integer, integer + 1)
    ]

    logged = json.loads(text)["data"]["logEvent"]
    assert (logged["event"]["fields"], logged["warnings"]) == ({"n": integer}, [])
    assert found == [1, 0]


async def test_a_hidden_number_with_a_fraction_is_dropped(client: Client) -> None:
    query = """mutation { createEventType(input: {
      name: "Gauge", type: "gauge", state: PUBLISHED
      fields: [{name: "n", kind: INTEGER}, {name: "m", kind: TEXT}]
      conditionalRules: [{name: "r", effect: SHOW, targets: ["n"], condition: {
        field: {field: "m", operator: EXISTS}}}]}) { userErrors { code message } } }"""
    await post_text(client, query)

    answer = await post_text(client, LOG % ("gauge", "{n: 12345678901234567890.5}"))

    logged = json.loads(answer)["data"]["logEvent"]
    assert (logged["event"]["fields"], logged["userErrors"]) == ({}, [])
    assert codes_and_paths(logged["warnings"]) == [("FIELD_HIDDEN", "input.fields.n")]


@pytest.mark.parametrize("number", ["12345678901234567890.5", "1e-400", "4503599627370497.25"])
async def test_a_default_or_a_condition_of_an_integer_has_no_fraction(
    client: Client, number: str
) -> None:
    query = """mutation { createEventType(input: {name: "Gauge", type: "gauge", fields: [
      {name: "m", kind: TEXT}, {name: "n", kind: INTEGER%s}]%s})
      { eventType { id } userErrors { code message path } } }"""
    rule = """, conditionalRules: [{name: "r", effect: SHOW, targets: ["m"], condition: {
      field: {field: "n", operator: IN, value: [1, %s]}}}]"""

    payloads = [
        json.loads(await post_text(client, query % each))["data"]["createEventType"]
        for each in ((f", default: {number}", ""), ("", rule % number))
    ]

    path = "input.conditionalRules.0.condition.field.value.1"
    assert [codes_and_paths(each["userErrors"]) for each in payloads] == [
        [("INVALID_INPUT", "input.fields.1.default")],
        [("INVALID_INPUT", path)],
    ]
    assert payloads[0]["userErrors"][0]["message"] == (
        f"Invalid value {number}: expected an integer."
    )
    assert [each["eventType"] for each in payloads] == [None, None]


async def test_a_default_that_is_an_integer_in_another_notation_is_exact(client: Client) -> None:
    query = """mutation { createEventType(input: {
      name: "Gauge", type: "gauge", state: PUBLISHED
      fields: [{name: "n", kind: INTEGER, default: 9007199254740993.0}]})
      { eventType { fields { default } } userErrors { code message } } }"""

    defined = json.loads(await post_text(client, query))["data"]["createEventType"]
    logged = json.loads(await post_text(client, LOG % ("gauge", "{}")))["data"]["logEvent"]

    assert defined["eventType"]["fields"] == [{"default": 9007199254740993}]
    assert logged["event"]["fields"] == {"n": 9007199254740993}


@pytest.mark.parametrize("number", [*SURVIVING, *INTEGERS])
async def test_a_registered_number_that_keeps_its_digits_causes_no_warning(
    client: Client, number: str
) -> None:
    kind = "INTEGER" if number in INTEGERS else "NUMBER"
    await define_event_type(client, field_input("n", kind))

    text = await post_text(client, LOG % ("gauge", f"{{n: {number}}}"))

    logged = json.loads(text)["data"]["logEvent"]
    assert (logged["event"]["fields"], logged["warnings"]) == ({"n": json.loads(number)}, [])


async def test_an_additional_number_of_a_registered_type_is_rounded_with_a_warning(
    client: Client,
) -> None:
    await define_event_type(client, field_input("n", "NUMBER"), additionalFields="KEEP")

    text = await post_text(client, LOG % ("gauge", f"{{other: [{DECIMALS[0]}]}}"))

    logged = json.loads(text)["data"]["logEvent"]
    assert logged["event"]["fields"] == {"other": [float(DECIMALS[0])]}
    assert codes_and_paths(logged["warnings"]) == [("FIELD_INVALID", "input.fields.other.0")]


async def test_bounds_and_conditions_of_a_type_are_doubles(client: Client) -> None:
    number = DECIMALS[0]
    query = """mutation { createEventType(input: {
      name: "Gauge", type: "gauge", state: PUBLISHED
      fields: [
        {name: "n", kind: NUMBER, maximum: NUMBER_1}
        {name: "m", kind: TEXT}
      ]
      conditionalRules: [{name: "r", effect: REQUIRE, targets: ["m"], condition: {
        field: {field: "n", operator: GTE, value: NUMBER_1}}}]})
      { eventType { fields { maximum } } userErrors { code message } } }"""

    defined = json.loads(await post_text(client, query.replace("NUMBER_1", number)))
    refused = json.loads(await post_text(client, LOG % ("gauge", f"{{n: {number}}}")))
    accepted = LOG % ("gauge", f'{{n: {number}, m: "x"}}')
    logged = json.loads(await post_text(client, accepted))

    double = float(number)
    assert defined["data"]["createEventType"]["eventType"]["fields"][0] == {"maximum": double}
    assert logged["data"]["logEvent"]["event"]["fields"] == {"n": double, "m": "x"}
    assert codes_and_paths(refused["data"]["logEvent"]["userErrors"]) == [
        ("FIELD_REQUIRED", "input.fields.m")
    ]


@pytest.mark.parametrize("number", DECIMALS)
async def test_a_default_that_loses_digits_is_rejected(client: Client, number: str) -> None:
    query = """mutation { createEventType(input: {name: "Gauge", type: "gauge", fields: [
      {name: "m", kind: NUMBER, default: 0.1}, {name: "n", kind: NUMBER, default: %s}]})
      { eventType { id } userErrors { code message path } } }"""

    answer = json.loads(await post_text(client, query % number))["data"]["createEventType"]

    assert answer["eventType"] is None
    [problem] = answer["userErrors"]
    assert codes_and_paths([problem]) == [("INVALID_INPUT", "input.fields.1.default")]
    assert problem["message"] == (
        f"The number {number} has more digits than a double-precision number can hold (about 16). "
        f"Use {json.dumps(float(number))}, or a field of kind TEXT with a string, which keeps all "
        "digits."
    )


@pytest.mark.parametrize(
    ("given", "same", "neighbor"),
    [
        ("9007199254740993.0", "9007199254740993", "9007199254740992"),
        ("1.2345678901234567890123456789e29", "123456789012345678901234567890", "1e29"),
        ("9007199254740993", "900719925474099.30E1", "9007199254740994.0"),
    ],
)
async def test_free_form_integers_are_equal_in_any_notation(
    client: Client, given: str, same: str, neighbor: str
) -> None:
    await client.execute_field(
        """mutation { createDuplicationRule(input: {
          name: "n", fingerprint: ["fields.n"], window: "P1D", action: REJECT
        }) { userErrors { code } } }"""
    )

    logged, repeated, different = [
        await post_text(client, LOG_NUMBER % number) for number in (given, same, neighbor)
    ]
    counts = {
        (operator, number): json.loads(await post_text(client, FIND % (operator, number)))["data"][
            "events"
        ]["totalCount"]
        for operator in ("EQ", "GTE")
        for number in (given, same, neighbor)
    }
    grouped = await post_text(client, '{ eventCounts(byFields: ["n"]) { fields count } }')

    assert '"userErrors":[]' in logged
    assert '"code":"DUPLICATE"' in repeated
    assert '"userErrors":[]' in different
    is_greater = Decimal(neighbor) > Decimal(given)
    assert counts == {
        ("EQ", given): 1,
        ("EQ", same): 1,
        ("EQ", neighbor): 1,
        ("GTE", given): 2 if is_greater else 1,
        ("GTE", same): 2 if is_greater else 1,
        ("GTE", neighbor): 1 if is_greater else 2,
    }
    assert len(json.loads(grouped)["data"]["eventCounts"]) == 2


@pytest.mark.parametrize(
    ("first", "same", "other"),
    [
        ("123456789123456.12345", "1234567891234561.2345E-1", "123456789123456.12346"),
        ("9007199254740993.0", "9007199254740993", "9007199254740992"),
        ("1.50", "1.5", "1.50000000000000000001"),
    ],
)
async def test_all_digits_of_a_number_identify_a_replay(
    client: Client, first: str, same: str, other: str
) -> None:
    query = """mutation { logEvent(input: {source: "x", sourceId: "q", fields: {v: %s}}) {
      event { fields } duplicate userErrors { code path } } }"""

    logged, replayed, different = [
        await post_text(client, query % number) for number in (first, same, other)
    ]

    assert json.loads(logged)["data"]["logEvent"]["duplicate"] is False
    replay = json.loads(replayed)["data"]["logEvent"]
    assert (replay["duplicate"], replay["userErrors"]) == (True, [])
    assert replay["event"] == json.loads(logged)["data"]["logEvent"]["event"]
    conflict = json.loads(different)["data"]["logEvent"]
    assert conflict["event"] is None
    assert codes_and_paths(conflict["userErrors"]) == [("CONFLICT", "input.sourceId")]


async def test_the_history_contains_a_change_of_the_last_digits(client: Client) -> None:
    answer = await post_text(client, LOG % ("free", "{n: 123456789123456.12345}"))
    id = json.loads(answer)["data"]["logEvent"]["event"]["id"]

    await post_text(client, UPDATE % (id, "{n: 123456789123456.12346}"))
    history = await post_text(client, HISTORY % id)

    assert '"fields":[{"n":123456789123456.12345},{"n":123456789123456.12346}]' in history


@pytest.mark.parametrize("number", DECIMALS)
async def test_a_filter_compares_such_numbers_as_doubles(client: Client, number: str) -> None:
    await post_text(client, LOG % ("free", f"{{n: {number}}}"))

    found: dict[str, Any] = {
        operator: json.loads(await post_text(client, FIND % (operator, number)))["data"]["events"]
        for operator in ("EQ", "NE", "GTE", "GT")
    }

    assert {name: each["totalCount"] for name, each in found.items()} == {
        "EQ": 1,
        "NE": 0,
        "GTE": 1,
        "GT": 0,
    }


async def test_the_digits_of_a_number_count_towards_the_size_of_the_fields(
    client: Client,
) -> None:
    query = LOG % ("free", "{n: 0.%s1}" % ("0" * 70_000))
    response = await client.execute_field(query)

    assert codes_and_paths(response["userErrors"]) == [("INVALID_INPUT", "input.fields")]


async def test_a_stored_number_survives_an_import(
    own_client: Client, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text(
        '{"specversion": "1.0", "id": "1", "source": "/wells", "type": "t",'
        f' "data": {{"n": {DECIMALS[0]}}}}}'
    )

    run = await run_command(database_url, "import", file)

    assert run.code == 0, run
    assert (await fetch_by_source(own_client))["fields"] == {"n": float(DECIMALS[0])}
    text = await post_text(own_client, "{ events { nodes { fields } } }")
    assert f'"n":{DECIMALS[0]}' in text
