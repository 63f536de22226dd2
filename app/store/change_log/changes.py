"""The append-only change log: entries, places in it, and cursors that name a place.

Places are in commit order. On PostgreSQL an entry is read once no older transaction is open any
more: those behind the horizon are complete, so that a reader never passes one that commits late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import NoneType
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Select, and_, func, literal, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.state import EventState
from app.domain.shared.problems import ErrorCode, RequestError
from app.store import tables
from app.store.change_log.log_snapshot import MOMENT, PRUNED
from app.store.reading.pages import invalid_cursor, read_cursor, write_cursor
from app.store.tables import METADATA
from app.store.tables.columns import Horizon
from app.store.writing.bulk import Part, insert_numbered

EVENT = "event"
EVENT_TYPE = "event_type"
GUARD_RULE = "guard_rule"
DUPLICATION_RULE = "duplication_rule"
ORGANIZATION = "organization"
API_KEY = "api_key"
# What reports are judged by: `Organization.definitions` counts its changes.
DEFINITIONS = frozenset({EVENT_TYPE, GUARD_RULE, DUPLICATION_RULE})
_LAST_SEQ = 2**63 - 1


class Place(NamedTuple):
    """(transaction, sequence): greater is later."""

    tx: int
    seq: int


START = Place(0, 0)


@dataclass
class Now:
    """An event as it is now; None once it is gone. Who reads on in the log keeps it up to date."""

    event: tables.Event | None


@dataclass(frozen=True)
class Entry:
    """A change as it was written, beside its event as it is now."""

    place: Place
    organization_id: UUID
    subject: str
    subject_id: UUID
    kind: str
    at: datetime
    actor: str
    rings: bool
    changes: dict[str, Any]
    state_json: dict[str, Any]
    now: Now

    @property
    def event(self) -> tables.Event | None:
        return self.now.event

    @cached_property
    def state(self) -> EventState:
        """The event after the change (deleted: before it). Only for entries of an event."""
        return EventState.from_json(self.state_json)

    @cached_property
    def before(self) -> EventState | None:
        """The event before the change; None where it was logged."""
        if self.kind == "LOGGED":
            return None
        old = {name: pair[0] for name, pair in self.changes.items()}
        return EventState.from_json(self.state_json | old)

    @property
    def after(self) -> EventState | None:
        """The event after the change; None where it was deleted."""
        return None if self.kind == "DELETED" else self.state


@dataclass
class NewEntry:
    """A change that is to be written. Of what is no event it tells every process."""

    subject: str
    subject_id: UUID
    organization_id: UUID
    actor: str
    at: datetime
    state: dict[str, Any]
    kind: str = "CREATED"
    changes: dict[str, Any] = field(default_factory=dict)
    rings: bool = False


async def append(
    session: AsyncSession, entries: Sequence[NewEntry], beside: Sequence[Part] = ()
) -> list[Place]:
    """Writes entries, and rows `beside`, in the transaction of what they tell: each one's place."""
    defined = {each.organization_id for each in entries if each.subject in DEFINITIONS}
    if defined:
        table = METADATA.tables["organization"]
        counted = update(table).values(definitions=table.c.definitions + 1)
        await session.execute(counted.where(table.c.id.in_(defined)))
    rows = [dict(vars(each)) for each in entries]
    told = await insert_numbered(session, tables.Change, rows, beside) if rows else []
    return [Place(*each) for each in told]


async def read_after(
    session: AsyncSession,
    after: Place,
    limit: int,
    until: Place | None = None,
    rings_only: bool = False,
) -> list[Entry]:
    """The next complete entries in order, as far as the session's scope reaches."""
    statement = _entries(after, limit).where(col(tables.Change.tx) < Horizon())
    if until is not None:
        statement = statement.where(_place() <= bound(until))
    if rings_only:
        statement = statement.where(col(tables.Change.rings))
    return await _read(session, statement)


async def list_events(
    session: AsyncSession, after: Place, limit: int, event_id: UUID | None = None
) -> list[Entry]:
    """The next entries of events in order, those beyond the horizon too: for a list."""
    statement = _entries(after, limit).where(col(tables.Change.subject) == EVENT)
    if event_id is not None:
        statement = statement.where(col(tables.Change.subject_id) == event_id)
    return await _read(session, statement)


async def list_histories(
    session: AsyncSession, after: Place, limit: int, event_ids: Sequence[UUID]
) -> list[Entry]:
    """The next `limit` entries of each of these events, in one statement."""
    table = tables.Change
    place = (col(table.tx), col(table.seq))
    numbered = (
        select(
            col(table.seq),
            func.row_number()
            .over(partition_by=col(table.subject_id), order_by=place)
            .label("number"),
        )
        .where(col(table.subject_id).in_(event_ids), _place() > bound(after))
        .subquery()
    )
    nearest = select(numbered.c.seq).where(numbered.c.number <= limit)
    statement = _entries(after, limit * len(event_ids)).where(col(table.seq).in_(nearest))
    return await _read(session, statement)


