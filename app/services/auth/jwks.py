"""The identity provider's public keys (JWKS): fetched, cached, and fetched anew when they change.

One fetch runs at a time, and all who wait share it. A provider that does not answer is asked
again, without anybody waiting for it, while the keys known so far stay good for a day.
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

from app.domain.access.tokens import refusal
from app.domain.shared.problems import ErrorCode, RequestError

REFRESH_MINUTES = 10
# Whatever kids a client makes up, the provider is not asked more often.
REFETCH_SECONDS = 10
KEEP_HOURS = 24
FETCH_TIMEOUT_SECONDS = 5.0
LARGEST_SET_BYTES = 256 * 1024
SHORTEST_RSA_BITS = 2048

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_FITTING = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
    ("OKP", "Ed448"): frozenset({"EdDSA"}),
}
ALGORITHMS: frozenset[str] = frozenset().union(*_FITTING.values())

log = structlog.get_logger(__name__)


class SetError(Exception):
    """The provider's answer is no set of keys."""


@dataclass(frozen=True)
class PublicKey:
    """`key` is the prepared key of its family, good for these algorithms and for no other."""

    kid: str | None
    algorithms: frozenset[str]
    key: Any


class KeySet:
    """The keys behind one address. Ages are told by the `now` of who asks."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Idle connections would be dead by the next fetch, minutes later.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.AsyncClient(timeout=FETCH_TIMEOUT_SECONDS, limits=limits)
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])
        await self._http.aclose()

    async def key(self, kid: str | None, algorithm: str, now: datetime) -> PublicKey:
        """The one key that fits. RequestError UNAUTHENTICATED, or UNAVAILABLE without any keys."""
        old = timedelta(minutes=REFRESH_MINUTES)
        if _passed(self._fetched_at, old, now):
            # Who has just been left without an answer is asked in the background.
            known = not _passed(self._fetched_at, timedelta(hours=KEEP_HOURS), now)
            await self._refresh(now, wait=not known or _passed(self._tried_at, old, now))
        if _passed(self._fetched_at, timedelta(hours=KEEP_HOURS), now):
            message = "The identity provider's keys cannot be had at the moment. Try again soon."
            raise RequestError(ErrorCode.UNAVAILABLE, message)
        if not self._fitting(kid, algorithm):
            await self._refresh(now, wait=True)
        match self._fitting(kid, algorithm):
            case [key]:
                return key
            case []:
                named = "no key (kid)" if kid is None else f"the key {kid[:100]!a}"
                told = f"The token names {named}, and the identity provider"
                raise refusal(f"{told} publishes none that fits it and {algorithm}.")
            case several:
                raise refusal(
                    f"Of the identity provider's keys {len(several)} fit the token: "
                    "it must name one that is alone in its name (kid)."
                )

    def _fitting(self, kid: str | None, algorithm: str) -> list[PublicKey]:
        able = [key for key in self._keys if algorithm in key.algorithms]
        return [key for key in able if kid is None or key.kid == kid]

    async def _refresh(self, now: datetime, *, wait: bool) -> None:
        """Joins the fetch that is under way, or starts one where the last is long enough ago."""
        if self._fetching is None:
            if not _passed(self._tried_at, timedelta(seconds=REFETCH_SECONDS), now):
                return
            self._fetching = asyncio.create_task(self._fetch(now))
        if wait:
            # Shielded: the others wait for it still when this one's client has hung up.
            await asyncio.shield(self._fetching)

    async def _fetch(self, now: datetime) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                document = await self._document()
            self._keys = _keys_of(document)
            self._fetched_at = now
            log.info("jwks_fetched", kids=[key.kid for key in self._keys])
        except Exception as error:  # nobody may be waiting: whatever it is, it is told here
            why = str(error) or type(error).__name__
            log.warning(
                "jwks_not_fetched",
                host=httpx.URL(self._url).host,
                why=why,
                known_keys=len(self._keys),
                known_since=self._fetched_at and self._fetched_at.isoformat(),
            )
        finally:
            self._tried_at = now
            self._fetching = None

    async def _document(self) -> object:
        plain = {"accept": "application/json", "accept-encoding": "identity"}
        async with self._http.stream("GET", self._url, headers=plain) as response:
            if response.status_code != 200:
                raise SetError(f"it answered {response.status_code}")
            body = bytearray()
            # Raw: what is small when compressed may be large.
            async for part in response.aiter_raw():
                body += part
                if len(body) > LARGEST_SET_BYTES:
                    raise SetError(f"its answer is larger than {LARGEST_SET_BYTES:,} bytes")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise SetError("its answer is no JSON") from None


def _passed(since: datetime | None, duration: timedelta, now: datetime) -> bool:
    # A clock that was set back has moved as well: nothing may wait until it catches up.
    return since is None or abs(now - since) >= duration


def _keys_of(document: object) -> tuple[PublicKey, ...]:
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise SetError("its answer has no list of keys")
    usable = [key for jwk in keys if (key := _public_key(jwk)) is not None]
    if not usable:
        log.warning("jwks_without_usable_keys", published=len(keys))
    return tuple(usable)


def _public_key(jwk: object) -> PublicKey | None:
    """None for a key that is for something else, unknown, too weak, or not public any more."""
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig" or "d" in jwk:
        return None
    kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
    if not isinstance(kid, str | None) or not isinstance(operations, list):
        return None
    family = (jwk.get("kty"), jwk.get("crv"))
    # Compared, not looked up: either may be anything.
    fitting = [able for known, able in _FITTING.items() if known == family]
    if not fitting or "verify" not in operations:
        return None
    [algorithms] = fitting
    if "alg" in jwk:
        algorithms &= {jwk["alg"]} if isinstance(jwk["alg"], str) else set()
    if not algorithms:
        return None
    try:
        key = jwt.PyJWK(jwk, algorithm=min(algorithms)).key
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError):
        return None
    if family[0] == "RSA" and key.key_size < SHORTEST_RSA_BITS:
        return None
    return PublicKey(kid, algorithms, key)
