"""Background tasks: their statements are distinguished from those of requests."""

from __future__ import annotations

import asyncio

from sqlalchemy import text

from app.services.shared.background_tasks import in_background, run_in_background
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import TIMEOUT_SECONDS
from tests.conftest import Statements

FIRST, SECOND = "SELECT 1", "SELECT 2"


async def read_both_ways(database: Database) -> None:
    async with database.read(ALL_ORGANIZATIONS) as session:
        await session.execute(text(FIRST))
    await database.row_reader.fetch_rows(SECOND, [])


async def test_statements_of_background_tasks_are_not_counted(
    database: Database, statements: Statements
) -> None:
    finished = asyncio.Event()

    async def work() -> None:
        await read_both_ways(database)
        finished.set()

    async with run_in_background(work(), "test"), asyncio.timeout(TIMEOUT_SECONDS):
        await finished.wait()
    in_task = list(statements)
    await read_both_ways(database)

    assert not {FIRST, SECOND} & set(in_task)
    assert [each for each in statements if each in (FIRST, SECOND)] == [FIRST, SECOND]


async def test_only_statements_of_the_task_count_as_background() -> None:
    inside: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        inside.set_result(in_background())

    async with run_in_background(work(), "test"), asyncio.timeout(TIMEOUT_SECONDS):
        assert await inside
    assert not in_background()
