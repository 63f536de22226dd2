"""Descriptions of the domain's enums in the schema."""

from __future__ import annotations

from enum import Enum

import strawberry

from app.domain.access.audit import AuditAction
from app.domain.access.caller import Permission
from app.domain.access.retention import RetentionTarget
from app.domain.channels.channels import ChannelKind, ChannelTrigger, DeliveryState
from app.domain.event_types.conditions import ConditionalEffect
from app.domain.event_types.fields import AdditionalFields, FieldKind
from app.domain.event_types.json_schema import JsonSchemaDraft
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.correlations import Relation
from app.domain.events.predicates import PredicateOperator
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import EventChangeKind, EventStatus, ListTransition
from app.domain.intake.containers import ContainerActivity
from app.domain.rules.duplicates import DuplicateAction
from app.domain.rules.guards import GuardEnforcement, GuardRuleState, GuardViolationReason
from app.domain.shared.problems import UserErrorCode
from app.domain.sources.sources import SourceKind
from app.services.events.event_counts import EventDimension
from app.services.events.event_queries import EventOrderField


class SortDirection(Enum):
    ASC = "ASC"
    DESC = "DESC"


def register_enum(enum: type[Enum], description: str, **descriptions: str) -> None:
    """Registers the enum under its own name. Raises KeyError if a value has no description."""
    strawberry.enum(enum, description=description)
    for value in enum.__strawberry_definition__.values:  # type: ignore[attr-defined]
        value.description = descriptions[value.name]


