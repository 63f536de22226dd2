"""Formatting of events as CloudEvents 1.0 in JSON; `cloudevent_parsing.py` parses them.

Another Tocsin server that parses such an event formats the same one, except for `recordedtime` and,
if it has a registered type, `tocsintypeversion`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any
from urllib.parse import quote

from app.domain.events.severity import Severity
from app.domain.events.state import ATTRIBUTES, Attribute, Entity, EventState, Use, attributes_with
from app.domain.events.uris import to_uri_reference
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem
from app.domain.shared.values import (
    format_instant,
    parse_instant,
    replace_control_characters,
    validate_line,
    validate_name,
)

JSON_MEDIA_TYPE = "application/json"
# Extension attribute of outgoing events: the version of the event type that defines the names in
# the data.
TYPE_VERSION = "tocsintypeversion"
SEVERITY_NUMBERS = {
    Severity.INFO: 9,
    Severity.SUCCESS: 10,
    Severity.WARN: 13,
    Severity.ERROR: 17,
}
_CLOUD_EVENT_NAMES = {attribute.api_name: attribute.cloud_event_name for attribute in ATTRIBUTES}
# Extension attribute of outgoing events that are resolved: the time. Other systems do not use the
# name, so an event with it was exported, and is not a report that a condition is over.
RESOLVED_TIME = _CLOUD_EVENT_NAMES["resolvedAt"]
# Names of the severity extension of CloudEvents, which are those of OpenTelemetry.
SEVERITY_NAMES = {
    f"{name}{number}": severity
    for name, severity in (
        ("trace", Severity.INFO),
        ("debug", Severity.INFO),
        ("info", Severity.INFO),
        ("warn", Severity.WARN),
        ("error", Severity.ERROR),
        ("fatal", Severity.ERROR),
    )
    for number in ("", "2", "3", "4")
}


def format_cloud_event(event: EventState, dataschema: str | None) -> dict[str, Any]:
    """Formats an event as a CloudEvent. `dataschema` is the URL of its event type's schema."""
    payload = event.payload or {}
    data = {name: payload[name] for name in ("data", "data_base64") if name in payload}
    default_type = None if "data_base64" in data else JSON_MEDIA_TYPE
    source = to_uri_reference(event.source)
    subject = event.subject or (entity_subject(event.entity) if event.entity else None)
    context = {
        "specversion": "1.0",
        "id": event.source_id or str(event.id),
        "source": source,
        "type": event.type,
        "subject": subject,
        "time": format_instant(event.occurred_at),
        "datacontenttype": payload.get("datacontenttype", default_type),
        "dataschema": dataschema or payload.get("dataschema"),
        # One line. A receiver takes the severity from the number if it does not know the text.
        "severitytext": replace_control_characters(event.severity_text or event.severity.value),
        "severitynumber": SEVERITY_NUMBERS[event.severity],
        "recordedtime": format_instant(event.recorded_at),
        "partitionkey": default_partition_key(event.entity, event.subject, source),
        "planningtags": list(event.tags) or None,
    }
    attributes = {name: value for name, value in context.items() if value is not None}
    return (
        attributes
        | (event.extensions or {})
        | _tocsin_attributes(event)
        | (data or {"data": event.fields})
    )


def schema_url(base_url: str, event: EventState) -> str | None:
    """Returns the URL of the JSON Schema that the event was validated against."""
    if event.event_type_id is None or event.event_type_version is None:
        return None
    return f"{base_url.rstrip('/')}{_schema_path(event.type)}?version={event.event_type_version}"


def is_schema_url(url: str, type: str) -> bool:
    """Whether a Tocsin server gives this URL to events of the type, as `schema_url` does."""
    return url.partition("?")[0].endswith(_schema_path(type))


def _schema_path(type: str) -> str:
    return f"/event-types/{quote(type, safe='')}/schema.json"


def entity_subject(entity: Entity) -> str:
    """Returns the default subject of an event that is about an entity."""
    return f"{entity.type}/{entity.id}"


def default_partition_key(entity: Entity | None, subject: str | None, source: str) -> str:
    """Returns the partition key of an event that was sent without one."""
    return entity_subject(entity) if entity else subject or source


def _tocsin_attributes(event: EventState) -> dict[str, Any]:
    """Returns the extension attributes for event attributes that CloudEvents does not define.

    `content` is left out, because an extension attribute is short and has no line breaks.
    """
    attributes: dict[str, Any] = {}
    if event.entity is not None:
        attributes |= {"entitytype": event.entity.type, "entityid": event.entity.id}
    for attribute in _EXTENSIONS:
        value = getattr(event, attribute.name)
        is_default = value is False and Use.NULLABLE not in attribute.uses
        if value is not None and not is_default:
            attributes[attribute.cloud_event_name] = _format_value(value)
    if not event.summary_given:
        del attributes["summary"]
    if event.resolved_at is not None:
        attributes["resolved"] = True
    if event.event_type_version is not None:
        attributes[TYPE_VERSION] = event.event_type_version
    return attributes


def _format_value(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return format_instant(value)
    return replace_control_characters(value) if isinstance(value, str) else value


def extract_tocsin_attributes(extensions: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Removes the extension attributes that a Tocsin server added, and returns them for a draft.

    Removes only values that `_tocsin_attributes` could have written, with times in any notation,
    and keeps all others.
    """
    attributes: dict[str, Any] = {}
    entity = [extensions.get(name) for name in ("entitytype", "entityid")]
    if all(
        isinstance(name, str) and not validate_name(name, limits.name_characters) for name in entity
    ):
        attributes["entity"] = Entity(extensions.pop("entitytype"), extensions.pop("entityid"))
    for attribute in _EXTENSIONS:
        name = attribute.cloud_event_name
        value = _parse_value(attribute, extensions.get(name), limits)
        if value is not None:
            attributes[attribute.name] = value
            del extensions[name]
    return attributes


def _parse_value(attribute: Attribute, value: Any, limits: Limits) -> Any:
    """Returns the value of an extension attribute. None if it is not a valid one."""
    if issubclass(attribute.type, Enum):
        return next((member for member in attribute.type if member.value == value), None)
    if attribute.type is bool:
        is_written = value is True or (value is False and Use.NULLABLE in attribute.uses)
        return value if is_written else None
    if not isinstance(value, str) or validate_line(value, len(value)):
        return None
    if attribute.type is datetime:
        return parse_instant(value)
    return None if attribute.validate and attribute.validate(value, limits, "") else value


def extract_type_version(extensions: dict[str, Any]) -> int | None:
    """Removes the version of the event type that a Tocsin server added, and returns it.

    Keeps any other value of the attribute, and returns None.
    """
    # In binary mode, it is text.
    if not _POSITIVE_INTEGER.fullmatch(text := str(extensions.get(TYPE_VERSION))):
        return None
    version = int(text)
    if version > _MAX_INTEGER:
        return None
    del extensions[TYPE_VERSION]
    return version


_POSITIVE_INTEGER = re.compile("[1-9][0-9]{0,9}")
_MAX_INTEGER = 2**31 - 1
_EXTENSIONS = attributes_with(Use.EXTENSION)


def translate_problem_path(problem: Problem) -> Problem:
    """Translates the path of a draft's problem to the CloudEvents attribute that it came from."""
    match problem.path:
        case ("entity", attribute):
            return replace(problem, path=(f"entity{attribute}",))
        case (first, *rest):
            return replace(problem, path=(_CLOUD_EVENT_NAMES.get(first, first), *rest))
    return problem
