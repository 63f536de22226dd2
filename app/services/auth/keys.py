"""API keys: found by their secret, made, revoked, listed."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.caller import Caller, EndedError, Permission, grant_problems, key_problems
from app.domain.event_types.event_type_draft import gone
from app.domain.intake.intake import Desk
from app.domain.shared.limits import Limits
from app.domain.shared.problems import ErrorCode, Problem, RequestError, UserErrorCode
from app.domain.shared.values import write_instant
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import Database, repeated_when_undone

REVOKED = "REVOKED"
_PREFIX_LENGTH = 16
_KEYS = tables.METADATA.tables["api_key"]


@dataclass(frozen=True)
class Saved:
    """A key as it lies after a mutation, with the secret of a new one; or why nothing changed."""

    key: tables.ApiKey | None = None
    secret: str | None = None
    problems: tuple[Problem, ...] = ()


async def behind(session: AsyncSession, secret: str, now: datetime) -> tables.ApiKey:
    """The valid key of this secret. RequestError UNAUTHENTICATED.

    Who holds the secret of a key may know what became of it.
    """
    digest = _digest(secret)
    kept = select(tables.ApiKey).where(col(tables.ApiKey.prefix) == digest[:_PREFIX_LENGTH])
    for key in await session.scalars(kept):
        if hmac.compare_digest(key.digest, digest):
            if key.revoked_at is not None:
                raise EndedError("The key was revoked.")
            if key.expires_at is not None and key.expires_at <= now:
                raise EndedError("The key has expired.")
            return key
    raise unauthenticated("The key is not valid.")


def unauthenticated(message: str) -> RequestError:
    return RequestError(ErrorCode.UNAUTHENTICATED, message)


@repeated_when_undone
async def create(
    database: Database,
    desk: Desk,
    name: str,
    permissions: Sequence[Permission],
    expires_at: datetime | None,
) -> Saved:
    """A key of the organization that the request acts in, with permissions that its maker has."""
    creator, now = desk.reporter, desk.now
    problems = [
        *key_problems(name, permissions, expires_at, now, desk.limits),
        *grant_problems(permissions, creator),
    ]
    if problems:
        return Saved(problems=tuple(problems))
    async with database.write(creator.organization_id) as session:
        await hold(session, creator.organization_id)
        await _still_valid(session, creator)
        if problems := await full(session, creator.organization_id, now, desk.limits):
            return Saved(problems=tuple(problems))
        key, secret = await add(
            session,
            creator.organization_id,
            name,
            frozenset(permissions),
            now,
            actor=creator.name,
            expires_at=expires_at,
        )
        return Saved(key, secret)


async def add(
    session: AsyncSession,
    organization_id: UUID,
    name: str,
    permissions: frozenset[Permission],
    now: datetime,
    *,
    actor: str,
    secret: str | None = None,
    every_organization: bool = False,
    expires_at: datetime | None = None,
) -> tuple[tables.ApiKey, str]:
    """Writes a key and its log entry. The secret, 32 random bytes unless given, is kept nowhere."""
    secret = secret or f"tocsin_{secrets.token_urlsafe(32)}"
    digest = _digest(secret)
    key = tables.ApiKey(
        id=uuid7(),
        organization_id=organization_id,
        name=name,
        prefix=digest[:_PREFIX_LENGTH],
        digest=digest,
        permissions=sorted(permission.value for permission in permissions),
        every_organization=every_organization,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(key)
    await changes.append(session, [_entry(key, "CREATED", actor, now)])
    return key, secret


@repeated_when_undone
async def revoke(database: Database, desk: Desk, key_id: UUID) -> Saved:
    """Revokes a key for good; a second time changes nothing.

    RequestError FORBIDDEN for a key of every organization, unless the caller has them all too.
    """
    caller = desk.reporter
    async with database.write(caller.organization_id) as session:
        await hold(session, caller.organization_id)
        await _still_valid(session, caller)
        key = await session.get(tables.ApiKey, key_id)
        if key is None:
            return Saved(problems=(gone("API key", key_id, "id"),))
        if key.every_organization and not caller.every_organization:
            message = "Only who acts in every organization may revoke a key of every organization."
            raise RequestError(ErrorCode.FORBIDDEN, message)
        await end(session, key, caller.name, desk.now)
        return Saved(key)


async def end(session: AsyncSession, key: tables.ApiKey, actor: str, now: datetime) -> None:
    """In the transaction of who holds the key's organization."""
    if key.revoked_at is None:
        key.revoked_at = now
        await changes.append(session, [_entry(key, REVOKED, actor, now)])


async def find(database: Database, caller: Caller, key_id: UUID) -> tables.ApiKey | None:
    async with database.read(caller.organization_id) as session:
        return await session.get(tables.ApiKey, key_id)


async def listed(
    session: AsyncSession, now: datetime, limit: int | None = None
) -> list[tables.ApiKey]:
    """Those in the session's scope: the valid ones, the newest first, then the last that ended."""
    table = tables.ApiKey
    ended = case((~_valid(now), func.coalesce(col(table.revoked_at), col(table.expires_at))))
    order = (ended.is_not(None), ended.desc(), col(table.id).desc())
    return list(await session.scalars(select(table).order_by(*order).limit(limit)))


async def of_organization(
    database: Database, caller: Caller, now: datetime, limits: Limits
) -> list[tables.ApiKey]:
    async with database.read(caller.organization_id) as session:
        return await listed(session, now, limits.api_keys_listed)


async def hold(session: AsyncSession, organization_id: UUID) -> None:
    """Until the end of the transaction, nobody else makes or revokes keys of the organization."""
    own = col(tables.Organization.id) == organization_id
    # Reporters share the row by their foreign keys: those do not wait.
    await session.execute(select(tables.Organization).where(own).with_for_update(key_share=True))


async def full(
    session: AsyncSession, organization_id: UUID, now: datetime, limits: Limits
) -> list[Problem]:
    """Whether the organization has as many valid keys as it may have."""
    own = col(tables.ApiKey.organization_id) == organization_id
    valid = select(func.count()).select_from(tables.ApiKey).where(own, _valid(now))
    if (await session.scalars(valid)).one() < limits.api_keys:
        return []
    message = f"An organization has at most {limits.api_keys:,} valid keys: revoke one."
    return [Problem(UserErrorCode.LIMIT_REACHED, message)]


async def _still_valid(session: AsyncSession, caller: Caller) -> None:
    """A key that was revoked meanwhile leaves none behind. RequestError UNAUTHENTICATED."""
    if caller.credential_id is None:
        return
    # By its bare columns, which no scope narrows: the key may be another organization's.
    own = _KEYS.c.id == caller.credential_id
    asked = select(_KEYS.c.id).where(own, _KEYS.c.revoked_at.is_(None)).with_for_update(read=True)
    if (await session.execute(asked)).one_or_none() is None:
        raise EndedError("The key was revoked.")


def _valid(now: datetime) -> ColumnElement[bool]:
    table = tables.ApiKey
    lasting = or_(col(table.expires_at).is_(None), col(table.expires_at) > now)
    return and_(col(table.revoked_at).is_(None), lasting)


def _entry(key: tables.ApiKey, kind: str, actor: str, now: datetime) -> changes.NewEntry:
    told = {
        "name": key.name,
        "permissions": key.permissions,
        "expires_at": key.expires_at and write_instant(key.expires_at),
    }
    return changes.NewEntry(changes.API_KEY, key.id, key.organization_id, actor, now, told, kind)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
