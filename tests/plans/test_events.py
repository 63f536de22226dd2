"""Events read by plans equal events read by execution."""

from __future__ import annotations

from tests.plans.plan_and_execution import PlanAndExecution

EVERYTHING = """
  id type eventTypeVersion category entity { type entityId __typename } severity summary content
  source sourceId subject outcome occurredAt recordedAt updatedAt fields tags occurrences
  lastOccurredAt notification acknowledged acknowledgedAt acknowledgedBy acknowledgementNote
  version __typename
  duplicateOf { id summary entity { entityId } eventType { name } duplicateOf { id } }
  eventType { __typename id type name description category state version sunsetAt createdAt
    updatedAt transitions jsonSchema draft07: jsonSchema(draft: DRAFT_07) uiSchema
    fields { id name label kind required position helpText unit options minimum maximum minLength
      maxLength pattern default eventType { name } }
    conditionalRules { id name effect condition enabled targets { name } eventType { type } } }
"""


async def test_a_page_has_the_same_response_as_by_execution(both: PlanAndExecution) -> None:
    query = f"""{{ events(first: 41) {{
        totalCount __typename
        pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor __typename }}
        edges {{ cursor __typename node {{ {EVERYTHING} }} }}
        nodes {{ {EVERYTHING} }} }} }}"""

    first = await both.execute_both(query)
    again = await both.execute_both(query)

    assert first == again
    assert first["events"]["totalCount"] == 41
