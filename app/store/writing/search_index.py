"""The search index of events: tags, words and field values.

Each is an indexed table of its own, written in the transaction of the event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.predicates import Comparable
from app.domain.events.state import EventState
from app.domain.events.words import (
    WORDS_VERSION,
    extract_event_words,
    extract_first_version_words,
    extract_search_terms,
)
from app.store import tables
from app.store.tables.events import HAS_OUTDATED_WORDS
from app.store.tables.exact_numbers import split_number
from app.store.writing.inserts import TableRows, insert_rows

HEAD_LENGTH = 200
_ROWS_PER_FETCH = 5  # texts may be long
_NO_VALUE = Comparable()
_TABLES = (tables.EventTag, tables.EventWords, tables.EventValue)


async def update_index(
    session: AsyncSession, organization_id: UUID, before: EventState, after: EventState
) -> None:
    """Replaces the index rows of an event that changed."""
    old_rows, new_rows = (
        dict(build_index_rows(organization_id, [state])) for state in (before, after)
    )
    changed_tables = [each for each in _TABLES if old_rows.get(each) != new_rows.get(each)]
    for table in changed_tables:
        await session.execute(delete(table).where(col(table.event_id) == after.id))
    await insert_rows(session, *((table, new_rows.get(table, ())) for table in changed_tables))


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


def build_index_rows(organization_id: UUID, events: Iterable[EventState]) -> list[TableRows]:
    """The index rows of these events by table, without tables that have no rows."""
    rows_by_table: dict[Any, list[dict[str, Any]]] = {table: [] for table in _TABLES}
    for event in events:
        rows_by_table[tables.EventTag] += [
            {"organization_id": organization_id, "event_id": event.id, "tag": tag}
            for tag in event.tags
        ]
        rows_by_table[tables.EventWords].append(
            _words_row(organization_id, event.id, event.summary, event.content)
        )
        rows_by_table[tables.EventValue] += build_value_rows(organization_id, event)
    return [(table, rows) for table, rows in rows_by_table.items() if rows]


def build_value_rows(organization_id: UUID, event: EventState) -> list[dict[str, Any]]:
    """The rows of `event_value` of an event."""
    return [
        _value_row(organization_id, event.id, path, ordinal, value or _NO_VALUE)
        for path, values in event.field_index.values.items()
        for ordinal, value in values.list_numbered()
    ]


class OutdatedWords(NamedTuple):
    """The words of an event that an older version extracted (`id`), and the text they are of."""

    id: int
    organization_id: UUID
    event_id: UUID
    summary: str
    content: str | None

    @property
    def characters(self) -> int:
        return len(self.summary) + len(self.content or "")


async def list_outdated_words(
    session: AsyncSession, after: int, max_events: int, max_characters: int
) -> list[OutdatedWords]:
    """The oldest outdated words whose ID is greater, up to the limits, but of at least one event.

    The last event may exceed the limit of characters.
    """
    event, words = tables.Event, tables.EventWords
    oldest = (
        select(col(words.id), col(words.event_id))
        .where(HAS_OUTDATED_WORDS, col(words.id) > after)
        .order_by(col(words.id))
        .limit(max_events)
        .subquery()
    )
    columns = (event.organization_id, event.id, event.summary, event.content)
    statement = (
        select(oldest.c.id, *map(col, columns))
        .join(event, col(event.id) == oldest.c.event_id)
        .order_by(oldest.c.id)
        .execution_options(yield_per=_ROWS_PER_FETCH)
    )
    outdated: list[OutdatedWords] = []
    characters = 0
    rows = await session.stream(statement)
    async for row in rows:
        outdated.append(OutdatedWords(*row))
        characters += outdated[-1].characters
        if characters >= max_characters:
            break
    await rows.close()
    return outdated


def extract_outdated(outdated: Sequence[OutdatedWords]) -> list[dict[str, Any]]:
    """The rows that replace the outdated words. Takes up to a second for a long text."""
    return [
        _words_row(each.organization_id, each.event_id, each.summary, each.content)
        for each in outdated
    ]


def build_words_rows(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The words of events, of which these are the columns."""
    return [
        _words_row(each["organization_id"], each["id"], each["summary"], each["content"])
        for each in events
    ]


async def replace_outdated_words(
    session: AsyncSession, outdated: Sequence[OutdatedWords], rows: Sequence[dict[str, Any]]
) -> int:
    """Replaces outdated words by these rows, and returns the number of events.

    Skips events that another transaction has locked, and words that were replaced meanwhile: a
    changed text has words with another ID.
    """
    event, words = tables.Event, tables.EventWords
    event_ids = [each.event_id for each in outdated]
    lock = select(col(event.id)).where(col(event.id).in_(event_ids))
    locked = await session.scalars(lock.with_for_update(skip_locked=True, key_share=True))
    removal = (
        delete(words)
        .where(col(words.id).in_([each.id for each in outdated]))
        .where(col(words.event_id).in_(locked.all()))
        .returning(col(words.event_id))
    )
    removed = set(await session.scalars(removal))
    new_rows = [row for row in rows if row["event_id"] in removed]
    await insert_rows(session, (words, new_rows))
    return len(new_rows)


def _words_row(
    organization_id: UUID, event_id: UUID, summary: str, content: str | None
) -> dict[str, Any]:
    words = _scope_words(organization_id, WORDS_VERSION, extract_event_words(summary, content))
    return {
        "organization_id": organization_id,
        "event_id": event_id,
        "words": words,
        "version": WORDS_VERSION,
    }


def _value_row(
    organization_id: UUID, event_id: UUID, path: str, ordinal: int, value: Comparable
) -> dict[str, Any]:
    number, text, boolean = value
    number, exact = (None, None) if number is None else split_number(number)
    head, tail = (None, None) if text is None else split_text(text)
    return {
        "organization_id": organization_id,
        "event_id": event_id,
        "field": path,
        "ordinal": ordinal,
        "number": number,
        "exact": exact,
        "head": head,
        "tail": tail,
        "truth": boolean,
    }
