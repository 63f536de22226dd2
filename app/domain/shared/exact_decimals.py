"""Decimal numbers with more digits than a double holds.

JSON decoders use `parse_decimal`, and `encode_json` uses `encode_exactly`, so that free-form data
goes out with the digits that it came in with. In comparisons and calculations, such a number is the
nearest double.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

# A decimal number with at most 15 digits survives as a double.
_MAX_SAFE_LENGTH = 16
# In the place of a number in JSON. It is random, so that no text in the JSON can contain it.
_MARK = secrets.token_hex(16)
_CONTAINERS = {dict, list, tuple}
_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?", re.ASCII)
_MARKED_DIGITS = re.compile(f'"{_MARK}([^"]*)"')


class ExactDecimal(float):
    """The double that is nearest to a number, and the digits of the number as they were given."""

    digits: str


def parse_decimal(text: str) -> float:
    """Parses a decimal number, as an ExactDecimal if a double loses digits."""
    number = float(text)
    if len(text) <= _MAX_SAFE_LENGTH and "e" not in text and "E" not in text:
        return number
    if not isfinite(number) or _is_equal(text, number):
        return number
    exact = ExactDecimal(number)
    exact.digits = text
    return exact


def _is_equal(text: str, number: float) -> bool:
    if (shortest := repr(number)) == text:
        return True
    try:
        return Decimal(text) == Decimal(shortest)
    except InvalidOperation:  # the exponent is too small even for a Decimal
        return False


def canonicalize_decimal(number: float) -> float:
    """Returns an integer or an ExactDecimal that is the same for equal numbers.

    All digits count. The number must be finite. An exponent of thousands of digits is returned as
    it is.
    """
    text = number.digits if isinstance(number, ExactDecimal) else repr(number)
    if (match := _NUMBER.fullmatch(text)) is None:
        return number
    sign, whole, fraction, exponent = match.groups("")
    significant = (whole + fraction).rstrip("0")
    zeros = len(whole) + len(fraction) - len(significant)
    significant = significant.lstrip("0")
    if not significant:
        return 0
    try:
        power = int(exponent or "0") - len(fraction) + zeros
        digits = f"{sign}{significant}e{power}"
    except ValueError:  # Python converts at most 4,300 digits
        return number
    if power >= 0:
        return int(f"{sign}{significant}{'0' * power}")
    exact = ExactDecimal(number)
    exact.digits = digits
    return exact


def has_exact_decimals(value: Any) -> bool:
    """Whether a JSON value contains an ExactDecimal."""
    # No recursion: the value may be nested too deeply to be stored.
    waiting: list[Collection[Any]] = [(value,)]
    while waiting:
        items = waiting.pop()
        kinds = set(map(type, items))
        if ExactDecimal in kinds:
            return True
        if not kinds.isdisjoint(_CONTAINERS):
            waiting += [
                item.values() if type(item) is dict else item
                for item in items
                if type(item) in _CONTAINERS
            ]
    return False


def find_exact_decimals(value: Any, *path: str) -> Iterator[tuple[tuple[str, ...], ExactDecimal]]:
    """Yields each ExactDecimal in a JSON value with its path, in order."""
    waiting = [(path, value)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, ExactDecimal):
            yield path, item
        elif isinstance(item, dict):
            waiting += [((*path, name), each) for name, each in reversed(item.items())]
        elif isinstance(item, list):
            waiting += [((*path, str(index)), each) for index, each in reversed([*enumerate(item)])]


def to_integer(number: ExactDecimal) -> float:
    """Returns the integer that the digits are, such as `9007199254740993.0`. Else the number."""
    canonical = canonicalize_decimal(number)
    return canonical if isinstance(canonical, int) else number


def convert_integers(value: Any) -> Any:
    """Replaces each ExactDecimal in a JSON value that is an integer with this integer.

    A value that is nested too deeply to be stored is returned as it is.
    """

    return _convert_decimals(value, to_integer)


def round_decimals(value: Any) -> Any:
    """Replaces each ExactDecimal in a JSON value with its double.

    A value that is nested too deeply to be stored is returned as it is.
    """
    return _convert_decimals(value, float)


def _convert_decimals(value: Any, convert: Callable[[ExactDecimal], Any]) -> Any:
    try:
        return _replace_decimals(value, convert) if has_exact_decimals(value) else value
    except RecursionError:
        return value


def encode_exactly(encode: Callable[[Any], str], value: Any) -> str:
    """Encodes a JSON value with all digits. `encode` is an encoder that would write doubles."""
    if not has_exact_decimals(value):
        return encode(value)
    text = encode(_replace_decimals(value, lambda number: _MARK + number.digits))
    return _MARKED_DIGITS.sub(r"\1", text)


def _replace_decimals(value: Any, convert: Callable[[ExactDecimal], Any]) -> Any:
    if isinstance(value, ExactDecimal):
        return convert(value)
    if isinstance(value, dict):
        return {name: _replace_decimals(item, convert) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_decimals(item, convert) for item in value]
    return value
