"""The migrations lead to the tables of the code, on both databases, and again change nothing."""

from __future__ import annotations

from alembic import command
from sqlalchemy import Connection

from app.store.engine import dialect
from app.store.migrate import config, migrate


async def test_alembic_check_finds_nothing_to_migrate(database_url: str) -> None:
    engine = dialect.migration_engine(dialect.read_url(database_url))

    async with engine.begin() as connection:
        await connection.run_sync(_check)
    await engine.dispose()


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    await migrate(dialect.read_url(database_url))

    await test_alembic_check_finds_nothing_to_migrate(database_url)


def _check(connection: Connection) -> None:
    """Raises where autogenerate would write a migration."""
    command.check(config(connection))
