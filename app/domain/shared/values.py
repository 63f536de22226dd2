"""Texts, ids and JSON values from outside: which can be kept, and their canonical form."""

from __future__ import annotations

import json
import math
import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, invalid

# PostgreSQL keeps no U+0000, and UTF-8 no lone surrogate: refused on every database alike.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Unicode's noncharacters: no CloudEvents attribute has them either.
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
)
_CONTROL = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff{_NONCHARACTERS}]")
_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}):(\d{2}(?:\.\d+)?)([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# A body of megabytes may hold a million mistakes; nobody reads them.
_MOST_TOLD = 100


def read_id(text: str) -> UUID | None:
    """The id in its canonical text form; None where the text is no id."""
    return UUID(text) if _ID.fullmatch(text) else None


def read_instant(text: str) -> datetime | None:
    """RFC 3339 text as an instant in UTC; what is finer than a microsecond is cut off.

    A leap second is the last microsecond of its minute. None for any other text, for a day on no
    calendar, a second 60 that ends no month in UTC, and outside the years 0001 to 9999.
    """
    if (found := _INSTANT.fullmatch(text)) is None:
        return None
    minute, second, offset = found.groups()
    leaps = second.startswith("60")
    second = "59.999999" if leaps else second
    try:
        instant = datetime.fromisoformat(f"{minute}:{second[:9]}{offset}".upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return None if leaps and not _ends_month(instant) else instant


def _ends_month(instant: datetime) -> bool:
    """Whether it is in the last minute of a month, where RFC 3339 (5.7) allows a second 60."""
    last_day = monthrange(instant.year, instant.month)[1]
    return (instant.day, instant.hour, instant.minute) == (last_day, 23, 59)


def write_instant(instant: datetime) -> str:
    """The instant in UTC with microseconds, as `2026-04-10T10:30:00.000000Z`."""
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return f"{utc.isoformat(timespec='microseconds')[:26]}Z"


def text_problems(value: str | None, limit: int, *path: str) -> list[Problem]:
    """Free text: up to `limit` characters, all of them storable."""
    if value is None:
        return []
    if len(value) > limit:
        return [invalid(f"Is {len(value):,} characters long; at most {limit:,} are kept.", *path)]
    if found := _UNSTORABLE.search(value):
        return [_uncharacter(found, path)]
    return []


def name_problems(value: str | None, limit: int, *path: str) -> list[Problem]:
    """A name that CloudEvents attributes and indexes can carry: not empty, no control character."""
    return (
        [invalid("Must not be empty.", *path)]
        if value == ""
        else line_problems(value, limit, *path)
    )


def line_problems(value: str | None, limit: int, *path: str) -> list[Problem]:
    """Text on one line: no control character."""
    if value is not None and len(value) <= limit and (found := _CONTROL.search(value)):
        return [_uncharacter(found, path)]
    return text_problems(value, limit, *path)


def on_one_line(text: str) -> str:
    """The text with a blank for each character that no line may have."""
    return _CONTROL.sub(" ", text)


def type_name_problems(value: str | None, limits: Limits, *path: str) -> list[Problem]:
    """The name of an event's type, which filters can tell from a prefix."""
    if value is not None and value.endswith("*"):
        return [invalid("Must not end in '*': in a filter that is a prefix.", *path)]
    return name_problems(value, limits.name, *path)


def object_problems(value: Any, limits: Limits, *path: str) -> list[Problem]:
    """A JSON object, which can be kept."""
    if not isinstance(value, dict):
        return [invalid("Must be a JSON object.", *path)]
    return json_problems(value, limits, *path)


def json_problems(
    value: Any, limits: Limits, *path: str, most_bytes: int | None = None
) -> list[Problem]:
    """What keeps a JSON value from being kept: its depth, characters, numbers and size.

    `most_bytes` is as much as `fields` may have, unless said.
    """
    problems: list[Problem] = []
    for at, depth, here in _walk(value, path):
        if depth > limits.fields_depth and isinstance(here, dict | list):
            return [invalid(f"Is nested deeper than {limits.fields_depth} levels.", *path)]
        if isinstance(here, str) and (found := _UNSTORABLE.search(here)):
            problems.append(_uncharacter(found, at))
        elif isinstance(here, int | float) and not _is_finite(here):
            problems.append(invalid("Must be a finite number.", *map(legible, at)))
        if len(problems) == _MOST_TOLD:
            return problems
    if problems:
        return problems
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    most_bytes = limits.fields_bytes if most_bytes is None else most_bytes
    if size > most_bytes:
        most = f"at most {most_bytes:,} are kept"
        return [invalid(f"Is {size:,} bytes of JSON; {most}.", *path)]
    return []


def canonical_json(value: Any) -> bytes:
    """One text for equal values: keys sorted, 150.0 written as 150."""
    return json.dumps(
        _integral(value), sort_keys=True, ensure_ascii=True, separators=(",", ":")
    ).encode()


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int, Any]]:
    """Every key and leaf with its path and depth, without recursion: input may be deep."""
    waiting = [(path, 1, value)]
    while waiting:
        at, depth, here = waiting.pop()
        if isinstance(here, dict):
            for key, inner in here.items():
                yield (*at, key), depth, key
                waiting.append(((*at, key), depth + 1, inner))
        elif isinstance(here, list):
            waiting.extend(((*at, str(i)), depth + 1, inner) for i, inner in enumerate(here))
        yield at, depth, here


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer that no double can hold
        return False


def _integral(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _integral(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_integral(inner) for inner in value]
    return value


def _uncharacter(found: re.Match[str], path: tuple[str, ...]) -> Problem:
    character = f"U+{ord(found.group()):04X}"
    return invalid(
        f"Character {found.start() + 1} is {character}, which cannot be kept.",
        *map(legible, path),
    )


def legible(step: str) -> str:
    """The step of a path as UTF-8 can carry it."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", step)
