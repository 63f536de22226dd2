"""`tocsin prune` and `tocsin migrate --new-epoch`: readers get an error instead of a gap."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import func, select, update
from sqlmodel import col
from structlog.testing import capture_logs

from app.domain.access.caller import Permission
from app.services.change_log import pruning
from app.services.change_log.feed import Feed, FeedError
from app.services.change_log.feed_filters import FeedFilter
from app.store import tables
from app.store.change_log import changes
from app.store.engine import wake
from app.store.engine.advisory_locks import SERVING_LOCK
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.dialect import display_address, parse_database_url
from app.store.engine.serving_lock import ServersRunningError
from app.store.migrate import start_new_epoch
from tests.client import TIMEOUT_SECONDS, Client
from tests.conftest import Serve
from tests.factories import create_api_key
from tests.http.test_command import (
    COMMAND,
    command_environment,
    find_free_port,
    run_command,
    start_server,
)
from tests.http.test_workers import wait_for_serving_workers

OLD = datetime(2026, 1, 1, tzinfo=UTC)
HISTORY = """
query ($id: ID!, $after: String) {
  event(id: $id) { history(after: $after) { nodes { kind } beginsAt } }
}
"""
CHANGES = """
query ($after: String) {
  eventChanges(after: $after) { nodes { kind } edges { cursor } beginsAt }
}
"""
FOLLOW = "subscription ($after: String) { eventChanged(after: $after) { cursor kind } }"
BELL = """
query ($after: String) { notifications(first: 1, after: $after) { edges { cursor } } }
"""
RENAME = """
mutation ($id: ID!) { updateEvent(input: {id: $id, summary: "new"}) { userErrors { code } } }
"""


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


async def test_old_entries_are_removed_while_a_server_runs_and_counted(
    client: Client, database: Database, database_url: str, tmp_path: Path
) -> None:
    event = await client.log_event(summary="old", notification=True)
    await client.log_event(summary="old too", notification=True)
    cursors = [each["cursor"] for each in (await client.execute_field(CHANGES))["edges"]]
    bell = (await client.execute_field(BELL))["edges"][0]["cursor"]
    await set_entry_times(database, OLD)
    await client.execute_field(RENAME, id=event["id"])

    arguments = ("prune", "--before", "2026-01-02")
    dry = await run_command(tmp_path, *arguments, "--dry-run", database_url=database_url)
    unchanged = await client.execute_field(CHANGES)
    pruned = await run_command(tmp_path, *arguments, "--yes", database_url=database_url)

    number = dry[1].split()[2]
    assert dry == (0, f"Would remove {number} {WHAT}\n", "")
    assert pruned == (0, f"Removed {number} {WHAT}\n", "")
    assert (len(unchanged["nodes"]), unchanged["beginsAt"]) == (3, None)
    begins = "2026-01-02T00:00:00.000000Z"
    updated = {"nodes": [{"kind": "UPDATED"}], "beginsAt": begins}
    assert await client.execute_field(HISTORY, id=event["id"]) == {"history": updated}
    left = await client.execute_field(CHANGES, after=cursors[1])
    assert left == updated | {"edges": left["edges"]}
    for expected, given in ((CHANGES, {}), (HISTORY, {"id": event["id"]})):
        error = await client.expect_error(expected, after=cursors[0], **given)
        assert error["extensions"] == {"code": "CURSOR_EXPIRED", "path": ["after"]}
    # The notification list is not part of the change log.
    assert len((await client.execute_field(BELL, after=bell))["edges"]) == 1


async def test_a_subscription_resumes_after_the_pruned_entries_but_not_before(
    client: Client, database: Database
) -> None:
    await client.log_event(summary="old")
    first = (await client.execute_field(CHANGES))["edges"][0]["cursor"]
    await client.log_event(summary="old too")
    last = await client.execute_field("{ logHead }")
    await set_entry_times(database, OLD)

    removed = await pruning.prune_entries(database, OLD + timedelta(days=1))
    async with client.subscription(FOLLOW, after=first) as behind:
        refused = await behind.receive_error()
    async with client.subscription(FOLLOW, after=last) as follower:
        event = await client.log_event(summary="new")
        received = await follower.receive_next()

    assert removed >= 2
    assert refused["extensions"]["code"] == "CURSOR_EXPIRED"
    assert received["kind"] == "LOGGED"
    assert await client.execute_field("{ logHead }") == received["cursor"]
    history = (await client.execute_field(HISTORY, id=event["id"]))["history"]
    assert [each["kind"] for each in history["nodes"]] == ["LOGGED"]


async def test_a_reader_whose_next_entries_were_pruned_raises_an_error(
    database: Database, client: Client
) -> None:
    feed = Feed(database, 10, 1_000_000)
    async with database.read(ALL_ORGANIZATIONS) as session:
        organization_id = (await session.scalars(select(col(tables.Organization.id)))).one()
        start = feed.read_position = await changes.fetch_head(session)
    follower = feed.follow_entries(FeedFilter(organization_id), start)
    await client.log_event(summary="missed")
    await set_entry_times(database, OLD)

    await pruning.prune_entries(database, OLD + timedelta(days=1))
    await client.log_event(summary="new")
    subscription: Any = None
    async with feed:
        feed.read_position = start
        try:
            subscription = await anext(follower)
        except FeedError as error:
            subscription = error

    assert isinstance(subscription, FeedError)


async def test_pruning_in_batches_removes_exactly_the_old_entries(
    database: Database, client: Client
) -> None:
    for _ in range(5):
        await client.log_event()
    await set_entry_times(database, OLD)
    recent_events = [await client.log_event() for _ in range(3)]

    pruning.BATCH_SIZE, usual = 2, pruning.BATCH_SIZE
    try:
        await pruning.prune_entries(database, OLD + timedelta(seconds=1))
    finally:
        pruning.BATCH_SIZE = usual

    async with database.read(ALL_ORGANIZATIONS) as session:
        of_events = select(col(tables.Change.subject_id)).where(
            col(tables.Change.subject) == "event"
        )
        left = list(await session.scalars(of_events))
        events = (await session.scalars(select(func.count()).select_from(tables.Event))).one()
    assert sorted(map(str, left)) == sorted(each["id"] for each in recent_events)
    assert events == 8


AUDIT = """
query ($filter: AuditFilter) {
  auditEntries(filter: $filter) { nodes { action actor subjectType subjectName changes } }
}
"""


async def list_audit_entries(client: Client, *actions: str) -> list[Any]:
    filter = {"actions": actions} if actions else {}
    nodes: list[Any] = (await client.execute_field(AUDIT, filter=filter))["nodes"]
    return nodes


async def test_audit_entries_are_kept_and_each_organization_has_one_about_what_was_removed(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH_SIZE", 2)
    other = client.as_key(await create_api_key(database, *Permission, organization="acme"))
    for _ in range(5):
        await client.log_event()
    await other.log_event()
    await set_entry_times(database, OLD)
    await client.log_event()
    before = await list_audit_entries(client)
    start = OLD + timedelta(days=1)

    removed = await pruning.prune_entries(database, start)
    again = await pruning.prune_entries(database, start)

    old = "2026-01-01T00:00:00.000000Z"
    removal: dict[str, list[Any]] = {"removedAuditEntries": [None, 0]}
    removal |= {"before": [None, "2026-01-02T00:00:00.000000Z"]}
    removal |= {"oldestRemoved": [None, old], "newestRemoved": [None, old]}
    common = {"action": "RETENTION_APPLIED", "actor": "tocsin prune", "subjectType": "Organization"}
    assert (removed, again) == (6, 0)
    assert await list_audit_entries(client) == [
        common
        | {"subjectName": "Default", "changes": removal | {"removedEventChanges": [None, 5]}},
        *before,
    ]
    assert await list_audit_entries(other, "RETENTION_APPLIED") == [
        common | {"subjectName": "acme", "changes": removal | {"removedEventChanges": [None, 1]}}
    ]


async def test_audit_entries_are_removed_on_request(
    client: Client, database: Database, database_url: str, tmp_path: Path
) -> None:
    await client.log_event()
    await set_entry_times(database, OLD)
    entries = len(await list_audit_entries(client))
    arguments = ("prune", "--before", "2026-01-02", "--audit-entries")

    dry = await run_command(tmp_path, *arguments, "--dry-run", database_url=database_url)
    pruned = await run_command(tmp_path, *arguments, "--yes", database_url=database_url)

    assert entries > 0
    assert dry == (0, f"Would remove {entries + 1} {WHAT}\n", "")
    assert pruned == (0, f"Removed {entries + 1} {WHAT}\n", "")
    [left] = await list_audit_entries(client)
    assert left["action"] == "RETENTION_APPLIED"
    assert left["changes"]["removedAuditEntries"] == [None, entries]
    assert left["changes"]["removedEventChanges"] == [None, 1]


async def test_an_invalid_time_is_an_error_with_the_accepted_formats(tmp_path: Path) -> None:
    answer = await run_command(tmp_path, "prune", "--before", "2020")

    assert answer == (
        2,
        "",
        "--before: Invalid time '2020'. Use a date or a time in UTC: 2026-04-10 or "
        "2026-04-10T00:00:00Z.\n",
    )


async def test_a_time_in_the_future_is_rejected(tmp_path: Path) -> None:
    answer = await run_command(tmp_path, "prune", "--before", "2999-01-01")

    assert answer == (
        2,
        "",
        "--before: 2999-01-01T00:00:00.000000Z is in the future. Choose a time in the past.\n",
    )


async def test_a_database_that_was_never_migrated_is_not_changed(tmp_path: Path) -> None:
    code, out, err = await run_command(tmp_path, "prune", "--before", "2026-01-01", "--yes")

    assert (code, out) == (1, "")
    assert "`tocsin migrate`" in err


async def test_a_new_epoch_expires_every_cursor(
    database_url: str, tmp_path: Path, serve: Serve
) -> None:
    async with serve(database_url) as client:
        await client.log_event(summary="kept")
        cursor = await client.execute_field("{ logHead }")
        assert (await client.execute_field(CHANGES, after=cursor))["nodes"] == []

    old = await read_epoch(database_url)
    code, out, _ = await run_command(tmp_path, "migrate", "--new-epoch", database_url=database_url)
    new = await read_epoch(database_url)

    assert new != old
    assert out == (
        f"The database is up to date.\nThe change log has the new epoch {new}; the old epoch was "
        f"{old}. All existing cursors have expired: clients that use one get CURSOR_EXPIRED, and "
        "must load their lists again.\n"
    )
    async with serve(database_url) as client:
        error = await client.expect_error(CHANGES, after=cursor)
        assert (code, error["extensions"]["code"]) == (0, "CURSOR_EXPIRED")
        assert [each["kind"] for each in (await client.execute_field(CHANGES))["nodes"]] == [
            "LOGGED"
        ]


async def test_a_new_epoch_is_refused_while_a_server_runs(
    database_url: str, tmp_path: Path
) -> None:
    settings = {"database_url": database_url}
    migrate = ("migrate", "--new-epoch")
    old = await read_epoch(database_url)
    async with (
        start_server(tmp_path, find_free_port(), **settings) as (first, _),
        start_server(tmp_path, find_free_port(), **settings) as (second, _),
    ):
        both = await run_command(tmp_path, *migrate, **settings)
        without = await run_command(tmp_path, "migrate", **settings)
        first.send_signal(signal.SIGTERM)
        await first.wait()
        one = await run_command(tmp_path, *migrate, **settings)
        kept = await read_epoch(database_url)
        second.kill()
        await second.wait()
        code = 1
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while code != 0:  # PostgreSQL notices a killed client after a moment
                code, _, _ = await run_command(tmp_path, *migrate, **settings)

    address = display_address(parse_database_url(database_url))
    error = f"Servers are using the database at {address}. Stop all servers first.\n"
    assert both == one == (1, "", error)
    assert without == (0, "The database is up to date.\n", "")
    assert kept == old
    assert await read_epoch(database_url) != old


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_new_epoch_is_refused_for_a_link_to_the_database_of_a_server(
    database_url: str, tmp_path: Path
) -> None:
    file = parse_database_url(database_url).database or ""
    link = tmp_path / "link.db"
    link.symlink_to(file)
    async with start_server(tmp_path, find_free_port(), database_url=database_url):
        code, _, err = await run_command(
            tmp_path, "migrate", "--new-epoch", database_url=f"sqlite:///{link}"
        )

    assert code == 1
    assert err.startswith("Servers are using the database at ")


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_the_lock_of_servers_is_readable_for_servers_of_other_users(
    database_url: str, tmp_path: Path
) -> None:
    previous = os.umask(0o077)
    try:
        code, _, _ = await run_command(
            tmp_path, "migrate", "--new-epoch", database_url=database_url
        )
    finally:
        os.umask(previous)

    file = Path(f"{parse_database_url(database_url).database}-servers")
    assert code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_server_without_its_lock_logs_it_once_and_notices_commits(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake, "POLL_SECONDS", 10 * TIMEOUT_SECONDS)
    file = parse_database_url(database_url).database or ""
    Path(f"{file}-servers").mkdir()  # cannot be locked
    poller = wake.DataVersionPoller(parse_database_url(database_url))
    with capture_logs() as logs:
        await poller.start()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await poller.wait()  # the version when it starts
            with contextlib.closing(sqlite3.connect(file)) as connection:
                connection.execute("CREATE TABLE other (id)")
                connection.commit()
            await poller.wait()
        await poller.stop()

    [warning] = [each for each in logs if each["event"] == "serving_lock_failed"]
    assert warning["reason"].startswith(
        f"The file {file}-servers cannot be locked: Is a directory."
    )


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_new_epoch_is_refused_while_a_server_has_lost_its_connection(
    database_url: str, tmp_path: Path
) -> None:
    old = await read_epoch(database_url)
    async with start_server(tmp_path, find_free_port(), database_url=database_url):
        await wait_for_serving_workers(database_url, 1)
        connection = await asyncpg.connect(database_url)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks "
            f"WHERE locktype = 'advisory' AND objsubid = 1 AND objid = {SERVING_LOCK}"
        )
        await connection.close()
        with pytest.raises(ServersRunningError):
            await start_new_epoch(parse_database_url(database_url))
        await wait_for_serving_workers(database_url, 1)

    assert await read_epoch(database_url) == old


async def read_epoch(database_url: str) -> str:
    database = Database(database_url)
    async with database.read(ALL_ORGANIZATIONS) as session:
        epoch = (await session.scalars(select(col(tables.Log.epoch)))).one()
    await database.close()
    return epoch


WHAT = "entries older than 2026-01-02T00:00:00.000000Z from the change log."


async def set_entry_times(database: Database, instant: datetime) -> None:
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(update(tables.Change).values(at=instant))


async def test_one_organization_is_pruned_and_the_others_keep_their_entries(
    client: Client, database: Database, database_url: str, tmp_path: Path
) -> None:
    other = client.as_key(await create_api_key(database, *Permission, organization="acme"))
    await client.log_event()
    await other.log_event()
    await set_entry_times(database, OLD)
    arguments = ("prune", "--before", "2026-01-02", "--organization")

    dry = await run_command(tmp_path, *arguments, "acme", "--dry-run", database_url=database_url)
    pruned = await run_command(tmp_path, *arguments, "acme", "--yes", database_url=database_url)
    unknown = await run_command(tmp_path, *arguments, "no", "--yes", database_url=database_url)

    what = WHAT.removesuffix(".").replace("entries", "1 entry", 1) + " of the organization 'acme'."
    assert dry == (0, f"Would remove {what}\n", "")
    assert pruned == (0, f"Removed {what}\n", "")
    assert unknown == (2, "", "--organization: There is no organization with the key 'no'.\n")
    assert len((await client.execute_field(CHANGES))["nodes"]) == 1
    assert (await other.execute_field(CHANGES))["nodes"] == []


async def test_pruning_asks_for_confirmation_and_refuses_to_run_without_it(
    client: Client, database: Database, database_url: str, tmp_path: Path
) -> None:
    await client.log_event()
    await set_entry_times(database, OLD)
    arguments = ("prune", "--before", "2026-01-02")

    refused = await run_command(tmp_path, *arguments, database_url=database_url)
    no = await answer_question(tmp_path, database_url, b"n\n", *arguments)
    kept = len((await client.execute_field(CHANGES))["nodes"])
    yes = await answer_question(tmp_path, database_url, b"y\n", *arguments)

    assert refused == (
        2,
        "",
        "Pruning cannot be undone. Add --yes to confirm it, or --dry-run to count the entries.\n",
    )
    assert (no[0], kept) == (1, 1)
    assert no[1].endswith("Nothing was removed.\n")
    question = f"Permanently remove 1 entry {WHAT.removeprefix('entries ').removesuffix('.')}?"
    assert no[1].startswith(question)
    assert yes[0] == 0
    assert (await client.execute_field(CHANGES))["nodes"] == []


async def answer_question(
    tmp_path: Path, database_url: str, answer: bytes, *arguments: str
) -> tuple[int, str]:
    """Returns exit code and output of a command whose input is a terminal."""
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        cwd=tmp_path,
        env=command_environment(database_url=database_url),
        stdin=theirs,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    os.close(theirs)
    os.write(ours, answer)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        out, _ = await process.communicate()
    os.close(ours)
    return process.returncode or 0, out.decode()
