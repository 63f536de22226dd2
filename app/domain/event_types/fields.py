"""The fields that people give an event type, and which definitions make sense."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, invalid
from app.domain.shared.values import name_problems, text_problems


class FieldKind(Enum):
    TEXT = "TEXT"
    LONG_TEXT = "LONG_TEXT"
    NUMBER = "NUMBER"
    INTEGER = "INTEGER"
    BOOLEAN = "BOOLEAN"
    DATE = "DATE"
    DATETIME = "DATETIME"
    SELECT = "SELECT"
    MULTI_SELECT = "MULTI_SELECT"
    URL = "URL"
    EMAIL = "EMAIL"


TEXTUAL = frozenset({FieldKind.TEXT, FieldKind.LONG_TEXT, FieldKind.URL, FieldKind.EMAIL})
NUMERIC = frozenset({FieldKind.NUMBER, FieldKind.INTEGER})
CHOICES = frozenset({FieldKind.SELECT, FieldKind.MULTI_SELECT})

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_CEL_RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "null",
        "package",
        "return",
        "true",
        "var",
        "void",
        "while",
    ]
)


@dataclass(frozen=True)
class FieldDefinition:
    """One field of an event type. `label` falls back to the name, bounds are inclusive."""

    name: str
    kind: FieldKind
    label: str | None = None
    required: bool = False
    help_text: str | None = None
    unit: str | None = None
    options: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    default: Any = None

    def __hash__(self) -> int:
        """Reckoned once: compiled schemas and expressions are looked up by all of a type's fields.

        A default has none: it may be a list.
        """
        known: int | None = self.__dict__.get("_hash")
        if known is None:
            known = hash((self.name, self.kind, self.options, self.minimum, self.maximum))
            object.__setattr__(self, "_hash", known)
        return known

    def to_json(self) -> dict[str, Any]:
        """What was said of it, as a version keeps it."""
        said = {each.name: getattr(self, each.name) for each in fields(self)}
        said["kind"] = self.kind.value
        said["options"] = None if self.options is None else list(self.options)
        return {name: value for name, value in said.items() if value is not None}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> FieldDefinition:
        options = kept.get("options")
        return cls(
            **{**kept, "kind": FieldKind(kept["kind"])}
            | {"options": None if options is None else tuple(options)}
        )


def definition_problems(definitions: Sequence[FieldDefinition], limits: Limits) -> list[Problem]:
    """What is wrong with a type's fields, each told under its index and attribute.

    A default and a pattern are judged by `json_schema.schema_problems`.
    """
    problems = [
        problem.under(str(index))
        for index, definition in enumerate(definitions)
        for problem in _field_problems(definition, limits)
    ]
    seen: set[str] = set()
    for index, definition in enumerate(definitions):
        if definition.name in seen:
            twice = f"Field {definition.name} is there twice."
            problems.append(invalid(twice, str(index), "name"))
        seen.add(definition.name)
    return problems


def _field_problems(field: FieldDefinition, limits: Limits) -> list[Problem]:
    return [
        *_naming(field),
        *name_problems(field.label, limits.name, "label"),
        *name_problems(field.unit, limits.name, "unit"),
        *text_problems(field.help_text, limits.summary, "helpText"),
        *text_problems(field.pattern, limits.summary, "pattern"),
        *_choices(field, limits),
        *_misplaced(field),
        *_bounds(field),
    ]


def _naming(field: FieldDefinition) -> list[Problem]:
    if not _NAME.fullmatch(field.name):
        rule = "Must be 1 to 63 of a-z, 0-9 and _, and begin with a letter."
        return [invalid(rule, "name")]
    if field.name in _CEL_RESERVED:
        return [invalid(f"{field.name} is a reserved word of CEL.", "name")]
    return []


def _choices(field: FieldDefinition, limits: Limits) -> list[Problem]:
    options = field.options
    if field.kind not in CHOICES or options is None:
        missing = field.kind in CHOICES
        return [invalid(f"{field.kind.value} needs at least one option.", "options")] * missing
    if len(options) > limits.options:
        return [
            invalid(f"There are {len(options):,} options; at most {limits.options:,}.", "options")
        ]
    problems = [
        problem
        for index, option in enumerate(options)
        for problem in name_problems(option, limits.name, "options", str(index))
    ]
    if not options:
        problems.append(invalid(f"{field.kind.value} needs at least one option.", "options"))
    if len(set(options)) < len(options):
        problems.append(invalid("An option is there twice.", "options"))
    return problems


def _misplaced(field: FieldDefinition) -> list[Problem]:
    """Attributes that the field's kind has no use for."""
    given = {
        "options": (field.options, CHOICES),
        "minimum": (field.minimum, NUMERIC),
        "maximum": (field.maximum, NUMERIC),
        "minLength": (field.min_length, TEXTUAL),
        "maxLength": (field.max_length, TEXTUAL),
        "pattern": (field.pattern, TEXTUAL),
    }
    return [
        invalid(f"A field of kind {field.kind.value} has no {attribute}.", attribute)
        for attribute, (value, kinds) in given.items()
        if value is not None and field.kind not in kinds
    ]


def _bounds(field: FieldDefinition) -> list[Problem]:
    problems = [
        invalid("Must be a finite number.", attribute)
        for attribute, bound in (("minimum", field.minimum), ("maximum", field.maximum))
        if bound is not None and not math.isfinite(bound)
    ]
    problems += [
        invalid("Must not be negative.", attribute)
        for attribute, bound in (
            ("minLength", field.min_length),
            ("maxLength", field.max_length),
        )
        if bound is not None and bound < 0
    ]
    if field.minimum is not None and field.maximum is not None and field.minimum > field.maximum:
        problems.append(invalid("Is above the maximum.", "minimum"))
    if (
        field.min_length is not None
        and field.max_length is not None
        and field.min_length > field.max_length
    ):
        problems.append(invalid("Is above maxLength.", "minLength"))
    return problems
