"""Brings a database to the tables of this version: one process at a time, all or nothing."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, update
from sqlalchemy.engine import URL

from app.store.data_migrations import fill
from app.store.engine import dialect
from app.store.tables import Log

_SCRIPTS = Path(__file__).parent.parent / "migrations"


class OtherDatabaseError(Exception):
    """The database has not the tables of this version of Tocsin."""


class NewerDatabaseError(OtherDatabaseError):
    """The database was migrated by a later version of Tocsin than this one."""


class OlderDatabaseError(OtherDatabaseError):
    """The database is not there, is empty, or lacks migrations of this version."""


async def migrate(url: URL, *, new_epoch: bool = False) -> None:
    """Runs the missing migrations. NewerDatabaseError when the database knows more of them.

    `new_epoch`: the log begins a new life, and every cursor given out so far is expired.
    """
    engine = dialect.migration_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
            if new_epoch:
                await connection.execute(update(Log).values(epoch=str(uuid4())))
    finally:
        await engine.dispose()


async def check(url: URL) -> None:
    """Changes nothing. OlderDatabaseError, NewerDatabaseError for other than this version's."""
    where = dialect.address_of(url)
    if dialect.is_missing(url):
        raise OlderDatabaseError(f"There is no database at {where} yet: `tocsin migrate` makes it.")
    engine = dialect.migration_engine(url)
    try:
        async with engine.connect() as connection:
            if await connection.run_sync(_missing):
                lacking = f"The database at {where} lacks tables of this version"
                raise OlderDatabaseError(f"{lacking}: run `tocsin migrate` first.")
    finally:
        await engine.dispose()


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, for a connection that is already open."""
    made = Config()
    made.set_main_option("script_location", str(_SCRIPTS))
    made.attributes["connection"] = connection
    return made


def _upgrade(connection: Connection) -> None:
    dialect.lock_for_migration(connection)
    current = _current(connection)
    command.upgrade(config(connection), "head")
    if current is not None:
        fill(connection, current)
    dialect.renew_restored_log(connection)


def _missing(connection: Connection) -> bool:
    """Whether there is a migration that the database lacks."""
    scripts = ScriptDirectory.from_config(config(connection))
    return _current(connection) != scripts.get_current_head()


def _current(connection: Connection) -> str | None:
    """The migration that the database is at; None for an empty one. NewerDatabaseError."""
    scripts = ScriptDirectory.from_config(config(connection))
    current = MigrationContext.configure(connection).get_current_revision()
    known = {step.revision for step in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise NewerDatabaseError(
            f"The database is at migration {current}, which this version does not know: "
            "it was used with a later version of Tocsin."
        )
    return current
