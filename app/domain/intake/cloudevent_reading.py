"""CloudEvents in JSON format, 1.0 and 0.3, read as drafts: whole, or with all that is wrong."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.domain.events.cloudevents import (
    JSON_TYPE,
    SEVERITY_NUMBERS,
    entity_subject,
    partition_key,
    take_additions,
)
from app.domain.events.severity import Severity, named_severity
from app.domain.events.uris import is_uri, is_uri_reference
from app.domain.intake.intake import Draft
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, invalid
from app.domain.shared.values import (
    json_problems,
    legible,
    line_problems,
    name_problems,
    read_instant,
    text_problems,
)

_DATA = ("data", "data_base64")
_CONTEXT = (
    *("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"),
    *("severitytext", "severitynumber", "recordedtime", "planningtags"),
)
_DEFINED = (*_DATA, *_CONTEXT, "schemaurl", "datacontentencoding", "partitionkey")
_NAME = re.compile("[a-z0-9]+")
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE = re.compile(
    rf"""{_WORD}/{_WORD}([ ]*;[ ]*{_WORD}=({_WORD}|"([^"\\]|\\.)*"))*""", re.ASCII
)
_WHOLE_NUMBER = re.compile("-?[0-9]{1,10}")
_SMALLEST, _LARGEST = -(2**31), 2**31 - 1
_LONGEST_NAME_TOLD = 100
_MOST_TOLD = 100


def read_cloud_event(value: object, limits: Limits) -> Draft | list[Problem]:
    """The report that a CloudEvent is, or everything that is wrong with it.

    `value` is parsed JSON. Attributes may also be texts where they are none, as in HTTP's binary
    mode: `severitynumber` a number's, `planningtags` that of a JSON array.
    """
    if not isinstance(value, dict):
        return [invalid("Must be a CloudEvent: a JSON object.")]
    most = len(_DEFINED) + limits.extensions
    if len(value) > most:
        return [invalid(f"There are {len(value):,} attributes; at most {most:,} are read.")]
    reading = _Reading(value, limits)
    draft = reading.draft()
    return reading.problems[:_MOST_TOLD] or draft


