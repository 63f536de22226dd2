"""Runs migrations with Alembic. Imported only if there are migrations to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select, update
from sqlmodel import col

from app.store.data_migrations import migrate_data
from app.store.tables import Log

_SCRIPTS = Path(__file__).parent.parent / "migrations"


def alembic_config(connection: Connection | None = None) -> Config:
    """Creates the configuration of Alembic for an open connection."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    return config


def upgrade_database(connection: Connection, current: str | None) -> None:
    """Migrates a database from the migration `current` (None: it is empty) to the newest one."""
    command.upgrade(alembic_config(connection), "head")
    if current is not None:
        migrate_data(connection, current)
    revisions = [oldest_compatible_revision(each) for each in _list_applied(current)]
    stored = connection.scalars(select(col(Log.oldest_revision))).one()
    oldest = max(revisions if stored is None else [stored, *revisions])
    connection.execute(update(Log).values(oldest_revision=oldest))


def oldest_compatible_revision(migration: Any) -> str:
    """The oldest version of servers that can use a database after a migration.

    A migration that does not set `compatible_with` needs the servers that have it.
    """
    return getattr(migration, "compatible_with", None) or str(migration.revision)


def list_migrations() -> list[Any]:
    """Returns the modules of all migrations, oldest first."""
    scripts = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    return [script.module for script in scripts][::-1]


def _list_applied(current: str | None) -> list[Any]:
    return [each for each in list_migrations() if current is None or each.revision > current]
