"""The append-only change log: entries, positions, and cursors that encode a position.

Positions are in commit order. On PostgreSQL, readers see an entry once no older transaction is
open: entries before the horizon are complete, so a reader never skips one that commits late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from types import NoneType
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.audit import AuditAction
from app.domain.events.filters import ALL_CHANGES, EventChangeFilter
from app.domain.events.state import EventChangeKind, EventState
from app.domain.shared.problems import ErrorCode, RequestError
from app.store import tables
from app.store.change_log.log_snapshot import PRUNED_COLUMNS, SNAPSHOT_COLUMNS
from app.store.engine.database import Database
from app.store.reading import statements
from app.store.reading.event_conditions import within
from app.store.reading.pages import decode_cursor, encode_cursor, invalid_cursor_error
from app.store.tables import METADATA
from app.store.tables.columns import Horizon, IsAfter, IsNotAfter
from app.store.writing.inserts import TableRows, insert_rows

EVENT = "event"
RESOLVED = EventChangeKind.RESOLVED.value
# `Organization.definitions` counts the changes of these.
CONFIGURATION_SUBJECTS = frozenset(
    {
        str(tables.Organization.__tablename__),
        str(tables.EventType.__tablename__),
        *(str(table.__tablename__) for table in tables.RULE_TABLES),
        str(tables.RetentionPolicy.__tablename__),
        str(tables.Silence.__tablename__),
        str(tables.Channel.__tablename__),
        str(tables.Source.__tablename__),
    }
)
# These do not change the configuration.
_OTHER_ACTIONS = frozenset(
    action.value
    for action in (
        AuditAction.RETENTION_APPLIED,
        AuditAction.ROTATED,
        AuditAction.DELIVERIES_FAILING,
        AuditAction.DELIVERIES_RECOVERED,
        AuditAction.DELIVERIES_SKIPPED,
    )
)
# Key in the `changes` of an entry DUPLICATED: the report that was counted.
REPORT = "report"
_MAX_SEQUENCE = 2**63 - 1


class LogPosition(NamedTuple):
    """(transaction, sequence): greater is later."""

    tx: int
    seq: int


LOG_START = LogPosition(0, 0)
_POSITION = (col(tables.Change.tx), col(tables.Change.seq))
_CHANGE = METADATA.tables["change"].c


@dataclass
class CurrentEvent:
    """The current state of an event, updated by the reader of the change log. None if deleted."""

    event: tables.Event | None


@dataclass(frozen=True)
class Entry:
    """An entry of the change log as it was written, with the current state of its event."""

    position: LogPosition
    organization_id: UUID
    subject: str
    subject_id: UUID
    kind: str
    at: datetime
    actor: str
    notifies: bool
    changes: dict[str, Any]
    state_json: dict[str, Any]
    current: CurrentEvent

    @property
    def event(self) -> tables.Event | None:
        return self.current.event

    @cached_property
    def state(self) -> EventState:
        """The event after the change (deleted: before it). Only for entries of an event."""
        return EventState.from_json(self.state_json)

    @cached_property
    def before(self) -> EventState | None:
        """The event before the change; None if the change logged it."""
        if self.kind == "LOGGED":
            return None
        old = {name: pair[0] for name, pair in self.changes.items() if name != REPORT}
        return EventState.from_json(self.state_json | old)

    @property
    def after(self) -> EventState | None:
        """The event after the change; None if the change deleted it."""
        return None if self.kind == "DELETED" else self.state


@dataclass
class NewEntry:
    """An entry to append. Changes of the configuration raise its version."""

    subject: str
    subject_id: UUID
    organization_id: UUID
    actor: str
    at: datetime
    state: dict[str, Any]
    kind: str = "CREATED"
    changes: dict[str, Any] = field(default_factory=dict)
    notifies: bool = False


async def append_entries(session: AsyncSession, entries: Sequence[NewEntry]) -> list[LogPosition]:
    """Writes entries, and returns their positions."""
    rows = await _prepare_rows(session, entries)
    positions = await insert_rows(session, rows, returning=("tx", "seq"))
    # Numbers are assigned in the order of the rows, but may be returned in another order.
    return [LogPosition(*position) for position in sorted(positions)]


async def append_entries_with_rows(
    session: AsyncSession, entries: Sequence[NewEntry], *rows: TableRows
) -> None:
    """Writes entries and rows of other tables in one round trip."""
    await insert_rows(session, await _prepare_rows(session, entries), *rows)


async def _prepare_rows(session: AsyncSession, entries: Sequence[NewEntry]) -> TableRows:
    if not session.info["writes_log"]:
        raise AssertionError("this transaction is not a registered writer of the change log")
    organization_ids = {entry.organization_id for entry in entries if _changes_configuration(entry)}
    if organization_ids:
        table = METADATA.tables["organization"]
        increment = update(table).values(definitions=table.c.definitions + 1)
        await session.execute(increment.where(table.c.id.in_(organization_ids)))
    return tables.Change, [vars(entry) for entry in entries]


def _changes_configuration(entry: NewEntry) -> bool:
    return entry.subject in CONFIGURATION_SUBJECTS and entry.kind not in _OTHER_ACTIONS


async def fetch_entries_after(
    session: AsyncSession,
    after: LogPosition,
    limit: int,
    until: LogPosition | None = None,
    rings_only: bool = False,
) -> list[Entry]:
    """The next complete entries in the session's scope, in order."""
    statement = _entries_statement(after, limit, until).where(col(tables.Change.tx) < Horizon())
    if rings_only:
        statement = statement.where(col(tables.Change.notifies))
    return await _fetch_entries(session, statement, horizon_parameters(session))


