"""Inputs and filters of event types."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry.scalars import JSON

from app.domain.event_types.definitions import EventTypeDefinition
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.shared.limits import Limits
from app.graphql.event_types.conditional_rules import ConditionalRuleInput
from app.graphql.types.event_filter import check_text_argument
from app.services.definitions import event_types


@strawberry.input(description="A field of a new event type.")
class EventFieldInput:
    name: str = strawberry.field(
        description="Its key in `Event.fields`: `^[a-z][a-z0-9_]{0,62}$`, no reserved word of CEL."
    )
    label: str | None = strawberry.field(
        default=None, description="What people call it; its name, if left out."
    )
    kind: FieldKind = strawberry.field(description="What values it takes.")
    required: bool | None = strawberry.field(
        default=None, description="Whether an event must have a value; it need not, if left out."
    )
    help_text: str | None = strawberry.field(default=None, description="What to fill in.")
    unit: str | None = strawberry.field(default=None, description="What a number counts: `mcf`.")
    options: list[str] | None = strawberry.field(
        default=None, description="What SELECT and MULTI_SELECT choose from: at least one."
    )
    minimum: float | None = strawberry.field(
        default=None, description="NUMBER, INTEGER: the least value, inclusive."
    )
    maximum: float | None = strawberry.field(
        default=None, description="NUMBER, INTEGER: the greatest value, inclusive."
    )
    min_length: int | None = strawberry.field(
        default=None, description="Texts: the fewest characters."
    )
    max_length: int | None = strawberry.field(
        default=None, description="Texts: the most characters."
    )
    pattern: str | None = strawberry.field(
        default=None,
        description="Texts: a regular expression, without lookaround or backreference, that finds "
        "something in the value. Begin with `^` and end with `$` for the whole.",
    )
    default: JSON | None = strawberry.field(
        default=None, description="The value of an event that gives none."
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


@strawberry.input(description="A new event type.")
class CreateEventTypeInput:
    type: str | None = strawberry.field(
        default=None,
        description="Left out, it is made from category and name: `flaring.flaring_incident`.",
    )
    name: str = strawberry.field(description="What people call it.")
    description: str | None = strawberry.field(default=None, description="What it is for.")
    category: str | None = strawberry.field(
        default=None, description="The group it belongs to; `general`, if left out."
    )
    state: EventTypeState | None = strawberry.field(
        default=EventTypeState.DRAFT,
        description="DRAFT, which takes no events yet, or PUBLISHED, which does.",
    )
    fields: list[EventFieldInput] | None = strawberry.field(
        default=None, description="Its fields, in form order: up to 200."
    )
    conditional_rules: list[ConditionalRuleInput] | None = strawberry.field(
        default=None, description="Its conditional rules: up to 100."
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
    description="New attributes of a field. What is left out stays as it is; null clears what may "
    "be empty. The name is its own for good."
)
class UpdateEventFieldInput:
    id: strawberry.ID = strawberry.field(description="The field's id.")
    label: strawberry.Maybe[str | None] = strawberry.field(description="What people call it.")
    kind: strawberry.Maybe[FieldKind | None] = strawberry.field(
        description="What values it takes. Stored values stay as they are."
    )
    required: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether an event must have a value."
    )
    help_text: strawberry.Maybe[str | None] = strawberry.field(description="What to fill in.")
    unit: strawberry.Maybe[str | None] = strawberry.field(description="What a number counts.")
    options: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="All its options, in place of those it has."
    )
    minimum: strawberry.Maybe[float | None] = strawberry.field(
        description="The least value, inclusive."
    )
    maximum: strawberry.Maybe[float | None] = strawberry.field(
        description="The greatest value, inclusive."
    )
    min_length: strawberry.Maybe[int | None] = strawberry.field(
        description="The fewest characters."
    )
    max_length: strawberry.Maybe[int | None] = strawberry.field(description="The most characters.")
    pattern: strawberry.Maybe[str | None] = strawberry.field(
        description="A regular expression that finds something in every value of it."
    )
    default: strawberry.Maybe[JSON | None] = strawberry.field(
        description="The value of an event that gives none."
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the provided attributes, for `event_type_draft.update_field`."""
        names = [name for name in FieldDefinition.__dataclass_fields__ if name != "name"]
        attributes = _get_provided_attributes(self, *names)
        if attributes.get("options") is not None:
            attributes["options"] = tuple(attributes["options"])
        return attributes


@strawberry.input(
    description="New attributes of an event type. What is left out stays as it is; null clears "
    "what may be empty."
)
class UpdateEventTypeInput:
    id: strawberry.ID = strawberry.field(description="The event type's id.")
    if_version: int | None = strawberry.field(
        default=None, description="Refuse with CONFLICT unless the event type is at this version."
    )
    type: strawberry.Maybe[str | None] = strawberry.field(
        description="The type that its events carry: only while no event has it."
    )
    name: strawberry.Maybe[str | None] = strawberry.field(description="What people call it.")
    description: strawberry.Maybe[str | None] = strawberry.field(description="What it is for.")
    category: strawberry.Maybe[str | None] = strawberry.field(
        description="The group it belongs to; null for `general`. Events keep the category that "
        "they were logged under."
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the provided attributes, for `event_type_draft.update_attributes`."""
        return _get_provided_attributes(self, "type", "name", "description", "category")


def _get_provided_attributes(input: Any, *names: str) -> dict[str, Any]:
    return {name: maybe.value for name in names if (maybe := getattr(input, name)) is not None}


@strawberry.input(one_of=True, description="An event type, by its id or by its type.")
class EventTypeBy:
    id: strawberry.Maybe[strawberry.ID] = strawberry.field(description="Its id.")
    type: strawberry.Maybe[str] = strawberry.field(description="Its type, exactly.")


@strawberry.input(description="Which event types are meant. All that is said must hold.")
class EventTypeFilter:
    states: list[EventTypeState] | None = strawberry.field(
        default=None, description="One of these states; `[]` selects nothing."
    )
    category: str | None = strawberry.field(default=None, description="Of this category.")
    search: str | None = strawberry.field(
        default=None,
        description="Beginnings of words in type, name, category and description: `flar inc` finds "
        "Flaring Incident.",
    )

    def to_domain(self, limits: Limits) -> event_types.EventTypeFilter:
        """Converts the filter. Raises RequestError BAD_USER_INPUT if a text is invalid."""
        return event_types.EventTypeFilter(
            states=None if self.states is None else tuple(self.states),
            category=check_text_argument(self.category, limits, "filter", "category"),
            search=check_text_argument(self.search, limits, "filter", "search"),
        )
