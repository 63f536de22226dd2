"""Descriptions of the domain's enums in the schema."""

from __future__ import annotations

from enum import Enum

import strawberry

from app.domain.access.caller import Permission
from app.domain.event_types.conditions import ConditionalEffect
from app.domain.event_types.fields import FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.correlations import Relation
from app.domain.events.filters import EventAttribute
from app.domain.events.predicates import PredicateOperator
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import EventChangeKind
from app.domain.intake.containers import ContainerActivity
from app.domain.rules.duplicates import DuplicateAction
from app.domain.rules.guards import GuardEnforcement, GuardRuleState
from app.domain.shared.problems import UserErrorCode
from app.services.events.event_counts import EventDimension
from app.services.events.event_queries import EventOrderField


class SortDirection(Enum):
    ASC = "ASC"
    DESC = "DESC"


def _register_enum(enum: type[Enum], description: str, **descriptions: str) -> None:
    """Registers the enum under its own name. Raises KeyError if a value has no description."""
    strawberry.enum(enum, description=description)
    for value in enum.__strawberry_definition__.values:  # type: ignore[attr-defined]
        value.description = descriptions[value.name]


_register_enum(
    Severity,
    "Severity of an event, from the highest to the lowest. The levels and their colors are those "
    "of the events API of DeltaFi.",
    ERROR="An event that needs immediate attention. Shown in red.",
    WARN="An event that should be watched. Shown in yellow.",
    INFO="An event for information. The default. Shown in blue.",
    SUCCESS="A success. Shown in green.",
)
_register_enum(
    Outcome,
    "Outcome of the activity that an event reports.",
    SUCCESS="The activity succeeded.",
    FAILURE="The activity failed.",
)
_register_enum(
    ContainerActivity,
    "Activity on a container, from the audit trail of Events Management, an API for container "
    "events.",
    ACCESS="The container was accessed. With the outcome FAILURE, an attempt to access it failed.",
    BLOCK="Access to the container was blocked.",
    CREATE="The container was created.",
    EXPIRE="The container expired.",
)
_register_enum(
    EventChangeKind,
    "Kind of an entry about an event in the change log.",
    LOGGED="The event was logged.",
    UPDATED="Attributes of the event were changed.",
    ACKNOWLEDGED="The event was acknowledged.",
    UNACKNOWLEDGED="The acknowledgement of the event was removed.",
    CORRELATED="The event was linked to other events.",
    UNCORRELATED="Links to other events were removed.",
    DUPLICATED="A duplicate of the event was counted, and may have changed its severity and "
    "acknowledgement. `changes.report` contains the duplicate.",
    DELETED="The event was deleted.",
)
_register_enum(
    Relation,
    "How another event is related to an event: its cause, its effect, or otherwise related.",
    RELATED="The events are related. This relation has no direction.",
    CAUSED_BY="The other event is a cause of the event.",
    CAUSE_OF="The other event is an effect of the event.",
)
_register_enum(
    EventTypeState,
    "State of an event type in its lifecycle.",
    DRAFT="Being defined. New events are rejected with `EVENT_TYPE_CLOSED`.",
    PUBLISHED="In use. New events are accepted.",
    DEPRECATED="Being phased out. New events are accepted with the warning `EVENT_TYPE_CLOSED`, "
    "and rejected from `sunsetAt` on.",
    ARCHIVED="Out of use. New events are rejected with `EVENT_TYPE_CLOSED`; existing events "
    "remain.",
)
_register_enum(
    FieldKind,
    "Kind of values that a field accepts.",
    TEXT="A string. Forms show a single-line input.",
    LONG_TEXT="A string. Forms show a multi-line input.",
    NUMBER="A number, such as `150` or `0.5`.",
    INTEGER="A whole number.",
    BOOLEAN="`true` or `false`.",
    DATE="A date, such as `2026-04-10`.",
    DATETIME="A time with an offset, such as `2026-04-10T10:30:00Z`.",
    SELECT="One of the field's options.",
    MULTI_SELECT="A list of the field's options, without repetitions.",
    URL="An absolute URL, such as `https://example.com/a`.",
    EMAIL="An email address.",
)
_register_enum(
    ConditionalEffect,
    "Effect of a conditional rule on its targets while its condition holds.",
    SHOW="Shows the targets. A field with SHOW rules is hidden unless one of them holds.",
    HIDE="Hides the targets. HIDE takes precedence over SHOW.",
    REQUIRE="Requires a value for each target that is visible.",
)
_register_enum(
    DuplicateAction,
    "What happens to a duplicate that a duplication rule has found.",
    REJECT="The duplicate is rejected with `DUPLICATE`, and the error contains the original.",
    COUNT="The duplicate is not stored as an event; the change log keeps its content. The "
    "original's `occurrences` increases by 1, and the original is returned. A more severe "
    "duplicate changes the original if the rule has `escalate: true`. A duplicate with "
    "`notification: true` makes the original a notification, whatever its severity.",
    FLAG="The duplicate is stored, with the original in `duplicateOf`. It never becomes an "
    "original itself.",
)
_register_enum(
    GuardRuleState,
    "State of a guard rule.",
    DRAFT="Never published. Not in effect.",
    PUBLISHED="In effect. New and updated events are validated by the published version.",
    RETIRED="No longer in effect. Its versions remain readable.",
)
_register_enum(
    GuardEnforcement,
    "What happens to an event that violates a guard rule.",
    REJECT="The event is rejected with `GUARD_REJECTED`.",
    WARN="The event is accepted with the warning `GUARD_REJECTED`.",
)
_register_enum(
    Permission,
    "Permission of a credential. Each MANAGE permission includes reading what it manages. Without "
    "the required permission, the error is `FORBIDDEN`.",
    EVENT_READ="Read events, event types, rules, notifications and the change log, and subscribe.",
    EVENT_CREATE="Log events, and read event types and rules.",
    EVENT_UPDATE="Update, acknowledge and correlate events.",
    EVENT_DELETE="Delete events.",
    EVENT_TYPE_MANAGE="Create, change and delete event types, fields and conditional rules.",
    RULE_MANAGE="Create, change and delete guard rules and duplication rules.",
    ORGANIZATION_MANAGE="Manage the API keys of the organization.",
)
_register_enum(
    EventOrderField,
    "Attribute by which a list of events is ordered. Events with equal values are ordered by ID.",
    OCCURRED_AT="Time at which the event occurred.",
    RECORDED_AT="Time at which the event was logged.",
    LAST_OCCURRED_AT="Time of the latest occurrence, including duplicates that a COUNT rule "
    "counted.",
    SEVERITY="Severity of the event. From most to least severe: ERROR, WARN, INFO, SUCCESS.",
)
_register_enum(
    EventAttribute,
    "Attribute of an event that can be null.",
    ENTITY="Entity that the event is about.",
    CATEGORY="Category of the event's type.",
    CONTENT="Details of the event.",
    SUBJECT="Subject of the event within its source.",
    SOURCE_ID="Identifier that the producer gave to the event.",
    OUTCOME="Outcome of the activity that the event reports.",
)
_register_enum(
    EventDimension,
    "Attribute by which events are grouped and counted.",
    SEVERITY="Severity of the event.",
    TYPE="Type of the event.",
    CATEGORY="Category of the event type.",
    ENTITY="Entity that the event is about: its type and ID together.",
    SOURCE="Source of the event.",
    OUTCOME="Outcome of the activity that the event reports.",
    ACKNOWLEDGED="Whether the event is acknowledged.",
)
_register_enum(
    PredicateOperator,
    "Comparison operator of a predicate on a custom field. If the field has no value, every "
    "operator except NOT_EXISTS is false, including NE. In conditional rules, the kind of the "
    "field determines which operators are allowed.",
    EQ="The field equals the value. Numbers compare by value (150 equals 150.0), and times as "
    "instants, whatever their offset.",
    NE="The field has a value, and it differs from the given one.",
    GT="The field is greater than the value: a larger number, a later date or time, or a string "
    "that sorts after the value by code point.",
    GTE="The field is greater than or equal to the value.",
    LT="The field is less than the value: a smaller number, an earlier date or time, or a string "
    "that sorts before the value by code point.",
    LTE="The field is less than or equal to the value.",
    IN="The field equals one of the values in the list.",
    CONTAINS="The text contains the value, case-sensitively, or the list has the value as an "
    "element. A time is searched in its UTC form, `2026-04-10T10:30:00.000000Z`.",
    EXISTS="The field has a value.",
    NOT_EXISTS="The field has no value.",
)
_register_enum(
    SortDirection,
    "Direction of an order.",
    ASC="Earliest or least severe first.",
    DESC="Latest or most severe first.",
)
_register_enum(
    UserErrorCode,
    "Code of a user error or warning: what is wrong with an input. Programs use the code, people "
    "read the `message`.",
    INVALID_INPUT="The input is malformed, too long or out of range, or an ID is not a UUID. Fix "
    "the value at `path`.",
    NOT_FOUND="The object that the input refers to does not exist in the organization. Reload the "
    "data, and verify the ID.",
    CONFLICT="The object has another version than `ifVersion`, the `sourceId` was already logged "
    "with other content, the guard rule is already published with the same content, or the filter "
    "selects another number of events than `expectedCount`. Reload the object or the list and "
    "decide again.",
    ALREADY_EXISTS="The name, type or key is already taken. Use another one.",
    IN_USE="The object cannot be changed or removed because events or rules depend on it. Remove "
    "these first, or archive the event type.",
    ILLEGAL_TRANSITION="The event type cannot change from its state to the requested one. Use one "
    "of the states in `TransitionError.allowed`.",
    FIELD_REQUIRED="A required field of the event type has no value. Provide a value for the field "
    "at `path`.",
    FIELD_UNKNOWN="The event type has no field with this name. Remove the value, or reload the "
    "event type.",
    FIELD_HIDDEN="A warning: a conditional rule hides the field, and its value was not stored. No "
    "action is needed.",
    FIELD_INVALID="The value is invalid for this field. Fix the value at `path`.",
    GUARD_REJECTED="The event violates a guard rule; `message` is the message of the rule. In "
    "`warnings` if the rule only warns. Change the event.",
    DUPLICATE="The event is a duplicate under a duplication rule with action REJECT. Do not log it "
    "again; `DuplicateError.existing` is the original.",
    EVENT_TYPE_CLOSED="The event type does not accept events: it is a draft, archived, or past its "
    "`sunsetAt`. In `warnings`, the event was accepted, but the type is deprecated. Use another "
    "event type.",
    EXPRESSION_INVALID="The CEL expression has a syntax error, or does not match the fields of "
    "the event type. Fix it at the line and column of the `ExpressionError`.",
    CYCLE="The change would make an event its own cause, or the visibility of a field depend on "
    "itself. Remove a link of the cycle.",
    LIMIT_REACHED="The maximum number of stored objects of this kind is reached. Delete or revoke "
    "some of them first.",
    SEVERITY_UNKNOWN="A warning: the reported severity is not a known word, and the event has the "
    "severity INFO. Send a known word, or have the operator add this one to `TOCSIN_SEVERITY_MAP`.",
)
