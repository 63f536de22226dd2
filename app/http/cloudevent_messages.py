"""An HTTP message read as JSON-format events: the modes of CloudEvents' HTTP binding 1.0.2.

Pure. Headers and body come in; events go out, or what keeps them from being read. What an event
says is judged by `domain.cloudevents`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from app.domain.shared.json_texts import STRICT
from app.domain.shared.problems import ErrorCode, UserErrorCode

PATH = "/cloudevents"
EVENT = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
_ANY_FORMAT = "application/cloudevents"
_PREFIX = "ce-"
# Python knows codecs that are no charsets, and some that are a risk: none but these are asked.
_CHARSETS = {"utf-8", "utf8", "us-ascii", "iso-8859-1", "windows-1252", "utf-16"}
_PARAMETER = re.compile(r';\s*charset\s*=\s*"?([^\s;"]+)"?', re.IGNORECASE)
# How CloudEvents writes a boolean as text. Of the attributes that are read, one is a boolean.
_BOOLEANS = {"true": True, "false": False}
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Message:
    """The events of a message. One that is not batched has one."""

    events: tuple[object, ...]
    batched: bool = False


@dataclass(frozen=True)
class Flaw:
    """What is wrong, by a code of GraphQL's, and the attribute that it is about."""

    code: str
    message: str
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unreadable:
    """Why there are no events: the HTTP status, and everything that is wrong."""

    status: int
    flaws: tuple[Flaw, ...]


def read_message(headers: Headers, body: bytes) -> Message | Unreadable:
    """The events of a message in structured, batched or binary mode, told by its Content-Type."""
    given = [(name.decode("latin-1").lower(), value) for name, value in headers]
    said = dict(given)
    if [name for name, _ in given].count("content-type") > 1:
        return _malformed("The header content-type is there more than once.")
    content_type = said.get("content-type", b"").decode("latin-1").strip()
    coding = said.get("content-encoding", b"identity").decode("latin-1").strip().lower()
    if coding not in ("", "identity"):
        return _unsupported(f"The body is encoded as {coding[:100]!a}: send it as it is.")
    if content_type.lower().startswith(_ANY_FORMAT):
        return _read_format(content_type, body)
    if any(name.startswith(_PREFIX) for name in said):
        return _read_binary(given, content_type, body)
    return _unsupported(
        f"The Content-Type is {content_type[:100]!a}: send {EVENT} or {BATCH}, or any other "
        "with the event's attributes in the headers ce-specversion, ce-id and so on."
    )


def _read_format(content_type: str, body: bytes) -> Message | Unreadable:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in (EVENT, BATCH):
        return _unsupported(f"{media_type[:100]!a} is no event format known here: send {EVENT}.")
    read = _read_json(body, content_type)
    if isinstance(read, Unreadable):
        return read
    if media_type == EVENT and isinstance(read.value, list):
        return _malformed(f"Is an array, where one event is expected: send a batch as {BATCH}.")
    if media_type == EVENT:
        return Message((read.value,))
    if not isinstance(read.value, list):
        return _malformed("A batch is a JSON array of events.")
    versions = [each.get("specversion") for each in read.value if isinstance(each, dict)]
    if "1.0" in versions and "0.3" in versions:
        return _malformed("The events of a batch have one specversion: these have 0.3 and 1.0.")
    return Message(tuple(read.value), batched=True)


def _read_binary(
    given: list[tuple[str, bytes]], content_type: str, body: bytes
) -> Message | Unreadable:
    event: dict[str, Any] = {}
    flaws = []
    for name, value in given:
        if not name.startswith(_PREFIX):
            continue
        attribute = name.removeprefix(_PREFIX)
        read = _read_value(attribute, value)
        if attribute in event:  # which of the two is meant, nobody can tell
            read = _flaw(f"The header {name[:100]} is there more than once.", attribute)
        if isinstance(read, Flaw):
            flaws.append(read)
        else:
            event[attribute] = read
    if flaws:
        return Unreadable(400, tuple(flaws))
    if (notification := event.get("notification")) in _BOOLEANS:
        event["notification"] = _BOOLEANS[notification]
    if content_type:
        event["datacontenttype"] = content_type
    data = _read_data(event, content_type, body)
    return data if isinstance(data, Unreadable) else Message((event | data,))


