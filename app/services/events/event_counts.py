"""Counts events by attributes and over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import func, select
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter
from app.domain.shared.limits import Limits
from app.domain.shared.problems import bad_user_input
from app.store import tables
from app.store.engine.database import Database
from app.store.reading import event_conditions
from app.store.tables.columns import TimeBucket

MINIMUM_BUCKET = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)


class EventDimension(Enum):
    SEVERITY = "SEVERITY"
    TYPE = "TYPE"
    CATEGORY = "CATEGORY"
    ENTITY = "ENTITY"
    SOURCE = "SOURCE"
    OUTCOME = "OUTCOME"
    ACKNOWLEDGED = "ACKNOWLEDGED"


_COLUMNS: dict[EventDimension, tuple[Any, ...]] = {
    EventDimension.SEVERITY: (col(tables.Event.severity),),
    EventDimension.TYPE: (col(tables.Event.type),),
    EventDimension.CATEGORY: (col(tables.Event.category),),
    EventDimension.ENTITY: (col(tables.Event.entity_type), col(tables.Event.entity_id)),
    EventDimension.SOURCE: (col(tables.Event.source),),
    EventDimension.OUTCOME: (col(tables.Event.outcome),),
    EventDimension.ACKNOWLEDGED: (col(tables.Event.acknowledged_at).is_not(None),),
}


@dataclass(frozen=True)
class EventCountRow:
    """A combination of values, in the order of the dimensions' columns, and its count."""

    count: int
    bucket: datetime | None = None
    values: dict[EventDimension, tuple[Any, ...]] = field(default_factory=dict)


def check_count_request(
    filter: EventFilter, every: timedelta | None, first: int, limits: Limits
) -> None:
    """Raises RequestError BAD_USER_INPUT naming the argument that is out of range."""
    maximum = limits.count_rows if every is None else limits.count_rows_over_time
    if not 1 <= first <= maximum:
        raise bad_user_input(f"first must be from 1 to {maximum:,}.", "first")
    if every is None:
        return
    if every < MINIMUM_BUCKET or every.microseconds:
        raise bad_user_input("every must be at least PT1M and a whole number of seconds.", "every")
    span = filter.occurred_at
    if span is None or span.start is None or span.end is None:
        message = "every requires a bounded time range: set from and to in filter.occurredAt."
        raise bad_user_input(message, "filter", "occurredAt")


async def count_by_dimensions(
    database: Database,
    caller: Caller,
    filter: EventFilter,
    by: Sequence[EventDimension],
    every: timedelta | None,
    first: int,
) -> list[EventCountRow]:
    """Counts events, largest first; with `every`, earliest bucket first, without empty ones."""
    dimensions = list(dict.fromkeys(by))
    grouped = [column for each in dimensions for column in _COLUMNS[each]]
    buckets = []
    if every is not None:
        width = int(every.total_seconds())
        buckets = [TimeBucket(col(tables.Event.occurred_at), width).label("bucket")]
    number = func.count().label("number")
    conditions = event_conditions.build_conditions(filter, caller.organization_id)
    statement = (
        select(number, *buckets, *grouped)
        .select_from(tables.Event)
        .where(*conditions)
        .group_by(*buckets, *grouped)
        .having(number > 0)  # without dimensions, SQL returns a row with 0 if no event matches
        .order_by(*buckets, number.desc(), *(column.asc().nulls_last() for column in grouped))
        .limit(first)
    )
    async with database.read(caller.organization_id) as session:
        rows = [list(row) for row in await session.execute(statement)]
    return [_parse_row(row, dimensions, every) for row in rows]


def _parse_row(
    row: list[Any], dimensions: Sequence[EventDimension], every: timedelta | None
) -> EventCountRow:
    number, *rest = row
    bucket = None if every is None else _bucket_start(rest.pop(0), every)
    values = {}
    for each in dimensions:
        width = len(_COLUMNS[each])
        values[each], rest = tuple(rest[:width]), rest[width:]
    return EventCountRow(number, bucket, values)


def _bucket_start(number: int, every: timedelta) -> datetime:
    try:
        return _EPOCH + number * every
    except OverflowError:  # the first bucket begins before the first datetime
        return _FIRST_INSTANT
