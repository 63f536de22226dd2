"""Reads correlations: the events that are linked to an event, each once at its least depth.

Ordered by depth, then by the time of the link, then by ID.
`domain.events.correlations.combine_relations` defines the relation over several links. If several
links lead to an event at its depth, a causal one comes first, then the earliest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Subquery, and_, case, func, literal, or_, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.events.correlations import Relation, combine_relations
from app.domain.shared.limits import Limits
from app.services.events.reports import load_events
from app.store import tables
from app.store.engine.database import Database
from app.store.reading import pages

_KIND = "correlations"


class CorrelationKey(NamedTuple):
    """Sort key of a correlated event in the list."""

    depth: int
    created_at: datetime
    event_id: UUID


@dataclass(frozen=True)
class CorrelatedEvent:
    """A correlated event: its relation to the start event, and the creator of its last link."""

    key: CorrelationKey
    relation: Relation
    created_by: str


@dataclass
class CorrelationPage(pages.Page[tuple[str, CorrelatedEvent, tables.Event]]):
    """A page of correlated events with their cursors, and the total."""

    total: int


async def fetch_direct_pages(
    database: Database,
    caller: Caller,
    request: pages.PageRequest,
    event_ids: Sequence[UUID],
    limits: Limits,
) -> dict[UUID, CorrelationPage]:
    """Returns the directly linked events of several events, by one statement.

    Raises RequestError INVALID_CURSOR.
    """
    after = _decode_after(caller, request)
    async with database.read(caller.organization_id) as session:
        statement = _direct_pages_statement(
            event_ids, after, request.size, limits.correlations_per_event
        )
        rows_by_event: dict[UUID, list[Any]] = {event_id: [] for event_id in event_ids}
        for row in await session.execute(statement):
            rows_by_event[row.near].append(row)
    return {
        event_id: _build_page(
            caller,
            request,
            [(_to_correlated_event(row, 1), row.Event) for row in rows if row.number > row.passed],
            min(rows[0].total, limits.correlations_per_event) if rows else 0,
        )
        for event_id, rows in rows_by_event.items()
    }


async def fetch_page(
    database: Database,
    caller: Caller,
    request: pages.PageRequest,
    event_id: UUID,
    depth: int,
    limits: Limits,
) -> CorrelationPage:
    """Returns events up to `depth` links away, by one statement per level.

    Raises RequestError INVALID_CURSOR.
    """
    after = _decode_after(caller, request)
    async with database.read(caller.organization_id) as session:
        correlated = await _find_correlated(session, event_id, depth, limits.correlations_per_event)
        remaining = [each for each in correlated if after is None or each.key > after]
        page_items = remaining[: request.size + 1]
        events = await load_events(session, {each.key.event_id for each in page_items})
    rows = [(each, events[each.key.event_id]) for each in page_items]
    return _build_page(caller, request, rows, len(correlated))


async def _find_correlated(
    session: AsyncSession, start: UUID, depth: int, maximum: int
) -> list[CorrelatedEvent]:
    correlated: list[CorrelatedEvent] = []
    visited = {start}
    frontier: dict[UUID, Relation | None] = {start: None}
    for level in range(1, depth + 1):
        best_links = _best_links(frontier, visited, "far")
        order = (best_links.c.created_at, best_links.c.far)
        nearest = select(best_links).order_by(*order).limit(maximum - len(correlated))
        level_events = [_to_correlated_event(row, level) for row in await session.execute(nearest)]
        correlated += level_events
        frontier = {each.key.event_id: each.relation for each in level_events}
        visited |= frontier.keys()
        if not level_events or len(correlated) == maximum:
            break
    return correlated


def _direct_pages_statement(
    event_ids: Sequence[UUID], after: CorrelationKey | None, size: int, maximum: int
) -> Any:
    """Selects each event's page, and its first link, which has the total."""
    best_links = _best_links(dict.fromkeys(event_ids), (), "near", "far")
    key = tuple_(literal(1), best_links.c.created_at, best_links.c.far)
    is_before = literal(0) if after is None else case((key <= after, 1), else_=0)
    near, order = best_links.c.near, (best_links.c.created_at, best_links.c.far)
    numbered = select(
        *best_links.c,
        func.row_number().over(partition_by=near, order_by=order).label("number"),
        func.count().over(partition_by=near).label("total"),
        func.sum(is_before).over(partition_by=near).label("passed"),
    ).subquery()
    number, passed = numbered.c.number, numbered.c.passed
    return (
        select(numbered, tables.Event)
        .join(tables.Event, col(tables.Event.id) == numbered.c.far)
        .where(number <= maximum, number <= passed + size + 1, or_(number == 1, number > passed))
        .order_by(numbered.c.near, number)
    )


