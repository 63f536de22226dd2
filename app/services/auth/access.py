"""Credentials: who a request comes from, and which organization it acts in."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.access.caller import Caller, EndedError, Permission
from app.domain.access.tokens import TokenClaims
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.auth import keys
from app.services.auth.auth_throttle import Throttle
from app.services.auth.caller_cache import Remembered, place_of
from app.services.auth.credential_watcher import Endings
from app.services.auth.key_uses import KeyUses
from app.services.auth.organizations import DEFAULT_KEY, organization_named
from app.services.auth.rate_limits import Rates
from app.store import tables
from app.store.engine.database import EVERYWHERE, Database

if TYPE_CHECKING:
    from app.services.auth.tokens import Tokens

PARTITION_HEADERS = ("data-partition-id", "slb-data-partition-id")
_NO_ORGANIZATION = "The token has no organization to act in: choose one by data-partition-id."


@dataclass(frozen=True)
class Access:
    """What it takes to know a caller: one for a process. Without `tokens` only keys are known."""

    database: Database
    tokens: Tokens | None = None
    throttle: Throttle = field(default_factory=Throttle)
    uses: KeyUses = field(default_factory=KeyUses)
    endings: Endings = field(default_factory=Endings)
    rates: Rates = field(default_factory=Rates)
    remembered: Remembered = field(default_factory=Remembered)


async def caller_of(access: Access, said: Mapping[str, str], address: str | None) -> Caller:
    """The caller behind a request's headers, or behind the payload of a socket's connection_init.

    `address` is the client's: from one that has sent bad credentials, further bad ones are
    answered later, and from a certain number on none is looked at that was not good lately.
    RequestError UNAUTHENTICATED, FORBIDDEN, LIMIT_EXCEEDED.
    """
    partition = next((said[name] for name in PARTITION_HEADERS if name in said), None)
    credential = _credential(said.get("authorization"))
    now = datetime.now(UTC)
    place = place_of(credential, partition)
    if (known := access.remembered.at(place, now)) is not None:
        if (key_id := known.caller.credential_id) is not None:
            access.uses.note(key_id, now, known.written)
        return known.caller
    access.throttle.admit(address, credential)
    look = access.remembered.look()
    try:
        caller, written = await _known(access, credential, partition)
    except RequestError as error:
        access.remembered.drop(place)
        # Who has one that has ended had a good one: it is no guess.
        if error.code is ErrorCode.UNAUTHENTICATED and not isinstance(error, EndedError):
            await access.throttle.fail(address)
        raise
    access.throttle.remember(credential)
    access.remembered.keep(place, caller, written, look)
    return caller


async def authenticate(
    access: Access, authorization: str | None, organization_key: str | None = None
) -> Caller:
    """The caller behind `Authorization: Bearer KEY`, in the organization that it asks for.

    RequestError: UNAUTHENTICATED without a valid credential; FORBIDDEN for an organization that
    does not exist or is not the credential's, which are told apart by nothing.
    """
    caller, _ = await _known(access, _credential(authorization), organization_key)
    return caller


def _credential(authorization: str | None) -> str:
    scheme, _, credential = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise keys.unauthenticated("Give a key, as Authorization: Bearer KEY.")
    return credential.strip()


async def _known(
    access: Access, credential: str, organization_key: str | None
) -> tuple[Caller, datetime | None]:
    """The caller, and the key's last use that is written."""
    now = datetime.now(UTC)
    if access.tokens is not None and _looks_like_a_token(credential):
        claims = await access.tokens.claims(credential, now)
        async with access.database.read(EVERYWHERE) as session:
            return await _of_token(session, claims, organization_key), None
    async with access.database.read(EVERYWHERE) as session:
        key = await keys.behind(session, credential, now)
        caller = await _of_key(session, key, organization_key)
    access.uses.note(key.id, now, key.last_used_at)
    return caller, key.last_used_at


def _looks_like_a_token(credential: str) -> bool:
    """Three parts, of which the first is a JSON object: a key that people chose may have dots."""
    parts = credential.split(".")
    if len(parts) != 3:
        return False
    try:
        header = json.loads(urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict)


async def _of_key(
    session: AsyncSession, key: tables.ApiKey, organization_key: str | None
) -> Caller:
    organization_id = key.organization_id
    if organization_key is not None:
        found = await organization_named(session, organization_key)
        if found is None or not (key.every_organization or found == organization_id):
            raise _not_opened("key", organization_key)
        organization_id = found
    return Caller(
        name=key.name,
        organization_id=organization_id,
        permissions=frozenset(Permission(name) for name in key.permissions),
        every_organization=key.every_organization,
        credential_id=key.id,
        expires_at=key.expires_at,
    )


async def _of_token(
    session: AsyncSession, claims: TokenClaims, organization_key: str | None
) -> Caller:
    own = claims.organizations
    wanted = organization_key
    if wanted is None:
        wanted = next(iter(own)) if own is not None and len(own) == 1 else DEFAULT_KEY
    found = None
    if own is None or wanted in own:
        found = await organization_named(session, wanted)
    if found is None:
        if organization_key is None:
            raise RequestError(ErrorCode.FORBIDDEN, _NO_ORGANIZATION)
        raise _not_opened("token", organization_key)
    return Caller(
        name=claims.name,
        organization_id=found,
        permissions=claims.permissions,
        every_organization=own is None,
        organization_keys=own or frozenset(),
        expires_at=claims.expires_at,
    )


def _not_opened(credential: str, organization_key: str) -> RequestError:
    message = f"The {credential} does not open the organization {organization_key[:100]!a}."
    return RequestError(ErrorCode.FORBIDDEN, message)
