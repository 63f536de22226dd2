"""Definitions of event types: name, state, fields and conditional rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.event_types.conditional_rules import validate_conditional_rules
from app.domain.event_types.conditions import ConditionalRule, format_rule, parse_rule
from app.domain.event_types.fields import AdditionalFields, FieldDefinition, validate_fields
from app.domain.event_types.json_schema import validate_field_schema
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.words import extract_full_words
from app.domain.shared.limits import Limits
from app.domain.shared.messages import limit_message
from app.domain.shared.problems import Problem, UserErrorCode, invalid_input
from app.domain.shared.values import validate_name, validate_text, validate_type_name

DEFAULT_CATEGORY = "general"
_INITIAL_STATES = (EventTypeState.DRAFT, EventTypeState.PUBLISHED)


@dataclass(frozen=True)
class VersionDefinition:
    """What one version of an event type validates events with. It never changes.

    `category` is None if it was not stored with the version.
    """

    fields: tuple[FieldDefinition, ...] = ()
    rules: tuple[ConditionalRule, ...] = ()
    additional_fields: AdditionalFields = AdditionalFields.REFUSE
    category: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "fields": [field.to_json() for field in self.fields],
            "rules": [format_rule(rule) for rule in self.rules],
            "additionalFields": self.additional_fields.value,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> VersionDefinition:
        return cls(
            tuple(map(FieldDefinition.from_json, stored["fields"])),
            tuple(map(parse_rule, stored["rules"])),
            AdditionalFields(stored.get("additionalFields", "REFUSE")),
            stored.get("settings", {}).get("category"),
        )


@dataclass(frozen=True)
class EventTypeDefinition:
    """The definition of an event type. `type` defaults to a combination of category and name."""

    name: str
    type: str | None = None
    description: str | None = None
    category: str | None = None
    state: EventTypeState = EventTypeState.DRAFT
    fields: tuple[FieldDefinition, ...] = ()
    rules: tuple[ConditionalRule, ...] = ()
    additional_fields: AdditionalFields = AdditionalFields.REFUSE

    @property
    def version_definition(self) -> VersionDefinition:
        return VersionDefinition(self.fields, self.rules, self.additional_fields)

    @property
    def settings(self) -> dict[str, Any]:
        """The attributes that are not parts of the type, in JSON form, without None."""
        settings = {
            "type": self.type_name,
            "name": self.name,
            "description": self.description,
            "category": self.category or DEFAULT_CATEGORY,
        }
        return {name: value for name, value in settings.items() if value is not None}

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON form that a version stores."""
        return self.version_definition.to_json() | {"settings": self.settings}

    @property
    def search_words(self) -> str:
        """The searchable words, as one text with a space around each word."""
        texts = (self.type_name, self.name, self.category or DEFAULT_CATEGORY, self.description)
        return f" {' '.join(sorted(extract_full_words(' '.join(filter(None, texts)))))} "

    @property
    def type_name(self) -> str:
        return self.type or f"{_slugify(self.category or DEFAULT_CATEGORY)}.{_slugify(self.name)}"


def validate_new_definition(definition: EventTypeDefinition, limits: Limits) -> list[Problem]:
    """Validates a new event type."""
    problems = validate_definition(definition, limits)
    if definition.state not in _INITIAL_STATES:
        message = f"A new event type must be DRAFT or PUBLISHED, not {definition.state.value}."
        problems.append(invalid_input(message, "state"))
    return problems


def validate_definition(definition: EventTypeDefinition, limits: Limits) -> list[Problem]:
    """Validates a definition. Paths use the names of CreateEventTypeInput."""
    problems = [
        *validate_type_name(definition.type, limits, "type"),
        *validate_name(definition.name, limits.name_characters, "name"),
        *validate_name(definition.category, limits.name_characters, "category"),
        *validate_text(definition.description, limits.content_characters, "description"),
    ]
    if not problems:
        problems = validate_name(definition.type_name, limits.name_characters, "type")
    return problems + validate_version_definition(definition.version_definition, limits)


def validate_version_definition(definition: VersionDefinition, limits: Limits) -> list[Problem]:
    """Validates fields and conditional rules."""
    if len(definition.fields) > limits.fields_per_type:
        message = limit_message(
            limits.fields_per_type, "field", "this event type", len(definition.fields)
        )
        return [Problem(UserErrorCode.LIMIT_REACHED, message, ("fields",))]
    field_problems = validate_fields(definition.fields, limits)
    invalid_indexes = {problem.path[0] for problem in field_problems}
    field_problems += [
        problem.prepend_path(str(index))
        for index, field in enumerate(definition.fields)
        if str(index) not in invalid_indexes  # only a valid definition has a schema
        for problem in validate_field_schema(field, limits)
    ]
    rule_problems = validate_conditional_rules(definition.rules, definition.fields, limits)
    return [
        *(problem.prepend_path("fields") for problem in field_problems),
        *(problem.prepend_path("conditionalRules") for problem in rule_problems),
    ]


def _slugify(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", words.lower())
