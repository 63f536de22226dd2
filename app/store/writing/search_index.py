"""The search index of events: tags, words and field values.

Each is an indexed table of its own, written in the transaction of the event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.predicates import (
    Comparable,
    comparable_elements,
    indexed_fields,
    to_comparable,
)
from app.domain.events.state import EventState
from app.domain.events.words import (
    WORDS_VERSION,
    extract_event_words,
    extract_first_version_words,
    extract_search_terms,
)
from app.store import tables
from app.store.tables.events import HAS_OUTDATED_WORDS
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


def build_word_queries(organization_id: UUID, search: str) -> list[frozenset[str]]:
    """Returns the terms that stored words must contain, for each version that extracted words.

    Empty if the text has no term. Words of version 1 are searched as version 1 did.
    """
    if not (terms := extract_search_terms(search)):
        return []
    queries = [_scope_words(organization_id, WORDS_VERSION, terms)]
    if first_version_words := extract_first_version_words(search):
        queries.append(_scope_words(organization_id, 1, first_version_words))
    return queries


def _scope_words(organization_id: UUID, version: int, words: frozenset[str]) -> frozenset[str]:
    """The words and a word that marks the organization and the version of the words.

    The mark keeps a word that is common in other organizations from slowing down a search in this
    one, and makes the query of a version that has no words fast.
    """
    mark = organization_id.hex if version == 1 else f"{version}@{organization_id.hex}"
    return words | {f"@{mark}"}


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
        rows_by_table[tables.EventWords].append(
            _words_row(organization_id, event.id, event.summary, event.content)
        )
        for name, value in indexed_fields(event.fields).items():
            rows_by_table[tables.EventValue] += [
                owner | {"field": name, "ordinal": ordinal} | _value_columns(element)
                for ordinal, element in enumerate(
                    [to_comparable(value), *comparable_elements(value)]
                )
            ]
    return [(table, rows) for table, rows in rows_by_table.items() if rows]


async def renew_words(session: AsyncSession, limit: int) -> int:
    """Extracts the words of events again that an older version extracted, the oldest first.

    Returns the number of events. Skips events that another transaction has locked.
    """
    event, words = tables.Event, tables.EventWords
    outdated = (
        select(col(words.event_id))
        .where(HAS_OUTDATED_WORDS)
        .order_by(col(words.id))
        .limit(limit)
        .scalar_subquery()
    )
    columns = (col(event.organization_id), col(event.id), col(event.summary), col(event.content))
    statement = (
        select(*columns).where(col(event.id).in_(outdated)).with_for_update(skip_locked=True)
    )
    events = (await session.execute(statement)).all()
    # Long texts take milliseconds each, which must not block the event loop.
    rows = await asyncio.to_thread(lambda: [_words_row(*each) for each in events])
    if rows:
        event_ids = [row["event_id"] for row in rows]
        await session.execute(delete(words).where(col(words.event_id).in_(event_ids)))
        await insert_rows(session, words, rows)
    return len(rows)


async def has_outdated_words(session: AsyncSession) -> bool:
    """Whether an older version extracted the words of an event."""
    statement = select(col(tables.EventWords.id)).where(HAS_OUTDATED_WORDS).limit(1)
    return (await session.scalars(statement)).first() is not None


def _words_row(
    organization_id: UUID, event_id: UUID, summary: str, content: str | None
) -> dict[str, Any]:
    words = _scope_words(organization_id, WORDS_VERSION, extract_event_words(summary, content))
    owner = {"organization_id": organization_id, "event_id": event_id}
    return owner | {"words": words, "version": WORDS_VERSION}


def _value_columns(value: Comparable | None) -> dict[str, Any]:
    value = value or Comparable()
    number, exact = (None, None) if value.number is None else split_number(value.number)
    head, tail = (None, None) if value.text is None else split_text(value.text)
    columns = {"number": number, "exact": exact, "head": head, "tail": tail}
    return columns | {"truth": value.boolean}
