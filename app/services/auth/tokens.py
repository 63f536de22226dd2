"""Tokens (JWT) of an identity provider: whether they are genuine, and what they claim.

A token's algorithm chooses the key: HS* the shared secret and nothing else, all others the
provider's published keys and nothing else. What a token says of its own key is not followed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
from jwt.algorithms import get_default_algorithms

from app.domain.access.tokens import (
    TokenClaims,
    TokenSettingsError,
    TokenTerms,
    check_leeway,
    read_claims,
    refusal,
)
from app.services.auth.jwks import ALGORITHMS, KeySet

LARGEST_TOKEN_BYTES = 8 * 1024
SHORTEST_SECRET_BYTES = 32
DEFAULT_LEEWAY_SECONDS = 30
SECRET_ALGORITHMS = frozenset({"HS256", "HS384", "HS512"})

_VERIFIERS = get_default_algorithms()


@dataclass(frozen=True)
class _Parts:
    """A token taken apart: nothing in it is trusted yet."""

    algorithm: str
    kid: str | None
    signed: bytes
    signature: bytes
    payload: bytes


class Tokens:
    """Reads tokens. One for each process, which closes it: it keeps the provider's keys."""

    def __init__(
        self,
        *,
        secret: str | None = None,
        jwks_url: str | None = None,
        issuer: str | None = None,
        audience: str | None = None,
        leeway_seconds: int = DEFAULT_LEEWAY_SECONDS,
    ) -> None:
        """TokenSettingsError for a secret, an address or a leeway that cannot be used."""
        check_leeway(leeway_seconds)
        self._secret = None if secret is None else _checked_secret(secret)
        self._key_set = None if jwks_url is None else KeySet(_checked_url(jwks_url))
        self._terms = TokenTerms(issuer, audience, timedelta(seconds=leeway_seconds))

    @property
    def accepted(self) -> bool:
        """Whether there is anything that a token could be checked with."""
        return self._secret is not None or self._key_set is not None

    async def close(self) -> None:
        if self._key_set is not None:
            await self._key_set.close()

    async def claims(self, token: str, now: datetime) -> TokenClaims:
        """What a genuine token claims.

        RequestError: UNAUTHENTICATED for any other, saying what is wrong with it; UNAVAILABLE
        while no keys of the provider are known.
        """
        parts = _taken_apart(token)
        key = await self._key(parts, now)
        if not _VERIFIERS[parts.algorithm].verify(parts.signed, key, parts.signature):
            raise refusal("The token's signature is not valid.")
        return read_claims(_payload(parts.payload), self._terms, now)

    async def _key(self, parts: _Parts, now: datetime) -> Any:
        if parts.algorithm in SECRET_ALGORITHMS and self._secret is not None:
            return self._secret
        if parts.algorithm in ALGORITHMS and self._key_set is not None:
            return (await self._key_set.key(parts.kid, parts.algorithm, now)).key
        raise refusal(f"This server takes no tokens signed with {parts.algorithm[:20]!a} (alg).")


def _taken_apart(token: str) -> _Parts:
    if len(token) > LARGEST_TOKEN_BYTES:
        size = f"{len(token):,} characters long; at most {LARGEST_TOKEN_BYTES:,}"
        raise refusal(f"The token is {size} are read.")
    try:
        unverified: dict[str, Any] = {"verify_signature": False}
        parsed = jwt.PyJWS().decode_complete(token.encode("ascii"), options=unverified)  # type: ignore[arg-type]
    except (jwt.PyJWTError, ValueError):
        raise refusal("The token cannot be read: it must be a signed JWT.") from None
    header = parsed["header"]
    if "crit" in header:
        raise refusal("The token asks for extensions that this server does not know (crit).")
    if not isinstance(header.get("alg"), str):
        raise refusal("The token does not say how it is signed (alg).")
    return _Parts(
        algorithm=header["alg"],
        kid=header.get("kid"),
        signed=token.rpartition(".")[0].encode("ascii"),
        signature=parsed["signature"],
        payload=parsed["payload"],
    )


def _payload(text: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(text)
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise refusal("The token's claims cannot be read: they must be a JSON object.")
    return claims


def _checked_secret(secret: str) -> bytes:
    size = len(secret.encode())
    if size < SHORTEST_SECRET_BYTES:
        raise TokenSettingsError(
            f"The secret for tokens is {size} bytes long; "
            f"at least {SHORTEST_SECRET_BYTES} are needed."
        )
    try:
        prepared: bytes = _VERIFIERS["HS256"].prepare_key(secret)
    except jwt.InvalidKeyError:
        raise TokenSettingsError(
            "The secret for tokens is a public or private key: publish it as a JWKS instead."
        ) from None
    return prepared


def _checked_url(text: str) -> str:
    try:
        url, split = httpx.URL(text), urlsplit(text)
        # httpx takes brackets that nobody closes, and urlsplit looks at a port when asked for it.
        usable = url.scheme in ("http", "https") and url.host != "" and split.port != 0
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        raise TokenSettingsError(
            "The JWKS URL for tokens must be an address with https:// or http://."
        )
    return text
