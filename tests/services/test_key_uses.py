"""Uses of keys: noted in memory, written in one statement, not lost with a flush that failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from app.services import key_uses, keys
from app.services.access import Access, authenticate
from app.services.key_uses import KeyUses
from app.store import tables
from app.store.database import EVERYWHERE, Database
from tests.client import ADMINISTRATOR
from tests.worlds import a_key

NOW = datetime(2026, 4, 10, 12, tzinfo=UTC)


def a_row(last_used_at: datetime | None = None, key_id: UUID | None = None) -> tables.ApiKey:
    return tables.ApiKey(
        id=key_id or uuid7(),
        organization_id=uuid7(),
        name="desk",
        prefix="",
        digest="",
        permissions=[],
        created_at=NOW,
        last_used_at=last_used_at,
    )


async def used(database: Database) -> list[datetime | None]:
    async with database.read(EVERYWHERE) as session:
        return [each.last_used_at for each in await keys.listed(session, NOW)]


@pytest.mark.parametrize(("seconds", "noted"), [(0, 0), (29, 0), (30, 1), (3600, 1)])
def test_a_use_is_noted_when_the_one_that_is_written_is_old(seconds: int, noted: int) -> None:
    uses = KeyUses()

    uses.note(a_row(last_used_at=NOW - timedelta(seconds=seconds)), NOW)

    assert len(uses) == noted


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_uses, "MOST", 3)
    uses = KeyUses()

    for _ in range(5):
        uses.note(a_row(), NOW)

    assert len(uses) == 3


async def test_many_keys_are_written_in_one_statement_each_with_its_latest_use(
    database: Database, statements: list[str]
) -> None:
    await a_key(database)
    async with database.read(EVERYWHERE) as session:
        [one, other] = await keys.listed(session, NOW)
    uses = KeyUses()
    for key, minutes in ((one, 1), (other, 2), (one, 3)):
        uses.note(key, NOW + timedelta(minutes=minutes))
    statements.clear()

    await uses.flush(database)
    await uses.flush(database)

    assert len([each for each in statements if each.startswith("UPDATE")]) == 1
    assert len(uses) == 0
    assert await used(database) == [NOW + timedelta(minutes=3), NOW + timedelta(minutes=2)]


async def test_an_earlier_use_of_another_process_does_not_take_the_place_of_a_later_one(
    database: Database,
) -> None:
    async with database.read(EVERYWHERE) as session:
        [key] = await keys.listed(session, NOW)
    here, there = KeyUses(), KeyUses()
    here.note(key, NOW + timedelta(minutes=2))
    there.note(key, NOW + timedelta(minutes=1))

    await here.flush(database)
    await there.flush(database)

    assert await used(database) == [NOW + timedelta(minutes=2)]


async def test_a_flush_that_fails_loses_nothing(database: Database, tmp_path: object) -> None:
    broken = Database(f"sqlite:///{tmp_path}/empty.db")
    access = Access(database)
    await authenticate(access, f"Bearer {ADMINISTRATOR}")

    await access.uses.flush(broken)
    await broken.close()

    assert len(access.uses) == 1
    assert await used(database) == [None]
    await access.uses.flush(database)
    assert await used(database) != [None]
