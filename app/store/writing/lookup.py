"""What events are found by, beside the event: its tags, its words and its fields' values.

Each lies in a table of its own with an index, written in the event's own transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.events.filters import words_of
from app.domain.events.predicates import Comparable, comparable, elements, findable
from app.domain.events.state import EventState
from app.store import tables
from app.store.writing.bulk import insert_rows

HEAD = 200
_TABLES = (tables.EventTag, tables.EventWords, tables.EventValue)


async def renew(
    session: AsyncSession, organization_id: UUID, before: EventState, after: EventState
) -> None:
    """Makes an event findable by what it has become."""
    old, new = (dict(rows(organization_id, [state])) for state in (before, after))
    for table in _TABLES:
        if old.get(table) != new.get(table):
            await session.execute(delete(table).where(col(table.event_id) == after.id))
            if found := new.get(table):
                await insert_rows(session, table, found)


def words_in(organization_id: UUID, words: frozenset[str]) -> frozenset[str]:
    """The words, together with the one that all words of the organization lie beside.

    Without it a word that is common elsewhere would cost as much here.
    """
    return words | {f"@{organization_id.hex}"}


def halves(text: str) -> tuple[str, str]:
    return text[:HEAD], text[HEAD:]


def rows(
    organization_id: UUID, events: Iterable[EventState]
) -> list[tuple[Any, list[dict[str, Any]]]]:
    """The rows of each table by which events are found; no table without rows."""
    found: dict[Any, list[dict[str, Any]]] = {table: [] for table in _TABLES}
    for event in events:
        owner = {"organization_id": organization_id, "event_id": event.id}
        found[tables.EventTag] += [owner | {"tag": tag} for tag in event.tags]
        words = words_in(organization_id, words_of(event))
        found[tables.EventWords].append(owner | {"words": words})
        for name, value in findable(event.fields).items():
            found[tables.EventValue] += [
                owner | {"field": name, "ordinal": ordinal} | _columns(each)
                for ordinal, each in enumerate([comparable(value), *elements(value)])
            ]
    return [(table, each) for table, each in found.items() if each]


def _columns(value: Comparable | None) -> dict[str, Any]:
    value = value or Comparable()
    head, tail = (None, None) if value.text is None else halves(value.text)
    return {"number": value.number, "head": head, "tail": tail, "truth": value.truth}
