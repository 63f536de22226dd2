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
from app.domain.intake.intake import EventDraft
from app.graphql.shared.examples import with_example
from app.graphql.types.event_filter import EntityInput


@strawberry.input(
    description=with_example(
        "An event to log. Omitted and null values have the same meaning.",
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
        description="ID of the event type, an alternative to `type`. If both are given, they must "
        "name the same event type. An unknown ID is a `NOT_FOUND` error.",
    )
    type: str | None = strawberry.field(
        default=None,
        description="CloudEvents type of the event, by default at most 255 characters. Must not "
        "end with `*`. If an event type is registered under this name, the event is validated "
        "against it; otherwise the event is free-form. If omitted: the type of `eventTypeId`, or "
        "`notice`.",
    )
    entity: EntityInput | None = strawberry.field(
        default=None, description="Entity that the event is about. None if omitted."
    )
    severity: str | None = strawberry.field(
        default=None,
        description="Severity as text, in upper or lower case. `error`, `failure` and `red` mean "
        "ERROR; `warn`, `warning` and `yellow` mean WARN; `success`, `successful` and `green` "
        "mean SUCCESS; `info` and `blue` mean INFO. The operator of the server can add words. Any "
        "other text means INFO, with the warning `SEVERITY_UNKNOWN`. INFO if omitted or blank. "
        "`Event.severityText` is the text as it was sent.",
    )
    summary: str | None = strawberry.field(
        default=None,
        description="Short description of the event, by default at most 1,000 characters. If "
        "omitted: the name of the event type, or the `type` of a free-form event.",
    )
    content: str | None = strawberry.field(
        default=None,
        description="Full description of the event, by default at most 100,000 characters. None "
        "if omitted.",
    )
    source: str | None = strawberry.field(
        default=None,
        description="Producer of the event, as in CloudEvents: a URI-reference such as "
        "`/services/flare-monitor`, by default at most 255 characters. If omitted: the name of "
        "the credential, percent-encoded.",
    )
    subject: str | None = strawberry.field(
        default=None,
        description="Subject of the event within its source, as in CloudEvents, by default at "
        "most 255 characters. None if omitted.",
    )
    outcome: Outcome | None = strawberry.field(
        default=None,
        description="Outcome of the activity that the event reports. Not reported if omitted.",
    )
    occurred_at: datetime | None = strawberry.field(
        default=None,
        description="Time at which the event occurred, by default at most 300 seconds in the "
        "future. Now if omitted.",
    )
    fields: JSON | None = strawberry.field(
        default=None,
        description="Custom values by field name, a JSON object of at most 64 KiB by default. "
        "They are validated if the event type is registered; a free-form event can have any. None "
        "if omitted.",
    )
    tags: list[str] | None = strawberry.field(
        default=None,
        description="Labels of the event, by default at most 100 non-empty texts, such as "
        "`StudyId:01ED4CMJ4N9N504E3QJT1A68JY`. None if omitted.",
    )
    notification: bool | None = strawberry.field(
        default=None,
        description="Whether the event is a notification: listed by `notifications` and delivered "
        "by `notificationAdded`. False if omitted.",
    )
    acknowledged: bool | None = strawberry.field(
        default=None,
        description="Whether the event is logged as already acknowledged by the caller. False if "
        "omitted.",
    )
    source_id: str | None = strawberry.field(
        default=None,
        description="Identifier that the producer gives the event, by default at most 255 "
        "characters. It makes retries safe: an event with the same `source`, `sourceId` and "
        "content as an earlier one is not stored again, and the earlier event is returned with "
        "`duplicate: true`. With other content, the error is `CONFLICT`. None if omitted.",
    )

    def to_domain(self) -> EventDraft:
        return EventDraft(
            event_type_id=self.event_type_id,
            type=self.type,
            entity=None if self.entity is None else self.entity.to_domain(),
            severity=self.severity,
            summary=self.summary,
            content=self.content,
            source=self.source,
            source_id=self.source_id,
            subject=self.subject,
            outcome=self.outcome,
            occurred_at=self.occurred_at,
            fields=self.fields,
            tags=None if self.tags is None else tuple(self.tags),
            notification=self.notification,
            acknowledged=self.acknowledged,
        )


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
        "Changes to an event. An omitted attribute keeps its value.",
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
        description="Entity that the event is about. Null removes it."
    )
    severity: strawberry.Maybe[str | None] = strawberry.field(
        description="Severity as text, interpreted as in LogEventInput: an unknown text means "
        "INFO, with the warning `SEVERITY_UNKNOWN`. Must not be null."
    )
    summary: strawberry.Maybe[str | None] = strawberry.field(
        description="Short description of the event, by default at most 1,000 characters. Must "
        "not be null."
    )
    content: strawberry.Maybe[str | None] = strawberry.field(
        description="Full description of the event, by default at most 100,000 characters. Null "
        "removes it."
    )
    outcome: strawberry.Maybe[Outcome | None] = strawberry.field(
        description="Outcome of the activity that the event reports. Null removes it."
    )
    occurred_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="Time at which the event occurred, by default at most 300 seconds in the "
        "future. Must not be null."
    )
    fields: strawberry.Maybe[JSON | None] = strawberry.field(
        description="Custom values to set, by field name, a JSON object. Other values stay "
        "unchanged, and a null value removes the field's value. Null instead of an object removes "
        "all values."
    )
    tags: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="Planning tags that replace all tags of the event, by default at most 100. "
        "Null removes all tags."
    )
    notification: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether the event is a notification. A change from false to true adds the "
        "event to the top of `notifications` and delivers it by `notificationAdded`. Must not be "
        "null."
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the given attributes for `intake.validate_update`."""
        names = (
            *("entity", "severity", "summary", "content", "outcome", "occurred_at"),
            *("fields", "tags", "notification"),
        )
        attributes = {
            name: maybe.value for name in names if (maybe := getattr(self, name)) is not None
        }
        if attributes.get("entity") is not None:
            attributes["entity"] = attributes["entity"].to_domain()
        if attributes.get("tags") is not None:
            attributes["tags"] = tuple(attributes["tags"])
        return attributes
