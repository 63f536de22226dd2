"""The identity provider's public keys (JWKS): fetched, cached and refreshed.

One fetch runs at a time and is shared by all requests that need it. If the provider does not
respond, the fetch is retried in the background and the cached keys stay valid for a day.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import jwt
import structlog
from cryptography.exceptions import UnsupportedAlgorithm

from app.domain.access.tokens import unauthenticated
from app.domain.shared.problems import ErrorCode, RequestError

REFRESH_MINUTES = 10
# The minimum time between fetches, whatever key ids clients send.
REFETCH_SECONDS = 10
KEEP_HOURS = 24
FETCH_TIMEOUT_SECONDS = 5.0
MAX_KEY_SET_BYTES = 256 * 1024
MIN_RSA_BITS = 2048

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_ALGORITHMS_BY_KEY_TYPE = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
    ("OKP", "Ed448"): frozenset({"EdDSA"}),
}
ALGORITHMS: frozenset[str] = frozenset().union(*_ALGORITHMS_BY_KEY_TYPE.values())

log = structlog.get_logger(__name__)


class KeySetError(Exception):
    """The provider's response is not a valid key set."""


@dataclass(frozen=True)
class PublicKey:
    """`key` is the prepared key. It is used with these algorithms only."""

    kid: str | None
    algorithms: frozenset[str]
    key: Any


class KeySet:
    """The keys at a URL. Ages are relative to the `now` argument."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Idle connections would be closed by the next fetch, minutes later.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.AsyncClient(timeout=FETCH_TIMEOUT_SECONDS, limits=limits)
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched_at: datetime | None = None
        self._attempted_at: datetime | None = None
        self._fetch_task: asyncio.Task[None] | None = None

    async def close(self) -> None:
        if self._fetch_task is not None:
            self._fetch_task.cancel()
            await asyncio.wait([self._fetch_task])
        await self._http.aclose()

    async def find_key(self, kid: str | None, algorithm: str, now: datetime) -> PublicKey:
        """Returns the key of a token.

        Raises RequestError UNAUTHENTICATED if not exactly one key matches, and UNAVAILABLE without
        any keys.
        """
        max_age = timedelta(minutes=REFRESH_MINUTES)
        if _has_elapsed(self._fetched_at, max_age, now):
            # If the last fetch failed, it is retried in the background.
            usable = not _has_elapsed(self._fetched_at, timedelta(hours=KEEP_HOURS), now)
            await self._refresh(
                now, wait=not usable or _has_elapsed(self._attempted_at, max_age, now)
            )
        if _has_elapsed(self._fetched_at, timedelta(hours=KEEP_HOURS), now):
            message = "The public keys of the identity provider are unavailable. Try again."
            raise RequestError(ErrorCode.UNAVAILABLE, message)
        if not self._matching_keys(kid, algorithm):
            await self._refresh(now, wait=True)
        match self._matching_keys(kid, algorithm):
            case [key]:
                return key
            case []:
                key_name = "" if kid is None else f" {kid[:100]!a}"
                raise unauthenticated(
                    f"The identity provider publishes no key{key_name} for {algorithm}, "
                    "the algorithm of the token."
                )
            case matching:
                raise unauthenticated(
                    f"{len(matching)} keys of the identity provider match the token. The token's "
                    "header must have the unique ID of its key (kid)."
                )

    def _matching_keys(self, kid: str | None, algorithm: str) -> list[PublicKey]:
        candidates = [key for key in self._keys if algorithm in key.algorithms]
        return [key for key in candidates if kid is None or key.kid == kid]

    async def _refresh(self, now: datetime, *, wait: bool) -> None:
        """Joins the running fetch, or starts one if the last attempt is long enough ago."""
        if self._fetch_task is None:
            if not _has_elapsed(self._attempted_at, timedelta(seconds=REFETCH_SECONDS), now):
                return
            self._fetch_task = asyncio.create_task(self._fetch(now))
        if wait:
            # Shielded: other requests still need the fetch if this one is cancelled.
            await asyncio.shield(self._fetch_task)

    async def _fetch(self, now: datetime) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                document = await self._fetch_document()
            self._keys = _parse_keys(document)
            self._fetched_at = now
            log.info("jwks_fetched", kids=[key.kid for key in self._keys])
        except Exception as error:  # logged here, because possibly nothing awaits the task
            reason = str(error) or type(error).__name__
            log.warning(
                "jwks_not_fetched",
                host=httpx.URL(self._url).host,
                reason=reason,
                known_keys=len(self._keys),
                known_since=self._fetched_at and self._fetched_at.isoformat(),
            )
        finally:
            self._attempted_at = now
            self._fetch_task = None

    async def _fetch_document(self) -> object:
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        async with self._http.stream("GET", self._url, headers=headers) as response:
            if response.status_code != 200:
                raise KeySetError(f"The response status was {response.status_code}.")
            body = bytearray()
            # Raw: a small compressed body may be large when decompressed.
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_KEY_SET_BYTES:
                    raise KeySetError(f"The response is larger than {MAX_KEY_SET_BYTES:,} bytes.")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise KeySetError("The response is not valid JSON.") from None


def _has_elapsed(since: datetime | None, duration: timedelta, now: datetime) -> bool:
    # abs: a clock that was set back must not delay a fetch until it catches up.
    return since is None or abs(now - since) >= duration


def _parse_keys(document: object) -> tuple[PublicKey, ...]:
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise KeySetError("The response has no `keys` array.")
    usable = [key for jwk in keys if (key := _parse_public_key(jwk)) is not None]
    if not usable:
        log.warning("jwks_without_usable_keys", published=len(keys))
    return tuple(usable)


def _parse_public_key(jwk: object) -> PublicKey | None:
    """Returns None for a key of another use or unknown type, a weak key or a private key."""
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig" or "d" in jwk:
        return None
    kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
    if not isinstance(kid, str | None) or not isinstance(operations, list):
        return None
    key_type = (jwk.get("kty"), jwk.get("crv"))
    # Compared, not looked up: the values may be unhashable.
    matches = [
        names for known_type, names in _ALGORITHMS_BY_KEY_TYPE.items() if known_type == key_type
    ]
    if not matches or "verify" not in operations:
        return None
    [algorithms] = matches
    if "alg" in jwk:
        algorithms &= {jwk["alg"]} if isinstance(jwk["alg"], str) else set()
    if not algorithms:
        return None
    try:
        key = jwt.PyJWK(jwk, algorithm=min(algorithms)).key
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError):
        return None
    if key_type[0] == "RSA" and key.key_size < MIN_RSA_BITS:
        return None
    return PublicKey(kid, algorithms, key)
