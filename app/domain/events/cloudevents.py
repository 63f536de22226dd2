"""CloudEvents 1.0 in JSON format, written; `cloudevent_reading.py` reads them.

What is written is read by another Tocsin, which writes the same but for `recordedtime`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventState
from app.domain.events.uris import uri_reference
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem
from app.domain.shared.values import line_problems, name_problems, on_one_line, write_instant

JSON_TYPE = "application/json"
SEVERITY_NUMBERS = {
    Severity.INFO: 9,
    Severity.SUCCESS: 10,
    Severity.WARN: 13,
    Severity.ERROR: 17,
}


def write_cloud_event(event: EventState, dataschema: str | None) -> dict[str, Any]:
    """The event as a CloudEvent. `dataschema`: where its type's definition is, if it has one."""
    payload = event.payload or {}
    data = {name: payload[name] for name in ("data", "data_base64") if name in payload}
    default_type = None if "data_base64" in data else JSON_TYPE
    source = uri_reference(event.source)
    subject = event.subject or (entity_subject(event.entity) if event.entity else None)
    context = {
        "specversion": "1.0",
        "id": event.source_id or str(event.id),
        "source": source,
        "type": event.type,
        "subject": subject,
        "time": write_instant(event.occurred_at),
        "datacontenttype": payload.get("datacontenttype", default_type),
        "dataschema": dataschema or payload.get("dataschema"),
        "severitytext": event.severity.value,
        "severitynumber": SEVERITY_NUMBERS[event.severity],
        "recordedtime": write_instant(event.recorded_at),
        "partitionkey": partition_key(event.entity, event.subject, source),
        "planningtags": list(event.tags) or None,
    }
    said = {name: value for name, value in context.items() if value is not None}
    return said | (event.extensions or {}) | _additions(event) | (data or {"data": event.fields})


def schema_address(base: str, event: EventState) -> str | None:
    """Where the server at this address serves the definition that the event was checked against."""
    if event.event_type_id is None or event.event_type_version is None:
        return None
    place = f"/event-types/{quote(event.type, safe='')}/schema.json"
    return f"{base.rstrip('/')}{place}?version={event.event_type_version}"


def entity_subject(entity: Entity) -> str:
    """The subject of an event that is about an entity and has none of its own."""
    return f"{entity.type}/{entity.id}"


def partition_key(entity: Entity | None, subject: str | None, source: str) -> str:
    """The partition key of an event that has none of its own."""
    return entity_subject(entity) if entity else subject or source


def _additions(event: EventState) -> dict[str, Any]:
    """What CloudEvents has no word for, as far as there is something to say.

    Not `content`: an attribute has no line breaks, and is to be short.
    """
    said: dict[str, Any] = {}
    if event.entity is not None:
        said |= {"entitytype": event.entity.type, "entityid": event.entity.id}
    if event.outcome is not None:
        said["outcome"] = event.outcome.value
    if event.notification:
        said["notification"] = True
    if event.summary_given:
        said["summary"] = on_one_line(event.summary)
    return said


def take_additions(extensions: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Takes out what a Tocsin has added, as a draft has it; all else is somebody else's, and stays.

    Only what `_additions` could have written is taken, so that the others come out as they came.
    """
    said: dict[str, Any] = {}
    entity = [extensions.get(name) for name in ("entitytype", "entityid")]
    if all(isinstance(name, str) and not name_problems(name, limits.name) for name in entity):
        said["entity"] = Entity(extensions.pop("entitytype"), extensions.pop("entityid"))
    outcomes = [outcome for outcome in Outcome if outcome.value == extensions.get("outcome")]
    if outcomes:
        said["outcome"] = Outcome(extensions.pop("outcome"))
    if extensions.get("notification") is True:
        said["notification"] = extensions.pop("notification")
    summary = extensions.get("summary")
    if isinstance(summary, str) and not line_problems(summary, limits.summary):
        said["summary"] = extensions.pop("summary")
    return said


_WORDS = {
    "sourceId": "id",
    "occurredAt": "time",
    "severity": "severitytext",
    "tags": "planningtags",
    "fields": "data",
    "payload": "data",
}


def in_cloud_events_words(problem: Problem) -> Problem:
    """The problem of a draft, at the place in the CloudEvent that it was read from."""
    match problem.path:
        case ("entity", part):
            return replace(problem, path=(f"entity{part}",))
        case (first, *rest):
            return replace(problem, path=(_WORDS.get(first, first), *rest))
    return problem
