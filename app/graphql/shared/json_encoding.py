"""The JSON encoding of values in responses, for plans and graphql-core alike."""

from __future__ import annotations

import json
import re
from typing import Any

from app.domain.shared.exact_decimals import encode_exactly

_SEPARATORS = (",", ":")
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=_SEPARATORS, allow_nan=False)
_ASCII_ENCODER = json.JSONEncoder(separators=_SEPARATORS, allow_nan=False)
_SURROGATE = re.compile("[\ud800-\udfff]")


def encode_json(value: Any) -> str:
    """Encodes JSON. With a lone surrogate, which UTF-8 cannot encode, it is ASCII.

    Raises ValueError for NaN and Infinity.
    """
    text = encode_exactly(_ENCODER.encode, value)
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return encode_exactly(_ASCII_ENCODER.encode, value)
