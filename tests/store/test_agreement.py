"""SQL and `matches` select the same events for the same filter, on both databases."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from app.domain.events.filters import (
    EventAttribute,
    EventFilter,
    TagFilter,
    TimeRange,
    filter_matches,
)
from app.domain.events.predicates import ORDERING_OPERATORS, FieldPredicate, PredicateOperator
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventState, EventStatus
from app.store import tables
from app.store.engine.database import Database
from app.store.reading import event_conditions
from app.store.writing import search_index
from app.store.writing.inserts import insert_rows
from tests.factories import admin_caller


def _random_unicode(chance: Random) -> str:
    """One to three characters of any plane, without forbidden ones."""
    points = [chance.randrange(1, 0x110000 if chance.random() < 0.5 else 0x3000) for _ in range(3)]
    return "".join(chr(each) for each in points if not 0xD800 <= each < 0xE000) or "x"


def _spelling_variants(text: str) -> tuple[str, ...]:
    folds = (text.upper(), text.casefold(), *(unicodedata.normalize(f, text) for f in ("NFD",)))
    return (text, *folds)


# Texts that databases may treat as equal: cases, accents, widths, wildcards, blanks, other planes,
# numbers, instants, quotes; and random Unicode texts, each in several spellings.
CONFUSABLE = (
    *("a", "A", "é", "e\u0301", "ß", "ss", "a%", "a_b", "aXb", "a ", " a", "ﬁ", "fi", "😀", "İ"),
    *(
        "*",
        "1",
        "1.0",
        "true",
        "'",
        '"a" OR',
        "\\",
        "a\U0010ffff",
        "\U0010ffff",
        "\ud7ff",
        "\ue000",
    ),
    *(
        "2026-04-10T12:00:00Z",
        "2026-04-10T14:00:00+02:00",
        "2026-04-10T12:00:00.0000001234Z",
        "2026-04-30T23:59:60Z",
        "2026-05-01T01:59:59.999999+02:00",
        "2026-04-10",
        "x" * 40,
        "x" * 199 + "ab",
    ),
    *("x" * 200, "x" * 201, "AND", "NEAR", "x" * 31 + "é"),
    *("x" * 28, "x" * 29, "xé", "日", "日本", "本日本語", "語a", "ｶﾞｽ", "น้ำ", "🔥", "🔥😀", "°"),
)
TEXTS = tuple(
    dict.fromkeys(
        spelling
        for text in (*CONFUSABLE, *(_random_unicode(Random(n)) for n in range(60)))
        for spelling in _spelling_variants(text)
    )
)
NUMBERS = (
    *(0, -0.0, 1, 1.0, -1, 1.5, 10**300, 5e-324, -1e308),
    # Integers that share a double with their neighbors, and floats equal to one of them.
    *(2**53 - 1, 2**53, 2.0**53, 2**53 + 1, 2**53 + 2, -(2**53), -(2**53) - 1, -(2**53) - 2),
    *(10**19, 1e19, 10**19 - 1, 10**19 + 1, -(10**19), 1 - 10**19),
)
NOON = datetime(2026, 4, 10, 12, tzinfo=UTC)
INSTANTS = tuple(NOON + timedelta(microseconds=n) for n in (-86_400_000_000, -1, 0, 1, 999_999))
IDS = tuple(UUID(int=Random(n).getrandbits(128)) for n in range(200))
FIELDS = ("a", "A", "é", "x" * 255, "", "a.b", '"')
MEMBERS = ("a", "b", "", "b.a")
PATHS = (*FIELDS, "a.a", "a.b", "a.b.a", "a.b.a.b", "a.", ".a", "x" * 255 + ".a")

ANY_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6
)
# By index: hypothesis would print all of them for each filter.
OFTEN = (*CONFUSABLE * 8, *TEXTS)
texts = st.one_of(st.integers(0, len(OFTEN) - 1).map(OFTEN.__getitem__), ANY_TEXT)
some_texts = st.lists(texts, max_size=3).map(tuple)
names = st.one_of(texts, texts.map(lambda text: text + "*"), st.tuples(texts, texts).map("".join))
scalars = st.one_of(texts, st.sampled_from(NUMBERS), st.booleans())
BLANKS: tuple[Any, ...] = (
    "",
    " \t",
    "\x85\ufeff",
    "\u3000" * 201,
    "\u3000" * 201 + "a",
    "\u200b",
    [],
    [None],
)
lists = st.lists(scalars, max_size=3)
nested = st.recursive(
    st.dictionaries(
        st.sampled_from(MEMBERS),
        st.one_of(scalars, lists, st.sampled_from(BLANKS), st.none()),
        max_size=3,
    ),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=2),
        st.lists(st.one_of(inner, scalars), max_size=3),
    ),
    max_leaves=4,
)
values = st.one_of(scalars, scalars, lists, st.sampled_from(BLANKS), st.just(None), nested)
instants = st.sampled_from(INSTANTS)

events = st.builds(
    EventState,
    id=st.integers(0, len(IDS) - 1).map(IDS.__getitem__),
    type=st.tuples(texts, st.one_of(st.just(""), texts)).map("".join),
    category=st.none() | texts,
    severity=st.sampled_from(Severity),
    summary=st.lists(texts, max_size=3).map(" ".join),
    content=st.none() | texts,
    source=texts,
    occurred_at=instants,
    recorded_at=instants,
    updated_at=instants,
    last_occurred_at=st.none() | instants,
    entity=st.none() | st.builds(Entity, texts, texts),
    source_id=st.none() | texts,
    subject=st.none() | texts,
    outcome=st.none() | st.sampled_from(Outcome),
    fields=st.dictionaries(st.sampled_from(FIELDS), values, max_size=4),
    tags=st.lists(texts, max_size=4, unique=True).map(tuple),
    notification=st.booleans(),
    acknowledged_at=st.none() | instants,
    alert_key=st.none() | texts,
    resolved_at=st.none() | instants,
)


@st.composite
def sometimes(draw: st.DrawFn, values: st.SearchStrategy[object]) -> object:
    """Absent most of the time, so that a filter has few conditions and selects something."""
    return draw(values) if draw(st.integers(0, 6)) == 0 else None


@st.composite
def predicates(draw: st.DrawFn) -> FieldPredicate:
    operator = draw(st.sampled_from(PredicateOperator))
    value: Any = None
    if operator is PredicateOperator.IN:
        value = draw(st.lists(scalars, max_size=3).map(tuple))
    elif operator in ORDERING_OPERATORS:
        value = draw(st.one_of(texts, st.sampled_from(NUMBERS)))
    elif operator not in (PredicateOperator.EXISTS, PredicateOperator.NOT_EXISTS):
        value = draw(scalars)
    return FieldPredicate(draw(st.sampled_from(PATHS)), operator, value)


spans = st.builds(TimeRange, st.none() | instants, st.none() | instants)
simple = st.builds(
    EventFilter,
    ids=sometimes(
        st.lists(st.integers(0, len(IDS) - 1).map(IDS.__getitem__), max_size=60).map(tuple)
    ),
    types=sometimes(st.lists(names, max_size=3).map(tuple)),
    category=sometimes(texts),
    entity=sometimes(st.builds(Entity, texts, texts)),
    entity_id=sometimes(texts),
    entity_type=sometimes(texts),
    severities=sometimes(st.lists(st.sampled_from(Severity), max_size=3).map(tuple)),
    source=sometimes(texts),
    source_ids=sometimes(some_texts),
    subject=sometimes(texts),
    outcome=sometimes(st.sampled_from(Outcome)),
    duplicate=sometimes(st.booleans()),
    occurred_at=sometimes(spans),
    last_occurred_at=sometimes(spans),
    recorded_at=sometimes(spans),
    updated_at=sometimes(spans),
    missing=sometimes(st.lists(st.sampled_from(EventAttribute), max_size=2).map(tuple)),
    notification=sometimes(st.booleans()),
    acknowledged=sometimes(st.booleans()),
    alert_key=sometimes(texts),
    statuses=sometimes(st.lists(st.sampled_from(EventStatus), max_size=3).map(tuple)),
    tags=sometimes(st.builds(TagFilter, st.none() | some_texts, st.none() | some_texts)),
    search=sometimes(names),
    fields=sometimes(st.lists(predicates(), max_size=2).map(tuple)),
)
composed = st.recursive(
    simple,
    lambda inner: st.builds(
        EventFilter,
        severities=sometimes(st.just((Severity.ERROR, Severity.WARN))),
        and_=sometimes(st.lists(inner, max_size=2).map(tuple)),
        or_=sometimes(st.lists(inner, max_size=3).map(tuple)),
        not_=sometimes(inner),
    ),
    max_leaves=6,
)


async def test_sql_and_memory_select_the_same_events(database: Database) -> None:
    caller = await admin_caller(database)
    drawn = {event.id: event for event in draw_examples(events, 600)}
    stored = remove_repeated_alert_keys([*drawn.values()])
    stored = [
        *stored[:-40],
        *(replace(each, duplicate_of_id=stored[0].id) for each in stored[-40:]),
    ]
    await insert_events(database, caller.organization_id, stored)
    searched = draw_examples(st.builds(EventFilter, search=names), 400)
    tested = draw_examples(
        st.builds(EventFilter, fields=predicates().map(lambda each: (each,))), 400
    )
    prefixed = draw_examples(
        st.builds(EventFilter, types=st.lists(names, max_size=2).map(tuple)), 200
    )

    telling = {}
    for kind, filters in (
        ("composed", draw_examples(composed, 600)),
        ("search", searched),
        ("fields", tested),
        ("types", prefixed),
    ):
        counts = []
        for filter in filters:
            selected = await select_ids(database, caller.organization_id, filter)
            expected = {event.id for event in stored if filter_matches(filter, event)}
            assert selected == expected, filter
            counts.append(len(expected))
        telling[kind] = sum(0 < count < len(stored) for count in counts)

    # The random filters select some events and not others. Hypothesis also draws constants of the
    # code, so that a change of the code changes how many there are.
    assert all(count >= 20 for count in telling.values()), telling


def remove_repeated_alert_keys(states: Sequence[EventState]) -> list[EventState]:
    """Keeps one unresolved event of each source and alert key."""
    kept: dict[tuple[str, str], UUID] = {}
    for state in states:
        if state.alert_key is not None and state.resolved_at is None:
            kept.setdefault((state.source, state.alert_key), state.id)
    return [
        state
        if state.alert_key is None
        or state.resolved_at is not None
        or kept[state.source, state.alert_key] == state.id
        else replace(state, alert_key=None)
        for state in states
    ]


def draw_examples(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """The same examples on every run."""
    examples: list[Any] = []

    @settings(max_examples=count, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(value: Any) -> None:
        examples.append(value)

    collect()
    return examples


async def insert_events(database: Database, owner: UUID, states: Sequence[EventState]) -> None:
    async with database.write(owner) as session:
        rows = [tables.Event.build_columns(state, owner) for state in states]
        index_rows = search_index.build_index_rows(owner, states)
        receipt_rows = build_receipt_rows(owner, states)
        await insert_rows(
            session, (tables.Event, rows), *index_rows, (tables.Receipt, receipt_rows)
        )


def build_receipt_rows(owner: UUID, states: Sequence[EventState]) -> list[dict[str, Any]]:
    """A receipt for each event with a source ID. Unlike those of reports, they may be repeated."""
    receipts: dict[tuple[str, str], dict[str, Any]] = {}
    for state in sorted(states, key=lambda state: state.id):
        if state.source_id is not None:
            is_repeated = (state.source, state.source_id) in receipts
            source = f"{state.source} {state.id}" if is_repeated else state.source
            receipts[source, state.source_id] = {
                "organization_id": owner,
                "source": source,
                "source_id": state.source_id,
                "digest": "",
                "event_id": state.id,
                "version": 2,
            }
    return list(receipts.values())


async def select_ids(database: Database, owner: UUID, filter: EventFilter) -> set[UUID]:
    async with database.read(owner) as session:
        statement = select(col(tables.Event.id)).where(
            *event_conditions.build_conditions(filter, owner)
        )
        return set(await session.scalars(statement))
