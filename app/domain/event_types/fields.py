"""Definitions of the fields of event types, and their validation."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from app.domain.shared.exact_decimals import ExactDecimal, convert_integers
from app.domain.shared.limits import Limits
from app.domain.shared.messages import limit_message, quote_value
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import is_blank, validate_name, validate_text


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


class AdditionalFields(Enum):
    """What happens to values under names that the event type does not define."""

    REFUSE = "REFUSE"
    KEEP = "KEEP"
    DROP = "DROP"


TEXT_KINDS = frozenset({FieldKind.TEXT, FieldKind.LONG_TEXT, FieldKind.URL, FieldKind.EMAIL})
NUMERIC_KINDS = frozenset({FieldKind.NUMBER, FieldKind.INTEGER})
CHOICE_KINDS = frozenset({FieldKind.SELECT, FieldKind.MULTI_SELECT})

_FIELD_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,62}")
# JSON numbers in browsers and bounds of fields are doubles, in which each integer up to this one
# is distinct from its neighbors.
MAX_SAFE_INTEGER = 2**53 - 1
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
    """One field of an event type. `label` defaults to the name; bounds are inclusive.

    `source_key` is the path of the value in the data of CloudEvents, if not the name. `labels` are
    the display names of options, by option; an option without one is shown as it is.
    """

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
    source_key: str | None = None
    labels: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        for name in ("minimum", "maximum"):
            if isinstance(value := getattr(self, name), ExactDecimal):
                object.__setattr__(self, name, float(value))
        object.__setattr__(self, "default", convert_integers(self.default))
        if self.labels is not None:
            kept = {name: self.labels[name] for name in self.options or () if name in self.labels}
            object.__setattr__(self, "labels", None if self.options is None else kept)

    def __hash__(self) -> int:
        """Returns the hash, computed once, because caches are keyed by the fields of a type.

        The default is left out, because it may be an unhashable list.
        """
        cached_hash: int | None = self.__dict__.get("_hash")
        if cached_hash is None:
            cached_hash = hash((self.name, self.kind, self.options, self.minimum, self.maximum))
            object.__setattr__(self, "_hash", cached_hash)
        return cached_hash

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON form that a version stores, without attributes that are None."""
        attributes = {attribute.name: getattr(self, attribute.name) for attribute in fields(self)}
        attributes["kind"] = self.kind.value
        attributes["options"] = None if self.options is None else list(self.options)
        return {name: value for name, value in attributes.items() if value is not None}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> FieldDefinition:
        options = stored.get("options")
        return cls(
            **{**stored, "kind": FieldKind(stored["kind"])}
            | {"options": None if options is None else tuple(options)}
        )


def set_field_names(definitions: Iterable[FieldDefinition]) -> frozenset[str]:
    """Returns the names of the fields whose values are sets."""
    return frozenset(each.name for each in definitions if each.kind is FieldKind.MULTI_SELECT)


def validate_fields(definitions: Sequence[FieldDefinition], limits: Limits) -> list[Problem]:
    """Validates the fields of an event type. Paths are the index and the attribute.

    Defaults and patterns are validated by `json_schema.validate_field_schema`.
    """
    problems = [
        problem.prepend_path(str(index))
        for index, definition in enumerate(definitions)
        for problem in _validate_field(definition, limits)
    ]
    seen: set[str] = set()
    for index, definition in enumerate(definitions):
        if definition.name in seen:
            message = f"Field name {quote_value(definition.name)} is used more than once."
            problems.append(invalid_input(message, str(index), "name"))
        seen.add(definition.name)
    return problems


def _validate_field(field: FieldDefinition, limits: Limits) -> list[Problem]:
    return [
        *validate_field_name(field),
        *validate_name(field.label, limits.name_characters, "label"),
        *validate_name(field.unit, limits.name_characters, "unit"),
        *validate_text(field.help_text, limits.summary_characters, "helpText"),
        *validate_text(field.pattern, limits.summary_characters, "pattern"),
        *_validate_source_key(field, limits),
        *_validate_options(field, limits),
        *_validate_applicable_attributes(field),
        *_validate_bounds(field),
    ]


