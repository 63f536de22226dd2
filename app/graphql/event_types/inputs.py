"""Inputs and filters of event types and their fields."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry.scalars import JSON

from app.domain.event_types.definitions import EventTypeDefinition
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.shared.limits import Limits
from app.graphql.event_types.conditional_rules import ConditionalRuleInput
from app.graphql.shared.examples import with_example
from app.graphql.types.event_filter import check_text_argument, parse_search_argument
from app.services.definitions import event_types


@strawberry.input(
    description=with_example(
        "A field to add to an event type. Attributes that do not apply to the kind of the field, "
        "such as `options` of a NUMBER, are rejected with `INVALID_INPUT`.",
        """
        { name: "volume_mcf", label: "Volume", kind: NUMBER, unit: "mcf", minimum: 0 }
        """,
    )
)
class EventFieldInput:
    name: str = strawberry.field(
        description="Name of the field, which is its key in `Event.fields`. Must match "
        "`^[a-z][a-z0-9_]{0,62}$`, must be unique in the event type, and must not be a reserved "
        "word of CEL, such as `in` or `true`. A name cannot be changed later."
    )
    label: str | None = strawberry.field(
        default=None,
        description="Display name of the field, by default at most 255 characters. Null uses the "
        "name.",
    )
    kind: FieldKind = strawberry.field(
        description="Kind of the field, which determines its valid values."
    )
    required: bool | None = strawberry.field(
        default=None,
        description="Whether an event must have a value while the field is visible. Null means "
        "false.",
    )
    help_text: str | None = strawberry.field(
        default=None,
        description="Instructions for the person who fills in the field, by default at most 1,000 "
        "characters. Null for none.",
    )
    unit: str | None = strawberry.field(
        default=None,
        description="Unit of the value, for display: `mcf`. By default at most 255 characters. "
        "Null for none.",
    )
    options: list[str] | None = strawberry.field(
        default=None,
        description="Values to choose from. Required for SELECT and MULTI_SELECT, null for all "
        "other kinds. At least one, by default at most 1,000, without repetition, each by default "
        "at most 255 characters.",
    )
    minimum: float | None = strawberry.field(
        default=None,
        description="Minimum value, inclusive, less than 2^53 in magnitude. Only for NUMBER and "
        "INTEGER. Null for no minimum.",
    )
    maximum: float | None = strawberry.field(
        default=None,
        description="Maximum value, inclusive, less than 2^53 in magnitude. Only for NUMBER and "
        "INTEGER. Null for no maximum.",
    )
    min_length: int | None = strawberry.field(
        default=None,
        description="Minimum length in characters. Only for TEXT, LONG_TEXT, URL and EMAIL. Null "
        "for no minimum.",
    )
    max_length: int | None = strawberry.field(
        default=None,
        description="Maximum length in characters. Only for TEXT, LONG_TEXT, URL and EMAIL. Null "
        "for no maximum.",
    )
    pattern: str | None = strawberry.field(
        default=None,
        description="Regular expression that must match some part of the value: use `^` and `$` to "
        "match the whole value. Only for TEXT, LONG_TEXT, URL and EMAIL. Lookaround, "
        "backreferences, flags and named groups are not supported. By default at most 1,000 "
        "characters. Null for no pattern.",
    )
    default: JSON | None = strawberry.field(
        default=None,
        description="Value of the field if an event is logged without one. Must itself be valid "
        "for the field. Null for no default.",
    )

    def to_domain(self) -> FieldDefinition:
        return FieldDefinition(
            name=self.name,
            label=self.label,
            kind=self.kind,
            required=bool(self.required),
            help_text=self.help_text,
            unit=self.unit,
            options=None if self.options is None else tuple(self.options),
            minimum=self.minimum,
            maximum=self.maximum,
            min_length=self.min_length,
            max_length=self.max_length,
            pattern=self.pattern,
            default=self.default,
        )


@strawberry.input(
    description=with_example(
        "An event type to create.",
        """
        {
          name: "Flaring incident"
          category: "flaring"
          state: PUBLISHED
          fields: [
            { name: "volume_mcf", kind: NUMBER, required: true, unit: "mcf" }
            { name: "cause", kind: SELECT, options: ["equipment", "weather", "other"] }
            { name: "details", kind: LONG_TEXT }
          ]
          conditionalRules: [
            {
              name: "Explain other causes"
              effect: SHOW
              targets: ["details"]
              condition: { field: { field: "cause", operator: EQ, value: "other" } }
            }
          ]
        }
        """,
    )
)
class CreateEventTypeInput:
    type: str | None = strawberry.field(
        default=None,
        description="CloudEvents type of the events, unique in the organization: one line, by "
        "default at most 255 characters, not ending in `*`. If null, it is derived from category "
        "and name: `flaring.flaring_incident`.",
    )
    name: str = strawberry.field(
        description="Display name of the event type: one line, by default at most 255 characters."
    )
    description: str | None = strawberry.field(
        default=None,
        description="Purpose of the event type, by default at most 100,000 characters. Null for "
        "none.",
    )
    category: str | None = strawberry.field(
        default=None,
        description="Category that groups event types, by default at most 255 characters. Null "
        "means `general`.",
    )
    state: EventTypeState | None = strawberry.field(
        default=EventTypeState.DRAFT,
        description="Initial state: DRAFT, which does not accept events yet, or PUBLISHED, "
        "which does. Null means DRAFT.",
    )
    fields: list[EventFieldInput] | None = strawberry.field(
        default=None,
        description="Fields of the event type, in the order of a form: by default at most 200.",
    )
    conditional_rules: list[ConditionalRuleInput] | None = strawberry.field(
        default=None,
        description="Rules that show, hide or require fields: by default at most 100.",
    )

    def to_domain(self) -> EventTypeDefinition:
        return EventTypeDefinition(
            name=self.name,
            type=self.type,
            description=self.description,
            category=self.category,
            state=self.state or EventTypeState.DRAFT,
            fields=tuple(field.to_domain() for field in self.fields or ()),
            rules=tuple(rule.to_domain() for rule in self.conditional_rules or ()),
        )


@strawberry.input(
    description=with_example(
        "Changes to a field. An omitted attribute keeps its value; null clears an "
        "optional one. The name of a field cannot be changed: to rename it, add a new field.",
        """
        { id: "019a3f5c-7b1e-7000-8000-000000000201", label: "Volume flared", maximum: null }
        """,
    )
)
class UpdateEventFieldInput:
    id: strawberry.ID = strawberry.field(description="ID of the field.")
    label: strawberry.Maybe[str | None] = strawberry.field(
        description="New display name, by default at most 255 characters. Null uses the name."
    )
    kind: strawberry.Maybe[FieldKind | None] = strawberry.field(
        description="New kind. Stored values are not converted. Attributes that do not apply to "
        "the new kind, such as `options` of a TEXT field, must be set to null in the same call. "
        "Must not be null."
    )
    required: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether an event must have a value while the field is visible. Must not be "
        "null."
    )
    help_text: strawberry.Maybe[str | None] = strawberry.field(
        description="New instructions for the person who fills in the field, by default at most "
        "1,000 characters. Null removes them."
    )
    unit: strawberry.Maybe[str | None] = strawberry.field(
        description="New unit of the value, for display, by default at most 255 characters. Null "
        "removes the unit."
    )
    options: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="Values to choose from. Replaces the whole list. Must be null for kinds other "
        "than SELECT and MULTI_SELECT."
    )
    minimum: strawberry.Maybe[float | None] = strawberry.field(
        description="Minimum value of a NUMBER or INTEGER, inclusive, less than 2^53 in magnitude. "
        "Null removes the minimum."
    )
    maximum: strawberry.Maybe[float | None] = strawberry.field(
        description="Maximum value of a NUMBER or INTEGER, inclusive, less than 2^53 in magnitude. "
        "Null removes the maximum."
    )
    min_length: strawberry.Maybe[int | None] = strawberry.field(
        description="Minimum length of a text value, in characters. Null removes the minimum."
    )
    max_length: strawberry.Maybe[int | None] = strawberry.field(
        description="Maximum length of a text value, in characters. Null removes the maximum."
    )
    pattern: strawberry.Maybe[str | None] = strawberry.field(
        description="Regular expression that must match some part of a text value, as in "
        "`EventFieldInput.pattern`. Null removes the pattern."
    )
    default: strawberry.Maybe[JSON | None] = strawberry.field(
        description="Value of the field if an event is logged without one. Must be valid for the "
        "field. Null removes the default."
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the provided attributes, for `event_type_draft.update_field`."""
        names = [name for name in FieldDefinition.__dataclass_fields__ if name != "name"]
        attributes = _get_provided_attributes(self, *names)
        if attributes.get("options") is not None:
            attributes["options"] = tuple(attributes["options"])
        return attributes


