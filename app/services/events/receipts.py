"""Receipts detect replays: a report with a known source ID results in the first event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import String, bindparam, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.state import EventDraft, SourceIdentity
from app.domain.intake.intake import Accepted, CommandContext, ValidationResult
from app.domain.shared.values import validate_name
from app.store import tables
from app.store.writing.bulk import build_rows_cte, insert_rows


@dataclass(frozen=True)
class Receipt:
    digest: str | None
    event_id: UUID


def source_identity(draft: EventDraft, command: CommandContext) -> SourceIdentity | None:
    """Returns the source and source ID of a draft. None without a valid source ID."""
    if draft.source_id is None:
        return None
    source = draft.source if draft.source is not None else command.actor.source
    limit = command.limits.name_characters
    if validate_name(source, limit) or validate_name(draft.source_id, limit):
        return None
    return SourceIdentity(source, draft.source_id)


async def load_receipts(
    session: AsyncSession, keys: set[SourceIdentity]
) -> dict[SourceIdentity, Receipt]:
    if not keys:
        return {}
    table = tables.Receipt
    key_rows = build_rows_cte(session, {"source": String(), "source_id": String()}, sorted(keys))
    key = (col(table.source), col(table.source_id))
    statement = select(*key, col(table.digest), col(table.event_id))
    # Not a join: SQLite would scan all receipts, and the list for each of them.
    rows = await session.execute(statement.where(tuple_(*key).in_(select(key_rows))))
    return {
        SourceIdentity(source, source_id): Receipt(digest, event_id)
        for source, source_id, digest, event_id in rows
    }


def build_receipts(
    reports: Iterable[tuple[EventDraft, SourceIdentity | None, ValidationResult]],
) -> dict[SourceIdentity, Receipt]:
    """Builds the receipts of the accepted drafts. The first of a repeated key wins."""
    receipts: dict[SourceIdentity, Receipt] = {}
    for draft, key, validation in reports:
        if key is not None and isinstance(validation, Accepted):
            receipts.setdefault(key, Receipt(draft.digest(), validation.event.id))
    return receipts


async def claim_receipts(
    session: AsyncSession, new_receipts: dict[SourceIdentity, Receipt]
) -> dict[SourceIdentity, Receipt]:
    """Inserts the new receipts. Returns those that another report has already inserted."""
    if not new_receipts:
        return {}
    # In sorted order, so that two lists cannot deadlock.
    rows = [
        {
            "organization_id": session.info["scope"],
            "source": source,
            "source_id": source_id,
            "digest": receipt.digest,
            "event_id": receipt.event_id,
        }
        for (source, source_id), receipt in sorted(new_receipts.items(), key=itemgetter(0))
    ]
    inserted = await insert_rows(session, tables.Receipt, rows, " ON CONFLICT DO NOTHING")
    if inserted.rowcount == len(rows):
        return {}
    existing = await load_receipts(session, set(new_receipts))
    return {
        key: each for key, each in existing.items() if each.event_id != new_receipts[key].event_id
    }


async def finalize_receipts(
    session: AsyncSession,
    claimed: Mapping[SourceIdentity, Receipt],
    final: Mapping[SourceIdentity, Receipt],
) -> None:
    """Corrects claimed receipts when the event that each report results in is known."""
    table = tables.Receipt
    unused_keys = sorted(claimed.keys() - final.keys())
    if unused_keys:
        key = tuple_(col(table.source), col(table.source_id))
        await session.execute(delete(table).where(key.in_(unused_keys)))
    changed = {key: final[key] for key in claimed if key in final and final[key] != claimed[key]}
    if changed:
        columns = tables.METADATA.tables["receipt"].c
        same_organization = columns.organization_id == session.info["scope"]
        same_key = (
            same_organization,
            columns.source == bindparam("key_source"),
            columns.source_id == bindparam("key_source_id"),
        )
        new_values: dict[str, Any] = {
            "digest": bindparam("new_digest"),
            "event_id": bindparam("new_event_id"),
        }
        corrections = [
            {
                "key_source": source,
                "key_source_id": source_id,
                "new_digest": receipt.digest,
                "new_event_id": receipt.event_id,
            }
            for (source, source_id), receipt in sorted(changed.items(), key=itemgetter(0))
        ]
        statement = update(columns.digest.table).where(*same_key).values(new_values)
        await (await session.connection()).execute(statement, corrections)
