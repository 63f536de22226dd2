"""The fields that plans cover, and the reason for each one that they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from typing import Any, cast

import pytest
from graphql import (
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
)

from app.graphql.plans.value_writers import create_leaf_writer
from app.graphql.shared.field_sources import FirstValue, get_field_source
from app.graphql.shared.permissions import ANY_CREDENTIAL, REQUIRED_PERMISSIONS
from tests.plans.random_documents import CORE, is_planned

OF_EACH_ROW = "a list below each row: a loader reads it for all rows together"
LOG = "entries of the change log: the filter is evaluated before and after the change, in memory"
AUDIT = "entries of the change log: derived from their values, which rows are not, in memory"
PUBLISHED = "compares the draft with the published version: a second row"
ERRORS = "user errors: returned by mutations, checkEvent, checkEventType and tryGuardRule"
CHANNELS = "administration, which is rare: loaders read the progress of channels and deliveries"
SOURCES = "administration, which is rare: a loader reads the rejected payloads"
UNPLANNED = {
    "Query.channel": CHANNELS,
    "Query.channels": CHANNELS,
    "Query.channelProblem": "the settings of the server: reads no rows",
    "Channel.*": CHANNELS,
    "Delivery.*": CHANNELS,
    "DeliveryConnection.*": CHANNELS,
    "DeliveryEdge.*": CHANNELS,
    "Query.source": SOURCES,
    "Query.sources": SOURCES,
    "Query.trySource": "parses and validates a payload: reads no rows",
    "Source.*": SOURCES,
    "SourceMapping.*": SOURCES,
    "RejectedPayload.*": SOURCES,
    "SourceTrial.*": "part of trySource",
    "Query.node": "one of twelve tables, queried in turn",
    "Query.checkEvent": "validates a report like `logEvent`: reads no rows",
    "EventCheck.*": "part of checkEvent",
    "Query.serverHealth": "the state of the process: reads no list or row of the answer",
    "ServerHealth.*": "part of serverHealth",
    "Query.checkEventType": "validates a definition in memory: reads no list or row of the answer",
    "EventTypeCheck.*": "part of checkEventType",
    "Query.tryGuardRule": "evaluates an expression on events, in memory",
    "GuardRuleTrial.*": "part of tryGuardRule",
    "GuardTrialFailure.*": "part of tryGuardRule",
    "Query.eventChanges": LOG,
    "EventChangeConnection.*": LOG,
    "EventChangeEdge.*": LOG,
    "Query.auditEntries": AUDIT,
    "AuditEntryConnection.*": AUDIT,
    "AuditEntryEdge.*": AUDIT,
    "AuditEntry.*": AUDIT,
    "Event.history": OF_EACH_ROW,
    "Query.notificationSummary": "counts and positions, of which live summaries are made, too",
    "NotificationEdge.read": "compares the position with the mark of the caller",
    "Event.correlations": OF_EACH_ROW,
    "CorrelationConnection.*": OF_EACH_ROW,
    "CorrelationEdge.*": OF_EACH_ROW,
    "Correlation.*": OF_EACH_ROW,
    "Event.guardViolations": "evaluates rules, in memory",
    "Event.fieldValues": "values with the definitions of the event's version, in memory",
    "FieldValue.*": "part of fieldValues",
    "Event.cloudEvent": "created from the whole event, in memory",
    "EventType.events": OF_EACH_ROW,
    "Silence.active": "compares the times of the silence with the current time",
    "FieldChoice.*": "part of choices",
    "EventType.versions": OF_EACH_ROW,
    "EventTypeVersion.*": "part of versions",
    "GuardRule.publishedVersion": PUBLISHED,
    "GuardRule.hasUnpublishedChanges": PUBLISHED,
    "GuardRule.versions": OF_EACH_ROW,
    "GuardRuleVersion.*": "part of publishedVersion and versions",
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


def test_a_value_that_is_read_first_has_no_arguments_and_needs_no_permission() -> None:
    """graphql-core gets it as an attribute of the root, without the checks of a resolver."""
    read_first = {
        f"{type_.name}.{name}": field.args
        for type_ in _reachable_types()
        for name, field in type_.fields.items()
        if isinstance(get_field_source(type_, name), FirstValue)
    }

    assert read_first == {"Query.logHead": {}}
    assert REQUIRED_PERMISSIONS["Query.logHead"] == ANY_CREDENTIAL


def list_planned_fields() -> set[str]:
    """Returns all fields of queries that plans cover."""
    return {
        f"{type_.name}.{name}"
        for type_ in _reachable_types(is_planned)
        for name in type_.fields
        if is_planned(type_, name)
    }


def _reachable_types(
    is_followed: Callable[[GraphQLObjectType, str], bool] = lambda _type, _name: True,
) -> Iterator[GraphQLObjectType]:
    """Yields the object types that are reachable from `Query` through these fields."""
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
            waiting += [
                get_named_type(field.type)
                for name, field in type_.fields.items()
                if is_followed(type_, name)
            ]
            yield type_


LEAF_TYPES = [name for name, type_ in CORE.type_map.items() if is_leaf_type(type_)]


@pytest.mark.parametrize("name", LEAF_TYPES)
async def test_a_plan_writes_no_null_for_a_value_that_may_not_be_null(name: str) -> None:
    type_, unused = CORE.type_map[name], cast("Any", None)
    assert is_leaf_type(type_)

    with pytest.raises((AttributeError, GraphQLError, TypeError)):
        await create_leaf_writer(type_)(unused, [None])
