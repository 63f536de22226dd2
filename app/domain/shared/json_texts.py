"""JSON texts, read strictly: what a lenient reader would lose or change is no JSON here."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

_LONGEST_INTEGER = 400  # digits; more than any double has


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A member that is there twice would be lost."""
    made = dict(pairs)
    if len(made) < len(pairs):
        counted = Counter(name for name, _ in pairs)
        name = next(name for name, count in counted.items() if count > 1)
        raise ValueError(f"an object has the member {name[:100]!a} more than once")
    return made


def _integer(digits: str) -> float:
    """What is too long for any double is refused as one, by whoever judges the event."""
    return int(digits) if len(digits) < _LONGEST_INTEGER else math.inf


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_no_number)
# Reads on over what STRICT refuses for its meaning: to find where such a value ends.
LENIENT = json.JSONDecoder(parse_int=len)