def _read_value(attribute: str, raw: bytes) -> str | Flaw:
    """A header's value: unquoted, then percent-decoded once (section 3.1.3.2)."""
    if attribute == "datacontenttype":
        return _flaw(
            "Is told by Content-Type in binary mode, not by a header of its own.", attribute
        )
    if attribute in ("data", "data_base64"):
        return _flaw("Is the body in binary mode, not a header.", attribute)
    if not raw.isascii():
        return _flaw("Holds a byte that is not ASCII: percent-encode its UTF-8.", attribute)
    text = raw.decode("ascii").strip(" \t")
    if text.startswith('"'):
        quoted = _QUOTED.fullmatch(text)
        if quoted is None:
            return _flaw("Begins with a quote that does not end it.", attribute)
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    try:
        # A % that begins no code stays one: there are SDKs that encode nothing.
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return _flaw("Is no UTF-8 after percent-decoding.", attribute)


def _read_data(
    event: dict[str, Any], content_type: str, body: bytes
) -> dict[str, object] | Unreadable:
    """The body as members of a JSON-format event."""
    if not body:
        return {}
    former = event.get("specversion") == "0.3"
    if former and event.get("datacontentencoding", "").lower() == "base64":
        return {"data": body.decode("latin-1")}
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.endswith(("/json", "+json")):
        read = _read_json(body, content_type, "data")
        return read if isinstance(read, Unreadable) else {"data": read.value}
    if not media_type:
        # RFC 9110, 8.3: then the data may be examined. The Python SDK leaves it out for JSON.
        read = _read_json(body, content_type)
        if not isinstance(read, Unreadable):
            return {"data": read.value}
    elif media_type.startswith("text/"):
        text = _read_text(body, content_type)
        if text is not None and "\0" not in text:  # which no text in PostgreSQL has
            return {"data": text}
    encoded = base64.b64encode(body).decode()
    return (
        {"data": encoded, "datacontentencoding": "base64"} if former else {"data_base64": encoded}
    )


@dataclass(frozen=True)
class _Json:
    value: Any


def _read_json(body: bytes, content_type: str, *path: str) -> _Json | Unreadable:
    charset = _charset(content_type)
    if charset not in _CHARSETS:
        return _unsupported(f"The charset {charset[:100]!a} is not known here: send UTF-8.")
    text = _read_text(body, content_type)
    if text is None:
        return _malformed(f"The JSON is not {charset.upper()}.", *path)
    try:
        value = STRICT.decode(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"))
    except RecursionError:
        return _malformed("The JSON is nested too deeply to be read.", *path)
    except ValueError as error:
        return _malformed(f"The JSON cannot be read: {error}.", *path)
    return _Json(value)


def _charset(content_type: str) -> str:
    found = _PARAMETER.search(content_type)
    return found[1].lower() if found else "utf-8"


def _read_text(body: bytes, content_type: str) -> str | None:
    charset = _charset(content_type)
    try:
        return body.decode(charset) if charset in _CHARSETS else None
    except UnicodeDecodeError:
        return None


def _flaw(message: str, *path: str) -> Flaw:
    return Flaw(UserErrorCode.INVALID_INPUT.value, message, path)


def _malformed(message: str, *path: str) -> Unreadable:
    return Unreadable(400, (Flaw(ErrorCode.BAD_USER_INPUT.value, message, path),))


def _unsupported(message: str) -> Unreadable:
    return Unreadable(415, (Flaw(ErrorCode.BAD_USER_INPUT.value, message),))
