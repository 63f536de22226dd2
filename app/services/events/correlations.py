"""Writes correlations: links events, and removes links.

A call is rejected as a whole. Events are locked in the order of their IDs. A transaction that adds
causal links locks the organization before the events: of two transactions that together would
close a cycle, the later one sees the links of the earlier one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, astuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.correlations import (
    Link,
    Relation,
    cycle_problem,
    find_causal_cycle,
    validate_related_ids,
)
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import Problem, not_found
from app.services.events.event_writes import build_log_entry
from app.services.events.reports import EventResult
from app.services.shared.row_locks import lock_events, lock_organization
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import BY_ID, Database, retry_on_deadlock
from app.store.writing.inserts import KEEP_EXISTING, insert_rows

_LINK = (
    col(tables.Correlation.event_id),
    col(tables.Correlation.other_id),
    col(tables.Correlation.causal),
)


@retry_on_deadlock
async def correlate_events(
    database: Database,
    command: CommandContext,
    event_id: UUID,
    related_ids: Sequence[UUID],
    relation: Relation,
) -> EventResult:
    """Links the event to the others by `relation`. Existing links are not changed."""
    if problems := validate_related_ids(event_id, related_ids, command.limits):
        return EventResult(problems=tuple(problems))
    organization_id = command.actor.organization_id
    links = {Link.from_relation(event_id, relation, each): each for each in related_ids}
    async with database.write(organization_id) as session:
        if relation is not Relation.RELATED:
            await lock_organization(session, organization_id)
        rows = await _lock_events(session, {event_id, *related_ids})
        if problems := _missing_event_problems(rows, event_id, related_ids):
            return EventResult(problems=tuple(problems))
        if relation is not Relation.RELATED and (
            closed_cycle := await _find_closed_cycle(session, links)
        ):
            link, cycle = closed_cycle
            path = ("relatedIds", str(related_ids.index(links[link])))
            return EventResult(problems=(cycle_problem(cycle, *path),))
        new_links = await _insert_links(session, command, links)
        await _append_entries(session, command, rows, new_links, "CORRELATED")
        return EventResult(rows[event_id])


@retry_on_deadlock
async def uncorrelate_events(
    database: Database,
    command: CommandContext,
    event_id: UUID,
    related_ids: Sequence[UUID],
    relation: Relation | None,
) -> EventResult:
    """Removes links between the event and the others: those of the relation, or all if None."""
    if problems := validate_related_ids(event_id, related_ids, command.limits):
        return EventResult(problems=tuple(problems))
    async with database.write(command.actor.organization_id) as session:
        rows = await _lock_events(session, {event_id, *related_ids})
        if problems := _missing_event_problems(rows, event_id, related_ids):
            return EventResult(problems=tuple(problems))
        statement = delete(tables.Correlation).where(
            *_link_conditions(event_id, related_ids, relation)
        )
        removed_links = [Link(*row) for row in await session.execute(statement.returning(*_LINK))]
        await _append_entries(session, command, rows, removed_links, "UNCORRELATED")
        return EventResult(rows[event_id])


async def list_links(session: AsyncSession, event_ids: Collection[UUID], limit: int) -> list[Link]:
    """Returns up to `limit` links of the events."""
    statement = select(*_LINK).where(_has_end(event_ids)).limit(limit)
    rows = await session.execute(statement, execution_options=BY_ID)
    return [Link(*row) for row in rows]


async def count_links(session: AsyncSession, event_ids: Collection[UUID]) -> int:
    """Counts the links of the events."""
    statement = select(func.count()).select_from(tables.Correlation).where(_has_end(event_ids))
    return (await session.scalars(statement, execution_options=BY_ID)).one()


async def remove_links(
    session: AsyncSession,
    command: CommandContext,
    links: Iterable[Link],
    rows: Mapping[UUID, tables.Event],
) -> None:
    """Removes those of the links that exist, with log entries for the events in `rows`."""
    keys = [astuple(link) for link in links]
    if not keys:
        return
    event, _, _ = _LINK
    # SQLite finds rows by one column of a key, not by all columns together.
    first_ends = {link_event_id for link_event_id, _, _ in keys}
    is_link = and_(event.in_(sorted(first_ends)), tuple_(*_LINK).in_(keys))
    statement = delete(tables.Correlation).where(is_link).returning(*_LINK)
    removed_links = [Link(*row) for row in await session.execute(statement)]
    await _append_entries(session, command, rows, removed_links, "UNCORRELATED")


def _has_end(event_ids: Collection[UUID]) -> ColumnElement[bool]:
    event, other, _ = _LINK
    return or_(event.in_(event_ids), other.in_(event_ids))


async def _lock_events(session: AsyncSession, ids: set[UUID]) -> dict[UUID, tables.Event]:
    rows = await lock_events(session, ids, key_share=True)
    return {row.id: row for row in rows}


def _missing_event_problems(
    rows: Mapping[UUID, tables.Event], event_id: UUID, related_ids: Sequence[UUID]
) -> list[Problem]:
    ids_by_path: dict[tuple[str, ...], UUID] = {("eventId",): event_id}
    ids_by_path |= {("relatedIds", str(index)): id for index, id in enumerate(related_ids)}
    return [not_found("event", id, *path) for path, id in ids_by_path.items() if id not in rows]


def _link_conditions(
    event_id: UUID, related_ids: Sequence[UUID], relation: Relation | None
) -> list[ColumnElement[bool]]:
    """Returns conditions for links to the others: those of the relation, or all if None."""
    event, other, causal = _LINK
    ends = []
    if relation is not Relation.CAUSE_OF:
        ends.append(and_(event == event_id, other.in_(related_ids)))
    if relation is not Relation.CAUSED_BY:
        ends.append(and_(other == event_id, event.in_(related_ids)))
    kind_conditions = [] if relation is None else [causal == (relation is not Relation.RELATED)]
    return [or_(*ends), *kind_conditions]


async def _find_closed_cycle(
    session: AsyncSession, links: Iterable[Link]
) -> tuple[Link, list[UUID]] | None:
    """Returns the first new causal link that would close a cycle, and the cycle.

    All new links start at the same event, or all end there, so no cycle has two of them.
    """
    event, other, causal = _LINK
    effects = [link.event_id for link in links]
    reached = select(event.label("id")).where(causal, other.in_(effects)).cte(recursive=True)
    reached = reached.union(select(event).join(reached, other == reached.c.id).where(causal))
    causes = [link.other_id for link in links]
    closing = select(reached.c.id).where(reached.c.id.in_(causes)).limit(1)
    if (await session.scalars(closing)).one_or_none() is None:
        return None
    within = or_(other.in_(effects), other.in_(select(reached.c.id)))
    rows = await session.execute(select(*_LINK).where(causal, within))
    return find_causal_cycle([Link(*row) for row in rows], links)


async def _insert_links(
    session: AsyncSession, command: CommandContext, links: Iterable[Link]
) -> list[Link]:
    """Inserts the links, and returns those that did not exist."""
    shared_values = {
        "organization_id": command.actor.organization_id,
        "created_at": command.now,
        "created_by": command.actor.name,
    }
    inserted = await insert_rows(
        session,
        (tables.Correlation, [asdict(link) | shared_values for link in links]),
        on_conflict=KEEP_EXISTING,
        returning=("event_id", "other_id", "causal"),
    )
    return [Link(*row) for row in inserted]


async def _append_entries(
    session: AsyncSession,
    command: CommandContext,
    rows: Mapping[UUID, tables.Event],
    links: Iterable[Link],
    kind: str,
) -> None:
    """Appends one log entry per linked event, listing the links that were added or removed."""
    links_by_event: dict[UUID, list[dict[str, str]]] = {}
    for link in sorted(links, key=astuple):
        for event_id in (link.event_id, link.other_id):
            relation, other_id = link.other_end(event_id)
            logged_link = {"eventId": str(other_id), "relation": relation.value}
            links_by_event.setdefault(event_id, []).append(logged_link)
    entries = []
    for event_id, logged_links in links_by_event.items():
        if event_id not in rows:  # this transaction deletes it, with an entry of its own
            continue
        state = rows[event_id].to_domain()
        log_entry = build_log_entry(command, kind, state, state)
        log_entry.changes = {
            "correlations": [[], logged_links] if kind == "CORRELATED" else [logged_links, []]
        }
        entries.append(log_entry)
    if entries:
        await changes.append_entries(session, entries)
