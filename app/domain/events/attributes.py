"""The attributes of an event, but for its fields: which can be kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, invalid
from app.domain.shared.values import name_problems, text_problems, type_name_problems


def attribute_problems(given: Mapping[str, Any], limits: Limits, now: datetime) -> list[Problem]:
    """Everything that is wrong with the attributes given, under the names of the API."""
    problems = [
        *type_name_problems(given.get("type"), limits, "type"),
        *name_problems(given.get("source"), limits.name, "source"),
        *name_problems(given.get("source_id"), limits.name, "sourceId"),
        *name_problems(given.get("subject"), limits.name, "subject"),
        *text_problems(given.get("summary"), limits.summary, "summary"),
        *text_problems(given.get("content"), limits.content, "content"),
    ]
    if entity := given.get("entity"):
        problems += name_problems(entity.type, limits.name, "entity", "type")
        problems += name_problems(entity.id, limits.name, "entity", "id")
    tags = given.get("tags") or ()
    if len(tags) > limits.tags:
        problems.append(invalid(f"There are {len(tags):,} tags; at most {limits.tags}.", "tags"))
    for index, tag in enumerate(tags[: limits.tags]):
        problems += name_problems(tag, limits.name, "tags", str(index))
    occurred_at = given.get("occurred_at")
    if occurred_at is not None and occurred_at > now + limits.future:
        ahead = f"Is more than {limits.future_seconds} seconds ahead of the server's clock."
        problems.append(invalid(ahead, "occurredAt"))
    return problems
