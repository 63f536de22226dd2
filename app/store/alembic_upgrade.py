"""Runs migrations by Alembic. Imported late: most starts find nothing to migrate."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from app.store.data_migrations import migrate_data

_SCRIPTS = Path(__file__).parent.parent / "migrations"


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, for a connection that is already open."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    return config


def upgrade_database(connection: Connection, current: str | None) -> None:
    """Brings a database that is at the migration `current`, or is empty, to the newest one."""
    command.upgrade(alembic_config(connection), "head")
    if current is not None:
        migrate_data(connection, current)
