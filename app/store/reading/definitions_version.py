"""The version of an organization's definitions, incremented by `changes.append_entries`."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Dialect, Select, Uuid, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.store.engine import driver_statements
from app.store.engine.database import ORGANIZATION_PARAMETER
from app.store.reading.statements import CompiledStatement, compile_statement
from app.store.tables import Organization

DEFINITIONS_VERSION: Select[Any] = select(col(Organization.definitions)).where(
    col(Organization.id) == bindparam(ORGANIZATION_PARAMETER, None, type_=Uuid())
)


async def fetch_definitions_version(session: AsyncSession) -> int:
    """The version of the session's organization, read in its transaction."""
    statement = _compiled_version_statement(session.get_bind().dialect)
    values = statement.bind_values({ORGANIZATION_PARAMETER: session.info["scope"]})
    [(version,)] = await driver_statements.execute_statement(session, statement.text, values)
    return int(version)


@cache
def _compiled_version_statement(dialect: Dialect) -> CompiledStatement:
    return compile_statement(dialect, DEFINITIONS_VERSION)
