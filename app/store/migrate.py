"""Migrates a database to the schema of this version, in one transaction, one process at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from sqlalchemy import Connection, String, column, inspect, select, table, update
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from app.store.engine import database_errors, dialect, pooler_checks
from app.store.engine.serving_lock import exclude_servers
from app.store.tables import Log

Result = TypeVar("Result")
_SCRIPTS = Path(__file__).parent.parent / "migrations" / "versions"
ALEMBIC_VERSION = table("alembic_version", column("version_num", String()))


class UnusableDatabaseError(Exception):
    """The database cannot be used by this version of Tocsin. The message says why."""


class PooledDatabaseError(UnusableDatabaseError):
    """The URL is of a connection pooler, and has to be that of the database itself."""


class DifferentDatabasesError(UnusableDatabaseError):
    """The URL of the pooler and the direct URL point to different databases."""


class DatabaseEncodingError(UnusableDatabaseError):
    """The database cannot store every character."""


class NewerDatabaseError(UnusableDatabaseError):
    """The database was migrated by a later version of Tocsin than this one."""


class OlderDatabaseError(UnusableDatabaseError):
    """The database is missing, is empty, or lacks migrations of this version."""


class UnfinishedCopyError(UnusableDatabaseError):
    """The database is the target of a copy that has not ended."""


# The revision of a database that is the target of an unfinished copy.
UNFINISHED_COPY = "copying"


@dataclass(frozen=True)
class EpochChange:
    old: str
    new: str


async def migrate_database(url: URL, pooler_url: URL | None = None) -> None:
    """Runs the missing migrations. Raises UnusableDatabaseError if that is impossible."""
    await run_migration(url, _upgrade, pooler_url)


async def start_new_epoch(url: URL, pooler_url: URL | None = None) -> EpochChange:
    """Runs the missing migrations and starts a new epoch of the change log.

    All cursors issued so far expire. Raises ServersRunningError if servers run.
    """
    return await run_migration(url, _replace_epoch, pooler_url)


async def run_migration(
    url: URL, function: Callable[[Connection], Result], pooler_url: URL | None = None
) -> Result:
    """Runs a function in a transaction of migrations. Raises UnusableDatabaseError."""
    async with _open_engine(url, pooler_url) as engine, engine.begin() as connection:
        return await connection.run_sync(function)


async def check_version(
    url: URL, pooler_url: URL | None = None, *, accepts_older: bool = False
) -> None:
    """Raises UnusableDatabaseError if the database is not at this version's schema.

    `accepts_older`: or at that of an older version.
    """
    address = dialect.display_address(url)
    if dialect.is_missing_file(url):
        raise OlderDatabaseError(
            f"There is no database at {address}. Run `tocsin migrate` to create it."
        )
    async with _open_engine(url, pooler_url) as engine, engine.connect() as connection:
        revision = await connection.run_sync(_current_revision)
        if accepts_older and revision is not None:
            return
        if revision != newest_revision():
            problem = f"The database at {address} is not migrated to this version"
            raise OlderDatabaseError(f"{problem}. Run `tocsin migrate` first.")


@asynccontextmanager
async def _open_engine(url: URL, pooler_url: URL | None) -> AsyncIterator[AsyncEngine]:
    """An engine for migrations. Raises UnusableDatabaseError if the URL points to a pooler, or not
    to the database of the pooler.
    """
    engine = dialect.create_migration_engine(url)
    try:
        with _describe_errors(url):
            if await pooler_checks.has_transaction_pooler(url):
                raise PooledDatabaseError(
                    database_errors.pooler_message(
                        url, "the transactions of a connection run in different sessions"
                    )
                )
            if pooler_url not in (None, url):
                await _check_same_database(url, pooler_url)
            yield engine
    finally:
        await engine.dispose()


async def _check_same_database(url: URL, pooler_url: URL) -> None:
    with _describe_errors(pooler_url):
        if not await pooler_checks.is_same_database(url, pooler_url):
            direct, pooled = map(dialect.display_address, (url, pooler_url))
            raise DifferentDatabasesError(
                f"TOCSIN_DATABASE_URL ({pooled}) and TOCSIN_DATABASE_DIRECT_URL ({direct}) point "
                "to different databases. Set both to the same database: the first through the "
                "pooler, the second directly."
            )


@contextmanager
def _describe_errors(url: URL) -> Iterator[None]:
    """Describes errors of the database with the address of this URL."""
    try:
        yield
    except database_errors.DATABASE_ERRORS as error:
        if (description := database_errors.describe_failure(error, url)) is None:
            raise
        raise UnusableDatabaseError(description) from error


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
    if (encoding := dialect.server_encoding(connection)) != dialect.UTF8:
        raise DatabaseEncodingError(
            f"The database has the encoding {encoding}, which cannot store every character. Create "
            "a database with the encoding UTF8: createdb --encoding=UTF8 --template=template0 NAME."
        )
    dialect.lock_for_migration(connection)
    current = _current_revision(connection)
    if current != newest_revision():
        # Alembic takes long to import, and most starts find nothing to migrate.
        from app.store.alembic_upgrade import upgrade_database

        upgrade_database(connection, current)
    dialect.reset_restored_log(connection)


def _current_revision(connection: Connection) -> str | None:
    """The revision of the database; None if it is empty. Raises NewerDatabaseError.

    A database of a later version that servers of this version can use counts as migrated.
    """
    if not inspect(connection).has_table(ALEMBIC_VERSION.name):
        return None
    current = connection.scalars(select(ALEMBIC_VERSION.c.version_num)).one_or_none()
    if current == UNFINISHED_COPY:
        raise UnfinishedCopyError(
            "The database is the target of a copy that has not ended. Run `tocsin copy` again."
        )
    if current is None or current in _revisions():
        return current
    if _load_oldest_revision(connection) in _revisions():
        return newest_revision()
    raise NewerDatabaseError(f"The database is {find_newer_revision(current)}")


def is_usable(connection: Connection) -> bool:
    """Whether servers of this version can use the database."""
    try:
        return _current_revision(connection) == newest_revision()
    except UnusableDatabaseError:
        return False


def _load_oldest_revision(connection: Connection) -> str | None:
    """That of the oldest servers that can use the database. None if it does not say so."""
    inspector, table = inspect(connection), str(Log.__tablename__)
    # A database of another program may have a table of its revisions, too.
    if not inspector.has_table(table):
        return None
    if "oldest_revision" not in {each["name"] for each in inspector.get_columns(table)}:
        return None
    return connection.scalars(select(col(Log.oldest_revision))).one_or_none()


def find_newer_revision(revision: str) -> str | None:
    """Describes a revision that only a later version of Tocsin has. None for a known one."""
    if revision in _revisions():
        return None
    return (
        f"at migration {revision}, which this version does not have: a later version of Tocsin has "
        "used the database. Install that version."
    )


@cache
def _revisions() -> tuple[str, ...]:
    """The revisions of this version, oldest first, from the file names of the migrations."""
    return tuple(sorted(file.name.partition("_")[0] for file in _SCRIPTS.glob("[0-9]*_*.py")))
