"""Servers of version 0.1.0 that still run after the migration cannot write to the change log.

They do not take the lock of writers, so subscribers could miss their entries.
"""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.factories import admin_command

# The statement of version 0.1.0 (commit 8457561b), by which all its mutations write their entries.
INSERT_OF_0_1_0 = """
INSERT INTO change (organization_id, subject, subject_id, kind, at, actor, rings, changes, state)
SELECT organization_id, subject, subject_id, kind, at, actor, {rings}, changes, state
FROM change WHERE seq = (SELECT max(seq) FROM change)
"""
COUNT = text("SELECT count(*) FROM change")


async def test_an_entry_of_an_old_server_is_rejected_and_not_stored(database: Database) -> None:
    async with database.read(ALL_ORGANIZATIONS) as session:
        before = await session.scalar(COUNT)
    assert before

    with pytest.raises(DBAPIError, match="rings"):
        await execute_as_writer(database, INSERT_OF_0_1_0.format(rings="false"))

    async with database.read(ALL_ORGANIZATIONS) as session:
        assert await session.scalar(COUNT) == before


async def test_the_statement_differs_from_a_valid_one_in_the_column_only(
    database: Database,
) -> None:
    statement = INSERT_OF_0_1_0.replace("rings,", "notifies,", 1).format(rings="false")
    async with database.read(ALL_ORGANIZATIONS) as session:
        before = await session.scalar(COUNT)
    assert before

    await execute_as_writer(database, statement)

    async with database.read(ALL_ORGANIZATIONS) as session:
        assert await session.scalar(COUNT) == before + 1


async def execute_as_writer(database: Database, statement: str) -> None:
    command = await admin_command(database)
    async with database.write(command.actor.organization_id) as session:
        await (await session.connection()).exec_driver_sql(statement)
