"""The one encoding of JSON: of stored values, responses and files alike.

Therefore a plan can copy a stored value into a response, with the bytes that graphql-core writes.
"""

from __future__ import annotations

import json
import re
from typing import Any

from app.domain.shared.exact_decimals import encode_exactly, parse_decimal

_ENCODER = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False
)
_DECODER = json.JSONDecoder(parse_float=parse_decimal)
# The encoding of False and True, by index: `encode_json` takes 90 times as long.
BOOLEANS = ("false", "true")
_SURROGATE = re.compile("[\ud800-\udfff]")


def encode_json(value: Any) -> str:
    """Encodes JSON without spaces, with all digits of numbers.

    Only lone surrogates, which UTF-8 cannot encode, are escaped. Raises ValueError for NaN and
    Infinity.
    """
    text = encode_exactly(_ENCODER.encode, value)
    if text.isascii():
        return text
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def load_json(text: str | bytes) -> Any:
    """Decodes JSON that `encode_json` encoded, with all digits of numbers."""
    return _DECODER.decode(text if isinstance(text, str) else text.decode())
