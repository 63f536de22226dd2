"""What an operator does with keys, at the database itself: nobody's permission is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from app.domain.access.caller import Permission, key_problems
from app.domain.event_types.event_type_draft import gone
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode
from app.domain.shared.values import name_problems
from app.services.auth import keys
from app.services.auth.keys import Saved
from app.store import tables
from app.store.engine.database import EVERYWHERE, Database, repeated_when_undone

ACTOR = "tocsin keys"


@repeated_when_undone
async def create(
    database: Database,
    organization_key: str,
    name: str,
    permissions: Sequence[Permission],
    expires_at: datetime | None,
    now: datetime,
    limits: Limits,
    *,
    every_organization: bool = False,
) -> Saved:
    problems = key_problems(name, permissions, expires_at, now, limits)
    missing = f"There is no organization {organization_key[:100]!a}."
    unknown = Problem(UserErrorCode.NOT_FOUND, missing, ("organization",))
    if name_problems(organization_key, limits.name):
        problems.append(unknown)
    if problems:
        return Saved(problems=tuple(problems))
    own = col(tables.Organization.key) == organization_key
    async with database.write(EVERYWHERE) as session:
        organization = (await session.scalars(select(tables.Organization).where(own))).one_or_none()
        if organization is None:
            return Saved(problems=(unknown,))
        await keys.hold(session, organization.id)
        if problems := await keys.full(session, organization.id, now, limits):
            return Saved(problems=tuple(problems))
        key, secret = await keys.add(
            session,
            organization.id,
            name,
            frozenset(permissions),
            now,
            actor=ACTOR,
            every_organization=every_organization,
            expires_at=expires_at,
        )
        return Saved(key, secret)


@repeated_when_undone
async def revoke(database: Database, key_id: UUID, now: datetime) -> Saved:
    async with database.write(EVERYWHERE) as session:
        found = await session.get(tables.ApiKey, key_id)
        if found is None:
            return Saved(problems=(gone("API key", key_id),))
        await keys.hold(session, found.organization_id)
        await session.refresh(found)
        await keys.end(session, found, ACTOR, now)
        return Saved(found)


async def listed(database: Database, now: datetime) -> list[tuple[str, tables.ApiKey]]:
    """Every key beside its organization's: the valid ones first, then the last that ended."""
    async with database.read(EVERYWHERE) as session:
        organizations = await session.scalars(select(tables.Organization))
        names = {each.id: each.key for each in organizations}
        return [(names[key.organization_id], key) for key in await keys.listed(session, now)]
