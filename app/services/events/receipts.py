"""Receipts detect replays: a report with a known source ID results in the first event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import String, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.events.field_values import Keys
from app.domain.events.state import EventDraft, SourceIdentity
from app.domain.intake.cloudevent_data import find_set_paths
from app.domain.intake.intake import (
    CommandContext,
    EventTypeSnapshot,
    Rejected,
    Resolution,
    ValidationResult,
)
from app.domain.shared.values import validate_name
from app.store import tables
from app.store.reading.input_rows import build_rows_cte
from app.store.writing.inserts import KEEP_EXISTING, insert_rows

_REPLACE_EXISTING = (
    "ON CONFLICT (organization_id, source, source_id)"
    " DO UPDATE SET digest = excluded.digest, event_id = excluded.event_id,"
    " set_fields = excluded.set_fields"
)

DIGEST_VERSION = 2


@dataclass(frozen=True)
class Receipt:
    """The digest of an accepted report, by which its replays are identified.

    `version`: that of the function that computed the digest. `set_paths`: keys of the lists in the
    report that were values of MULTI_SELECT fields at that time.
    """

    digest: str | None
    event_id: UUID
    version: int = DIGEST_VERSION
    set_paths: tuple[Keys, ...] = ()

    def is_of(self, draft: EventDraft) -> bool:
        """Whether the draft equals the accepted report."""
        if self.version == 1:
            return self.digest == draft.first_version_digest()
        return self.digest == draft.digest(self.set_paths)


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
    values = (col(table.digest), col(table.event_id), col(table.version), col(table.set_fields))
    statement = select(*key, *values)
    # Not a join: SQLite would scan all receipts, and the list for each of them.
    rows = await session.execute(statement.where(tuple_(*key).in_(select(key_rows))))
    return {
        SourceIdentity(row.source, row.source_id): Receipt(
            row.digest, row.event_id, row.version, tuple(map(_read_keys, row.set_fields or ()))
        )
        for row in rows
    }


def build_receipt(
    draft: EventDraft,
    key: SourceIdentity | None,
    event_type: EventTypeSnapshot | None,
    validation: ValidationResult,
) -> Receipt | None:
    """Builds the receipt of a draft, as if it is stored. None if it is rejected or has no key."""
    if key is None or isinstance(validation, Rejected):
        return None
    if isinstance(validation, Resolution):  # if it resolves nothing, the ID of no event
        return Receipt(draft.digest(), uuid7())
    set_paths: tuple[Keys, ...] = ()
    if event_type is not None and event_type.set_fields:
        set_paths = find_set_paths(draft, event_type.fields)
    return Receipt(draft.digest(set_paths), validation.event.id, set_paths=set_paths)


async def claim_receipts(
    session: AsyncSession, new_receipts: dict[SourceIdentity, Receipt]
) -> dict[SourceIdentity, Receipt]:
    """Inserts the new receipts. Returns those that another report has already inserted."""
    if not new_receipts:
        return {}
    inserted = await insert_rows(
        session,
        (tables.Receipt, _build_rows(session, new_receipts)),
        on_conflict=KEEP_EXISTING,
        returning=("source", "source_id"),
    )
    inserted_keys = {SourceIdentity(*each) for each in inserted}
    return await load_receipts(session, new_receipts.keys() - inserted_keys)


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
    await insert_rows(
        session,
        (table, _build_rows(session, changed)),
        on_conflict=_REPLACE_EXISTING,
    )


def _build_rows(
    session: AsyncSession, receipts: Mapping[SourceIdentity, Receipt]
) -> list[dict[str, Any]]:
    """Builds the rows in the order of their keys, so that two lists cannot deadlock."""
    return [
        {
            "organization_id": session.info["scope"],
            "source": source,
            "source_id": source_id,
            "digest": receipt.digest,
            "event_id": receipt.event_id,
            "version": receipt.version,
            "set_fields": [keys[0] if len(keys) == 1 else list(keys) for keys in receipt.set_paths]
            or None,
        }
        for (source, source_id), receipt in sorted(receipts.items(), key=itemgetter(0))
    ]


def _read_keys(stored: str | list[str]) -> Keys:
    """Returns the keys of a list: a name is stored as it is, nested names as a list."""
    return (stored,) if isinstance(stored, str) else tuple(stored)
