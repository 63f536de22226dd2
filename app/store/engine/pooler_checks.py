"""Checks of a PostgreSQL server's URL: is it of a pooler, and of the same database as another?"""

from __future__ import annotations

import secrets

from sqlalchemy import text
from sqlalchemy.engine import URL

from app.store.engine.postgresql_connections import create_postgresql_engine
from app.store.tables.columns import SQLITE

POOLER_CHECK_ROUNDS = 5


async def has_transaction_pooler(url: URL) -> bool:
    """Whether a pooler runs the transactions of a connection in sessions of other connections."""
    if url.get_backend_name() == SQLITE:
        return False
    engine = create_postgresql_engine(url, {}, pooled=True)
    used: set[tuple[int, int]] = set()
    try:
        async with engine.connect() as first, engine.connect() as second:
            # Twice in turn on the same connection: a pooler that uses its sessions in turn could
            # otherwise give each connection the same one every time.
            for number, connection in [(1, first), (1, first), (2, second)] * POOLER_CHECK_ROUNDS:
                async with connection.begin():
                    session = await connection.scalar(text("SELECT pg_backend_pid()"))
                used.add((number, session))
        return len(used) != 2 or len({session for _, session in used}) != 2
    finally:
        await engine.dispose()


async def is_same_database(url: URL, other_url: URL) -> bool:
    """Whether both URLs point to the same PostgreSQL database, and so see each other's locks."""
    statement = text(f"SELECT pg_try_advisory_xact_lock({secrets.randbits(62)})")
    engines = [create_postgresql_engine(each, {}, pooled=True) for each in (url, other_url)]
    try:
        async with engines[0].begin() as connection, engines[1].begin() as other:
            await connection.scalar(statement)
            return not await other.scalar(statement)
    finally:
        for engine in engines:
            await engine.dispose()
