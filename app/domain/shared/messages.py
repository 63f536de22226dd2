"""Parts of messages that many problems share, so that the same fact always reads the same."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

_MAX_SHOWN_LENGTH = 100
_MAX_LISTED_CHOICES = 10


def quote_value(value: Any) -> str:
    """Returns a JSON value for a message: at most 100 characters, nothing that needs escaping."""
    if isinstance(value, str):
        is_shown = len(value) <= _MAX_SHOWN_LENGTH
        return repr(value if is_shown else f"{value[:_MAX_SHOWN_LENGTH]}…")
    if isinstance(value, dict):
        return "{…}" if value else "{}"
    if isinstance(value, list | tuple):
        return "[…]" if value else "[]"
    return json.dumps(value)[:_MAX_SHOWN_LENGTH]


def invalid_id_message(text: str) -> str:
    return f"Invalid ID {text[:_MAX_SHOWN_LENGTH]!a}: expected a UUID."


def quote_names(names: list[str]) -> str:
    """Returns names for a message: `'a', 'b'`."""
    return ", ".join(map(quote_value, names))


def join_names(names: Sequence[str]) -> str:
    """Returns names for a message, at most 10: `a, b`."""
    names_left = len(names) - _MAX_LISTED_CHOICES
    listed = ", ".join(names[:_MAX_LISTED_CHOICES])
    return f"{listed} and {names_left:,} more" if names_left > 0 else listed


def format_choices(values: Sequence[Any]) -> str:
    """Returns the allowed values for a message, at most 10: `one of 'a', 'b'`."""
    names = ", ".join(map(quote_value, values[:_MAX_LISTED_CHOICES]))
    more = len(values) - _MAX_LISTED_CHOICES
    return f"one of {names} or {more:,} more" if more > 0 else f"one of {names}"


def unknown_option_message(value: Any, field: str, options: Sequence[str]) -> str:
    """Returns the message for a value that is none of the options of a field."""
    expected = f": expected {format_choices(options)}" if options else ""
    return f"Unknown option {quote_value(value)} of field {quote_value(field)}{expected}."


def format_count(count: int, noun: str, plural: str | None = None) -> str:
    """Returns a number with its noun: `1 event`, `1,000 events`."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def limit_message(
    limit: int, noun: str, owner: str, count: int, *, plural: str | None = None
) -> str:
    """Returns the message for a limit that `owner` exceeds."""
    verb = "is" if limit == 1 else "are"
    return f"At most {format_count(limit, noun, plural)} {verb} allowed; {owner} has {count:,}."


def format_place(path: tuple[str, ...]) -> str:
    """Returns the place of a value as the subject of a sentence: `tags[3]`, or `the value`."""
    place = ""
    for step in path:
        if step.isdigit() and place:
            place += f"[{step}]"
        else:
            place += f".{step}" if place else step
    return place or "the value"


def format_subject(path: tuple[str, ...]) -> str:
    """Returns the place of a value for the beginning of a sentence."""
    return format_place(path) if path else "The value"


def unknown_field_message(name: str) -> str:
    return f"Unknown field {quote_value(name)}: the event type has no such field."


def null_message(name: str) -> str:
    """Returns the message for an explicit null in an update."""
    return f"{name} must not be null. Omit it to keep the current value."


def locate_message(path: tuple[str, ...], message: str) -> str:
    """Returns a message that names its place, for readers who do not see the path otherwise."""
    if not path or re.search(rf"(?<!\w){re.escape(format_place(path))}(?!\w)", message):
        return message
    return f"{'.'.join(path)}: {message}"
