"""Events: reported, updated, deleted.

`log_events` judges a list of drafts in one transaction; one report is a list of one. What is
answered is durable, and in the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events import EventState
from app.domain.events import changes as differences
from app.domain.intake import (
    Accepted,
    Desk,
    Draft,
    Refused,
    TypeSpec,
    Verdict,
    revise,
)
from app.domain.problems import Problem, UserErrorCode
from app.services import receipts
from app.services.event_types import spec_at
from app.services.receipts import Key, Receipt
from app.services.verdicts import registered
from app.store import changes, lookup, tables
from app.store.database import Database


@dataclass(frozen=True)
class Report:
    """What became of a draft: the event that it made or met, or why it was refused."""

    event: tables.Event | None = None
    duplicate: bool = False
    warnings: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def refused(self) -> bool:
        return bool(self.problems)


async def log_events(database: Database, desk: Desk, drafts: Sequence[Draft]) -> list[Report]:
    """Judges the drafts and stores those that are accepted; answers one by one, in order.

    All of them are durable when this returns. A refused draft does not stop the others.
    """
    async with database.write(desk.reporter.organization_id) as session:
        return await log_in(session, desk, drafts)


async def log_in(session: AsyncSession, desk: Desk, drafts: Sequence[Draft]) -> list[Report]:
    """The same within a transaction that is open; durable when that commits."""
    known_types = await registered(session, desk, drafts)
    verdicts = [known_types.verdict(draft, desk) for draft in drafts]
    keys = [receipts.key_of(draft, desk) for draft in drafts]
    known = await receipts.kept(session, {key for key in keys if key is not None})
    before: set[Key | None] = set(known)
    claims = receipts.claims_of(drafts, keys, verdicts, known)
    known |= await receipts.claim(session, desk, claims)
    new = [
        verdict.event
        for key, verdict in zip(keys, verdicts, strict=True)
        if isinstance(verdict, Accepted) and _is_first(key, verdict, known)
    ]
    rows = await _store(session, desk, new)
    rows |= await met(session, {each.event_id for each in known.values()} - rows.keys())
    reports = []
    for draft, key, verdict in zip(drafts, keys, verdicts, strict=True):
        if isinstance(verdict, Accepted):
            before.add(key)
        # A refused report meets what was there before it, not what comes after it in the list.
        receipt = known.get(key) if key is not None and key in before else None
        reports.append(report_of(draft, verdict, receipt, rows))
    return reports


def _is_first(key: Key | None, verdict: Accepted, known: Mapping[Key, Receipt]) -> bool:
    return key is None or known[key].event_id == verdict.event.id


async def _store(
    session: AsyncSession, desk: Desk, events: Sequence[EventState]
) -> dict[UUID, tables.Event]:
    if not events:
        return {}
    places = await changes.append(session, [entry(desk, "LOGGED", event) for event in events])
    rows = {}
    for event, place in zip(events, places, strict=True):
        row = tables.Event.from_domain(event, desk.reporter.organization_id)
        if event.notification:
            row.rang_tx, row.rang_seq = place
        rows[event.id] = row
    session.add_all(rows.values())
    await session.flush()
    await lookup.add(session, desk.reporter.organization_id, events)
    return rows


async def met(session: AsyncSession, ids: set[UUID]) -> dict[UUID, tables.Event]:
    """The events that replays met; a deleted one is missing."""
    if not ids:
        return {}
    statement = select(tables.Event).where(col(tables.Event.id).in_(sorted(ids)))
    return {row.id: row for row in await session.scalars(statement)}


def report_of(
    draft: Draft, verdict: Verdict, receipt: Receipt | None, rows: dict[UUID, tables.Event]
) -> Report:
    """What became of a draft, by its verdict, the receipt of its key and the events stored."""
    if isinstance(verdict, Accepted) and (receipt is None or receipt.event_id == verdict.event.id):
        return Report(rows[verdict.event.id], warnings=verdict.warnings)
    if receipt is not None and receipt.digest == draft.digest():
        return Report(rows.get(receipt.event_id), duplicate=True)
    if receipt is not None:
        message = f"{draft.source_id} was reported with other content before."
        return Report(problems=(Problem(UserErrorCode.CONFLICT, message, ("sourceId",)),))
    return Report(problems=verdict.problems if isinstance(verdict, Refused) else ())


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
        verdict = revise(before, given, await _own_type(session, row), desk)
        if isinstance(verdict, Refused):
            return Report(problems=verdict.problems)
        await _replace(session, desk, row, before, verdict.event)
        return Report(row, warnings=verdict.warnings)


async def delete_event(database: Database, desk: Desk, event_id: UUID) -> Report:
    """Takes the event away and answers with it as it was. The log keeps an entry."""
    async with database.write(desk.reporter.organization_id) as session:
        row = await locked(session, event_id)
        if row is None:
            return not_found(event_id)
        await changes.append(session, [entry(desk, "DELETED", row.to_domain())])
        await session.delete(row)
        return Report(row)


async def locked(session: AsyncSession, event_id: UUID) -> tables.Event | None:
    """The event, which nobody else changes until the end of the transaction."""
    statement = select(tables.Event).where(col(tables.Event.id) == event_id).with_for_update()
    return (await session.scalars(statement)).one_or_none()


def not_found(event_id: UUID) -> Report:
    problem = Problem(UserErrorCode.NOT_FOUND, f"There is no event {event_id}.", ("id",))
    return Report(problems=(problem,))


def entry(
    desk: Desk, kind: str, state: EventState, before: EventState | None = None
) -> tables.Change:
    """The log entry of what the desk did. It rings when it makes the event a notification."""
    return tables.Change(
        organization_id=desk.reporter.organization_id,
        subject=changes.EVENT,
        subject_id=state.id,
        kind=kind,
        at=desk.now,
        actor=desk.reporter.name,
        rings=state.notification and (before is None or not before.notification),
        changes={} if before is None else differences(before, state),
        state=state.to_json(),
    )


async def _own_type(session: AsyncSession, row: tables.Event) -> TypeSpec | None:
    """The event's type in the version that it was checked against."""
    if row.event_type_id is None or row.event_type_version is None:
        return None
    return await spec_at(session, row.event_type_id, row.event_type_version)


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
