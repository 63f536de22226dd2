"""Inputs and filters of event types and their fields."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry.scalars import JSON

from app.domain.event_types.definitions import EventTypeDefinition
from app.domain.event_types.fields import AdditionalFields, FieldDefinition, FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, invalid_input
from app.graphql.event_types.conditional_rules import ConditionalRuleInput
from app.graphql.shared.examples import with_example
from app.graphql.shared.nodes import InvalidArgumentsError
from app.graphql.shared.update_inputs import read_provided_attributes
from app.graphql.types.event_inputs import check_text_argument, parse_search_argument
from app.services.definitions import event_types


def _both_given(*path: str) -> Problem:
    message = "options and choices are mutually exclusive. Send only one of them."
    return invalid_input(message, *path, "choices")


def _split_choices(choices: list[FieldChoiceInput]) -> tuple[list[str], dict[str, str]]:
    """Returns the values, and the labels that were given."""
    labels = {each.value: each.label for each in choices if each.label is not None}
    return [each.value for each in choices], labels


@strawberry.input(description="An option of a SELECT or MULTI_SELECT field, with its label.")
class FieldChoiceInput:
    value: str = strawberry.field(
        description="Value that is stored in `Event.fields`: one line of 1 to 255 characters by "
        "default, not blank."
    )
    label: str | None = strawberry.field(
        default=None,
        description="Display name of the option: one line, at most 255 characters by default. Null "
        "means the value.",
    )


@strawberry.input(
    description=with_example(
        "A field to add to an event type. Attributes that do not apply to the kind of the field, "
        "such as `options` of a NUMBER, must be null; otherwise the error is `INVALID_INPUT`.",
        """
        { name: "volume_mcf", label: "Volume", kind: NUMBER, unit: "mcf", minimum: 0 }
        """,
    )
)
class EventFieldInput:
    name: str = strawberry.field(
        description="Name of the field: its key in `Event.fields`. The name must match "
        "`^[a-zA-Z][a-zA-Z0-9_]{0,62}$`, be unique in the event type, and not be a reserved word "
        "of CEL, such as `in` or `true`. Cannot be changed later."
    )
    label: str | None = strawberry.field(
        default=None,
        description="Display name of the field: one line, at most 255 characters (configurable). "
        "Defaults to the name of the field.",
    )
    kind: FieldKind = strawberry.field(description="Kind of value that the field accepts.")
    required: bool | None = strawberry.field(
        default=None,
        description="Whether an event must have a value for the field while the field is visible. "
        "Null, an empty list, and a string that is empty or has only whitespace are no value. "
        "Null means false.",
    )
    help_text: str | None = strawberry.field(
        default=None,
        description="Help text for the person who fills in the form, at most 1,000 characters by "
        "default. Null means no help text.",
    )
    unit: str | None = strawberry.field(
        default=None,
        description="Unit of the value, for display, such as `mcf`: one line, at most 255 "
        "characters by default. Null means no unit.",
    )
    options: list[str] | None = strawberry.field(
        default=None,
        description="Options of a SELECT or MULTI_SELECT, without duplicates: 1 to 1,000 options "
        "of at most 255 characters each (configurable), not blank. Must be null for other kinds, "
        "and if `choices` is given; otherwise the error is `INVALID_INPUT`.",
    )
    choices: list[FieldChoiceInput] | None = strawberry.field(
        default=None,
        description="Options of a SELECT or MULTI_SELECT with their labels, instead of `options` "
        "and with the same limits. Forms show the labels.",
    )
    minimum: float | None = strawberry.field(
        default=None,
        description="Minimum value of a NUMBER or INTEGER, inclusive, less than 2^53 in "
        "magnitude. Null means no minimum.",
    )
    maximum: float | None = strawberry.field(
        default=None,
        description="Maximum value of a NUMBER or INTEGER, inclusive, less than 2^53 in "
        "magnitude. Null means no maximum.",
    )
    min_length: int | None = strawberry.field(
        default=None,
        description="Minimum length in characters of a value of kind TEXT, LONG_TEXT, URL or "
        "EMAIL; at least 0. Null means no minimum.",
    )
    max_length: int | None = strawberry.field(
        default=None,
        description="Maximum length in characters of a value of kind TEXT, LONG_TEXT, URL or "
        "EMAIL; at least 0. Null means no maximum.",
    )
    pattern: str | None = strawberry.field(
        default=None,
        description="Regular expression that a value of kind TEXT, LONG_TEXT, URL or EMAIL must "
        "match. A match anywhere in the value is sufficient: use `^` and `$` to match the whole "
        "value. At most 1,000 characters by default. Lookaround, backreferences, flags and named "
        "groups are not supported. Null means no pattern.",
    )
    default: JSON | None = strawberry.field(
        default=None,
        description="Default value, stored if the field is visible and an event has no value for "
        "it. Must be valid for the field. Null means no default.",
    )
    source_key: str | None = strawberry.field(
        default=None,
        description="Path from which the value is taken in the `data` of incoming CloudEvents: "
        "names of properties, separated by dots, such as `api.contentLength`; at most 255 "
        "characters by default. A name may contain dots itself. If the data has no value at the "
        "path, the property with the name of the field is used. Reports that are not CloudEvents, "
        "and outgoing events of Tocsin servers, use only the name of the field. Null means no "
        "path.",
    )

    def to_domain(self, *path: str) -> FieldDefinition:
        """Converts the field. Raises InvalidArgumentsError if it has both options and choices."""
        if self.options is not None and self.choices is not None:
            raise InvalidArgumentsError([_both_given(*path)])
        options, labels = self.options, None
        if self.choices is not None:
            options, labels = _split_choices(self.choices)
        return FieldDefinition(
            name=self.name,
            label=self.label,
            kind=self.kind,
            required=bool(self.required),
            help_text=self.help_text,
            unit=self.unit,
            options=None if options is None else tuple(options),
            labels=labels,
            minimum=self.minimum,
            maximum=self.maximum,
            min_length=self.min_length,
            max_length=self.max_length,
            pattern=self.pattern,
            default=self.default,
            source_key=self.source_key,
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
        description="CloudEvents type of the events, unique in the organization: one line, at "
        "most 255 characters by default, not ending with `*`. Null derives the type from category "
        "and name, as in `flaring.flaring_incident`.",
    )
    name: str = strawberry.field(
        description="Display name of the event type: one line, at most 255 characters by default."
    )
    description: str | None = strawberry.field(
        default=None,
        description="Description of the event type, at most 100,000 characters by default. Null "
        "means no description.",
    )
    category: str | None = strawberry.field(
        default=None,
        description="Category that groups event types: one line, at most 255 characters by "
        "default. Null means `general`.",
    )
    state: EventTypeState | None = strawberry.field(
        default=EventTypeState.DRAFT,
        description="Initial state: DRAFT, which does not accept events yet, or PUBLISHED, which "
        "accepts them. Null means DRAFT.",
    )
    additional_fields: AdditionalFields | None = strawberry.field(
        default=AdditionalFields.REFUSE,
        description="What happens to values under names that the event type does not define. Null "
        "means REFUSE.",
    )
    fields: list[EventFieldInput] | None = strawberry.field(
        default=None,
        description="Fields of the event type, in form order: at most 200 by default. Null means "
        "no fields.",
    )
    conditional_rules: list[ConditionalRuleInput] | None = strawberry.field(
        default=None,
        description="Rules that show, hide or require fields: at most 100 by default. Null means "
        "no rules.",
    )

    def to_domain(self, *path: str) -> EventTypeDefinition:
        """Converts the definition. `path` is that of the input."""
        return EventTypeDefinition(
            name=self.name,
            type=self.type,
            description=self.description,
            category=self.category,
            state=self.state or EventTypeState.DRAFT,
            additional_fields=self.additional_fields or AdditionalFields.REFUSE,
            fields=tuple(
                field.to_domain(*path, "fields", str(index))
                for index, field in enumerate(self.fields or ())
            ),
            rules=tuple(rule.to_domain() for rule in self.conditional_rules or ()),
        )


@strawberry.input(
    description=with_example(
        "A new definition of an event type. It replaces the name, description, category, "
        "`additionalFields`, fields and conditional rules in one version.",
        """
        {
          id: "019a3f5c-7b1e-7000-8000-000000000101"
          ifVersion: 3
          definition: {
            name: "Flaring incident"
            fields: [{ name: "volume_mcf", kind: NUMBER, required: true, unit: "mcf" }]
          }
        }
        """,
    )
)
class ReplaceEventTypeInput:
    id: strawberry.ID = strawberry.field(description="ID of the event type.")
    if_version: int | None = strawberry.field(
        default=None,
        description="Version that the event type must have; otherwise the error is `CONFLICT`. "
        "Any version if omitted.",
    )
    definition: CreateEventTypeInput = strawberry.field(
        description="New definition, such as `EventTypeVersion.definition` of an earlier version. "
        "A field or conditional rule with the name of an existing one replaces it and keeps its "
        "ID; those that the definition lacks are removed. If `type` is null, the type is kept. "
        "`state` has no effect: use `transitionEventType`."
    )


@strawberry.input(
    description=with_example(
        "Changes to a field. An omitted attribute keeps its value; null clears an optional "
        "attribute. The name of a field cannot be changed: add a field with the new name instead.",
        """
        { id: "019a3f5c-7b1e-7000-8000-000000000201", label: "Volume flared", maximum: null }
        """,
    )
)
class UpdateEventFieldInput:
    id: strawberry.ID = strawberry.field(description="ID of the field.")
    label: strawberry.Maybe[str | None] = strawberry.field(
        description="New display name: one line, at most 255 characters by default. Null resets "
        "it to the name of the field."
    )
    kind: strawberry.Maybe[FieldKind | None] = strawberry.field(
        description="New kind of value that the field accepts. Stored values are not converted. "
        "Attributes that do not apply to the new kind, such as `options` of a NUMBER, must be set "
        "to null in the same call. Must not be null."
    )
    required: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether an event must have a value for the field while the field is visible. "
        "Must not be null."
    )
    help_text: strawberry.Maybe[str | None] = strawberry.field(
        description="New help text for the person who fills in the form, at most 1,000 characters "
        "by default. Null removes the help text."
    )
    unit: strawberry.Maybe[str | None] = strawberry.field(
        description="New unit of the value, for display: one line, at most 255 characters by "
        "default. Null removes the unit."
    )
    options: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="New options of a SELECT or MULTI_SELECT, without duplicates: 1 to 1,000 "
        "options of at most 255 characters each (configurable). Replaces the whole list; options "
        "that stay keep their labels. Must be null for other kinds."
    )
    choices: strawberry.Maybe[list[FieldChoiceInput] | None] = strawberry.field(
        description="New options of a SELECT or MULTI_SELECT with their labels, instead of "
        "`options`; with both, the error is `INVALID_INPUT`. Labels may change at any time. "
        "Replaces the whole list. Null removes the labels and keeps the options."
    )
    minimum: strawberry.Maybe[float | None] = strawberry.field(
        description="New minimum value of a NUMBER or INTEGER, inclusive, less than 2^53 in "
        "magnitude. Null removes the minimum."
    )
    maximum: strawberry.Maybe[float | None] = strawberry.field(
        description="New maximum value of a NUMBER or INTEGER, inclusive, less than 2^53 in "
        "magnitude. Null removes the maximum."
    )
    min_length: strawberry.Maybe[int | None] = strawberry.field(
        description="New minimum length in characters of a value of kind TEXT, LONG_TEXT, URL or "
        "EMAIL; at least 0. Null removes the minimum."
    )
    max_length: strawberry.Maybe[int | None] = strawberry.field(
        description="New maximum length in characters of a value of kind TEXT, LONG_TEXT, URL or "
        "EMAIL; at least 0. Null removes the maximum."
    )
    pattern: strawberry.Maybe[str | None] = strawberry.field(
        description="New regular expression that a value of kind TEXT, LONG_TEXT, URL or EMAIL "
        "must match. See `EventFieldInput.pattern`. Null removes the pattern."
    )
    default: strawberry.Maybe[JSON | None] = strawberry.field(
        description="New default value, stored if the field is visible and an event has no value "
        "for it. Must be valid for the field. Null removes the default."
    )
    source_key: strawberry.Maybe[str | None] = strawberry.field(
        description="New path from which the value is taken in the `data` of incoming "
        "CloudEvents, at most 255 characters by default. See `EventFieldInput.sourceKey`. Null "
        "removes the path."
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the provided attributes, for `event_type_draft.update_field`."""
        changes = read_provided_attributes(self, "options")
        if "choices" not in changes:
            return changes
        if changes.get("options") is not None:
            raise InvalidArgumentsError([_both_given("input")])
        choices = changes.pop("choices")
        if choices is None:
            return changes | {"labels": None}
        options, labels = _split_choices(choices)
        return changes | {"options": tuple(options), "labels": labels}


