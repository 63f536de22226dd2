"""Brings a database to the tables of this version: one process at a time, all or nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, String, column, inspect, select, table, update
from sqlalchemy.engine import URL

from app.store.engine import dialect
from app.store.tables import Log

_SCRIPTS = Path(__file__).parent.parent / "migrations" / "versions"
_APPLIED = table("alembic_version", column("version_num", String()))


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
            if await connection.run_sync(_current) != newest_revision():
                lacking = f"The database at {where} lacks tables of this version"
                raise OlderDatabaseError(f"{lacking}: run `tocsin migrate` first.")
    finally:
        await engine.dispose()


def newest_revision() -> str:
    """The last migration of this version."""
    return _revisions()[-1]


def _upgrade(connection: Connection) -> None:
    dialect.lock_for_migration(connection)
    current = _current(connection)
    if current != newest_revision():
        # Alembic takes long to import, and most starts find nothing to migrate.
        from app.store.alembic_upgrade import upgrade

        upgrade(connection, current)
    dialect.renew_restored_log(connection)


def _current(connection: Connection) -> str | None:
    """The migration that the database is at; None for an empty one. NewerDatabaseError."""
    if not inspect(connection).has_table(_APPLIED.name):
        return None
    current = connection.scalars(select(_APPLIED.c.version_num)).one_or_none()
    if current is not None and current not in _revisions():
        raise NewerDatabaseError(
            f"The database is at migration {current}, which this version does not know: "
            "it was used with a later version of Tocsin."
        )
    return current


@cache
def _revisions() -> tuple[str, ...]:
    """The migrations of this version, oldest first: their numbers begin their files' names."""
    return tuple(sorted(file.name.partition("_")[0] for file in _SCRIPTS.glob("[0-9]*_*.py")))
