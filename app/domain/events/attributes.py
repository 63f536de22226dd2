"""Validation of the attributes of an event, except its fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.domain.events.state import ATTRIBUTES
from app.domain.shared.limits import Limits
from app.domain.shared.messages import format_count, limit_message
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import format_instant, validate_name

_VALIDATORS = tuple(
    (attribute.name, attribute.validate, attribute.api_name)
    for attribute in ATTRIBUTES
    if attribute.validate is not None
)


def validate_attributes(
    attributes: Mapping[str, Any], limits: Limits, now: datetime
) -> list[Problem]:
    """Validates the attributes that are present. Paths use API names."""
    problems = [
        problem
        for name, validate, api_name in _VALIDATORS
        if attributes.get(name) is not None
        for problem in validate(attributes[name], limits, api_name)
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
