"""One filter, two interpreters: what SQL selects is what `matches` selects, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlmodel import col

from app.domain.events import Entity, EventState
from app.domain.filters import EventFilter, TagFilter, TimeRange, matches
from app.domain.severity import Outcome, Severity
from app.store import tables, where
from app.store.database import EVERYWHERE, Database
from tests.worlds import administrator

# Texts that databases like to confuse: cases, accents, widths, wildcards, blanks, other planes.
TEXTS = (
    "a",
    "A",
    "é",
    "e\u0301",
    "ß",
    "ss",
    "a%",
    "a_b",
    "aXb",
    "a ",
    " a",
    "ﬁ",
    "fi",
    "😀",
    "İ",
    "*",
)
NOON = datetime(2026, 4, 10, 12, tzinfo=UTC)
INSTANTS = tuple(NOON + timedelta(microseconds=n) for n in (-86_400_000_000, -1, 0, 1, 999_999))


def an_event(chance: Random) -> EventState:
    def maybe(value: str) -> str | None:
        return value if chance.random() < 0.7 else None

    def text() -> str:
        return chance.choice(TEXTS)

    at = chance.choice(INSTANTS)
    return EventState(
        id=UUID(int=chance.getrandbits(128)),
        type=text() + chance.choice(("", text())),
        severity=chance.choice(list(Severity)),
        summary=text(),
        source=text(),
        occurred_at=at,
        recorded_at=chance.choice(INSTANTS),
        updated_at=at,
        entity=chance.choice((None, Entity(text(), text()))),
        source_id=maybe(text()),
        subject=maybe(text()),
        outcome=chance.choice((None, *Outcome)),
        tags=tuple(dict.fromkeys(text() for _ in range(chance.randrange(4)))),
        notification=chance.random() < 0.5,
        acknowledged_at=chance.choice((None, at)),
    )


EVENTS = [an_event(Random(n)) for n in range(120)]

texts = st.sampled_from(TEXTS)
some_texts = st.lists(texts, max_size=3).map(tuple)
spans = st.builds(
    TimeRange, st.none() | st.sampled_from(INSTANTS), st.none() | st.sampled_from(INSTANTS)
)
names = st.one_of(texts, texts.map(lambda text: text + "*"), st.tuples(texts, texts).map("".join))


def said(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Mostly left out, so that a filter says few things and selects something."""
    return st.one_of(st.none(), st.none(), st.none(), st.none(), values)


simple = st.builds(
    EventFilter,
    ids=said(st.lists(st.sampled_from([event.id for event in EVENTS]), max_size=60).map(tuple)),
    types=said(st.lists(names, max_size=3).map(tuple)),
    entity=said(st.builds(Entity, texts, texts)),
    entity_id=said(texts),
    severities=said(st.lists(st.sampled_from(Severity), max_size=3).map(tuple)),
    source=said(texts),
    source_ids=said(some_texts),
    subject=said(texts),
    outcome=said(st.sampled_from(Outcome)),
    occurred_at=said(spans),
    recorded_at=said(spans),
    notification=said(st.booleans()),
    acknowledged=said(st.booleans()),
    tags=said(st.builds(TagFilter, st.none() | some_texts, st.none() | some_texts)),
)
composed = st.recursive(
    simple,
    lambda inner: st.builds(
        EventFilter,
        severities=said(st.just((Severity.ERROR, Severity.WARN))),
        and_=said(st.lists(inner, max_size=2).map(tuple)),
        or_=said(st.lists(inner, max_size=3).map(tuple)),
        not_=said(inner),
    ),
    max_leaves=6,
)


async def test_sql_and_memory_select_the_same_events(database: Database) -> None:
    await store(database, EVENTS)
    seen: list[int] = []

    @settings(max_examples=400, suppress_health_check=list(HealthCheck))
    @given(composed)
    def collect(filter: EventFilter) -> None:
        drawn.append(filter)

    drawn: list[EventFilter] = []
    collect()

    for filter in drawn:
        selected = await select_ids(database, filter)
        expected = {event.id for event in EVENTS if matches(filter, event)}
        assert selected == expected, filter
        seen.append(len(expected))

    # The filters that were drawn tell something apart.
    assert sum(0 < count < len(EVENTS) for count in seen) > 100


async def store(database: Database, events: Sequence[EventState]) -> None:
    organization_id = (await administrator(database)).organization_id
    async with database.write(organization_id) as session:
        rows = [tables.Event.from_domain(event, organization_id) for event in events]
        session.add_all(rows)
        await session.flush()
        await session.execute(
            insert(tables.EventTag), [tag for row in rows for tag in row.tag_rows()]
        )


async def select_ids(database: Database, filter: EventFilter) -> set[UUID]:
    async with database.read(EVERYWHERE) as session:
        statement = select(col(tables.Event.id)).where(*where.events(filter))
        return set(await session.scalars(statement))
