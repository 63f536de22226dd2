"""Duplication rules, as clients make and meet them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import LOG_EVENT, Client

CREATE = """
mutation ($input: CreateDuplicationRuleInput!) {
  createDuplicationRule(input: $input) {
    duplicationRule {
      id name fingerprint window action enabled matchCount resetAt eventType { id }
    }
    userErrors { code message path }
  }
}
"""
LOG = """
mutation ($input: LogEventInput!) {
  logEvent(input: $input) {
    event { id occurrences lastOccurredAt duplicateOf { id } }
    duplicate
    userErrors {
      code message path ... on DuplicateError { rule { name } existing { id } }
    }
  }
}
"""
RULES = "{ duplicationRules { nodes { name matchCount enabled resetAt } } }"
NOON = "2026-04-10T12:00:00Z"


async def create_rule(client: Client, **overrides: Any) -> Any:
    rule_input = {"name": "same source", "fingerprint": ["source"], "window": "PT15M"} | overrides
    payload = await client.execute_field(CREATE, input=rule_input)
    assert payload["userErrors"] == []
    return payload["duplicationRule"]


async def log_event(client: Client, at: str = NOON, **overrides: Any) -> Any:
    return await client.execute_field(LOG, input={"source": "/a", "occurredAt": at} | overrides)


async def count_events(client: Client) -> int:
    return int((await client.execute_field("{ events { totalCount } }"))["totalCount"])


async def test_a_duplicate_is_refused_with_the_original(client: Client) -> None:
    await create_rule(client, action="REJECT")
    first = await log_event(client)

    again = await log_event(client, "2026-04-10T12:10:00Z")

    assert again["event"] is None
    assert again["duplicate"] is False
    [error] = again["userErrors"]
    assert (error["code"], error["path"]) == ("DUPLICATE", ["input"])
    assert error["rule"] == {"name": "same source"}
    assert error["existing"] == {"id": first["event"]["id"]}
    assert await count_events(client) == 1
    assert (await client.execute_field(RULES))["nodes"][0]["matchCount"] == 1


async def test_a_repeat_is_counted_not_stored(client: Client) -> None:
    await create_rule(client, action="COUNT")
    first = await log_event(client)

    again = await log_event(client, "2026-04-10T12:10:00Z")
    late = await log_event(client, "2026-04-10T11:50:00Z")

    assert again["duplicate"] is True
    assert again["event"] == {
        "id": first["event"]["id"],
        "occurrences": 2,
        "lastOccurredAt": "2026-04-10T12:10:00.000000Z",
        "duplicateOf": None,
    }
    assert late["event"]["occurrences"] == 3
    assert late["event"]["lastOccurredAt"] == "2026-04-10T12:10:00.000000Z"
    assert await count_events(client) == 1


SINCE_18 = {"lastOccurredAt": {"from": "2026-04-10T18:00:00Z"}}
LAST_REPEATED_FIRST = """
query ($filter: EventFilter) {
  events(filter: $filter, orderBy: {field: LAST_OCCURRED_AT, direction: DESC}) {
    nodes { id lastOccurredAt }
  }
}
"""
CHANGED = """
subscription ($filter: EventFilter, $after: String) {
  eventChanged(filter: $filter, after: $after) { cursor kind eventId }
}
"""


async def test_a_counted_repeat_is_found_by_the_time_of_the_repeat_stored_and_live(
    client: Client,
) -> None:
    await create_rule(client, action="COUNT", window="P1D")
    repeated = await log_event(client)
    other = await log_event(client, "2026-04-10T17:00:00Z", source="/b")
    head = await client.execute_field("{ logHead }")

    async with client.subscription(CHANGED, filter=SINCE_18, after=head) as changed:
        await log_event(client, "2026-04-10T17:30:00Z", source="/b")
        await log_event(client, "2026-04-10T19:00:00Z")
        live = await changed.receive_next()
    async with client.subscription(CHANGED, filter=SINCE_18, after=head) as replayed:
        again = await replayed.receive_next()

    [since_18] = (await client.execute_field(LAST_REPEATED_FIRST, filter=SINCE_18))["nodes"]
    everything = (await client.execute_field(LAST_REPEATED_FIRST))["nodes"]
    assert since_18 == {
        "id": repeated["event"]["id"],
        "lastOccurredAt": "2026-04-10T19:00:00.000000Z",
    }
    assert [node["id"] for node in everything] == [repeated["event"]["id"], other["event"]["id"]]
    assert (live["kind"], live["eventId"]) == ("DUPLICATED", repeated["event"]["id"])
    assert again == live


async def test_a_flagged_duplicate_is_stored_and_never_a_first(client: Client) -> None:
    await create_rule(client, action="FLAG")
    first = await log_event(client)

    second = await log_event(client, "2026-04-10T12:14:00Z")
    third = await log_event(client, "2026-04-10T12:28:00Z")

    assert second["duplicate"] is True
    assert second["event"]["duplicateOf"] == {"id": first["event"]["id"]}
    # Within the window of the flagged one, but not of the first.
    assert third["duplicate"] is False
    assert third["event"]["duplicateOf"] is None
    flagged = await client.execute_field("{ events(filter: {duplicate: true}) { nodes { id } } }")
    assert flagged["nodes"] == [{"id": second["event"]["id"]}]


async def test_equal_reports_of_one_list_are_one_event(client: Client) -> None:
    await create_rule(client, action="COUNT")

    payload = await client.execute_field(
        """mutation ($input: [LogEventInput!]!) { logEvents(input: $input) {
             accepted duplicates rejected results { duplicate event { id occurrences } } } }""",
        input=[{"source": "/a", "occurredAt": NOON}] * 5,
    )

    assert (payload["accepted"], payload["duplicates"], payload["rejected"]) == (1, 4, 0)
    assert len({each["event"]["id"] for each in payload["results"]}) == 1
    listed = await client.execute_field("{ events { nodes { occurrences } } }")
    assert listed["nodes"] == [{"occurrences": 5}]


async def test_a_counted_report_leaves_a_receipt_and_a_rejected_one_none(client: Client) -> None:
    await create_rule(client, action="COUNT")
    first = await log_event(client)

    counted = await log_event(client, sourceId="1")
    replayed = await log_event(client, sourceId="1")

    assert counted["event"]["occurrences"] == 2
    assert replayed["duplicate"] is True
    assert replayed["event"]["id"] == first["event"]["id"]
    assert replayed["event"]["occurrences"] == 2


async def test_a_rejected_report_may_be_sent_again_after_a_reset(client: Client) -> None:
    await create_rule(client, action="REJECT")
    await log_event(client)
    refused = await log_event(client, sourceId="1")
    assert refused["event"] is None

    reset = await client.execute_field(
        "mutation { resetDuplication { clearedCount userErrors { code } } }"
    )
    accepted = await log_event(client, sourceId="1")

    assert reset == {"clearedCount": 1, "userErrors": []}
    assert accepted["event"] is not None
    assert accepted["duplicate"] is False


async def test_deleting_the_first_forgets_it(client: Client) -> None:
    await create_rule(client, action="FLAG")
    first = await log_event(client)
    second = await log_event(client)

    await client.execute_field(
        "mutation ($id: ID!) { deleteEvent(id: $id) { event { id } } }", id=first["event"]["id"]
    )
    third = await log_event(client)

    listed = await client.execute_field("{ events { nodes { id duplicateOf { id } } } }")
    assert {each["id"]: each["duplicateOf"] for each in listed["nodes"]} == {
        second["event"]["id"]: None,
        third["event"]["id"]: None,
    }
    assert third["duplicate"] is False


async def test_a_check_stores_nothing_and_names_the_original(client: Client) -> None:
    await create_rule(client, action="REJECT")
    first = await log_event(client)

    check = await client.execute_field(
        """query ($input: LogEventInput!) { checkEvent(input: $input) {
             accepted duplicateOf { id } userErrors { code } } }""",
        input={"source": "/a", "occurredAt": NOON},
    )

    assert check == {
        "accepted": False,
        "duplicateOf": {"id": first["event"]["id"]},
        "userErrors": [{"code": "DUPLICATE"}],
    }
    assert (await client.execute_field(RULES))["nodes"][0]["matchCount"] == 0


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"fingerprint": []}, ["input", "fingerprint"]),
        ({"fingerprint": ["colour"]}, ["input", "fingerprint", "0"]),
        ({"fingerprint": ["source", "source"]}, ["input", "fingerprint", "1"]),
        ({"name": ""}, ["input", "name"]),
        ({"window": "P9999D"}, ["input", "window"]),
        ({"eventTypeId": "x"}, ["input", "eventTypeId"]),
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused(
    client: Client, attributes: dict[str, Any], path: list[str]
) -> None:
    rule_input = {"name": "r", "fingerprint": ["source"], "window": "PT1M", "action": "FLAG"}

    payload = await client.execute_field(CREATE, input=rule_input | attributes)

    assert payload["duplicationRule"] is None
    assert [error["path"] for error in payload["userErrors"]] == [path]
    assert await client.execute_field("{ duplicationRules { totalCount } }") == {"totalCount": 0}


async def test_an_ordinary_report_is_not_touched(client: Client) -> None:
    await create_rule(client, action="REJECT", fingerprint=["fields.a"])

    payloads = [await client.execute_field(LOG_EVENT, input={"fields": {"b": n}}) for n in (1, 1)]

    # All of the fingerprint is absent.
    assert [payload["duplicate"] for payload in payloads] == [False, False]


FIND = """
query ($source: String!, $id: String!) {
  eventBySource(source: $source, sourceId: $id) { id sourceId }
  events(filter: {sourceIds: [$id]}) { totalCount nodes { id } }
}
"""


async def find_by_source(client: Client, source: str, id: str) -> tuple[Any, list[Any]]:
    """The event of a source and source ID, and the IDs of the events with the source ID."""
    data = (await client.execute(FIND, source=source, id=id))["data"]
    nodes = data["events"]["nodes"]
    assert data["events"]["totalCount"] == len(nodes)
    return data["eventBySource"], [node["id"] for node in nodes]


async def test_a_counted_duplicate_is_found_by_its_own_source_id(client: Client) -> None:
    await create_rule(client, action="COUNT", fingerprint=["type"])
    first = await log_event(client, sourceId="1")
    await log_event(client, sourceId="2")
    await log_event(client, source="/b", sourceId="3")
    [in_a_list] = (
        await client.execute_field(
            "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { duplicates } }",
            input=[{"source": "/c", "sourceId": "4", "occurredAt": NOON}],
        )
    ).values()

    original = {"id": first["event"]["id"], "sourceId": "1"}
    assert in_a_list == 1
    for source, id in (("/a", "1"), ("/a", "2"), ("/b", "3"), ("/c", "4")):
        assert await find_by_source(client, source, id) == (original, [original["id"]])
    assert await find_by_source(client, "/b", "2") == (None, [original["id"]])
    assert await find_by_source(client, "/a", "5") == (None, [])


async def test_a_flagged_duplicate_is_found_by_its_source_id_and_a_refused_one_is_not(
    client: Client,
) -> None:
    await create_rule(client, action="FLAG", fingerprint=["type"])
    await log_event(client, sourceId="1")
    flagged = (await log_event(client, sourceId="2"))["event"]["id"]
    await create_rule(client, action="REJECT", fingerprint=["summary"], name="same summary")
    await log_event(client, type="other", summary="s", sourceId="3")
    await log_event(client, type="third", summary="s", sourceId="4")

    assert await find_by_source(client, "/a", "2") == (
        {"id": flagged, "sourceId": "2"},
        [flagged],
    )
    assert await find_by_source(client, "/a", "4") == (None, [])


async def test_the_duplicates_of_a_deleted_event_are_not_found(client: Client) -> None:
    await create_rule(client, action="COUNT")
    id = (await log_event(client, sourceId="1"))["event"]["id"]
    await log_event(client, sourceId="2")

    await client.execute_field(f'mutation {{ deleteEvent(id: "{id}") {{ event {{ id }} }} }}')

    assert await find_by_source(client, "/a", "2") == (None, [])


async def test_every_filter_of_stored_events_finds_counted_duplicates(client: Client) -> None:
    await create_rule(client, action="COUNT")
    await log_event(client, sourceId="1", notification=True)
    await log_event(client, sourceId="2")
    await log_event(client, source="/b", sourceId="3", notification=True)
    repeat = 'filter: {sourceIds: ["2"]}'

    counts = await client.execute_field(f"{{ eventCounts(by: [], {repeat}) {{ count }} }}")
    bell = await client.execute_field(f"{{ notifications({repeat}) {{ totalCount }} }}")
    others = await client.execute_field(
        '{ events(filter: {not: {sourceIds: ["2"]}}) { nodes { sourceId } } }'
    )
    acknowledged = await client.execute_field(
        f"mutation {{ acknowledgeEvents({repeat}) {{ events {{ sourceId }} }} }}"
    )

    assert counts == [{"count": 1}]
    assert bell == {"totalCount": 1}
    assert others == {"nodes": [{"sourceId": "3"}]}
    assert acknowledged == {"events": [{"sourceId": "1"}]}


async def test_a_counted_duplicate_of_another_organization_is_not_found(client: Client) -> None:
    await create_rule(client, action="COUNT")
    await log_event(client, sourceId="1")
    await log_event(client, sourceId="2")
    key = f"{client.headers['data-partition-id']}-other"
    await client.execute_field(
        f'mutation {{ createOrganization(key: "{key}", name: "b") {{ organization {{ id }} }} }}'
    )
    other = client.as_key(client.key, data_partition_id=key)

    assert await find_by_source(other, "/a", "2") == (None, [])
