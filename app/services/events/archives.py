"""What an archive is made of: an organization's events in the order that they were logged.

The order is the log's, which is commit order: who goes on from a place misses no event that was
committed late, and meets none twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.filters import EventFilter, matches
from app.domain.events.state import EventState
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import Moment, Place
from app.store.engine.database import Database
from app.store.tables.columns import Horizon

PAGE = 500
LOOK_AGAIN_SECONDS = 0.2


@dataclass(frozen=True)
class Course:
    """A way through an organization's log: behind `after`, up to what was there at its begin."""

    organization_id: UUID
    moment: Moment
    after: Place
    until: Place

    def cursor(self, place: Place) -> str:
        return changes.cursor_of(self.organization_id, self.moment, place, complete=True)


@dataclass(frozen=True)
class Page:
    """Events as they are now, and the place behind the last entry that was looked at."""

    events: list[EventState]
    place: Place


@dataclass(frozen=True)
class _Looked:
    page: Page
    full: bool
    complete: bool


async def begin(database: Database, organization_id: UUID, after: str | None) -> Course:
    """RequestError INVALID_CURSOR, CURSOR_EXPIRED."""
    async with database.read(organization_id) as session:
        moment = await changes.moment(session)
        place = changes.START
        if after is not None:
            place = moment.held(changes.position_of(organization_id, after, moment).resume)
        return Course(organization_id, moment, place, max(place, await _last(session)))


async def pages(
    database: Database, course: Course, filter: EventFilter, patience_seconds: float
) -> AsyncGenerator[Page, None]:
    """Each event that the filter selects, once: in bounded pages, some of them empty.

    What was logged while an older transaction is still open is waited for, until patience ends:
    the last page lies at `course.until` only where nothing is missing.
    """
    place, waited = course.after, 0.0
    while place < course.until:
        looked = await _look(database, course, place, filter)
        if looked.page.place > place:
            yield looked.page
        place = looked.page.place
        if not looked.full and not looked.complete:
            if waited >= patience_seconds:
                return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            waited += LOOK_AGAIN_SECONDS


async def _look(database: Database, course: Course, after: Place, filter: EventFilter) -> _Looked:
    """The next entries that tell of new events, beside these as they are now: one statement."""
    change, event = tables.Change, tables.Event
    at = tuple_(col(change.tx), col(change.seq))
    logged = (
        select(col(change.tx), col(change.seq), event)
        .outerjoin(event, col(event.id) == col(change.subject_id))
        .where(
            and_(col(change.subject) == changes.EVENT, col(change.kind) == "LOGGED"),
            and_(at > changes.bound(after), at <= changes.bound(course.until)),
            col(change.tx) < Horizon(),
        )
        .order_by(col(change.tx), col(change.seq))
        .limit(PAGE)
    )
    async with database.read(course.organization_id) as session:
        rows = (await session.execute(logged)).all()
        horizon = (await session.scalars(select(Horizon()))).one()
    states = [row.to_domain() for _, _, row in rows if row is not None]
    full, complete = len(rows) == PAGE, course.until.tx < horizon
    place = Place(rows[-1][0] or 0, rows[-1][1] or 0) if rows else after
    if complete and not full:
        place = course.until
    page = Page([state for state in states if matches(filter, state)], place)
    return _Looked(page, full, complete)


async def _last(session: AsyncSession) -> Place:
    """The organization's last entry, whether or not an older one may still come."""
    change = tables.Change
    places = select(col(change.tx), col(change.seq))
    last = places.order_by(col(change.tx).desc(), col(change.seq).desc()).limit(1)
    row = (await session.execute(last)).one_or_none()
    return changes.START if row is None else Place(row[0] or 0, row[1] or 0)
