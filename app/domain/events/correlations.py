"""Correlations: links between events, and the relations that follow from them.

A causal link has a direction, and causal links never form a cycle. The other links are symmetric.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from app.domain.shared.limits import Limits
from app.domain.shared.messages import limit_message
from app.domain.shared.problems import Problem, UserErrorCode, bad_user_input, invalid_input

_MAX_LISTED_IDS = 10


class Relation(Enum):
    """Relation of an event to another: CAUSED_BY for its cause, CAUSE_OF for its effect."""

    RELATED = "RELATED"
    CAUSED_BY = "CAUSED_BY"
    CAUSE_OF = "CAUSE_OF"


@dataclass(frozen=True)
class Link:
    """A stored link. If causal, `other_id` caused `event_id`; otherwise the smaller ID is first."""

    event_id: UUID
    other_id: UUID
    causal: bool

    @classmethod
    def from_relation(cls, event_id: UUID, relation: Relation, other_id: UUID) -> Link:
        if relation is Relation.CAUSED_BY:
            return cls(event_id, other_id, True)
        if relation is Relation.CAUSE_OF:
            return cls(other_id, event_id, True)
        return cls(min(event_id, other_id), max(event_id, other_id), False)

    def other_end(self, event_id: UUID) -> tuple[Relation, UUID]:
        """Returns the event at the other end and its relation to this one."""
        if event_id == self.event_id:
            return Relation.CAUSED_BY if self.causal else Relation.RELATED, self.other_id
        return Relation.CAUSE_OF if self.causal else Relation.RELATED, self.event_id


def combine_relations(relation: Relation | None, step: Relation) -> Relation:
    """Combines the relation along a path with that of its next step. None: the path is empty.

    The cause of a cause is a cause, and the effect of an effect is an effect; every other
    combination is RELATED.
    """
    return step if relation in (None, step) else Relation.RELATED


def resolve_depth(depth: int | None, in_list: bool, limits: Limits) -> int:
    """Returns the depth to follow links to, by default 1. Raises RequestError BAD_USER_INPUT."""
    depth = 1 if depth is None else depth
    if not 1 <= depth <= limits.correlation_depth:
        message = f"Invalid depth {depth}: expected 1 to {limits.correlation_depth}."
        raise bad_user_input(message, "depth")
    if in_list and depth > 1:
        message = (
            f"Invalid depth {depth}: the maximum is 1 for the events of a list. To use a greater "
            "depth, query a single event."
        )
        raise bad_user_input(message, "depth")
    return depth


def validate_related_ids(
    event_id: UUID, related_ids: Sequence[UUID], limits: Limits
) -> list[Problem]:
    """Validates the arguments of a call, independently of stored events and links."""
    if len(related_ids) > limits.correlations_per_call:
        message = limit_message(limits.correlations_per_call, "ID", "relatedIds", len(related_ids))
        return [invalid_input(message, "relatedIds")]
    return [
        invalid_input("An event cannot be correlated with itself.", "relatedIds", str(index))
        for index, related_id in enumerate(related_ids)
        if related_id == event_id
    ]


def find_causal_cycle(
    existing: Iterable[Link], new: Iterable[Link]
) -> tuple[Link, list[UUID]] | None:
    """Finds the first new link that closes a cycle of causal links, and the shortest such cycle.

    In the cycle each event is caused by the next; it begins and ends with the same event.
    """
    causes: dict[UUID, list[UUID]] = {}
    for link in existing:
        causes.setdefault(link.event_id, []).append(link.other_id)
    for link in new:
        if path := _find_shortest_path(causes, link.other_id, link.event_id):
            return link, [link.event_id, *path]
    return None


def _find_shortest_path(
    causes: Mapping[UUID, Sequence[UUID]], start: UUID, end: UUID
) -> list[UUID] | None:
    """Returns the shortest path from an event to one of its causes, both included."""
    predecessors = {start: start}
    queue = deque([start])
    while queue and end not in predecessors:
        event_id = queue.popleft()
        for cause in sorted(causes.get(event_id, ())):
            if cause not in predecessors:
                predecessors[cause] = event_id
                queue.append(cause)
    if end not in predecessors:
        return None
    path = [end]
    while path[-1] != start:
        path.append(predecessors[path[-1]])
    return path[::-1]


def cycle_problem(cycle: Sequence[UUID], *path: str) -> Problem:
    listed = [str(event_id) for event_id in cycle]
    if len(listed) > _MAX_LISTED_IDS:
        half = _MAX_LISTED_IDS // 2
        listed[half:-half] = [f"({len(listed) - _MAX_LISTED_IDS:,} more)"]
    message = (
        "The link would make an event its own cause. "
        f"In this cycle each event is caused by the next: {', '.join(listed)}."
    )
    return Problem(UserErrorCode.CYCLE, message, path)
