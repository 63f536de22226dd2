"""API key commands of an operator on the database. Permissions are not checked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from app.domain.access.caller import Permission, validate_key
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode, not_found
from app.services.auth import keys
from app.services.auth.keys import ApiKeyResult
from app.services.auth.organizations import find_organization_id
from app.services.shared.row_locks import lock_organization
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database, retry_on_deadlock

ACTOR = "tocsin keys"


@retry_on_deadlock
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
) -> ApiKeyResult:
    problems = validate_key(name, permissions, expires_at, now, limits)
    message = f"There is no organization {organization_key[:100]!a}."
    unknown_organization = Problem(UserErrorCode.NOT_FOUND, message, ("organization",))
    if problems:
        return ApiKeyResult(problems=tuple(problems))
    async with database.write(ALL_ORGANIZATIONS) as session:
        organization_id = await find_organization_id(session, organization_key)
        if organization_id is None:
            return ApiKeyResult(problems=(unknown_organization,))
        await lock_organization(session, organization_id)
        if problems := await keys.key_limit_problems(session, organization_id, now, limits):
            return ApiKeyResult(problems=tuple(problems))
        key, secret = await keys.insert_key(
            session,
            organization_id,
            name,
            frozenset(permissions),
            now,
            actor=ACTOR,
            every_organization=every_organization,
            expires_at=expires_at,
        )
        return ApiKeyResult(key, secret)


@retry_on_deadlock
async def revoke(database: Database, key_id: UUID, now: datetime) -> ApiKeyResult:
    async with database.write(ALL_ORGANIZATIONS) as session:
        key = await session.get(tables.ApiKey, key_id)
        if key is None:
            return ApiKeyResult(problems=(not_found("API key", key_id),))
        await lock_organization(session, key.organization_id)
        await session.refresh(key)
        await keys.mark_revoked(session, key, ACTOR, now)
        return ApiKeyResult(key)


async def list_keys(database: Database, now: datetime) -> list[tuple[str, tables.ApiKey]]:
    """Lists all keys with the keys of their organizations: valid ones first, then inactive ones."""
    async with database.read(ALL_ORGANIZATIONS) as session:
        organizations = await session.scalars(select(tables.Organization))
        organization_keys = {row.id: row.key for row in organizations}
        return [
            (organization_keys[key.organization_id], key)
            for key in await keys.list_keys(session, now)
        ]
