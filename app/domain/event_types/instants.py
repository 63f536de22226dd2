"""The order of instants in DATETIME fields, in two equivalent forms: in memory, and in JSON Schema.

An instant has several notations, with different UTC offsets. Keywords for the order of formats
(`formatMinimum`) are no alternative: ajv-formats 2, which form libraries use, ignores the offset,
and ajv-formats 3 the digits after the milliseconds. Therefore the order is expressed by patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

# The format "date-time" alone would allow a space instead of T, leap seconds and the year 0.
_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_HOUR_AND_MINUTE = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
INSTANT_PATTERN = (
    f"^{_YEAR}-[0-9]{{2}}-[0-9]{{2}}T{_HOUR_AND_MINUTE}:[0-5][0-9]([.][0-9]{{1,9}})?"
    f"(Z|[+-]{_HOUR_AND_MINUTE})$"
)
_INSTANT = re.compile(INSTANT_PATTERN)
_MINUTES_PER_DAY = 1440
_FRACTION_DIGITS = 6
_MICROSECOND_LENGTH = len("00.") + _FRACTION_DIGITS


@dataclass(frozen=True, order=True)
class Instant:
    """An instant: the minute in UTC, and the second as text, truncated to microseconds.

    Filters and guard rules compare microseconds, too.
    """

    minute: int
    second: str


def parse_field_instant(value: Any) -> Instant | None:
    """Parses the value of a DATETIME field. None if it is invalid."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        return None
    try:
        day = date.fromisoformat(value[:10]).toordinal()
    except ValueError:
        return None
    local, offset = (value[:-1], 0) if value.endswith("Z") else (value[:-6], _offset(value[-6:]))
    minute = day * _MINUTES_PER_DAY + int(value[11:13]) * 60 + int(value[14:16]) - offset
    second = local[17 : 17 + _MICROSECOND_LENGTH]
    return Instant(minute, second.rstrip("0").rstrip(".") if "." in second else second)


def _offset(text: str) -> int:
    minutes = int(text[1:3]) * 60 + int(text[4:])
    return minutes if text[0] == "+" else -minutes


def build_instant_schema(bound: str, *, later: bool, inclusive: bool) -> dict[str, Any]:
    """Returns the JSON Schema of instants after the bound if `later`, else before it.

    `inclusive`: or at the bound. The schema has about 22 KB.
    """
    cases = _later_cases(bound, inclusive=inclusive is later)
    order = {"anyOf": cases} if later else {"not": {"anyOf": cases}}
    return {"type": "string", "format": "date-time", "pattern": INSTANT_PATTERN} | order


@lru_cache(maxsize=256)
def _later_cases(bound: str, *, inclusive: bool) -> list[dict[str, Any]]:
    """Returns the cases in which an instant is after the bound, or at it if `inclusive`.

    With the whole hours `q` and the minutes `e` by which a value differs from the bound (each from
    its own digits, so that `e` may be negative or more than an hour), it is later by `60q + e`.
    """
    instant = parse_field_instant(bound)
    if instant is None:
        raise ValueError(f"Invalid instant {bound!a}.")
    day, minute_of_day = divmod(instant.minute, _MINUTES_PER_DAY)
    hour, minute = divmod(minute_of_day, 60)
    second = _second_pattern(instant.second, inclusive=inclusive)

    cases: list[dict[str, Any]] = [{"pattern": _later_date_pattern(day + 1)}]
    for sign in (1, -1):
        # For a positive offset, -118 <= e <= 59; for a negative one, -59 <= e <= 118.
        certain = 2 if sign > 0 else 1
        cases.append({"pattern": _hour_pattern(day, hour, sign, range(certain, 99))})
        for q in (certain - 1, certain - 2):
            same_hour = {"pattern": _hour_pattern(day, hour, sign, range(q, q + 1))}
            later = {"pattern": _minute_pattern(minute, sign, range(1 - 60 * q, 119))}
            same = {"pattern": _minute_pattern(minute, sign, range(-60 * q, 1 - 60 * q))}
            cases.append({"allOf": [same_hour, later]})
            cases.append({"allOf": [same_hour, same, {"pattern": second}]})
    return cases


