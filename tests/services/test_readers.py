"""Readers return what a filter, a sort and a slice in Python select, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.caller import Caller
from app.domain.event_types.conditions import ConditionalEffect, ConditionalRule
from app.domain.event_types.definitions import EventTypeDefinition
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.filters import EventFilter, filter_matches
from app.domain.events.predicates import FieldPredicate, PredicateOperator
from app.domain.events.severity import Severity
from app.domain.events.state import EventState, SourceIdentity
from app.domain.rules.duplicates import DuplicateAction
from app.domain.rules.guards import GuardEnforcement, GuardRuleState
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.auth.organizations import insert_organization
from app.services.change_log import notifications
from app.services.change_log.notifications import NOTIFICATION_LIST, NotificationPageRequest
from app.services.change_log.silences import SILENCE_LIST, SilencePageRequest
from app.services.definitions import guards
from app.services.definitions.event_types import (
    CONDITIONAL_RULE_BY_ID,
    EVENT_TYPE_BY_KEY,
    EVENT_TYPE_LIST,
    FIELD_BY_ID,
    EventTypeFilter,
    EventTypePageRequest,
)
from app.services.definitions.rules import RulePageRequest
from app.services.event_types import event_type_commands
from app.services.events import event_queries, events
from app.services.events.event_queries import (
    EVENT_BY_KEY,
    EVENT_LIST,
    EventOrderField,
    EventPageRequest,
)
from app.services.rules import duplication_rules, guard_rules
from app.services.shared.readers import TOTAL_COUNT, UNACKNOWLEDGED_COUNT, ListReader, lookup_by_id
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.reading import projection, statements
from app.store.reading.pages import PageRequest, encode_cursor
from app.store.writing.inserts import insert_rows
from tests.factories import NOON, admin_caller, admin_command, notification_draft
from tests.store import test_agreement
from tests.store.test_agreement import draw_examples, insert_events

Row = TypeVar("Row")
PAGES = 200


@dataclass(frozen=True)
class Window:
    """A part of a list: its first or last `size` rows, those beside a row, or after an offset."""

    size: int
    backwards: bool = False
    after: int | None = None
    before: int | None = None
    offset: int = 0

    def slice(self, length: int) -> tuple[int, int]:
        """The start and the end of the page in a list of this length."""
        start = self.offset if self.after is None else self.after + 1
        end = length if self.before is None else self.before
        if self.backwards:
            return max(start, end - self.size), end
        return start, min(start + self.size, end)


def draw_window(chance: Random, length: int, *, forwards_only: bool = False) -> Window:
    """A random window, with the cursor of a row or an offset in the list if it has rows."""
    size = chance.randint(1, 12)
    kind = chance.choice(("first", "after") if forwards_only else tuple(vars(Window(1))))
    if not length or kind in ("first", "size"):
        return Window(size)
    position = chance.randrange(length)
    backwards = not forwards_only and kind != "offset" and chance.random() < 0.5
    if kind == "offset":
        return Window(size, offset=position)
    if kind == "backwards":
        return Window(size, backwards=True)
    if kind == "after":
        return Window(size, backwards, after=position)
    return Window(size, backwards, before=position)


async def check_page(
    database: Database,
    caller: Caller,
    reader: ListReader[Any, Any],
    build_request: Callable[[PageRequest], Any],
    expected: Sequence[Row],
    encode: Callable[[Row], str],
    window: Window,
    to_domain: Callable[[Any], Row],
) -> None:
    """The page, its cursors and its total are those of the window in the expected list."""
    after, before = (
        None if position is None else encode(expected[position])
        for position in (window.after, window.before)
    )
    request = build_request(
        PageRequest(window.size, window.backwards, after, before, window.offset)
    )
    start, end = window.slice(len(expected))

    page = await reader.fetch_page(database, caller, request)
    columns = projection.Projection(reader.table, (*reader.sort_columns,))
    narrow = await reader.fetch_columns(database, caller, request, columns, (TOTAL_COUNT,))

    rows = [to_domain(row) for row in page.rows]
    assert rows == list(expected[start:end]), request
    assert [page.encode_row_cursor(row) for row in page.rows] == [*map(encode, rows)], request
    assert (page.has_previous, page.has_next) == (start > 0, end < len(expected)), request
    assert len(narrow.rows) == len(rows), request
    assert narrow.counts == {TOTAL_COUNT: len(expected)}, request
    assert await reader.count_rows(database, caller, request) == len(expected), request


SORT_VALUES: dict[EventOrderField, Callable[[EventState], Any]] = {
    EventOrderField.OCCURRED_AT: lambda event: event.occurred_at,
    EventOrderField.RECORDED_AT: lambda event: event.recorded_at,
    EventOrderField.LAST_OCCURRED_AT: lambda event: event.latest_occurrence,
    EventOrderField.SEVERITY: lambda event: event.severity.rank,
}


# Filters of many forms, and some that select many events.
filter_lists = st.lists(
    st.one_of(
        test_agreement.composed,
        st.builds(EventFilter, search=test_agreement.names),
        st.builds(EventFilter, fields=st.tuples(test_agreement.predicates())),
        st.builds(EventFilter, types=st.lists(test_agreement.names, max_size=2).map(tuple)),
        st.builds(EventFilter, occurred_at=test_agreement.spans),
        st.builds(
            EventFilter, severities=st.lists(st.sampled_from(Severity), max_size=3).map(tuple)
        ),
        st.builds(EventFilter, notification=st.booleans()),
    ),
    max_size=2,
).map(tuple)


def draw_events() -> list[EventState]:
    """Events with different IDs, to which the filters by ID refer."""
    drawn = draw_examples(test_agreement.events, len(test_agreement.IDS))
    events = [replace(event, id=id_) for event, id_ in zip(drawn, test_agreement.IDS, strict=False)]
    return test_agreement.remove_repeated_alert_keys(events)


def sort_key(field: EventOrderField, event: EventState) -> tuple[Any, UUID]:
    return SORT_VALUES[field](event), event.id


def encode_event_cursor(
    caller: Caller, field: EventOrderField, order_name: str, event: EventState
) -> str:
    value, event_id = sort_key(field, event)
    json_value = value if field is EventOrderField.SEVERITY else value.isoformat()
    return encode_cursor(caller.organization_id, order_name, json_value, str(event_id))


def encode_id_cursor(caller: Caller, order_name: str, row: dict[str, Any]) -> str:
    return encode_cursor(caller.organization_id, order_name, str(row["id"]))


async def test_pages_of_events_are_slices_of_the_sorted_matches(database: Database) -> None:
    caller = await admin_caller(database)
    stored = draw_events()
    await insert_events(database, caller.organization_id, stored)
    await insert_events_of_other_organization(database, stored)
    drawn_filters = draw_examples(filter_lists, PAGES)
    chance = Random(1)

    lengths = []
    for filters in drawn_filters:
        field, descending = chance.choice([*EventOrderField]), chance.random() < 0.5
        order = event_queries.event_order(field, descending)
        expected = sorted(
            (each for each in stored if all(filter_matches(filter, each) for filter in filters)),
            key=partial(sort_key, field),
            reverse=descending,
        )
        lengths.append(len(expected))

        await check_page(
            database,
            caller,
            EVENT_LIST,
            partial(EventPageRequest, filters, order),
            expected,
            partial(encode_event_cursor, caller, field, order.name),
            draw_window(chance, len(expected)),
            tables.Event.to_domain,
        )

    assert sum(0 < length < len(stored) for length in lengths) > PAGES / 8


async def insert_events_of_other_organization(
    database: Database, states: Sequence[EventState]
) -> None:
    async with database.write(ALL_ORGANIZATIONS) as session:
        other = await insert_organization(session, "other", "Other", NOON)
    assert other is not None
    await insert_events(database, other, [replace(each, id=uuid7()) for each in states])


async def test_an_event_is_found_by_its_id_and_by_its_source(database: Database) -> None:
    caller = await admin_caller(database)
    stored = draw_events()
    await insert_events(database, caller.organization_id, stored)
    await insert_events_of_other_organization(database, stored)
    sourced = [each for each in stored if each.source_id is not None]
    keys: list[UUID | SourceIdentity] = [each.id for each in stored[:50]]
    keys += [SourceIdentity(each.source, each.source_id or "") for each in sourced[:50]]
    keys += [SourceIdentity(each.source, "unknown") for each in sourced[:3]]

    async with database.read(ALL_ORGANIZATIONS) as session:
        others = select(col(tables.Event.id)).where(
            col(tables.Event.organization_id) != caller.organization_id
        )
        keys += list(await session.scalars(others.limit(3)))

    found = 0
    for key in keys:
        if isinstance(key, UUID):
            matching = [each for each in stored if each.id == key]
        else:
            matching = [each for each in stored if (each.source, each.source_id) == vars_of(key)]
        row = await EVENT_BY_KEY.fetch_row(database, caller, key)
        expected = min(matching, key=lambda event: event.id, default=None)
        assert (row and row.to_domain()) == expected, key
        found += expected is not None
    assert found == len(keys) - 6


def vars_of(key: SourceIdentity) -> tuple[str, str]:
    return key.source, key.source_id


async def test_pages_of_notifications_are_slices_in_the_order_of_the_change_log(
    database: Database,
) -> None:
    command = await admin_command(database)
    caller, chance = command.actor, Random(2)
    for n in range(60):
        draft = notification_draft(
            f"number {n}", severity=chance.choice(["info", "warn", "error"]), source=f"s{n % 3}"
        )
        drafts = [draft, replace(draft, notification=False)][: chance.randint(1, 2)]
        await events.log_events(database, command, drafts)
    rows = await fetch_all(database, caller, tables.Event)
    for row in chance.sample(rows, 40):
        await notifications.acknowledge_event(database, command, row.id, "seen")
    for row in chance.sample(rows, 8):
        await events.update_event(database, command, row.id, {"notification": False})
    rows = await fetch_all(database, caller, tables.Event)
    positions = {row.id: (row.rang_tx, row.rang_seq) for row in rows if row.notification}
    states = sorted(
        (row.to_domain() for row in rows if row.id in positions),
        key=lambda event: positions[event.id],
        reverse=True,
    )
    async with database.read(caller.organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)

    def encode(event: EventState) -> str:
        position = changes.LogPosition(*positions[event.id])
        return changes.encode_log_cursor(caller.organization_id, snapshot, position, complete=False)

    for filter in (
        EventFilter(),
        EventFilter(acknowledged=True),
        EventFilter(acknowledged=False),
        EventFilter(notification=False),
        EventFilter(severities=(Severity.ERROR,)),
        EventFilter(search="number 1*", or_=(EventFilter(source="s1"), EventFilter(source="s2"))),
    ):
        expected = [event for event in states if filter_matches(filter, event)]
        unacknowledged = sum(event.acknowledged_at is None for event in expected)
        for _ in range(12):
            window = draw_window(chance, len(expected), forwards_only=True)
            await check_page(
                database,
                caller,
                NOTIFICATION_LIST,
                partial(NotificationPageRequest, filter),
                expected,
                encode,
                window,
                tables.Event.to_domain,
            )
        request = NotificationPageRequest(filter, PageRequest(3))
        columns = projection.Projection(tables.Event, ("summary",))
        page = await NOTIFICATION_LIST.fetch_columns(
            database, caller, request, columns, (UNACKNOWLEDGED_COUNT,)
        )
        counted = await NOTIFICATION_LIST.count_rows(
            database, caller, request, UNACKNOWLEDGED_COUNT
        )
        assert page.counts == {UNACKNOWLEDGED_COUNT: unacknowledged}
        assert counted == unacknowledged


async def fetch_all(database: Database, caller: Caller, table: type[Any]) -> list[Any]:
    async with database.read(caller.organization_id) as session:
        return list(await session.scalars(select(table).order_by(col(table.id))))


@pytest.mark.parametrize("position", [(-1, 1), (2**63, 1), (0, 2**70), (10**6, 1), (0, 10**6)])
async def test_a_forged_cursor_of_notifications_has_expired(
    database: Database, position: tuple[int, int]
) -> None:
    command = await admin_command(database)
    await events.log_events(database, command, [notification_draft("there")])
    async with database.read(command.actor.organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)
    if position[0] == -1:
        cursor = changes.encode_log_cursor(
            command.actor.organization_id,
            replace(snapshot, epoch="another"),
            changes.LOG_START,
            complete=True,
        )
    else:
        cursor = encode_cursor(
            command.actor.organization_id, "log", snapshot.identity, *position, None
        )
    request = NotificationPageRequest(EventFilter(), PageRequest(3, after=cursor))

    with pytest.raises(RequestError) as refused:
        await NOTIFICATION_LIST.fetch_page(database, command.actor, request)

    assert (refused.value.code, refused.value.path) == (ErrorCode.CURSOR_EXPIRED, ("after",))


@pytest.mark.parametrize("parts", [("x",), ("x", 1.5, 1, None), ("x", "1", 1, None), ()])
async def test_a_malformed_cursor_of_notifications_is_invalid(
    database: Database, parts: tuple[Any, ...]
) -> None:
    caller = await admin_caller(database)
    cursor = encode_cursor(caller.organization_id, "log", *parts)
    request = NotificationPageRequest(EventFilter(), PageRequest(3, after=cursor))

    with pytest.raises(RequestError) as refused:
        await NOTIFICATION_LIST.fetch_page(database, caller, request)

    assert (refused.value.code, refused.value.path) == (ErrorCode.INVALID_CURSOR, ("after",))


async def test_pages_of_event_types_are_slices_in_the_order_of_creation(
    database: Database,
) -> None:
    command = await admin_command(database)
    caller, chance = command.actor, Random(3)
    texts: dict[UUID, str] = {}
    for n in range(40):
        name = " ".join(chance.sample(["pump", "pumping", "valve", "rig", "flare"], 2))
        definition = EventTypeDefinition(
            name,
            f"acme.t{n}",
            chance.choice([None, "about a well"]),
            chance.choice(["wells", "pipes"]),
            chance.choice([EventTypeState.DRAFT, EventTypeState.PUBLISHED]),
        )
        created = await event_type_commands.create_event_type(database, command, definition)
        assert created.event_type is not None
        words = (name, definition.type, definition.category, definition.description or "")
        texts[created.event_type.id] = " ".join(map(str, words))
    rows = await fetch_all(database, caller, tables.EventType)

    for search in (None, "pum", "PUMP rig", "acme t1", "nothing", "well"):
        for states in (None, (EventTypeState.DRAFT,), (), (*EventTypeState,)):
            filter = EventTypeFilter(states, chance.choice([None, "wells"]), search)
            prefixes = (search or "").lower().split()
            expected = [
                row
                for row in rows
                if (states is None or row.state in states)
                and filter.category in (None, row.category)
                and all(
                    any(
                        word.startswith(prefix)
                        for word in texts[row.id].lower().replace(".", " ").split()
                    )
                    for prefix in prefixes
                )
            ]
            await check_page(
                database,
                caller,
                EVENT_TYPE_LIST,
                partial(EventTypePageRequest, filter),
                [*map(columns_of, expected)],
                partial(encode_id_cursor, caller, "event-types"),
                draw_window(chance, len(expected)),
                columns_of,
            )

    for row in rows[:3]:
        for key in (row.id, row.type):
            found = await EVENT_TYPE_BY_KEY.fetch_row(database, caller, key)
            assert found is not None
            assert columns_of(found) == columns_of(row)
    assert await EVENT_TYPE_BY_KEY.fetch_row(database, caller, "acme.t") is None
    assert await EVENT_TYPE_BY_KEY.fetch_row(database, caller, UUID(int=1)) is None


async def test_fields_and_conditional_rules_are_found_by_their_ids(database: Database) -> None:
    command = await admin_command(database)
    fields = (
        FieldDefinition("a", FieldKind.NUMBER, minimum=-0.5, maximum=1e15, unit="m", default=1),
        FieldDefinition("b", FieldKind.SELECT, required=True, options=("x", "é"), help_text="h"),
        FieldDefinition("c", FieldKind.TEXT, min_length=1, max_length=5, pattern="^x"),
        FieldDefinition("d", FieldKind.MULTI_SELECT, options=("x", "y"), default=["x"]),
    )
    condition = FieldPredicate("a", PredicateOperator.GTE, 0.5)
    rule = ConditionalRule("r", ConditionalEffect.SHOW, ("b", "c"), condition)
    definition = EventTypeDefinition("G", fields=fields, rules=(rule,))
    created = await event_type_commands.create_event_type(database, command, definition)
    assert created.problems == ()

    for reader, count in (
        (FIELD_BY_ID, 4),
        (CONDITIONAL_RULE_BY_ID, 1),
    ):
        rows = await fetch_all(database, command.actor, reader.table)
        assert len(rows) == count
        for row in rows:
            found = await reader.fetch_row(database, command.actor, row.id)
            assert found is not None
            assert columns_of(found) == columns_of(row)
        assert await reader.fetch_row(database, command.actor, UUID(int=1)) is None


def columns_of(row: tables.OrganizationOwned) -> dict[str, Any]:
    """The ID and, as texts because True equals 1, all columns."""
    columns = {name: repr(getattr(row, name)) for name in type(row).model_fields}
    return {"id": getattr(row, "id"), "columns": columns}  # noqa: B009


def encode_rule_cursor(caller: Caller, name: str, row: dict[str, Any]) -> str:
    """The cursor of a guard rule has its ID, and that of a duplication rule its position, too."""
    position = row["columns"].get("position")
    parts = () if position is None else (int(position),)
    return encode_cursor(caller.organization_id, name, *parts, str(row["id"]))


async def test_pages_of_rules_are_slices_in_their_order(database: Database) -> None:
    command = await admin_command(database)
    caller, chance = command.actor, Random(4)
    type_ids: list[UUID | None] = [None]
    for name in ("a", "b"):
        created = await event_type_commands.create_event_type(
            database, command, EventTypeDefinition(name, state=EventTypeState.PUBLISHED)
        )
        assert created.event_type is not None
        type_ids.append(created.event_type.id)
    for n in range(30):
        type_id = chance.choice(type_ids)
        guard = {"name": f"g{n}", "expression": "true", "message": "m"}
        guard |= {"enforcement": chance.choice([*GuardEnforcement])}
        result = await guard_rules.create_rule(database, command, type_id, guard)
        assert result.rule is not None, result
        if chance.random() < 0.4:
            await guard_rules.publish_rule(database, command, result.rule.id, None)
        attributes = {
            "name": f"d{n}",
            "fingerprint": ("subject", "entity"),
            "window": timedelta(seconds=n),
            "action": chance.choice([*DuplicateAction]),
        }
        position = chance.randint(0, n)
        await duplication_rules.create_rule(
            database, command, type_id, attributes, n % 2 == 0, position
        )

    states = [None, *GuardRuleState]
    reader: ListReader[Any, Any]
    for reader in (guards.RULE_LIST, duplication_rules.RULE_LIST):
        name = str(reader.table.__tablename__)
        by_id = lookup_by_id(reader.table)
        rows = await fetch_all(database, caller, reader.table)
        rows.sort(key=lambda row: getattr(row, "position", 0))
        assert len(rows) == 30
        for type_id in type_ids:
            for state in states if name == "guard_rule" else [None]:
                expected = [
                    columns_of(row)
                    for row in rows
                    if type_id in (None, row.event_type_id)
                    and (state is None or row.state is state)
                ]
                for _ in range(6):
                    await check_page(
                        database,
                        caller,
                        reader,
                        partial(RulePageRequest, type_id, state=state),
                        expected,
                        partial(encode_rule_cursor, caller, name),
                        draw_window(chance, len(expected)),
                        columns_of,
                    )
        found = await by_id.fetch_row(database, caller, rows[3].id)
        assert found is not None
        assert columns_of(found) == columns_of(rows[3])
        assert await by_id.fetch_row(database, caller, UUID(int=1)) is None


async def test_pages_of_silences_are_slices_newest_first(database: Database) -> None:
    caller, chance, now = await admin_caller(database), Random(5), datetime.now(UTC)
    silences = [
        tables.Silence(
            id=uuid7(),
            organization_id=caller.organization_id,
            filter={"source": str(n)},
            starts_at=now + timedelta(hours=(start := chance.randint(-2, 1))),
            ends_at=now + timedelta(hours=start + chance.randint(1, 3)),
            comment=str(n),
            created_at=now,
            created_by="a",
        )
        for n in range(40)
    ]
    async with database.write(ALL_ORGANIZATIONS, writes_log=False) as session:
        await insert_rows(session, (tables.Silence, [each.to_columns() for each in silences]))
    rows = [*reversed(await fetch_all(database, caller, tables.Silence))]

    for active, ended in product((None, True, False), repeat=2):
        expected = [
            columns_of(row)
            for row in rows
            if active in (None, row.starts_at <= now < row.ends_at)
            and ended in (None, row.ends_at <= now)
        ]
        assert (len(expected) > 5) is (not active or not ended)
        for _ in range(10):
            await check_page(
                database,
                caller,
                SILENCE_LIST,
                partial(SilencePageRequest, active=active, ended=ended),
                expected,
                partial(encode_id_cursor, caller, "silence"),
                draw_window(chance, len(expected)),
                columns_of,
            )


async def test_a_filter_with_too_many_values_is_a_request_error(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = await admin_caller(database)
    ids = tuple(UUID(int=n) for n in range(40))
    order = event_queries.event_order(EventOrderField.OCCURRED_AT, True)
    request = EventPageRequest((EventFilter(ids=ids),), order, PageRequest(5))
    columns = projection.Projection(tables.Event, ("summary", "severity"))

    # Enough for the page and for the count, but not for both in one statement.
    monkeypatch.setattr(statements, "MAX_PARAMETERS", 60)
    page = await EVENT_LIST.fetch_columns(database, caller, request, columns, (TOTAL_COUNT,))
    monkeypatch.setattr(statements, "MAX_PARAMETERS", 30)
    columns = projection.Projection(tables.Event, ("severity", "summary"))
    with pytest.raises(RequestError) as refused:
        await EVENT_LIST.fetch_columns(database, caller, request, columns)

    assert (page.rows, page.counts) == ([], {TOTAL_COUNT: 0})
    assert refused.value.code is ErrorCode.BAD_USER_INPUT
    assert "accepts at most 30 in a statement" in refused.value.message
