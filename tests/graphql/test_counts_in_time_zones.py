"""Time buckets of `eventCounts` in time zones and calendar units, compared with zoneinfo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.domain.shared.limits import Limits
from app.domain.shared.values import format_instant
from tests.client import Client

COUNTS = """
query ($every: Duration, $timeZone: String, $filter: EventFilter) {
  eventCounts(every: $every, timeZone: $timeZone, filter: $filter, first: 10000) { bucket count }
}
"""
LOG_EVENTS = "mutation ($input: [LogEventInput!]!) { logEvents(input: $input) { accepted } }"
STEP, HOUR, DAY = timedelta(seconds=30), timedelta(hours=1), timedelta(days=1)
EPOCH, FIRST_MONDAY = (datetime(1970, 1, day) for day in (1, 5))  # noqa: DTZ001 - local time
# Years with changes: at midnight, by half an hour, across a day, of several weeks, or of none.
ZONES = {
    "UTC": 2026,
    "Europe/Berlin": 2026,
    "America/Chicago": 2026,
    "America/St_Johns": 2010,
    "America/Sao_Paulo": 2017,
    "America/Havana": 2025,
    "Africa/Cairo": 2024,
    "Africa/Casablanca": 2025,
    "Asia/Kolkata": 2026,
    "Australia/Lord_Howe": 2025,
    "Pacific/Apia": 2011,
    "Africa/Monrovia": 1972,  # by 44 min 30 s
}
LENGTHS = {
    "PT1M": timedelta(minutes=1),
    "PT45M": timedelta(minutes=45),
    "PT1H": timedelta(hours=1),
    "PT6H": timedelta(hours=6),
    "PT36H": timedelta(hours=36),
    "P1D": DAY,
    "P2D": 2 * DAY,
    "P1W": 7 * DAY,
    "P28D": 28 * DAY,
}
MONTHS = {"P1M": 1, "P3M": 3, "P7M": 7, "P1Y": 12, "P10Y": 120}


def local_time(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def has_change(start: datetime, end: datetime, zone: ZoneInfo) -> bool:
    return start.astimezone(zone).utcoffset() != end.astimezone(zone).utcoffset()


@cache
def first_instant_of(local: datetime, zone: ZoneInfo) -> datetime:
    """The first instant whose local time is not before `local`, found by trying all of them."""
    instant = local.replace(tzinfo=UTC) - 27 * HOUR
    while local_time(instant, zone) < local:
        instant += STEP
    return instant


def expected_start(instant: datetime, every: str, zone: ZoneInfo) -> datetime:
    local = local_time(instant, zone)
    if (months := MONTHS.get(every)) is not None:
        number = (local.year * 12 + local.month - 1) // months * months
        month = datetime(number // 12, number % 12 + 1, 1)  # noqa: DTZ001 - local time
        return first_instant_of(month, zone)
    length = LENGTHS[every]
    origin = FIRST_MONDAY if not length % (7 * DAY) else EPOCH
    start = origin + (local - origin) // length * length
    if not length % DAY:
        return first_instant_of(start, zone)
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    begin = (start - offset).replace(tzinfo=UTC)
    while has_change(begin, instant, zone):  # the bucket begins at the change
        begin += STEP
    return begin


def changes_of(zone: ZoneInfo, year: int) -> Iterator[datetime]:
    hour = datetime(year, 1, 1, tzinfo=UTC)
    while hour.year == year:
        if has_change(hour, hour + HOUR, zone):
            change = hour
            while has_change(change, hour + HOUR, zone):
                change += STEP
            yield change
        hour += HOUR


def sample_instants() -> set[datetime]:
    """Instants around the changes of each zone and around its months, to the microsecond."""
    random = Random(11)
    instants = set()
    for name, year in ZONES.items():
        for change in changes_of(ZoneInfo(name), year):
            instants |= {change, change - timedelta(microseconds=1)}
            instants |= {
                change + timedelta(seconds=random.randint(-100_000, 100_000)) for _ in range(12)
            }
        local = datetime(year, random.randint(1, 12), 1, tzinfo=ZoneInfo(name))
        instants |= {local.astimezone(UTC), local.astimezone(UTC) - timedelta(microseconds=1)}
    return instants | {datetime(2026, 1, random.randint(1, 31), tzinfo=UTC) for _ in range(5)}


async def log_at(client: Client, instants: set[datetime]) -> None:
    reports = [{"occurredAt": format_instant(each)} for each in sorted(instants)]
    for index in range(0, len(reports), 500):
        batch = reports[index : index + 500]
        answer = await client.execute_field(LOG_EVENTS, input=batch)
        assert answer["accepted"] == len(batch)


def between(start: str, end: str) -> dict[str, Any]:
    return {"occurredAt": {"from": f"{start}T00:00:00Z", "to": f"{end}T00:00:00Z"}}


async def count_buckets(
    client: Client, every: str, zone: str | None, filter: dict[str, Any]
) -> list[tuple[str, int]]:
    variables = {"every": every, "timeZone": zone, "filter": filter}
    rows = await client.execute_field(COUNTS, **variables)
    return [(row["bucket"].removesuffix(":00.000000Z"), row["count"]) for row in rows]


async def test_buckets_agree_with_zoneinfo(client: Client) -> None:
    instants = sample_instants()
    await log_at(client, instants)
    assert len(instants) > 250

    for name, year in ZONES.items():
        zone = ZoneInfo(name)
        near = {each for each in instants if abs(each.year - year) < 2}
        filter = between(f"{year - 1}-01-01", f"{year + 2}-01-01")
        for every in (*LENGTHS, *MONTHS):
            starts = Counter(expected_start(each, every, zone) for each in near)
            expected = [
                (format_instant(start).removesuffix(":00.000000Z"), count)
                for start, count in sorted(starts.items())
            ]
            assert await count_buckets(client, every, name, filter) == expected, (name, every)


async def test_a_day_with_a_clock_change_has_23_or_25_hours(client: Client) -> None:
    year_2026 = {datetime(2026, 1, 1, tzinfo=UTC) + n * timedelta(hours=1) for n in range(8_760)}
    spring = {each for each in year_2026 if (each.month, each.day) in ((3, 28), (3, 29), (3, 30))}
    autumn = {each for each in year_2026 if (each.month, each.day) in ((10, 24), (10, 25))}
    await log_at(client, spring | autumn)

    days = await count_buckets(client, "P1D", "Europe/Berlin", between("2026-03-28", "2026-10-27"))

    assert days == [
        ("2026-03-27T23:00", 23),  # from midnight UTC on
        ("2026-03-28T23:00", 23),
        ("2026-03-29T22:00", 24),
        ("2026-03-30T22:00", 2),
        ("2026-10-23T22:00", 22),
        ("2026-10-24T22:00", 25),
        ("2026-10-25T23:00", 1),
    ]


async def test_the_first_and_last_years_have_buckets(client: Client) -> None:
    await log_at(client, {datetime(1, 1, 1, tzinfo=UTC), datetime(1, 12, 31, 23, tzinfo=UTC)})
    first_years = between("0001-01-01", "0101-01-01")
    all_years = {"occurredAt": {"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}}

    assert await count_buckets(client, "P1Y", "UTC", all_years) == [("0001-01-01T00:00", 2)]
    # Local time was 4 h 56 min 2 s behind: the first event was in the year 1 BC.
    assert await count_buckets(client, "P100Y", "America/New_York", first_years) == [
        ("0001-01-01T00:00", 2)
    ]
    assert await count_buckets(client, "P1M", "America/New_York", first_years) == [
        ("0001-01-01T04:56:02.000000Z", 1),
        ("0001-12-01T04:56:02.000000Z", 1),
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("Europe/Berlim", "europe/berlin", "", "+02:00", "../UTC", "CET\0"),
        *("localtime", "posixrules", "Factory", "posix/UTC", "right/UTC", "zone.tab"),
    ],
)
async def test_an_unknown_time_zone_is_an_error_also_without_buckets(
    client: Client, name: str
) -> None:
    error = await client.expect_error(COUNTS, timeZone=name)

    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": ["timeZone"]}
    assert error["message"] == (
        f"Unknown time zone {name!r}. Use a name of the IANA time zone database, such as "
        "'Europe/Berlin'."
    )


async def test_null_is_utc(client: Client) -> None:
    await log_at(client, {datetime(2026, 4, 10, 23, 30, tzinfo=UTC)})
    filter = between("2026-04-01", "2026-05-01")

    assert await count_buckets(client, "P1D", None, filter) == [("2026-04-10T00:00", 1)]
    assert await count_buckets(client, "P1D", "Asia/Tokyo", filter) == [("2026-04-10T15:00", 1)]


async def test_the_length_of_the_range_is_limited_in_a_time_zone(client: Client) -> None:
    years = Limits().count_years_in_time_zone
    start = datetime(1800, 1, 1, tzinfo=UTC)
    longest = start + years * 366 * DAY

    def until(end: datetime) -> dict[str, Any]:
        return {"occurredAt": {"from": format_instant(start), "to": format_instant(end)}}

    assert await count_buckets(client, "P1D", "Europe/Berlin", until(longest)) == []
    too_long = until(longest + timedelta(microseconds=1))
    error = await client.expect_error(
        COUNTS, every="P1D", timeZone="Europe/Berlin", filter=too_long
    )

    assert error["extensions"]["path"] == ["filter", "occurredAt"]
    assert error["message"] == (
        "With a timeZone other than UTC, the time range must not exceed 200 years. Choose a later "
        "from or an earlier to."
    )
