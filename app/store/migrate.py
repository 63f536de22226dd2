"""Migrates a database to the schema of this version, in one transaction, one process at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from sqlalchemy import Connection, String, column, inspect, select, table, update
from sqlalchemy.engine import URL
from sqlmodel import col

from app.store.engine import dialect
from app.store.engine.serving_lock import exclude_servers
from app.store.tables import Log

Result = TypeVar("Result")
_SCRIPTS = Path(__file__).parent.parent / "migrations" / "versions"
ALEMBIC_VERSION = table("alembic_version", column("version_num", String()))


class DatabaseVersionError(Exception):
    """The database is not at the schema of this version of Tocsin."""


class NewerDatabaseError(DatabaseVersionError):
    """The database was migrated by a later version of Tocsin than this one."""


class OlderDatabaseError(DatabaseVersionError):
    """The database is missing, is empty, or lacks migrations of this version."""


@dataclass(frozen=True)
class EpochChange:
    old: str
    new: str


async def migrate_database(url: URL) -> None:
    """Runs the missing migrations. Raises NewerDatabaseError if the database has unknown ones."""
    await _run_migration(url, _upgrade)


async def start_new_epoch(url: URL) -> EpochChange:
    """Runs the missing migrations and starts a new epoch of the change log.

    All cursors issued so far expire. Raises ServersRunningError if servers run.
    """
    return await _run_migration(url, _replace_epoch)


async def _run_migration(url: URL, function: Callable[[Connection], Result]) -> Result:
    engine = dialect.create_migration_engine(url)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(function)
    finally:
        await engine.dispose()


async def check_version(url: URL) -> None:
    """Raises OlderDatabaseError or NewerDatabaseError if it is not at this version's schema."""
    address = dialect.display_address(url)
    if dialect.is_missing_file(url):
        raise OlderDatabaseError(
            f"There is no database at {address}. Run `tocsin migrate` to create it."
        )
    engine = dialect.create_migration_engine(url)
    try:
        async with engine.connect() as connection:
            if await connection.run_sync(_current_revision) != newest_revision():
                problem = f"The database at {address} is not migrated to this version"
                raise OlderDatabaseError(f"{problem}. Run `tocsin migrate` first.")
    finally:
        await engine.dispose()


def newest_revision() -> str:
    """The newest migration of this version."""
    return _revisions()[-1]


def _replace_epoch(connection: Connection) -> EpochChange:
    with exclude_servers(connection):
        _upgrade(connection)
        old = connection.scalars(select(col(Log.epoch))).one()
        new = str(uuid4())
        connection.execute(update(Log).values(epoch=new))
    return EpochChange(old, new)


def _upgrade(connection: Connection) -> None:
    dialect.lock_for_migration(connection)
    current = _current_revision(connection)
    if current != newest_revision():
        # Alembic takes long to import, and most starts find nothing to migrate.
        from app.store.alembic_upgrade import upgrade_database

        upgrade_database(connection, current)
    dialect.reset_restored_log(connection)


def _current_revision(connection: Connection) -> str | None:
    """The revision of the database; None if it is empty. Raises NewerDatabaseError."""
    if not inspect(connection).has_table(ALEMBIC_VERSION.name):
        return None
    current = connection.scalars(select(ALEMBIC_VERSION.c.version_num)).one_or_none()
    if current is not None and current not in _revisions():
        raise NewerDatabaseError(
            f"The database is at migration {current}, which this version does not have: it was "
            "used with a later version of Tocsin. Install that version."
        )
    return current


@cache
def _revisions() -> tuple[str, ...]:
    """The revisions of this version, oldest first, from the file names of the migrations."""
    return tuple(sorted(file.name.partition("_")[0] for file in _SCRIPTS.glob("[0-9]*_*.py")))