@strawberry.input(
    description=with_example(
        "Changes to the name, type, description and category of an event type. An omitted "
        "attribute keeps its value; null clears an optional one.",
        """
        {
          id: "019a3f5c-7b1e-7000-8000-000000000101"
          ifVersion: 3
          description: "Unplanned flaring at a well."
        }
        """,
    )
)
class UpdateEventTypeInput:
    id: strawberry.ID = strawberry.field(description="ID of the event type.")
    if_version: int | None = strawberry.field(
        default=None,
        description="Version that the event type must have. If its version is another one, the "
        "change is rejected with `CONFLICT`. Null changes any version.",
    )
    type: strawberry.Maybe[str | None] = strawberry.field(
        description="New CloudEvents type of the events. Can be changed only while no stored event "
        "has this event type; otherwise the code is `IN_USE`. Must not be null."
    )
    name: strawberry.Maybe[str | None] = strawberry.field(
        description="New display name: one line, by default at most 255 characters. Must not be "
        "null."
    )
    description: strawberry.Maybe[str | None] = strawberry.field(
        description="New purpose of the event type, by default at most 100,000 characters. Null "
        "removes the description."
    )
    category: strawberry.Maybe[str | None] = strawberry.field(
        description="New category, by default at most 255 characters. Null means `general`. Stored "
        "events keep the category under which they were logged."
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the provided attributes, for `event_type_draft.update_attributes`."""
        return _get_provided_attributes(self, "type", "name", "description", "category")


def _get_provided_attributes(input: Any, *names: str) -> dict[str, Any]:
    return {name: maybe.value for name in names if (maybe := getattr(input, name)) is not None}


@strawberry.input(
    one_of=True,
    description=with_example(
        "Identifies an event type, either by `id` or by `type`.",
        """
        { type: "flaring.flaring_incident" }
        """,
    ),
)
class EventTypeBy:
    id: strawberry.Maybe[strawberry.ID] = strawberry.field(description="ID of the event type.")
    type: strawberry.Maybe[str] = strawberry.field(
        description="CloudEvents type of the event type: an exact match, without wildcards."
    )


@strawberry.input(
    description=with_example(
        "Selects event types. An event type must meet all conditions; a condition that is null is "
        "ignored.",
        """
        { states: [PUBLISHED, DEPRECATED], category: "flaring" }
        """,
    )
)
class EventTypeFilter:
    states: list[EventTypeState] | None = strawberry.field(
        default=None,
        description="States of the event types. An empty list selects nothing.",
    )
    category: str | None = strawberry.field(
        default=None, description="Category of the event types: an exact match."
    )
    search: str | None = strawberry.field(
        default=None,
        description="Words to find in type, name, category and description. Each must be the "
        "beginning of a word there: `flar inc` finds `Flaring incident`. Case is ignored. A blank "
        "text sets no condition; any other text without a word is `BAD_USER_INPUT`.",
    )

    def to_domain(self, limits: Limits) -> event_types.EventTypeFilter:
        """Converts the filter. Raises RequestError BAD_USER_INPUT if a string is invalid."""
        return event_types.EventTypeFilter(
            states=None if self.states is None else tuple(self.states),
            category=check_text_argument(self.category, limits, "filter", "category"),
            search=parse_search_argument(self.search, limits, "filter", "search"),
        )
