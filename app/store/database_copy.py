"""Copies a database to an empty one, also of the other kind: SQLite to PostgreSQL, and back.

Rows are copied page by page. The target stores the progress in the transaction of each page, so a
copy that was interrupted continues. Until the end, the target has a revision that servers refuse.
Positions in the change log change, so the target has a new epoch, and no cursor is valid there.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    Text,
    func,
    insert,
    inspect,
    literal,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.shared.json_encoding import encode_json, load_json
from app.domain.shared.messages import format_count
from app.domain.shared.values import to_json_value
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.dialect import display_address, is_sqlite
from app.store.engine.serving_lock import exclude_servers
from app.store.migrate import (
    ALEMBIC_VERSION,
    UNFINISHED_COPY,
    UnusableDatabaseError,
    check_version,
    migrate_database,
    newest_revision,
    run_migration,
)
from app.store.writing.inserts import insert_rows
from app.store.writing.search_index import build_words_rows

PAGE_SIZE = 500
# Rows that the target creates by itself: one about the change log, words and counters of events.
# Marks of positions are not valid there.
_NOT_COPIED = {"log", "event_words", "event_count", "read_mark"}
# Marks of a copy: the epoch of its source, and the revision of both databases. No names of tables.
_SOURCE, _REVISION = "source database", "schema revision"
_PROGRESS = Table(
    "copy_progress",
    MetaData(),
    Column("name", String(), primary_key=True),
    Column("rows", BigInteger(), nullable=False),
    Column("key", Text()),
)


class CopyError(UnusableDatabaseError):
    """The databases cannot be copied. The message says why."""


@dataclass(frozen=True)
class TableSummary:
    """The number of rows of a table, and the sum of their hashes."""

    rows: int = 0
    checksum: int = 0


@dataclass(frozen=True)
class TableProgress:
    """`total`: the number of rows in the source."""

    table: str
    rows: int
    total: int
    verifying: bool = False


ReportProgress = Callable[[TableProgress], None]


async def copy_database(source_url: URL, target_url: URL, report: ReportProgress) -> dict[str, int]:
    """Copies all rows and verifies them. Returns the number of rows of each table.

    No server may use either database. Raises ServersRunningError if one uses the source,
    and UnusableDatabaseError; CopyError if the target is not empty, is the target of another copy,
    or differs from the source at the end.
    """
    if source_url == target_url:
        raise CopyError("--from and --to are the same database.")
    await check_version(source_url)
    await run_migration(source_url, _check_servers)
    source = Database(source_url.render_as_string(hide_password=False))
    target = Database(target_url.render_as_string(hide_password=False))
    try:
        await _prepare_target(source, target)
        totals = await _count_rows(source)
        for table in _copied_tables():
            await _copy_table(source, target, table, totals[table.name], report)
        await _set_originals(source, target)
        for table in _copied_tables():
            await _verify_table(source, target, table, totals[table.name], report)
        if await _count_rows(source) != totals:
            raise CopyError(
                f"The database at {display_address(source.url)} was changed during the copy. Stop "
                "its servers, and copy it to an empty database."
            )
        await _finish(source, target)
        return totals
    finally:
        await source.close()
        await target.close()


def _check_servers(connection: Connection) -> None:
    """Raises ServersRunningError if a server uses the database."""
    with exclude_servers(connection):
        return


def _copied_tables() -> list[Table]:
    """The tables, referenced ones first."""
    return [each for each in tables.METADATA.sorted_tables if each.name not in _NOT_COPIED]


async def _prepare_target(source: Database, target: Database) -> None:
    """Migrates a new target and marks it as unfinished. Raises CopyError if it is not usable."""
    async with source.read(ALL_ORGANIZATIONS) as session:
        identity = (await session.scalars(text("SELECT epoch FROM log"))).one()
    if not await run_migration(target.url, _is_unfinished):
        await migrate_database(target.url)
        await run_migration(target.url, lambda connection: _mark_unfinished(connection, identity))
    async with target.read(ALL_ORGANIZATIONS) as session:
        rows = await session.execute(select(_PROGRESS.c.name, _PROGRESS.c.key))
    marks = {row.name: row.key for row in rows}
    problem = f"The database at {display_address(target.url)} is the target of an unfinished copy"
    if marks.get(_REVISION) != newest_revision():
        raise CopyError(
            f"{problem} by another version of Tocsin. Continue it with that version, or create an "
            "empty database."
        )
    if marks.get(_SOURCE) != identity:
        raise CopyError(f"{problem} of another database. Create an empty database.")


def _is_unfinished(connection: Connection) -> bool:
    if not inspect(connection).has_table(ALEMBIC_VERSION.name):
        return False
    return connection.scalar(select(ALEMBIC_VERSION.c.version_num)) == UNFINISHED_COPY


def _mark_unfinished(connection: Connection, identity: str) -> None:
    if connection.scalar(select(func.count()).select_from(_table(tables.Organization))):
        address = display_address(connection.engine.url)
        raise CopyError(f"The database at {address} is not empty. Create an empty database.")
    _PROGRESS.create(connection)
    rows = [{"name": table.name, "rows": 0, "key": None} for table in _copied_tables()]
    rows.append({"name": _SOURCE, "rows": 0, "key": identity})
    rows.append({"name": _REVISION, "rows": 0, "key": newest_revision()})
    connection.execute(insert(_PROGRESS), rows)
    connection.execute(update(ALEMBIC_VERSION).values(version_num=UNFINISHED_COPY))


def _table(row_class: Any) -> Table:
    return cast("Table", row_class.__table__)


async def _load_progress(session: AsyncSession, name: str) -> Any:
    statement = select(_PROGRESS.c.rows, _PROGRESS.c.key).where(_PROGRESS.c.name == name)
    return (await session.execute(statement)).one()


async def _count_rows(database: Database) -> dict[str, int]:
    counts = {}
    async with database.read(ALL_ORGANIZATIONS) as session:
        for table in _copied_tables():
            statement = select(func.count()).select_from(table)
            counts[table.name] = (await session.scalars(statement)).one()
    return counts


def _stored_columns(table: Table) -> list[Any]:
    """The columns, without those that the database computes."""
    return [column for column in table.columns if column.computed is None]


async def _read_pages(
    database: Database, table: Table, key: Sequence[Any] | None = None
) -> AsyncIterator[list[dict[str, Any]]]:
    """Yields the rows after a primary key, in its order."""
    columns = _stored_columns(table)
    key_columns = list(table.primary_key.columns)
    statement = select(*columns).order_by(*key_columns).limit(PAGE_SIZE)
    while True:
        page = statement
        if key is not None:
            values = [
                literal(each, column.type) for each, column in zip(key, key_columns, strict=True)
            ]
            page = statement.where(tuple_(*key_columns) > tuple_(*values))
        async with database.read(ALL_ORGANIZATIONS) as session:
            rows = [dict(row._mapping) for row in await session.execute(page)]
        if rows:
            yield rows
            key = [rows[-1][column.name] for column in key_columns]
        if len(rows) < PAGE_SIZE:
            return


async def _copy_table(
    source: Database, target: Database, table: Table, total: int, report: ReportProgress
) -> None:
    async with target.read(ALL_ORGANIZATIONS) as session:
        saved = await _load_progress(session, table.name)
    copied, key = saved.rows, None if saved.key is None else _decode_key(table, saved.key)
    report(TableProgress(table.name, copied, total))
    row_class = _row_class(table)
    async for rows in _read_pages(source, table, key):
        copied += len(rows)
        new_rows = [_convert_row(table, row) for row in rows]
        more = [(tables.EventWords, build_words_rows(rows))] if row_class is tables.Event else []
        last_key = _encode_key([rows[-1][column.name] for column in table.primary_key.columns])
        async with target.write(ALL_ORGANIZATIONS, writes_log=False) as session:
            await insert_rows(session, (row_class, new_rows), *more)
            progress = update(_PROGRESS).where(_PROGRESS.c.name == table.name)
            await session.execute(progress.values(rows=copied, key=last_key))
        report(TableProgress(table.name, copied, total))


def _row_class(table: Table) -> Any:
    classes = {each.__tablename__: each for each in tables.owned_tables()}
    return {**classes, "organization": tables.Organization}[table.name]


def _encode_key(key: Sequence[Any]) -> str:
    return encode_json([str(each) if isinstance(each, UUID) else each for each in key])


def _decode_key(table: Table, text_key: str) -> list[Any]:
    values = load_json(text_key)
    return [
        UUID(value) if column.type.python_type is UUID else value
        for column, value in zip(table.primary_key.columns, values, strict=True)
    ]


def _convert_row(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Returns the row for the target: entries of the change log are ordered by `seq` alone.

    Transaction numbers of another server have no meaning there.
    """
    if table.name == "change":
        return row | {"tx": 0}
    if table.name == "event":
        rang_tx = None if row["rang_seq"] is None else 0
        original_id = row["duplicate_of_id"]
        # References to later rows are set at the end.
        is_later = original_id is not None and original_id > row["id"]
        return row | {"rang_tx": rang_tx, "duplicate_of_id": None if is_later else original_id}
    return row