@dataclass
class _Reading:
    value: dict[str, Any]
    limits: Limits
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Null is "not there", but for the data, which may be the JSON value null.
        given = {name: each for name, each in self.value.items() if each is not None}
        self.data = {name: given.pop(name) for name in _DATA if name in given}
        if not self.data and "data" in self.value:
            self.data = {"data": None}
        self.attributes: dict[str, Any] = given

    def draft(self) -> Draft:
        if self.attributes.get("specversion") == "0.3":
            self._translate()
        elif self._required("specversion") not in (None, "1.0"):
            self.tell("Must be 1.0 or 0.3.", "specversion")
        type, source, source_id = (self._required(name) for name in ("type", "source", "id"))
        if source is not None and not is_uri_reference(source):
            self.tell("Must be a URI-reference: percent-encode what it may not have.", "source")
        subject = self._text("subject", None)
        severity = self._severity()
        occurred_at = self._time()
        tags = self._tags()
        payload = self._payload()
        extensions = self._extensions()
        own = take_additions(extensions, self.limits)
        entity = own.get("entity")
        if entity is not None and subject == entity_subject(entity):
            subject = None
        if extensions.get("partitionkey", "") == partition_key(entity, subject, source or ""):
            extensions.pop("partitionkey", None)
        self._fit(subject, extensions)
        return Draft(
            **own,
            type=type,
            source=source,
            source_id=source_id,
            subject=subject,
            severity=severity,
            occurred_at=occurred_at,
            tags=tags,
            fields=payload.pop("data") if isinstance(payload.get("data"), dict) else None,
            payload=payload or None,
            extensions=extensions or None,
        )

    def tell(self, message: str, *path: str) -> None:
        self.problems.append(invalid(message, *path))

    def _translate(self) -> None:
        """0.3 has other names for the schema and for bytes."""
        given = self.attributes
        if "dataschema" in given:
            self.tell("Is called schemaurl in 0.3.", "dataschema")
        if "schemaurl" in given:
            given["dataschema"] = given.pop("schemaurl")
        encoding = given.pop("datacontentencoding", None)
        if encoding is None:
            return
        if not isinstance(encoding, str) or encoding.lower() != "base64":
            self.tell("Must be base64.", "datacontentencoding")
        elif "data_base64" not in self.data and self.data.get("data") is not None:
            self.data = {"data_base64": self.data["data"]}

    def _required(self, name: str) -> str | None:
        if name not in self.attributes:
            self.tell("Is required.", name)
        return self._text(name, self.limits.name)

    def _text(self, name: str, limit: int | None) -> str | None:
        """The attribute, which is text if it is there; None where it is not sound."""
        value = self.attributes.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.tell("Must be a string.", name)
            return None
        wrong = name_problems(value, len(value) if limit is None else limit, name)
        self.problems += wrong
        return None if wrong else value

    def _time(self) -> datetime | None:
        text = self._text("time", self.limits.name)
        instant = None if text is None else read_instant(text)
        if text is not None and instant is None:
            self.tell("Must be an RFC 3339 instant, as 2026-04-10T10:30:00Z.", "time")
        return instant

    def _severity(self) -> str | None:
        """A text that names a severity wins, then the number, by the ranges of OpenTelemetry."""
        text, number = (self.attributes.get(f"severity{kind}") for kind in ("text", "number"))
        if text is not None and not isinstance(text, str):
            self.tell("Must be a string.", "severitytext")
            text = None
        self.problems += line_problems(text, self.limits.name, "severitytext")
        if isinstance(number, str) and _WHOLE_NUMBER.fullmatch(number):
            number = int(number)
        if number is not None and not _is_integer(number):
            self.tell("Must be a 32-bit integer.", "severitynumber")
        elif number is not None and named_severity(text) is None:
            return _numbered(number).value
        return text

    def _tags(self) -> tuple[str, ...] | None:
        tags = self.attributes.get("planningtags")
        if isinstance(tags, str):
            tags = _parsed(tags)
        if tags is None and "planningtags" not in self.attributes:
            return None
        if not isinstance(tags, list):
            self.tell("Must be an array of strings.", "planningtags")
            return None
        most = self.limits.tags
        if len(tags) > most:
            self.tell(f"There are {len(tags):,} tags; at most {most} are kept.", "planningtags")
        for index, tag in enumerate(tags[:most]):
            place = ("planningtags", str(index))
            if isinstance(tag, str):
                self.problems += name_problems(tag, self.limits.name, *place)
            else:
                self.tell("Must be a string.", *place)
        return tuple(tags)

    def _payload(self) -> dict[str, Any]:
        """What the event says of its data, and the data: under the names of CloudEvents 1.0."""
        said = dict(self.data)
        if len(said) > 1:
            self.tell("Is given beside data: an event has one of the two.", "data_base64")
        if "data" in said:
            # An object becomes the fields, and is judged as these.
            most = self.limits.payload_bytes
            if not isinstance(said["data"], dict):
                self.problems += json_problems(said["data"], self.limits, "data", most_bytes=most)
        if "data_base64" in said:
            self._check_bytes(said["data_base64"])
        content_type = self._text("datacontenttype", self.limits.name)
        if content_type is not None and not _MEDIA_TYPE.fullmatch(content_type):
            self.tell("Must be a media type, as application/json.", "datacontenttype")
        if content_type is not None and (content_type != JSON_TYPE or "data_base64" in said):
            said["datacontenttype"] = content_type
        schema = self._text("dataschema", self.limits.schema_address)
        if schema is not None and not is_uri(schema):
            self.tell("Must be an absolute URI.", "dataschema")
        if schema is not None:
            said["dataschema"] = schema
        return said

    def _check_bytes(self, text: Any) -> None:
        place = "data_base64" if "data_base64" in self.value else "data"
        if not isinstance(text, str):
            return self.tell("Must be a string.", place)
        if wrong := json_problems(text, self.limits, place, most_bytes=self.limits.payload_bytes):
            self.problems += wrong
            return None
        try:
            base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            self.tell("Must be base64.", place)
        return None

    def _extensions(self) -> dict[str, Any]:
        """The attributes that CloudEvents does not define and Tocsin does not read."""
        for name, value in self.attributes.items():
            place = legible(name[:_LONGEST_NAME_TOLD])
            if not _NAME.fullmatch(name):
                self.tell("Is no attribute's name, which has a to z and 0 to 9 only.", place)
            elif name not in _CONTEXT or name == "recordedtime":
                self._check_extension(value, place)
        return {name: value for name, value in self.attributes.items() if name not in _CONTEXT}

    def _check_extension(self, value: Any, place: str) -> None:
        if isinstance(value, str):
            self.problems += line_problems(value, self.limits.extensions_bytes, place)
        elif not isinstance(value, bool) and not _is_integer(value):
            self.tell("Must be a boolean, a 32-bit integer or a string.", place)

    def _fit(self, subject: str | None, extensions: dict[str, Any]) -> None:
        """Whether what is left can be kept."""
        self.problems += text_problems(subject, self.limits.name, "subject")
        most = self.limits.extensions
        if len(extensions) > most:
            many = f"There are {len(extensions):,} extension attributes"
            self.tell(f"{many}; at most {most:,} are kept.")
        sound = {name: each for name, each in extensions.items() if isinstance(each, str | int)}
        text = json.dumps(sound, ensure_ascii=False, separators=(",", ":"))
        size, most = len(text.encode(errors="surrogatepass")), self.limits.extensions_bytes
        if size > most:
            self.tell(f"The extension attributes are {size:,} bytes of JSON; at most {most:,}.")


def _is_integer(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and _SMALLEST <= value <= _LARGEST


def _numbered(number: int) -> Severity:
    if number >= SEVERITY_NUMBERS[Severity.ERROR]:
        return Severity.ERROR
    if number >= SEVERITY_NUMBERS[Severity.WARN]:
        return Severity.WARN
    is_success = number == SEVERITY_NUMBERS[Severity.SUCCESS]
    return Severity.SUCCESS if is_success else Severity.INFO


def _parsed(text: str) -> Any:
    """The JSON that the text is; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
