"""Statements that are sent without a session: their organization filter, and their cache."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from app.domain.events.filters import EventFilter, TagFilter, TimeRange
from app.domain.events.predicates import FieldPredicate, PredicateOperator
from app.domain.events.severity import Severity
from app.domain.events.state import Entity
from app.services.events import event_queries
from app.services.events.event_queries import (
    EVENT_BY_KEY,
    EVENT_LIST,
    EventOrderField,
    EventPageRequest,
)
from app.store import tables
from app.store.engine.database import Database
from app.store.engine.driver_statements import DriverRow
from app.store.reading import condition_templates, projection
from app.store.reading.pages import PageRequest
from app.store.reading.projection import Join, Projection
from tests.factories import admin_caller

EVENT_TYPE = Join("event_type_id", tables.EventType, ("id", "version"))
FIRST = Join("duplicate_of_id", tables.Event, ("id", "fields"), (EVENT_TYPE,))
WIDE = Projection(tables.Event, ("id", "summary", "fields"), (EVENT_TYPE, FIRST))
NARROW = Projection(tables.Event, ("summary",), with_definitions_version=True)
FILTERS = [
    EventFilter(),
    EventFilter(category="c", entity=Entity("t", "i"), tags=TagFilter(("a", "b"), ("c",))),
    EventFilter(search="two words", severities=(Severity.WARN, Severity.INFO)),
    EventFilter(
        fields=(FieldPredicate("a", PredicateOperator.CONTAINS, "x"),),
        or_=(EventFilter(source="s"), EventFilter(not_=EventFilter(types=("a", "b.*")))),
        occurred_at=TimeRange(datetime(2026, 4, 1, tzinfo=UTC)),
    ),
]
OWNED = {str(each.__tablename__) for each in tables.owned_tables()}


@pytest.fixture
def reads(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[Any]]]:
    """Records the statements that are read, and reads them."""
    texts: list[tuple[str, list[Any]]] = []
    real = database.row_reader.fetch_rows

    async def fetch_rows(
        statement: str, parameters: Sequence[Any], **options: Any
    ) -> list[DriverRow]:
        texts.append((statement, list(parameters)))
        return await real(statement, parameters, **options)

    monkeypatch.setattr(database.row_reader, "fetch_rows", fetch_rows)
    return texts


async def test_every_table_of_every_statement_is_filtered_by_organization(
    database: Database, reads: list[tuple[str, list[Any]]]
) -> None:
    caller = await admin_caller(database)
    order = event_queries.event_order(EventOrderField.OCCURRED_AT, True)

    for columns in (WIDE, NARROW):
        for filter in FILTERS:
            for counts in ((), ("total",)):
                for request in (PageRequest(5), PageRequest(5, offset=3, backwards=True)):
                    expected = EventPageRequest((filter, EventFilter()), order, request)
                    await EVENT_LIST.fetch_columns(database, caller, expected, columns, counts)
        await EVENT_BY_KEY.fetch_columns(database, caller, UUID(int=1), columns)
    await projection.fetch_definitions_version(database, caller.organization_id)

    assert len(reads) > 30
    for text, _ in reads:
        tables_read = re.findall(r"(?:FROM|JOIN|,) (\w+)(?: AS (\w+))?(?=[\s,)])", text)
        owned = [alias or name for name, alias in tables_read if name in OWNED]
        assert owned or "FROM organization" in text, text
        for name in set(owned):
            filtered = len(re.findall(rf"\b{name}\.organization_id = ", text))
            assert filtered == owned.count(name), (name, text)
        assert text.count("FROM organization") == text.count("organization.id = "), text


async def test_statements_that_scan_texts_are_marked(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = await admin_caller(database)
    order = event_queries.event_order(EventOrderField.OCCURRED_AT, True)
    reads: list[tuple[str, bool]] = []
    real = database.row_reader.fetch_rows

    async def fetch_rows(
        statement: str, *parameters: Any, scans_texts: bool = False
    ) -> list[DriverRow]:
        reads.append((statement, scans_texts))
        return await real(statement, *parameters, scans_texts=scans_texts)

    monkeypatch.setattr(database.row_reader, "fetch_rows", fetch_rows)
    for filter in FILTERS:
        expected = EventPageRequest((filter,), order, PageRequest(5))
        await EVENT_LIST.fetch_columns(database, caller, expected, WIDE, ("total",))

    for statement, scans_texts in reads:
        match = re.search(r"instr\(|strpos\(| MATCH | @@ ", statement)
        assert scans_texts is (match is not None), statement
    assert {scans_texts for _, scans_texts in reads} == {True, False}


async def test_a_statement_is_composed_once_per_filter_structure(
    database: Database, reads: list[tuple[str, list[Any]]]
) -> None:
    caller = await admin_caller(database)
    composed: list[str] = []

    for source in ("a", "b"):
        template = condition_templates.match_filters(
            [EventFilter(source=source)], caller.organization_id
        )
        cached_conditions = template.conditions

        def conditions(cached_conditions: Any = cached_conditions, source: str = source) -> Any:
            composed.append(source)
            return cached_conditions()

        other_template = condition_templates.ConditionTemplate(
            (template.cache_key, "test"), template.values, conditions
        )
        await projection.fetch_row(database, caller.organization_id, NARROW, other_template)

    assert composed == ["a"]
    assert reads[0][0] == reads[1][0]
    assert [[each for each in parameters if each in ("a", "b")] for _, parameters in reads] == [
        ["a"],
        ["b"],
    ]


def test_filters_that_only_seem_equal_have_separate_statements() -> None:
    cache_keys = [
        condition_templates.match_filters(
            [EventFilter(fields=(FieldPredicate("a", PredicateOperator.EQ, value),))], UUID(int=1)
        ).cache_key
        for value in (1, 1.0, True, "1")
    ]

    assert len(set(cache_keys)) == 4
