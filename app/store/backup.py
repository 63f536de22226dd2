"""Backups: SQLite's online backup, and PostgreSQL's own programs pg_dump and pg_restore."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, inspect
from sqlalchemy.engine import URL

from app.store import tables
from app.store.engine.dialect import display_address, is_postgresql
from app.store.engine.serving_lock import exclude_servers, exclude_servers_of_file
from app.store.migrate import UnusableDatabaseError, find_newer_revision, run_migration

_FILE_SUFFIXES = ("-wal", "-shm")


class BackupError(UnusableDatabaseError):
    """The backup cannot be written or restored. The message says why."""


def write_backup(url: URL, file: Path) -> None:
    """Writes a backup of one moment while servers run. Raises BackupError."""
    with _write_new_file(file) as partial_file:
        if is_postgresql(url):
            _run_program("pg_dump", url, "--format=custom", f"--file={partial_file}")
            return
        # Not created if it is missing.
        source = sqlite3.connect(
            f"{Path(url.database or '').absolute().as_uri()}?mode=ro", uri=True
        )
        with contextlib.closing(source), contextlib.closing(sqlite3.connect(partial_file)) as copy:
            source.backup(copy)
        _check_file(partial_file, file)


async def restore_backup(url: URL, file: Path, *, replace: bool) -> None:
    """Restores a backup. `replace`: a SQLite database that exists.

    Raises BackupError, and ServersRunningError if servers use the database.
    """
    if is_postgresql(url):
        await run_migration(url, lambda connection: _restore_dump(connection, url, file))
    else:
        _restore_file(Path(url.database or ""), file, replace=replace)


def _restore_file(database_file: Path, file: Path, *, replace: bool) -> None:
    _require_file(file)
    _check_file(file, file)
    if database_file.exists() and not replace:
        raise BackupError(
            f"The database {database_file.absolute()} exists. To replace it, add --replace."
        )
    with exclude_servers_of_file(str(database_file)):
        partial_file = _partial_path(database_file)
        with _remove_on_error(partial_file):
            with _create_private(partial_file).open("wb") as copy, file.open("rb") as backup:
                shutil.copyfileobj(backup, copy)
            _sync(partial_file)
            if database_file.exists():
                _copy_owner_and_mode(database_file, partial_file)
                _move_commits_to_file(database_file)
            for suffix in _FILE_SUFFIXES:  # of the replaced database
                Path(f"{database_file}{suffix}").unlink(missing_ok=True)
            partial_file.replace(database_file)
            _sync_folder(database_file)


def _move_commits_to_file(database_file: Path) -> None:
    """Lets a database be complete without its `-wal`, in case the restore is interrupted."""
    # A damaged database cannot be read, and is replaced anyway.
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(database_file)) as connection,
    ):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _create_private(file: Path) -> Path:
    """Creates an empty file that only its owner can read: it will contain digests of API keys."""
    file.unlink(missing_ok=True)
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return file


def _copy_owner_and_mode(source: Path, target: Path) -> None:
    """Lets the user of the server use the target if root restores a backup."""
    status = source.stat()
    target.chmod(stat.S_IMODE(status.st_mode))
    if os.geteuid() == 0:
        os.chown(target, status.st_uid, status.st_gid)


def _require_file(file: Path) -> None:
    if not file.is_file():
        raise BackupError(f"There is no file {file}.")


def _restore_dump(connection: Connection, url: URL, file: Path) -> None:
    _require_file(file)
    with exclude_servers(connection):
        if inspect(connection).has_table(str(tables.Organization.__tablename__)):
            raise BackupError(
                f"The database at {display_address(url)} is not empty. Create an empty database: "
                f"dropdb {url.database}, createdb {url.database}."
            )
        options = ("--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error")
        _run_program("pg_restore", url, *options, str(file))


def _run_program(name: str, url: URL, *arguments: str) -> None:
    """Runs a program of PostgreSQL. The password is passed in its environment."""
    password = url.password or url.query.get("password")
    plain_url = URL.create(
        "postgresql", url.username, None, url.host, url.port, url.database, url.query
    ).difference_update_query(["password"])
    hosts = url.query.get("host", ())
    if isinstance(hosts, str):  # the folder of a socket and an IPv6 address have no port
        is_address = hosts.count(":") == 1 and not hosts.startswith("/")
        hosts = (hosts,) if is_address else ()
    if hosts:  # HOST:PORT each; libpq has the ports in another list
        names, _, ports = zip(*(each.rpartition(":") for each in hosts), strict=True)
        plain_url = plain_url.update_query_dict({"host": ",".join(names), "port": ",".join(ports)})
    command = [name, *arguments, f"--dbname={plain_url.render_as_string()}"]
    if shutil.which(name) is None:
        raise BackupError(
            f"{name} is not installed. Install the client programs of PostgreSQL, or run on "
            f"another machine: {shlex.join(command)}"
        )
    secret = {} if password is None else {"PGPASSWORD": str(password)}
    result = subprocess.run(  # noqa: S603 (the arguments are not parsed by a shell)
        command, env=os.environ | secret, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise BackupError(f"{name} failed: {result.stderr.strip()}")


def _check_file(file: Path, displayed_file: Path) -> None:
    """Raises BackupError unless the file is an intact SQLite database of Tocsin."""
    try:
        source = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        with contextlib.closing(source) as connection:
            [(state,), *_] = connection.execute("PRAGMA quick_check(1)").fetchall()
            [(revision,)] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except (sqlite3.Error, ValueError) as error:
        raise BackupError(
            f"{displayed_file} is not a SQLite database of Tocsin: {error}."
        ) from error
    if state != "ok":
        raise BackupError(f"{displayed_file} is damaged: {state}.")
    if (problem := find_newer_revision(revision)) is not None:
        raise BackupError(f"{displayed_file} is {problem}")


@contextlib.contextmanager
def _write_new_file(file: Path) -> Iterator[Path]:
    """Yields a path whose file becomes the new file at the end. Raises BackupError if it exists."""
    partial_file = _partial_path(file)
    try:
        _create_private(partial_file)
        with _remove_on_error(partial_file):
            yield partial_file
            _sync(partial_file)
            os.link(partial_file, file)  # unlike a rename, it does not replace a file
            partial_file.unlink()
            _sync_folder(file)
    except FileExistsError:
        raise BackupError(f"The file {file} exists. Choose a different file.") from None
    except OSError as error:
        raise BackupError(f"Cannot write to {file}: {error.strerror}.") from error
    except sqlite3.Error as error:
        raise BackupError(f"The database cannot be read: {error}.") from error


@contextlib.contextmanager
def _remove_on_error(file: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _partial_path(file: Path) -> Path:
    return file.with_name(f"{file.name}.partial")


def _sync(file: Path) -> None:
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def _sync_folder(file: Path) -> None:
    """Makes the name of the file survive a failure of the machine."""
    folder = os.open(file.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