async def list_event_entries(
    session: AsyncSession,
    after: LogPosition,
    limit: int,
    filter: EventChangeFilter = ALL_CHANGES,
    until: LogPosition | None = None,
) -> list[Entry]:
    """The next entries of events that match, in order, including those beyond the horizon."""
    statement = _entries_statement(after, limit, until).where(*_build_conditions(filter))
    return await _fetch_entries(session, statement)


def select_event_entries(after: LogPosition, limit: int) -> Any:
    """Selects the next complete entries of events, with the horizon as a parameter."""
    table = tables.Change
    columns = (col(table.subject_id), col(table.kind), col(table.notifies), col(table.at))
    is_next = (*build_range(after), col(table.subject) == EVENT, col(table.tx) < Horizon())
    return select(*columns).where(*is_next).order_by(*_POSITION).limit(limit)


def _build_conditions(filter: EventChangeFilter) -> list[Any]:
    conditions: list[Any] = [col(tables.Change.subject) == EVENT]
    if filter.kinds is not None:
        conditions.append(col(tables.Change.kind).in_([kind.value for kind in filter.kinds]))
    if filter.actors is not None:
        conditions.append(col(tables.Change.actor).in_(filter.actors))
    if filter.event_ids is not None:
        conditions.append(col(tables.Change.subject_id).in_(filter.event_ids))
    return [*conditions, *within(tables.Change.at, filter.at)]


async def find_window_end(
    session: AsyncSession, after: LogPosition, size: int
) -> LogPosition | None:
    """Position of the entry `size` entries after a position. None if there are fewer."""
    position = (col(tables.Change.tx), col(tables.Change.seq))
    statement = select(*position).where(*build_range(after))
    statement = statement.order_by(*position).offset(size - 1).limit(1)
    row: Any = (await session.execute(statement)).one_or_none()
    return None if row is None else LogPosition(*row)


@dataclass(frozen=True)
class EntryRange:
    """Entries between two positions, both exclusive: the first ones or, if `backwards`, the last.

    `before`: None for the end of the change log.
    """

    after: LogPosition = LOG_START
    before: LogPosition | None = None
    backwards: bool = False


async def list_event_histories(
    session: AsyncSession,
    entry_range: EntryRange,
    limit: int,
    event_ids: Sequence[UUID],
    *more_conditions: ColumnElement[bool],
) -> list[Entry]:
    """The first or last `limit` entries of each of these events, in order, by one statement."""
    table = tables.Change
    position = (col(table.tx), col(table.seq))
    order = [column.desc() for column in position] if entry_range.backwards else position
    conditions = [
        col(table.subject_id).in_(event_ids),
        *build_range(entry_range.after, previous_position(entry_range.before)),
        *more_conditions,
    ]
    numbered = (
        select(
            col(table.seq),
            func.row_number()
            .over(partition_by=col(table.subject_id), order_by=order)
            .label("number"),
        )
        .where(*conditions)
        .subquery()
    )
    sequences = select(numbered.c.seq).where(numbered.c.number <= limit)
    statement = _entries_statement(entry_range.after, limit * len(event_ids)).where(
        col(table.seq).in_(sequences)
    )
    return await _fetch_entries(session, statement)


