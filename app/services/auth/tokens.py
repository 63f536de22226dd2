"""Verification of the tokens (JWT) of an identity provider.

The algorithm of a token selects the key: HS* only the shared secret, all others only the published
keys of the provider. Keys or key addresses in the token itself are ignored.
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
    ORGANIZATION_CLAIM,
    TokenClaims,
    TokenRequirements,
    TokenSettingsError,
    check_leeway,
    parse_claims,
    unauthenticated,
)
from app.services.auth.jwks import ALGORITHMS, KeySet

MAX_TOKEN_BYTES = 8 * 1024
MIN_SECRET_BYTES = 32
DEFAULT_LEEWAY_SECONDS = 30
SECRET_ALGORITHMS = frozenset({"HS256", "HS384", "HS512"})

_VERIFIERS = get_default_algorithms()


@dataclass(frozen=True)
class _ParsedToken:
    """The parts of a token that is not verified yet."""

    algorithm: str
    kid: str | None
    type: str | None
    signed: bytes
    signature: bytes
    payload: bytes


class TokenVerifier:
    """Verifies tokens and caches the provider's keys. Each process has one and closes it."""

    def __init__(
        self,
        *,
        secret: str | None = None,
        jwks_url: str | None = None,
        issuer: str | None = None,
        audience: str | None = None,
        leeway_seconds: int = DEFAULT_LEEWAY_SECONDS,
        organization_claim: str = ORGANIZATION_CLAIM,
        permissions_claim: str | None = None,
    ) -> None:
        """Raises TokenSettingsError for an unusable secret, URL or leeway."""
        check_leeway(leeway_seconds)
        self._secret = None if secret is None else _validate_secret(secret)
        self._key_set = None if jwks_url is None else KeySet(_validate_url(jwks_url))
        self._requirements = TokenRequirements(
            issuer,
            audience,
            timedelta(seconds=leeway_seconds),
            organization_claim,
            permissions_claim,
        )

    async def close(self) -> None:
        if self._key_set is not None:
            await self._key_set.close()

    async def verify_token(self, token: str, now: datetime) -> TokenClaims:
        """Verifies a token and returns its claims.

        Raises RequestError UNAUTHENTICATED for an invalid token, with the reason, and UNAVAILABLE
        while there are no keys of the provider.
        """
        parsed_token = _parse_token(token)
        key = await self._select_key(parsed_token, now)
        if not _VERIFIERS[parsed_token.algorithm].verify(
            parsed_token.signed, key, parsed_token.signature
        ):
            raise unauthenticated("The signature of the token is invalid.")
        claims = _decode_claims(parsed_token.payload)
        return parse_claims(claims, self._requirements, now, parsed_token.type)

    async def _select_key(self, parsed_token: _ParsedToken, now: datetime) -> Any:
        if parsed_token.algorithm in SECRET_ALGORITHMS and self._secret is not None:
            return self._secret
        if parsed_token.algorithm in ALGORITHMS and self._key_set is not None:
            return (await self._key_set.find_key(parsed_token.kid, parsed_token.algorithm, now)).key
        algorithms = (SECRET_ALGORITHMS if self._secret is not None else frozenset()) | (
            ALGORITHMS if self._key_set is not None else frozenset()
        )
        raise unauthenticated(
            f"Unsupported token algorithm {parsed_token.algorithm[:20]!a} (alg): expected one of "
            f"{', '.join(sorted(algorithms))}."
        )


def _parse_token(token: str) -> _ParsedToken:
    if len(token) > MAX_TOKEN_BYTES:
        raise unauthenticated(
            f"The token has {len(token):,} characters; the maximum is {MAX_TOKEN_BYTES:,}."
        )
    try:
        unverified: dict[str, Any] = {"verify_signature": False}
        parsed = jwt.PyJWS().decode_complete(token.encode("ascii"), options=unverified)  # type: ignore[arg-type]
    except (jwt.PyJWTError, ValueError):
        raise unauthenticated("Invalid token: expected a signed JWT.") from None
    header = parsed["header"]
    if "crit" in header:
        raise unauthenticated(
            "The token requires extensions that this server does not support (crit)."
        )
    if not isinstance(header.get("alg"), str):
        raise unauthenticated("The token's header does not name a signature algorithm (alg).")
    token_type = header.get("typ")
    return _ParsedToken(
        algorithm=header["alg"],
        kid=header.get("kid"),
        type=None if token_type is None else str(token_type),
        signed=token.rpartition(".")[0].encode("ascii"),
        signature=parsed["signature"],
        payload=parsed["payload"],
    )


def _decode_claims(text: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(text)
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise unauthenticated("Invalid token claims: expected a JSON object.")
    return claims


def _validate_secret(secret: str) -> bytes:
    size = len(secret.encode())
    if size < MIN_SECRET_BYTES:
        raise TokenSettingsError(
            "secret",
            f"The secret for tokens has {size} bytes; at least {MIN_SECRET_BYTES} are required.",
        )
    try:
        signing_key: bytes = _VERIFIERS["HS256"].prepare_key(secret)
    except jwt.InvalidKeyError:
        raise TokenSettingsError(
            "secret",
            "The secret for tokens must not be a public or private key. Publish the public key "
            "as a JSON Web Key Set, and set TOCSIN_JWT_JWKS_URL.",
        ) from None
    return signing_key


def _validate_url(text: str) -> str:
    try:
        url, split = httpx.URL(text), urlsplit(text)
        # httpx accepts unclosed brackets; urlsplit validates the port when it is read.
        usable = url.scheme in ("http", "https") and url.host != "" and split.port != 0
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        raise TokenSettingsError(
            "jwks_url", "The JWKS URL for tokens must be an https:// or http:// URL."
        )
    return text
