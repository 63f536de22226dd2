"""How often what an organization's reports are judged by was changed: `changes.append` counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Dialect, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.store import direct
from app.store.tables import METADATA


async def count(session: AsyncSession) -> int:
    """Of the session's organization."""
    statement, key_of = _asked(session.get_bind().dialect)
    [(counted,)] = await direct.fetch(session, statement, [key_of(session.info["scope"])])
    return int(counted)


@cache
def _asked(dialect: Dialect) -> tuple[str, Callable[[UUID], Any]]:
    table = METADATA.tables["organization"]
    own = bindparam("own", type_=table.c.id.type)
    asked = select(table.c.definitions).where(table.c.id == own).compile(dialect=dialect)
    processor = table.c.id.type.dialect_impl(dialect).bind_processor(dialect)
    return str(asked), processor or (lambda key: key)
