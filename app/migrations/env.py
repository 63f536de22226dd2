"""Runs migrations on the connection given, or on TOCSIN_DATABASE_URL from a command line."""

import asyncio
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection

from app.store import tables
from app.store.engine import dialect


def render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Our column types by their SQLAlchemy names, so that a step imports nothing of ours."""
    if kind != "type":
        return False
    return {
        "AutoString": "sa.String()",
        "CodePoints": 'sa.String().with_variant(sa.String(collation="C"), "postgresql")',
        "UTCDateTime": 'sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")',
        "JSONValue": 'sa.JSON().with_variant(sa.Text(), "sqlite")',
        "LogNumber": 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")',
        "Words": 'sa.Text().with_variant(postgresql.TSVECTOR(), "postgresql")',
    }.get(type(item).__name__, False)


def is_ours(item: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    """Whether a table or index is one that `tables` describes."""
    if kind == "table":
        # SQLite's FTS5 and the tables that it keeps for itself.
        return not (name or "").startswith("event_search")
    # SQLite has no GIN: an index on the text of the words would not be used.
    dialect_name = context.get_context().dialect.name
    return name != "ix_event_words_words" or dialect_name == "postgresql"


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=tables.METADATA,
        render_item=render_item,
        include_object=is_ours,
        render_as_batch=True,  # a batch on the table of events drops its triggers (migration 0039)
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_from_command_line() -> None:
    from app.settings import Settings

    settings = Settings()
    url = dialect.parse_database_url(settings.database_direct_url or settings.database_url)
    engine = dialect.create_migration_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


given = context.config.attributes.get("connection")
if given is None:
    asyncio.run(run_from_command_line())
else:
    run(given)
