"""Inputs of logEvent and updateEvent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import strawberry
from strawberry.scalars import JSON
from strawberry.types.base import get_object_definition
from strawberry.utils.str_converters import to_camel_case

from app.domain.events.severity import Outcome
from app.domain.events.state import EventDraft, Use, attributes_with
from app.graphql.shared.examples import with_example
from app.graphql.types.event_filter import EntityInput


@strawberry.input(
    description=with_example(
        "An event to log. A null attribute is treated as omitted.",
        """
        {
          type: "flaring.incident"
          entity: { type: "Well", id: "well-001" }
          severity: "warn"
          summary: "Flare started"
          fields: { volume_mcf: 150 }
          source: "/flare-monitor"
          sourceId: "42"
        }
        """,
    )
)
class LogEventInput:
    event_type_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="ID of the event type, as an alternative to `type`. If both are given, they "
        "must identify the same event type. An unknown ID is rejected with `NOT_FOUND`.",
    )
    type: str | None = strawberry.field(
        default=None,
        description="CloudEvents type of the event: one line, at most 255 characters by default, "
        "not ending with `*`. If an event type with this type exists, the event is validated "
        "against it; otherwise the event is free-form. Defaults to the type of `eventTypeId`, or "
        "to `notice`.",
    )
    entity: EntityInput | None = strawberry.field(
        default=None, description="Entity that the event is about. None if omitted."
    )
    severity: str | None = strawberry.field(
        default=None,
        description="Severity in text form; case is ignored. `error`, `failure` and `red` mean "
        "ERROR; `warn`, `warning` and `yellow` mean WARN; `info` and `blue` mean INFO; `success`, "
        "`successful` and `green` mean SUCCESS. The operator of the server can add words. Any "
        "other text means INFO, with the warning `SEVERITY_UNKNOWN`. INFO if omitted or blank. "
        "`Event.severityText` returns the text as it was sent.",
    )
    summary: str | None = strawberry.field(
        default=None,
        description="Short description of the event, at most 1,000 characters (configurable). "
        "Defaults to the name of the event type, or to the `type` of a free-form event.",
    )
    content: str | None = strawberry.field(
        default=None,
        description="Full description of the event, at most 100,000 characters by default. None "
        "if omitted.",
    )
    source: str | None = strawberry.field(
        default=None,
        description="Producer of the event, as in CloudEvents: a URI-reference such as "
        "`/services/flare-monitor`, at most 255 characters (configurable). Defaults to the "
        "percent-encoded name of the credential.",
    )
    subject: str | None = strawberry.field(
        default=None,
        description="Subject of the event within its source, as in CloudEvents, at most 255 "
        "characters by default. None if omitted.",
    )
    outcome: Outcome | None = strawberry.field(
        default=None,
        description="Outcome of the activity that the event reports. None if omitted.",
    )
    occurred_at: datetime | None = strawberry.field(
        default=None,
        description="Time at which the event occurred, at most 300 seconds in the future "
        "(configurable). Defaults to the current time.",
    )
    fields: JSON | None = strawberry.field(
        default=None,
        description="Custom values by field name: a JSON object of at most 64 KiB by default. If "
        "an event type with this `type` exists, the values are validated against the fields of "
        "the event type; a free-form event can have any values. Empty if omitted.",
    )
    tags: list[str] | None = strawberry.field(
        default=None,
        description="Tags of the event, such as `StudyId:01ED4CMJ4N9N504E3QJT1A68JY`. By default, "
        "at most 100 tags of 1 to 255 characters each. Duplicate tags are stored once. No tags if "
        "omitted.",
    )
    notification: bool | None = strawberry.field(
        default=None,
        description="Whether the event is a notification: listed by `notifications` and delivered "
        "by `notificationAdded`. Defaults to false.",
    )
    acknowledged: bool | None = strawberry.field(
        default=None,
        description="Whether the event is logged as acknowledged by the caller. Defaults to false.",
    )
    source_id: str | None = strawberry.field(
        default=None,
        description="Identifier that the producer gives the event, at most 255 characters by "
        "default. It makes retries safe: if an event with the same `source`, `sourceId` and "
        "content was already logged, nothing is stored, and the earlier event is returned with "
        "`duplicate: true`. If the content differs, the error is `CONFLICT`. None if omitted.",
    )

    def to_domain(self) -> EventDraft:
        entity = None if self.entity is None else self.entity.to_domain()
        tags = None if self.tags is None else tuple(self.tags)
        return EventDraft(**(vars(self) | {"entity": entity, "tags": tags}))


def _build_log_event_input(
    input_type: type[LogEventInput], values: Mapping[str, Any], _context: Any
) -> LogEventInput:
    """Builds the input faster than Strawberry, which looks up types and names on every call."""
    attributes = {_PYTHON_NAMES[name]: value for name, value in values.items()}
    if attributes.get("entity") is not None:
        attributes["entity"] = EntityInput(**attributes["entity"])
    return input_type(**attributes)


_DEFINITION = get_object_definition(LogEventInput, strict=True)
_DEFINITION.from_input = _build_log_event_input
_PYTHON_NAMES = {
    to_camel_case(field.python_name): field.python_name for field in _DEFINITION.fields
}


@strawberry.input(
    description=with_example(
        "Changes to an event. An omitted attribute keeps its value; null clears an optional "
        "attribute.",
        """
        {
          id: "01971f4e-8a2b-7c3d-9e4f-5a6b7c8d9e0f"
          ifVersion: 1
          severity: "error"
          fields: { volume_mcf: 175, cause: null }
        }
        """,
    )
)
class UpdateEventInput:
    id: strawberry.ID = strawberry.field(description="ID of the event.")
    if_version: int | None = strawberry.field(
        default=None,
        description="Version that the event must have; otherwise the error is `CONFLICT`. Any "
        "version if omitted.",
    )
    entity: strawberry.Maybe[EntityInput | None] = strawberry.field(
        description="New entity that the event is about. Null removes the entity."
    )
    severity: strawberry.Maybe[str | None] = strawberry.field(
        description="New severity in text form, as in `LogEventInput.severity`. Unknown text "
        "means INFO, with the warning `SEVERITY_UNKNOWN`. Must not be null."
    )
    summary: strawberry.Maybe[str | None] = strawberry.field(
        description="New short description of the event, at most 1,000 characters by default. "
        "Must not be null."
    )
    content: strawberry.Maybe[str | None] = strawberry.field(
        description="New full description of the event, at most 100,000 characters by default. "
        "Null removes the description."
    )
    outcome: strawberry.Maybe[Outcome | None] = strawberry.field(
        description="New outcome of the activity that the event reports. Null removes the outcome."
    )
    occurred_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="New time at which the event occurred, at most 300 seconds in the future by "
        "default. Must not be null."
    )
    fields: strawberry.Maybe[JSON | None] = strawberry.field(
        description="New custom values by field name: a JSON object. The values of omitted fields "
        "are not changed; a null value removes the value of its field. Null instead of an object "
        "removes all values. All values of the event together can have at most 64 KiB of JSON by "
        "default."
    )
    tags: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="New tags of the event. By default, at most 100 tags of 1 to 255 characters "
        "each. Duplicate tags are stored once. Replaces the whole list. Null removes all tags."
    )
    notification: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether the event is a notification. A change from false to true puts the "
        "event at the top of `notifications`, and `notificationAdded` delivers it; a change to "
        "false removes it from `notifications`. Must not be null."
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the given attributes for `intake.validate_update`."""
        attributes = {
            attribute.name: maybe.value
            for attribute in attributes_with(Use.UPDATABLE)
            if (maybe := getattr(self, attribute.name)) is not None
        }
        if attributes.get("entity") is not None:
            attributes["entity"] = attributes["entity"].to_domain()
        if attributes.get("tags") is not None:
            attributes["tags"] = tuple(attributes["tags"])
        return attributes
