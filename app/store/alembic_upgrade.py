"""Runs migrations with Alembic. Imported only if there are migrations to run."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from app.store.data_migrations import migrate_data

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
