"""Credentials: who a request comes from, and which organization it acts in."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access import Caller, Permission
from app.domain.problems import ErrorCode, RequestError
from app.domain.values import name_problems
from app.store import changes, tables
from app.store.database import EVERYWHERE, Database

PARTITION_HEADERS = ("data-partition-id", "slb-data-partition-id")
_PREFIX_LENGTH = 16
_LONGEST_KEY = 255


async def caller_of(database: Database, said: Mapping[str, str]) -> Caller:
    """The caller behind a request's headers, or behind the payload of a socket's connection_init.

    RequestError UNAUTHENTICATED, FORBIDDEN.
    """
    partition = next((said[name] for name in PARTITION_HEADERS if name in said), None)
    return await authenticate(database, said.get("authorization"), partition)


async def authenticate(
    database: Database, authorization: str | None, organization_key: str | None = None
) -> Caller:
    """The caller behind `Authorization: Bearer KEY`, in the organization that it asks for.

    RequestError: UNAUTHENTICATED without a valid key; FORBIDDEN for an organization that does
    not exist or is not the key's, which are told apart by nothing.
    """
    scheme, _, secret = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise _unauthenticated("Give a key, as Authorization: Bearer KEY.")
    digest = _digest(secret.strip())
    async with database.read(EVERYWHERE) as session:
        kept = select(tables.ApiKey).where(col(tables.ApiKey.prefix) == digest[:_PREFIX_LENGTH])
        for key in await session.scalars(kept):
            if hmac.compare_digest(key.digest, digest):
                return await _caller(session, key, organization_key)
    raise _unauthenticated("The key is not valid.")


async def add_key(
    session: AsyncSession,
    organization_id: UUID,
    name: str,
    permissions: frozenset[Permission],
    now: datetime,
    *,
    actor: str,
    secret: str | None = None,
    every_organization: bool = False,
) -> str:
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
    )
    session.add(key)
    told = {"name": name, "permissions": key.permissions}
    entry = changes.announcement(changes.API_KEY, key.id, organization_id, actor, now, told)
    await changes.append(session, [entry])
    return secret


async def _caller(
    session: AsyncSession, key: tables.ApiKey, organization_key: str | None
) -> Caller:
    organization_id = key.organization_id
    if organization_key is not None:
        asked = select(col(tables.Organization.id)).where(
            col(tables.Organization.key) == organization_key
        )
        nameable = not name_problems(organization_key, _LONGEST_KEY)
        found = (await session.scalars(asked)).one_or_none() if nameable else None
        if found is None or not (key.every_organization or found == organization_id):
            message = f"The key does not open the organization {organization_key[:100]!a}."
            raise RequestError(ErrorCode.FORBIDDEN, message)
        organization_id = found
    return Caller(
        name=key.name,
        organization_id=organization_id,
        permissions=frozenset(Permission(name) for name in key.permissions),
        every_organization=key.every_organization,
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def _unauthenticated(message: str) -> RequestError:
    return RequestError(ErrorCode.UNAUTHENTICATED, message)