def _hour_pattern(day: int, hour: int, sign: int, differences: range) -> str:
    """Matches dates and hours around the bound, with the offset hours of these differences `q`."""
    alternatives = []
    for distance in (-1, 0, 1):
        if not 1 <= day + distance <= date.max.toordinal():
            continue
        hours = []
        for value in range(24):
            offsets = [
                offset
                for offset in range(24)
                if 24 * distance + value - sign * offset - hour in differences
            ]
            if offsets:
                hours.append(f"{value:02}:[0-9:.]*{_offset_pattern(sign, offsets, ':')}")
        if hours:
            text = date.fromordinal(day + distance).isoformat()
            alternatives.append(f"{text}T(?:{'|'.join(hours)})")
    return f"^(?:{'|'.join(alternatives)})" if alternatives else _NOTHING


def _minute_pattern(minute: int, sign: int, differences: range) -> str:
    """Matches minutes, with the offset minutes of these differences `e`."""
    alternatives = []
    for value in range(60):
        offsets = [offset for offset in range(60) if value - sign * offset - minute in differences]
        if offsets:
            offset = _offset_pattern(sign, offsets, "$", "[0-9]{2}:")
            alternatives.append(f"{value:02}:[0-9.]*{offset}")
    return f"^[0-9T-]{{13}}:(?:{'|'.join(alternatives)})" if alternatives else _NOTHING


# No instant begins like this. Some engines reject an empty class.
_NOTHING = "^nothing"


def _offset_pattern(sign: int, numbers: list[int], end: str, prefix: str = "") -> str:
    """Matches an offset with this sign and one of the numbers, which are consecutive."""
    pattern = f"[{'+' if sign > 0 else '-'}]{prefix}{_range_pattern(numbers)}{end}"
    return f"(?:Z|{pattern})" if sign > 0 and numbers[0] == 0 else pattern


def _range_pattern(numbers: list[int]) -> str:
    """Matches the two digits of consecutive numbers."""
    by_tens: dict[int, list[int]] = {}
    for number in numbers:
        by_tens.setdefault(number // 10, []).append(number % 10)
    parts = [
        f"{tens}{ones[0]}" if len(ones) == 1 else f"{tens}[{ones[0]}-{ones[-1]}]"
        for tens, ones in by_tens.items()
    ]
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


def _later_date_pattern(day: int) -> str:
    """Matches dates after the day, by the first digit that differs."""
    if day >= date.max.toordinal():
        return _NOTHING
    bound = date.fromordinal(day).isoformat()
    return f"^(?:{'|'.join(_greater_digits(bound))})"


def _greater_digits(bound: str) -> Iterator[str]:
    """Yields patterns of the texts that are greater by the first digit that differs."""
    for position, digit in enumerate(bound):
        if digit.isdigit() and digit != "9":
            yield f"{bound[:position]}[{int(digit) + 1}-9]"


def _second_pattern(second: str, *, inclusive: bool) -> str:
    """Matches seconds after the second. `second` has no zeros at the end of its fraction.

    The digits of a value after those of the microsecond are ignored.
    """
    whole, _, fraction = second.partition(".")
    more_digits = _FRACTION_DIGITS - len(fraction)
    seconds = [f"{each}[0-9.]*" for each in _greater_digits(whole)]
    seconds += [f"{whole}[.]{each}[0-9]*" for each in _greater_digits(fraction)]
    if more_digits:
        seconds.append(f"{whole}[.]{fraction}0{{0,{more_digits - 1}}}[1-9][0-9]*")
    if inclusive:
        equal = f"[.]{fraction}(?:0{{0,{more_digits}}}|0{{{more_digits}}}[0-9]*)"
        seconds.append(f"{whole}{equal}" if fraction else f"{whole}(?:{equal})?")
    return f"^[0-9T:-]{{17}}(?:{'|'.join(seconds)})(?:Z|[+-])"