@strawberry.input(
    description=with_example(
        "Changes to an event type, except to its fields and rules. An omitted attribute keeps its "
        "value; null clears an optional attribute.",
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
        description="Version that the event type must have; otherwise the error is `CONFLICT`. "
        "Any version if omitted.",
    )
    type: strawberry.Maybe[str | None] = strawberry.field(
        description="New CloudEvents type of the events, unique in the organization: one line, at "
        "most 255 characters by default, not ending with `*`. If stored events have the event "
        "type, the error is `IN_USE`. Must not be null."
    )
    name: strawberry.Maybe[str | None] = strawberry.field(
        description="New display name: one line, at most 255 characters by default. Must not be "
        "null."
    )
    description: strawberry.Maybe[str | None] = strawberry.field(
        description="New description of the event type, at most 100,000 characters by default. "
        "Null removes the description."
    )
    category: strawberry.Maybe[str | None] = strawberry.field(
        description="New category: one line, at most 255 characters by default. Null means "
        "`general`. Stored events keep the category with which they were logged."
    )
    additional_fields: strawberry.Maybe[AdditionalFields | None] = strawberry.field(
        description="What happens from now on to values under names that the event type does not "
        "define. Updates of stored events follow the version that the events were validated "
        "against. Null means REFUSE."
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the provided attributes, for `event_type_draft.update_attributes`."""
        return read_provided_attributes(self)


@strawberry.input(
    one_of=True,
    description=with_example(
        "Identifies an event type by either `id` or `type`.",
        """
        { type: "flaring.flaring_incident" }
        """,
    ),
)
class EventTypeBy:
    id: strawberry.Maybe[strawberry.ID] = strawberry.field(description="ID of the event type.")
    type: strawberry.Maybe[str] = strawberry.field(
        description="CloudEvents type of the events, matched exactly, without wildcards."
    )


@strawberry.input(
    description=with_example(
        "Conditions on event types. An event type must meet all given conditions; a condition "
        "that is null or omitted is ignored.",
        """
        { states: [PUBLISHED, DEPRECATED], category: "flaring" }
        """,
    )
)
class EventTypeFilter:
    states: list[EventTypeState] | None = strawberry.field(
        default=None,
        description="States, one of which the event type must have. An empty list matches no "
        "event type.",
    )
    category: str | None = strawberry.field(
        default=None,
        description="Category to match exactly, without wildcards: at most 255 characters by "
        "default.",
    )
    search: str | None = strawberry.field(
        default=None,
        description="Search text, at most 255 characters by default. Each word of the search text "
        "must begin a word of the type, name, category or description: `flar inc` finds `Flaring "
        "incident`. Case is ignored. A blank search text sets no condition; any other search text "
        "without a word is rejected with `BAD_USER_INPUT`.",
    )

    def to_domain(self, limits: Limits) -> event_types.EventTypeFilter:
        """Converts the filter. Raises RequestError BAD_USER_INPUT if a string is invalid."""
        return event_types.EventTypeFilter(
            states=None if self.states is None else tuple(self.states),
            category=check_text_argument(self.category, limits, "filter", "category"),
            search=parse_search_argument(self.search, limits, "filter", "search"),
        )
