"""Receipts: by the producer's own id, a replay is known and answered with the first event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import String, bindparam, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.intake.intake import Accepted, Desk, Draft, Verdict
from app.domain.shared.values import name_problems
from app.store import tables
from app.store.writing.bulk import insert_rows, rows_of

Key = tuple[str, str]


@dataclass(frozen=True)
class Receipt:
    digest: str | None
    event_id: UUID


def key_of(draft: Draft, desk: Desk) -> Key | None:
    """The replay key of a draft: its source and the producer's own id."""
    if draft.source_id is None:
        return None
    source = draft.source if draft.source is not None else desk.reporter.source
    limit = desk.limits.name
    if name_problems(source, limit) or name_problems(draft.source_id, limit):
        return None
    return source, draft.source_id


async def kept(session: AsyncSession, keys: set[Key]) -> dict[Key, Receipt]:
    if not keys:
        return {}
    table = tables.Receipt
    asked = rows_of(session, {"source": String(), "source_id": String()}, sorted(keys))
    key = (col(table.source), col(table.source_id))
    told = select(*key, col(table.digest), col(table.event_id))
    # Not a join: SQLite would walk through all receipts, and through the list for each.
    found = await session.execute(told.where(tuple_(*key).in_(select(asked))))
    return {
        (source, source_id): Receipt(digest, event_id)
        for source, source_id, digest, event_id in found
    }


def claims_of(calls: Iterable[tuple[Draft, Key | None, Verdict]]) -> dict[Key, Receipt]:
    """The receipts that this list would leave: of one key, the first accepted draft's."""
    claims: dict[Key, Receipt] = {}
    for draft, key, verdict in calls:
        if key is not None and isinstance(verdict, Accepted):
            claims.setdefault(key, Receipt(draft.digest(), verdict.event.id))
    return claims


async def claim(session: AsyncSession, claims: dict[Key, Receipt]) -> dict[Key, Receipt]:
    """Leaves the receipts that are new. Answers with those that were there, or came faster."""
    if not claims:
        return {}
    # In sorted order, so that two lists wait for each other in one direction only.
    rows = [
        {
            "organization_id": session.info["scope"],
            "source": source,
            "source_id": source_id,
            "digest": receipt.digest,
            "event_id": receipt.event_id,
        }
        for (source, source_id), receipt in sorted(claims.items(), key=lambda claim: claim[0])
    ]
    left = await insert_rows(session, tables.Receipt, rows, " ON CONFLICT DO NOTHING")
    if left.rowcount == len(rows):
        return {}
    there = await kept(session, set(claims))
    return {key: each for key, each in there.items() if each.event_id != claims[key].event_id}


async def settle(
    session: AsyncSession,
    claims: Mapping[Key, Receipt],
    final: Mapping[Key, Receipt],
) -> None:
    """Corrects what was left before it was known which event a report would come to, if to any."""
    table = tables.Receipt
    void = sorted(claims.keys() - final.keys())
    if void:
        key = tuple_(col(table.source), col(table.source_id))
        await session.execute(delete(table).where(key.in_(void)))
    wrong = {key: final[key] for key in claims if key in final and final[key] != claims[key]}
    if wrong:
        kept = tables.METADATA.tables["receipt"].c
        own = kept.organization_id == session.info["scope"]
        here = (own, kept.source == bindparam("by"), kept.source_id == bindparam("under"))
        told: dict[str, Any] = {"digest": bindparam("content"), "event_id": bindparam("event")}
        corrections = [
            {"by": by, "under": under, "content": each.digest, "event": each.event_id}
            for (by, under), each in sorted(wrong.items(), key=lambda each: each[0])
        ]
        settled = update(kept.digest.table).where(*here).values(told)
        await (await session.connection()).execute(settled, corrections)
