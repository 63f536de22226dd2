"""API keys: authentication, creation, revocation and listing."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.audit import AuditAction
from app.domain.access.caller import (
    Caller,
    InactiveCredentialError,
    Permission,
    validate_grants,
    validate_key,
)
from app.domain.access.tokens import unauthenticated
from app.domain.intake.intake import CommandContext
from app.domain.shared.limits import Limits
from app.domain.shared.messages import format_count
from app.domain.shared.problems import ErrorCode, Problem, RequestError, UserErrorCode, not_found
from app.services.auth.stored_secrets import digest_secret, find_by_secret
from app.services.shared.readers import lookup_by_id
from app.services.shared.row_locks import lock_organization
from app.store import tables
from app.store.change_log.audit import append_audit_entry, collect_values
from app.store.engine.database import Database, retry_on_deadlock
from app.store.writing.inserts import insert_rows

log = structlog.get_logger(__name__)

KEY_BY_ID = lookup_by_id(tables.ApiKey)
_KEY_TABLE = tables.METADATA.tables["api_key"]


@dataclass(frozen=True)
class ApiKeyResult:
    """The key after a change, with the secret of a new key, or the problems that prevented it."""

    key: tables.ApiKey | None = None
    secret: str | None = None
    problems: tuple[Problem, ...] = ()


class InactiveKeyError(InactiveCredentialError):
    """The API key was revoked or has expired."""

    def __init__(self, message: str, key: tables.ApiKey) -> None:
        super().__init__(message)
        self.key = key


async def authenticate_secret(session: AsyncSession, secret: str, now: datetime) -> tables.ApiKey:
    """Returns the valid key with this secret.

    Raises RequestError UNAUTHENTICATED, with the reason if the key was revoked or has expired.
    """
    key = await find_by_secret(session, tables.ApiKey, secret)
    if key is None:
        raise unauthenticated(
            "Invalid API key. Check that the key is complete and that it was created on this "
            "server."
        )
    if key.revoked_at is not None:
        raise InactiveKeyError("The API key was revoked.", key)
    if key.expires_at is not None and key.expires_at <= now:
        raise InactiveKeyError("The API key has expired.", key)
    return key


@retry_on_deadlock
async def create(
    database: Database,
    command: CommandContext,
    name: str,
    permissions: Sequence[Permission],
    expires_at: datetime | None,
) -> ApiKeyResult:
    """Creates a key in the caller's organization, with a subset of the caller's permissions."""
    creator, now = command.actor, command.now
    problems = [
        *validate_key(name, permissions, expires_at, now, command.limits),
        *validate_grants(permissions, creator),
    ]
    if problems:
        return ApiKeyResult(problems=tuple(problems))
    async with database.write(creator.organization_id) as session:
        await lock_organization(session, creator.organization_id)
        await _check_not_revoked(session, creator)
        if problems := await key_limit_problems(
            session, creator.organization_id, now, command.limits
        ):
            return ApiKeyResult(problems=tuple(problems))
        key, secret = await insert_key(
            session,
            creator.organization_id,
            name,
            frozenset(permissions),
            now,
            actor=creator.name,
            expires_at=expires_at,
        )
    _log_change("api_key_created", creator, key)
    return ApiKeyResult(key, secret)


async def insert_key(
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
    """Writes a key and its log entry and returns the key with its secret, which is not stored.

    Without `secret`, it has 32 random bytes.
    """
    secret = secret or f"tocsin_{secrets.token_urlsafe(32)}"
    stored = digest_secret(secret)
    key = tables.ApiKey(
        id=uuid7(),
        organization_id=organization_id,
        name=name,
        prefix=stored.prefix,
        digest=stored.digest,
        permissions=sorted(permission.value for permission in permissions),
        every_organization=every_organization,
        created_at=now,
        created_by=actor,
        expires_at=expires_at,
    )
    await insert_rows(session, (tables.ApiKey, [key.to_columns()]))
    await append_audit_entry(session, key, AuditAction.CREATED, actor, now)
    return key, secret


@retry_on_deadlock
async def revoke(database: Database, command: CommandContext, key_id: UUID) -> ApiKeyResult:
    """Revokes a key permanently. Revoking it again changes nothing.

    Raises RequestError FORBIDDEN for a key of all organizations if the caller does not have them.
    """
    caller = command.actor
    async with database.write(caller.organization_id) as session:
        await lock_organization(session, caller.organization_id)
        await _check_not_revoked(session, caller)
        key = await session.get(tables.ApiKey, key_id)
        if key is None:
            return ApiKeyResult(problems=(not_found("API key", key_id, "id"),))
        if key.every_organization and not caller.every_organization:
            message = (
                "Only a caller with access to every organization may revoke an API key that has "
                "access to every organization."
            )
            raise RequestError(ErrorCode.FORBIDDEN, message)
        await mark_revoked(session, key, caller.name, command.now)
    _log_change("api_key_revoked", caller, key)
    return ApiKeyResult(key)


def _log_change(event: str, actor: Caller, key: tables.ApiKey) -> None:
    log.info(
        event,
        key=str(key.id),
        name=key.name,
        actor=actor.name,
        organization=str(key.organization_id),
    )


async def mark_revoked(
    session: AsyncSession, key: tables.ApiKey, actor: str, now: datetime
) -> None:
    """Marks the key as revoked. The transaction must hold the lock of its organization."""
    if key.revoked_at is None:
        before = collect_values(key)
        key.revoked_at = now
        await append_audit_entry(session, key, AuditAction.REVOKED, actor, now, before)


async def list_keys(
    session: AsyncSession, now: datetime, limit: int | None = None
) -> list[tables.ApiKey]:
    """Lists the keys in the session's scope: valid ones, newest first, then inactive ones, latest
    first.
    """
    table = tables.ApiKey
    inactive_since = case(
        (~_is_valid(now), func.coalesce(col(table.revoked_at), col(table.expires_at)))
    )
    order = (inactive_since.is_not(None), inactive_since.desc(), col(table.id).desc())
    return list(await session.scalars(select(table).order_by(*order).limit(limit)))


async def list_for_organization(
    database: Database, caller: Caller, now: datetime, limits: Limits
) -> list[tables.ApiKey]:
    async with database.read(caller.organization_id) as session:
        return await list_keys(session, now, limits.api_keys_listed)


async def key_limit_problems(
    session: AsyncSession, organization_id: UUID, now: datetime, limits: Limits
) -> list[Problem]:
    """Returns a problem if the organization has the maximum number of valid keys."""
    in_organization = col(tables.ApiKey.organization_id) == organization_id
    statement = (
        select(func.count()).select_from(tables.ApiKey).where(in_organization, _is_valid(now))
    )
    if (await session.scalars(statement)).one() < limits.api_keys_per_organization:
        return []
    maximum = limits.api_keys_per_organization
    message = (
        f"The organization has the maximum of {format_count(maximum, 'valid API key')}. Revoke a "
        "key first."
    )
    return [Problem(UserErrorCode.LIMIT_REACHED, message)]


async def _check_not_revoked(session: AsyncSession, caller: Caller) -> None:
    """Raises RequestError UNAUTHENTICATED if the caller's key was revoked meanwhile."""
    if caller.credential_id is None:
        return
    # By the table's columns, which are not limited to the session's organization: the key may be of
    # another one.
    not_revoked = (_KEY_TABLE.c.id == caller.credential_id, _KEY_TABLE.c.revoked_at.is_(None))
    statement = select(_KEY_TABLE.c.id).where(*not_revoked).with_for_update(read=True)
    if (await session.execute(statement)).one_or_none() is None:
        raise InactiveCredentialError("The API key was revoked.")


def _is_valid(now: datetime) -> ColumnElement[bool]:
    table = tables.ApiKey
    unexpired = or_(col(table.expires_at).is_(None), col(table.expires_at) > now)
    return and_(col(table.revoked_at).is_(None), unexpired)
