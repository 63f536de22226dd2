"""The search index: after upgrades, after changes, and at every limit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import unicodedata
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic import command
from sqlalchemy import Connection, MetaData, delete, func, select, text
from sqlmodel import col

from app import main
from app.database_setup import prepare_database
from app.domain.access.caller import Permission
from app.domain.events.words import extract_first_version_words, extract_words
from app.services.runtime import search_renewal
from app.store import tables
from app.store.alembic_upgrade import alembic_config
from app.store.data_migrations import migrate_data
from app.store.engine import dialect
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.writing import search_index
from app.store.writing.inserts import insert_rows
from app.store.writing.search_index import OutdatedWords
from tests.client import LOG_EVENT, Client
from tests.conftest import POSTGRESQL, SQLITE, Serve, build_settings
from tests.domain.examples import make_event
from tests.factories import create_api_key
from tests.graphql.test_history import DELETE, UPDATE
from tests.graphql.test_lists import EVENTS, extract_summaries
from tests.graphql.test_notifications import ADDED
from tests.store.empty_database import create_empty_database
from tests.store.undone_migrations import undo_since_0011

DEFAULT, OTHER, TYPE = (UUID(int=n) for n in (1, 2, 3))
NOON = datetime(2026, 4, 10, 12, tzinfo=UTC)
MANY = 1_100  # of more than two batches


@pytest.fixture
async def own_client(
    database_url: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Client]:
    """Its server does not renew words: at its start, it would renew those that a test stores."""
    async with contextlib.AsyncExitStack() as stack:
        with monkeypatch.context() as patch:
            patch.setattr(main, "start_renewing_words", lambda _: contextlib.nullcontext())
            client = await stack.enter_async_context(serve(database_url))
        yield client


@pytest.fixture(params=[SQLITE, POSTGRESQL])
async def empty_url(
    request: pytest.FixtureRequest, postgresql: str, tmp_path: Path
) -> AsyncIterator[str]:
    """A database without any table."""
    async with create_empty_database(request.param, postgresql, tmp_path) as url:
        yield url


async def create_older_database(url: str) -> None:
    """Creates a database like the first version of Tocsin, with events of two organizations."""
    engine = dialect.create_migration_engine(dialect.parse_database_url(url))
    async with engine.begin() as connection:
        await connection.run_sync(lambda each: command.upgrade(alembic_config(each), "0001"))
        await connection.run_sync(_fill)
    await engine.dispose()


def _fill(connection: Connection) -> None:
    metadata = MetaData()
    metadata.reflect(connection)

    def add(table: str, *rows: dict[str, Any]) -> None:
        plain = _plain_on_sqlite if connection.dialect.name == SQLITE else dict
        connection.execute(metadata.tables[table].insert(), [plain(row) for row in rows])

    for key, owner in (("default", DEFAULT), ("acme", OTHER)):
        add("organization", {"id": owner, "key": key, "name": key, "created_at": NOON})
    event_type = {
        "id": TYPE,
        "type": "pump.trip",
        "name": "Trip",
        "category": "pumps",
        "version": 1,
    }
    times = {"created_at": NOON, "updated_at": NOON}
    add("event_type", {"organization_id": DEFAULT, "state": "PUBLISHED"} | event_type | times)
    events = [_build_older_event(n, DEFAULT) for n in range(MANY)]
    typed = {"type": "pump.trip", "event_type_id": TYPE, "event_type_version": 1}
    events[7] |= typed | {"summary": "Pump 7 tripped"}
    events.append(_build_older_event(MANY, OTHER))
    add("event", *events)
    for each in events:
        owned = {"organization_id": each["organization_id"], "event_id": each["id"]}
        add("event_tag", *(owned | {"tag": tag} for tag in each["tags"]))


def _build_older_event(number: int, owner: UUID) -> dict[str, Any]:
    at = NOON + timedelta(seconds=number)
    return {
        "organization_id": owner,
        "id": UUID(int=1_000_000 + number),
        "type": "notice",
        "event_type_id": None,
        "event_type_version": None,
        "severity": "INFO",
        "summary": f"Event {number}",
        "content": "The CAFÉ is closed." if number == MANY - 1 else None,
        "source": "/older",
        "occurred_at": at,
        "recorded_at": at,
        "updated_at": at,
        "fields": {"n": number, "parts": ["bearing", number], "cause": "wear"},
        "tags": ["StudyId:1", f"N:{number}"],
        "notification": False,
        "version": 1,
    }


def _plain_on_sqlite(row: dict[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, UUID):
            return value.hex
        if isinstance(value, datetime):
            return value.isoformat(timespec="microseconds")
        return json.dumps(value) if isinstance(value, dict | list) else value

    return {name: plain(value) for name, value in row.items()}


async def create_reader_key(url: str, organization: str) -> str:
    """Creates a key, because no secret of the older database is known."""
    database = Database(url)
    key = await create_api_key(database, Permission.EVENT_READ, organization=organization)
    await database.close()
    return key


async def check_index_sync(database: Database) -> tuple[int, int]:
    """Returns the number of events and of rows of words. Raises an error if FTS5 is out of sync."""
    async with database.write(ALL_ORGANIZATIONS) as session:
        if database.url.get_backend_name() == SQLITE:
            check = "INSERT INTO event_search(event_search, rank) VALUES ('integrity-check', 1)"
            await session.execute(text(check))
        counts = [
            (await session.scalars(select(func.count()).select_from(table))).one()
            for table in (tables.Event, tables.EventWords)
        ]
    return counts[0], counts[1]


async def find_summaries(client: Client, **filter: Any) -> list[str]:
    return extract_summaries(await client.execute_field(EVENTS, filter=filter))


async def count_events(client: Client, **filter: Any) -> int:
    """Number of events that the filter selects."""
    count: int = (await client.execute_field(EVENTS, filter=filter))["totalCount"]
    return count


def field_filter(name: str, operator: str, value: Any) -> dict[str, Any]:
    return {"fields": [{"field": name, "operator": operator, "value": value}]}


async def test_events_of_an_older_database_can_be_searched(empty_url: str, serve: Serve) -> None:
    await create_older_database(empty_url)

    await prepare_database(build_settings(empty_url))

    async with serve(empty_url) as server:
        client = server.as_key(await create_reader_key(empty_url, "default"))
        assert await find_summaries(client, search="EVENT 500") == ["Event 500"]
        assert await find_summaries(client, search="café closed") == [f"Event {MANY - 1}"]
        assert await find_summaries(client, **field_filter("n", "GTE", MANY - 2)) == [
            *(f"Event {MANY - 1}", f"Event {MANY - 2}")
        ]
        assert await find_summaries(client, **field_filter("parts", "CONTAINS", 501)) == [
            "Event 501"
        ]
        assert await find_summaries(client, tags={"all": ["StudyId:1", "N:3"]}) == ["Event 3"]
        assert await find_summaries(client, category="pumps") == ["Pump 7 tripped"]
        assert await find_summaries(client, search="pump", types=["pump.*"]) == ["Pump 7 tripped"]
        everything = await client.execute_field(
            EVENTS, filter={"search": "event"} | field_filter("n", "GTE", 0)
        )
        assert (
            everything["totalCount"] == MANY - 1
        )  # without the pump's event and without the one of acme


async def test_each_event_of_an_older_database_is_indexed_once(empty_url: str) -> None:
    await create_older_database(empty_url)

    for _ in range(2):
        await prepare_database(build_settings(empty_url))

    database = Database(empty_url)
    assert await check_index_sync(database) == (MANY + 1, MANY + 1)
    await database.close()


async def test_words_of_an_older_database_are_found_only_in_their_organization(
    empty_url: str, serve: Serve
) -> None:
    await create_older_database(empty_url)
    await prepare_database(build_settings(empty_url))

    async with serve(empty_url) as server:
        client = server.as_key(await create_reader_key(empty_url, "default"))
        acme = server.as_key(await create_reader_key(empty_url, "acme"))

        assert await find_summaries(acme, search="event") == [f"Event {MANY}"]
        assert await find_summaries(acme, **field_filter("n", "GTE", 0)) == [f"Event {MANY}"]
        assert await find_summaries(client, search=f"event {MANY}") == []


async def test_the_index_of_words_stays_in_sync(own_client: Client, database: Database) -> None:
    ids = [
        (await own_client.log_event(summary=f"pump {n}", fields={"n": n}))["id"] for n in range(4)
    ]
    assert await check_index_sync(database) == (4, 4)

    await own_client.execute_field(
        UPDATE, input={"id": ids[0], "summary": "valve", "content": "pump"}
    )
    await own_client.execute_field(UPDATE, input={"id": ids[1], "fields": {"n": None}})
    await own_client.execute_field(DELETE, id=ids[2])

    assert await check_index_sync(database) == (3, 3)
    assert await find_summaries(own_client, search="pump") == ["pump 3", "pump 1", "valve"]
    assert await find_summaries(own_client, search="2") == []


async def test_stored_integers_beyond_doubles_are_compared_exactly_after_an_upgrade(
    own_client: Client, database: Database
) -> None:
    for number in (2**53, 2**53 + 1, -(2**53) - 1):
        await own_client.log_event(
            summary=str(number), fields={"n": number, "list": [number, "x", 2**53]}
        )
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(text("UPDATE event_value SET exact = NULL"))
        # An older version indexed integers with the same double only once.
        await session.execute(text("DELETE FROM event_value WHERE ordinal = 3"))

    async with database.write(ALL_ORGANIZATIONS) as session:
        connection = await session.connection()
        await connection.run_sync(migrate_data, "0008")

    for filter in (field_filter("n", "EQ", 2**53 + 1), field_filter("list", "CONTAINS", 2**53 + 1)):
        assert await find_summaries(own_client, **filter) == [str(2**53 + 1)]
    assert await find_summaries(own_client, **field_filter("n", "LT", -(2**53))) == [
        str(-(2**53) - 1)
    ]
    for element in (2**53, "x"):
        filter = field_filter("list", "CONTAINS", element)
        assert len(await find_summaries(own_client, **filter)) == 3


async def store_first_version_words(database: Database) -> None:
    """Replaces the words of all events by those of version 1."""
    event, words = tables.Event, tables.EventWords
    async with database.write(ALL_ORGANIZATIONS) as session:
        events = (await session.scalars(select(event).order_by(col(event.id)))).all()
        rows: list[dict[str, Any]] = [
            {
                "organization_id": each.organization_id,
                "event_id": each.id,
                "words": extract_first_version_words(f"{each.summary} {each.content or ''}")
                | {f"@{each.organization_id.hex}"},
                "version": 1,
            }
            for each in events
        ]
        await session.execute(delete(words))
        if session.get_bind().dialect.name == POSTGRESQL:
            await insert_rows(session, (words, rows))
            return
        insert = (
            "INSERT INTO event_words (organization_id, event_id, words, version) "
            "VALUES (:organization_id, :event_id, :words, :version)"
        )
        stored = [
            row
            | {name: row[name].hex for name in ("organization_id", "event_id")}
            | {"words": " ".join(map(encode_first_version_word, row["words"]))}
            for row in rows
        ]
        await session.execute(text(insert), stored)


def encode_first_version_word(word: str) -> str:
    """Encodes a word as SQLite stored it in version 1."""
    return f"a{word}" if word.isascii() and word.isalnum() else f"u{word.encode().hex()}"


async def list_outdated(database: Database, max_events: int = 100) -> list[OutdatedWords]:
    async with database.read(ALL_ORGANIZATIONS) as session:
        return await search_index.list_outdated_words(session, 0, max_events, 10_000_000)


async def wait_until_renewed(database: Database) -> None:
    async with asyncio.timeout(30), search_renewal.start_renewing_words(database):
        while await list_outdated(database):
            await asyncio.sleep(0.01)


HAN = "".join(chr(0x4E00 + n * (1 + n // 20_000) % 20_000) for n in range(20_000))


async def store_older_events(database: Database, *contents: str) -> list[UUID]:
    """Stores events with words of version 1. Returns their IDs."""
    async with database.write(ALL_ORGANIZATIONS) as session:
        organization_id = (await session.scalars(select(col(tables.Organization.id)))).one()
        states = [
            make_event(
                id=uuid4(),
                event_type_id=None,
                silenced_by_id=None,
                summary="older",
                content=content,
            )
            for content in contents
        ]
        rows = [tables.Event.build_columns(each, organization_id) for each in states]
        await insert_rows(session, (tables.Event, rows))
        owned = {"organization_id": organization_id, "version": 1}
        mark = f"@{organization_id.hex}"
        words = [
            owned | {"event_id": row["id"], "words": {"older", mark, *row["content"][:9].split()}}
            for row in rows
        ]
        await insert_rows(session, (tables.EventWords, words))
    return [row["id"] for row in rows]


async def renew(database: Database, batch: list[OutdatedWords]) -> int:
    rows = search_index.extract_outdated(batch)
    async with database.write(ALL_ORGANIZATIONS, writes_log=False) as session:
        return await search_index.replace_outdated_words(session, batch, rows)


async def test_alarms_are_logged_while_the_words_of_long_contents_are_renewed(
    own_client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store_older_events(database, *[HAN] * 30)
    monkeypatch.setattr(search_renewal, "MAX_CHARACTERS", len(HAN))
    alarms = 0

    async with search_renewal.start_renewing_words(database):
        while await list_outdated(database, 1):
            await own_client.log_event(summary="alarm", notification=True)
            alarms += 1

    assert await count_events(own_client, search="alarm") == alarms > 0
    assert await count_events(own_client, search=HAN[100:110]) == 30


async def test_a_batch_of_outdated_words_is_limited(database: Database) -> None:
    await store_older_events(database, "a" * 95, "b" * 95, "c" * 95, "d" * 1_000, "e", "f")
    batches = []
    after = 0

    async with database.read(ALL_ORGANIZATIONS) as session:
        while batch := await search_index.list_outdated_words(session, after, 3, 200):
            batches.append("".join((each.content or "")[0] for each in batch))
            after = batch[-1].id

    assert batches == ["ab", "cd", "ef"]


async def test_words_of_events_that_change_meanwhile_are_not_replaced(
    own_client: Client, database: Database
) -> None:
    older = await store_older_events(database, "one", "two", "three", "four")
    batch = await list_outdated(database)
    await own_client.execute_field(DELETE, id=str(older[0]))
    await own_client.execute_field(UPDATE, input={"id": str(older[1]), "content": "new"})
    assert await renew(database, batch[2:3]) == 1

    renewed = await renew(database, batch)

    assert renewed == 1
    assert await check_index_sync(database) == (3, 3)
    words = ("one", "two", "new", "three", "four", "older")
    counts = {word: await count_events(own_client, search=word) for word in words}
    assert counts == {"one": 0, "two": 0, "new": 1, "three": 1, "four": 1, "older": 3}


@pytest.mark.parametrize("dialect", [POSTGRESQL], indirect=True)
async def test_words_of_events_that_another_transaction_has_locked_are_not_replaced(
    database: Database,
) -> None:
    older = await store_older_events(database, "one", "two")
    batch = await list_outdated(database)

    async with database.write(ALL_ORGANIZATIONS) as session:
        locked = select(tables.Event).where(col(tables.Event.id) == older[0]).with_for_update()
        await session.execute(locked)
        assert await renew(database, batch) == 1

    assert [each.event_id for each in await list_outdated(database)] == older[:1]


async def test_an_event_whose_words_cannot_be_renewed_does_not_stop_the_others(
    own_client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = await store_older_events(database, *(f"content{n}" for n in range(9)))
    async with database.write(ALL_ORGANIZATIONS) as session:
        for statement in FAILING_WORDS[database.dialect.name]:
            await session.execute(text(statement.format(stored_id(database, older[4]))))
    monkeypatch.setattr(search_renewal, "RETRY_SECONDS", 0.01)

    async with asyncio.timeout(30), search_renewal.start_renewing_words(database):
        while [each.event_id for each in await list_outdated(database)] != older[4:5]:
            await asyncio.sleep(0.01)
        assert await count_events(own_client, search="cont*") == 8
        async with database.write(ALL_ORGANIZATIONS) as session:
            on_table = "" if database.dialect.name == SQLITE else " ON event_words"
            await session.execute(text(f"DROP TRIGGER words_fail{on_table}"))
        while await list_outdated(database):
            await asyncio.sleep(0.01)

    assert await count_events(own_client, search="cont*") == 9


def stored_id(database: Database, id: UUID) -> str:
    return id.hex if database.dialect.name == SQLITE else str(id)


# Triggers on the words of one event.
FAILING_WORDS = {
    SQLITE: [
        "CREATE TRIGGER words_fail BEFORE INSERT ON event_words WHEN NEW.event_id = '{}' "
        "BEGIN SELECT RAISE(ABORT, 'the words fail'); END"
    ],
    POSTGRESQL: [
        "CREATE FUNCTION words_fail() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'the words fail'; END $$",
        "CREATE TRIGGER words_fail BEFORE INSERT ON event_words FOR EACH ROW "
        "WHEN (NEW.event_id = '{}') EXECUTE FUNCTION words_fail()",
    ],
}
RENEWAL_SLEEPS = [
    "CREATE FUNCTION words_sleep() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN PERFORM pg_sleep(25); RETURN NEW; END $$",
    "CREATE TRIGGER words_sleep BEFORE INSERT ON event_words FOR EACH ROW "
    "WHEN (NEW.event_id = '{}') EXECUTE FUNCTION words_sleep()",
]


@pytest.mark.parametrize("dialect", [POSTGRESQL], indirect=True)
async def test_subscribers_do_not_wait_for_the_renewal_of_words(
    own_client: Client, database: Database
) -> None:
    [older] = await store_older_events(database, "one")
    async with database.write(ALL_ORGANIZATIONS) as session:
        for statement in RENEWAL_SLEEPS:
            await session.execute(text(statement.format(older)))
    sleeping = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"

    async def find_renewal() -> list[Any]:
        async with database.read(ALL_ORGANIZATIONS) as session:
            return list(await session.scalars(text(sleeping)))

    async with (
        own_client.subscription(ADDED) as added,
        search_renewal.start_renewing_words(database),
    ):
        while not (renewal := await find_renewal()):
            await asyncio.sleep(0.01)
        await own_client.log_event(summary="alarm", notification=True)

        notification = await added.receive_next()

        assert await find_renewal() == renewal
    assert notification["node"]["summary"] == "alarm"


async def test_words_of_each_version_are_found_until_all_are_renewed(
    own_client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for summary in ("火災 pump", "🔥 pump", f"reconfigured {'x' * 40}", "valve"):
        await own_client.log_event(summary=summary)
    await store_first_version_words(database)
    await own_client.log_event(summary="火災発生 pump 🔥")
    organization = await own_client.execute_field("{ organization { id } }")

    before = {
        search: await find_summaries(own_client, search=search)
        for search in ("pump", "火災", "🔥", "re*", "x" * 40, f"@{organization['id']}")
    }
    monkeypatch.setattr(search_renewal, "MAX_EVENTS", 2)
    await wait_until_renewed(database)
    after = {
        search: await find_summaries(own_client, search=search)
        for search in ("pump", "火災", "🔥", "re*", "x" * 40, f"{'x' * 30}*")
    }

    new, long = "火災発生 pump 🔥", f"reconfigured {'x' * 40}"
    assert before == {
        "pump": [new, "🔥 pump", "火災 pump"],
        "火災": [new, "火災 pump"],
        "🔥": [new],
        "re*": [],
        "x" * 40: [long],
        f"@{organization['id']}": [],
    }
    assert after == {
        "pump": [new, "🔥 pump", "火災 pump"],
        "火災": [new, "火災 pump"],
        "🔥": [new, "🔥 pump"],
        "re*": [long],
        "x" * 40: [long],
        f"{'x' * 30}*": [long],
    }
    assert await check_index_sync(database) == (5, 5)


async def test_events_change_while_their_words_are_renewed(
    own_client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [(await own_client.log_event(summary=f"pump {n}"))["id"] for n in range(40)]
    await store_first_version_words(database)
    monkeypatch.setattr(search_renewal, "MAX_EVENTS", 3)

    async def change_events() -> None:
        for number, id in enumerate(ids):
            if number % 3 == 0:
                await own_client.execute_field(DELETE, id=id)
            elif number % 3 == 1:
                await own_client.execute_field(UPDATE, input={"id": id, "summary": f"valve {id}"})

    # Two servers renew at the same time.
    await asyncio.gather(
        change_events(), wait_until_renewed(database), wait_until_renewed(database)
    )

    assert await check_index_sync(database) == (26, 26)
    for word, count in (("valve", 13), ("pump", 13), ("val*", 13)):
        filter = {"search": word}
        assert (await own_client.execute_field(EVENTS, filter=filter))["totalCount"] == count


async def test_an_upgrade_marks_stored_words_and_the_server_renews_them(
    own_client: Client, database: Database, database_url: str, dialect: str, serve: Serve
) -> None:
    await own_client.log_event(summary="🔥 reconfigured")
    await own_client.execute_field(
        'mutation { createEventType(input: {name: "火災警報"}) { userErrors { code } } }'
    )
    await store_first_version_words(database)
    async with database.write(ALL_ORGANIZATIONS) as session:
        for statement in (
            "DROP INDEX ix_event_words_outdated",
            "ALTER TABLE event_words DROP COLUMN version",
            *undo_since_0011(dialect),
            "UPDATE event_type SET words = ' 火災警報 '",
            "UPDATE alembic_version SET version_num = '0010'",
        ):
            await session.execute(text(statement))

    await prepare_database(build_settings(database_url))
    assert len(await list_outdated(database)) == 1
    async with serve(database_url) as later:
        async with asyncio.timeout(30):
            while await find_summaries(later, search="🔥 re*") == []:
                await asyncio.sleep(0.05)
        types = await later.execute_field(
            '{ eventTypes(filter: {search: "警報"}) { nodes { name } } }'
        )

    assert types == {"nodes": [{"name": "火災警報"}]}
    assert await list_outdated(database) == []


async def test_a_deleted_event_has_no_index_rows(own_client: Client, database: Database) -> None:
    event = await own_client.log_event(
        summary="pump", tags=["a"], fields={"a": ["b", 1], "c": None}
    )

    await own_client.execute_field(DELETE, id=event["id"])

    async with database.read(ALL_ORGANIZATIONS) as session:
        for table in (tables.EventTag, tables.EventWords, tables.EventValue):
            assert (await session.scalars(select(func.count()).select_from(table))).one() == 0
    assert await check_index_sync(database) == (0, 0)


LIGATURES = "ﷲﷴﷶﷷﷸ"  # NFKC makes a word of eight bytes of each
# NFKC ends a word and begins another one with the first and the last letter of these.
SEPARATORS = "ﷻﷺ"


def ligature_words(characters: int, ligatures: int) -> str:
    """Text of words with many bytes: each has a separator, ligatures and a wide letter."""
    letters = [each for each in map(chr, range(0x10000, 0x20000)) if each.isalpha()]
    words = (
        f"{SEPARATORS[number % 2]}{''.join(chosen)}{letter}"
        for number, (letter, *chosen) in enumerate(product(letters, *[LIGATURES] * ligatures))
    )
    return "".join(islice(words, characters // (ligatures + 2)))


# Each pair of neighbors occurs once: the distance of neighbors grows with each round.
WIDE_PAIRS = "".join(chr(0x20000 + n * (1 + n // 41_999) % 41_999) for n in range(100_000))
LONGEST = {
    "words of 28 bytes": ligature_words(100_000, 1),
    "words with a hash": ligature_words(100_000, 2),
    "pairs of wide characters": WIDE_PAIRS,
}


@pytest.mark.parametrize("kind", LONGEST)
async def test_100_000_characters_of_the_longest_words_are_stored_and_found(
    client: Client, kind: str
) -> None:
    content = LONGEST[kind]
    assert sum(len(word.encode()) for word in extract_words(content)) > 790_000

    event = await client.log_event(summary="long", content=content)

    assert event["content"] == content
    found_by = unicodedata.normalize("NFKC", content).split()[1:2] or [content[5:8]]
    assert await find_summaries(client, search=f"long {found_by[0]}") == ["long"]


FOUR_BYTES = "".join(chr(0x20000 + n) for n in range(255))  # letters with four bytes in UTF-8
AT_THE_LIMIT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a long list": (
        {"list": [n % 100 for n in range(20_000)]},
        field_filter("list", "CONTAINS", 99),
    ),
    "many names": ({f"{n:04}": n for n in range(5_000)}, field_filter("0999", "EQ", 999)),
    "long names": (
        {FOUR_BYTES[:-2] + f"{n:02}": FOUR_BYTES for n in range(30)},
        field_filter(FOUR_BYTES[:-2] + "29", "EQ", FOUR_BYTES),
    ),
    "a long text": ({"text": "é" * 32_000 + "x"}, field_filter("text", "CONTAINS", "éx")),
    "long texts": (
        {str(n): FOUR_BYTES * 2 + str(n) for n in range(30)},
        field_filter("29", "GT", FOUR_BYTES * 2 + "28"),
    ),
    "many lists": (
        {str(n): [f"{n} {m}" for m in range(100)] for n in range(60)},
        field_filter("59", "CONTAINS", "59 99"),
    ),
    "great numbers": (
        {"n": [10**300, -(10**300), 2**63, 5e-324]},
        field_filter("n", "CONTAINS", 2**63),
    ),
}


@pytest.mark.parametrize("limit", AT_THE_LIMIT)
async def test_fields_at_a_limit_are_stored_and_found(client: Client, limit: str) -> None:
    fields, filter = AT_THE_LIMIT[limit]

    event = await client.log_event(summary="full", fields=fields)

    assert event["fields"] == fields
    assert await find_summaries(client, **filter) == ["full"]
    await client.execute_field(UPDATE, input={"id": event["id"], "fields": dict.fromkeys(fields)})
    assert await find_summaries(client, **filter) == []


async def test_texts_that_differ_only_near_the_end_are_distinguished(client: Client) -> None:
    for end in ("a", "b"):
        await client.log_event(
            summary=end, fields={"text": "é" * 300 + end, "list": ["é" * 300 + end]}
        )

    for operator in ("EQ", "GTE"):
        assert await find_summaries(client, **field_filter("text", operator, "é" * 300 + "b")) == [
            "b"
        ]
    assert await find_summaries(client, **field_filter("text", "NE", "é" * 300 + "b")) == ["a"]
    assert await find_summaries(
        client, **field_filter("text", "IN", ["é" * 300 + "a", "é" * 200])
    ) == ["a"]
    assert await find_summaries(client, **field_filter("list", "CONTAINS", "é" * 300 + "a")) == [
        "a"
    ]


async def test_names_at_their_limit_are_stored_and_found(client: Client) -> None:
    names = [FOUR_BYTES[n:] + FOUR_BYTES[:n] for n in range(100)]
    attributes = {
        "type": FOUR_BYTES,
        "source": names[1],
        "sourceId": names[2],
        "subject": names[3],
        "entity": {"type": names[4], "id": names[5]},
        "tags": names,
        "summary": "full",
    }

    await client.log_event(**attributes)

    assert await find_summaries(
        client,
        types=[FOUR_BYTES[:254] + "*"],
        source=names[1],
        sourceIds=[names[2]],
        subject=names[3],
        entity=attributes["entity"],
        tags={"all": names},
    ) == ["full"]


async def test_a_field_over_64_kib_is_rejected_and_nothing_is_stored(
    own_client: Client, database: Database
) -> None:
    payload = await own_client.execute_field(LOG_EVENT, input={"fields": {"a": "x" * 65_536}})

    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        ("INVALID_INPUT", ["input", "fields"])
    ]
    assert await check_index_sync(database) == (0, 0)
