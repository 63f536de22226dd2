"""Parsing of CloudEvents 1.0 and 0.3 in JSON format as event drafts."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.domain.events.cloudevents import (
    JSON_MEDIA_TYPE,
    RESOLVED_TIME,
    SEVERITY_NAMES,
    SEVERITY_NUMBERS,
    default_partition_key,
    entity_subject,
    extract_tocsin_attributes,
    extract_type_version,
    is_schema_url,
)
from app.domain.events.severity import Severity, lookup_severity
from app.domain.events.state import EventDraft
from app.domain.events.uris import is_uri, is_uri_reference
from app.domain.intake.cloudevent_data import decode_json
from app.domain.shared.limits import Limits
from app.domain.shared.messages import limit_message, quote_value
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import (
    EXPECTED_INSTANT,
    parse_instant,
    replace_unstorable,
    validate_json,
    validate_line,
    validate_name,
    validate_text,
)

_DATA_NAMES = ("data", "data_base64")
_CONTEXT_NAMES = (
    *("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"),
    *("severitytext", "severitynumber", "recordedtime", "planningtags"),
)
_DEFINED_NAMES = (*_DATA_NAMES, *_CONTEXT_NAMES, "schemaurl", "datacontentencoding", "partitionkey")
_ATTRIBUTE_NAME = re.compile("[a-z0-9]+")
_TCHARS = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE = re.compile(
    rf"""{_TCHARS}/{_TCHARS}([ ]*;[ ]*{_TCHARS}=({_TCHARS}|"([^"\\]|\\.)*"))*""",
    re.ASCII,
)
_WHOLE_NUMBER = re.compile("-?[0-9]{1,10}")
_MIN_INTEGER, _MAX_INTEGER = -(2**31), 2**31 - 1
_MAX_SHOWN_NAME_LENGTH = 100
# Sent by Azure Event Grid for events without a schema, although it is not a URI.
_NO_SCHEMA = "#"
_MAX_PROBLEMS = 100


def parse_cloud_event(value: object, limits: Limits) -> EventDraft | list[Problem]:
    """Parses a CloudEvent as a draft, or returns all its problems.

    `value` is decoded JSON. As in HTTP binary mode, `severitynumber` and `planningtags` may also be
    strings: an integer and a JSON array.
    """
    if not isinstance(value, dict):
        return [invalid_input("A CloudEvent must be a JSON object.")]
    max_attributes = len(_DEFINED_NAMES) + limits.extensions_per_event
    if len(value) > max_attributes:
        message = limit_message(max_attributes, "attribute", "this CloudEvent", len(value))
        return [invalid_input(message)]
    parser = _CloudEventParser(value, limits)
    draft = parser.parse_draft()
    return parser.problems[:_MAX_PROBLEMS] or draft


