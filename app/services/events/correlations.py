"""Correlations, written: events are linked, and links are taken away.

A call is refused whole. Events are locked in the order of their ids, and whoever adds causes locks
the organization before them: of two transactions that together would close a cycle, the later one
sees what the earlier one linked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, CompoundSelect, and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.correlations import (
    Link,
    Relation,
    call_problems,
    causal_cycle,
    cycle_problem,
)
from app.domain.intake.intake import Desk
from app.domain.shared.problems import Problem, UserErrorCode
from app.services.events.reports import Report, entry, met
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import Database, repeated_when_undone
from app.store.engine.dialect import insert_new

BATCH = 500
_LINK = (
    col(tables.Correlation.event_id),
    col(tables.Correlation.other_id),
    col(tables.Correlation.causal),
)


@repeated_when_undone
async def correlate_events(
    database: Database, desk: Desk, event_id: UUID, related_ids: Sequence[UUID], relation: Relation
) -> Report:
    """Links the event to the others, which are its `relation`. What is linked so stays as it is."""
    if problems := call_problems(event_id, related_ids, desk.limits):
        return Report(problems=tuple(problems))
    organization_id = desk.reporter.organization_id
    links = {Link.of(event_id, relation, each): each for each in related_ids}
    async with database.write(organization_id) as session:
        if relation is not Relation.RELATED:
            await _lock_causes(session, organization_id)
        rows = await _locked(session, {event_id, *related_ids})
        if problems := _missing(rows, event_id, related_ids):
            return Report(problems=tuple(problems))
        if relation is not Relation.RELATED and (found := await _cycle(session, links)):
            link, cycle = found
            at = ("relatedIds", str(related_ids.index(links[link])))
            return Report(problems=(cycle_problem(cycle, *at),))
        made = await _insert(session, desk, links)
        await _tell(session, desk, rows, made, "CORRELATED")
        return Report(rows[event_id])


@repeated_when_undone
async def uncorrelate_events(
    database: Database,
    desk: Desk,
    event_id: UUID,
    related_ids: Sequence[UUID],
    relation: Relation | None,
) -> Report:
    """Takes away what links the event to the others: links of this relation, or all."""
    if problems := call_problems(event_id, related_ids, desk.limits):
        return Report(problems=tuple(problems))
    async with database.write(desk.reporter.organization_id) as session:
        rows = await _locked(session, {event_id, *related_ids})
        if problems := _missing(rows, event_id, related_ids):
            return Report(problems=tuple(problems))
        gone = delete(tables.Correlation).where(*_between(event_id, related_ids, relation))
        taken = [Link(*row) for row in await session.execute(gone.returning(*_LINK))]
        await _tell(session, desk, rows, taken, "UNCORRELATED")
        return Report(rows[event_id])


def linked_to(event_id: UUID) -> CompoundSelect[Any]:
    """The ids of the events that links join to this one."""
    event, other, _ = _LINK
    return select(other).where(event == event_id).union(select(event).where(other == event_id))


async def release(session: AsyncSession, desk: Desk, event_id: UUID) -> None:
    """Takes away all links of an event that goes, as the other ends' history tells."""
    event, other, _ = _LINK
    mine = delete(tables.Correlation).where(or_(event == event_id, other == event_id))
    gone = sorted(
        (Link(*row) for row in await session.execute(mine.returning(*_LINK))), key=astuple
    )
    for start in range(0, len(gone), BATCH):
        links = gone[start : start + BATCH]
        ends = {each for link in links for each in (link.event_id, link.other_id)} - {event_id}
        await _tell(session, desk, await met(session, ends), links, "UNCORRELATED")


async def _lock_causes(session: AsyncSession, organization_id: UUID) -> None:
    """Until the end of the transaction, nobody else adds causes in this organization.

    FOR NO KEY UPDATE: whoever reports an event refers to the row, and need not wait.
    """
    statement = select(col(tables.Organization.id)).where(
        col(tables.Organization.id) == organization_id
    )
    await session.execute(statement.with_for_update(key_share=True))


async def _locked(session: AsyncSession, ids: set[UUID]) -> dict[UUID, tables.Event]:
    """The events that are there, which nobody changes or deletes until the end."""
    table = tables.Event
    statement = select(table).where(col(table.id).in_(sorted(ids))).order_by(col(table.id))
    rows = await session.scalars(statement.with_for_update(key_share=True))
    return {row.id: row for row in rows}


def _missing(
    rows: Mapping[UUID, tables.Event], event_id: UUID, related_ids: Sequence[UUID]
) -> list[Problem]:
    named: dict[tuple[str, ...], UUID] = {("eventId",): event_id}
    named |= {("relatedIds", str(index)): each for index, each in enumerate(related_ids)}
    return [
        Problem(UserErrorCode.NOT_FOUND, f"There is no event {each}.", path)
        for path, each in named.items()
        if each not in rows
    ]


def _between(
    event_id: UUID, related_ids: Sequence[UUID], relation: Relation | None
) -> list[ColumnElement[bool]]:
    """The links between the event and the others: of this relation, or all."""
    event, other, causal = _LINK
    ends = []
    if relation is not Relation.CAUSE_OF:
        ends.append(and_(event == event_id, other.in_(related_ids)))
    if relation is not Relation.CAUSED_BY:
        ends.append(and_(other == event_id, event.in_(related_ids)))
    of_kind = [] if relation is None else [causal == (relation is not Relation.RELATED)]
    return [or_(*ends), *of_kind]


async def _cycle(session: AsyncSession, links: Iterable[Link]) -> tuple[Link, list[UUID]] | None:
    """The first of the new causal links that would close a cycle, and the cycle.

    Each new link begins at the same event, or each ends there: no cycle has two of them.
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
    known = await session.execute(select(*_LINK).where(causal, within))
    return causal_cycle([Link(*row) for row in known], links)


async def _insert(session: AsyncSession, desk: Desk, links: Iterable[Link]) -> list[Link]:
    """The links that were not there."""
    made = {
        "organization_id": desk.reporter.organization_id,
        "created_at": desk.now,
        "created_by": desk.reporter.name,
    }
    if not (rows := [asdict(link) | made for link in links]):
        return []
    new = insert_new(session, tables.Correlation).returning(*_LINK)
    return [Link(*row) for row in await session.execute(new, rows)]


async def _tell(
    session: AsyncSession,
    desk: Desk,
    rows: Mapping[UUID, tables.Event],
    links: Iterable[Link],
    kind: str,
) -> None:
    """One entry for each event of the links: which were made, or taken away."""
    ends: dict[UUID, list[dict[str, str]]] = {}
    for link in sorted(links, key=astuple):
        for event_id in (link.event_id, link.other_id):
            relation, other_id = link.other_end(event_id)
            end = {"eventId": str(other_id), "relation": relation.value}
            ends.setdefault(event_id, []).append(end)
    entries = []
    for event_id, told in ends.items():
        if event_id not in rows:  # the one that is being deleted tells of that
            continue
        state = rows[event_id].to_domain()
        change = entry(desk, kind, state, state)
        change.changes = {"correlations": [[], told] if kind == "CORRELATED" else [told, []]}
        entries.append(change)
    if entries:
        await changes.append(session, entries)
