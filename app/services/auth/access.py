"""Authentication: resolves the caller of a request and the organization that it acts in."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.access.caller import Caller, InactiveCredentialError, Permission
from app.domain.access.tokens import TokenClaims, unauthenticated
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.auth import keys
from app.services.auth.auth_throttle import AuthThrottle
from app.services.auth.caller_cache import CacheKey, CallerCache, create_cache_key
from app.services.auth.credential_watcher import CredentialWatcher
from app.services.auth.key_uses import KeyUseRecorder
from app.services.auth.organizations import DEFAULT_ORGANIZATION_KEY, find_organization_id
from app.services.auth.rate_limits import RateLimits
from app.services.auth.sign_in_failures import recorded_failures
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database

if TYPE_CHECKING:
    from app.services.auth.tokens import TokenVerifier

PARTITION_HEADERS = ("data-partition-id", "slb-data-partition-id")
_NO_ORGANIZATION = (
    "The access token does not determine the organization of the request. Name an organization "
    "in the header data-partition-id."
)


@dataclass(frozen=True)
class Access:
    """The authentication state of a process. Without `tokens` only API keys are accepted."""

    database: Database
    tokens: TokenVerifier | None = None
    throttle: AuthThrottle = field(default_factory=AuthThrottle)
    key_uses: KeyUseRecorder = field(default_factory=KeyUseRecorder)
    credential_watcher: CredentialWatcher = field(default_factory=CredentialWatcher)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    caller_cache: CallerCache = field(default_factory=CallerCache)


async def authenticate_headers(
    access: Access, headers: Mapping[str, str], address: str | None
) -> Caller:
    """Authenticates the headers of a request, or the payload of a WebSocket's connection_init.

    Failed attempts are recorded, and rate-limited by `address`, the address of the client. Raises
    RequestError UNAUTHENTICATED, FORBIDDEN or LIMIT_EXCEEDED.
    """
    partition = next((headers[name] for name in PARTITION_HEADERS if name in headers), None)
    return await authenticate(access, headers.get("authorization"), partition, address)


async def authenticate(
    access: Access, authorization: str | None, partition: str | None, address: str | None
) -> Caller:
    """Authenticates the values of the headers, as `authenticate_headers`."""
    now = datetime.now(UTC)
    cache_key = create_cache_key(authorization or "", partition)
    if (cached := access.caller_cache.get(cache_key, now)) is not None:
        if (key_id := cached.caller.credential_id) is not None:
            access.key_uses.record_use(key_id, now, cached.last_used_at)
        return cached.caller
    async with recorded_failures(access.database, address):
        return await _look_up_and_cache(access, authorization, partition, address, cache_key)


async def _look_up_and_cache(
    access: Access,
    authorization: str | None,
    partition: str | None,
    address: str | None,
    cache_key: CacheKey,
) -> Caller:
    credential = parse_bearer_credential(authorization)
    access.throttle.check_allowed(address, credential)
    lookup = access.caller_cache.begin_lookup()
    try:
        caller, last_used_at = await _look_up_caller(access, credential, partition)
    except RequestError as error:
        access.caller_cache.discard(cache_key)
        # A revoked or expired credential was valid once, so it is not a guess.
        if error.code is ErrorCode.UNAUTHENTICATED and not isinstance(
            error, InactiveCredentialError
        ):
            await access.throttle.delay_failure(address)
        raise
    access.throttle.record_success(credential)
    access.caller_cache.store(cache_key, caller, last_used_at, lookup)
    return caller


async def authenticate_credential(
    access: Access, authorization: str | None, organization_key: str | None = None
) -> Caller:
    """Authenticates an Authorization header, without cache and rate limit of failed attempts.

    Raises RequestError UNAUTHENTICATED without a valid credential, and FORBIDDEN if the
    organization does not exist or the credential may not act in it, with the same message.
    """
    caller, _ = await _look_up_caller(
        access, parse_bearer_credential(authorization), organization_key
    )
    return caller


def parse_bearer_credential(authorization: str | None) -> str:
    """Returns the credential in an Authorization header. Raises RequestError UNAUTHENTICATED."""
    scheme, _, credential = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise unauthenticated("Missing credential: send the header Authorization: Bearer KEY.")
    return credential.strip()


async def _look_up_caller(
    access: Access, credential: str, organization_key: str | None
) -> tuple[Caller, datetime | None]:
    """Returns the caller, and the key's last use that the database has."""
    now = datetime.now(UTC)
    if access.tokens is not None and _is_jwt(credential):
        claims = await access.tokens.verify_token(credential, now)
        async with access.database.read(ALL_ORGANIZATIONS) as session:
            return await _caller_from_claims(session, claims, organization_key), None
    async with access.database.read(ALL_ORGANIZATIONS) as session:
        key = await keys.authenticate_secret(session, credential, now)
        caller = await _caller_from_key(session, key, organization_key)
    access.key_uses.record_use(key.id, now, key.last_used_at)
    return caller, key.last_used_at


def _is_jwt(credential: str) -> bool:
    """Whether the credential has three parts and a JSON header. API keys may have dots, too."""
    parts = credential.split(".")
    if len(parts) != 3:
        return False
    try:
        header = json.loads(urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict)


async def _caller_from_key(
    session: AsyncSession, key: tables.ApiKey, organization_key: str | None
) -> Caller:
    organization_id = key.organization_id
    if organization_key is not None:
        requested_id = await find_organization_id(session, organization_key)
        if requested_id is None or not (key.every_organization or requested_id == organization_id):
            raise _organization_forbidden_error("API key", organization_key)
        organization_id = requested_id
    return Caller(
        name=key.name,
        organization_id=organization_id,
        permissions=frozenset(Permission(name) for name in key.permissions),
        every_organization=key.every_organization,
        credential_id=key.id,
        expires_at=key.expires_at,
    )


async def _caller_from_claims(
    session: AsyncSession, claims: TokenClaims, organization_key: str | None
) -> Caller:
    allowed_keys = claims.organizations
    requested_key = organization_key
    if requested_key is None:
        requested_key = (
            next(iter(allowed_keys))
            if allowed_keys is not None and len(allowed_keys) == 1
            else DEFAULT_ORGANIZATION_KEY
        )
    organization_id = None
    if allowed_keys is None or requested_key in allowed_keys:
        organization_id = await find_organization_id(session, requested_key)
    if organization_id is None:
        if organization_key is None:
            raise RequestError(ErrorCode.FORBIDDEN, _NO_ORGANIZATION)
        raise _organization_forbidden_error("access token", organization_key)
    return Caller(
        name=claims.name,
        organization_id=organization_id,
        permissions=claims.permissions,
        every_organization=allowed_keys is None,
        organization_keys=allowed_keys or frozenset(),
        expires_at=claims.expires_at,
    )


def _organization_forbidden_error(credential: str, organization_key: str) -> RequestError:
    message = (
        f"The {credential} has no access to the organization {organization_key[:100]!a}. Name a "
        "different organization in the header data-partition-id."
    )
    return RequestError(ErrorCode.FORBIDDEN, message)
