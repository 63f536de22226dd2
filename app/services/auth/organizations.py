"""Organizations, and how an empty database gets its first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.caller import Caller, Permission, organization_problems
from app.domain.intake.intake import Desk
from app.domain.shared.problems import ErrorCode, Problem, RequestError, UserErrorCode
from app.domain.shared.values import name_problems
from app.services.auth import keys
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import EVERYWHERE, Database
from app.store.engine.dialect import insert_new

ADMINISTRATOR = "administrator"
DEFAULT_KEY = "default"
_LONGEST_KEY = 255


@dataclass(frozen=True)
class Saved:
    """An organization as it was made, or why none was."""

    organization: tables.Organization | None = None
    problems: tuple[Problem, ...] = ()


async def bootstrap(database: Database, key: str | None, now: datetime) -> str | None:
    """Gives an empty database its organization and its administrator's key.

    Returns the key, or None where there was something already. Of several processes that start
    at once, one gets the key.
    """
    async with database.write(EVERYWHERE) as session:
        if (await session.scalars(select(col(tables.Organization.id)).limit(1))).first():
            return None
        organization_id = await add_organization(session, DEFAULT_KEY, "Default", now)
        if organization_id is None:
            return None
        _, secret = await keys.add(
            session,
            organization_id,
            ADMINISTRATOR,
            frozenset(Permission),
            now,
            actor=ADMINISTRATOR,
            secret=key,
            every_organization=True,
        )
        return secret


async def create(database: Database, desk: Desk, key: str, name: str) -> Saved:
    """An organization, empty: who makes it chooses it by its key, and makes keys there.

    RequestError FORBIDDEN unless the caller acts in every organization.
    """
    if not desk.reporter.every_organization:
        message = "Only who acts in every organization may make one."
        raise RequestError(ErrorCode.FORBIDDEN, message)
    if problems := organization_problems(key, name, desk.limits):
        return Saved(problems=tuple(problems))
    async with database.write(EVERYWHERE) as session:
        actor = desk.reporter.name
        made = await add_organization(session, key, name, desk.now, actor)
        if made is None:
            taken = f"There is an organization {key} already."
            return Saved(problems=(Problem(UserErrorCode.ALREADY_EXISTS, taken, ("key",)),))
        return Saved(await session.get_one(tables.Organization, made))


async def add_organization(
    session: AsyncSession, key: str, name: str, now: datetime, actor: str = ADMINISTRATOR
) -> UUID | None:
    """Writes an organization and its log entry; None where the key is taken."""
    table = tables.Organization
    row = {"id": uuid7(), "key": key, "name": name, "created_at": now}
    new = insert_new(session, table).returning(col(table.id))
    organization_id = (await session.scalars(new, [row])).one_or_none()
    if organization_id is not None:
        entry = changes.NewEntry(
            changes.ORGANIZATION,
            organization_id,
            organization_id,
            actor,
            now,
            {"key": key, "name": name},
        )
        await changes.append(session, [entry])
    return organization_id


async def organization_named(session: AsyncSession, key: str) -> UUID | None:
    """The id of the organization with this key, whatever text the key is. Needs EVERYWHERE."""
    if name_problems(key, _LONGEST_KEY):
        return None
    asked = select(col(tables.Organization.id)).where(col(tables.Organization.key) == key)
    return (await session.scalars(asked)).one_or_none()


async def organization(database: Database, caller: Caller) -> tables.Organization:
    """The organization that the request acts in."""
    async with database.read(caller.organization_id) as session:
        return await session.get_one(tables.Organization, caller.organization_id)


async def organizations(
    database: Database, caller: Caller, limit: int
) -> Sequence[tables.Organization]:
    """Those that the caller's credential may choose among, up to `limit`, by key."""
    table = tables.Organization
    async with database.read(EVERYWHERE) as session:
        statement = select(table).order_by(col(table.key)).limit(limit)
        if not caller.every_organization:
            named = col(table.key).in_(sorted(caller.organization_keys))
            statement = statement.where(or_(col(table.id) == caller.organization_id, named))
        return list(await session.scalars(statement))
