"""Formatting of events as CloudEvents 1.0 in JSON; `cloudevent_parsing.py` parses them.

Another Tocsin server that parses such an event formats the same one, except for `recordedtime`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventState
from app.domain.events.uris import to_uri_reference
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem
from app.domain.shared.values import (
    format_instant,
    replace_control_characters,
    validate_line,
    validate_name,
)

JSON_MEDIA_TYPE = "application/json"
SEVERITY_NUMBERS = {
    Severity.INFO: 9,
    Severity.SUCCESS: 10,
    Severity.WARN: 13,
    Severity.ERROR: 17,
}
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
    path = f"/event-types/{quote(event.type, safe='')}/schema.json"
    return f"{base_url.rstrip('/')}{path}?version={event.event_type_version}"


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
    if event.outcome is not None:
        attributes["outcome"] = event.outcome.value
    if event.notification:
        attributes["notification"] = True
    if event.summary_given:
        attributes["summary"] = replace_control_characters(event.summary)
    return attributes


def extract_tocsin_attributes(extensions: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Removes the extension attributes that a Tocsin server added, and returns them for a draft.

    Removes only values that `_tocsin_attributes` could have written, and keeps all others.
    """
    attributes: dict[str, Any] = {}
    entity = [extensions.get(name) for name in ("entitytype", "entityid")]
    if all(
        isinstance(name, str) and not validate_name(name, limits.name_characters) for name in entity
    ):
        attributes["entity"] = Entity(extensions.pop("entitytype"), extensions.pop("entityid"))
    outcomes = [outcome for outcome in Outcome if outcome.value == extensions.get("outcome")]
    if outcomes:
        attributes["outcome"] = Outcome(extensions.pop("outcome"))
    if extensions.get("notification") is True:
        attributes["notification"] = extensions.pop("notification")
    summary = extensions.get("summary")
    if isinstance(summary, str) and not validate_line(summary, limits.summary_characters):
        attributes["summary"] = extensions.pop("summary")
    return attributes


_ATTRIBUTE_NAMES = {
    "sourceId": "id",
    "occurredAt": "time",
    "severity": "severitytext",
    "tags": "planningtags",
    "fields": "data",
    "payload": "data",
}


def translate_problem_path(problem: Problem) -> Problem:
    """Translates the path of a draft's problem to the CloudEvents attribute that it came from."""
    match problem.path:
        case ("entity", attribute):
            return replace(problem, path=(f"entity{attribute}",))
        case (first, *rest):
            return replace(problem, path=(_ATTRIBUTE_NAMES.get(first, first), *rest))
    return problem