def validate_field_name(field: FieldDefinition) -> list[Problem]:
    """Validates the name, which is also the name of a field of a protobuf message."""
    if not _FIELD_NAME.fullmatch(field.name):
        expected = "expected 1 to 63 characters from a-z, A-Z, 0-9 and _, starting with a letter"
        message = f"Invalid field name {quote_value(field.name)}: {expected}."
        return [invalid_input(message, "name")]
    if field.name in _CEL_RESERVED:
        return [
            invalid_input(
                f"Invalid field name {quote_value(field.name)}: the name is a reserved word of "
                "CEL. Use a different name.",
                "name",
            )
        ]
    return []


def _validate_source_key(field: FieldDefinition, limits: Limits) -> list[Problem]:
    path = field.source_key
    problems = validate_name(path, limits.name_characters, "sourceKey")
    if path is not None and not problems and "" in path.split("."):
        expected = "expected names of properties, separated by single dots"
        message = f"Invalid sourceKey {quote_value(path)}: {expected}, such as api.contentLength."
        problems = [invalid_input(message, "sourceKey")]
    return problems


def _validate_options(field: FieldDefinition, limits: Limits) -> list[Problem]:
    options = field.options
    if field.kind not in CHOICE_KINDS or options is None:
        return [_missing_options(field)] if field.kind in CHOICE_KINDS else []
    attribute = "options" if field.labels is None else "choices"
    if len(options) > limits.options_per_field:
        message = limit_message(limits.options_per_field, "option", "this field", len(options))
        return [invalid_input(message, attribute)]
    problems = [
        problem
        for index, option in enumerate(options)
        for problem in _validate_option(option, limits, attribute, str(index))
    ]
    problems += [
        problem
        for index, option in enumerate(options)
        for problem in validate_name(
            (field.labels or {}).get(option), limits.name_characters, attribute, str(index), "label"
        )
    ]
    if not options:
        problems.append(_missing_options(field))
    if repeated := [option for option, count in Counter(options).items() if count > 1]:
        message = f"Option {quote_value(repeated[0])} is listed more than once."
        problems.append(invalid_input(message, attribute))
    return problems


def _validate_option(option: str, limits: Limits, *path: str) -> list[Problem]:
    if option and is_blank(option):
        return [invalid_input("An option must not be blank.", *path)]
    return validate_name(option, limits.name_characters, *path)


def _missing_options(field: FieldDefinition) -> Problem:
    message = f"A field of kind {field.kind.value} must have at least one option."
    return invalid_input(message, "options")


def _validate_applicable_attributes(field: FieldDefinition) -> list[Problem]:
    """Validates that the field has only attributes that apply to its kind."""
    attributes = {
        "options": (field.options, CHOICE_KINDS),
        "minimum": (field.minimum, NUMERIC_KINDS),
        "maximum": (field.maximum, NUMERIC_KINDS),
        "minLength": (field.min_length, TEXT_KINDS),
        "maxLength": (field.max_length, TEXT_KINDS),
        "pattern": (field.pattern, TEXT_KINDS),
    }
    return [
        invalid_input(f"A field of kind {field.kind.value} cannot have {attribute}.", attribute)
        for attribute, (value, kinds) in attributes.items()
        if value is not None and field.kind not in kinds
    ]


def _check_bound(bound: float) -> str | None:
    if isinstance(bound, float) and not math.isfinite(bound):
        return "must be a finite number."
    if abs(bound) > MAX_SAFE_INTEGER:
        return f"must be from -{MAX_SAFE_INTEGER:,} to {MAX_SAFE_INTEGER:,} (less than 2^53)."
    return None


def _validate_bounds(field: FieldDefinition) -> list[Problem]:
    problems = [
        invalid_input(f"{attribute} {error}", attribute)
        for attribute, bound in (("minimum", field.minimum), ("maximum", field.maximum))
        if bound is not None and (error := _check_bound(bound)) is not None
    ]
    problems += [
        invalid_input(f"{attribute} must not be negative.", attribute)
        for attribute, bound in (
            ("minLength", field.min_length),
            ("maxLength", field.max_length),
        )
        if bound is not None and bound < 0
    ]
    if field.minimum is not None and field.maximum is not None and field.minimum > field.maximum:
        problems.append(invalid_input("minimum must not be greater than maximum.", "minimum"))
    if (
        field.min_length is not None
        and field.max_length is not None
        and field.min_length > field.max_length
    ):
        problems.append(invalid_input("minLength must not be greater than maxLength.", "minLength"))
    return problems
