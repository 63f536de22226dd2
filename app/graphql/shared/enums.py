"""The domain's enums as the API describes them."""

from __future__ import annotations

from enum import Enum

import strawberry

from app.domain.access.caller import Permission
from app.domain.event_types.conditions import ConditionalEffect
from app.domain.event_types.fields import FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.correlations import Relation
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
    "How grave an event is.",
    ERROR="Needs attention at once; shown red.",
    WARN="Should be watched; shown yellow.",
    INFO="Good to know; shown blue.",
    SUCCESS="Something went well; shown green.",
)
_register_enum(
    Outcome,
    "How what the event tells of went.",
    SUCCESS="It worked.",
    FAILURE="It did not.",
)
_register_enum(
    ContainerActivity,
    "What is done to a container.",
    ACCESS="Somebody opened it, or tried to.",
    BLOCK="It was closed to somebody, or to all.",
    CREATE="It was made.",
    EXPIRE="Its time was over.",
)
_register_enum(
    EventChangeKind,
    "What happened to an event.",
    LOGGED="It was reported, and stored.",
    UPDATED="Attributes of it were changed.",
    ACKNOWLEDGED="Somebody acknowledged it.",
    UNACKNOWLEDGED="The acknowledgement was taken back.",
    CORRELATED="It was linked to another event.",
    UNCORRELATED="A link to another event was taken away.",
    DUPLICATED="It was reported once more, and counted.",
    DELETED="It was taken away.",
)
_register_enum(
    Relation,
    "What another event is to an event.",
    RELATED="They have to do with each other: it goes both ways.",
    CAUSED_BY="The other is its cause.",
    CAUSE_OF="The other is its effect.",
)
_register_enum(
    EventTypeState,
    "Where an event type is in its life.",
    DRAFT="Being shaped: takes no events yet.",
    PUBLISHED="Takes events.",
    DEPRECATED="On its way out: still takes events, with a warning.",
    ARCHIVED="Takes no events any more; those it has stay.",
)
_register_enum(
    FieldKind,
    "What values a field takes.",
    TEXT="A short text.",
    LONG_TEXT="A text of several lines.",
    NUMBER="A number, as `150` or `0.5`.",
    INTEGER="A whole number.",
    BOOLEAN="`true` or `false`.",
    DATE="A day, as `2026-04-10`.",
    DATETIME="An instant with an offset, as `2026-04-10T10:30:00Z`.",
    SELECT="One of the field's options.",
    MULTI_SELECT="A list of the field's options, none twice.",
    URL="An absolute address, as `https://example.com/a`.",
    EMAIL="An e-mail address.",
)
_register_enum(
    ConditionalEffect,
    "What a conditional rule does to its targets while its condition holds.",
    SHOW="A target is hidden unless one of its SHOW rules holds.",
    HIDE="A target is hidden, whatever shows it.",
    REQUIRE="A target that is visible must have a value.",
)
_register_enum(
    DuplicateAction,
    "What becomes of a duplicate.",
    REJECT="It is refused, with the original.",
    COUNT="The original's `occurrences` rise, and it is the answer.",
    FLAG="It is stored with `duplicateOf`, and is never an original itself.",
)
_register_enum(
    GuardRuleState,
    "Whether a guard rule is in force.",
    DRAFT="Never published: it enforces nothing.",
    PUBLISHED="A version of it is checked before events are accepted.",
    RETIRED="Taken out of force; its history stays.",
)
_register_enum(
    GuardEnforcement,
    "What becomes of an event for which a guard rule does not hold.",
    REJECT="It is refused.",
    WARN="It is accepted, with a warning.",
)
_register_enum(
    Permission,
    "What a credential may do. Each MANAGE permission also reads what it manages.",
    EVENT_READ="Read events and all that goes with them; subscribe.",
    EVENT_CREATE="Report events; read event types.",
    EVENT_UPDATE="Update, acknowledge and correlate events.",
    EVENT_DELETE="Delete events.",
    EVENT_TYPE_MANAGE="Shape event types and their fields.",
    RULE_MANAGE="Shape guard rules and duplication rules.",
    ORGANIZATION_MANAGE="Manage the organization's keys.",
)
_register_enum(
    EventOrderField,
    "What a list of events is sorted by; equal times are sorted by id.",
    OCCURRED_AT="When it happened.",
    RECORDED_AT="When Tocsin accepted it.",
)
_register_enum(
    EventDimension,
    "What events are counted by.",
    SEVERITY="How grave they are.",
    TYPE="Their type.",
    CATEGORY="The category of their event type.",
    ENTITY="What they are about: type and id together.",
    SOURCE="Who reported them.",
    OUTCOME="How what they tell of went.",
    ACKNOWLEDGED="Whether somebody has acknowledged them.",
)
_register_enum(
    PredicateOperator,
    "How a field's value is tested. On a field without a value each test fails but NOT_EXISTS.",
    EQ="It is this value: `150` is `150.0`, and instants are equal whatever their offset.",
    NE="It has a value, and another than this.",
    GT="It is a greater number, a later instant or day, or a text behind this one.",
    GTE="As GT, or equal.",
    LT="It is a smaller number, an earlier instant or day, or a text before this one.",
    LTE="As LT, or equal.",
    IN="It is one of this list.",
    CONTAINS="Of a text: this text is a part of it, to the letter (an instant is looked through as "
    "it is written in UTC, `2026-04-10T10:30:00.000000Z`). Of a list: this is in it.",
    EXISTS="It has a value, whatever it is.",
    NOT_EXISTS="It has none.",
)
_register_enum(
    SortDirection,
    "Which end of a list comes first.",
    ASC="The earliest first.",
    DESC="The latest first.",
)
_register_enum(
    UserErrorCode,
    "What is wrong with an input, or stands in its way: for programs, as `message` is for people.",
    INVALID_INPUT="The input itself is wrong: malformed, too long, or out of range.",
    NOT_FOUND="What it names is not there, or is another organization's.",
    CONFLICT="It was changed meanwhile, or was reported with other content before.",
    ALREADY_EXISTS="Its name is taken.",
    IN_USE="Something else still needs it.",
    ILLEGAL_TRANSITION="The lifecycle does not lead there from here.",
    FIELD_REQUIRED="A required field has no value.",
    FIELD_UNKNOWN="The event type has no such field.",
    FIELD_HIDDEN="The field is hidden by a conditional rule, and its value was dropped.",
    FIELD_INVALID="The value does not fit the field.",
    GUARD_REJECTED="A guard rule does not let it pass.",
    DUPLICATE="It was reported already.",
    EVENT_TYPE_CLOSED="The event type takes no events, or soon will not.",
    EXPRESSION_INVALID="The expression does not parse, or does not fit the event type.",
    CYCLE="It would depend on itself.",
    LIMIT_REACHED="No more of these can be stored.",
)
