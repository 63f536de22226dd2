"""Runs migrations by Alembic. Imported late: most starts find nothing to migrate."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from app.store.data_migrations import fill

_SCRIPTS = Path(__file__).parent.parent / "migrations"


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, for a connection that is already open."""
    made = Config()
    made.set_main_option("script_location", str(_SCRIPTS))
    made.attributes["connection"] = connection
    return made


def upgrade(connection: Connection, current: str | None) -> None:
    """Brings a database that is at the migration `current`, or is empty, to the newest one."""
    command.upgrade(config(connection), "head")
    if current is not None:
        fill(connection, current)
