"""Finds duplicates in the transaction of a report, under locks on their fingerprints.

Equal reports at the same instant wait for the row of their fingerprint: one is stored, the others
are duplicates of it. Fingerprints, and then original events, are locked in sorted order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    String,
    Uuid,
    delete,
    false,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeEngine
from sqlmodel import col

from app.domain.events.state import EventState
from app.domain.rules.duplicates import (
    OriginalEvent,
    OriginalEvents,
    RuleFingerprint,
)
from app.store import tables
from app.store.engine.database import BY_ID
from app.store.reading.input_rows import build_rows_cte
from app.store.tables.columns import UTCDateTime
from app.store.writing.inserts import insert_rows

MAX_KEYS_PER_STATEMENT = 10_000
MAX_SEARCHES = 10
_KEY_COLUMNS: dict[str, TypeEngine[Any]] = {
    "number": Integer(),
    "rule_id": Uuid(),
    "digest": String(),
    "occurred_at": UTCDateTime(),
}


@dataclass
class DuplicateLookup:
    """Original events by fingerprint, and their rows, for a list of reports."""

    fingerprints: dict[UUID, list[RuleFingerprint]]
    originals: OriginalEvents = field(default_factory=OriginalEvents)
    events: dict[UUID, tables.Event] = field(default_factory=dict)

    def sorted_keys(self) -> list[tuple[UUID, str]]:
        """Returns the keys of all fingerprints, in the order in which they are locked."""
        fingerprints = chain.from_iterable(self.fingerprints.values())
        return sorted({fingerprint.key for fingerprint in fingerprints})


async def look_up_originals(
    session: AsyncSession,
    fingerprints: dict[UUID, list[RuleFingerprint]],
    events: Sequence[EventState],
    *,
    lock: bool,
    other_ids: Collection[UUID] = (),
) -> DuplicateLookup:
    """Finds the original events that the events may be duplicates of.

    `other_ids`: other events that are needed if they are unresolved. `lock` locks the fingerprints
    and the events until the transaction ends.
    """
    lookup = DuplicateLookup(fingerprints)
    keys = lookup.sorted_keys()
    if lock:
        await _lock_fingerprints(session, dict.fromkeys(keys, 0))
    originals: list[tables.FirstEvent] = []
    for _ in range(MAX_SEARCHES):
        originals = await _fetch_nearest_originals(session, lookup.fingerprints, events)
        event_ids = {row.event_id for row in originals}
        lookup.events = await _fetch_unresolved_events(
            session, event_ids.union(other_ids), lock=lock
        )
        # An event was deleted or resolved: search again without it.
        if event_ids <= lookup.events.keys():
            break
    for row in originals:
        if row.event_id not in lookup.events:
            continue
        original = OriginalEvent(row.event_id, row.occurred_at, row.id or 0)
        lookup.originals.originals.setdefault((row.rule_id, row.digest), []).append(original)
    return lookup


async def store_originals(
    session: AsyncSession,
    lookup: DuplicateLookup,
    new_originals: Iterable[tuple[EventState, Sequence[RuleFingerprint]]],
    duplicate_counts: Counter[tuple[UUID, str]],
) -> None:
    """Stores the new originals and the duplicate counts, under the locks that are held.

    Deletes fingerprints that have no original, because another rule handled their event.
    """
    if not any(lookup.fingerprints.values()):
        return
    shared_values = {"organization_id": session.info["scope"]}
    rows = [
        shared_values
        | {
            "rule_id": fingerprint.rule.id,
            "digest": fingerprint.digest,
            "event_id": event.id,
            "occurred_at": event.occurred_at,
            "resolved": False,
        }
        for event, event_fingerprints in new_originals
        for fingerprint in event_fingerprints
    ]
    await insert_rows(session, (tables.FirstEvent, rows))
    if unused_keys := [
        key for key in lookup.sorted_keys() if not lookup.originals.originals.get(key)
    ]:
        table = tables.Fingerprint
        key_rows = build_rows_cte(session, {"rule_id": Uuid(), "digest": String()}, unused_keys)
        is_unused = tuple_(col(table.rule_id), col(table.digest)).in_(select(key_rows))
        await session.execute(
            delete(table).where(is_unused, col(table.caught) == 0),
            execution_options={"synchronize_session": False},
        )
    await _lock_fingerprints(session, duplicate_counts)


async def mark_resolved(
    session: AsyncSession, event_ids: Collection[UUID], *, is_resolved: bool
) -> None:
    """Lets no later event become a duplicate of these events until they are reopened."""
    table = tables.FirstEvent
    statement = update(table).where(col(table.event_id).in_(sorted(event_ids)))
    await session.execute(
        statement.values(resolved=is_resolved),
        execution_options={"synchronize_session": False},
    )


async def _lock_fingerprints(
    session: AsyncSession, added_counts: Mapping[tuple[UUID, str], int]
) -> None:
    """Locks fingerprints until the transaction ends, and adds to their numbers of duplicates.

    Inserts the missing ones. In sorted order, so that transactions acquire the locks in one order.
    """
    rows = [
        {
            "organization_id": session.info["scope"],
            "rule_id": rule_id,
            "digest": digest,
            "caught": count,
        }
        for (rule_id, digest), count in sorted(added_counts.items())
    ]
    name = tables.METADATA.tables["fingerprint"].c.caught.name
    add_count = f"SET {name} = fingerprint.{name} + excluded.{name}"
    await insert_rows(
        session,
        (tables.Fingerprint, rows),
        on_conflict=f"ON CONFLICT (rule_id, digest) DO UPDATE {add_count}",
    )


async def _fetch_nearest_originals(
    session: AsyncSession,
    fingerprints: Mapping[UUID, Sequence[RuleFingerprint]],
    events: Sequence[EventState],
) -> list[tables.FirstEvent]:
    """Returns, per event and fingerprint, the nearest originals before and after the event."""
    keys = [
        (number, fingerprint.rule.id, fingerprint.digest, event.occurred_at)
        for number, (event, fingerprint) in enumerate(
            (event, fingerprint)
            for event in events
            for fingerprint in fingerprints.get(event.id, ())
        )
    ]
    originals: dict[int | None, tables.FirstEvent] = {}
    for start in range(0, len(keys), MAX_KEYS_PER_STATEMENT):
        nearest = or_(
            *_nearest_conditions(
                build_rows_cte(session, _KEY_COLUMNS, keys[start : start + MAX_KEYS_PER_STATEMENT])
            )
        )
        rows = await session.scalars(select(tables.FirstEvent).where(nearest))
        originals |= {row.id: row for row in rows}
    return list(originals.values())


def _nearest_conditions(keys: CTE) -> list[ColumnElement[bool]]:
    table = tables.FirstEvent
    row_id, at = col(table.id), col(table.occurred_at)
    same_key = (
        col(table.rule_id) == keys.c.rule_id,
        col(table.digest) == keys.c.digest,
        col(table.resolved) == false(),
    )
    before = select(row_id).where(*same_key, at <= keys.c.occurred_at).order_by(at.desc(), row_id)
    after = select(row_id).where(*same_key, at >= keys.c.occurred_at).order_by(at, row_id)
    return [
        row_id.in_(select(each.limit(1).correlate(keys).scalar_subquery()).select_from(keys))
        for each in (before, after)
    ]


async def _fetch_unresolved_events(
    session: AsyncSession, ids: set[UUID], *, lock: bool
) -> dict[UUID, tables.Event]:
    if not ids:
        return {}
    table = tables.Event
    unresolved = col(table.id).in_(ids), col(table.resolved_at).is_(None)
    statement = select(table).where(*unresolved).order_by(col(table.id))
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return {row.id: row for row in await session.scalars(statement, execution_options=BY_ID)}
