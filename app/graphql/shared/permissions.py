"""The permissions that fields require. The table must contain every root field.

A caller needs one of the permissions of a field; with ANY_CREDENTIAL, it needs none. Of the other
fields, the table contains those that require other permissions than the fields that lead to them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql import GraphQLField, GraphQLSchema

from app.domain.access.caller import EVENT_TYPE_READ_PERMISSIONS, Permission
from app.domain.shared.problems import ErrorCode, RequestError

ANY_CREDENTIAL: frozenset[Permission] = frozenset()
READ_EVENTS = frozenset({Permission.EVENT_READ})
CREATE_EVENTS = frozenset({Permission.EVENT_CREATE})
UPDATE_EVENTS = frozenset({Permission.EVENT_UPDATE})
DELETE_EVENTS = frozenset({Permission.EVENT_DELETE})
MANAGE_EVENT_TYPES = frozenset({Permission.EVENT_TYPE_MANAGE})
READ_EVENT_TYPES = EVENT_TYPE_READ_PERMISSIONS
MANAGE_RULES = frozenset({Permission.RULE_MANAGE})
READ_RULES = READ_EVENTS | CREATE_EVENTS | MANAGE_RULES
MANAGE_CHANNELS = frozenset({Permission.CHANNEL_MANAGE})
MANAGE_ORGANIZATION = frozenset({Permission.ORGANIZATION_MANAGE})
READ_ORGANIZATION = READ_EVENTS | MANAGE_ORGANIZATION

REQUIRED_PERMISSIONS: dict[str, frozenset[Permission]] = {
    "Query.node": READ_EVENT_TYPES
    | READ_RULES
    | MANAGE_CHANNELS
    | READ_ORGANIZATION,  # its resolver checks each kind of object
    "Query.viewer": ANY_CREDENTIAL,
    "Query.logHead": ANY_CREDENTIAL,
    "Query.organization": READ_ORGANIZATION,
    "Query.event": READ_EVENTS,
    "Query.events": READ_EVENTS,
    "Query.eventBySource": READ_EVENTS,
    "Query.eventChanges": READ_EVENTS,
    "Query.eventCounts": READ_EVENTS,
    "Query.cloudEvents": READ_EVENTS,
    "Query.entity": READ_EVENTS,
    "Query.notifications": READ_EVENTS,
    "Query.notificationSummary": READ_EVENTS,
    "Query.silence": READ_EVENTS,
    "Query.silences": READ_EVENTS,
    "Query.eventType": READ_EVENT_TYPES,
    "Query.eventTypes": READ_EVENT_TYPES,
    "Query.checkEventType": MANAGE_EVENT_TYPES,
    "Query.guardRule": READ_RULES,
    "Query.guardRules": READ_RULES,
    "Query.tryGuardRule": MANAGE_RULES,  # its resolver also requires READ_EVENTS
    "Query.duplicationRules": READ_RULES,
    "Query.checkEvent": CREATE_EVENTS,
    "Query.auditEntries": MANAGE_ORGANIZATION,
    "Query.retentionPolicies": MANAGE_ORGANIZATION,
    "Query.channel": MANAGE_CHANNELS,
    "Query.channels": MANAGE_CHANNELS,
    "Query.channelProblem": MANAGE_CHANNELS,
    "Query.source": MANAGE_CHANNELS,
    "Query.sources": MANAGE_CHANNELS,
    "Query.trySource": MANAGE_CHANNELS,  # its service also requires CREATE_EVENTS
    "Query.serverHealth": MANAGE_ORGANIZATION,
    "Mutation.logEvent": CREATE_EVENTS,
    "Mutation.logEvents": CREATE_EVENTS,
    "Mutation.ingestCloudEvents": CREATE_EVENTS,
    "Mutation.logContainerEvent": CREATE_EVENTS,
    "Mutation.updateEvent": UPDATE_EVENTS,
    "Mutation.acknowledgeEvent": UPDATE_EVENTS,
    "Mutation.unacknowledgeEvent": UPDATE_EVENTS,
    "Mutation.resolveEvent": UPDATE_EVENTS,
    "Mutation.reopenEvent": UPDATE_EVENTS,
    "Mutation.acknowledgeEvents": UPDATE_EVENTS,
    "Mutation.markNotificationsRead": READ_EVENTS,
    "Mutation.unacknowledgeEvents": UPDATE_EVENTS,
    "Mutation.resolveEvents": UPDATE_EVENTS,
    "Mutation.reopenEvents": UPDATE_EVENTS,
    "Mutation.createSilence": UPDATE_EVENTS,
    "Mutation.updateSilence": UPDATE_EVENTS,
    "Mutation.expireSilence": UPDATE_EVENTS,
    "Mutation.correlateEvents": UPDATE_EVENTS,
    "Mutation.uncorrelateEvents": UPDATE_EVENTS,
    "Mutation.deleteEvent": DELETE_EVENTS,
    "Mutation.deleteEvents": DELETE_EVENTS,
    "Mutation.createEventType": MANAGE_EVENT_TYPES,
    "Mutation.updateEventType": MANAGE_EVENT_TYPES,
    "Mutation.replaceEventType": MANAGE_EVENT_TYPES,
    "Mutation.deleteEventType": MANAGE_EVENT_TYPES,
    "Mutation.transitionEventType": MANAGE_EVENT_TYPES,
    "Mutation.addEventField": MANAGE_EVENT_TYPES,
    "Mutation.updateEventField": MANAGE_EVENT_TYPES,
    "Mutation.removeEventField": MANAGE_EVENT_TYPES,
    "Mutation.reorderEventFields": MANAGE_EVENT_TYPES,
    "Mutation.addConditionalRule": MANAGE_EVENT_TYPES,
    "Mutation.updateConditionalRule": MANAGE_EVENT_TYPES,
    "Mutation.deleteConditionalRule": MANAGE_EVENT_TYPES,
    "Mutation.createGuardRule": MANAGE_RULES,
    "Mutation.updateGuardRule": MANAGE_RULES,
    "Mutation.publishGuardRule": MANAGE_RULES,
    "Mutation.retireGuardRule": MANAGE_RULES,
    "Mutation.createDuplicationRule": MANAGE_RULES,
    "Mutation.updateDuplicationRule": MANAGE_RULES,
    "Mutation.deleteDuplicationRule": MANAGE_RULES,
    "Mutation.resetDuplication": MANAGE_RULES,
    # Its service also requires a caller of all organizations.
    "Mutation.createOrganization": MANAGE_ORGANIZATION,
    "Mutation.updateOrganization": MANAGE_ORGANIZATION,
    "Mutation.createApiKey": MANAGE_ORGANIZATION,
    "Mutation.revokeApiKey": MANAGE_ORGANIZATION,
    # The services of the first two also require DELETE_EVENTS.
    "Mutation.createRetentionPolicy": MANAGE_ORGANIZATION,
    "Mutation.updateRetentionPolicy": MANAGE_ORGANIZATION,
    "Mutation.deleteRetentionPolicy": MANAGE_ORGANIZATION,
    # The services of the first two also require READ_EVENTS.
    "Mutation.createChannel": MANAGE_CHANNELS,
    "Mutation.updateChannel": MANAGE_CHANNELS,
    "Mutation.deleteChannel": MANAGE_CHANNELS,
    "Mutation.rotateChannelSecret": MANAGE_CHANNELS,
    "Mutation.testChannel": MANAGE_CHANNELS,
    "Mutation.redeliver": MANAGE_CHANNELS,
    # The services also require CREATE_EVENTS, except to delete a source.
    "Mutation.createSource": MANAGE_CHANNELS,
    "Mutation.updateSource": MANAGE_CHANNELS,
    "Mutation.deleteSource": MANAGE_CHANNELS,
    "Mutation.rotateSourceToken": MANAGE_CHANNELS,
    "Subscription.notificationAdded": READ_EVENTS,
    "Subscription.notificationSummaryChanged": READ_EVENTS,
    "Subscription.eventChanged": READ_EVENTS,
    "Delivery.event": READ_EVENTS,
    "Event.history": READ_EVENTS,
    "Event.correlations": READ_EVENTS,
    "Event.eventType": READ_EVENT_TYPES,
    "Event.duplicateOf": READ_EVENTS,
    "Event.silencedBy": READ_EVENTS,
    "EventType.events": READ_EVENTS,
    "EventType.guardRules": READ_RULES,
    "EventType.duplicationRules": READ_RULES,
    "GuardRule.eventType": READ_EVENT_TYPES,
    "FieldValue.field": READ_EVENT_TYPES,
    "EventField.eventType": READ_EVENT_TYPES,
    # GuardViolation.rule exposes a rule to callers who cannot read its draft and its history.
    "GuardRule.versions": READ_RULES,
    "GuardRule.expression": READ_RULES,
    "GuardRule.hasUnpublishedChanges": READ_RULES,
    "DuplicationRule.eventType": READ_EVENT_TYPES,
    "Entity.events": READ_EVENTS,
    "Organization.events": READ_EVENTS,
    "Organization.containerEvents": READ_EVENTS,
    "Organization.container": READ_EVENTS,
}


def enforce_permissions(schema: GraphQLSchema) -> None:
    """Adds permission checks to resolvers. Raises KeyError if a root field is not in the table."""
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        for name in root.fields if root else ():
            REQUIRED_PERMISSIONS[f"{root}.{name}"]
    for coordinate, permissions in REQUIRED_PERMISSIONS.items():
        type_name, field_name = coordinate.split(".")
        field: GraphQLField = schema.type_map[type_name].fields[field_name]  # type: ignore[attr-defined]
        if permissions == ANY_CREDENTIAL:
            continue
        if type_name == "Subscription":
            field.subscribe = _require_permission_first(field.subscribe, permissions, coordinate)
        else:
            field.resolve = _require_permission_first(field.resolve, permissions, coordinate)


def require_permission(info: Any, permissions: frozenset[Permission], coordinate: str) -> None:
    """Raises RequestError FORBIDDEN if the caller has none of the permissions."""
    if not info.context.caller.has_any_permission(permissions):
        names = " or ".join(sorted(permission.value for permission in permissions))
        raise RequestError(ErrorCode.FORBIDDEN, f"{coordinate} requires the permission {names}.")


def _require_permission_first(
    resolver: Callable[..., Any] | None, permissions: frozenset[Permission], coordinate: str
) -> Callable[..., Any]:
    if resolver is None:
        raise KeyError(coordinate)

    def resolve(parent: Any, info: Any, /, **arguments: Any) -> Any:
        require_permission(info, permissions, coordinate)
        return resolver(parent, info, **arguments)

    return resolve
