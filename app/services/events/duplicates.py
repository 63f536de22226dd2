"""Duplicates, found in the transaction of a report, under the locks of their fingerprints.

Twenty equal reports at one instant queue at the fingerprint's row: one is stored, the others meet
it. Fingerprints, and then the events that were met, are locked in sorted order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    String,
    Uuid,
    bindparam,
    delete,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeEngine
from sqlmodel import col

from app.domain.events.state import EventState
from app.domain.rules.duplicates import Claim, DuplicationRule, First, Ledger
from app.store import tables
from app.store.tables.columns import Instant
from app.store.writing.bulk import hold_rows, insert_rows, rows_of

LOOKED_UP = 10_000
_ASKED: dict[str, TypeEngine[Any]] = {
    "number": Integer(),
    "rule_id": Uuid(),
    "digest": String(),
    "occurred_at": Instant(),
}


@dataclass
class Known:
    """What the fingerprints of a list lead to: firsts, and the events that are theirs."""

    claims: dict[UUID, list[Claim]]
    ledger: Ledger = field(default_factory=Ledger)
    events: dict[UUID, tables.Event] = field(default_factory=dict)


async def rules_in(session: AsyncSession, event_type_ids: Iterable[UUID]) -> list[DuplicationRule]:
    """The enabled rules of these types and of every type, in order of creation."""
    table = tables.DuplicationRule
    mine = or_(
        col(table.event_type_id).is_(None), col(table.event_type_id).in_(list(event_type_ids))
    )
    statement = select(table).where(col(table.enabled), mine).order_by(col(table.id))
    return [row.to_domain() for row in await session.scalars(statement)]


async def look_up(
    session: AsyncSession,
    claims: dict[UUID, list[Claim]],
    events: Sequence[EventState],
    *,
    hold: bool,
) -> Known:
    """Finds what the events may be duplicates of. `hold`: nobody else decides about them now."""
    known = Known(claims)
    keys = sorted({claim.key for claims in known.claims.values() for claim in claims})
    if not keys:
        return known
    if hold:
        owner = {"organization_id": session.info["scope"], "caught": 0}
        rows = [owner | {"rule_id": rule_id, "digest": digest} for rule_id, digest in keys]
        await hold_rows(session, tables.Fingerprint, ("rule_id", "digest"), rows)
    while True:
        firsts = await _firsts(session, known.claims, events)
        known.events = await _events(session, {row.event_id for row in firsts}, hold=hold)
        # One that was deleted since is looked for no more: its firsts went with it.
        if all(row.event_id in known.events for row in firsts):
            break
    for row in firsts:
        first = First(row.event_id, row.occurred_at, row.id or 0)
        known.ledger.firsts.setdefault((row.rule_id, row.digest), []).append(first)
    return known


async def remember(
    session: AsyncSession,
    known: Known,
    firsts: Iterable[tuple[EventState, Sequence[Claim]]],
    caught: Counter[tuple[UUID, str]],
) -> None:
    """Writes the new firsts, and how many duplicates were caught, under the locks that are held.

    Fingerprints of events that another rule caught have met nothing, and are let go.
    """
    if not any(known.claims.values()):
        return
    owner = {"organization_id": session.info["scope"]}
    rows = [
        owner
        | {
            "rule_id": claim.rule.id,
            "digest": claim.digest,
            "event_id": event.id,
            "occurred_at": event.occurred_at,
        }
        for event, claims in firsts
        for claim in claims
    ]
    if rows:
        await insert_rows(session, tables.First, rows)
    held = {claim.key for claims in known.claims.values() for claim in claims}
    prints = tables.METADATA.tables["fingerprint"].c
    table = prints.rule_id.table
    here = (prints.rule_id == bindparam("rule"), prints.digest == bindparam("print"))
    if bare := sorted(key for key in held if not known.ledger.firsts.get(key)):
        none = delete(table).where(*here, prints.caught == 0)
        keys = [{"rule": rule_id, "print": digest} for rule_id, digest in bare]
        await (await session.connection()).execute(none, keys)
    if caught:
        more = update(table).where(*here).values(caught=prints.caught + bindparam("more"))
        counted = [
            {"rule": rule_id, "print": digest, "more": count}
            for (rule_id, digest), count in sorted(caught.items())
        ]
        await (await session.connection()).execute(more, counted)


async def _firsts(
    session: AsyncSession, claims: Mapping[UUID, Sequence[Claim]], events: Sequence[EventState]
) -> list[tables.First]:
    """Of each event and fingerprint the nearest first before it, and the nearest after it."""
    asked = [
        (number, claim.rule.id, claim.digest, event.occurred_at)
        for number, (event, claim) in enumerate(
            (event, claim) for event in events for claim in claims[event.id]
        )
    ]
    found: dict[int | None, tables.First] = {}
    for start in range(0, len(asked), LOOKED_UP):
        nearest = or_(*_nearest(rows_of(session, _ASKED, asked[start : start + LOOKED_UP])))
        rows = await session.scalars(select(tables.First).where(nearest))
        found |= {row.id: row for row in rows}
    return list(found.values())


def _nearest(wanted: CTE) -> list[ColumnElement[bool]]:
    table = tables.First
    row_id, at = col(table.id), col(table.occurred_at)
    same = (col(table.rule_id) == wanted.c.rule_id, col(table.digest) == wanted.c.digest)
    before = select(row_id).where(*same, at <= wanted.c.occurred_at).order_by(at.desc(), row_id)
    after = select(row_id).where(*same, at >= wanted.c.occurred_at).order_by(at, row_id)
    return [
        row_id.in_(select(each.limit(1).correlate(wanted).scalar_subquery()).select_from(wanted))
        for each in (before, after)
    ]


async def _events(session: AsyncSession, ids: set[UUID], *, hold: bool) -> dict[UUID, tables.Event]:
    if not ids:
        return {}
    table = tables.Event
    statement = select(table).where(col(table.id).in_(ids)).order_by(col(table.id))
    if hold:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return {row.id: row for row in await session.scalars(statement)}
