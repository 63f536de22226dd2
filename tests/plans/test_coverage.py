"""Which fields plans cover: every one, or it stands here with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch

from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type

from tests.plans.random_documents import CORE, is_planned

OF_EACH_ROW = "a list of its own below each row: read for all rows together, by a loader"
LOG = "entries of the log, which are judged before and after the change, in memory"
PUBLISHED = "compares the draft with what was published: a second row"
ERRORS = "user errors are told by mutations, and by the two fields that try something"
UNPLANNED = {
    "Query.node": "one of seven tables, found by asking them in turn",
    "Query.checkEvent": "judges a report as `logEvent` would: no read of rows",
    "EventCheck.*": "of checkEvent",
    "Query.tryGuardRule": "runs an expression over events, in memory",
    "GuardRuleTrial.*": "of tryGuardRule",
    "Query.eventChanges": LOG,
    "EventChangeConnection.*": LOG,
    "EventChangeEdge.*": LOG,
    "EventChange.*": LOG,
    "Event.history": OF_EACH_ROW,
    "Event.correlations": OF_EACH_ROW,
    "CorrelationConnection.*": OF_EACH_ROW,
    "CorrelationEdge.*": OF_EACH_ROW,
    "Correlation.*": OF_EACH_ROW,
    "Event.fieldValues": "each value beside the form of its own version, in memory",
    "FieldValue.*": "of fieldValues",
    "Event.cloudEvent": "made of the whole event, in memory",
    "EventType.events": OF_EACH_ROW,
    "GuardRule.publishedVersion": PUBLISHED,
    "GuardRule.hasUnpublishedChanges": PUBLISHED,
    "GuardRule.versions": OF_EACH_ROW,
    "GuardRuleVersion.*": "of publishedVersion and versions",
    "DuplicationRule.matchCount": "a sum over fingerprints, for all rules together",
    "*Error.*": ERRORS,
    "GuardViolation.*": ERRORS,
}


def test_every_field_that_can_be_read_is_planned_or_has_a_reason() -> None:
    unplanned = {
        f"{type_.name}.{name}"
        for type_ in _reachable_types()
        for name in type_.fields
        if not is_planned(type_, name)
    }

    missing = {each for each in unplanned if not any(fnmatch(each, row) for row in UNPLANNED)}
    stale = [row for row in UNPLANNED if not any(fnmatch(each, row) for each in unplanned)]

    assert missing == set()
    assert stale == []


def list_planned_fields() -> set[str]:
    """All that plans cover."""
    return {
        f"{type_.name}.{name}"
        for type_ in _reachable_types()
        for name in type_.fields
        if is_planned(type_, name)
    }


def _reachable_types() -> Iterator[GraphQLObjectType]:
    waiting = [CORE.type_map["Query"]]
    seen = set()
    while waiting:
        type_ = waiting.pop()
        if type_ in seen:
            continue
        seen.add(type_)
        if isinstance(type_, GraphQLInterfaceType):
            waiting += CORE.get_possible_types(type_)
        if isinstance(type_, GraphQLObjectType):
            waiting += [get_named_type(field.type) for field in type_.fields.values()]
            yield type_
