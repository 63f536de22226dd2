"""Retention policies: what is removed once it is older than a period."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from app.domain.shared.durations import format_duration
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import validate_name

# The earliest time of the databases is far before this.
_MAX_PERIOD = timedelta(days=36_600)


class RetentionTarget(Enum):
    EVENTS = "EVENTS"
    HISTORY = "HISTORY"


@dataclass(frozen=True)
class RetentionPolicy:
    """`filter`: that of the events, as JSON; None for the history, which has none."""

    name: str
    target: RetentionTarget
    filter: Mapping[str, Any] | None
    keep_for: timedelta

    def expiration_time(self, now: datetime) -> datetime:
        """What is older than this is removed."""
        return now - self.keep_for


def validate_retention_policy(policy: RetentionPolicy, limits: Limits) -> list[Problem]:
    """Validates a policy, except that its filter is assumed to be valid."""
    problems = validate_name(policy.name, limits.name_characters, "name")
    if policy.target is RetentionTarget.EVENTS and policy.filter is None:
        message = "A policy for events requires a filter. To select all events, use {}."
        problems.append(invalid_input(message, "filter"))
    if policy.target is RetentionTarget.HISTORY and policy.filter is not None:
        message = "A policy for the history must not have a filter. Omit the filter."
        problems.append(invalid_input(message, "filter"))
    minimum = timedelta(seconds=limits.retention_seconds)
    if not minimum <= policy.keep_for <= _MAX_PERIOD:
        message = (
            f"keepFor must be from {format_duration(minimum)} to {format_duration(_MAX_PERIOD)}."
        )
        problems.append(invalid_input(message, "keepFor"))
    return problems
