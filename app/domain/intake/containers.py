"""Container events: the audit trail of containers, with an event type for each activity."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from app.domain.events.filters import EventFilter, TimeRange
from app.domain.events.severity import Outcome
from app.domain.events.state import Entity, EventDraft

CONTAINER_ENTITY_TYPE = "Container"


class ContainerActivity(Enum):
    ACCESS = "ACCESS"
    BLOCK = "BLOCK"
    CREATE = "CREATE"
    EXPIRE = "EXPIRE"
    MODIFY = "MODIFY"
    DOWNLOAD = "DOWNLOAD"
    SHARE = "SHARE"
    DELETE = "DELETE"

    @property
    def type_name(self) -> str:
        return f"container.{self.value.lower()}"


def build_container_draft(
    container_id: str, activity: ContainerActivity, draft: EventDraft
) -> EventDraft:
    """Adds the container and the type of the activity to the draft of a container event."""
    entity = Entity(CONTAINER_ENTITY_TYPE, container_id)
    return replace(draft, type=activity.type_name, entity=entity)


def build_container_filter(
    container_id: str | None,
    activity: ContainerActivity | None,
    outcome: Outcome | None,
    occurred_at: TimeRange | None,
) -> EventFilter:
    """Builds a filter of container events. A missing activity or container ID matches any."""
    activities = ContainerActivity if activity is None else (activity,)
    return EventFilter(
        types=tuple(activity.type_name for activity in activities),
        entity_type=CONTAINER_ENTITY_TYPE,
        entity_id=container_id,
        outcome=outcome,
        occurred_at=occurred_at,
    )
