"""Reads the JSON of a body, in the charsets that senders use. Errors are values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from app.domain.shared.problems import ErrorCode
from app.domain.shared.strict_json import STRICT_DECODER

# The allowed charsets: Python has codecs that are not charsets, and unsafe ones.
_CHARSETS = {"utf-8", "utf8", "us-ascii", "iso-8859-1", "windows-1252", "utf-16"}
_CHARSET_PARAMETER = re.compile(r';\s*charset\s*=\s*"?([^\s;"]+)"?', re.IGNORECASE)


@dataclass(frozen=True)
class ErrorDetail:
    """An error with an error code of the GraphQL API and the path of the attribute."""

    code: str
    message: str
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class InvalidMessage:
    """A message that cannot be read, with the HTTP status and all errors."""

    status: int
    errors: tuple[ErrorDetail, ...]


@dataclass(frozen=True)
class JsonValue:
    value: Any


def read_json(body: bytes, content_type: str, *path: str) -> JsonValue | InvalidMessage:
    charset = _charset(content_type)
    if charset not in _CHARSETS:
        return unsupported_media_type(f"Unsupported charset {charset[:100]!a}: send UTF-8.")
    text = read_text(body, content_type)
    if text is None:
        return malformed_message(f"The JSON is not valid {charset.upper()}.", *path)
    try:
        value = STRICT_DECODER.decode(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"))
    except RecursionError:
        return malformed_message("The JSON is nested too deeply.", *path)
    except ValueError as error:
        return malformed_message(f"Invalid JSON: {error}.", *path)
    return JsonValue(value)


def _charset(content_type: str) -> str:
    match = _CHARSET_PARAMETER.search(content_type)
    return match[1].lower() if match else "utf-8"


def read_text(body: bytes, content_type: str) -> str | None:
    charset = _charset(content_type)
    try:
        return body.decode(charset) if charset in _CHARSETS else None
    except UnicodeDecodeError:
        return None


def malformed_message(message: str, *path: str) -> InvalidMessage:
    return InvalidMessage(400, (ErrorDetail(ErrorCode.BAD_USER_INPUT.value, message, path),))


def unsupported_media_type(message: str) -> InvalidMessage:
    return InvalidMessage(415, (ErrorDetail(ErrorCode.BAD_USER_INPUT.value, message),))
