"""The number of SQL statements of a request is independent of the number of rows."""

from __future__ import annotations

import pytest

from tests.client import Client
from tests.conftest import Statements

PAGE = """
{
  events(first: 50) {
    totalCount
    nodes {
      id summary fields tags entity { type }
      eventType { name fields { name kind eventType { id } } }
      correlations { totalCount nodes { relation event { id } } }
    }
    pageInfo { endCursor }
  }
}
"""
LOG_EVENTS = """
mutation ($input: [LogEventInput!]!) {
  logEvents(input: $input) { accepted results { event { id } } }
}
"""
CORRELATE = """
mutation ($id: ID!, $others: [ID!]!) {
  correlateEvents(eventId: $id, relatedIds: $others) { userErrors { code } }
}
"""


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


@pytest.mark.parametrize("events", [2, 50])
async def test_the_statements_of_a_page_are_independent_of_its_size(
    client: Client, statements: Statements, events: int
) -> None:
    for n in range(5):
        await client.execute_field(
            """mutation ($type: String!) { createEventType(input: {name: "G", type: $type,
                 state: PUBLISHED, fields: [{name: "a", kind: NUMBER}]}) { eventType { id } } }""",
            type=f"g{n}",
        )
    reports = [{"type": f"g{n % 5}", "fields": {"a": n}, "tags": ["t"]} for n in range(events)]
    logged = await client.execute_field(LOG_EVENTS, input=reports)
    first, *others = [result["event"]["id"] for result in logged["results"]]
    await client.execute_field(CORRELATE, id=first, others=others)
    statements.clear()

    page = await client.execute_field(PAGE)

    assert len(page["nodes"]) == events
    correlated = sum(node["correlations"]["totalCount"] for node in page["nodes"])
    assert correlated == 2 * (events - 1)
    # The page, the count, the types, their fields, the fields' types, the correlations.
    assert len(_select_statements(statements)) == 6


@pytest.mark.parametrize("events", [2, 50])
async def test_the_statements_of_a_page_of_cloud_events_are_independent_of_its_size(
    client: Client, statements: Statements, events: int
) -> None:
    await client.execute_field(
        """mutation { createEventType(input: {name: "G", type: "g", state: PUBLISHED,
             fields: [{name: "a", kind: NUMBER}]}) { eventType { id } } }"""
    )
    reports = [{"type": "g", "fields": {"a": n}, "tags": ["t"]} for n in range(events)]
    await client.execute_field(LOG_EVENTS, input=reports)
    statements.clear()

    page = await client.execute_field(
        """{ cloudEvents(planningTags: ["t"], studyId: null, type: "g*", pageSize: 500) {
             total events } }"""
    )

    assert len(page["events"]) == page["total"] == events
    assert all("version=" in each["dataschema"] for each in page["events"])
    assert len(_select_statements(statements)) == 1  # the page, with the count


@pytest.mark.parametrize("events", [1, 500])
async def test_the_statements_of_logging_are_independent_of_the_number_of_events(
    client: Client, statements: Statements, events: int
) -> None:
    reports = [
        {"tags": ["t"], "sourceId": str(n), "notification": True, "fields": {"a": n, "b": ["c"]}}
        for n in range(events)
    ]
    # With a notification, so that the silences are cached, too.
    await client.execute_field(LOG_EVENTS, input=[{"notification": True}])
    statements.clear()

    logged = await client.execute_field(LOG_EVENTS, input=reports)

    assert logged["accepted"] == events
    # Receipts, log entries, events and their index rows: tags, words, values. On PostgreSQL, all
    # but the receipts are parts of one statement.
    assert sum(each.count("INSERT INTO") for each in statements) == 6
    assert len(_select_statements(statements)) == 1  # the version of the definitions


@pytest.mark.parametrize("events", [2, 100])
async def test_the_statements_of_counting_are_independent_of_the_number_of_events(
    client: Client, statements: Statements, events: int
) -> None:
    await client.execute_field(
        """mutation { createDuplicationRule(input: {name: "r", fingerprint: ["fields.a"],
             window: "PT1H", action: COUNT}) { userErrors { code } } }"""
    )
    reports = [{"fields": {"a": n}} for n in range(events)]
    await client.execute_field(LOG_EVENTS, input=reports)
    statements.clear()

    again = [report | {"sourceId": str(n)} for n, report in enumerate(reports)]
    await client.execute_field(LOG_EVENTS, input=again)

    assert len([each for each in statements if each.startswith("UPDATE")]) == 1  # the events
    # The locks of the fingerprints, their counts, and the receipts.
    assert len([each for each in statements if "DO UPDATE" in each]) == 3
    assert len(_select_statements(statements)) == 3  # the definitions, the originals, the events


async def test_removing_a_field_reads_guard_rules_only_for_their_expressions(
    client: Client, statements: Statements
) -> None:
    created = await client.execute_field(
        """mutation { createEventType(input: {name: "G", type: "g", state: PUBLISHED,
             fields: [{name: "a", kind: NUMBER}]}) { eventType { fields { id } } } }"""
    )
    [field] = created["eventType"]["fields"]
    statements.clear()

    await client.execute_field(
        "mutation ($id: ID!) { removeEventField(id: $id) { userErrors { code } } }", id=field["id"]
    )

    reads = [each for each in _select_statements(statements) if "FROM guard_rule" in each]
    assert len(reads) == 2  # all of the type, and the published ones with their versions


def _select_statements(statements: Statements) -> list[str]:
    """Excludes statements of the feed, and those that lock on PostgreSQL."""
    return [
        each
        for each in statements
        if each.startswith(("SELECT", "WITH"))
        and "INSERT" not in each
        and "pg_advisory" not in each
        and "FROM change " not in " ".join(each.split())
    ]
