"""What becomes of a list of reports, in one transaction: each is stored, refused or met.

In the order of the list a report is told apart from a replay, judged, and looked at as a
duplicate; what an earlier report of the list has become counts for the later ones.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.duplicates import Claim, DuplicateAction, DuplicateProblem, Match
from app.domain.events import EventState
from app.domain.events import changes as differences
from app.domain.intake import Accepted, Desk, Draft, Refused, Verdict
from app.domain.problems import Problem, UserErrorCode
from app.services import duplicates, receipts
from app.services.duplicates import Known
from app.services.receipts import Key, Receipt
from app.services.verdicts import registered
from app.store import changes, lookup, tables
from app.store.dialect import join

_AFTER_ALL_STORED = 2**62


@dataclass(frozen=True)
class Report:
    """What became of a draft: the event that it made or met, or why it was refused."""

    event: tables.Event | None = None
    duplicate: bool = False
    stored: bool = False
    warnings: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    replay: bool = False

    @property
    def refused(self) -> bool:
        return bool(self.problems)


@dataclass(frozen=True)
class Decision:
    """The same before anything is written: the event by its id."""

    event_id: UUID | None = None
    duplicate: bool = False
    stored: bool = False
    warnings: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    replay: bool = False

    def report(self, rows: dict[UUID, tables.Event]) -> Report:
        event = None if self.event_id is None else rows.get(self.event_id)
        return Report(event, self.duplicate, self.stored, self.warnings, self.problems, self.replay)


@dataclass
class Course:
    """A list of reports on its way: what was known before it, and what it has led to so far."""

    receipts: dict[Key, Receipt]
    known: Known
    new: list[EventState] = field(default_factory=list)
    firsts: list[tuple[EventState, list[Claim]]] = field(default_factory=list)
    counted: list[tuple[UUID, EventState]] = field(default_factory=list)
    caught: Counter[tuple[UUID, str]] = field(default_factory=Counter)

    def decide(self, draft: Draft, key: Key | None, verdict: Verdict) -> Decision:
        receipt = None if key is None else self.receipts.get(key)
        if receipt is not None:
            return _replayed(draft, receipt)
        if isinstance(verdict, Refused):
            return Decision(problems=verdict.problems)
        decision = self._accept(verdict)
        if key is not None and decision.event_id is not None:
            self.receipts[key] = Receipt(draft.digest(), decision.event_id)
        return decision

    def _accept(self, verdict: Accepted) -> Decision:
        event = verdict.event
        claims = self.known.claims.get(event.id, [])
        match = self.known.ledger.match(claims, event)
        if match is not None:
            return self._catch(verdict, match)
        self.known.ledger.enter(claims, event, _AFTER_ALL_STORED + len(self.firsts))
        self.firsts.append((event, claims))
        self.new.append(event)
        return Decision(event.id, stored=True, warnings=verdict.warnings)

    def _catch(self, verdict: Accepted, match: Match) -> Decision:
        first_id = match.first.event_id
        self.caught[match.claim.key] += 1
        match match.claim.rule.action:
            case DuplicateAction.REJECT:
                return Decision(problems=(DuplicateProblem.of(match),))
            case DuplicateAction.COUNT:
                self.counted.append((first_id, verdict.event))
                return Decision(first_id, duplicate=True, warnings=verdict.warnings)
            case DuplicateAction.FLAG:
                flagged = replace(verdict.event, duplicate_of_id=first_id)
                self.new.append(flagged)
                return Decision(flagged.id, True, stored=True, warnings=verdict.warnings)


async def log_in(session: AsyncSession, desk: Desk, drafts: Sequence[Draft]) -> list[Report]:
    """Answers one by one, in order; durable when the transaction commits."""
    await join(session, desk.reporter.organization_id)
    types = await registered(session, desk, drafts)
    verdicts = []
    for draft in drafts:
        verdicts.append(types.verdict(draft, desk))
        await asyncio.sleep(0)  # guards may take their time: others are served between two drafts
    keys = [receipts.key_of(draft, desk) for draft in drafts]
    kept = await receipts.kept(session, {key for key in keys if key is not None})
    claimed = receipts.claims_of(drafts, keys, verdicts, kept)
    kept |= await receipts.claim(session, desk, claimed)
    fresh = [
        verdict.event
        for key, verdict in zip(keys, verdicts, strict=True)
        if isinstance(verdict, Accepted) and key not in kept
    ]
    rules = types.duplication_rules
    course = Course(kept, await duplicates.look_up(session, desk, rules, fresh, hold=True))
    decisions = [
        course.decide(draft, key, verdict)
        for draft, key, verdict in zip(drafts, keys, verdicts, strict=True)
    ]
    rows = course.known.events | await _store(session, desk, course.new)
    await _count(session, desk, rows, course.counted)
    await duplicates.remember(session, desk, course.known, course.firsts, course.caught)
    await receipts.settle(session, desk, claimed, course.receipts)
    wanted = {each.event_id for each in decisions if each.event_id is not None}
    rows |= await met(session, wanted - rows.keys())
    return [decision.report(rows) for decision in decisions]


def _replayed(draft: Draft, receipt: Receipt) -> Decision:
    if receipt.digest == draft.digest():
        return Decision(receipt.event_id, duplicate=True, replay=True)
    message = f"{draft.source_id} was reported with other content before."
    return Decision(problems=(Problem(UserErrorCode.CONFLICT, message, ("sourceId",)),))


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


async def met(session: AsyncSession, ids: set[UUID]) -> dict[UUID, tables.Event]:
    """The events that replays met; a deleted one is missing."""
    if not ids:
        return {}
    statement = select(tables.Event).where(col(tables.Event.id).in_(sorted(ids)))
    return {row.id: row for row in await session.scalars(statement)}


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


async def _count(
    session: AsyncSession,
    desk: Desk,
    rows: dict[UUID, tables.Event],
    counted: Sequence[tuple[UUID, EventState]],
) -> None:
    entries = []
    for first_id, duplicate in counted:
        row = rows[first_id]
        before = row.to_domain()
        latest = max(before.latest, duplicate.occurred_at)
        after = replace(before, occurrences=before.occurrences + 1, last_occurred_at=latest)
        entries.append(entry(desk, "DUPLICATED", after, before))
        row.take(after)
    if entries:
        await changes.append(session, entries)
        await session.flush()
