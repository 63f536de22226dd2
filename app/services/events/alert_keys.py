"""Alert keys in the transaction of a report: the unresolved event of each, under a lock on the key.

A key identifies a condition of a source. At most one unresolved event has it, because every
transaction that stores or reopens an event of a key holds the lock on its row. Keys are locked in
sorted order, after receipts and before fingerprints.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import CTE, String, delete, exists, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlalchemy.types import TypeEngine
from sqlmodel import col

from app.domain.access.caller import Caller, Permission
from app.domain.events.state import AlertKey, EventDraft
from app.domain.intake.intake import Resolution
from app.services.shared.background_tasks import log_failure, run_in_background
from app.store import tables
from app.store.engine import dialect
from app.store.engine.database import ALL_ORGANIZATIONS, BY_ID, Database
from app.store.reading.event_conditions import Condition
from app.store.reading.input_rows import build_rows_cte
from app.store.writing.inserts import insert_rows

# How long a resolution applies to reports of earlier occurrences that arrive later.
RESOLUTION_LIFETIME = timedelta(hours=24)
# How long a dated report is recognized when it is sent again.
REPORT_LIFETIME = timedelta(days=7)
MAX_REMOVED_ROWS = 500
REMOVAL_INTERVAL_SECONDS = 600.0
_EVERY_CALLER = ""
_KEY_CONFLICT = "ON CONFLICT (organization_id, source, alert_key, resolver) DO UPDATE SET"


class RememberedResolution(NamedTuple):
    """A reported resolution, which applies to reports that arrive later.

    `resolver`: the caller to whose reports alone it applies, empty if it applies to all.
    `resolved_at`: by the clock of the sender, which may be ahead. `used_at`: when it arrived.
    """

    resolver: str
    resolved_at: datetime
    resolved_by: str
    resolution_note: str | None
    used_at: datetime

    @property
    def at(self) -> datetime:
        """When it was over. Not later than the resolution arrived."""
        return min(self.resolved_at, self.used_at)


class ReportedEvent(NamedTuple):
    """The event of a report with a time, and when the report arrived."""

    event_id: UUID
    received_at: datetime


@dataclass
class Alert:
    """What is known about an alert key, while the reports of a batch change it.

    `event_id`: the unresolved event. `reported_events`: the events of the dated reports that those
    of the batch may repeat, by digest; `new_digests` are those that are not stored yet.
    `resolutions`: the latest of each resolver; `new_resolvers` are the resolvers of those that are
    not stored yet.
    """

    event_id: UUID | None = None
    reported_events: dict[str, ReportedEvent] = field(default_factory=dict)
    new_digests: set[str] = field(default_factory=set)
    resolutions: dict[str, RememberedResolution] = field(default_factory=dict)
    new_resolvers: set[str] = field(default_factory=set)

    def remember_report(self, digest: str, event_id: UUID, now: datetime) -> None:
        """Remembers the event of a dated report, which is nothing new when it is sent again."""
        known = self.reported_events.get(digest)
        self.reported_events[digest] = ReportedEvent(event_id, known.received_at if known else now)
        self.new_digests.add(digest)

    def remember(
        self, resolution: Resolution, resolved_at: datetime, caller: Caller, now: datetime
    ) -> bool:
        """Remembers that reports up to a time of their sender are over.

        A resolution without a time of its own applies only to reports of this caller.
        Returns False if this resolution has arrived before, or one that is over later. One that is
        earlier only by a clock that was ahead is new: the clock of its sender may be right.
        """
        is_general = resolution.reported_at is not None and may_resolve_all(caller)
        resolver = _EVERY_CALLER if is_general else caller.reader
        latest = self.resolutions.get(resolver)
        if latest and (resolved_at == latest.resolved_at or resolved_at < latest.at):
            return False
        self.new_resolvers.add(resolver)
        self.resolutions[resolver] = RememberedResolution(
            resolver, resolved_at, caller.name, resolution.note, now
        )
        return True

    def find_resolution(
        self, occurred_at: datetime, caller: Caller, *, of_sender: bool
    ) -> RememberedResolution | None:
        """Returns the latest resolution of what this caller reports to have occurred at a time.

        A resolution of a clock that is ahead applies up to its arrival, so that it hides no alarm
        of a clock that is right. `of_sender` excludes the resolutions of other callers.
        """
        resolvers = (caller.reader,) if of_sender else (_EVERY_CALLER, caller.reader)
        applicable = [
            each
            for resolver in resolvers
            if (each := self.resolutions.get(resolver)) and occurred_at <= each.at
        ]
        return max(applicable, key=lambda each: each.at, default=None)


def may_resolve_all(caller: Caller) -> bool:
    """Whether reports of this caller resolve events that others have reported."""
    return caller.has_any_permission({Permission.EVENT_UPDATE})


async def lock_keys(session: AsyncSession, keys: Collection[AlertKey], now: datetime) -> None:
    """Locks keys until the transaction ends, and inserts the missing ones."""
    rows = [
        _key_values(session, key) | {"resolver": _EVERY_CALLER, "used_at": now}
        for key in sorted(keys)
    ]
    # An update that changes no indexed value: PostgreSQL then leaves the indexes as they are.
    unchanged = "used_at = alert_key.used_at"
    await insert_rows(session, (tables.AlertKey, rows), on_conflict=f"{_KEY_CONFLICT} {unchanged}")


async def load_alerts(
    session: AsyncSession, keys: Collection[AlertKey], now: datetime
) -> dict[AlertKey, Alert]:
    """Returns the unresolved event of each key, and the resolutions that still apply."""
    alerts = {key: Alert() for key in keys}
    for key, event_id in (await find_unresolved_events(session, keys)).items():
        alerts[key].event_id = event_id
    if not keys:
        return alerts
    table = tables.AlertKey
    names = (*AlertKey._fields, *RememberedResolution._fields)
    statement = select(*(col(getattr(table, name)) for name in names)).where(
        _has_key(session, table, keys),
        col(table.resolved_at).is_not(None),
        col(table.used_at) > now - RESOLUTION_LIFETIME,
    )
    rows: Any = await session.execute(statement)
    for source, alert_key, *values in rows:
        resolution = RememberedResolution(*values)
        alerts[AlertKey(source, alert_key)].resolutions[resolution.resolver] = resolution
    return alerts


async def load_reported_events(
    session: AsyncSession, alerts: Mapping[AlertKey, Alert], drafts: Iterable[EventDraft]
) -> None:
    """Loads the events of the dated reports that the drafts may repeat."""
    alerts_by_report: dict[tuple[str, str], Alert] = {}
    for draft in drafts:
        alert = alerts.get(AlertKey(draft.source or "", draft.alert_key or ""))
        if alert is not None and draft.dated_digest is not None:
            alerts_by_report[draft.source or "", draft.dated_digest] = alert
    if not alerts_by_report:
        return
    table = tables.AlertReport
    columns = (col(table.source), col(table.digest))
    key_rows = build_rows_cte(
        session, {"source": String(), "digest": String()}, sorted(alerts_by_report)
    )
    values = (*columns, col(table.event_id), col(table.received_at))
    statement = select(*values).where(tuple_(*columns).in_(select(key_rows)))
    rows: Any = await session.execute(statement)
    for source, digest, *reported in rows:
        alerts_by_report[source, digest].reported_events[digest] = ReportedEvent(*reported)


async def find_unresolved_events(
    session: AsyncSession, keys: Collection[AlertKey]
) -> dict[AlertKey, UUID]:
    """Returns the ID of the unresolved event of each key that has one."""
    if not keys:
        return {}
    event, key_rows = tables.Event, _build_key_rows(session, keys)
    # One for each key: SQLite would read all unresolved events of the sources otherwise.
    unresolved_id = (
        select(col(event.id))
        .where(
            col(event.organization_id) == session.info["scope"],  # for the index
            col(event.source) == key_rows.c.source,
            col(event.alert_key) == key_rows.c.alert_key,
            col(event.alert_key).is_not(None),  # for the partial index
            col(event.resolved_at).is_(None),
        )
        .correlate(key_rows)
        .scalar_subquery()
    )
    columns = (col(event.source), col(event.alert_key), col(event.id))
    statement = select(*columns).where(
        col(event.id).in_(select(unresolved_id).select_from(key_rows))
    )
    rows: Any = await session.execute(statement, execution_options=BY_ID)
    return {AlertKey(source, alert_key): event_id for source, alert_key, event_id in rows}


def has_no_unresolved_event() -> Condition:
    """Selects the events without an alert key, and those whose key has no unresolved event."""
    event, other = tables.Event, aliased(tables.Event)
    return ~exists().where(
        col(other.organization_id) == col(event.organization_id),  # for the index
        col(other.source) == col(event.source),
        col(other.alert_key) == col(event.alert_key),
        col(other.alert_key).is_not(None),  # for the partial index
        col(other.resolved_at).is_(None),
    )


async def lock_unresolved_event(session: AsyncSession, key: AlertKey) -> tables.Event | None:
    """Returns the unresolved event of a key, locked against changes, if there is one."""
    event = tables.Event
    statement = select(event).where(
        col(event.source) == key.source,
        col(event.alert_key) == key.alert_key,
        col(event.resolved_at).is_(None),
    )
    return (await session.scalars(statement.with_for_update())).one_or_none()


async def store_reports(
    session: AsyncSession, alerts: Mapping[AlertKey, Alert], now: datetime
) -> None:
    """Stores the new dated reports and resolutions, under the locks that are held."""
    report_rows = [
        {
            "organization_id": session.info["scope"],
            "source": key.source,
            "digest": digest,
            **alerts[key].reported_events[digest]._asdict(),
        }
        for key in alerts
        for digest in alerts[key].new_digests
    ]
    await insert_rows(
        session,
        (tables.AlertReport, sorted(report_rows, key=itemgetter("source", "digest"))),
        on_conflict="ON CONFLICT (organization_id, source, digest) DO UPDATE SET"
        " event_id = excluded.event_id, received_at = excluded.received_at",
    )
    rows = [
        _key_values(session, key) | alerts[key].resolutions[resolver]._asdict()
        for key in sorted(alerts)
        for resolver in sorted(alerts[key].new_resolvers)
    ]
    assignments = ", ".join(f"{name} = excluded.{name}" for name in RememberedResolution._fields)
    await insert_rows(
        session, (tables.AlertKey, rows), on_conflict=f"{_KEY_CONFLICT} {assignments}"
    )


def _key_values(session: AsyncSession, key: AlertKey) -> dict[str, Any]:
    return {"organization_id": session.info["scope"], **key._asdict()}


def _has_key(session: AsyncSession, table: Any, keys: Collection[AlertKey]) -> Any:
    key_rows = _build_key_rows(session, keys)
    return tuple_(col(table.source), col(table.alert_key)).in_(select(key_rows))


def _build_key_rows(session: AsyncSession, keys: Collection[AlertKey]) -> CTE:
    columns: dict[str, TypeEngine[Any]] = {"source": String(), "alert_key": String()}
    return build_rows_cte(session, columns, sorted(keys))


@contextlib.asynccontextmanager
async def start_removing_unused_keys(database: Database) -> AsyncIterator[None]:
    """Removes unused keys and old reports periodically until the block is left."""
    async with run_in_background(_remove_repeatedly(database), "alert_keys"):
        yield


async def _remove_repeatedly(database: Database) -> None:
    while True:
        for remove in (remove_unused_keys, remove_old_reports):
            try:
                await remove(database, datetime.now(UTC))
            except Exception as error:  # they are removed at the next opportunity
                log_failure("alert_keys_not_removed", error)
        await asyncio.sleep(REMOVAL_INTERVAL_SECONDS)


async def remove_unused_keys(database: Database, now: datetime) -> int:
    """Removes rows whose resolution no longer applies. Returns how many.

    A row is also the lock on its key, which the next report inserts again.
    """
    key = tables.AlertKey
    names = ("organization_id", "source", "alert_key", "resolver")
    return await _remove_rows(database, key, names, col(key.used_at), now - RESOLUTION_LIFETIME)


async def remove_old_reports(database: Database, now: datetime) -> int:
    """Removes the dated reports that arrived REPORT_LIFETIME ago. Returns how many."""
    report = tables.AlertReport
    names = ("organization_id", "source", "digest")
    before = now - REPORT_LIFETIME
    return await _remove_rows(database, report, names, col(report.received_at), before)


async def _remove_rows(
    database: Database, table: Any, names: Collection[str], used_at: Any, before: datetime
) -> int:
    """Removes the rows in transactions of MAX_REMOVED_ROWS, so that no report waits for long."""
    columns = tuple(col(getattr(table, name)) for name in names)
    is_unused = used_at <= before
    unused = select(*columns).where(is_unused).order_by(used_at).limit(MAX_REMOVED_ROWS)
    count = 0
    while True:
        async with database.read(ALL_ORGANIZATIONS) as session:
            keys = [tuple(row) for row in await session.execute(unused)]
        if not keys:
            return count
        async with database.write(ALL_ORGANIZATIONS, writes_log=False) as session:
            key_rows = build_rows_cte(
                session, {name: table.__table__.c[name].type for name in names}, keys
            )
            # Rows that reports have locked are left for the next time: their order is another.
            unlocked = select(*columns).where(tuple_(*columns).in_(select(key_rows)), is_unused)
            unlocked = unlocked.with_for_update(skip_locked=True, of=table)
            removed = await session.scalars(
                delete(table).where(tuple_(*columns).in_(unlocked)).returning(used_at),
                execution_options={"synchronize_session": False},
            )
            removed_count = len(removed.all())
        count += removed_count
        if removed_count < MAX_REMOVED_ROWS:
            return count
        await asyncio.sleep(dialect.pause_for_writers_seconds(database.url))
