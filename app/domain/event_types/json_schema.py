"""An event type's fields and conditional rules as JSON Schema 2020-12, which is also what judges
values here, once they are settled.

Only what Ajv 8 and jsonschema-rs judge alike goes in: e-mail addresses and URLs are patterns,
not formats, and an author's pattern must compile without lookaround or backreference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from jsonschema_rs import (
    Draft202012Validator,
    RegexOptions,
    ValidationError,
    ValidationErrorKind,
)

from app.domain.event_types.condition_schemas import field_conditions
from app.domain.event_types.conditions import ConditionalRule, may_hide
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.patterns import NO_LINE_END, is_common, spelled_out
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode, invalid
from app.domain.shared.values import json_problems

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_URL = r"^[A-Za-z][A-Za-z0-9+.-]*://[^\s]+$"
_EMAIL = r"^[^\s@]+@[^\s@]+[.][^\s@.]+$"
# The format "date-time" alone takes a blank for the T, leap seconds and the year 0.
_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_HOUR_AND_MINUTE = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_INSTANT = (
    f"^{_YEAR}-[0-9]{{2}}-[0-9]{{2}}T{_HOUR_AND_MINUTE}:[0-5][0-9]([.][0-9]{{1,9}})?"
    f"(Z|[+-]{_HOUR_AND_MINUTE})$"
)
PATTERN_BYTES = 262_144
_IN_WORDS = {
    _URL: "Must be an absolute URL, as https://example.com/a.",
    _EMAIL: "Must be an e-mail address.",
    _INSTANT: "Must be an instant with an offset, as 2026-04-10T10:30:00Z.",
}
_LONGEST_MESSAGE = 300


def compile_schema(
    fields: Sequence[FieldDefinition], rules: Sequence[ConditionalRule] = ()
) -> dict[str, Any]:
    """The JSON Schema of `Event.fields` for a type of these fields and conditional rules."""
    schema = {
        "$schema": DIALECT,
        "type": "object",
        "properties": {field.name: _property(field) for field in fields},
        "required": [
            field.name for field in fields if field.required and not may_hide(rules, field.name)
        ],
        "additionalProperties": False,
    }
    if conditions := list(field_conditions(fields, rules)):
        schema["allOf"] = conditions
    return schema


def value_problems(
    fields: tuple[FieldDefinition, ...],
    values: Mapping[str, Any],
    rules: tuple[ConditionalRule, ...] = (),
) -> list[Problem]:
    """Everything that is wrong with settled values, each under the name of its field."""
    errors = _validator(fields, rules).iter_errors(values)
    problems = [problem for error in errors for problem in _told(error)]
    return list(dict.fromkeys(problems))  # an instant is wrong by its format and its pattern


def schema_problems(field: FieldDefinition, limits: Limits) -> list[Problem]:
    """A pattern that does not compile, or a default that the field itself refuses."""
    if field.pattern is not None and not is_common(field.pattern):
        return [_NO_PATTERN]
    try:
        validator = _compiled(_property(replace(field, default=None)))
    except ValidationError:
        return [_NO_PATTERN]
    if field.default is None:
        return []
    if problems := json_problems(field.default, limits, "default"):
        return problems
    return [invalid(_message(e), "default") for e in validator.iter_errors(field.default)]


_NO_PATTERN = invalid(
    "Is no regular expression that server and browsers read alike (no lookaround, backreference, "
    f"flag or named group), or is larger than {PATTERN_BYTES:,} bytes with its repetitions "
    "written out.",
    "pattern",
)


@lru_cache(maxsize=1024)
def _validator(
    fields: tuple[FieldDefinition, ...], rules: tuple[ConditionalRule, ...]
) -> Draft202012Validator:
    return _compiled(compile_schema(fields, rules))


def _compiled(schema: dict[str, Any]) -> Draft202012Validator:
    # RegexOptions: the engine without lookaround, whose time is the text's length times the size
    # of the pattern, repetitions written out.
    engine = RegexOptions(size_limit=PATTERN_BYTES)
    return Draft202012Validator(schema, validate_formats=True, pattern_options=engine)


def _property(field: FieldDefinition) -> dict[str, Any]:
    given = {
        "title": field.label or field.name,
        "description": field.help_text,
        "default": field.default,
        "minimum": field.minimum,
        "maximum": field.maximum,
        "minLength": field.min_length,
        "maxLength": field.max_length,
    }
    schema = _kind(field) | {key: value for key, value in given.items() if value is not None}
    if field.pattern is not None:
        schema["allOf"] = [{"pattern": spelled_out(field.pattern)}]
    return schema


def _kind(field: FieldDefinition) -> dict[str, Any]:
    options = list(field.options or ())
    match field.kind:
        case FieldKind.TEXT | FieldKind.LONG_TEXT:
            return {"type": "string"}
        case FieldKind.NUMBER:
            return {"type": "number"}
        case FieldKind.INTEGER:
            return {"type": "integer"}
        case FieldKind.BOOLEAN:
            return {"type": "boolean"}
        case FieldKind.DATE:
            return {"type": "string", "format": "date"}
        case FieldKind.DATETIME:
            return {"type": "string", "format": "date-time", "pattern": _INSTANT}
        case FieldKind.SELECT:
            return {"type": "string", "enum": options}
        case FieldKind.MULTI_SELECT:
            items = {"type": "string", "enum": options}
            return {"type": "array", "items": items, "uniqueItems": True}
        case FieldKind.URL:
            return {"type": "string", "pattern": _URL}
        case FieldKind.EMAIL:
            return {"type": "string", "pattern": _EMAIL}


def _told(error: ValidationError) -> list[Problem]:
    at = tuple(str(step) for step in error.instance_path)
    match error.kind:
        case ValidationErrorKind.Required(property=name):
            return [Problem(UserErrorCode.FIELD_REQUIRED, f"{name} is required.", (name,))]
        case ValidationErrorKind.AdditionalProperties(unexpected=names):
            return [
                Problem(
                    UserErrorCode.FIELD_UNKNOWN, f"The type has no field {name[:100]}.", (name,)
                )
                for name in names
            ]
        case ValidationErrorKind.FalseSchema():
            hidden = f"{at[0]} is hidden by a conditional rule."
            return [Problem(UserErrorCode.FIELD_HIDDEN, hidden, at)]
        case _:
            return [Problem(UserErrorCode.FIELD_INVALID, _message(error), at)]


def _message(error: ValidationError) -> str:
    match error.kind:
        case ValidationErrorKind.Format(format="date-time"):
            return _IN_WORDS[_INSTANT]
        case ValidationErrorKind.Pattern(pattern=pattern) if pattern in _IN_WORDS:
            return _IN_WORDS[pattern]
    message = error.message.replace(NO_LINE_END, ".")
    # The value comes first and may be long; the reason is at the end.
    return message if len(message) <= _LONGEST_MESSAGE else "…" + message[-_LONGEST_MESSAGE:]
