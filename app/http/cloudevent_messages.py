"""Reads HTTP messages as JSON-format events, in the modes of CloudEvents' HTTP binding 1.0.2.

Pure functions of headers and body. `domain.intake.cloudevent_parsing` validates the events.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from app.domain.shared.problems import UserErrorCode
from app.http.json_bodies import (
    ErrorDetail,
    InvalidMessage,
    malformed_message,
    read_json,
    read_text,
    unsupported_media_type,
)

PATH = "/cloudevents"
EVENT_MEDIA_TYPE = "application/cloudevents+json"
BATCH_MEDIA_TYPE = "application/cloudevents-batch+json"
_MEDIA_TYPE_PREFIX = "application/cloudevents"
_HEADER_PREFIX = "ce-"
# Booleans in the string encoding of CloudEvents. Of the known attributes, only `notification` is
# always a boolean: `resolved` is one if the event has an alert key, and is read with that.
_BOOLEANS = {"true": True, "false": False}
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class CloudEventMessage:
    """The events of a message: one, unless it is batched."""

    events: tuple[object, ...]
    batched: bool = False


def read_message(headers: Headers, body: bytes) -> CloudEventMessage | InvalidMessage:
    """Reads a message in structured, batched or binary mode, selected by its Content-Type."""
    header_list = [(name.decode("latin-1").lower(), value) for name, value in headers]
    headers_by_name = dict(header_list)
    if [name for name, _ in header_list].count("content-type") > 1:
        return malformed_message("The header content-type occurs more than once.")
    content_type = headers_by_name.get("content-type", b"").decode("latin-1").strip()
    if content_type.lower().startswith(_MEDIA_TYPE_PREFIX):
        return _read_structured(content_type, body)
    if any(name.startswith(_HEADER_PREFIX) for name in headers_by_name):
        return _read_binary(header_list, content_type, body)
    return unsupported_media_type(
        f"The Content-Type {content_type[:100]!a} is not a CloudEvents media type: send "
        f"{EVENT_MEDIA_TYPE} or {BATCH_MEDIA_TYPE}, or send the event's attributes in headers "
        "(ce-specversion, ce-id and so on)."
    )


def _read_structured(content_type: str, body: bytes) -> CloudEventMessage | InvalidMessage:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in (EVENT_MEDIA_TYPE, BATCH_MEDIA_TYPE):
        return unsupported_media_type(
            f"Unsupported media type {media_type[:100]!a}: send an event as {EVENT_MEDIA_TYPE}, "
            f"or a batch as {BATCH_MEDIA_TYPE}."
        )
    read = read_json(body, content_type)
    if isinstance(read, InvalidMessage):
        return read
    if media_type == EVENT_MEDIA_TYPE and isinstance(read.value, list):
        return malformed_message(
            f"Expected one event, not an array: send a batch as {BATCH_MEDIA_TYPE}."
        )
    if media_type == EVENT_MEDIA_TYPE:
        return CloudEventMessage((read.value,))
    if not isinstance(read.value, list):
        return malformed_message("A batch must be a JSON array of events.")
    versions = [event.get("specversion") for event in read.value if isinstance(event, dict)]
    if "1.0" in versions and "0.3" in versions:
        return malformed_message(
            "All events of a batch must have the same specversion: this batch has 0.3 and 1.0."
        )
    return CloudEventMessage(tuple(read.value), batched=True)


def _read_binary(
    header_list: list[tuple[str, bytes]], content_type: str, body: bytes
) -> CloudEventMessage | InvalidMessage:
    event: dict[str, Any] = {}
    errors = []
    for name, value in header_list:
        if not name.startswith(_HEADER_PREFIX):
            continue
        attribute = name.removeprefix(_HEADER_PREFIX)
        read = _read_value(attribute, value)
        if attribute in event:  # ambiguous
            read = _attribute_error(f"The header {name[:100]} occurs more than once.", attribute)
        if isinstance(read, ErrorDetail):
            errors.append(read)
        else:
            event[attribute] = read
    if errors:
        return InvalidMessage(400, tuple(errors))
    if (notification := event.get("notification")) in _BOOLEANS:
        event["notification"] = _BOOLEANS[notification]
    if content_type:
        event["datacontenttype"] = content_type
    data = _read_data(event, content_type, body)
    return data if isinstance(data, InvalidMessage) else CloudEventMessage((event | data,))


def _read_value(attribute: str, raw: bytes) -> str | ErrorDetail:
    """Decodes a header value: unquoted, then percent-decoded once (section 3.1.3.2)."""
    subject = f"The header {_HEADER_PREFIX}{attribute[:100]}"
    if attribute == "datacontenttype":
        message = f"{subject} is not allowed in binary mode. Use Content-Type."
        return _attribute_error(message, attribute)
    if attribute in ("data", "data_base64"):
        message = f"{subject} is not allowed in binary mode. Send the data as the body."
        return _attribute_error(message, attribute)
    if not raw.isascii():
        message = (
            f"{subject} has a character that is not ASCII. Percent-encode the UTF-8 bytes of this "
            "character."
        )
        return _attribute_error(message, attribute)
    text = raw.decode("ascii").strip(" \t")
    if text.startswith('"'):
        quoted = _QUOTED.fullmatch(text)
        if quoted is None:
            message = (
                f"{subject} begins with a quotation mark, but the quoted string does not end the "
                "value. Quote the whole value, or percent-encode the quotation mark as %22."
            )
            return _attribute_error(message, attribute)
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    try:
        # A % without two hex digits is kept: some SDKs do not encode values.
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        message = (
            f"{subject} is not valid UTF-8 after percent-decoding. Percent-encode the UTF-8 bytes "
            "of the value."
        )
        return _attribute_error(message, attribute)


def _read_data(
    event: dict[str, Any], content_type: str, body: bytes
) -> dict[str, object] | InvalidMessage:
    """Reads the body as members of a JSON-format event."""
    if not body:
        return {}
    is_legacy = event.get("specversion") == "0.3"
    if is_legacy and event.get("datacontentencoding", "").lower() == "base64":
        return {"data": body.decode("latin-1")}
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.endswith(("/json", "+json")):
        read = read_json(body, content_type, "data")
        return read if isinstance(read, InvalidMessage) else {"data": read.value}
    if not media_type:
        # RFC 9110, 8.3: the data may be sniffed. The Python SDK sends JSON without a Content-Type.
        read = read_json(body, content_type)
        if not isinstance(read, InvalidMessage):
            return {"data": read.value}
    elif media_type.startswith("text/"):
        text = read_text(body, content_type)
        if text is not None and "\0" not in text:  # PostgreSQL does not store it
            return {"data": text}
    encoded = base64.b64encode(body).decode()
    return (
        {"data": encoded, "datacontentencoding": "base64"}
        if is_legacy
        else {"data_base64": encoded}
    )


def _attribute_error(message: str, *path: str) -> ErrorDetail:
    return ErrorDetail(UserErrorCode.INVALID_INPUT.value, message, path)