async def list_status_entries(
    session: AsyncSession, entry_range: EntryRange, limit: int, event_ids: Sequence[UUID]
) -> list[Entry]:
    """As `list_event_histories`, those that notify of an event, open it or resolve it."""
    kinds = (EventChangeKind.LOGGED, EventChangeKind.REOPENED, EventChangeKind.RESOLVED)
    is_of_status = or_(
        col(tables.Change.notifies), col(tables.Change.kind).in_([kind.value for kind in kinds])
    )
    return await list_event_histories(session, entry_range, limit, event_ids, is_of_status)


def _entries_statement(
    after: LogPosition, limit: int, until: LogPosition | None = None
) -> Select[tables.Change, tables.Event]:
    is_event_of_entry = and_(
        col(tables.Change.subject) == EVENT,
        col(tables.Event.id) == col(tables.Change.subject_id),
    )
    return (
        select(tables.Change, tables.Event)
        .outerjoin(tables.Event, is_event_of_entry)
        .where(*build_range(after, until))
        .order_by(col(tables.Change.tx), col(tables.Change.seq))
        .limit(limit)
    )


async def _fetch_entries(
    session: AsyncSession,
    statement: Select[tables.Change, tables.Event],
    parameters: dict[str, Any] | None = None,
) -> list[Entry]:
    rows = await session.execute(statement, parameters)
    return [_entry_from_row(change, event) for change, event in rows]


async def fetch_head(session: AsyncSession) -> LogPosition:
    """Position of the last complete entry: all later commits have greater positions."""
    rows = await session.execute(head_statement(), horizon_parameters(session))
    return head_from_row(rows.one())


def head_statement() -> Select[Any]:
    return _select_with_last_entry(*PRUNED_COLUMNS)


def _select_with_last_entry(*columns: Any) -> Select[Any]:
    """Selects columns of the log, and the position of the last complete entry.

    It is that of all organizations: the columns are bare, to which no scope is added.
    """
    tx, seq = _CHANGE.tx, _CHANGE.seq
    last_entry = (
        select(tx, seq).where(tx < Horizon()).order_by(tx.desc(), seq.desc()).limit(1).subquery()
    )
    return select(*columns, last_entry.c.tx, last_entry.c.seq).outerjoin(last_entry, true())


async def fetch_snapshot_and_head(database: Database) -> tuple[LogSnapshot, LogPosition]:
    """Fetches both without a session, which would cost more than the read.

    The snapshot's `begins_at` is a value of the driver.
    """
    [row] = await statements.fetch_rows(
        database,
        ("log head",),
        lambda: _select_with_last_entry(*SNAPSHOT_COLUMNS),
        database.log_horizon.parameters,
    )
    snapshot = snapshot_from_row(row[:-2])
    return snapshot, head_from_row((*snapshot.pruned, *row[-2:]))


def head_from_row(row: Sequence[Any]) -> LogPosition:
    return max(LogPosition(*row[:2]), LogPosition(row[2] or 0, row[3] or 0))


async def fetch_pruned_position(session: AsyncSession) -> LogPosition:
    """The position up to which entries may have been pruned."""
    return LogPosition(*(await session.execute(select(*PRUNED_COLUMNS))).one())


async def find_earlier_position(
    session: AsyncSession, position: LogPosition, time: timedelta, earliest: datetime
) -> LogPosition:
    """The last position up to this one whose entry is older by a time than that at this position.

    Entries before `earliest` are older, too.
    """
    table = tables.Change
    newest_first = (
        select(*_POSITION, col(table.at))
        .where(*build_range(until=position))
        .order_by(*(column.desc() for column in _POSITION))
        .limit(1)
    )
    last: Any = (await session.execute(newest_first)).one_or_none()
    if last is None:
        return position
    is_older = col(table.at) < max(last.at - time, earliest)
    row: Any = (await session.execute(newest_first.where(is_older))).one_or_none()
    return LOG_START if row is None else LogPosition(row.tx, row.seq)


@dataclass(frozen=True)
class LogSnapshot:
    """State of the change log for cursors. Fetch it in the session that reads the list."""

    epoch: str
    timeline: str
    horizon: int
    end: int
    last_seq: int
    pruned: LogPosition
    begins_at: datetime | None

    @property
    def identity(self) -> str:
        """Changes when positions get another meaning: after a restore, and after a failover."""
        return f"{self.epoch}.{self.timeline}" if self.timeline else self.epoch

    def has_epoch_of(self, identity: str) -> bool:
        """Whether an identity differs by failovers at most.

        Positions stay valid then, but those of lost entries are used again.
        """
        return identity.partition(".")[0] == self.epoch

    def check_not_pruned(self, position: LogPosition) -> LogPosition:
        """Returns the position. Raises CURSOR_EXPIRED if entries after it may have been pruned."""
        if position < self.pruned:
            raise expired_cursor_error("after")
        return position


