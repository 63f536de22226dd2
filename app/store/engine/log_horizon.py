"""The horizon of the change log: all entries of transactions before it are complete.

On PostgreSQL, transactions do not commit in the order of their numbers. A reader of the
change log may only pass a number if no writer of the change log with a smaller one is still open.
`register_log_writer` makes these writers known; `LogHorizon` finds the oldest of them. Transactions
that do not write to the change log, in this database or another one, do not hold the horizon back.
Decision 0011 has the proof. On SQLite, writers are serialized and every entry is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.store.engine import driver_statements
from app.store.engine.advisory_locks import LOG_WRITER_LOCK_CLASS
from app.store.engine.row_reader import RowReader
from app.store.tables.columns import (
    HORIZON_PARAMETER,
    IDENTITY_PARAMETER,
    LOG_IDENTITY,
    POSTGRESQL,
)

_REGISTER = "SELECT pg_advisory_xact_lock_shared($1, 'change'::regclass::oid::int)"

# The snapshot is taken before the locks are read: the proof depends on it.
_SNAPSHOT_AND_WRITERS = f"""
SELECT
    ({LOG_IDENTITY}),
    pg_snapshot_xmax(snapshot)::text::bigint,
    pg_snapshot_xmin(snapshot)::text::bigint,
    pg_is_in_recovery(),
    ARRAY(
        SELECT pid FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 2
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND classid = $1::int::oid AND objid = 'change'::regclass
    )
FROM pg_current_snapshot() AS snapshot
"""  # noqa: S608 - constants
# `pg_locks` would show a transaction's number later than this view.
_TRANSACTIONS = """
SELECT backend_xid::text::bigint FROM pg_stat_activity
WHERE pid = ANY($1::int[]) AND backend_xid IS NOT NULL
"""


async def register_log_writer(session: AsyncSession) -> None:
    """Makes the transaction known as a writer of the change log, until it ends.

    Must be its first statement, outside any savepoint: before the transaction has a number, and in
    a place where ROLLBACK TO does not undo it.
    """
    if session.get_bind().dialect.name == POSTGRESQL:
        await driver_statements.execute_statement(session, _REGISTER, [LOG_WRITER_LOCK_CLASS])


class LogHorizon:
    """Finds the horizon. `value` is the greatest one found; it is valid for later snapshots only.

    Read it before the snapshot is taken: other tasks refresh it at any time. `identity` is the
    change log that it is valid for.
    """

    def __init__(self, reader: RowReader, dialect_name: str) -> None:
        self._reader = reader
        self._is_postgresql = dialect_name == POSTGRESQL
        self.value = 0
        self.identity = ""

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of a statement with `Horizon`, for a snapshot that is taken later."""
        return {HORIZON_PARAMETER: self.value, IDENTITY_PARAMETER: self.identity}

    async def refresh(self) -> int:
        """Finds the horizon, which is valid for every snapshot that is taken after this call."""
        if self._is_postgresql:
            [row] = await self._reader.fetch_rows(_SNAPSHOT_AND_WRITERS, [LOG_WRITER_LOCK_CLASS])
            identity, end, oldest, in_recovery, writers = row
            if in_recovery or None in writers:  # None: a prepared transaction, which has no process
                found = oldest
            elif writers:
                rows = await self._reader.fetch_rows(_TRANSACTIONS, [writers])
                found = oldest_transaction(end, [number for [number] in rows])
            else:
                found = end
            # A call that began earlier may end later, with a smaller number.
            self.value = max(found, self.value) if identity == self.identity else found
            self.identity = identity
        return self.value


def oldest_transaction(end: int, numbers: Sequence[int]) -> int:
    """The smallest of `end` and the transaction numbers.

    `end` has 64 bits, the others only their low 32, which start again every 2^32 transactions. They
    are at most 2^31 away from `end`.
    """
    behind = [(end - number) % 2**32 for number in numbers]
    return end - max((distance for distance in behind if distance < 2**31), default=0)
