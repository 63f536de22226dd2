"""Correlations: links between events, and what they make of one event to another.

A causal link has a direction, and causal links never form a cycle. The others go both ways.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode, bad_input, invalid

_TOLD = 10


class Relation(Enum):
    """What another event is to an event: CAUSED_BY its cause, CAUSE_OF its effect."""

    RELATED = "RELATED"
    CAUSED_BY = "CAUSED_BY"
    CAUSE_OF = "CAUSE_OF"


@dataclass(frozen=True)
class Link:
    """As it is kept. Causal: `event_id` was caused by `other_id`; else the smaller id is first."""

    event_id: UUID
    other_id: UUID
    causal: bool

    @classmethod
    def of(cls, event_id: UUID, relation: Relation, other_id: UUID) -> Link:
        if relation is Relation.CAUSED_BY:
            return cls(event_id, other_id, True)
        if relation is Relation.CAUSE_OF:
            return cls(other_id, event_id, True)
        return cls(min(event_id, other_id), max(event_id, other_id), False)

    def other_end(self, event_id: UUID) -> tuple[Relation, UUID]:
        """The event at the other end, and what it is to this one."""
        if event_id == self.event_id:
            return Relation.CAUSED_BY if self.causal else Relation.RELATED, self.other_id
        return Relation.CAUSE_OF if self.causal else Relation.RELATED, self.event_id


def onward(so_far: Relation | None, step: Relation) -> Relation:
    """What an event is to the one asked, a step behind one that is `so_far` to it.

    None: the one asked itself. The cause of a cause is a cause and the effect of an effect an
    effect; all else is no more than related.
    """
    return step if so_far in (None, step) else Relation.RELATED


def wanted_depth(depth: int | None, in_list: bool, limits: Limits) -> int:
    """How far to follow links: 1 if left out. RequestError BAD_USER_INPUT."""
    depth = 1 if depth is None else depth
    if not 1 <= depth <= limits.correlation_depth:
        raise bad_input(f"depth must be from 1 to {limits.correlation_depth}.", "depth")
    if in_list and depth > 1:
        raise bad_input("Below a list depth must be 1: ask one event for more.", "depth")
    return depth


def call_problems(event_id: UUID, related_ids: Sequence[UUID], limits: Limits) -> list[Problem]:
    """What is wrong with a call, whatever is stored."""
    if len(related_ids) > limits.correlated_per_call:
        most = f"at most {limits.correlated_per_call:,} a call"
        return [invalid(f"There are {len(related_ids):,} ids; {most}.", "relatedIds")]
    return [
        invalid("An event is not linked to itself.", "relatedIds", str(index))
        for index, related_id in enumerate(related_ids)
        if related_id == event_id
    ]


def causal_cycle(known: Iterable[Link], new: Iterable[Link]) -> tuple[Link, list[UUID]] | None:
    """The first new link that closes a cycle with causal links that are known, and the shortest.

    In a cycle each event is caused by the next; it begins and ends with the same.
    """
    causes: dict[UUID, list[UUID]] = {}
    for link in known:
        causes.setdefault(link.event_id, []).append(link.other_id)
    for link in new:
        if way := _way(causes, link.other_id, link.event_id):
            return link, [link.event_id, *way]
    return None


def _way(causes: Mapping[UUID, Sequence[UUID]], start: UUID, end: UUID) -> list[UUID] | None:
    """The shortest way from an event to one of its causes, both included."""
    came_from = {start: start}
    reached = deque([start])
    while reached and end not in came_from:
        here = reached.popleft()
        for cause in sorted(causes.get(here, ())):
            if cause not in came_from:
                came_from[cause] = here
                reached.append(cause)
    if end not in came_from:
        return None
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]


def cycle_problem(cycle: Sequence[UUID], *path: str) -> Problem:
    named = [str(event_id) for event_id in cycle]
    if len(named) > _TOLD:
        named[_TOLD // 2 : -_TOLD // 2] = [f"({len(named) - _TOLD:,} more)"]
    told = f"An event would be its own cause, each caused by the next: {', '.join(named)}."
    return Problem(UserErrorCode.CYCLE, told, path)
