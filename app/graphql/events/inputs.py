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
from app.graphql.types.event_filter import EntityInput


@strawberry.input(description="A report of something that happened.")
class LogEventInput:
    event_type_id: strawberry.ID | None = strawberry.field(
        default=None, description="The event type, by its id; or say `type`."
    )
    type: str | None = strawberry.field(
        default=None,
        description="The type by name. Registered, the event is checked against its definition; "
        "not registered, it is free-form. With neither this nor `eventTypeId`: `notice`.",
    )
    entity: EntityInput | None = strawberry.field(default=None, description="What it is about.")
    severity: str | None = strawberry.field(
        default=None,
        description="A text: error, warn, info, success; failure and red mean error, warning and "
        "yellow warn, successful and green success, all else (a misspelt one too) info.",
    )
    summary: str | None = strawberry.field(
        default=None,
        description="What happened, in a line of up to 1,000 characters; left out, the name of "
        "the event type.",
    )
    content: str | None = strawberry.field(
        default=None, description="What happened, at length: up to 100,000 characters."
    )
    source: str | None = strawberry.field(
        default=None,
        description="Who reports it, a URI-reference; left out, the name of the credential.",
    )
    subject: str | None = strawberry.field(
        default=None, description="What of the source it is about, in CloudEvents' sense."
    )
    outcome: Outcome | None = strawberry.field(
        default=None, description="How what it tells of went."
    )
    occurred_at: datetime | None = strawberry.field(
        default=None, description="When it happened; left out, now. At most 5 minutes ahead."
    )
    fields: JSON | None = strawberry.field(
        default=None,
        description="Values by field name: an object of up to 64 KiB, checked against the event "
        "type where one is registered.",
    )
    tags: list[str] | None = strawberry.field(
        default=None, description="Planning tags, `name:identifier`: up to 100."
    )
    notification: bool | None = strawberry.field(
        default=None, description="Whether the bell rings and shows it; it does not, if left out."
    )
    acknowledged: bool | None = strawberry.field(
        default=None, description="Whether it is acknowledged already; it is not, if left out."
    )
    source_id: str | None = strawberry.field(
        default=None,
        description="The producer's own id. The same report with the same source and sourceId is "
        "accepted once; sent again, it is answered with the first event. Another report under the "
        "same id is a CONFLICT.",
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
    """Builds the input. Strawberry's default looks up types and names of fields every time."""
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
    description="New values of an event. What is left out stays as it is; null clears what may be "
    "empty."
)
class UpdateEventInput:
    id: strawberry.ID = strawberry.field(description="The event's id.")
    if_version: int | None = strawberry.field(
        default=None, description="Refuse with CONFLICT unless the event is at this version."
    )
    entity: strawberry.Maybe[EntityInput | None] = strawberry.field(description="What it is about.")
    severity: strawberry.Maybe[str | None] = strawberry.field(
        description="How grave it is: a text, read as in `logEvent`."
    )
    summary: strawberry.Maybe[str | None] = strawberry.field(
        description="What happened, in a line."
    )
    content: strawberry.Maybe[str | None] = strawberry.field(
        description="What happened, at length."
    )
    outcome: strawberry.Maybe[Outcome | None] = strawberry.field(
        description="How what it tells of went."
    )
    occurred_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="When it happened."
    )
    fields: strawberry.Maybe[JSON | None] = strawberry.field(
        description="Merged into the stored values; null as a value removes one."
    )
    tags: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="All its tags, in place of those it has."
    )
    notification: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether it is shown in the bell. When false becomes true, it rings."
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the provided attributes, for `intake.validate_update`."""
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
