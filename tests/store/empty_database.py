"""Databases without any table."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg

from tests.conftest import SQLITE


@contextlib.asynccontextmanager
async def create_empty_database(dialect: str, postgresql: str, folder: Path) -> AsyncIterator[str]:
    """Creates a database. Yields its URL."""
    name = f"empty_{uuid4().hex}"
    if dialect == SQLITE:
        yield f"sqlite:///{folder / f'{name}.db'}"
        return
    connection = await asyncpg.connect(postgresql.format("postgres"))
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield postgresql.format(name)
    finally:
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await connection.close()