async def _set_originals(source: Database, target: Database) -> None:
    """Sets the references to originals with greater IDs, which `_convert_row` left out."""
    event = _table(tables.Event)
    statement = select(event.c.id, event.c.duplicate_of_id).where(
        event.c.duplicate_of_id > event.c.id
    )
    async with source.read(ALL_ORGANIZATIONS) as session:
        rows = (await session.execute(statement)).all()
    for start in range(0, len(rows), PAGE_SIZE):
        async with target.write(ALL_ORGANIZATIONS, writes_log=False) as session:
            for event_id, original_id in rows[start : start + PAGE_SIZE]:
                change = update(event).where(event.c.id == event_id)
                await session.execute(change.values(duplicate_of_id=original_id))


async def _verify_table(
    source: Database, target: Database, table: Table, total: int, report: ReportProgress
) -> None:
    """Raises CopyError if the rows of the table are not the same in both databases."""

    async def summarize(database: Database) -> TableSummary:
        rows, checksum = 0, 0
        async for page in _read_pages(database, table):
            rows += len(page)
            checksum += sum(_hash_row(table, row) for row in page)
            if database is target:
                report(TableProgress(table.name, rows, total, verifying=True))
        return TableSummary(rows, checksum)

    expected, actual = await summarize(source), await summarize(target)
    if expected != actual:
        raise CopyError(
            f"The copy differs from the original: the table {table.name} has "
            f"{format_count(actual.rows, 'row')} with the checksum {actual.checksum:x}, and should "
            f"have {expected.rows:,} with {expected.checksum:x}. The original may have been "
            "changed during the copy. Stop its servers, and copy it to an empty database."
        )


