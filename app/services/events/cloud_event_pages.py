"""FDPlan's query: pages of events by planning tags, time and type, numbered from 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter, TagFilter, TimeRange
from app.domain.events.state import EventState
from app.domain.shared.limits import Limits
from app.domain.shared.problems import bad_input
from app.domain.shared.values import text_problems
from app.store import tables
from app.store.engine.database import Database
from app.store.reading import where

PAGE = 20
EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
_USUAL_SPAN = timedelta(days=10)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Place:
    """Which page, of how many events."""

    size: int
    number: int


@dataclass(frozen=True)
class CloudEventPage:
    events: Sequence[EventState]
    total: int


def wanted_events(
    planning_tags: Sequence[str] | None,
    study_id: str | None,
    begin: datetime | None,
    end: datetime | None,
    type_name: str | None,
    now: datetime,
    limits: Limits,
) -> EventFilter:
    """What the arguments select. RequestError BAD_USER_INPUT names the one that does not fit."""
    tags = None if planning_tags is None else list(planning_tags)
    if tags is not None and len(tags) > limits.filter_values:
        most = f"at most {limits.filter_values}"
        raise bad_input(f"There are {len(tags):,} values; {most}.", "planningTags")
    for index, tag in enumerate(tags or ()):
        _storable(tag, limits, "planningTags", str(index))
    study = None if study_id is None else f"StudyId:{study_id}"
    _storable(study_id, limits, "studyId")
    _storable(type_name, limits, "type")
    return EventFilter(
        types=None if type_name is None else (type_name,),
        occurred_at=_span(begin, end, now),
        tags=None if tags is None else TagFilter(all=tuple(tags)),
        and_=None if study is None else (EventFilter(tags=TagFilter(all=(study,))),),
    )


def wanted_page(size: int | None, number: int | None, limits: Limits) -> Place:
    """RequestError BAD_USER_INPUT for a page that there cannot be."""
    size = PAGE if size is None else size
    number = 0 if number is None else number
    if not 1 <= size <= limits.cloud_events_page:
        raise bad_input(f"pageSize must be from 1 to {limits.cloud_events_page}.", "pageSize")
    if number < 0:
        raise bad_input("pageNumber must be 0 or more.", "pageNumber")
    return Place(size, number)


async def page(
    database: Database, caller: Caller, wanted: EventFilter, place: Place
) -> CloudEventPage:
    """The earliest first, equal times by id. Past the end no events, and how many there are."""
    event = tables.Event
    selected = where.events(wanted, caller.organization_id)
    statement = select(event).where(*selected).order_by(col(event.occurred_at), col(event.id))
    statement = statement.offset(place.size * place.number).limit(place.size)
    async with database.read(caller.organization_id) as session:
        count = select(func.count()).select_from(event).where(*selected)
        total = (await session.scalars(count)).one()
        rows = await session.scalars(statement)
        return CloudEventPage([row.to_domain() for row in rows], total)


def _span(begin: datetime | None, end: datetime | None, now: datetime) -> TimeRange:
    """Both ends inclusive."""
    if begin is not None and begin < EARLIEST:
        raise bad_input("from must be 1980-01-01T00:00:00Z or later.", "from")
    until = now if end is None else end
    latest = min(until, now)
    since = begin or (latest - _USUAL_SPAN if latest - EARLIEST > _USUAL_SPAN else EARLIEST)
    if since >= until:
        wrong = "to" if begin is None else "from"
        raise bad_input("from must be before to, and from 1980 on.", wrong)
    ends = until < datetime.max.replace(tzinfo=UTC)
    return TimeRange(since, until + _INSTANT if ends else None)


def _storable(text: str | None, limits: Limits, *argument: str) -> None:
    for problem in text_problems(text, limits.name, *argument):
        raise bad_input(problem.message, *problem.path)
