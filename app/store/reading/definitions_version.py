"""How often what an organization's reports are judged by was changed: `changes.append` counts."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Dialect, Select, Uuid, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.engine import direct
from app.store.engine.database import ORGANIZATION
from app.store.reading.statements import Statement, composed
from app.store.tables import Organization

NUMBER: Select[Any] = select(col(Organization.definitions)).where(
    col(Organization.id) == bindparam(ORGANIZATION, None, type_=Uuid())
)


async def count(session: AsyncSession) -> int:
    """Of the session's organization, in its transaction."""
    asked = _asked(session.get_bind().dialect)
    given = asked.parameters({ORGANIZATION: session.info["scope"]})
    [(counted,)] = await direct.fetch(session, asked.text, given)
    return int(counted)


@cache
def _asked(dialect: Dialect) -> Statement:
    return composed(dialect, NUMBER)