register_enum(
    Severity,
    "Severity of an event, from the highest to the lowest. The levels and their colors are those "
    "of the events API of DeltaFi.",
    ERROR="An event that needs immediate attention. Shown in red.",
    WARN="An event that may need attention. Shown in yellow.",
    INFO="An informational event. This is the default severity. Shown in blue.",
    SUCCESS="An event that reports success. Shown in green.",
)
register_enum(
    Outcome,
    "Outcome of the activity that an event reports.",
    SUCCESS="The activity succeeded.",
    FAILURE="The activity failed.",
)
register_enum(
    ContainerActivity,
    "Activity on a container, for the audit trail of containers. It determines the type of the "
    "event: `container.access` for ACCESS. The first four are those of Events Management, an API "
    "for container events.",
    ACCESS="The container was accessed or, with the outcome FAILURE, an attempt to access it "
    "failed.",
    BLOCK="Access to the container was blocked.",
    CREATE="The container was created.",
    EXPIRE="The container expired.",
    MODIFY="The container or its content was changed.",
    DOWNLOAD="Content of the container was downloaded.",
    SHARE="Access to the container was granted to others.",
    DELETE="The container was deleted.",
)
register_enum(
    EventChangeKind,
    "Kind of change to an event, as recorded in the change log.",
    LOGGED="The event was logged.",
    UPDATED="Attributes of the event were changed.",
    ACKNOWLEDGED="The event was acknowledged.",
    UNACKNOWLEDGED="The acknowledgement of the event was removed.",
    RESOLVED="The event was resolved.",
    REOPENED="The resolution of the event was removed.",
    RANG="The event notified without being changed otherwise, because the silence that had "
    "suppressed its notification is over.",
    CORRELATED="The event was linked to other events.",
    UNCORRELATED="Links between the event and other events were removed.",
    DUPLICATED="A duplicate of the event was counted; `changes.report` contains the duplicate. "
    "Counting may also have raised the severity of the event, removed its acknowledgement, or "
    "made the event a notification.",
    DELETED="The event was deleted.",
)
register_enum(
    EventStatus,
    "Status of an event that needs attention: of a notification, or of an event with an alert "
    "key. RESOLVED wins over ACKNOWLEDGED: a resolved event can be acknowledged, and stays "
    "RESOLVED.",
    OPEN="No one has acknowledged or resolved the event.",
    ACKNOWLEDGED="The event was acknowledged: someone is working on it.",
    RESOLVED="The event was resolved: what it reports is over.",
)
register_enum(
    AuditAction,
    "Action that an audit entry records.",
    CREATED="The subject was created.",
    UPDATED="Values of the subject were changed.",
    DELETED="The subject was deleted, by itself or with the event type that it belongs to.",
    PUBLISHED="A version of the guard rule was published.",
    RETIRED="The guard rule was retired.",
    TRANSITIONED="The event type was moved to another state, or its `sunsetAt` was changed.",
    REVOKED="The API key was revoked.",
    RESET="The stored fingerprints of the duplication rule were cleared.",
    ROTATED="A secret of the subject was replaced.",
    SIGN_IN_FAILED="A request used an API key that has expired or was revoked. Recorded at most "
    "once a minute per key.",
    RETENTION_APPLIED="Old entries of the organization were removed from the change log by "
    "`tocsin prune`.",
    DELIVERIES_FAILING="The channel began to fail: five attempts in a row failed, the receiver "
    "responded with status 410, or the server could not read the secrets, the filter, the triggers "
    "or the changes of the channel. Recorded once until DELIVERIES_RECOVERED, or until the channel "
    "is disabled by a user.",
    DELIVERIES_RECOVERED="An attempt succeeded after DELIVERIES_FAILING, or the server could read "
    "the changes again.",
    DELIVERIES_SKIPPED="The channel has skipped changes, because entries that it had not delivered "
    "were pruned, or because the change log was replaced by a restore.",
)
register_enum(
    ListTransition,
    "How a change moved an event relative to the filter of a list or a subscription. Without a "
    "filter, LOGGED is ENTERED, DELETED is LEFT, and every other change is CHANGED.",
    ENTERED="The filter selects the event after the change, but did not before. Add the event to "
    "the list.",
    CHANGED="The filter selects the event before and after the change. Update the event in the "
    "list.",
    LEFT="The filter selected the event before the change, but does not after, or the event was "
    "deleted. Remove the event from the list.",
)
register_enum(
    Relation,
    "Relation of another event to an event.",
    RELATED="The events are related, without a direction.",
    CAUSED_BY="The other event is a cause of the event.",
    CAUSE_OF="The other event is an effect of the event.",
)
register_enum(
    EventTypeState,
    "State of an event type in its lifecycle.",
    DRAFT="The event type is being defined. New events are rejected with `EVENT_TYPE_CLOSED`.",
    PUBLISHED="The event type is in use. New events are accepted.",
    DEPRECATED="The event type is being phased out. New events are accepted with the warning "
    "`EVENT_TYPE_CLOSED` and, from `sunsetAt` on, rejected.",
    ARCHIVED="The event type is no longer in use. New events are rejected with "
    "`EVENT_TYPE_CLOSED`; stored events remain.",
)
register_enum(
    FieldKind,
    "Kind of value that a field accepts.",
    TEXT="A string. Forms show a single-line input.",
    LONG_TEXT="A string. Forms show a multi-line input.",
    NUMBER="A number, such as `150` or `0.5`.",
    INTEGER="A whole number, such as `150`.",
    BOOLEAN="`true` or `false`.",
    DATE="A date, such as `2026-04-10`.",
    DATETIME="A time with a UTC offset or `Z`, such as `2026-04-10T10:30:00Z`.",
    SELECT="One of the options of the field.",
    MULTI_SELECT="A list of options of the field, without duplicates.",
    URL="An absolute URL in the characters of RFC 3986, such as `https://example.com/a`. Other "
    "characters must be percent-encoded.",
    EMAIL="An email address in ASCII characters, such as `ada@example.com`.",
)
register_enum(
    ConditionalEffect,
    "Effect of a conditional rule on its target fields while its condition holds.",
    SHOW="Shows the targets. A field with SHOW rules is hidden unless the condition of at least "
    "one of them holds.",
    HIDE="Hides the targets. HIDE takes precedence over SHOW.",
    REQUIRE="Requires a value for each target that is visible.",
)
register_enum(
    DuplicateAction,
    "Action that a duplication rule takes on a duplicate.",
    REJECT="The duplicate is rejected with a `DuplicateError`, which contains the original.",
    COUNT="The duplicate is not stored as an event, but the change log keeps its content. The "
    "original is returned, and its `occurrences` increases by 1. If the rule has `escalate: "
    "true`, a more severe duplicate escalates the original. If the duplicate has `notification: "
    "true` and the original is not a notification, the original becomes an unacknowledged "
    "notification, regardless of severity.",
    FLAG="The duplicate is stored, with the original in `duplicateOf`. A stored duplicate never "
    "becomes an original itself.",
)
register_enum(
    GuardRuleState,
    "State of a guard rule.",
    DRAFT="The rule has never been published, and is not in effect.",
    PUBLISHED="The published version of the rule is in effect: new and updated events are "
    "validated against it.",
    RETIRED="The rule is no longer in effect. Its versions remain readable.",
)
register_enum(
    GuardEnforcement,
    "Enforcement mode of a guard rule: whether an event that does not pass the rule is rejected.",
    REJECT="The event is rejected with `GUARD_REJECTED`.",
    WARN="The event is accepted with the warning `GUARD_REJECTED`.",
)
register_enum(
    GuardViolationReason,
    "Why an event does not pass a guard rule.",
    VIOLATED="The expression of the rule is false for the event. `message` is the message of the "
    "rule. Change the event.",
    NOT_EVALUABLE="The expression cannot be evaluated for the event, for example because a field "
    "in a comparison is absent. `message` names what is absent, or the error. Change the event, or "
    "let the expression test the field with `has()`.",
)
register_enum(
    Permission,
    "Permission of a credential. Each MANAGE permission includes permission to read what it "
    "manages. Without the required permission, the error is `FORBIDDEN`.",
    EVENT_READ="Read events, notifications, event types, rules and the change log, and subscribe "
    "to notifications and changes.",
    EVENT_CREATE="Log events, and read event types and rules.",
    EVENT_UPDATE="Update, acknowledge, resolve and correlate events.",
    EVENT_DELETE="Delete events.",
    EVENT_TYPE_MANAGE="Create, change and delete event types, fields and conditional rules.",
    RULE_MANAGE="Create, change, publish, retire, reset and delete rules, except the conditional "
    "rules of event types.",
    CHANNEL_MANAGE="Read, create, change, test and delete channels and sources. Creating and "
    "changing channels also requires EVENT_READ, and sources EVENT_CREATE.",
    ORGANIZATION_MANAGE="Read, create and revoke the API keys of the organization.",
)
register_enum(
    EventOrderField,
    "Attribute by which a list of events is ordered.",
    OCCURRED_AT="Time at which the event occurred.",
    RECORDED_AT="Time at which the event was logged.",
    LAST_OCCURRED_AT="Time of the latest occurrence, including duplicates that a COUNT rule "
    "counted.",
    SEVERITY="Severity of the event: ERROR, WARN, INFO, SUCCESS, from most to least severe.",
)
register_enum(
    EventDimension,
    "Attribute by which counted events are grouped.",
    SEVERITY="Severity of the event.",
    TYPE="Type of the event.",
    CATEGORY="Category of the event type.",
    ENTITY="Entity that the event is about: its type and ID together.",
    SOURCE="Source of the event.",
    OUTCOME="Outcome of the activity that the event reports.",
    ACKNOWLEDGED="Whether the event is acknowledged.",
)
register_enum(
    PredicateOperator,
    "Comparison operator of a predicate on a custom field. If the field is absent, every "
    "operator except NOT_EXISTS is false, including NE. A field that is null is absent. In "
    "filters, a list matches if any of its elements does, and NE requires that no element equals "
    "the value. In conditional rules, the kind of the field determines which operators are "
    "allowed.",
    EQ="The field equals the value. Numbers are compared by value (150 equals 150.0), and times "
    "as instants, regardless of their UTC offsets.",
    NE="The field has a value that differs from the given value.",
    GT="The field is greater than the value: a larger number, a later date or time, or a string "
    "that sorts after the value by code point. Times are compared by microsecond.",
    GTE="The field is greater than or equal to the value.",
    LT="The field is less than the value: a smaller number, an earlier date or time, or a string "
    "that sorts before the value by code point.",
    LTE="The field is less than or equal to the value.",
    IN="The field equals one of the values in the list.",
    CONTAINS="The field is a string that contains the value (case-sensitive), or a list that has "
    "the value as an element. A time is compared in its UTC form, such as "
    "`2026-04-10T10:30:00.000000Z`.",
    EXISTS="The field has a value that is not blank. Blank values are an empty list and a string "
    "that is empty or has only whitespace.",
    NOT_EXISTS="The field is absent, or its value is blank.",
)
register_enum(
    AdditionalFields,
    "What happens to values under names that an event type does not define, when an event is "
    "logged or its `fields` are updated.",
    REFUSE="The event is rejected with `FIELD_UNKNOWN`.",
    KEEP="The values are stored in `Event.fields` as they were sent, and filters find them. They "
    "are not validated, guard rules of the event type cannot use them, and "
    "`Event.fieldValues` does not contain them.",
    DROP="The values are not stored. Each causes the warning `FIELD_UNKNOWN`.",
)
register_enum(
    JsonSchemaDraft,
    "Draft of JSON Schema in which a schema is written.",
    DRAFT_2020_12="JSON Schema 2020-12. Ajv needs its class Ajv2020 for it.",
    DRAFT_07="JSON Schema draft-07, the default of Ajv, react-jsonschema-form and JSON Forms.",
)
register_enum(
    SortDirection,
    "Direction in which a list is ordered.",
    ASC="Earliest or least severe first.",
    DESC="Latest or most severe first.",
)
register_enum(
    UserErrorCode,
    "Machine-readable code of a user error or warning. The `message` is for people.",
    INVALID_INPUT="A value is malformed, too long or out of range, or an ID is not a UUID. Fix "
    "the value at `path`.",
    NOT_FOUND="The object that the input refers to does not exist in the organization. Verify the "
    "ID, and reload the data.",
    CONFLICT="The version of the object is not `ifVersion`, the `sourceId` was already logged "
    "with different content, the guard rule is already published with the same content, or the "
    "number of selected events is not `expectedCount`. Reload the object or list, and decide "
    "whether to try again.",
    ALREADY_EXISTS="The name, type or key is already taken. Use a different one.",
    IN_USE="The object cannot be changed or deleted because events or rules depend on it. Change "
    "or delete the rules first, or archive the event type.",
    ILLEGAL_TRANSITION="The event type cannot change from its current state to the requested one. "
    "Use one of the states in `TransitionError.allowed`.",
    FIELD_REQUIRED="A required field of the event type is absent, null or blank: an empty list, "
    "or a string that is empty or has only whitespace. Provide a value for the field at `path`.",
    FIELD_UNKNOWN="The event type has no field with this name. Remove the value, use one of the "
    "fields of the event type, or set `additionalFields` of the event type to KEEP or DROP. If "
    "this is a warning, the event was accepted without the value.",
    FIELD_HIDDEN="A warning: a conditional rule hides the field, so its value was not stored. No "
    "action is needed.",
    FIELD_INVALID="The value is invalid for the field. Fix the value at `path`. If this is a "
    "warning, the event was accepted, but the number at `path` lost digits: to keep them, send it "
    "as a string in a field of kind TEXT.",
    GUARD_REJECTED="The event violates a guard rule, or the rule cannot be evaluated for it: see "
    "`GuardViolation.reason`. If this is a warning, the event was accepted because the enforcement "
    "mode of the rule is WARN. Change the event.",
    DUPLICATE="The event is a duplicate under a duplication rule with the action REJECT. Use the "
    "original in `DuplicateError.existing`, and do not log the event again.",
    EVENT_TYPE_CLOSED="The event type does not accept events: it is DRAFT or ARCHIVED, or its "
    "`sunsetAt` has passed. If this is a warning, the event was accepted, but the event type is "
    "DEPRECATED. Use a different event type.",
    EXPRESSION_INVALID="The CEL expression has a syntax error, does not match the fields of "
    "the event type, or has a constant that can never be evaluated or a comparison with a string "
    "that is none of the values of the attribute or field. Fix the expression at the line and "
    "column in the `ExpressionError`.",
    CYCLE="The change would make an event its own cause, or make the visibility of a field depend "
    "on itself. Remove a link or a condition from the cycle.",
    LIMIT_REACHED="A maximum number has been reached, for example the maximum number of rules or "
    "API keys. Delete or revoke some of them first.",
    SEVERITY_UNKNOWN="A warning: the reported severity is unknown, so the event has the severity "
    "INFO. Send a known severity, or ask the operator of the server to add this one to "
    "`TOCSIN_SEVERITY_MAP`.",
)
register_enum(
    RetentionTarget,
    "What a retention policy removes.",
    EVENTS="Events, with their correlations. The change log keeps an entry of each deleted event, "
    "with its last state.",
    HISTORY="Entries about events in the change log, that is, the history of events and what "
    "subscriptions resume from. The events themselves are kept, and so are audit entries.",
)
register_enum(
    ChannelKind,
    "Kind of a channel.",
    WEBHOOK="HTTP requests with the method POST to a URL, signed as Standard Webhooks defines.",
    APPRISE="Text for people, which the library Apprise sends: by email or to Slack, Teams, "
    "Telegram, ntfy and other services. Several notifications can share a message.",
)
register_enum(
    ChannelTrigger,
    "What a channel delivers.",
    NOTIFICATION_ADDED="New notifications, as `notificationAdded` delivers them.",
    EVENT_CHANGED="All changes to events, as `eventChanged` delivers them.",
    EVENT_RESOLVED="Resolutions of events of which the channel has delivered a notification, even "
    "if they no longer match the filter. Without NOTIFICATION_ADDED, resolutions of all events "
    "that have notified while they matched the filter.",
    TEST="A test by `testChannel`. Not allowed in the triggers of a channel.",
)
register_enum(
    DeliveryState,
    "State of a delivery.",
    PENDING="The delivery was not attempted yet, or failed and will be repeated.",
    DELIVERED="The receiver responded with a status from 200 to 299, or Apprise has sent the "
    "message.",
    FAILED="The delivery failed for good: it was repeated for three days (configurable), the "
    "receiver responded with 410, or it was a test.",
)
register_enum(
    SourceKind,
    "Format of the payloads that a source receives.",
    ALERTMANAGER="Notifications of Alertmanager: the webhook format, version 4. Each alert is an "
    "event with the type `alertmanager.alert` and its fingerprint as the alert key.",
    GRAFANA="Notifications of Grafana Alerting: the contact point Webhook. Each alert is an event "
    "with the type `grafana.alert` and its fingerprint as the alert key.",
    PAGERDUTY="Events of the PagerDuty Events API, version 2. `trigger` logs an event with the "
    "type `pagerduty.alert` and `dedup_key` as the alert key, `acknowledge` and `resolve` change "
    "it.",
    JSON="Any JSON value. CEL expressions map it to the attributes of an event.",
)
