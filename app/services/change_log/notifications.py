"""The bell: events that are notifications, in the order in which they rang."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter
from app.domain.intake.intake import Desk
from app.domain.shared.problems import Problem
from app.domain.shared.values import text_problems
from app.services.events.events import locked, not_found
from app.services.events.reports import Report, entry
from app.services.shared.listings import Listing
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.log_snapshot import MOMENT
from app.store.engine.database import Database, repeated_when_undone
from app.store.reading import pages, projection, templates, where
from app.store.reading.projection import Selection
from app.store.reading.templates import Template

BATCH = 500
SHOWN = 100
_RANG = (col(tables.Event.rang_tx), col(tables.Event.rang_seq))
_LAST = tuple(column.desc() for column in _RANG)


@dataclass(frozen=True)
class Bell:
    """A page of notifications, newest first, each beside its cursor."""

    rows: list[tuple[str, tables.Event]]
    has_next: bool
    has_previous: bool


async def page(
    database: Database, caller: Caller, filter: EventFilter, request: pages.PageRequest
) -> Bell:
    """The cursors are places in the log. RequestError INVALID_CURSOR, CURSOR_EXPIRED."""
    organization_id = caller.organization_id
    async with database.read(organization_id) as session:
        moment = await changes.moment(session)
        statement = select(tables.Event).where(_RANG[1].is_not(None), *_rung(filter, caller))
        if request.after is not None:
            after = changes.position_of(organization_id, request.after, moment)
            statement = statement.where(tuple_(*_RANG) < changes.bound(after.place))
        found = list(await session.scalars(statement.order_by(*_LAST).limit(request.size + 1)))
    rows = [
        (changes.cursor_of(organization_id, moment, _place(row), complete=False), row)
        for row in found[: request.size]
    ]
    return Bell(rows, len(found) > request.size, request.after is not None)


@dataclass(frozen=True)
class BellPage:
    filter: EventFilter
    request: pages.PageRequest


async def select_page(
    database: Database, caller: Caller, wanted: BellPage, columns: Selection, counts: Sequence[str]
) -> Listing | None:
    """The page by the columns asked for; None where no row tells whether the cursor is in order.

    RequestError INVALID_CURSOR, CURSOR_EXPIRED.
    """
    own, request = caller.organization_id, wanted.request
    numbers = {name: replace(wanted.filter, **_COUNTED[name]) for name in counts}
    none = {"unacknowledged": 0} if wanted.filter.acknowledged else {}
    found = await projection.page(
        database,
        own,
        columns,
        _rings(wanted.filter, own),
        _BY_PLACE,
        request,
        counts={name: _rings(each, own) for name, each in numbers.items() if name not in none},
        beside=_moment,
    )
    totals = {**found.totals, **none}
    if not found.page.rows:
        return None if request.after else Listing(found.page, totals)
    moment = changes.moment_of(found.beside)
    if request.after is not None:
        changes.position_of(own, request.after, moment)

    def cursor(key: tuple[int, int]) -> str:
        return changes.cursor_of(own, moment, changes.Place(*key), complete=False)

    return Listing(found.page, totals, _BY_PLACE.keys, cursor)


_COUNTED: dict[str, dict[str, Any]] = {"total": {}, "unacknowledged": {"acknowledged": False}}


def _place_in(parts: list[Any]) -> tuple[int, int]:
    _, tx, seq, _ = parts
    if not isinstance(tx, int) or not isinstance(seq, int):
        raise TypeError
    if not (0 <= tx < 2**63 and 0 <= seq < 2**63):
        raise OverflowError  # no database has such a number
    return tx, seq


_BY_PLACE: pages.Order[tables.Event] = pages.Order(
    name="log",
    columns=_RANG,
    descending=True,
    key=lambda row: (row.rang_tx, row.rang_seq),
    plain=list,
    read=_place_in,
)


def _moment() -> list[Any]:
    return [select(each).scalar_subquery() for each in MOMENT]


def _rings(filter: EventFilter, organization_id: UUID) -> Template:
    """As the list puts it: the bell's indexes serve no other."""
    rung = templates.events([replace(filter, notification=True)], organization_id)
    return Template(
        ("rang", rung.shape), rung.values, lambda: [_RANG[1].is_not(None), *rung.conditions()]
    )


async def count(database: Database, caller: Caller, filter: EventFilter) -> int:
    async with database.read(caller.organization_id) as session:
        statement = select(func.count()).select_from(tables.Event)
        # As the list puts it: the bell's indexes serve no other.
        rung = (_RANG[1].is_not(None), *_rung(filter, caller))
        return (await session.scalars(statement.where(*rung))).one()


