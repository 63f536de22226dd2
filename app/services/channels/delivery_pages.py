"""Deliveries as users see them: lists, the progress of channels, tests and repetitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, literal, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.caller import Caller
from app.domain.channels.channels import ChannelTrigger, DeliveryState
from app.domain.channels.messages import build_message, build_webhook_id, sign_message
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import (
    Problem,
    UserErrorCode,
    invalid_input,
    not_found,
)
from app.services.channels.channels import ChannelTools, read_secrets
from app.services.channels.deliveries import is_pending
from app.services.shared.row_locks import lock_row
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import LogPosition, LogSnapshot
from app.store.engine.database import Database, retry_on_deadlock
from app.store.reading.pages import (
    Page,
    PageRequest,
    build_page,
    decode_cursor,
    encode_cursor,
    invalid_cursor_error,
)
from app.store.tables.columns import IsAfter
from app.store.writing.inserts import insert_rows

MAX_REDELIVERIES = 10_000
_CURSOR = "delivery"
_TABLE = tables.METADATA.tables["delivery"]
# All but the body, which is large and not returned.
_COLUMNS = [column for column in _TABLE.c if column.name != "body"]
_MAX_NUMBER = 2**63 - 1


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
    selects = [
        select(*_COLUMNS)
        .where(*_build_conditions(caller, key))
        .order_by(_TABLE.c.number.desc())
        .limit(key.page.size + 1)
        .subquery()
        for key in keys
    ]
    # Each page is a subquery with a limit of its own. Keys of one channel may differ in their page.
    numbered = [
        select(*part.c, literal(number).label("page")) for number, part in enumerate(selects)
    ]
    async with database.read(caller.organization_id) as session:
        rows = (await session.execute(union_all(*numbered))).mappings().all()
    by_page: dict[int, list[tables.Delivery]] = {}
    for row in rows:
        values = dict(row)
        by_page.setdefault(values.pop("page"), []).append(tables.Delivery.from_columns(values))
    return {
        key: build_page(
            sorted(by_page.get(number, ()), key=lambda each: each.number, reverse=True), key.page
        )
        for number, key in enumerate(keys)
    }


def _build_conditions(caller: Caller, key: DeliveryPageKey) -> list[Any]:
    conditions: list[Any] = [
        _TABLE.c.organization_id == caller.organization_id,
        _TABLE.c.channel_id == key.channel_id,
    ]
    if key.state is not None:
        conditions.append(_TABLE.c.state == key.state)
    if (after := key.page.after) is not None:
        parts = decode_cursor(caller.organization_id, _CURSOR, after, "after")
        match parts:
            case [int() as number] if 0 <= number <= _MAX_NUMBER:
                conditions.append(_TABLE.c.number < number)
            case _:
                raise invalid_cursor_error("after")
    return conditions


async def fetch_delivery(
    database: Database, caller: Caller, delivery_id: UUID
) -> tables.Delivery | None:
    """Returns the delivery with this ID. None if there is none in the organization."""
    statement = select(*_COLUMNS).where(
        _TABLE.c.id == delivery_id, _TABLE.c.organization_id == caller.organization_id
    )
    async with database.read(caller.organization_id) as session:
        row = (await session.execute(statement)).mappings().one_or_none()
    return None if row is None else tables.Delivery.from_columns(dict(row))


def encode_delivery_cursor(row: tables.Delivery) -> str:
    return encode_cursor(row.organization_id, _CURSOR, row.number)


@dataclass(frozen=True)
class ChannelProgress:
    """How far a channel is. `lag`: since the oldest change that was not delivered."""

    cursor: str
    lag: timedelta


async def fetch_progress(
    database: Database, caller: Caller, ids: Sequence[UUID]
) -> dict[UUID, ChannelProgress]:
    """Returns the progress of each channel."""
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
        .where(col(table.channel_id).in_(ids), is_pending())
        .subquery()
    )
    async with database.read(caller.organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)
        channels = await session.scalars(
            select(tables.Channel).where(col(tables.Channel.id).in_(ids))
        )
        rows = await session.execute(select(numbered).where(numbered.c.number == 1))
        first = {row.channel_id: row for row in rows}
    now = datetime.now(UTC)
    return {
        channel.id: _build_progress(channel, first.get(channel.id), snapshot, now)
        for channel in channels
    }


def _build_progress(
    channel: tables.Channel, first_pending: Any, snapshot: LogSnapshot, now: datetime
) -> ChannelProgress:
    position, lag = LogPosition(channel.tx, channel.seq), timedelta()
    if first_pending is not None:
        before = LogPosition(first_pending.tx, first_pending.seq - 1)
        position, lag = min(position, before), max(now - first_pending.oldest, timedelta())
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
    """Sends a test message, once, and stores the result.

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
    source = f"{(tools.public_url or '').rstrip('/')}/channels/{channel.id}"
    data = {"channel": {"id": str(channel.id), "name": channel.name}}
    body = build_message(webhook_id, trigger, source, now, data)
    signature = sign_message(secrets.signing_secrets(now), webhook_id, now, body)
    with tools.test_limiter.take():
        result = await tools.sender.send(secrets.url, secrets.headers | signature, body)
    state = DeliveryState.DELIVERED if result.is_success else DeliveryState.FAILED
    row = tables.Delivery(
        id=delivery_id,
        organization_id=channel.organization_id,
        channel_id=channel.id,
        number=0,
        trigger=trigger,
        webhook_id=webhook_id,
        order_key=webhook_id,
        body=body,
        state=state,
        attempts=1,
        created_at=now,
        expires_at=now,
        last_attempt_at=result.at,
        response_status=result.status,
        error=result.error,
    )
    if not await _store_test(database, row):
        return DeliveryResult(problems=(not_found("channel", channel_id, "id"),))
    return DeliveryResult(row)


