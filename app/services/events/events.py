"""Events: reported, updated, deleted.

`log_events` judges a list of drafts in one transaction, which lists that come at a time share; one
report is a list of one. What is answered is durable, and in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app import metrics
from app.domain.events.state import EventState
from app.domain.intake.intake import Desk, Draft, Refused, TypeSpec, revise
from app.domain.rules.guards import Guard
from app.domain.shared.problems import Problem, UserErrorCode
from app.services.definitions.event_types import spec_at
from app.services.definitions.guards import guards_of, in_force
from app.services.events import correlations
from app.services.events.reports import Call, Report, entry, log_in
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import Database, commits_here, repeated_when_undone
from app.store.engine.dialect import meets_everybody
from app.store.writing import lookup

BATCH = 500


async def log_events(database: Database, desk: Desk, drafts: Sequence[Draft]) -> list[Report]:
    """Judges the drafts and stores those that are accepted; answers one by one, in order.

    All of them are durable when this returns. A refused draft does not stop the others. Calls of
    one organization that wait for each other share a transaction.
    """
    call = Call(desk, drafts, commits_here())
    organization_id = desk.reporter.organization_id
    work = partial(_log_calls, database, organization_id)
    reports: list[Report] = await database.reports.join(organization_id, call, len(drafts), work)
    for report in reports:
        metrics.EVENTS.labels(metrics.DOOR.get(), _verdict(report)).inc()
    return reports


async def _log_calls(
    database: Database, organization_id: UUID, calls: Sequence[Call]
) -> Sequence[list[Report] | BaseException]:
    """Together; what one of them cannot be logged for is its own, and the others are anyhow."""
    metrics.TOGETHER.observe(len(calls))
    if len(calls) == 1:
        return [await _logged_alone(database, organization_id, calls[0])]
    for call in calls:  # who does not wait for it any more does not stop it
        call.commits.begun = True
    committing = False
    try:
        async with database.write(organization_id) as session:
            reports = iter(await log_in(session, calls))
            committing = True
    except Exception as error:
        # Whether a commit that was cut off has happened nobody knows: doing it again could log
        # everything twice.
        if committing or meets_everybody(error):
            raise
        alone = (_logged_alone(database, organization_id, call) for call in calls)
        return list(await asyncio.gather(*alone, return_exceptions=True))
    return [list(islice(reports, len(call.drafts))) for call in calls]


@repeated_when_undone
async def _logged_alone(database: Database, organization_id: UUID, call: Call) -> list[Report]:
    async with database.write(organization_id) as session:
        reports = await log_in(session, [call])
        call.commits.begun = True
        return reports


def _verdict(report: Report) -> str:
    if report.refused:
        return "refused"
    return "duplicate" if report.duplicate else "stored"


async def update_event(
    database: Database,
    desk: Desk,
    event_id: UUID,
    given: Mapping[str, Any],
    if_version: int | None = None,
) -> Report:
    """Changes the attributes given (`domain.intake.revise`), judged by the event's own type."""
    async with database.write(desk.reporter.organization_id) as session:
        row = await locked(session, event_id)
        if row is None:
            return not_found(event_id)
        if if_version not in (None, row.version):
            message = f"The event is at version {row.version}, not {if_version}."
            problem = Problem(UserErrorCode.CONFLICT, message, ("ifVersion",))
            return Report(problems=(problem,))
        before = row.to_domain()
        own, guards = await _own_type(session, row)
        verdict = revise(before, given, own, replace(desk, guards=guards))
        if isinstance(verdict, Refused):
            return Report(problems=verdict.problems)
        await _replace(session, desk, row, before, verdict.event)
        return Report(row, warnings=verdict.warnings)


@repeated_when_undone
async def delete_event(database: Database, desk: Desk, event_id: UUID) -> Report:
    """Takes the event away and answers with it as it was. The log keeps an entry."""
    async with database.write(desk.reporter.organization_id) as session:
        await _lock_with_others(session, event_id)
        row = await locked(session, event_id)
        if row is None:
            return not_found(event_id)
        await _release_duplicates(session, desk, event_id)
        await correlations.release(session, desk, event_id)
        await changes.append(session, [entry(desk, "DELETED", row.to_domain())])
        await session.delete(row)
        return Report(row)


async def _lock_with_others(session: AsyncSession, event_id: UUID) -> None:
    """Locks the event, its duplicates and what it is linked to: in order of ids, as everybody."""
    event = tables.Event
    mine = or_(
        col(event.id) == event_id,
        col(event.duplicate_of_id) == event_id,
        col(event.id).in_(correlations.linked_to(event_id)),
    )
    await session.execute(
        select(col(event.id)).where(mine).order_by(col(event.id)).with_for_update()
    )


async def _release_duplicates(session: AsyncSession, desk: Desk, event_id: UUID) -> None:
    """What was flagged as a duplicate of the event is one of nothing any more, as the log tells."""
    table = tables.Event
    of_it = select(table).where(col(table.duplicate_of_id) == event_id).order_by(col(table.id))
    while rows := list(await session.scalars(of_it.limit(BATCH).with_for_update())):
        entries = []
        for row in rows:
            before = row.to_domain()
            after = replace(before, duplicate_of_id=None)
            entries.append(entry(desk, "UPDATED", after, before))
            row.take(after)
        await changes.append(session, entries)
        await session.flush()


async def locked(session: AsyncSession, event_id: UUID) -> tables.Event | None:
    """The event, which nobody else changes until the end of the transaction."""
    statement = select(tables.Event).where(col(tables.Event.id) == event_id).with_for_update()
    return (await session.scalars(statement)).one_or_none()


def not_found(event_id: UUID) -> Report:
    problem = Problem(UserErrorCode.NOT_FOUND, f"There is no event {event_id}.", ("id",))
    return Report(problems=(problem,))


async def _own_type(
    session: AsyncSession, row: tables.Event
) -> tuple[TypeSpec | None, tuple[Guard, ...]]:
    """The event's type in its own version, but with today's guards; and those of every type."""
    if row.event_type_id is None or row.event_type_version is None:
        return None, guards_of(await in_force(session, []), None, None)
    published = await in_force(session, [row.event_type_id])
    spec, fields_now = await spec_at(session, row.event_type_id, row.event_type_version)
    guards = guards_of(published, row.event_type_id, fields_now)
    return replace(spec, guards=guards), guards_of(published, None, None)


async def _replace(
    session: AsyncSession,
    desk: Desk,
    row: tables.Event,
    before: EventState,
    after: EventState,
) -> None:
    change = entry(desk, "UPDATED", after, before)
    [place] = await changes.append(session, [change])
    row.take(after)
    if change.rings:
        row.rang_tx, row.rang_seq = place
    elif not after.notification:
        row.rang_tx = row.rang_seq = None
    await lookup.renew(session, row.organization_id, before, after)