async def fetch_snapshot(session: AsyncSession) -> LogSnapshot:
    statement = select(*SNAPSHOT_COLUMNS)
    return snapshot_from_row((await session.execute(statement, horizon_parameters(session))).one())


def horizon_parameters(session: AsyncSession) -> dict[str, Any]:
    """The parameters of a statement with `Horizon`."""
    parameters: dict[str, Any] = session.info["horizon_parameters"]
    return parameters


def snapshot_from_row(row: Sequence[Any]) -> LogSnapshot:
    epoch, timeline, horizon, end, last_seq, *pruned, begins_at = row
    last_seq = max(last_seq, pruned[1])
    return LogSnapshot(epoch, timeline, horizon, end, last_seq, LogPosition(*pruned), begins_at)


def encode_log_cursor(
    organization_id: UUID, snapshot: LogSnapshot, position: LogPosition, *, complete: bool
) -> str:
    """Encodes the position, with the horizon if the entry may be beyond it.

    `complete`: the entry is before the horizon; lists may contain entries beyond it.
    """
    open_since = None if complete or position.tx < snapshot.horizon else snapshot.horizon
    return encode_cursor(organization_id, "log", snapshot.identity, *position, open_since)


@dataclass(frozen=True)
class CursorPosition:
    """A decoded cursor: the positions from which a list and a subscription continue."""

    list_position: LogPosition
    subscription_position: LogPosition


def decode_log_cursor(
    organization_id: UUID, cursor: str, snapshot: LogSnapshot, argument: str = "after"
) -> CursorPosition:
    """Raises INVALID_CURSOR, or CURSOR_EXPIRED if the cursor is from an earlier epoch."""
    parts = decode_cursor(organization_id, "log", cursor, argument)
    if [type(part) for part in parts] not in ([str, int, int, NoneType], [str, int, int, int]):
        raise invalid_cursor_error(argument)
    identity, tx, seq, open_since = parts
    position = LogPosition(tx, seq)
    subscription_position = (
        position if open_since is None else LogPosition(open_since - 1, _MAX_SEQUENCE)
    )
    # Beyond the end: the database was restored from a backup older than the cursor.
    is_beyond_end = subscription_position.tx >= snapshot.end or seq > snapshot.last_seq
    # Cursors of version 0.1 have the epoch alone.
    if identity not in (snapshot.identity, snapshot.epoch) or is_beyond_end:
        raise expired_cursor_error(argument)
    return CursorPosition(position, subscription_position)


def expired_cursor_error(argument: str) -> RequestError:
    message = (
        "The cursor has expired: the change log no longer has the entries after the cursor. Load "
        "the list again."
    )
    return RequestError(ErrorCode.CURSOR_EXPIRED, message, argument)


def build_range(
    after: LogPosition = LOG_START, until: LogPosition | None = None
) -> list[ColumnElement[bool]]:
    """The conditions of the positions after `after`, up to and including `until`."""
    conditions: list[ColumnElement[bool]] = []
    if after != LOG_START:
        conditions.append(IsAfter(*_POSITION, *position_literals(after)))
    if until is not None:
        conditions.append(IsNotAfter(*_POSITION, *position_literals(until)))
    return conditions


def position_literals(position: LogPosition) -> tuple[Any, Any]:
    """The position as SQL, to compare two columns with it."""
    return literal(position.tx, BigInteger()), literal(position.seq, BigInteger())


def previous_position(position: LogPosition | None) -> LogPosition | None:
    """The last position before this one that an entry may have: sequence numbers are unique."""
    return None if position is None else position._replace(seq=position.seq - 1)


def position_literal(position: LogPosition) -> Any:
    """The position as SQL, to compare a pair of columns with it."""
    return tuple_(*position_literals(position))


def _entry_from_row(change: tables.Change, event: tables.Event | None) -> Entry:
    return Entry(
        position=LogPosition(change.tx or 0, change.seq or 0),  # the database has set both
        organization_id=change.organization_id,
        subject=change.subject,
        subject_id=change.subject_id,
        kind=change.kind,
        at=change.at,
        actor=change.actor,
        notifies=change.notifies,
        changes=change.changes,
        state_json=change.state,
        current=CurrentEvent(event),
    )
