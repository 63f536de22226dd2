"""A strict JSON decoder: it rejects values that a lenient one would drop or change."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

from app.domain.shared.exact_decimals import parse_decimal

_MAX_INTEGER_DIGITS = 400  # no double has more


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Builds an object. Raises ValueError for a repeated member, because only the last is kept."""
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        name = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"the member {name[:100]!a} occurs more than once in an object")
    return members


def _parse_integer(digits: str) -> float:
    """Parses an integer. Too long for a double, it is infinity, which validation then rejects."""
    return int(digits) if len(digits) < _MAX_INTEGER_DIGITS else math.inf


def _reject_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not valid JSON")


STRICT_DECODER = json.JSONDecoder(
    object_pairs_hook=_build_object,
    parse_int=_parse_integer,
    parse_float=parse_decimal,
    parse_constant=_reject_constant,
)


class UnreadableJsonError(Exception):
    """The text is not valid JSON. The message is the reason, as a predicate."""


def decode_json(text: str) -> Any:
    """Decodes JSON by STRICT_DECODER. Raises UnreadableJsonError."""
    try:
        return STRICT_DECODER.decode(text)
    except RecursionError:
        raise UnreadableJsonError("is nested too deeply") from None
    except ValueError as error:
        raise UnreadableJsonError(f"is not valid JSON: {error}") from None


# Finds the end of a value that is well-formed but that STRICT_DECODER rejects.
LENIENT_DECODER = json.JSONDecoder(parse_int=len)