def _entries(after: Place, limit: int) -> Select[tables.Change, tables.Event]:
    event_now = and_(
        col(tables.Change.subject) == EVENT,
        col(tables.Event.id) == col(tables.Change.subject_id),
    )
    return (
        select(tables.Change, tables.Event)
        .outerjoin(tables.Event, event_now)
        .where(_place() > bound(after))
        .order_by(col(tables.Change.tx), col(tables.Change.seq))
        .limit(limit)
    )


async def _read(
    session: AsyncSession, statement: Select[tables.Change, tables.Event]
) -> list[Entry]:
    return [_entry(change, event) for change, event in await session.execute(statement)]


async def head(session: AsyncSession) -> Place:
    """The last complete entry: whatever is committed later lies behind it."""
    return head_in((await session.execute(head_statement())).one())


def head_statement() -> Select[Any]:
    tx, seq = col(tables.Change.tx), col(tables.Change.seq)
    last = select(tx, seq).where(tx < Horizon()).order_by(tx.desc(), seq.desc()).limit(1).subquery()
    return select(*PRUNED, last.c.tx, last.c.seq).outerjoin(last, true())


def head_in(row: Sequence[Any]) -> Place:
    return max(Place(*row[:2]), Place(row[2] or 0, row[3] or 0))


async def pruned(session: AsyncSession) -> Place:
    """Entries up to here may have been removed."""
    return Place(*(await session.execute(select(*PRUNED))).one())


@dataclass(frozen=True)
class Moment:
    """What cursors are made and read with, as of one snapshot: read it in the list's session."""

    epoch: str
    horizon: int
    last_seq: int
    pruned: Place
    begins_at: datetime | None

    def held(self, place: Place) -> Place:
        """The place to go on from. RequestError CURSOR_EXPIRED where what follows was pruned."""
        if place < self.pruned:
            raise expired("after")
        return place


async def moment(session: AsyncSession) -> Moment:
    return moment_of((await session.execute(select(*MOMENT))).one())


def moment_of(told: Sequence[Any]) -> Moment:
    epoch, horizon, last, *gone, begins_at = told
    return Moment(epoch, horizon, max(last, gone[1]), Place(*gone), begins_at)


def cursor_of(organization_id: UUID, moment: Moment, place: Place, *, complete: bool) -> str:
    """Names the place. Of an entry that may not be complete it keeps the horizon too.

    `complete`: it was read from the log; a list may show what lies beyond the horizon.
    """
    open_since = None if complete or place.tx < moment.horizon else moment.horizon
    return write_cursor(organization_id, "log", moment.epoch, *place, open_since)


@dataclass(frozen=True)
class Position:
    """A cursor, read: a list goes on from `place`, a subscription from `resume`."""

    place: Place
    resume: Place


def position_of(
    organization_id: UUID, cursor: str, moment: Moment, argument: str = "after"
) -> Position:
    """RequestError: INVALID_CURSOR, or CURSOR_EXPIRED for one of another life of the log."""
    parts = read_cursor(organization_id, "log", cursor, argument)
    if [type(part) for part in parts] not in ([str, int, int, NoneType], [str, int, int, int]):
        raise invalid_cursor(argument)
    epoch, tx, seq, open_since = parts
    place = Place(tx, seq)
    resume = place if open_since is None else Place(open_since - 1, _LAST_SEQ)
    # Beyond the end: the database was restored from before the cursor was given out.
    beyond = resume.tx >= moment.horizon or seq > moment.last_seq
    if epoch != moment.epoch or beyond:
        raise expired(argument)
    return Position(place, resume)


def expired(argument: str) -> RequestError:
    told = "The log does not hold the place of this cursor any more: load the list anew."
    return RequestError(ErrorCode.CURSOR_EXPIRED, told, argument)


def _place() -> Any:
    return tuple_(col(tables.Change.tx), col(tables.Change.seq))


def bound(place: Place) -> Any:
    """The place as SQL, to compare a pair of columns with."""
    return tuple_(literal(place.tx, BigInteger()), literal(place.seq, BigInteger()))


def _entry(change: tables.Change, event: tables.Event | None) -> Entry:
    return Entry(
        place=Place(change.tx or 0, change.seq or 0),  # the database has given both
        organization_id=change.organization_id,
        subject=change.subject,
        subject_id=change.subject_id,
        kind=change.kind,
        at=change.at,
        actor=change.actor,
        rings=change.rings,
        changes=change.changes,
        state_json=change.state,
        now=Now(event),
    )
