"""Validation and canonical forms of input strings, IDs, instants and JSON values."""

from __future__ import annotations

import json
import math
import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import Any
from uuid import UUID

from app.domain.shared.exact_decimals import ExactDecimal, canonicalize_decimal, encode_exactly
from app.domain.shared.json_encoding import encode_json
from app.domain.shared.limits import Limits
from app.domain.shared.messages import format_place, format_subject, limit_message
from app.domain.shared.problems import Problem, invalid_input

# PostgreSQL cannot store U+0000, nor UTF-8 a lone surrogate: rejected on every database alike.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CANONICAL_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False)
# Unicode's noncharacters, which CloudEvents attributes must not contain.
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
)
_CONTROL = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff{_NONCHARACTERS}]")
_INSTANT_PATTERN = re.compile(
    r"(\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}):(\d{2}(?:\.\d+)?)([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
# The characters that \s matches in ECMAScript, and NEL, which it matches in jsonschema-rs.
WHITESPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
NON_BLANK_PATTERN = (
    r"[^\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
)
# What an error message expects instead of an invalid time.
EXPECTED_INSTANT = "an RFC 3339 timestamp with a UTC offset or Z, such as 2026-04-10T10:30:00Z"
_ID_PATTERN = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# A body of several megabytes may contain a million errors.
_MAX_PROBLEMS = 100


def to_camel_case(name: str) -> str:
    """Returns the API name of an attribute."""
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)


def parse_id(text: str) -> UUID | None:
    """Parses a UUID in canonical form. None for any other text."""
    return UUID(text) if _ID_PATTERN.fullmatch(text) else None


