"""The search index of events: tags, words and field values.

Each is an indexed table of its own, written in the transaction of the event.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.filters import extract_event_words
from app.domain.events.predicates import (
    Comparable,
    comparable_elements,
    indexed_fields,
    to_comparable,
)
from app.domain.events.state import EventState
from app.store import tables
from app.store.writing.bulk import insert_rows

HEAD_LENGTH = 200
# From here on, a double is nearest to several integers.
_MIN_SHARED_DOUBLE = 2.0**53
_NINES_COMPLEMENT = str.maketrans("0123456789", "9876543210")
_TABLES = (tables.EventTag, tables.EventWords, tables.EventValue)


async def update_index(
    session: AsyncSession, organization_id: UUID, before: EventState, after: EventState
) -> None:
    """Replaces the index rows of an event that changed."""
    old_rows, new_rows = (
        dict(build_index_rows(organization_id, [state])) for state in (before, after)
    )
    for table in _TABLES:
        if old_rows.get(table) != new_rows.get(table):
            await session.execute(delete(table).where(col(table.event_id) == after.id))
            if rows := new_rows.get(table):
                await insert_rows(session, table, rows)


def scope_words(organization_id: UUID, words: frozenset[str]) -> frozenset[str]:
    """The words and a word that marks the organization.

    It keeps a word that is common in other organizations from slowing down a search in this one.
    """
    return words | {f"@{organization_id.hex}"}


def split_text(text: str) -> tuple[str, str]:
    return text[:HEAD_LENGTH], text[HEAD_LENGTH:]


def split_number(number: int | float) -> tuple[float, str | None]:
    """Returns the double nearest to a number, and a text that orders the numbers with that double.

    The text is None for doubles that are nearest to one integer only.
    """
    double = float(number)
    if abs(double) < _MIN_SHARED_DOUBLE:
        return double, None
    digits = str(abs(int(number)))
    key = f"{len(digits):03}{digits}"
    return double, key if double > 0 else f"-{key.translate(_NINES_COMPLEMENT)}"


def build_index_rows(
    organization_id: UUID, events: Iterable[EventState]
) -> list[tuple[Any, list[dict[str, Any]]]]:
    """The index rows of these events by table, without tables that have no rows."""
    rows_by_table: dict[Any, list[dict[str, Any]]] = {table: [] for table in _TABLES}
    for event in events:
        owner = {"organization_id": organization_id, "event_id": event.id}
        rows_by_table[tables.EventTag] += [owner | {"tag": tag} for tag in event.tags]
        words = scope_words(organization_id, extract_event_words(event))
        rows_by_table[tables.EventWords].append(owner | {"words": words})
        for name, value in indexed_fields(event.fields).items():
            rows_by_table[tables.EventValue] += [
                owner | {"field": name, "ordinal": ordinal} | _value_columns(element)
                for ordinal, element in enumerate(
                    [to_comparable(value), *comparable_elements(value)]
                )
            ]
    return [(table, rows) for table, rows in rows_by_table.items() if rows]


def _value_columns(value: Comparable | None) -> dict[str, Any]:
    value = value or Comparable()
    number, exact = (None, None) if value.number is None else split_number(value.number)
    head, tail = (None, None) if value.text is None else split_text(value.text)
    columns = {"number": number, "exact": exact, "head": head, "tail": tail}
    return columns | {"truth": value.boolean}
