"""What becomes of a list of reports, in one transaction: each is stored, refused or met.

In the order of the list a report is told apart from a replay, judged, and looked at as a
duplicate; what an earlier report of the list has become counts for the later ones.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.state import EventState
from app.domain.events.state import changes as differences
from app.domain.intake.intake import Accepted, Desk, Draft, Refused, Verdict
from app.domain.rules.duplicates import Claim, DuplicateAction, DuplicateProblem, Match
from app.domain.shared.problems import Problem, UserErrorCode
from app.services.events import duplicates, receipts
from app.services.events.duplicates import Known
from app.services.events.receipts import Key, Receipt
from app.services.events.validation import Registered, registered
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import Commits
from app.store.engine.dialect import join
from app.store.writing import lookup
from app.store.writing.bulk import Part, insert_all

_AFTER_ALL_STORED = 2**62
AT_A_STRETCH_SECONDS = 0.002


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


@dataclass(frozen=True)
class Call:
    """Reports of one caller, at one desk. `commits`: told when they may be durable."""

    desk: Desk
    drafts: Sequence[Draft]
    commits: Commits = field(default_factory=Commits)


@dataclass(frozen=True)
class Step:
    """What the log is to tell of an event: that it was logged, or that a duplicate was counted."""

    kind: str
    desk: Desk
    after: EventState
    before: EventState | None = None


@dataclass
class Course:
    """A list of reports on its way: what was known before it, and what it has led to so far.

    `new`: the events to be stored, `met`: those that were counted, as they are by now.
    """

    receipts: dict[Key, Receipt]
    known: Known
    new: dict[UUID, EventState] = field(default_factory=dict)
    met: dict[UUID, EventState] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    firsts: list[tuple[EventState, list[Claim]]] = field(default_factory=list)
    caught: Counter[tuple[UUID, str]] = field(default_factory=Counter)

    def decide(self, draft: Draft, desk: Desk, key: Key | None, verdict: Verdict) -> Decision:
        receipt = None if key is None else self.receipts.get(key)
        if receipt is not None:
            return _replayed(draft, receipt)
        if isinstance(verdict, Refused):
            return Decision(problems=verdict.problems)
        decision = self._accept(verdict, desk)
        if key is not None and decision.event_id is not None:
            self.receipts[key] = Receipt(draft.digest(), decision.event_id)
        return decision

    def _accept(self, verdict: Accepted, desk: Desk) -> Decision:
        event = verdict.event
        claims = self.known.claims.get(event.id, [])
        match = self.known.ledger.match(claims, event)
        if match is not None:
            return self._catch(verdict, match, desk)
        self.known.ledger.enter(claims, event, _AFTER_ALL_STORED + len(self.firsts))
        self.firsts.append((event, claims))
        self._log(event, desk)
        return Decision(event.id, stored=True, warnings=verdict.warnings)

    def _catch(self, verdict: Accepted, match: Match, desk: Desk) -> Decision:
        first_id = match.first.event_id
        self.caught[match.claim.key] += 1
        match match.claim.rule.action:
            case DuplicateAction.REJECT:
                return Decision(problems=(DuplicateProblem.of(match),))
            case DuplicateAction.COUNT:
                self._count(first_id, verdict.event, desk)
                return Decision(first_id, duplicate=True, warnings=verdict.warnings)
            case DuplicateAction.FLAG:
                flagged = replace(verdict.event, duplicate_of_id=first_id)
                self._log(flagged, desk)
                return Decision(flagged.id, True, stored=True, warnings=verdict.warnings)

    def _log(self, event: EventState, desk: Desk) -> None:
        self.new[event.id] = event
        self.steps.append(Step("LOGGED", desk, event))

    def _count(self, first_id: UUID, duplicate: EventState, desk: Desk) -> None:
        here = self.new if first_id in self.new else self.met
        before = here.get(first_id) or self.known.events[first_id].to_domain()
        latest = max(before.latest, duplicate.occurred_at)
        after = replace(before, occurrences=before.occurrences + 1, last_occurred_at=latest)
        here[first_id] = after
        self.steps.append(Step("DUPLICATED", desk, after, before))


async def log_in(session: AsyncSession, calls: Sequence[Call]) -> list[Report]:
    """Answers one by one, in order; durable when the transaction commits."""
    await join(session, session.info["scope"])
    said = [(draft, call.desk) for call in calls for draft in call.drafts]
    types = await registered(session, calls[0].desk, [draft for draft, _ in said])
    verdicts = await _verdicts(types, said)
    keys = [receipts.key_of(draft, desk) for draft, desk in said]
    drafts = (draft for draft, _ in said)
    claimed = receipts.claims_of(zip(drafts, keys, verdicts, strict=True))
    kept = await receipts.claim(session, claimed)
    claimed = {key: each for key, each in claimed.items() if key not in kept}
    refused = {key for key in keys if key is not None} - claimed.keys() - kept.keys()
    kept |= await receipts.kept(session, refused)
    fresh = [
        verdict.event
        for key, verdict in zip(keys, verdicts, strict=True)
        if isinstance(verdict, Accepted) and key not in kept
    ]
    claims = {event.id: types.claims_of(event) for event in fresh}
    course = Course(kept, await duplicates.look_up(session, claims, fresh, hold=True))
    decisions = [
        course.decide(draft, desk, key, verdict)
        for (draft, desk), key, verdict in zip(said, keys, verdicts, strict=True)
    ]
    rows = course.known.events | await _store(session, course)
    await duplicates.remember(session, course.known, course.firsts, course.caught)
    await receipts.settle(session, claimed, course.receipts)
    wanted = {each.event_id for each in decisions if each.event_id is not None}
    rows |= await met(session, wanted - rows.keys())
    return [decision.report(rows) for decision in decisions]


async def _verdicts(types: Registered, said: Iterable[tuple[Draft, Desk]]) -> list[Verdict]:
    verdicts = []
    pause = time.monotonic() + AT_A_STRETCH_SECONDS
    for draft, desk in said:
        verdicts.append(types.verdict(draft, desk))
        if time.monotonic() > pause:  # guards may take their time: others are served meanwhile
            await asyncio.sleep(0)
            pause = time.monotonic() + AT_A_STRETCH_SECONDS
    return verdicts


def _replayed(draft: Draft, receipt: Receipt) -> Decision:
    if receipt.digest == draft.digest():
        return Decision(receipt.event_id, duplicate=True, replay=True)
    message = f"{draft.source_id} was reported with other content before."
    return Decision(problems=(Problem(UserErrorCode.CONFLICT, message, ("sourceId",)),))


def entry(
    desk: Desk, kind: str, state: EventState, before: EventState | None = None
) -> changes.NewEntry:
    """The log entry of what the desk did. It rings when it makes the event a notification."""
    return changes.NewEntry(
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


async def _store(session: AsyncSession, course: Course) -> dict[UUID, tables.Event]:
    """Writes what the course has led to; the new events' rows."""
    if not course.steps:
        return {}
    entries = [entry(each.desk, each.kind, each.after, each.before) for each in course.steps]
    owner = session.info["scope"]
    rows = {event.id: tables.Event.from_domain(event, owner) for event in course.new.values()}
    parts = lookup.rows(owner, course.new.values())
    if any(each.rings for each in entries):  # an event has the place of the entry that rings
        for told, place in zip(entries, await changes.append(session, entries), strict=True):
            if told.rings and told.subject_id in rows:
                rows[told.subject_id].rang_tx, rows[told.subject_id].rang_seq = place
        await insert_all(session, [_part(rows), *parts])
    else:
        await changes.append(session, entries, [_part(rows), *parts] if rows else ())
    for event_id, event in course.met.items():
        course.known.events[event_id].take(event)
    if course.met:
        await session.flush()
    return rows


def _part(rows: dict[UUID, tables.Event]) -> Part:
    return tables.Event, [row.columns() for row in rows.values()]
