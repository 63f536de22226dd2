"""An organization with data for everything that plans read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.shared.exact_decimals import parse_decimal
from app.store.engine.database import Database
from tests.plans.plan_and_execution import PlanAndExecution

DEFINE = """
mutation ($input: CreateEventTypeInput!) {
  createEventType(input: $input) { eventType { id } userErrors { message path } }
}
"""
CONDITION = """
mutation ($id: ID!) {
  addConditionalRule(eventTypeId: $id, rule: {
    name: "large ones", effect: SHOW, targets: ["hours"],
    condition: {field: {field: "volume", operator: GTE, value: 100}}
  }) { userErrors { message } }
}
"""
LOG = """
mutation ($input: [LogEventInput!]!) {
  logEvents(input: $input) { accepted rejected results { userErrors { message } event { id } } }
}
"""
FIELDS = [
    {"name": "volume", "kind": "NUMBER", "minimum": 0.5, "unit": "mcf"},
    {"name": "cause", "kind": "SELECT", "options": ["wind", '\u00fcber "x"\\']},
    {"name": "hours", "kind": "NUMBER", "default": 1.0},
]


@pytest.fixture
async def both(database: Database) -> PlanAndExecution:
    both = await PlanAndExecution.create(database)
    for n, state in enumerate(("PUBLISHED", "DRAFT", "PUBLISHED")):
        input = {"name": f"Type {n}", "category": "c", "type": f"t{n}", "state": state}
        payload = await both.run_mutation(
            DEFINE, input=input | {"fields": FIELDS[: n + 1] if n < 2 else FIELDS}
        )
        if n == 2:
            await both.run_mutation(CONDITION, id=payload["eventType"]["id"])
    await both.run_mutation(
        """mutation { createDuplicationRule(input: {name: "r", fingerprint: ["subject"],
             window: "PT1H", action: FLAG}) { userErrors { message } } }"""
    )
    for n, of_type in enumerate((payload["eventType"]["id"], None)):
        input = {"name": f"guard {n}", "eventTypeId": of_type, "expression": "true", "message": "m"}
        rule = await both.run_mutation(
            """mutation ($input: CreateGuardRuleInput!) { createGuardRule(input: $input)
                 { guardRule { id } userErrors { message } } }""",
            input=input,
        )
    await both.run_mutation(
        "mutation ($id: ID!) { publishGuardRule(id: $id) { userErrors { message } } }",
        id=rule["guardRule"]["id"],
    )
    await both.run_mutation(
        """mutation { logContainerEvent(containerId: "c-1", event: {eventType: ACCESS})
             { userErrors { message } } }"""
    )
    silenced = await both.run_mutation(
        """mutation ($endsAt: DateTime!) { createSilence(input: {filter: {subject: "same"},
             endsAt: $endsAt, comment: "c"}) { userErrors { message } } }""",
        endsAt=(datetime.now(UTC) + timedelta(days=1)).isoformat(),
    )
    assert silenced == {"userErrors": []}
    logged = await both.run_mutation(LOG, input=[_build_report(n) for n in range(40)])
    assert logged["accepted"] == 40, logged
    ids = [each["event"]["id"] for each in logged["results"]]
    await both.run_mutation(
        """mutation ($id: ID!) { acknowledgeEvent(id: $id, note: "seen \\"it\\"")
             { userErrors { message } } }""",
        id=ids[3],
    )
    return both


def _build_report(n: int) -> dict[str, object]:
    report: dict[str, object] = {
        "summary": f'Number {n} "quoted" \\ \u00e9\U0001f525\u2028 \t',
        "occurredAt": f"2026-04-{1 + n % 7:02}T10:30:00{'.5' if n % 3 else ''}Z",
        "severity": ("info", "warn", "error", "success")[n % 4],
        "source": f"source-{n % 2}",
        "sourceId": str(n),
        "notification": n % 3 == 0,
    }
    if n % 2:
        report |= {"type": "t2", "fields": {"volume": 100 + n / 7, "cause": "wind"}}
    elif n % 4:
        report |= {"type": "t0", "fields": {"volume": n + 1}}
    else:
        digits = parse_decimal("0.12345678901234567890")
        numbers = [1e22, 1.0, -0.0, 5e-324, 1e300, 2**53 + 1, 2**70, digits]
        texts = '\u00e9\U0001f525\u2028\x7f "\\/ <'
        report |= {"fields": {"a": [1, {"b": None}], "numbers": numbers, "c\u00e9": texts}}
    if n % 5 == 0:
        report |= {"entity": {"type": "Well", "id": f"w-{n}"}, "outcome": "FAILURE"}
        report |= {"tags": ["a:b", f'c"{n}', "\u00fc"], "content": "line\nline", "subject": "same"}
    return report
