"""Deliveries as users see them: lists, the progress of channels, tests and repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.audit import AuditAction
from app.domain.access.caller import Caller
from app.domain.channels.channels import (
    ChannelTrigger,
    DeliveryState,
    UnreadableTriggerError,
    triggers_from_json,
)
from app.domain.channels.messages import build_message, build_webhook_id
from app.domain.events.filter_json import UnreadableFilterError, filter_from_json
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import (
    Problem,
    UserErrorCode,
    invalid_input,
    not_found,
)
from app.services.channels.channels import ChannelTools, read_secrets
from app.services.channels.deliveries import (
    INTERNAL_ERROR,
    end_outage,
    hasten_retries,
    is_pending,
    move_channel,
)
from app.services.shared.readers import lookup_by_id
from app.services.shared.row_locks import lock_row
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.audit import append_audit_entry, collect_values
from app.store.change_log.changes import LogPosition, LogSnapshot
from app.store.engine.database import Database, retry_on_deadlock
from app.store.reading.event_conditions import build_conditions
from app.store.reading.pages import (
    Page,
    PageRequest,
    build_page,
    decode_page_bounds,
    number_order,
)
from app.store.tables.columns import IsAfter
from app.store.writing.inserts import insert_rows

MAX_REDELIVERIES = 10_000
_NEWEST_FIRST = number_order("delivery", col(tables.Delivery.number), descending=True)
# All but the body, which is large and not returned.
_COLUMNS = [
    getattr(tables.Delivery, name) for name in tables.Delivery.model_fields if name != "body"
]
DELIVERY_BY_ID = lookup_by_id(tables.Delivery)
# Entries of the change log that are examined for what a channel has not read yet.
_MAX_UNREAD_ENTRIES = 1_000


@dataclass(frozen=True)
class DeliveryPageKey:
    """A page of the deliveries of a channel, newest first. `state`: None for all."""

    channel_id: UUID
    state: DeliveryState | None
    page: PageRequest


async def fetch_pages(
    database: Database, caller: Caller, keys: Sequence[DeliveryPageKey]
) -> dict[DeliveryPageKey, Page[tables.Delivery]]:
    """Returns the pages, by one statement. Raises RequestError INVALID_CURSOR."""
    number = col(tables.Delivery.number)
    selects = [
        select(*_COLUMNS)
        .where(*_build_conditions(caller, key))
        .order_by(number.desc())
        .limit(key.page.size + 1)
        .subquery()
        for key in keys
    ]
    # Each page is a subquery with a limit of its own. Keys of one channel may differ in their page.
    numbered = [select(*part.c, literal(index).label("page")) for index, part in enumerate(selects)]
    async with database.read(caller.organization_id) as session:
        rows = (await session.execute(union_all(*numbered))).mappings().all()
    by_page: dict[int, list[tables.Delivery]] = {}
    for row in rows:
        values = dict(row)
        by_page.setdefault(values.pop("page"), []).append(tables.Delivery.from_columns(values))
    return {
        key: build_page(
            sorted(by_page.get(index, ()), key=lambda each: each.number, reverse=True), key.page
        )
        for index, key in enumerate(keys)
    }


def _build_conditions(caller: Caller, key: DeliveryPageKey) -> list[Any]:
    table = tables.Delivery
    conditions = [col(table.channel_id) == key.channel_id]
    if key.state is not None:
        conditions.append(col(table.state) == key.state)
    for bound in decode_page_bounds(_NEWEST_FIRST, key.page, caller.organization_id):
        [number] = bound.key
        is_within = (
            col(table.number) > number if bound.is_lower_bound else col(table.number) < number
        )
        conditions.append(is_within)
    return conditions


def encode_delivery_cursor(row: tables.Delivery) -> str:
    return _NEWEST_FIRST.encode_key_cursor(row.organization_id, (row.number,))


@dataclass(frozen=True)
class ChannelProgress:
    """How far a channel is. `lag`: since the oldest change that was not delivered."""

    cursor: str
    lag: timedelta


async def fetch_progress(
    database: Database, caller: Caller, ids: Sequence[UUID]
) -> dict[UUID, ChannelProgress]:
    """Returns the progress of each channel, by three statements."""
    table = tables.Delivery
    order = (col(table.tx), col(table.seq))
    numbered = (
        select(
            col(table.channel_id),
            *order,
            func.min(col(table.created_at))
            .over(partition_by=col(table.channel_id))
            .label("oldest"),
            func.row_number()
            .over(partition_by=col(table.channel_id), order_by=order)
            .label("number"),
        )
        .where(col(table.channel_id).in_(ids), is_pending(), col(table.seq).is_not(None))
        .subquery()
    )
    async with database.read(caller.organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)
        statement = select(tables.Channel).where(col(tables.Channel.id).in_(ids))
        channels = list(await session.scalars(statement))
        rows = await session.execute(select(numbered).where(numbered.c.number == 1))
        first = {row.channel_id: row for row in rows}
        unread = await _find_unread(session, channels, snapshot)
    now = datetime.now(UTC)
    return {
        channel.id: _build_progress(
            channel, first.get(channel.id), unread.get(channel.id), snapshot, now
        )
        for channel in channels
    }


async def _find_unread(
    session: AsyncSession, channels: Sequence[tables.Channel], snapshot: LogSnapshot
) -> dict[UUID, datetime]:
    """Returns the time of the oldest change that each channel will deliver, but has not read yet.

    If there are too many changes to examine, it is the time of the last one that was examined.
    """
    following = [
        channel
        for channel in channels
        if channel.enabled and snapshot.has_epoch_of(channel.log_identity)
    ]
    if not following:
        return {}
    statements = [_select_unread(channel, number) for number, channel in enumerate(following)]
    rows = await session.execute(union_all(*statements), changes.horizon_parameters(session))
    times = {
        following[number].id: examined_at if first is None and count else first
        for number, first, count, examined_at in rows
    }
    return {channel_id: at for channel_id, at in times.items() if at is not None}


def _select_unread(channel: tables.Channel, number: int) -> Any:
    """Selects the time of the first change that matches, and of the last one if all are examined.

    The filter is evaluated on the current state of the events. A channel that cannot be read
    delivers nothing until it is changed: all changes wait.
    """
    event = tables.Event
    examined = changes.select_event_entries(
        LogPosition(channel.tx, channel.seq), _MAX_UNREAD_ENTRIES
    ).subquery()
    try:
        is_delivered = _build_is_delivered(channel, examined)
    except (UnreadableFilterError, UnreadableTriggerError):
        is_delivered = true()
    is_full = func.count() == _MAX_UNREAD_ENTRIES
    return (
        select(
            literal(number),
            func.min(case((is_delivered, examined.c.at))),
            is_full,
            func.max(examined.c.at),
        )
        .select_from(examined)
        .outerjoin(event, col(event.id) == examined.c.subject_id)
    )


def _build_is_delivered(channel: tables.Channel, examined: Any) -> ColumnElement[bool]:
    """Raises UnreadableFilterError or UnreadableTriggerError."""
    event = tables.Event
    filter = filter_from_json(channel.filter or {})
    rang = col(event.rang_seq).is_not(None)
    matches = and_(true(), *build_conditions(filter, channel.organization_id))
    # What is resolved may match the filter no longer, and never after it was announced.
    is_announced = _build_is_announced(channel, examined)
    matches_trigger = {
        ChannelTrigger.NOTIFICATION_ADDED: and_(
            examined.c.notifies, col(event.id).is_not(None), matches
        ),
        ChannelTrigger.EVENT_CHANGED: matches,
        ChannelTrigger.EVENT_RESOLVED: and_(
            examined.c.kind == changes.RESOLVED, or_(is_announced, and_(rang, matches))
        ),
    }
    return or_(*(matches_trigger[each] for each in triggers_from_json(channel.triggers)))


def _build_is_announced(channel: tables.Channel, examined: Any) -> ColumnElement[bool]:
    """Whether the channel has a notification of the event that was sent or is pending."""
    table = tables.Delivery
    return exists().where(
        col(table.channel_id) == channel.id,
        col(table.event_id) == examined.c.subject_id,
        col(table.trigger) == ChannelTrigger.NOTIFICATION_ADDED,
        col(table.state) != DeliveryState.FAILED,
    )


def _build_progress(
    channel: tables.Channel,
    first_pending: Any,
    unread_since: datetime | None,
    snapshot: LogSnapshot,
    now: datetime,
) -> ChannelProgress:
    position = LogPosition(channel.tx, channel.seq)
    oldest = now if unread_since is None else unread_since
    if first_pending is not None:
        position = min(position, LogPosition(first_pending.tx, first_pending.seq - 1))
        oldest = min(oldest, first_pending.oldest)
    lag = max(now - oldest, timedelta())
    # A position in an earlier change log is of no use in this one: its cursor has expired.
    if channel.log_identity != snapshot.identity:
        snapshot = replace(snapshot, epoch=channel.log_identity, timeline="")
    cursor = changes.encode_log_cursor(channel.organization_id, snapshot, position, complete=True)
    return ChannelProgress(cursor, lag)


@dataclass(frozen=True)
class DeliveryResult:
    """The delivery of a test, or the problems that prevented it."""

    delivery: tables.Delivery | None = None
    problems: tuple[Problem, ...] = ()


async def send_test(
    database: Database, command: CommandContext, tools: ChannelTools, channel_id: UUID
) -> DeliveryResult:
    """Sends a test message, once, and stores the result. A success ends an outage of the channel.

    Raises RequestError UNAVAILABLE without keys, and LIMIT_EXCEEDED if too many tests run.
    """
    keys = tools.require_keys()
    async with database.read(command.actor.organization_id) as session:
        channel = await session.get(tables.Channel, channel_id)
    if channel is None:
        return DeliveryResult(problems=(not_found("channel", channel_id, "id"),))
    secrets = read_secrets(keys, channel)
    delivery_id, trigger, now = uuid7(), ChannelTrigger.TEST, command.now
    webhook_id = build_webhook_id(channel.id, trigger, delivery_id)
    data = {"channel": {"id": str(channel.id), "name": channel.name}}
    row = tables.Delivery(
        id=delivery_id,
        organization_id=channel.organization_id,
        channel_id=channel.id,
        number=0,
        trigger=trigger,
        webhook_id=webhook_id,
        order_key=webhook_id,
        body=build_message(webhook_id, trigger, tools.format_source(channel.id), now, data),
        state=DeliveryState.PENDING,
        attempts=1,
        created_at=now,
        expires_at=now,
    )
    with tools.test_limiter.take():
        async with tools.sender.with_own_connections() as sender:
            result = await tools.send(channel.kind, secrets, [row], sender, is_failing=False)
    row.state = DeliveryState.DELIVERED if result.is_success else DeliveryState.FAILED
    row.last_attempt_at = result.at
    row.response_status = result.status
    row.error = result.error
    is_recovered = (
        result.is_success
        and channel.failing_since is not None
        and channel.last_error != INTERNAL_ERROR
        and _is_readable(channel)
    )
    if not await _store_test(database, command, row, channel if is_recovered else None):
        return DeliveryResult(problems=(not_found("channel", channel_id, "id"),))
    return DeliveryResult(row)


def _is_readable(channel: tables.Channel) -> bool:
    """Whether this version can read the filter and the triggers: without, nothing is delivered."""
    try:
        filter_from_json(channel.filter or {})
        triggers_from_json(channel.triggers)
    except (UnreadableFilterError, UnreadableTriggerError):
        return False
    return True


@retry_on_deadlock
async def _store_test(
    database: Database,
    command: CommandContext,
    row: tables.Delivery,
    recovered: tables.Channel | None,
) -> bool:
    """Returns whether the channel still exists.

    `recovered`: the channel as it was tested, if its outage ends unless it was changed meanwhile.
    """
    async with database.write(row.organization_id, writes_log=recovered is not None) as session:
        channel = await lock_row(session, tables.Channel, row.channel_id)
        if channel is None:
            return False
        channel.last_number += 1
        row.number = channel.last_number
        if (
            recovered is not None
            and channel.enabled
            and channel.failing_since is not None
            and channel.updated_at == recovered.updated_at
        ):
            await _end_outage_by_test(session, command, channel)
        await insert_rows(session, (tables.Delivery, [row.to_columns()]))
    return True


async def _end_outage_by_test(
    session: AsyncSession, command: CommandContext, channel: tables.Channel
) -> None:
    """Ends an outage, which no delivery ends if none waits. What waits is sent now."""
    before = collect_values(channel)
    await end_outage(session, channel, "A test message was delivered.")
    await hasten_retries(session, channel.id, command.now)
    channel.last_error = None
    # The worker of the channel reads the row again.
    channel.updated_at = datetime.now(UTC)
    await append_audit_entry(
        session,
        channel,
        AuditAction.DELIVERIES_RECOVERED,
        command.actor.name,
        command.now,
        before,
        {},
    )


@dataclass(frozen=True)
class RedeliveryResult:
    """The number of deliveries that became pending again, or the problems that prevented it."""

    queued_count: int = 0
    problems: tuple[Problem, ...] = ()


@retry_on_deadlock
async def redeliver(
    database: Database,
    command: CommandContext,
    tools: ChannelTools,
    channel_id: UUID,
    delivery_id: UUID | None,
    after: str | None,
) -> RedeliveryResult:
    """Repeats a delivery, or everything after a cursor of the change log.

    Raises RequestError INVALID_CURSOR or CURSOR_EXPIRED.
    """
    if (delivery_id is None) == (after is None):
        message = "Set exactly one of deliveryId and after."
        return RedeliveryResult(problems=(invalid_input(message, "deliveryId"),))
    await database.log_horizon.refresh()
    async with database.write(command.actor.organization_id, writes_log=False) as session:
        channel = await lock_row(session, tables.Channel, channel_id)
        if channel is None:
            return RedeliveryResult(problems=(not_found("channel", channel_id, "channelId"),))
        if not channel.enabled:
            message = "The channel is disabled, so nothing is delivered. Enable it first."
            problem = Problem(UserErrorCode.CONFLICT, message, ("channelId",))
            return RedeliveryResult(problems=(problem,))
        if delivery_id is not None:
            retry_time = timedelta(seconds=tools.limits.retry_seconds)
            result = await _repeat_delivery(session, channel, delivery_id, command.now, retry_time)
        else:
            result = await _repeat_after(session, channel, after or "")
        if not result.problems:
            # The worker of the channel reads the row again.
            channel.updated_at = command.now
    return result


async def _repeat_delivery(
    session: AsyncSession,
    channel: tables.Channel,
    delivery_id: UUID,
    now: datetime,
    retry_time: timedelta,
) -> RedeliveryResult:
    """Makes a delivery pending again. It is not one of a test, which has no place in the order."""
    table = tables.Delivery
    is_delivery = (col(table.channel_id) == channel.id, col(table.id) == delivery_id)
    trigger = (await session.scalars(select(col(table.trigger)).where(*is_delivery))).one_or_none()
    if trigger is None:
        return RedeliveryResult(problems=(not_found("delivery", delivery_id, "deliveryId"),))
    if trigger is ChannelTrigger.TEST:
        message = "The delivery is a test, which cannot be repeated. Use testChannel."
        return RedeliveryResult(problems=(invalid_input(message, "deliveryId"),))
    values: dict[str, Any] = {
        "state": DeliveryState.PENDING,
        "attempts": 0,
        "expires_at": now + retry_time,
        "hold_until": None,
        "not_before": None,
        "next_attempt_at": now,
    }
    statement = update(table).where(*is_delivery).values(**values)
    await session.execute(statement.execution_options(synchronize_session=False))
    return RedeliveryResult(1)


async def _repeat_after(
    session: AsyncSession, channel: tables.Channel, after: str
) -> RedeliveryResult:
    """Moves the channel back, so that everything becomes a delivery again, in order.

    The deliveries that exist are deleted: the new ones have the same webhook-id.
    """
    snapshot = await changes.fetch_snapshot(session)
    decoded = changes.decode_log_cursor(channel.organization_id, after, snapshot)
    position = snapshot.check_not_pruned(decoded.subscription_position)
    table = tables.Delivery
    is_after = (
        col(table.channel_id) == channel.id,
        IsAfter(col(table.tx), col(table.seq), *changes.position_literals(position)),
    )
    finished = func.count(case((col(table.state) != DeliveryState.PENDING, 1)))
    counts = await session.execute(select(func.count(), finished).where(*is_after))
    all_count, finished_count = counts.one()
    if all_count > MAX_REDELIVERIES:
        message = (
            f"At most {MAX_REDELIVERIES:,} deliveries can be repeated at once; {all_count:,} are "
            "after the cursor. Use a later cursor."
        )
        problem = Problem(UserErrorCode.LIMIT_REACHED, message, ("after",))
        return RedeliveryResult(problems=(problem,))
    statement = delete(table).where(*is_after)
    await session.execute(statement.execution_options(synchronize_session=False))
    if snapshot.has_epoch_of(channel.log_identity):
        position = min(LogPosition(channel.tx, channel.seq), position)
    move_channel(channel, position, snapshot)
    return RedeliveryResult(finished_count)
