"""Time buckets of event counts, in the local time of a time zone.

Whole days, weeks, months and years begin at local midnight, or at the first instant of a day that
has no midnight. Weeks begin on Monday. Other lengths are counted from 1970-01-01T00:00 local time;
a change of the UTC offset ends the bucket in which it occurs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from zoneinfo import ZoneInfo, available_timezones

from app.domain.events.filters import TimeRange
from app.domain.shared.durations import Duration

UTC_ZONE = ZoneInfo("UTC")
MINIMUM_BUCKET = timedelta(minutes=1)
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)
_FIRST_MONDAY = datetime(1970, 1, 5)  # noqa: DTZ001 - local time
# In tzdata 2026, no time zone changes its offset twice within six days.
_PROBE_INTERVAL = timedelta(days=3)
_SECOND = timedelta(seconds=1)
# Local times can be outside the range of datetimes.
_EARLIEST, _LATEST = FIRST_INSTANT + 2 * DAY, datetime.max.replace(tzinfo=UTC) - 2 * DAY


@dataclass(frozen=True)
class OffsetPeriod:
    """A period in which a time zone has the same UTC offset, in seconds."""

    start: datetime
    offset: int


@dataclass(frozen=True)
class TimeBuckets:
    """The buckets of a duration in a time zone, for times in `occurred_at`."""

    every: Duration
    zone: ZoneInfo
    occurred_at: TimeRange

    @property
    def months(self) -> int | None:
        return self.every.months

    @property
    def width(self) -> int:
        """Width in seconds of buckets that are not months."""
        return self.every.length // _SECOND

    @property
    def whole_days(self) -> bool:
        return self.months is not None or not self.every.length % DAY

    @property
    def origin(self) -> int:
        """Start of the first bucket, in seconds before 1970 in local time. No event is earlier."""
        anchor = (_FIRST_MONDAY - EPOCH.replace(tzinfo=None)) // _SECOND
        aligned = 0 if self.every.length % WEEK else anchor
        earliest = (EPOCH - FIRST_INSTANT + DAY) // _SECOND
        return -aligned - (-earliest - aligned) // self.width * self.width

    @cached_property
    def offset_periods(self) -> tuple[OffsetPeriod, ...]:
        """Periods that cover the times and the bucket of the earliest one."""
        if self.zone == UTC_ZONE:
            return (OffsetPeriod(FIRST_INSTANT, 0),)
        start, end = self.occurred_at.start or FIRST_INSTANT, self.occurred_at.end or _LATEST
        if not self.whole_days:
            start -= min(self.every.length, start - FIRST_INSTANT)
        return tuple(_find_offset_periods(self.zone, start, end))

    def find_start(self, number: int, period: int) -> datetime:
        """Returns the start of a bucket.

        `number`: the months from the year 0, or the seconds from `origin`, divided by the width.
        `period`: index of the bucket's offset period; it determines the start of a bucket that is
        not of whole days.
        """
        try:
            local = self._find_local_start(number)
            if self.whole_days:
                return _first_instant_of(self.zone, local)
            offset_period = self.offset_periods[period]
            start = (local - timedelta(seconds=offset_period.offset)).replace(tzinfo=UTC)
            return max(start, offset_period.start)
        except (OverflowError, ValueError):  # the first bucket begins before the first datetime
            return FIRST_INSTANT

    def _find_local_start(self, number: int) -> datetime:
        if self.months is not None:
            year, month = divmod(number * self.months, 12)
            return datetime(year, month + 1, 1)  # noqa: DTZ001 - local time
        return EPOCH.replace(tzinfo=None) + timedelta(seconds=number * self.width - self.origin)


# Files of operating systems beside the time zones, and a time zone that has no time.
_NOT_ZONES = frozenset(("localtime", "posixrules", "Factory"))


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones() - _NOT_ZONES)


def find_time_zone(name: str) -> ZoneInfo | None:
    """Returns the time zone with an IANA name. None for any other text."""
    return ZoneInfo(name) if name in _zone_names() else None


def _first_instant_of(zone: ZoneInfo, local: datetime) -> datetime:
    """Returns the first instant at which the local time is not before `local`."""
    instant = local.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    # Clocks were set forward past this time.
    return _find_change(zone, local.replace(tzinfo=zone, fold=1).astimezone(UTC), instant)


def _find_offset_periods(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[OffsetPeriod]:
    offset = _offset_at(zone, start)
    yield OffsetPeriod(FIRST_INSTANT, offset)
    while start < end:
        probed = start + min(_PROBE_INTERVAL, end - start)
        if (new_offset := _offset_at(zone, probed)) != offset:
            yield OffsetPeriod(_find_change(zone, start, probed), new_offset)
        start, offset = probed, new_offset


def _find_change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Returns the second from which on the offset is that of `after`."""
    offset = _offset_at(zone, before)
    seconds, end = (before - EPOCH) // _SECOND, -((EPOCH - after) // _SECOND)
    while end - seconds > 1:
        middle = (seconds + end) // 2
        if _offset_at(zone, EPOCH + middle * _SECOND) == offset:
            seconds = middle
        else:
            end = middle
    return EPOCH + end * _SECOND


def _offset_at(zone: ZoneInfo, instant: datetime) -> int:
    offset = min(max(instant, _EARLIEST), _LATEST).astimezone(zone).utcoffset()
    return 0 if offset is None else offset // _SECOND
