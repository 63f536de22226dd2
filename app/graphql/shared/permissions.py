"""Which permission opens which field. A root field that is not in the table does not start.

One of the permissions named is enough. Below the roots, only the steps are named that lead from
what one permission opens to what needs another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql import GraphQLField, GraphQLSchema

from app.domain.access.caller import READS_TYPES, Permission
from app.domain.shared.problems import ErrorCode, RequestError

READ = frozenset({Permission.EVENT_READ})
CREATE = frozenset({Permission.EVENT_CREATE})
UPDATE = frozenset({Permission.EVENT_UPDATE})
DELETE = frozenset({Permission.EVENT_DELETE})
MANAGE_TYPES = frozenset({Permission.EVENT_TYPE_MANAGE})
READ_TYPES = READS_TYPES
MANAGE_RULES = frozenset({Permission.RULE_MANAGE})
READ_RULES = READ | CREATE | MANAGE_RULES
MANAGE_ORGANIZATION = frozenset({Permission.ORGANIZATION_MANAGE})
READ_ORGANIZATION = READ | MANAGE_ORGANIZATION

NEEDED: dict[str, frozenset[Permission]] = {
    "Query.node": READ_TYPES | READ_RULES | READ_ORGANIZATION,  # its resolver asks again, by kind
    "Query.viewer": READ,
    "Query.logHead": READ,
    "Query.organization": READ_ORGANIZATION,
    "Query.event": READ,
    "Query.events": READ,
    "Query.eventBySource": READ,
    "Query.eventChanges": READ,
    "Query.eventCounts": READ,
    "Query.cloudEvents": READ,
    "Query.entity": READ,
    "Query.notifications": READ,
    "Query.eventType": READ_TYPES,
    "Query.eventTypes": READ_TYPES,
    "Query.guardRule": READ_RULES,
    "Query.guardRules": READ_RULES,
    "Query.tryGuardRule": MANAGE_RULES,  # its resolver asks for READ as well
    "Query.duplicationRules": READ_RULES,
    "Query.checkEvent": CREATE,
    "Mutation.logEvent": CREATE,
    "Mutation.logEvents": CREATE,
    "Mutation.ingestCloudEvents": CREATE,
    "Mutation.logContainerEvent": CREATE,
    "Mutation.updateEvent": UPDATE,
    "Mutation.acknowledgeEvent": UPDATE,
    "Mutation.unacknowledgeEvent": UPDATE,
    "Mutation.acknowledgeEvents": UPDATE,
    "Mutation.correlateEvents": UPDATE,
    "Mutation.uncorrelateEvents": UPDATE,
    "Mutation.deleteEvent": DELETE,
    "Mutation.createEventType": MANAGE_TYPES,
    "Mutation.updateEventType": MANAGE_TYPES,
    "Mutation.deleteEventType": MANAGE_TYPES,
    "Mutation.transitionEventType": MANAGE_TYPES,
    "Mutation.addEventField": MANAGE_TYPES,
    "Mutation.updateEventField": MANAGE_TYPES,
    "Mutation.removeEventField": MANAGE_TYPES,
    "Mutation.reorderEventFields": MANAGE_TYPES,
    "Mutation.addConditionalRule": MANAGE_TYPES,
    "Mutation.updateConditionalRule": MANAGE_TYPES,
    "Mutation.deleteConditionalRule": MANAGE_TYPES,
    "Mutation.createGuardRule": MANAGE_RULES,
    "Mutation.updateGuardRule": MANAGE_RULES,
    "Mutation.publishGuardRule": MANAGE_RULES,
    "Mutation.retireGuardRule": MANAGE_RULES,
    "Mutation.createDuplicationRule": MANAGE_RULES,
    "Mutation.updateDuplicationRule": MANAGE_RULES,
    "Mutation.deleteDuplicationRule": MANAGE_RULES,
    "Mutation.resetDuplication": MANAGE_RULES,
    # Its service asks for a caller of every organization as well.
    "Mutation.createOrganization": MANAGE_ORGANIZATION,
    "Mutation.createApiKey": MANAGE_ORGANIZATION,
    "Mutation.revokeApiKey": MANAGE_ORGANIZATION,
    "Subscription.notificationAdded": READ,
    "Subscription.eventChanged": READ,
    "Event.history": READ,
    "Event.correlations": READ,
    "Event.eventType": READ_TYPES,
    "Event.duplicateOf": READ,
    "EventType.events": READ,
    "EventType.guardRules": READ_RULES,
    "EventType.duplicationRules": READ_RULES,
    "GuardRule.eventType": READ_TYPES,
    "FieldValue.field": READ_TYPES,
    "EventField.eventType": READ_TYPES,
    # Who met a rule may read what it said, but not its drafts and its history.
    "GuardRule.versions": READ_RULES,
    "GuardRule.expression": READ_RULES,
    "GuardRule.hasUnpublishedChanges": READ_RULES,
    "DuplicationRule.eventType": READ_TYPES,
    "Entity.events": READ,
    "Organization.events": READ,
    "Organization.containerEvents": READ,
    "Organization.container": READ,
}


def enforce(schema: GraphQLSchema) -> None:
    """Puts the table in front of the resolvers. KeyError for a root field without a row."""
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        for name in root.fields if root else ():
            NEEDED[f"{root}.{name}"]
    for coordinate, needed in NEEDED.items():
        type_name, field_name = coordinate.split(".")
        field: GraphQLField = schema.type_map[type_name].fields[field_name]  # type: ignore[attr-defined]
        if type_name == "Subscription":
            field.subscribe = _guarded(field.subscribe, needed, coordinate)
        else:
            field.resolve = _guarded(field.resolve, needed, coordinate)


def require(info: Any, needed: frozenset[Permission], coordinate: str) -> None:
    """RequestError FORBIDDEN, naming what would be enough; UNAUTHENTICATED without a caller."""
    if not info.context.caller.may(needed):
        names = " or ".join(sorted(permission.value for permission in needed))
        raise RequestError(ErrorCode.FORBIDDEN, f"{coordinate} needs the permission {names}.")


def _guarded(
    inner: Callable[..., Any] | None, needed: frozenset[Permission], coordinate: str
) -> Callable[..., Any]:
    if inner is None:
        raise KeyError(coordinate)

    def guarded(parent: Any, info: Any, /, **arguments: Any) -> Any:
        require(info, needed, coordinate)
        return inner(parent, info, **arguments)

    return guarded
