"""Uses of keys: recorded in memory, written in one statement, kept if a flush fails."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text, update
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.intake.intake import CommandContext
from app.services.auth import key_uses, keys
from app.services.auth.access import Access, authenticate_credential
from app.services.auth.key_uses import KeyUseRecorder
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import ADMINISTRATOR
from tests.factories import create_api_key, create_key_caller
from tests.services.test_correlating_at_once import wait_for_blocked_locks

NOW = datetime(2026, 4, 10, 12, tzinfo=UTC)


async def fetch_last_uses(database: Database) -> list[datetime | None]:
    async with database.read(ALL_ORGANIZATIONS) as session:
        return [each.last_used_at for each in await keys.list_keys(session, NOW)]


@pytest.mark.parametrize(("seconds", "noted"), [(0, 0), (29, 0), (30, 1), (3600, 1)])
def test_a_use_is_recorded_if_the_stored_one_is_old(seconds: int, noted: int) -> None:
    uses = KeyUseRecorder()

    uses.record_use(uuid7(), NOW, NOW - timedelta(seconds=seconds))

    assert len(uses) == noted


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_uses, "MAX_PENDING_KEYS", 3)
    uses = KeyUseRecorder()

    for _ in range(5):
        uses.record_use(uuid7(), NOW)

    assert len(uses) == 3


async def test_the_latest_uses_of_many_keys_are_written_in_one_statement(
    database: Database, statements: list[str]
) -> None:
    await create_api_key(database)
    async with database.read(ALL_ORGANIZATIONS) as session:
        [one, other] = await keys.list_keys(session, NOW)
    uses = KeyUseRecorder()
    for key, minutes in ((one, 1), (other, 2), (one, 3)):
        uses.record_use(key.id, NOW + timedelta(minutes=minutes))
    statements.clear()

    await uses.flush(database)
    await uses.flush(database)

    assert len([each for each in statements if each.startswith("UPDATE")]) == 1
    assert len(uses) == 0
    assert await fetch_last_uses(database) == [
        NOW + timedelta(minutes=3),
        NOW + timedelta(minutes=2),
    ]


async def test_an_earlier_use_in_another_process_does_not_replace_a_later_one(
    database: Database,
) -> None:
    async with database.read(ALL_ORGANIZATIONS) as session:
        [key] = await keys.list_keys(session, NOW)
    here, there = KeyUseRecorder(), KeyUseRecorder()
    here.record_use(key.id, NOW + timedelta(minutes=2))
    there.record_use(key.id, NOW + timedelta(minutes=1))

    await here.flush(database)
    await there.flush(database)

    assert await fetch_last_uses(database) == [NOW + timedelta(minutes=2)]


async def test_a_failed_flush_loses_no_uses(database: Database, tmp_path: object) -> None:
    broken = Database(f"sqlite:///{tmp_path}/empty.db")
    access = Access(database)
    await authenticate_credential(access, f"Bearer {ADMINISTRATOR}")

    await access.key_uses.flush(broken)
    await broken.close()

    assert len(access.key_uses) == 1
    assert await fetch_last_uses(database) == [None]
    await access.key_uses.flush(database)
    assert await fetch_last_uses(database) != [None]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_revocation_concurrent_with_a_flush_is_not_lost(
    database: Database, database_url: str
) -> None:
    older, newer = await create_key_caller(database), await create_key_caller(database)
    assert older.credential_id is not None
    assert newer.credential_id is not None
    writing = Database(database_url)

    async with writing.write(ALL_ORGANIZATIONS) as session:
        # The transaction that detects a deadlock first is rolled back: this one detects it later.
        await session.execute(text("SET LOCAL deadlock_timeout = '1min'"))
        used = update(tables.ApiKey).values(last_used_at=NOW)
        await session.execute(used.where(col(tables.ApiKey.id) == older.credential_id))
        revoking = asyncio.create_task(
            keys.revoke(database, CommandContext(newer, datetime.now(UTC)), older.credential_id)
        )
        await wait_for_blocked_locks(database, 1)
        await session.execute(used.where(col(tables.ApiKey.id) == newer.credential_id))
    saved = await revoking
    await writing.close()

    assert saved.problems == ()
    assert saved.key is not None
    assert saved.key.revoked_at is not None
