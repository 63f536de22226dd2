"""FDPlan's query: pages of events by planning tags, time and type, numbered from 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter, TagFilter, TimeRange
from app.domain.events.state import EventState
from app.domain.shared.limits import Limits
from app.domain.shared.problems import bad_user_input
from app.domain.shared.values import validate_text
from app.services.events.event_queries import (
    EVENT_LIST,
    EventOrderField,
    EventPageRequest,
    event_order,
)
from app.services.shared.readers import TOTAL_COUNT
from app.store.engine.database import Database
from app.store.reading import pages

DEFAULT_PAGE_SIZE = 20
EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
_DEFAULT_TIME_SPAN = timedelta(days=10)
_TIME_RESOLUTION = timedelta(microseconds=1)


@dataclass(frozen=True)
class PageNumber:
    """Size and number of a page."""

    size: int
    number: int


@dataclass(frozen=True)
class CloudEventPage:
    events: Sequence[EventState]
    total: int


def build_filter(
    planning_tags: Sequence[str] | None,
    study_id: str | None,
    begin: datetime | None,
    end: datetime | None,
    type_name: str | None,
    now: datetime,
    limits: Limits,
) -> EventFilter:
    """Builds the filter that the arguments describe.

    Raises RequestError BAD_USER_INPUT, which names the invalid argument.
    """
    tags = None if planning_tags is None else list(planning_tags)
    if tags is not None and len(tags) > limits.filter_values:
        message = f"planningTags has {len(tags):,} values; the maximum is {limits.filter_values:,}."
        raise bad_user_input(message, "planningTags")
    for index, tag in enumerate(tags or ()):
        _check_text(tag, limits, "planningTags", str(index))
    study_tag = None if study_id is None else f"StudyId:{study_id}"
    _check_text(study_id, limits, "studyId")
    _check_text(type_name, limits, "type")
    return EventFilter(
        types=None if type_name is None else (type_name,),
        occurred_at=_parse_time_range(begin, end, now),
        tags=None if tags is None else TagFilter(all=tuple(tags)),
        and_=None if study_tag is None else (EventFilter(tags=TagFilter(all=(study_tag,))),),
    )


def parse_page_number(size: int | None, number: int | None, limits: Limits) -> PageNumber:
    """Raises RequestError BAD_USER_INPUT for a size or number out of range."""
    size = DEFAULT_PAGE_SIZE if size is None else size
    number = 0 if number is None else number
    if not 1 <= size <= limits.cloud_events_page_size:
        raise bad_user_input(
            f"pageSize must be from 1 to {limits.cloud_events_page_size}.", "pageSize"
        )
    if number < 0:
        raise bad_user_input("pageNumber must be 0 or more.", "pageNumber")
    return PageNumber(size, number)


async def fetch_page(
    database: Database, caller: Caller, event_filter: EventFilter, page_number: PageNumber
) -> CloudEventPage:
    """Returns events ordered by time and ID. Past the end: no events, but the correct total."""
    position = pages.PageRequest(page_number.size, offset=page_number.size * page_number.number)
    order = event_order(EventOrderField.OCCURRED_AT, descending=False)
    request = EventPageRequest((event_filter,), order, position)
    page = await EVENT_LIST.fetch_page(database, caller, request, [TOTAL_COUNT])
    return CloudEventPage([row.to_domain() for row in page.rows], page.counts[TOTAL_COUNT])


def _parse_time_range(begin: datetime | None, end: datetime | None, now: datetime) -> TimeRange:
    """Returns the time range between two instants, both inclusive."""
    if begin is not None and begin < EARLIEST:
        raise bad_user_input("from must be 1980-01-01T00:00:00Z or later.", "from")
    until = now if end is None else end
    latest = min(until, now)
    since = begin or (
        latest - _DEFAULT_TIME_SPAN if latest - EARLIEST > _DEFAULT_TIME_SPAN else EARLIEST
    )
    if since >= until:
        argument = "to" if begin is None else "from"
        raise bad_user_input(
            "from must be before to, and to must be after 1980-01-01T00:00:00Z.", argument
        )
    is_bounded = until < datetime.max.replace(tzinfo=UTC)
    return TimeRange(since, until + _TIME_RESOLUTION if is_bounded else None)


def _check_text(text: str | None, limits: Limits, *argument: str) -> None:
    for problem in validate_text(text, limits.name_characters, *argument):
        raise bad_user_input(problem.message, *problem.path)