async def unacknowledged_count(database: Database, caller: Caller, filter: EventFilter) -> int:
    """The number of notifications that the same filter finds with `acknowledged: false`."""
    if filter.acknowledged:
        return 0
    return await count(database, caller, replace(filter, acknowledged=False))


async def acknowledge_event(
    database: Database, desk: Desk, event_id: UUID, note: str | None
) -> Report:
    """Keeps who acknowledged it first, and when; a second time changes nothing."""
    if problems := text_problems(note, desk.limits.note, "note"):
        return Report(problems=tuple(problems))
    return await _mark(database, desk, event_id, "ACKNOWLEDGED", _marks(desk, note))


@dataclass(frozen=True)
class Acknowledged:
    """How many were acknowledged, and the first `SHOWN` of them, the newest first."""

    count: int = 0
    rows: tuple[tables.Event, ...] = ()
    problems: tuple[Problem, ...] = ()


@repeated_when_undone
async def acknowledge_events(
    database: Database, desk: Desk, filter: EventFilter, up_to: str | None, note: str | None
) -> Acknowledged:
    """Acknowledges all unacknowledged notifications that the filter selects, in one transaction.

    With `up_to`, a cursor, what rang later stays, and so does what may have rung later.
    RequestError INVALID_CURSOR, CURSOR_EXPIRED.
    """
    if problems := text_problems(note, desk.limits.note, "note"):
        return Acknowledged(problems=tuple(problems))
    if filter.acknowledged:
        return Acknowledged()
    organization_id = desk.reporter.organization_id
    wanted = [_RANG[1].is_not(None), *_rung(replace(filter, acknowledged=False), desk.reporter)]
    count = 0
    shown: list[tables.Event] = []
    async with database.write(organization_id) as session:
        if up_to is not None:
            moment = await changes.moment(session)
            place = changes.position_of(organization_id, up_to, moment, "upTo").resume
            wanted.append(tuple_(*_RANG) <= changes.bound(place))
        # In order of ids over all batches: whoever locks several events takes them so.
        ids = select(col(tables.Event.id)).where(*wanted).order_by(col(tables.Event.id))
        found = await session.stream_scalars(ids, execution_options={"yield_per": BATCH})
        async for batch in found.partitions():
            rows = await _locked(session, batch, wanted)
            count += len(rows)
            shown = sorted([*shown, *rows], key=_place, reverse=True)[:SHOWN]
            await _mark_all(session, desk, rows, "ACKNOWLEDGED", _marks(desk, note))
    return Acknowledged(count, tuple(shown))


async def _locked(
    session: AsyncSession, ids: Sequence[UUID], wanted: Sequence[where.Condition]
) -> list[tables.Event]:
    """Those that are still wanted."""
    event = tables.Event
    statement = select(event).where(col(event.id).in_(ids), *wanted).order_by(col(event.id))
    return list(await session.scalars(statement.with_for_update()))


async def unacknowledge_event(database: Database, desk: Desk, event_id: UUID) -> Report:
    cleared = dict.fromkeys(("acknowledged_at", "acknowledged_by", "acknowledgement_note"))
    return await _mark(database, desk, event_id, "UNACKNOWLEDGED", cleared)


async def _mark(
    database: Database, desk: Desk, event_id: UUID, kind: str, marks: dict[str, Any]
) -> Report:
    async with database.write(desk.reporter.organization_id) as session:
        row = await locked(session, event_id)
        if row is None:
            return not_found(event_id)
        if (row.acknowledged_at is None) is not (marks["acknowledged_at"] is None):
            await _mark_all(session, desk, [row], kind, marks)
        return Report(row)


async def _mark_all(
    session: AsyncSession,
    desk: Desk,
    rows: Sequence[tables.Event],
    kind: str,
    marks: Mapping[str, Any],
) -> None:
    entries = []
    for row in rows:
        before = row.to_domain()
        after = replace(before, **marks)
        entries.append(entry(desk, kind, after, before))
        row.take(after)
    await changes.append(session, entries)
    await session.flush()


def _marks(desk: Desk, note: str | None) -> dict[str, Any]:
    return {
        "acknowledged_at": desk.now,
        "acknowledged_by": desk.reporter.name,
        "acknowledgement_note": note,
    }


def _rung(filter: EventFilter, caller: Caller) -> list[where.Condition]:
    return where.events(replace(filter, notification=True), caller.organization_id)


def _place(row: tables.Event) -> changes.Place:
    return changes.Place(row.rang_tx or 0, row.rang_seq or 0)