@dataclass
class _CloudEventParser:
    value: dict[str, Any]
    limits: Limits
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Null means absent, except for data, which may be the JSON value null.
        attributes = {name: value for name, value in self.value.items() if value is not None}
        self.data = {name: attributes.pop(name) for name in _DATA_NAMES if name in attributes}
        if not self.data and "data" in self.value:
            self.data = {"data": None}
        self.attributes: dict[str, Any] = attributes

    def parse_draft(self) -> EventDraft:
        if self.attributes.get("specversion") == "0.3":
            self._translate_version_0_3()
        elif (version := self._parse_required("specversion")) not in (None, "1.0"):
            message = f"Unsupported specversion {quote_value(version)}: expected 1.0 or 0.3."
            self.add_problem(message, "specversion")
        type, source, source_id = (self._parse_required(name) for name in ("type", "source", "id"))
        if source is not None and not is_uri_reference(source):
            message = (
                f"Invalid source {quote_value(source)}: expected a URI reference. Percent-encode "
                "characters that a URI does not allow, such as spaces."
            )
            self.add_problem(message, "source")
        subject = self._parse_text("subject", None)
        severity = self._parse_severity()
        occurred_at = self._parse_time()
        tags = self._parse_tags()
        payload = self._parse_payload()
        extensions = self._collect_extensions()
        tocsin_attributes = extract_tocsin_attributes(extensions, self.limits)
        type_version = extract_type_version(extensions)
        resolved = self._extract_resolved(extensions, tocsin_attributes)
        entity = tocsin_attributes.get("entity")
        if entity is not None and subject == entity_subject(entity):
            subject = None
        if extensions.get("partitionkey", "") == default_partition_key(
            entity, subject, source or ""
        ):
            extensions.pop("partitionkey", None)
        self._validate_sizes(subject, extensions)
        return EventDraft(
            **tocsin_attributes,
            resolved=resolved,
            type=type,
            source=source,
            source_id=source_id,
            subject=subject,
            **severity,
            occurred_at=occurred_at,
            tags=tags,
            fields=payload.pop("data") if isinstance(payload.get("data"), dict) else None,
            payload=payload or None,
            extensions=extensions or None,
            is_cloud_event=True,
            has_field_names=type_version is not None
            or is_schema_url(payload.get("dataschema") or "", type or ""),
            type_version=type_version,
        )

    def add_problem(self, message: str, *path: str) -> None:
        self.problems.append(invalid_input(message, *path))

    def _translate_version_0_3(self) -> None:
        """Renames the attributes of CloudEvents 0.3 for the schema and for binary data."""
        attributes = self.attributes
        if "dataschema" in attributes:
            self.add_problem(
                "CloudEvents 0.3 has no attribute dataschema. Rename it to schemaurl.", "dataschema"
            )
        if "schemaurl" in attributes:
            attributes["dataschema"] = attributes.pop("schemaurl")
        encoding = attributes.pop("datacontentencoding", None)
        if encoding is None:
            return
        if not isinstance(encoding, str) or encoding.lower() != "base64":
            self.add_problem(
                f"Invalid datacontentencoding {quote_value(encoding)}: expected base64.",
                "datacontentencoding",
            )
        elif "data_base64" not in self.data and self.data.get("data") is not None:
            self.data = {"data_base64": self.data["data"]}

    def _parse_required(self, name: str) -> str | None:
        if name not in self.attributes:
            self.add_problem(f"The attribute {name} is required.", name)
        return self._parse_text(name, self.limits.name_characters)

    def _parse_text(self, name: str, limit: int | None) -> str | None:
        """Returns a string attribute. None if absent or invalid."""
        value = self.attributes.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.add_problem(f"{name} must be a string.", name)
            return None
        problems = validate_name(value, len(value) if limit is None else limit, name)
        self.problems += problems
        return None if problems else value

    def _parse_time(self) -> datetime | None:
        text = self._parse_text("time", self.limits.name_characters)
        instant = None if text is None else parse_instant(text)
        if text is not None and instant is None:
            message = f"Invalid time {quote_value(text)}: expected {EXPECTED_INSTANT}."
            self.add_problem(message, "time")
        return instant

    def _parse_severity(self) -> dict[str, Any]:
        """Returns the severity attributes of the draft.

        A name that Tocsin recognizes takes precedence over the number, which has the ranges of
        OpenTelemetry, and the number over the other names of the severity extension.
        """
        text, number = (self.attributes.get(f"severity{kind}") for kind in ("text", "number"))
        if text is not None and not isinstance(text, str):
            self.add_problem("severitytext must be a string.", "severitytext")
            text = None
        self.problems += validate_line(text, self.limits.name_characters, "severitytext")
        if isinstance(number, str) and _WHOLE_NUMBER.fullmatch(number):
            number = int(number)
        if number is not None and not _is_integer(number):
            self.add_problem(
                f"Invalid severitynumber {quote_value(number)}: expected a 32-bit integer.",
                "severitynumber",
            )
            number = None
        if lookup_severity(text) is not None:
            return {"severity": text}
        level = _severity_of_number(number) or lookup_severity(text, SEVERITY_NAMES)
        if number is None:
            return {"severity": text, "severity_level": level, "severity_text": text}
        if text is None and level is None:
            level = Severity.INFO
        # For the digest, the number defines the severity, also one that is unspecified: stored
        # digests are of drafts with this severity.
        digested = _severity_of_number(number) or Severity.INFO
        return {"severity": digested.value, "severity_level": level, "severity_text": text}

    def _extract_resolved(
        self, extensions: dict[str, Any], tocsin_attributes: dict[str, Any]
    ) -> bool | None:
        """Removes whether the condition of the alert key is over, and returns it.

        An event that a Tocsin server exported as resolved has RESOLVED_TIME, and is stored as it
        is. Without an alert key, it is an attribute of another system.
        """
        value = extensions.get("resolved")
        is_resolved = value is True or value == "true"  # text in binary mode
        if "resolved_at" in tocsin_attributes:
            if is_resolved:
                del extensions["resolved"]
            return None
        if (time := extensions.get(RESOLVED_TIME)) is not None:
            # Stored without it, the event would notify of what is over, or resolve what is not.
            message = f"Invalid {RESOLVED_TIME} {quote_value(time)}: expected {EXPECTED_INSTANT}."
            self.add_problem(message, RESOLVED_TIME)
            return None
        alert_key = extensions.get("alertkey")
        if alert_key is not None and is_resolved:
            self._add_alert_key_problems(alert_key)
            return None
        if "alert_key" not in tocsin_attributes or value is None:
            return None
        if not is_resolved and value is not False and value != "false":
            message = f"Invalid resolved {quote_value(value)}: expected true or false."
            self.add_problem(message, "resolved")
        del extensions["resolved"]
        return is_resolved or None

    def _add_alert_key_problems(self, value: object) -> None:
        """Rejects a recovery without a valid alert key: as an event, it would be a new alarm."""
        if any(problem.path == ("alertkey",) for problem in self.problems):
            return
        if isinstance(value, str):
            self.problems += validate_name(value, self.limits.name_characters, "alertkey")
        else:
            self.add_problem("alertkey must be a string.", "alertkey")

    def _parse_tags(self) -> tuple[str, ...] | None:
        tags = self.attributes.get("planningtags")
        if isinstance(tags, str):
            tags = _parse_json(tags)
        if tags is None and "planningtags" not in self.attributes:
            return None
        if not isinstance(tags, list):
            self.add_problem("planningtags must be an array of strings.", "planningtags")
            return None
        max_tags = self.limits.tags_per_event
        if len(tags) > max_tags:
            message = limit_message(max_tags, "tag", "this event", len(tags))
            self.add_problem(message, "planningtags")
        for index, tag in enumerate(tags[:max_tags]):
            path = ("planningtags", str(index))
            if isinstance(tag, str):
                self.problems += validate_name(tag, self.limits.name_characters, *path)
            else:
                self.add_problem(f"planningtags[{index}] must be a string.", *path)
        return tuple(tags)

    def _parse_payload(self) -> dict[str, Any]:
        """Returns the data and its metadata under the names of CloudEvents 1.0."""
        payload = dict(self.data)
        if len(payload) > 1:
            message = "data and data_base64 are mutually exclusive. Send only one of them."
            self.add_problem(message, "data_base64")
        if "data" in payload:
            # An object becomes the fields, and is validated as such.
            max_bytes = self.limits.data_bytes
            if not isinstance(payload["data"], dict):
                self.problems += validate_json(
                    payload["data"], self.limits, "data", max_bytes=max_bytes
                )
        if "data_base64" in payload:
            self._check_bytes(payload["data_base64"])
        content_type = self._parse_text("datacontenttype", self.limits.name_characters)
        if content_type is not None and not _MEDIA_TYPE.fullmatch(content_type):
            expected = "expected a media type such as application/json"
            self.add_problem(
                f"Invalid datacontenttype {quote_value(content_type)}: {expected}.",
                "datacontenttype",
            )
        if content_type is not None and (
            content_type != JSON_MEDIA_TYPE or "data_base64" in payload
        ):
            payload["datacontenttype"] = content_type
        schema = self._parse_text("dataschema", self.limits.dataschema_characters)
        if schema == _NO_SCHEMA:
            schema = None
        if schema is not None and not is_uri(schema):
            self.add_problem(
                f"Invalid dataschema {quote_value(schema)}: expected an absolute URI.", "dataschema"
            )
        if schema is not None:
            payload["dataschema"] = schema
        return payload

    def _check_bytes(self, text: Any) -> None:
        name = "data_base64" if "data_base64" in self.value else "data"
        if not isinstance(text, str):
            return self.add_problem(f"{name} must be a string.", name)
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return self.add_problem(f"{name} must be a base64-encoded string.", name)
        problems = validate_json(text, self.limits, name, max_bytes=self.limits.data_bytes)
        if problems and not self._is_stored_as_json(data):
            self.problems += problems
        return None

    def _is_stored_as_json(self, data: bytes) -> bool:
        """Whether bytes are stored as the JSON value that they encode, which has its own limits."""
        try:
            value = decode_json(data, self.attributes.get("datacontenttype"))
        except ValueError:
            return False
        # An object becomes the fields, and is validated as such.
        max_bytes = self.limits.data_bytes
        return isinstance(value, dict) or not validate_json(value, self.limits, max_bytes=max_bytes)

    def _collect_extensions(self) -> dict[str, Any]:
        """Returns the attributes that neither CloudEvents nor Tocsin defines."""
        for name, value in self.attributes.items():
            shown_name = replace_unstorable(name[:_MAX_SHOWN_NAME_LENGTH])
            if not _ATTRIBUTE_NAME.fullmatch(name):
                message = (
                    f"Invalid attribute name {quote_value(name)}: expected only the characters "
                    "a-z and 0-9."
                )
                self.add_problem(message, shown_name)
            elif name not in _CONTEXT_NAMES or name == "recordedtime":
                self._check_extension(value, shown_name)
        return {
            name: value for name, value in self.attributes.items() if name not in _CONTEXT_NAMES
        }

    def _check_extension(self, value: Any, name: str) -> None:
        if isinstance(value, str):
            self.problems += validate_line(value, self.limits.extensions_bytes, name)
        elif not isinstance(value, bool) and not _is_integer(value):
            self.add_problem(f"{name} must be a boolean, a 32-bit integer or a string.", name)

    def _validate_sizes(self, subject: str | None, extensions: dict[str, Any]) -> None:
        """Validates the size of the subject and of the extension attributes."""
        self.problems += validate_text(subject, self.limits.name_characters, "subject")
        max_extensions = self.limits.extensions_per_event
        if len(extensions) > max_extensions:
            self.add_problem(
                limit_message(
                    max_extensions, "extension attribute", "this CloudEvent", len(extensions)
                )
            )
        valid = {name: value for name, value in extensions.items() if isinstance(value, str | int)}
        text = json.dumps(valid, ensure_ascii=False, separators=(",", ":"))
        size, max_bytes = len(text.encode(errors="surrogatepass")), self.limits.extensions_bytes
        if size > max_bytes:
            self.add_problem(
                limit_message(
                    max_bytes,
                    "byte of JSON",
                    "the object of all extension attributes",
                    size,
                    plural="bytes of JSON",
                )
            )


def _is_integer(value: Any) -> bool:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return is_integer and _MIN_INTEGER <= value <= _MAX_INTEGER


def _severity_of_number(number: int | None) -> Severity | None:
    """Returns the severity of a number. None if it is unspecified: below 1."""
    if number is None or number < 1:
        return None
    if number >= SEVERITY_NUMBERS[Severity.ERROR]:
        return Severity.ERROR
    if number >= SEVERITY_NUMBERS[Severity.WARN]:
        return Severity.WARN
    is_success = number == SEVERITY_NUMBERS[Severity.SUCCESS]
    return Severity.SUCCESS if is_success else Severity.INFO


def _parse_json(text: str) -> Any:
    """Parses JSON. None if the text is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
