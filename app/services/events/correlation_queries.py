"""Correlations, read: the events that links lead to from an event, each once at its least depth.

Nearer events come first, at the same depth those linked earlier, then by id. What an event is to
the one asked is `domain.correlations.onward`; of several links that lead to it at its depth, one
that makes it a cause or an effect is told, then the earliest.
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
from app.domain.events.correlations import Relation, onward
from app.domain.shared.limits import Limits
from app.services.events.reports import met
from app.store import tables
from app.store.engine.database import Database
from app.store.reading import pages

_KIND = "correlations"


class Place(NamedTuple):
    """Where an event is in the list."""

    depth: int
    created_at: datetime
    event_id: UUID


@dataclass(frozen=True)
class Correlated:
    """An event as the one asked sees it, by the last link on the way there."""

    place: Place
    relation: Relation
    created_by: str


@dataclass(frozen=True)
class Neighbours:
    """A page of them, each beside its cursor, and how many there are."""

    rows: list[tuple[str, Correlated, tables.Event]]
    has_next: bool
    has_previous: bool
    total: int


async def direct(
    database: Database,
    caller: Caller,
    request: pages.PageRequest,
    event_ids: Sequence[UUID],
    limits: Limits,
) -> dict[UUID, Neighbours]:
    """What a link joins to each of these events, in one statement. RequestError INVALID_CURSOR."""
    after = _after(caller, request)
    async with database.read(caller.organization_id) as session:
        statement = _page_of_each(event_ids, after, request.size, limits.correlations)
        found: dict[UUID, list[Any]] = {event_id: [] for event_id in event_ids}
        for row in await session.execute(statement):
            found[row.near].append(row)
    return {
        event_id: _page(
            caller,
            request,
            [(_correlated(row, 1), row.Event) for row in rows if row.number > row.passed],
            min(rows[0].total, limits.correlations) if rows else 0,
        )
        for event_id, rows in found.items()
    }


async def around(
    database: Database,
    caller: Caller,
    request: pages.PageRequest,
    event_id: UUID,
    depth: int,
    limits: Limits,
) -> Neighbours:
    """The events up to `depth` links away from one, a statement for each link on the way.

    RequestError INVALID_CURSOR.
    """
    after = _after(caller, request)
    async with database.read(caller.organization_id) as session:
        everything = await _walk(session, event_id, depth, limits.correlations)
        behind = [each for each in everything if after is None or each.place > after]
        shown = behind[: request.size + 1]
        events = await met(session, {each.place.event_id for each in shown})
    rows = [(each, events[each.place.event_id]) for each in shown]
    return _page(caller, request, rows, len(everything))


async def _walk(session: AsyncSession, start: UUID, depth: int, most: int) -> list[Correlated]:
    everything: list[Correlated] = []
    seen = {start}
    outermost: dict[UUID, Relation | None] = {start: None}
    for level in range(1, depth + 1):
        best = _best(outermost, seen, "far")
        order = (best.c.created_at, best.c.far)
        nearest = select(best).order_by(*order).limit(most - len(everything))
        found = [_correlated(row, level) for row in await session.execute(nearest)]
        everything += found
        outermost = {each.place.event_id: each.relation for each in found}
        seen |= outermost.keys()
        if not found or len(everything) == most:
            break
    return everything


def _page_of_each(event_ids: Sequence[UUID], after: Place | None, size: int, most: int) -> Any:
    """The first of each event's, which tells how many there are, and the page of each."""
    best = _best(dict.fromkeys(event_ids), (), "near", "far")
    place = tuple_(literal(1), best.c.created_at, best.c.far)
    is_before = literal(0) if after is None else case((place <= after, 1), else_=0)
    near, order = best.c.near, (best.c.created_at, best.c.far)
    numbered = select(
        *best.c,
        func.row_number().over(partition_by=near, order_by=order).label("number"),
        func.count().over(partition_by=near).label("total"),
        func.sum(is_before).over(partition_by=near).label("passed"),
    ).subquery()
    number, passed = numbered.c.number, numbered.c.passed
    return (
        select(numbered, tables.Event)
        .join(tables.Event, col(tables.Event.id) == numbered.c.far)
        .where(number <= most, number <= passed + size + 1, or_(number == 1, number > passed))
        .order_by(numbered.c.near, number)
    )


def _best(
    outermost: Mapping[UUID, Relation | None], seen: Collection[UUID], *once: str
) -> Subquery:
    """Of the links that lead on from the outermost events to unseen ones, one for each of `once`.

    `relation`: what the far event is to the one asked. RELATED sorts behind the others.
    """
    table = tables.Correlation
    first, second = col(table.event_id), col(table.other_id)
    steps = [
        _steps(first, second, Relation.CAUSED_BY, outermost, seen),
        _steps(second, first, Relation.CAUSE_OF, outermost, seen),
    ]
    links = union_all(*steps).subquery()
    by = (links.c.relation, links.c.created_at, links.c.near)
    rank = func.row_number().over(partition_by=[links.c[each] for each in once], order_by=by)
    ranked = select(links, rank.label("rank")).subquery()
    return select(ranked).where(ranked.c.rank == 1).subquery()


def _steps(
    near: Any,
    far: Any,
    cause: Relation,
    outermost: Mapping[UUID, Relation | None],
    seen: Collection[UUID],
) -> Any:
    """The links that have the nearer event at this end; `cause`: what a causal one leads to."""
    table = tables.Correlation
    in_line = [each for each, so_far in outermost.items() if onward(so_far, cause) is cause]
    relation = case(
        (and_(col(table.causal), near.in_(in_line)), cause.value), else_=Relation.RELATED.value
    )
    return select(
        near.label("near"),
        far.label("far"),
        relation.label("relation"),
        col(table.created_at).label("created_at"),
        col(table.created_by).label("created_by"),
    ).where(near.in_(outermost), far.not_in(seen))


def _correlated(row: Any, depth: int) -> Correlated:
    return Correlated(Place(depth, row.created_at, row.far), Relation(row.relation), row.created_by)


def _page(
    caller: Caller,
    request: pages.PageRequest,
    found: Sequence[tuple[Correlated, tables.Event]],
    total: int,
) -> Neighbours:
    """The page of what was found, up to one more than it has room for."""
    rows = [(_cursor(caller, each), each, event) for each, event in found[: request.size]]
    return Neighbours(rows, len(found) > request.size, request.after is not None, total)


def _cursor(caller: Caller, each: Correlated) -> str:
    depth, created_at, event_id = each.place
    parts = (depth, created_at.isoformat(), str(event_id))
    return pages.write_cursor(caller.organization_id, _KIND, *parts)


def _after(caller: Caller, request: pages.PageRequest) -> Place | None:
    if request.after is None:
        return None
    parts = pages.read_cursor(caller.organization_id, _KIND, request.after, "after")
    try:
        depth, created_at, event_id = parts
        instant = datetime.fromisoformat(created_at).astimezone(UTC)
        return Place(int(depth), instant, UUID(event_id))
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise pages.invalid_cursor("after") from None
