"""What is asked for costs: the table, beside that of the permissions.

A point is a node: a row that is read and shown. A field that is not in the table costs nothing, a
root field 1. What is selected below a list costs as often as the list has rows.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Price:
    """`rows`: how many, where no argument tells. `by`: arguments that tell, a number or a list.

    `most`: the limit that the resolver holds them to, so more is its to refuse. `shown`: the
    fields of the answer that have the rows; without them it is the list itself. Each time they are
    selected they cost their rows again, and the field itself 1; a field that is paid `at_once`
    costs its rows whatever is shown. `times`: an argument that multiplies what is paid so.
    """

    rows: int = 1
    by: tuple[str, ...] = ()
    most: str | None = None
    each: float = 1
    shown: tuple[str, ...] = ()
    at_once: bool = False
    times: str | None = None


ONE = Price()
PAGE = Price(20, ("first", "last"), "page", shown=("edges", "nodes"))
SCHEMA = Price(each=500)  # the whole of it is some thousand nodes, all of them in memory

COSTS: dict[str, Price] = {
    "Query.events": PAGE,
    "Query.eventChanges": PAGE,
    "Query.notifications": PAGE,
    "Query.eventTypes": PAGE,
    "Query.guardRules": PAGE,
    "Query.duplicationRules": PAGE,
    "Query.cloudEvents": Price(20, ("pageSize",), "cloud_events_page", shown=("events",)),
    # A row is a few numbers: ten of them are a node.
    "Query.eventCounts": Price(100, ("first",), "counts_over_time", each=0.1),
    "Query.tryGuardRule": Price(100, ("last",), "trial", shown=("examples",), at_once=True),
    "Query.__schema": SCHEMA,
    "Query.__type": Price(each=20),
    "Event.history": PAGE,
    # The way there is walked, whatever is shown: each link costs the page again.
    "Event.correlations": Price(
        20, ("first",), "page", shown=("edges", "nodes"), at_once=True, times="depth"
    ),
    "Event.duplicateOf": ONE,
    "Event.eventType": ONE,
    "Event.fieldValues": Price(5),  # by how many fields types usually have, here and below
    "EventChange.event": ONE,
    "EventCheck.duplicateOf": ONE,
    "FieldValue.field": ONE,
    "Entity.events": PAGE,
    "EventType.events": PAGE,
    "EventType.fields": Price(5),
    "EventType.conditionalRules": Price(3),
    "EventType.guardRules": Price(2),
    "EventType.duplicationRules": Price(2),
    "EventType.jsonSchema": ONE,
    "EventField.eventType": ONE,
    "ConditionalRule.eventType": ONE,
    "ConditionalRule.targets": Price(2),
    "GuardRule.eventType": ONE,
    "GuardRule.versions": Price(5),
    "GuardViolation.rule": ONE,
    "DuplicationRule.eventType": ONE,
    "DuplicateError.rule": ONE,
    "DuplicateError.existing": ONE,
    "Organization.events": PAGE,
    "Organization.containerEvents": PAGE,
    "Organization.apiKeys": Price(20),
    "Viewer.organization": ONE,
    "Viewer.organizations": Price(10),
    # A bulk is paid for by what is sent; the rows that come back are paid for so.
    "Mutation.logEvents": Price(1, ("input",), "bulk", shown=("results",), at_once=True),
    "Mutation.ingestCloudEvents": Price(1, ("events",), "bulk", shown=("results",), at_once=True),
    "Mutation.correlateEvents": Price(1, ("relatedIds",), "correlated_per_call", at_once=True),
    "Mutation.uncorrelateEvents": Price(1, ("relatedIds",), "correlated_per_call", at_once=True),
    "AcknowledgeEventsPayload.events": Price(100),
}

# Lists that cost nothing, and why.
FREE: dict[str, set[str]] = {
    "values of a row that is paid for": {
        "ApiKey.permissions",
        "DuplicationRule.fingerprint",
        "Event.tags",
        "EventCheck.requiredFields",
        "EventCheck.visibleFields",
        "EventField.options",
        "EventType.transitions",
        "TransitionError.allowed",
        "Viewer.permissions",
    },
    "what is wrong with an input, which was paid for": {"*.path", "*.userErrors", "*.warnings"},
}