def _hash_row(table: Table, row: dict[str, Any]) -> int:
    converted = _convert_row(table, row) | (
        {"duplicate_of_id": row["duplicate_of_id"]} if table.name == "event" else {}
    )
    values = [to_json_value(converted[column.name]) for column in _stored_columns(table)]
    digest = hashlib.blake2b(encode_json(values).encode(), digest_size=16).digest()
    return int.from_bytes(digest)


async def _finish(source: Database, target: Database) -> None:
    """Makes the target usable: its change log gets a new epoch, and continues the sequences."""
    log = _table(tables.Log)
    async with source.read(ALL_ORGANIZATIONS) as session:
        pruned_seq, begins_at = (
            await session.execute(select(log.c.pruned_seq, log.c.begins_at))
        ).one()
    async with target.write(ALL_ORGANIZATIONS, writes_log=False) as session:
        await session.execute(
            update(log).values(
                epoch=str(uuid4()), pruned_tx=0, pruned_seq=pruned_seq, begins_at=begins_at
            )
        )
        for row_class, column in ((tables.Change, "seq"), (tables.FirstEvent, "id")):
            table = _table(row_class)
            last = (await session.scalars(select(func.max(table.c[column])))).one() or 0
            if row_class is tables.Change:
                last = max(last, pruned_seq)
            await _continue_sequence(session, table.name, column, last)
        await session.execute(text(f"DROP TABLE {_PROGRESS.name}"))
        await session.execute(update(ALEMBIC_VERSION).values(version_num=newest_revision()))


async def _continue_sequence(session: AsyncSession, table: str, column: str, last: int) -> None:
    """Lets the database number the next row of the table after the last one."""
    values = {"table": table, "column": column, "last": last}
    if not is_sqlite(session):
        statement = (
            "SELECT setval(pg_get_serial_sequence(:table, :column), greatest(:last, 1), :last > 0)"
        )
        await session.execute(text(statement), values)
        return
    await session.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), {"table": table})
    # A table of SQLite itself, which is not declared: `insert_rows` cannot write to it.
    statement = "INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)"
    await session.execute(text(statement), {"table": table, "last": last})