def _best_links(
    frontier: Mapping[UUID, Relation | None], visited: Collection[UUID], *unique_by: str
) -> Subquery:
    """Selects the best link from the frontier to each unvisited event, unique by `unique_by`.

    `relation` is the relation of the far event to the start event. RELATED sorts last.
    """
    table = tables.Correlation
    first, second = col(table.event_id), col(table.other_id)
    directions = [
        _links_from(first, second, Relation.CAUSED_BY, frontier, visited),
        _links_from(second, first, Relation.CAUSE_OF, frontier, visited),
    ]
    links = union_all(*directions).subquery()
    preference = (links.c.relation, links.c.created_at, links.c.near)
    rank = func.row_number().over(
        partition_by=[links.c[each] for each in unique_by], order_by=preference
    )
    ranked = select(links, rank.label("rank")).subquery()
    return select(ranked).where(ranked.c.rank == 1).subquery()


def _links_from(
    near: Any,
    far: Any,
    cause: Relation,
    frontier: Mapping[UUID, Relation | None],
    visited: Collection[UUID],
) -> Any:
    """Selects links by the end of their nearer event. `cause`: the relation of a causal link."""
    table = tables.Correlation
    causal_ids = [
        event_id
        for event_id, relation in frontier.items()
        if combine_relations(relation, cause) is cause
    ]
    far_relation = case(
        (and_(col(table.causal), near.in_(causal_ids)), cause.value), else_=Relation.RELATED.value
    )
    return select(
        near.label("near"),
        far.label("far"),
        far_relation.label("relation"),
        col(table.created_at).label("created_at"),
        col(table.created_by).label("created_by"),
    ).where(near.in_(frontier), far.not_in(visited))


def _to_correlated_event(row: Any, depth: int) -> CorrelatedEvent:
    return CorrelatedEvent(
        CorrelationKey(depth, row.created_at, row.far), Relation(row.relation), row.created_by
    )


def _build_page(
    caller: Caller,
    request: pages.PageRequest,
    items: Sequence[tuple[CorrelatedEvent, tables.Event]],
    total: int,
) -> CorrelationPage:
    """Builds the page from the items, which may contain one more than the page."""
    page = pages.build_page(items, request)
    rows = [(_encode_cursor(caller, each), each, event) for each, event in page.rows]
    return CorrelationPage(rows, page.has_next, page.has_previous, total)


def _encode_cursor(caller: Caller, correlated: CorrelatedEvent) -> str:
    depth, created_at, event_id = correlated.key
    parts = (depth, created_at.isoformat(), str(event_id))
    return pages.encode_cursor(caller.organization_id, _KIND, *parts)


def _decode_after(caller: Caller, request: pages.PageRequest) -> CorrelationKey | None:
    if request.after is None:
        return None
    parts = pages.decode_cursor(caller.organization_id, _KIND, request.after, "after")
    try:
        depth, created_at, event_id = parts
        linked_at = datetime.fromisoformat(created_at).astimezone(UTC)
        return CorrelationKey(int(depth), linked_at, UUID(event_id))
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise pages.invalid_cursor_error("after") from None
