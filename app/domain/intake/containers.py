"""Container events: the audit trail of what happens to containers, as events like all others."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any

from app.domain.events.filters import EventFilter, TimeRange
from app.domain.events.severity import Outcome
from app.domain.events.state import Entity
from app.domain.intake.intake import Draft

ENTITY_TYPE = "Container"


class ContainerActivity(Enum):
    ACCESS = "ACCESS"
    BLOCK = "BLOCK"
    CREATE = "CREATE"
    EXPIRE = "EXPIRE"

    @property
    def type_name(self) -> str:
        return f"container.{self.value.lower()}"


def container_draft(
    container_id: str,
    activity: ContainerActivity,
    occurred_at: datetime | None,
    outcome: Outcome | None,
    fields: Any,
) -> Draft:
    return Draft(
        type=activity.type_name,
        entity=Entity(ENTITY_TYPE, container_id),
        occurred_at=occurred_at,
        outcome=outcome,
        fields=fields,
    )


def container_filter(
    container_id: str | None,
    activity: ContainerActivity | None,
    outcome: Outcome | None,
    occurred_at: TimeRange | None,
) -> EventFilter:
    """Every activity, and every container, that is not said."""
    activities = ContainerActivity if activity is None else (activity,)
    return EventFilter(
        types=tuple(each.type_name for each in activities),
        entity_type=ENTITY_TYPE,
        entity_id=container_id,
        outcome=outcome,
        occurred_at=occurred_at,
    )