@retry_on_deadlock
async def _store_test(database: Database, row: tables.Delivery) -> bool:
    """Returns whether the channel still exists."""
    table = tables.Channel
    next_number = (
        update(table)
        .where(col(table.id) == row.channel_id)
        .values(last_number=table.last_number + 1)
        .returning(col(table.last_number))
        .execution_options(synchronize_session=False)
    )
    async with database.write(row.organization_id, writes_log=False) as session:
        number = (await session.scalars(next_number)).one_or_none()
        if number is None:
            return False
        row.number = number
        await insert_rows(session, (tables.Delivery, [row.to_columns()]))
    return True


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
    """Makes a delivery, or everything after a cursor of the change log, pending again.

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
        table = tables.Delivery
        conditions: list[Any] = [col(table.channel_id) == channel.id]
        if delivery_id is not None:
            conditions.append(col(table.id) == delivery_id)
            if not await _count(session, conditions):
                problem = not_found("delivery", delivery_id, "deliveryId")
                return RedeliveryResult(problems=(problem,))
        else:
            snapshot = await changes.fetch_snapshot(session)
            decoded = changes.decode_log_cursor(channel.organization_id, after or "", snapshot)
            position = snapshot.check_not_pruned(decoded.subscription_position)
            is_after = IsAfter(col(table.tx), col(table.seq), *changes.position_literals(position))
            conditions += [col(table.state) != DeliveryState.PENDING, is_after]
            if (count := await _count(session, conditions)) > MAX_REDELIVERIES:
                message = (
                    f"At most {MAX_REDELIVERIES:,} deliveries can be repeated at once; {count:,} "
                    "are after the cursor. Use a later cursor."
                )
                problem = Problem(UserErrorCode.LIMIT_REACHED, message, ("after",))
                return RedeliveryResult(problems=(problem,))
            # What has no delivery becomes one.
            channel.tx, channel.seq = min(LogPosition(channel.tx, channel.seq), position)
        queued = await _queue(session, command.now, tools, conditions)
        # The worker of the channel reads the row again.
        channel.updated_at = command.now
    return RedeliveryResult(queued)


async def _count(session: AsyncSession, conditions: Sequence[Any]) -> int:
    statement = select(func.count()).select_from(tables.Delivery).where(*conditions)
    return (await session.scalars(statement)).one()


async def _queue(
    session: AsyncSession, now: datetime, tools: ChannelTools, conditions: Sequence[Any]
) -> int:
    values: Mapping[str, Any] = {
        "state": DeliveryState.PENDING,
        "attempts": 0,
        "expires_at": now + timedelta(seconds=tools.limits.retry_seconds),
        "hold_until": None,
        "next_attempt_at": now,
    }
    statement = update(tables.Delivery).where(*conditions).values(**values)
    result: Any = await session.execute(statement.execution_options(synchronize_session=False))
    return int(result.rowcount)
