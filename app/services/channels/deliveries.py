"""Deliveries, as the process that holds the lease of their channel creates and attempts them.

Every transaction requires that the process still holds the lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.audit import AuditAction
from app.domain.access.caller import Caller, Permission
from app.domain.channels.attempts import AttemptResult, find_next_attempt
from app.domain.channels.channels import ChannelTrigger, DeliveryState
from app.domain.channels.messages import build_message, format_event
from app.domain.events.state import EventDraft
from app.domain.intake.intake import CommandContext
from app.domain.shared.limits import ChannelLimits
from app.domain.shared.values import format_instant
from app.services.channels.delivery_selection import build_entry_id
from app.services.events.own_reports import log_own_report
from app.services.shared.leases import is_held_by
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.audit import collect_values, create_entry
from app.store.change_log.changes import REPORT, Entry, LogPosition, LogSnapshot
from app.store.engine.database import ALL_ORGANIZATIONS, Database, retry_on_deadlock
from app.store.reading.distinct_values import select_distinct_values
from app.store.tables.columns import UTCDateTime
from app.store.writing.inserts import KEEP_EXISTING, RowValues, insert_rows

_DELIVERIES = tables.METADATA.tables["delivery"]
_CHANNELS = tables.METADATA.tables["channel"]
_DELETED_PER_TRANSACTION = 1_000
_RESULT_COLUMNS = (
    "state",
    "attempts",
    "hold_until",
    "not_before",
    "last_attempt_at",
    "next_attempt_at",
    "response_status",
    "error",
)
# A process that dies is replaced after at most LEASE_TIME and the time between two polls.
LEASE_TIME = timedelta(seconds=10)
INTERNAL_ERROR = "Internal error. See the server logs."

log = structlog.get_logger(__name__)


class LeaseLostError(Exception):
    """Another process delivers to the channel, or the channel was changed or deleted."""


def is_pending(table: Any = tables.Delivery) -> ColumnElement[bool]:
    # A literal, because a partial index is not used for a parameter.
    condition: ColumnElement[bool] = col(table.state) == literal_column("'PENDING'")
    return condition


def _due_conditions() -> list[ColumnElement[bool]]:
    """Conditions on pending deliveries whose time has come, though others may hold them back."""
    table = tables.Delivery
    return [*_channel_conditions(table), col(table.next_attempt_at) <= bindparam("now")]


def _channel_conditions(table: Any) -> list[ColumnElement[bool]]:
    return [col(table.channel_id) == bindparam("channel_id"), is_pending(table)]


def _holds_back(table: Any) -> ColumnElement[bool]:
    """The condition that a pending delivery still holds back later ones with its order key."""
    return or_(col(table.hold_until).is_(None), col(table.hold_until) > bindparam("now"))


def _select_due() -> Select[Any]:
    """Selects the oldest deliveries that are due and that no one that is not due holds back.

    Of each order key, the first `per_key`.
    """
    table = tables.Delivery
    key, number = col(table.order_key), col(table.number)
    # Grouped once, because a search for each delivery would read all earlier ones.
    waiting = (
        select(key, func.min(number).label("number"))
        .where(
            *_channel_conditions(table),
            col(table.next_attempt_at) > bindparam("now"),
            _holds_back(table),
        )
        .group_by(key)
        .cte("waiting")
        .prefix_with("MATERIALIZED")
    )
    is_held = exists().where(waiting.c.order_key == key, waiting.c.number < number)
    rank = func.row_number().over(partition_by=key, order_by=number)
    ranked = (
        select(col(table.id), number, rank.label("rank"))
        .where(*_due_conditions(), ~is_held)
        .subquery()
    )
    ids = (
        select(ranked.c.id)
        .where(ranked.c.rank <= bindparam("per_key"))
        .order_by(ranked.c.number)
        .limit(bindparam("limit"))
    )
    # Their bodies need not be sorted.
    return select(table).where(col(table.id).in_(ids)).order_by(number)


def _select_probe(*order: Mapped[Any]) -> Select[Any]:
    """Selects a delivery that is due and that no earlier one holds back, even if that is due."""
    table, earlier = tables.Delivery, aliased(tables.Delivery)
    is_held = exists().where(
        *_channel_conditions(earlier),
        col(earlier.order_key) == col(table.order_key),
        col(earlier.number) < col(table.number),
        _holds_back(earlier),
    )
    return (
        select(table)
        .where(*_due_conditions(), ~is_held)
        .order_by(*order, col(table.number))
        .limit(1)
    )


def _select_next_times() -> Select[Any, Any]:
    """Selects the times after `now` at which a pending delivery can become due.

    At the second one, a delivery that waits no longer holds back later ones.
    """
    table = tables.Delivery
    waits = col(table.next_attempt_at) > bindparam("now")
    hold = case((col(table.hold_until) > bindparam("now"), col(table.hold_until)))
    return select(func.min(table.next_attempt_at), func.min(hold)).where(
        *_channel_conditions(table), waits
    )


# These statements are built once: building one takes longer than running it.
_DUE = _select_due()
_PROBE = _select_probe(col(tables.Delivery.next_attempt_at))
_PROBE_NEW = _select_probe(col(tables.Delivery.attempts), col(tables.Delivery.next_attempt_at))
_NEXT_TIMES = _select_next_times()
_STORE_RESULT = (
    update(_DELIVERIES)
    .where(_DELIVERIES.c.id == bindparam("delivery_id"))
    .values({name: bindparam(name) for name in _RESULT_COLUMNS})
)


async def fetch_log_end(session: AsyncSession) -> tuple[LogPosition, LogSnapshot]:
    """Returns the position at which a channel begins that delivers only later changes."""
    snapshot = await changes.fetch_snapshot(session)
    return await changes.fetch_head(session), snapshot


def position_values(position: LogPosition, snapshot: LogSnapshot) -> dict[str, Any]:
    """The columns of a channel that continues after a position."""
    return {"log_identity": snapshot.identity, **position._asdict()}


def move_channel(row: tables.Channel, position: LogPosition, snapshot: LogSnapshot) -> None:
    """Continues after a position in the change log of the snapshot."""
    for name, value in position_values(position, snapshot).items():
        setattr(row, name, value)


def build_delivery(
    channel: tables.Channel,
    entry: Entry,
    trigger: ChannelTrigger,
    source: str,
    snapshot: LogSnapshot,
    now: datetime,
    retry_time: timedelta,
) -> RowValues:
    """Builds the row of a delivery, without its number.

    An old change is repeated for as long as a new one: `now` is when its delivery begins. The
    clock of the server that logged the change may be ahead, which delays no delivery. For an event
    that was logged or deleted, `changes` is empty: `event` has all of its values. What a counted
    duplicate reported is left out, so that messages stay small.
    """
    state, position = entry.state, entry.position
    at = format_instant(entry.at)
    webhook_id = build_entry_id(channel.id, trigger, entry)
    changed = {
        name: change for name, change in entry.changes.items() if name not in (REPORT, "updatedAt")
    }
    data = {
        "event": format_event(state),
        "change": {"kind": entry.kind, "at": at, "actor": entry.actor, "changes": changed},
        "cursor": changes.encode_log_cursor(
            channel.organization_id, snapshot, position, complete=True
        ),
    }
    entity = state.entity
    return {
        "id": uuid7(),
        "organization_id": channel.organization_id,
        "channel_id": channel.id,
        "trigger": trigger,
        "webhook_id": webhook_id,
        "event_id": entry.subject_id,
        "order_key": f"{entity.type}\n{entity.id}" if entity else str(entry.subject_id),
        "tx": position.tx,
        "seq": position.seq,
        "body": build_message(webhook_id, trigger, source, entry.at, data, entry.subject_id),
        "state": DeliveryState.PENDING,
        "attempts": 0,
        "created_at": entry.at,
        "expires_at": max(now, entry.at) + retry_time,
        "next_attempt_at": min(now, entry.at),
    }


@dataclass(frozen=True)
class LeasedChannel:
    """A channel whose lease this process has, as `holder`."""

    database: Database
    row: tables.Channel
    holder: str

    async def add_deliveries(
        self, rows: Sequence[RowValues], position: LogPosition
    ) -> list[tables.Delivery]:
        """Stores the deliveries up to the position, and returns the new ones in their order.

        Those that exist already are kept. Raises LeaseLostError, also if the channel was changed.
        """
        scope, table = self.row.organization_id, tables.Channel
        numbers = {"last_number": table.last_number + len(rows)}
        async with self.database.write(scope, writes_log=False) as session:
            values = numbers | position._asdict()
            last_number = await self._update(
                session, values, col(table.last_number), self._is_unchanged()
            )
            first_number = last_number - len(rows) + 1
            numbered = [{**row, "number": first_number + index} for index, row in enumerate(rows)]
            inserted = await insert_rows(
                session,
                (tables.Delivery, numbered),
                on_conflict=KEEP_EXISTING,
                returning=("id",),
            )
        ids = {id for [id] in inserted}
        return [tables.Delivery(**row) for row in numbered if row["id"] in ids]

    async def count_new(self) -> int:
        """Returns the number of deliveries that were not attempted yet."""
        table = tables.Delivery
        statement = (
            select(func.count())
            .select_from(table)
            .where(col(table.channel_id) == self.row.id, is_pending(), col(table.attempts) == 0)
        )
        async with self.database.read(self.row.organization_id) as session:
            return (await session.scalars(statement)).one()

    async def load_due(
        self, limit: int, per_key: int
    ) -> tuple[list[tables.Delivery], datetime | None]:
        """Returns the oldest deliveries to attempt now, in order, `per_key` of each order key.

        A delivery is due at its time, unless an earlier one with its order key that is not due
        holds it back. Also returns the next time at which another one can become due; None if
        there is none.
        """
        return await self._load(_DUE, limit=limit, per_key=per_key)

    async def load_probe(self, *, new_first: bool) -> tuple[list[tables.Delivery], datetime | None]:
        """Returns the delivery, if any, that shows whether an outage has ended, as `load_due`.

        No earlier one holds it back, not even one that is due.
        """
        return await self._load(_PROBE_NEW if new_first else _PROBE)

    async def _load(
        self, statement: Select[Any], **values: int
    ) -> tuple[list[tables.Delivery], datetime | None]:
        parameters = {"channel_id": self.row.id, "now": datetime.now(UTC)}
        async with self.database.read(self.row.organization_id) as session:
            rows = list(await session.scalars(statement, parameters | values))
            next_times = (await session.execute(_NEXT_TIMES, parameters)).one()
        return rows, min((time for time in next_times if time is not None), default=None)

    @retry_on_deadlock
    async def record_results(
        self,
        results: Sequence[tuple[tables.Delivery, AttemptResult]],
        limits: ChannelLimits,
        health: ChannelHealth,
    ) -> bool:
        """Stores the results of attempts and the health of the channel. Raises LeaseLostError.

        A receiver that is gone disables the channel. An outage is reported with its beginning, and
        resolved with its end. Returns whether the channel is as it was when the attempts began. If
        not, they say nothing about it, and failed ones are repeated.
        """
        try:
            await self._record(results, limits, health)
        except LeaseLostError:
            await self._record(results, limits, None)
            return False
        return True

    async def _record(
        self,
        results: Sequence[tuple[tables.Delivery, AttemptResult]],
        limits: ChannelLimits,
        health: ChannelHealth | None,
    ) -> None:
        """Stores the results, and the health unless None. Raises LeaseLostError.

        With a health, it also raises if a user has changed the channel.
        """
        now, table = datetime.now(UTC), tables.Channel
        values: dict[str, Any] = {}
        conditions, is_gone, transition = [], False, None
        if health is not None:
            values = {"last_error": health.last_error, "failing_since": health.failing_since}
            conditions = [self._is_unchanged()]
            is_gone = any(result.is_gone for _, result in results)
            transition = health.transition
        if is_gone:
            values |= {"enabled": False, "updated_at": now}
        writes_log = is_gone or transition is not None
        async with self.database.write(self.row.organization_id, writes_log=writes_log) as session:
            await self._update(session, values, col(table.id), *conditions)
            # After the row is locked, as in mutations that end an outage.
            if health is not None and transition is not None:
                report = build_outage_report(self.row, health, is_gone=is_gone)
                await report_on_channel(session, self.row, report)
            rows = [
                _build_result(delivery, result, limits, is_current=health is not None)
                for delivery, result in results
            ]
            if rows:
                await (await session.connection()).execute(_STORE_RESULT, rows)
            if transition is AuditAction.DELIVERIES_RECOVERED:
                await hasten_retries(session, self.row.id, now)
            if health is not None and writes_log:
                await self._append_entries(session, now, health, is_gone=is_gone)

    @retry_on_deadlock
    async def skip_to_head(self, reason: str) -> tuple[LogPosition, LogSnapshot]:
        """Continues at the end of the change log, because it is another one.

        Raises LeaseLostError, also if the channel was changed.
        """
        await self.database.log_horizon.refresh()
        async with self.database.write(self.row.organization_id) as session:
            head, snapshot = await fetch_log_end(session)
            await self._record_gap(session, reason, position_values(head, snapshot))
        return head, snapshot

    @retry_on_deadlock
    async def report_gap(self, reason: str) -> None:
        """Records that entries were pruned before they were delivered.

        Raises LeaseLostError, also if the channel was changed.
        """
        async with self.database.write(self.row.organization_id) as session:
            await self._record_gap(session, reason, {})

    async def rewind(self, time: timedelta) -> tuple[LogPosition, LogSnapshot]:
        """Continues at an earlier time in the change log, but not before the channel was enabled.

        Deliveries that exist are kept. Raises LeaseLostError, also if the channel was changed.
        """
        position = LogPosition(self.row.tx, self.row.seq)
        async with self.database.write(self.row.organization_id, writes_log=False) as session:
            snapshot = await changes.fetch_snapshot(session)
            enabled_at = await self._find_enabling_time(session)
            start = await changes.find_earlier_position(session, position, time, enabled_at)
            values = position_values(start, snapshot)
            await self._update(session, values, col(tables.Channel.id), self._is_unchanged())
        return start, snapshot

    async def _find_enabling_time(self, session: AsyncSession) -> datetime:
        """Returns when the channel was created or last enabled, as the change log has it."""
        table = tables.Change
        enabling = (
            select(col(table.at))
            .where(
                col(table.subject_id) == self.row.id,
                cast(col(table.changes), Text).contains('"enabled"'),
            )
            .order_by(col(table.tx).desc(), col(table.seq).desc())
            .limit(1)
        )
        return (await session.scalars(enabling)).one_or_none() or self.row.created_at

    async def _record_gap(self, session: AsyncSession, reason: str, values: dict[str, Any]) -> None:
        values |= {"has_gap": False, "last_error": reason}
        await self._update(session, values, col(tables.Channel.id), self._is_unchanged())
        await report_on_channel(session, self.row, build_gap_report(self.row, reason))
        entry = self._create_entry(AuditAction.DELIVERIES_SKIPPED, {"reason": reason})
        await changes.append_entries(session, [entry])

    def _is_unchanged(self) -> ColumnElement[bool]:
        """The condition that no user has changed the channel since its row was read."""
        return col(tables.Channel.updated_at) == self.row.updated_at

    async def _update(
        self,
        session: AsyncSession,
        values: dict[str, Any],
        returned: Any,
        *conditions: ColumnElement[bool],
    ) -> Any:
        """Changes the row of the channel, which verifies, locks and extends the lease."""
        extended = {"leased_until": datetime.now(UTC) + LEASE_TIME}
        is_ours = (_CHANNELS.c.id == self.row.id, is_held_by(tables.Channel, self.holder))
        statement = update(_CHANNELS).where(*is_ours, *conditions).values(values | extended)
        row = (await session.execute(statement.returning(returned))).one_or_none()
        if row is None:
            raise LeaseLostError
        return row[0]

    async def _append_entries(
        self, session: AsyncSession, now: datetime, health: ChannelHealth, *, is_gone: bool
    ) -> None:
        entries = []
        if health.transition is not None:
            reason = {"lastError": health.last_error} if health.last_error else {}
            entries.append(self._create_entry(health.transition, reason))
        if is_gone:
            before = collect_values(self.row)
            entry = self._create_entry(AuditAction.UPDATED, {"enabled": False}, before)
            entries.append(entry)
        await changes.append_entries(session, entries)

    def _create_entry(
        self,
        action: AuditAction,
        more_values: dict[str, Any],
        before: dict[str, Any] | None = None,
    ) -> changes.NewEntry:
        return create_entry(
            self.row,
            action,
            f"channel {self.row.name}",
            datetime.now(UTC),
            collect_values(self.row) if before is None else before,
            more_values,
        )


@dataclass(frozen=True)
class ChannelHealth:
    """Whether the deliveries of a channel fail. `transition`: the change that is to be recorded."""

    last_error: str | None
    failing_since: datetime | None
    transition: AuditAction | None = None


def build_outage_report(
    channel: tables.Channel, health: ChannelHealth, *, is_gone: bool
) -> EventDraft:
    """Builds the report of an outage, or of its end: an alert of the channel.

    `is_gone`: whether the receiver has disabled the channel.
    """
    if health.failing_since is None:
        return build_outage_end(channel, "Deliveries succeed again.")
    content = (
        f"{channel.url} receives no messages. The channel shows the error and what is waiting. "
    )
    if is_gone:
        content += "The receiver has responded with status 410, which has disabled the channel."
    else:
        content += (
            "It is delivered as soon as deliveries succeed again, unless the channel is disabled."
        )
    return replace(
        _build_alert(channel),
        severity="error",
        summary=f"Deliveries to the channel {channel.name} fail",
        content=content,
        notification=True,
    )


def build_outage_end(channel: tables.Channel, reason: str) -> EventDraft:
    """Builds the report that resolves the alert of an outage. `reason`: its resolution note."""
    return replace(_build_alert(channel), resolved=True, summary=reason)


def _build_alert(channel: tables.Channel) -> EventDraft:
    return EventDraft(source=find_source(channel), alert_key=f"channel:{channel.id}")


async def hasten_retries(session: AsyncSession, channel_id: UUID, now: datetime) -> None:
    """Ends the pauses of pending deliveries that the receiver has not asked for."""
    table = tables.Delivery
    statement = update(table).where(
        col(table.channel_id) == channel_id,
        is_pending(),
        col(table.next_attempt_at) > now,
    )
    asked = col(table.not_before)
    next_attempt = case((asked > now, asked), else_=literal(now, UTCDateTime()))
    await session.execute(
        statement.values(next_attempt_at=next_attempt).execution_options(synchronize_session=False)
    )


async def end_outage(session: AsyncSession, channel: tables.Channel, reason: str) -> None:
    """Ends the outage of a channel that a user disables or deletes: no delivery would end it."""
    if channel.failing_since is None:
        return
    channel.failing_since = None
    await report_on_channel(session, channel, build_outage_end(channel, reason))


async def report_on_channel(
    session: AsyncSession, channel: tables.Channel, draft: EventDraft
) -> None:
    """Logs an event about a channel."""
    permissions = frozenset({Permission.EVENT_CREATE, Permission.EVENT_UPDATE})
    actor = Caller(f"channel {channel.name}", channel.organization_id, permissions)
    command = CommandContext(actor, datetime.now(UTC))
    await log_own_report(session, command, draft)


def build_gap_report(channel: tables.Channel, reason: str) -> EventDraft:
    return EventDraft(
        source=find_source(channel),
        severity="warning",
        summary=f"The channel {channel.name} has skipped changes",
        content=reason,
        notification=True,
    )


def find_source(channel: tables.Channel) -> str:
    """The source of the events about a channel, which are not delivered to it."""
    return f"/channels/{channel.id}"


def _build_result(
    delivery: tables.Delivery, result: AttemptResult, limits: ChannelLimits, *, is_current: bool
) -> dict[str, Any]:
    """Builds the new values of a delivery.

    What the receiver asks for counts only if it `is_current`: the address may be another one.
    """
    if not is_current:
        result = replace(result, retry_after=None)
    attempts = delivery.attempts + 1
    next_attempt = None
    if result.is_success:
        state = DeliveryState.DELIVERED
    else:
        if not (result.is_gone and is_current):
            next_attempt = find_next_attempt(result, attempts, delivery.expires_at, limits)
        state = DeliveryState.FAILED if next_attempt is None else DeliveryState.PENDING
    not_before = None
    if next_attempt is not None and result.retry_after is not None:
        not_before = min(next_attempt, result.at + result.retry_after)
    hold_until = delivery.hold_until or result.at + timedelta(seconds=limits.hold_seconds)
    return {
        "delivery_id": delivery.id,
        "state": state,
        "attempts": attempts,
        "hold_until": hold_until if state is DeliveryState.PENDING else None,
        "not_before": not_before,
        "last_attempt_at": result.at,
        "next_attempt_at": next_attempt,
        "response_status": result.status,
        "error": result.error,
    }


async def delete_old_deliveries(database: Database, limits: ChannelLimits) -> None:
    """Deletes finished deliveries after their time, in short transactions."""
    table, now = tables.Delivery, datetime.now(UTC)
    for state, days in (
        (DeliveryState.DELIVERED, limits.delivered_days),
        (DeliveryState.FAILED, limits.failed_days),
    ):
        is_old = col(table.last_attempt_at) < now - timedelta(days=days)
        await _delete_deliveries(database, col(table.state) == state, is_old)


async def delete_orphaned_deliveries(database: Database) -> None:
    """Deletes the deliveries of deleted channels, in short transactions."""
    found = select_distinct_values(tables.Delivery, "channel_id")
    is_deleted = found.c.value.is_not(None), found.c.value.not_in(select(_CHANNELS.c.id))
    async with database.read(ALL_ORGANIZATIONS) as session:
        deleted = list(await session.scalars(select(found.c.value).where(*is_deleted)))
    for channel_id in deleted:
        await _delete_deliveries(database, col(tables.Delivery.channel_id) == channel_id)


async def _delete_deliveries(database: Database, *conditions: ColumnElement[bool]) -> None:
    ids = select(col(tables.Delivery.id)).where(*conditions).limit(_DELETED_PER_TRANSACTION)
    while True:
        async with database.read(ALL_ORGANIZATIONS) as session:
            found = list(await session.scalars(ids))
        if found:
            # Not those that became pending again meanwhile.
            statement = delete(tables.Delivery).where(
                col(tables.Delivery.id).in_(found), *conditions
            )
            async with database.write(ALL_ORGANIZATIONS, writes_log=False) as session:
                await session.execute(statement.execution_options(synchronize_session=False))
        if len(found) < _DELETED_PER_TRANSACTION:
            return
