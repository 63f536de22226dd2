"""An event type as people define it: its name, its state, its fields."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.domain.fields import FieldDefinition, definition_problems
from app.domain.json_schema import schema_problems
from app.domain.lifecycle import EventTypeState
from app.domain.limits import Limits
from app.domain.problems import Problem, UserErrorCode, invalid
from app.domain.values import name_problems, text_problems, type_name_problems

GENERAL = "general"
_FIRST_STATES = (EventTypeState.DRAFT, EventTypeState.PUBLISHED)


@dataclass(frozen=True)
class TypeDefinition:
    """What createEventType is given. A type that is left out is made of category and name."""

    name: str
    type: str | None = None
    description: str | None = None
    category: str | None = None
    state: EventTypeState = EventTypeState.DRAFT
    fields: tuple[FieldDefinition, ...] = ()

    @property
    def type_name(self) -> str:
        return self.type or f"{_slug(self.category or GENERAL)}.{_slug(self.name)}"


def type_problems(definition: TypeDefinition, limits: Limits) -> list[Problem]:
    """Everything that is wrong with a new definition."""
    problems = [
        *type_name_problems(definition.type, limits, "type"),
        *name_problems(definition.name, limits.name, "name"),
        *name_problems(definition.category, limits.name, "category"),
        *text_problems(definition.description, limits.content, "description"),
    ]
    if not problems:
        problems = name_problems(definition.type_name, limits.name, "type")
    if definition.state not in _FIRST_STATES:
        problems.append(invalid("An event type begins as DRAFT or PUBLISHED.", "state"))
    if len(definition.fields) > limits.fields_per_type:
        full = f"An event type has at most {limits.fields_per_type} fields."
        return [*problems, Problem(UserErrorCode.LIMIT_REACHED, full, ("fields",))]
    told = definition_problems(definition.fields, limits)
    unsound = {problem.path[0] for problem in told}
    told += [
        problem.under(str(index))
        for index, field in enumerate(definition.fields)
        if str(index) not in unsound  # a schema can be made of a sound definition only
        for problem in schema_problems(field, limits)
    ]
    return [*problems, *(problem.under("fields") for problem in told)]


def _slug(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", words.lower())
