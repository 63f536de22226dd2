"""Validation of the attributes of an event, except its fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.domain.shared.limits import Limits
from app.domain.shared.messages import format_count, limit_message
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import (
    format_instant,
    validate_name,
    validate_text,
    validate_type_name,
)


def validate_attributes(
    attributes: Mapping[str, Any], limits: Limits, now: datetime
) -> list[Problem]:
    """Validates the attributes that are present. Paths use API names."""
    problems = [
        *validate_type_name(attributes.get("type"), limits, "type"),
        *validate_name(attributes.get("source"), limits.name_characters, "source"),
        *validate_name(attributes.get("source_id"), limits.name_characters, "sourceId"),
        *validate_name(attributes.get("subject"), limits.name_characters, "subject"),
        *validate_text(attributes.get("summary"), limits.summary_characters, "summary"),
        *validate_text(attributes.get("content"), limits.content_characters, "content"),
    ]
    if entity := attributes.get("entity"):
        problems += validate_name(entity.type, limits.name_characters, "entity", "type")
        problems += validate_name(entity.id, limits.name_characters, "entity", "id")
    tags = attributes.get("tags") or ()
    if len(tags) > limits.tags_per_event:
        message = limit_message(limits.tags_per_event, "tag", "this event", len(tags))
        problems.append(invalid_input(message, "tags"))
    for index, tag in enumerate(tags[: limits.tags_per_event]):
        problems += validate_name(tag, limits.name_characters, "tags", str(index))
    occurred_at = attributes.get("occurred_at")
    if occurred_at is not None and occurred_at > now + limits.max_clock_skew:
        message = (
            f"The event's time, {format_instant(occurred_at)}, is more than "
            f"{format_count(limits.clock_skew_seconds, 'second')} ahead of the server's clock. "
            "Check the clock of the event's source."
        )
        problems.append(invalid_input(message, "occurredAt"))
    return problems