def parse_instant(text: str) -> datetime | None:
    """Parses an RFC 3339 timestamp as UTC, truncated to microseconds.

    A leap second becomes the last microsecond of its minute. None for any other text, for a day
    that does not exist, for a second 60 that is not the last of a month in UTC, and for an instant
    outside the years 0001 to 9999.
    """
    if (match := _INSTANT_PATTERN.fullmatch(text)) is None:
        return None
    minute, second, offset = match.groups()
    is_leap_second = second.startswith("60")
    second = "59.999999" if is_leap_second else second
    try:
        instant = datetime.fromisoformat(f"{minute}:{second[:9]}{offset}".upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return None if is_leap_second and not _is_last_minute_of_month(instant) else instant


def _is_last_minute_of_month(instant: datetime) -> bool:
    """Whether RFC 3339 (5.7) allows a second 60 in this minute."""
    last_day = monthrange(instant.year, instant.month)[1]
    return (instant.day, instant.hour, instant.minute) == (last_day, 23, 59)


def normalize_instant(text: str) -> str:
    """Writes an RFC 3339 timestamp in UTC, with all its digits. Returns other text unchanged."""
    instant = parse_instant(text)
    match = _INSTANT_PATTERN.fullmatch(text)
    if instant is None or match is None:
        return text
    second = match.group(2)
    if "." in second:
        second = second.rstrip("0").rstrip(".")
    return f"{instant.isoformat(timespec='minutes')[:16]}:{second}Z"


def is_blank(value: Any) -> bool:
    """Whether a value is a string without a character other than whitespace, or an empty list."""
    if isinstance(value, str):
        return not value.strip(WHITESPACE)
    return isinstance(value, list) and not value


@lru_cache(maxsize=1024)  # the events of a call have the time of the call, in several attributes
def format_instant(instant: datetime) -> str:
    """Formats an instant in UTC with microseconds: `2026-04-10T10:30:00.000000Z`."""
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return f"{utc.isoformat(timespec='microseconds')[:26]}Z"


def to_json_value(value: Any) -> Any:
    """Returns an instant, an enum member or an ID as text, and any other value as it is."""
    match value:
        case datetime():
            return format_instant(value)
        case Enum():
            return value.name
        case UUID():
            return str(value)
    return value


def validate_text(value: str | None, limit: int, *path: str) -> list[Problem]:
    """Validates free text: at most `limit` characters, all of which can be stored."""
    if value is None:
        return []
    if len(value) > limit:
        message = limit_message(limit, "character", format_place(path), len(value))
        return [invalid_input(message, *path)]
    # Characters that cannot be stored are not printable: most texts need no search.
    if not value.isprintable() and (match := _UNSTORABLE.search(value)):
        return [_character_problem(match, path)]
    return []


def validate_name(value: str | None, limit: int, *path: str) -> list[Problem]:
    """Validates a name: not empty, and on one line, as CloudEvents requires of attributes."""
    return (
        [invalid_input(f"{format_subject(path)} must not be empty.", *path)]
        if value == ""
        else validate_line(value, limit, *path)
    )


def validate_line(value: str | None, limit: int, *path: str) -> list[Problem]:
    """Validates text on one line: no control characters."""
    if (
        value is not None
        and len(value) <= limit
        and not value.isprintable()
        and (match := _CONTROL.search(value))
    ):
        return [_character_problem(match, path)]
    return validate_text(value, limit, *path)


def replace_control_characters(text: str) -> str:
    """Replaces each character that `validate_line` rejects with a space."""
    return _CONTROL.sub(" ", text)


def validate_type_name(value: str | None, limits: Limits, *path: str) -> list[Problem]:
    """Validates the name of an event type, which filters must not mistake for a prefix."""
    if value is not None and value.endswith("*"):
        message = f"{format_subject(path)} must not end in '*', which marks a prefix in filters."
        return [invalid_input(message, *path)]
    return validate_name(value, limits.name_characters, *path)


def validate_json_object(value: Any, limits: Limits, *path: str) -> list[Problem]:
    """Validates that a value is a JSON object that can be stored."""
    if not isinstance(value, dict):
        return [invalid_input(f"{format_subject(path)} must be a JSON object.", *path)]
    return validate_json(value, limits, *path)


def validate_json(
    value: Any, limits: Limits, *path: str, max_bytes: int | None = None
) -> list[Problem]:
    """Validates the depth, characters, numbers and size of a JSON value.

    `max_bytes` defaults to the limit of `fields`.
    """
    max_bytes = limits.fields_bytes if max_bytes is None else max_bytes
    if _estimate_size(value, limits.fields_depth) <= max_bytes:
        return []
    problems: list[Problem] = []
    for item_path, depth, item in _iterate_values(value, path):
        if depth > limits.fields_depth and isinstance(item, dict | list):
            message = (
                f"The value is nested deeper than the maximum of {limits.fields_depth} levels."
            )
            return [invalid_input(message, *path)]
        if isinstance(item, str) and (match := _UNSTORABLE.search(item)):
            problems.append(_character_problem(match, item_path))
        elif isinstance(item, int | float) and not _is_finite(item):
            message = (
                "The number must be finite and within the range of a double-precision number "
                "(about ±1.8e308)."
            )
            problems.append(invalid_input(message, *map(replace_unstorable, item_path)))
        if len(problems) == _MAX_PROBLEMS:
            return problems
    if problems:
        return problems
    size = len(encode_json(value).encode())
    if size > max_bytes:
        message = limit_message(
            max_bytes, "byte of JSON", "the value", size, plural="bytes of JSON"
        )
        return [invalid_input(message, *path)]
    return []


def canonical_json(value: Any, *, exact: bool = False) -> bytes:
    """Serializes equal values to equal bytes: keys sorted, 150.0 written as 150.

    With `exact`, decimal numbers are equal if all their digits are. Otherwise, they are compared as
    doubles.
    """
    if not exact:
        return _CANONICAL_ENCODER.encode(_normalize_numbers(value, _to_integer)).encode()
    normalized = _normalize_numbers(value, canonicalize_decimal)
    return encode_exactly(_CANONICAL_ENCODER.encode, normalized).encode()


def _estimate_size(value: Any, max_depth: int) -> float:
    """Returns at least the bytes of a JSON value. Infinity if it may not be storable, or unusual.

    Most values need no closer look, which takes ten times as long.
    """
    size, depth, items = 0, 1, [value]
    while items:
        members: list[Any] = []
        for item in items:
            kind = type(item)
            if kind is str:
                if not item.isprintable():
                    return math.inf
                size += 4 * len(item) + 4
            elif kind is float:
                if not math.isfinite(item):
                    return math.inf
                size += 26
            elif kind is int:
                if item.bit_length() > 64:
                    return math.inf
                size += 22
            elif kind is bool or item is None:
                size += 6
            elif depth > max_depth:
                return math.inf
            elif kind is dict:
                size += 3
                members += item
                members += item.values()
            elif kind is list:
                size += 3
                members += item
            else:
                return math.inf
        items = members
        depth += 1
    return size


def _iterate_values(
    value: Any, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], int, Any]]:
    """Yields path, depth and value of every key and value. Not recursive: input may be deep."""
    stack = [(path, 1, value)]
    while stack:
        item_path, depth, item = stack.pop()
        if isinstance(item, dict):
            for key, child in item.items():
                yield (*item_path, key), depth, key
                stack.append(((*item_path, key), depth + 1, child))
        elif isinstance(item, list):
            stack.extend(
                ((*item_path, str(index)), depth + 1, child) for index, child in enumerate(item)
            )
        yield item_path, depth, item


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer that no double can hold
        return False


def _to_integer(number: float) -> float:
    return int(number) if number.is_integer() else number


def _normalize_numbers(value: Any, convert: Callable[[float], float]) -> Any:
    """Converts the decimal numbers that may be equal to a number with another notation."""
    if type(value) is str:
        return value
    if isinstance(value, float) and (value.is_integer() or isinstance(value, ExactDecimal)):
        return convert(value)
    if isinstance(value, dict):
        return {key: _normalize_numbers(item, convert) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_normalize_numbers(item, convert) for item in value]
    return value


def _character_problem(match: re.Match[str], path: tuple[str, ...]) -> Problem:
    character = f"U+{ord(match.group()):04X}"
    return invalid_input(
        f"Character {match.start() + 1} is {character}, which is not allowed. Remove the "
        "character.",
        *map(replace_unstorable, path),
    )


def replace_unstorable(text: str) -> str:
    """Replaces characters that cannot be stored or encoded in UTF-8."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
