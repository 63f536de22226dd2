"""Counts events by attributes, custom fields and time, and adds up numbers of custom fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Subquery,
    and_,
    case,
    func,
    literal,
    or_,
    select,
)
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter
from app.domain.events.time_buckets import DAY, MINIMUM_BUCKET, UTC_ZONE, OffsetPeriod, TimeBuckets
from app.domain.shared.limits import Limits
from app.domain.shared.problems import bad_user_input
from app.store import tables
from app.store.engine.database import Database
from app.store.reading import event_conditions
from app.store.tables.columns import EpochSeconds, ExactSum, MonthNumber
from app.store.tables.exact_numbers import join_number


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


# Of a custom field, in the order of `_parse_value`.
_VALUE_COLUMNS = ("truth", "number", "exact", "head", "tail")


@dataclass(frozen=True)
class EventCountRequest:
    """What is counted. `by_fields` and `sum` are names of custom fields."""

    filter: EventFilter
    first: int
    by: Sequence[EventDimension] = ()
    by_fields: Sequence[str] = ()
    sum: Sequence[str] = ()
    buckets: TimeBuckets | None = None


@dataclass(frozen=True)
class EventCountRow:
    """A combination of values, in the order of the dimensions' columns, and its count.

    `fields` and `sums` have an item for each custom field of the request.
    """

    count: int
    occurrences: int
    bucket: datetime | None = None
    values: dict[EventDimension, tuple[Any, ...]] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    sums: dict[str, int | float | None] = field(default_factory=dict)


def check_count_request(request: EventCountRequest, limits: Limits) -> None:
    """Raises RequestError BAD_USER_INPUT naming the argument that is out of range."""
    buckets = request.buckets
    maximum = limits.count_rows if buckets is None else limits.count_rows_over_time
    if not 1 <= request.first <= maximum:
        raise bad_user_input(f"first must be from 1 to {maximum:,}.", "first")
    if buckets is not None:
        _check_buckets(buckets, limits)


def _check_buckets(buckets: TimeBuckets, limits: Limits) -> None:
    every = buckets.every
    is_too_short = (
        every.length < MINIMUM_BUCKET or every.length.microseconds
        if every.months is None
        else every.months < 1
    )
    if is_too_short:
        raise bad_user_input("every must be at least PT1M and a whole number of seconds.", "every")
    start, end = buckets.occurred_at.start, buckets.occurred_at.end
    if start is None or end is None:
        message = "every requires a bounded time range: set from and to in filter.occurredAt."
        raise bad_user_input(message, "filter", "occurredAt")
    max_years = limits.count_years_in_time_zone
    if buckets.zone != UTC_ZONE and end - start > max_years * 366 * DAY:
        message = (
            f"With a timeZone other than UTC, the time range must not exceed {max_years:,} years. "
            "Choose a later from or an earlier to."
        )
        raise bad_user_input(message, "filter", "occurredAt")


async def count_events(
    database: Database, caller: Caller, request: EventCountRequest
) -> list[EventCountRow]:
    """Counts events, largest first; with buckets, earliest bucket first, without empty ones."""
    dimensions, buckets = list(dict.fromkeys(request.by)), request.buckets
    by_fields, summed = list(dict.fromkeys(request.by_fields)), list(dict.fromkeys(request.sum))
    columns = [column for each in dimensions for column in _COLUMNS[each]]
    times = [] if buckets is None else list(_time_columns(buckets))
    conditions = event_conditions.build_conditions(request.filter, caller.organization_id)
    occurrences = col(tables.Event.occurrences)
    events = (
        select(
            col(tables.Event.id).label("id"),
            occurrences.label("occurrences"),
            *(column.label(f"column_{index}") for index, column in enumerate(columns)),
            *(column.label(f"time_{index}") for index, column in enumerate(times)),
        )
        .where(*conditions)
        .subquery()
    )
    grouped: list[Any] = [events.c[f"column_{index}"] for index in range(len(columns))]
    bucket_columns = [] if buckets is None else list(_bucket_columns(buckets, events))
    values = [_select_values(name) for name in by_fields]
    for value in values:
        grouped += [value.c[part] for part in _VALUE_COLUMNS]
    numbers = [_select_numbers(name) for name in summed]
    sums = [ExactSum(each.c.number, each.c.exact) for each in numbers]
    number = func.count().label("number")
    statement = (
        select(number, func.sum(events.c.occurrences), *sums, *bucket_columns, *grouped)
        .select_from(events)
        .group_by(*bucket_columns, *grouped)
        .having(number > 0)  # without dimensions, SQL returns a row with 0 if no event matches
        .order_by(
            *bucket_columns, number.desc(), *(column.asc().nulls_last() for column in grouped)
        )
        .limit(request.first)
    )
    for joined in (*values, *numbers):
        statement = statement.outerjoin(joined, joined.c.event_id == events.c.id)
    async with database.read(caller.organization_id) as session:
        rows = [list(row) for row in await session.execute(statement)]
    return [_parse_row(row, dimensions, by_fields, summed, buckets) for row in rows]


def _select_values(name: str) -> Subquery:
    """The values of a field of events, or of its elements if it is a list."""
    value = tables.EventValue
    columns = [getattr(value, part) for part in _VALUE_COLUMNS]
    # The row of a list or an object itself has no value.
    has_value = or_(*(col(part).is_not(None) for part in (value.number, value.head, value.truth)))
    return (
        select(col(value.event_id), *columns).where(col(value.field) == name, has_value).subquery()
    )


def _select_numbers(name: str) -> Subquery:
    """The numbers of a field of events."""
    value = tables.EventValue
    is_number = and_(col(value.ordinal) == 0, col(value.number).is_not(None))
    return (
        select(col(value.event_id), col(value.number), col(value.exact))
        .where(col(value.field) == name, is_number)
        .subquery()
    )


def _time_columns(buckets: TimeBuckets) -> Iterator[ColumnElement[int]]:
    """The local time in seconds since 1970 and, if needed, the index of its offset period."""
    periods = buckets.offset_periods
    offset = _select_by_period(periods, [period.offset for period in periods])
    yield EpochSeconds(col(tables.Event.occurred_at)) + offset
    if not buckets.whole_days:
        yield _select_by_period(periods, range(len(periods)))


def _select_by_period(periods: Sequence[OffsetPeriod], values: Sequence[int]) -> ColumnElement[int]:
    """The value of the period in which an event occurred: a binary search."""
    if len(periods) == 1:
        return _integer(values[0])
    middle = len(periods) // 2
    return case(
        (
            col(tables.Event.occurred_at) < periods[middle].start,
            _select_by_period(periods[:middle], values[:middle]),
        ),
        else_=_select_by_period(periods[middle:], values[middle:]),
    )


def _bucket_columns(buckets: TimeBuckets, events: FromClause) -> Iterator[ColumnElement[int]]:
    """The arguments of `TimeBuckets.find_start`, in the order in which buckets are sorted."""
    if not buckets.whole_days:
        yield events.c.time_1
    # Neither dividend is negative: databases round towards zero.
    if buckets.months is not None:
        yield _divide(MonthNumber(events.c.time_0), buckets.months)
    else:
        yield _divide(events.c.time_0 + _integer(buckets.origin), buckets.width)


def _divide(number: ColumnElement[int], divisor: int) -> ColumnElement[int]:
    return number.op("/", precedence=8)(_integer(divisor)).label("bucket")


def _integer(number: int) -> ColumnElement[int]:
    return literal(number, BigInteger())


def _parse_row(
    row: list[Any],
    dimensions: Sequence[EventDimension],
    by_fields: Sequence[str],
    summed: Sequence[str],
    buckets: TimeBuckets | None,
) -> EventCountRow:
    values = iter(row)
    count, occurrences = next(values), int(next(values))
    sums = {name: _parse_sum(next(values)) for name in summed}
    bucket = None
    if buckets is not None:
        period = 0 if buckets.whole_days else next(values)
        bucket = buckets.find_start(next(values), period)
    return EventCountRow(
        count,
        occurrences,
        bucket,
        {each: tuple(next(values) for _ in _COLUMNS[each]) for each in dimensions},
        {name: _parse_value(*(next(values) for _ in _VALUE_COLUMNS)) for name in by_fields},
        sums,
    )


def _parse_value(
    truth: bool | None,
    number: float | None,
    exact: str | None,
    head: str | None,
    tail: str | None,
) -> Any:
    if number is not None:
        return join_number(number, exact)
    return truth if head is None else f"{head}{tail}"


def _parse_sum(total: Any) -> int | float | None:
    if total is None:
        return None
    number = Decimal(total)
    return int(number) if number == number.to_integral_value() else float(number)
