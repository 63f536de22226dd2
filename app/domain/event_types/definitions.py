"""An event type as people define it: its name, its state, its fields and conditional rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.event_types.conditional_rules import rule_problems
from app.domain.event_types.conditions import ConditionalRule, read_rule, write_rule
from app.domain.event_types.fields import FieldDefinition, definition_problems
from app.domain.event_types.json_schema import schema_problems
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.filters import whole_words
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode, invalid
from app.domain.shared.values import name_problems, text_problems, type_name_problems

GENERAL = "general"
_FIRST_STATES = (EventTypeState.DRAFT, EventTypeState.PUBLISHED)


@dataclass(frozen=True)
class Form:
    """What the events of a type may hold: one version of a definition. It never changes."""

    fields: tuple[FieldDefinition, ...] = ()
    rules: tuple[ConditionalRule, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "fields": [field.to_json() for field in self.fields],
            "rules": [write_rule(rule) for rule in self.rules],
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Form:
        return cls(
            tuple(map(FieldDefinition.from_json, kept["fields"])),
            tuple(map(read_rule, kept["rules"])),
        )


@dataclass(frozen=True)
class TypeDefinition:
    """An event type. A type that is left out is made of category and name."""

    name: str
    type: str | None = None
    description: str | None = None
    category: str | None = None
    state: EventTypeState = EventTypeState.DRAFT
    fields: tuple[FieldDefinition, ...] = ()
    rules: tuple[ConditionalRule, ...] = ()

    @property
    def form(self) -> Form:
        return Form(self.fields, self.rules)

    @property
    def words(self) -> str:
        """The words that it is found by, each between blanks."""
        said = (self.type_name, self.name, self.category or GENERAL, self.description)
        return f" {' '.join(sorted(whole_words(' '.join(each for each in said if each))))} "

    @property
    def type_name(self) -> str:
        return self.type or f"{_slug(self.category or GENERAL)}.{_slug(self.name)}"


def new_type_problems(definition: TypeDefinition, limits: Limits) -> list[Problem]:
    """Everything that is wrong with a new event type."""
    problems = type_problems(definition, limits)
    if definition.state not in _FIRST_STATES:
        problems.append(invalid("An event type begins as DRAFT or PUBLISHED.", "state"))
    return problems


def type_problems(definition: TypeDefinition, limits: Limits) -> list[Problem]:
    """Everything that is wrong with a definition, under the names of CreateEventTypeInput."""
    problems = [
        *type_name_problems(definition.type, limits, "type"),
        *name_problems(definition.name, limits.name, "name"),
        *name_problems(definition.category, limits.name, "category"),
        *text_problems(definition.description, limits.content, "description"),
    ]
    if not problems:
        problems = name_problems(definition.type_name, limits.name, "type")
    return problems + form_problems(definition.form, limits)


def form_problems(form: Form, limits: Limits) -> list[Problem]:
    if len(form.fields) > limits.fields_per_type:
        full = f"An event type has at most {limits.fields_per_type} fields."
        return [Problem(UserErrorCode.LIMIT_REACHED, full, ("fields",))]
    told = definition_problems(form.fields, limits)
    unsound = {problem.path[0] for problem in told}
    told += [
        problem.under(str(index))
        for index, field in enumerate(form.fields)
        if str(index) not in unsound  # a schema can be made of a sound definition only
        for problem in schema_problems(field, limits)
    ]
    rules = rule_problems(form.rules, form.fields, limits)
    return [
        *(problem.under("fields") for problem in told),
        *(problem.under("conditionalRules") for problem in rules),
    ]


def _slug(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", words.lower())
