"""The fields and conditional rules of an event type as JSON Schema 2020-12 or draft-07.

The server validates resolved values with the same schema. A field that is not required may also be
null, which means absent: the server removes it before validation. A required field must not be
blank. Only keywords that Ajv 8 and jsonschema-rs evaluate alike are used, which mean the same in
both drafts. Therefore custom patterns must compile without lookaround or backreferences. Form
libraries choose an input by the formats `email` and `uri`, and validate them with ajv-formats: the
patterns beside them accept no value on which ajv-formats and jsonschema-rs differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from functools import lru_cache
from typing import Any

from jsonschema_rs import (
    Draft202012Validator,
    RegexOptions,
    ValidationError,
    ValidationErrorKind,
)

from app.domain.event_types.condition_schemas import build_field_conditions
from app.domain.event_types.conditions import ConditionalRule, is_conditionally_visible
from app.domain.event_types.fields import AdditionalFields, FieldDefinition, FieldKind
from app.domain.event_types.instants import INSTANT_PATTERN
from app.domain.event_types.patterns import NON_LINE_TERMINATOR, expand_dots, is_portable_pattern
from app.domain.shared.exact_decimals import ExactDecimal, round_decimals
from app.domain.shared.limits import Limits
from app.domain.shared.messages import (
    format_choices,
    format_count,
    quote_value,
    unknown_field_message,
)
from app.domain.shared.problems import Problem, UserErrorCode, invalid_input
from app.domain.shared.values import (
    EXPECTED_INSTANT,
    NON_BLANK_PATTERN,
    is_blank,
    validate_json,
)


class JsonSchemaDraft(Enum):
    DRAFT_2020_12 = "DRAFT_2020_12"
    DRAFT_07 = "DRAFT_07"


_DIALECTS = {
    JsonSchemaDraft.DRAFT_2020_12: "https://json-schema.org/draft/2020-12/schema",
    JsonSchemaDraft.DRAFT_07: "http://json-schema.org/draft-07/schema#",
}
# Scheme, then an authority with a host or a path. The format validates the characters.
_URL_PATTERN = (
    "^[A-Za-z][A-Za-z0-9+.-]*://"
    r"(?:(?:[^/?#@\[\]\s]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^/?#@:\[\]\s]+)(?::[0-9]*)?(?:[/?#][^\s]*)?"
    r"|/[^\s]*)$"
)
_EMAIL_WORD = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOMAIN_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_EMAIL_PATTERN = f"^{_EMAIL_WORD}(?:[.]{_EMAIL_WORD})*@(?:{_DOMAIN_LABEL}[.])+{_DOMAIN_LABEL}$"
MAX_PATTERN_BYTES = 262_144
_EXPECTED_URL = (
    "an absolute URL such as https://example.com/a, in which spaces, brackets and characters that "
    "are not ASCII are percent-encoded"
)
_EXPECTED_BY_PATTERN = {
    _URL_PATTERN: _EXPECTED_URL,
    _EMAIL_PATTERN: "an email address such as name@example.com, in ASCII characters",
    INSTANT_PATTERN: EXPECTED_INSTANT,
    NON_BLANK_PATTERN: "a string that is not blank",
}
_EXPECTED_BY_FORMAT = {
    "date": "a date such as 2026-04-10",
    "date-time": EXPECTED_INSTANT,
    "uri": _EXPECTED_URL,
}
_TYPE_NAMES = {
    "string": "a string",
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "a list of strings",
}


def compile_schema(
    fields: Sequence[FieldDefinition],
    rules: Sequence[ConditionalRule] = (),
    additional_fields: AdditionalFields = AdditionalFields.REFUSE,
    draft: JsonSchemaDraft = JsonSchemaDraft.DRAFT_2020_12,
) -> dict[str, Any]:
    """Returns the JSON Schema of `Event.fields` for the given fields and conditional rules."""
    required = [
        field.name
        for field in fields
        if field.required and not is_conditionally_visible(rules, field.name)
    ]
    schema: dict[str, Any] = {
        "$schema": _DIALECTS[draft],
        "type": "object",
        "properties": {
            field.name: _property_schema(field, required=field.name in required) for field in fields
        },
        "required": required,
    }
    # Without the keyword (DROP), any name is valid. Forms offer to add properties if it is true.
    if additional_fields is not AdditionalFields.DROP:
        schema["additionalProperties"] = additional_fields is AdditionalFields.KEEP
    if conditions := list(build_field_conditions(fields, rules)):
        schema["allOf"] = conditions
    return schema


def validate_values(
    fields: tuple[FieldDefinition, ...],
    values: Mapping[str, Any],
    rules: tuple[ConditionalRule, ...] = (),
    additional_fields: AdditionalFields = AdditionalFields.REFUSE,
) -> list[Problem]:
    """Validates resolved values. Paths start with the name of the field."""
    errors = list(_cached_validator(fields, rules, additional_fields).iter_errors(values))
    if not errors:
        return []
    by_name = {field.name: field for field in fields}
    problems = [problem for error in errors for problem in _to_problems(error, by_name)]
    required = {name for name, field in by_name.items() if field.required}.union(
        problem.path[0] for problem in problems if problem.code is UserErrorCode.FIELD_REQUIRED
    )
    problems = [
        # A blank value of a required field may also be invalid for the kind of the field.
        _blank_problem(problem.path[0], values[problem.path[0]])
        if problem.code is UserErrorCode.FIELD_INVALID
        and problem.path[0] in required
        and is_blank(values[problem.path[0]])
        else problem
        for problem in problems
    ]
    # An invalid instant violates both its format and its pattern.
    return list(dict.fromkeys(problems))


def validate_field_schema(field: FieldDefinition, limits: Limits) -> list[Problem]:
    """Validates that the pattern compiles and that the default is a valid value."""
    if field.pattern is not None and not is_portable_pattern(field.pattern):
        return [_INVALID_PATTERN]
    try:
        schema = _property_schema(replace(field, default=None), required=field.required)
        validator = _compile_validator(schema)
    except ValidationError:
        return [_INVALID_PATTERN]
    if field.default is None:
        return []
    if problems := validate_json(field.default, limits, "default"):
        return problems
    problems = [
        invalid_input(_format_message(error, field), "default")
        for error in validator.iter_errors(round_decimals(field.default))
    ]
    if not problems and isinstance(field.default, ExactDecimal):
        if field.kind is FieldKind.INTEGER:
            return [invalid_input(fraction_message(field.default), "default")]
        message = (
            f"The number {field.default.digits[:100]} has more digits than a double-precision "
            f"number can hold (about 16). Use {quote_value(float(field.default))}, or a field of "
            "kind TEXT with a string, which keeps all digits."
        )
        problems = [invalid_input(message, "default")]
    return problems


def fraction_message(number: ExactDecimal) -> str:
    """Returns the message for the value of an INTEGER field, which only its double satisfies."""
    return f"Invalid value {number.digits[:100]}: expected {_TYPE_NAMES['integer']}."


_INVALID_PATTERN = invalid_input(
    "pattern must be a regular expression that the server and browsers interpret in the same "
    "way: without lookaround, backreferences, flags or named groups. With its repetitions "
    f"expanded, the pattern must have at most {MAX_PATTERN_BYTES:,} bytes.",
    "pattern",
)


@lru_cache(maxsize=1024)
def _cached_validator(
    fields: tuple[FieldDefinition, ...],
    rules: tuple[ConditionalRule, ...],
    additional_fields: AdditionalFields,
) -> Draft202012Validator:
    return _compile_validator(compile_schema(fields, rules, additional_fields))


def _compile_validator(schema: dict[str, Any]) -> Draft202012Validator:
    # RegexOptions selects the engine without lookaround. Its time is proportional to the length of
    # the text times the size of the pattern with its repetitions expanded.
    engine = RegexOptions(size_limit=MAX_PATTERN_BYTES)
    # The pattern of an email address is sufficient; the format would add limits of length.
    formats = {"email": lambda _: True}
    return Draft202012Validator(
        round_decimals(schema), validate_formats=True, formats=formats, pattern_options=engine
    )


def _property_schema(field: FieldDefinition, *, required: bool) -> dict[str, Any]:
    keywords = {
        "title": field.label or field.name,
        "description": field.help_text,
        "x-unit": field.unit,
        "default": field.default,
        "minimum": field.minimum,
        "maximum": field.maximum,
        "minLength": field.min_length,
        "maxLength": field.max_length,
    }
    schema = _kind_schema(field, required=required) | {
        key: value for key, value in keywords.items() if value is not None
    }
    if not required:
        schema["type"] = [schema["type"], "null"]
    if field.pattern is not None:
        schema["allOf"] = [{"pattern": expand_dots(field.pattern)}]
    return schema


def _kind_schema(field: FieldDefinition, *, required: bool) -> dict[str, Any]:
    """Returns the schema of the kind. That of a required field excludes blank values."""
    options = list(field.options or ())
    match field.kind:
        case FieldKind.TEXT | FieldKind.LONG_TEXT:
            return {"type": "string"} | ({"pattern": NON_BLANK_PATTERN} if required else {})
        case FieldKind.NUMBER:
            return {"type": "number"}
        case FieldKind.INTEGER:
            return {"type": "integer"}
        case FieldKind.BOOLEAN:
            return {"type": "boolean"}
        case FieldKind.DATE:
            return {"type": "string", "format": "date"}
        case FieldKind.DATETIME:
            return {"type": "string", "format": "date-time", "pattern": INSTANT_PATTERN}
        case FieldKind.SELECT if field.labels:
            # The first choice is none, also of a required field, for which it is invalid:
            # react-jsonschema-form preselects the first one.
            none = {"const": None, "title": "(none)"}
            return {"type": "string", "oneOf": [none, *_labelled_options(field)]}
        case FieldKind.SELECT if required:
            return {"type": "string", "enum": [name for name in options if not is_blank(name)]}
        case FieldKind.SELECT:
            return {"type": "string", "enum": [*options, None]}
        case FieldKind.MULTI_SELECT:
            choices = {"oneOf": _labelled_options(field)} if field.labels else {"enum": options}
            items = {"type": "string"} | choices
            schema = {"type": "array", "items": items, "uniqueItems": True}
            return schema | ({"minItems": 1} if required else {})
        case FieldKind.URL:
            return {"type": "string", "format": "uri", "pattern": _URL_PATTERN}
        case FieldKind.EMAIL:
            return {"type": "string", "format": "email", "pattern": _EMAIL_PATTERN}


def _labelled_options(field: FieldDefinition) -> list[dict[str, Any]]:
    labels = field.labels or {}
    return [{"const": name, "title": labels.get(name, name)} for name in field.options or ()]


def _blank_problem(name: str, value: Any) -> Problem:
    if isinstance(value, list):
        reason, correction = "an empty list", "list with at least one element"
    else:
        reason = f"{quote_value(value)}, which is blank"
        correction = "string with a character that is not whitespace"
    message = (
        f"Field {quote_value(name)} is required, but its value is {reason}. Send a {correction}."
    )
    return Problem(UserErrorCode.FIELD_REQUIRED, message, (name,))


def _to_problems(error: ValidationError, fields: Mapping[str, FieldDefinition]) -> list[Problem]:
    path = tuple(str(step) for step in error.instance_path)
    match error.kind:
        case ValidationErrorKind.Required(property=name):
            return [
                Problem(
                    UserErrorCode.FIELD_REQUIRED, f"Field {quote_value(name)} is required.", (name,)
                )
            ]
        case ValidationErrorKind.AdditionalProperties(unexpected=names):
            return [
                Problem(UserErrorCode.FIELD_UNKNOWN, unknown_field_message(name), (name,))
                for name in names
            ]
        case ValidationErrorKind.FalseSchema():
            hidden = (
                f"Field {quote_value(path[0])} is hidden by a conditional rule. Omit the field."
            )
            return [Problem(UserErrorCode.FIELD_HIDDEN, hidden, path)]
        case ValidationErrorKind.Pattern(pattern=pattern) if pattern == NON_BLANK_PATTERN:
            return [_blank_problem(path[0], error.instance)]
        case ValidationErrorKind.MinItems():
            return [_blank_problem(path[0], error.instance)]
        case _:
            message = _format_message(error, fields[path[0]])
            return [Problem(UserErrorCode.FIELD_INVALID, message, path)]


def _format_message(error: ValidationError, field: FieldDefinition) -> str:
    expected = _describe_expected(error.kind, field)
    return f"Invalid value {quote_value(error.instance)}: expected {expected}."


def _format_limit(limit: object) -> str:
    """Formats a limit as its author wrote it: whole numbers without `.0`."""
    if isinstance(limit, float) and limit.is_integer() and abs(limit) < 2**53:
        return quote_value(int(limit))
    return quote_value(limit)


def _describe_expected(kind: ValidationErrorKind, field: FieldDefinition) -> str:
    """Describes the values of the field that the violated keyword allows."""
    match kind:
        case ValidationErrorKind.Type(types=types):
            return _TYPE_NAMES[next(name for name in types if name != "null")]
        case ValidationErrorKind.Enum() | ValidationErrorKind.OneOfNotValid():
            return format_choices(field.options or ())
        case ValidationErrorKind.MinItems():
            return "a list with at least one option"
        case ValidationErrorKind.Minimum(limit=limit):
            return f"a number that is at least {_format_limit(limit)}"
        case ValidationErrorKind.Maximum(limit=limit):
            return f"a number that is at most {_format_limit(limit)}"
        case ValidationErrorKind.MinLength(limit=limit):
            return f"at least {format_count(limit, 'character')}"
        case ValidationErrorKind.MaxLength(limit=limit):
            return f"at most {format_count(limit, 'character')}"
        case ValidationErrorKind.UniqueItems():
            return "each option at most once"
        case ValidationErrorKind.Format(format=format):
            return _EXPECTED_BY_FORMAT[format]
        case ValidationErrorKind.Pattern(pattern=pattern) if pattern in _EXPECTED_BY_PATTERN:
            return _EXPECTED_BY_PATTERN[pattern]
        case ValidationErrorKind.Pattern(pattern=pattern):
            shown_pattern = quote_value(pattern.replace(NON_LINE_TERMINATOR, "."))
            return f"a string that matches the pattern {shown_pattern}"
    return f"a value that satisfies the keyword {kind.name} of the JSON Schema"
