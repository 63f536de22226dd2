"""What tells whether a server on this database is fit to serve."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, column, func, select, table, tuple_
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import Place
from app.store.engine.dialect import why_unavailable
from app.store.migrate import newest_revision

COUNTED = 10_000


async def is_migrated(session: AsyncSession) -> bool:
    """Whether the database has the tables of this version, no earlier and no later ones."""
    try:
        revision = await session.scalars(select(_VERSIONS.c.version_num))
    except DBAPIError as error:
        if why_unavailable(error) is not None:
            raise
        return False  # there is no such table
    return revision.one_or_none() == newest_revision()


async def behind(session: AsyncSession, place: Place) -> tuple[int, datetime | None]:
    """How many entries follow the place, up to COUNTED, and when the first of them was written.

    Those beyond the horizon count: a transaction that is left open keeps them from every reader.
    """
    change = tables.Change
    following = (
        select(col(change.at))
        .where(tuple_(col(change.tx), col(change.seq)) > changes.bound(place))
        .order_by(col(change.tx), col(change.seq))
        .limit(COUNTED)
        .subquery()
    )
    counted = await session.execute(select(func.count(), func.min(following.c.at)))
    entries, oldest = counted.one()
    return entries, oldest


_VERSIONS = table("alembic_version", column("version_num", String()))
