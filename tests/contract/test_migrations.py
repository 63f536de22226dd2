"""The migrations create the tables of the code on both databases; migrating again changes
nothing.
"""

from __future__ import annotations

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app.store.alembic_upgrade import alembic_config
from app.store.engine import dialect
from app.store.migrate import migrate_database, newest_revision


async def test_alembic_check_finds_nothing_to_migrate(database_url: str) -> None:
    engine = dialect.create_migration_engine(dialect.parse_database_url(database_url))

    async with engine.begin() as connection:
        await connection.run_sync(_check_no_pending_migration)
    await engine.dispose()


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    await migrate_database(dialect.parse_database_url(database_url))

    await test_alembic_check_finds_nothing_to_migrate(database_url)


def test_the_newest_revision_is_alembic_s_head() -> None:
    assert newest_revision() == ScriptDirectory.from_config(alembic_config()).get_current_head()


def _check_no_pending_migration(connection: Connection) -> None:
    """Raises an error if autogenerate would write a migration."""
    command.check(alembic_config(connection))
