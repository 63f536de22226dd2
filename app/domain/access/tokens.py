"""The claims of an access token: its subject, organizations, permissions and expiration time.

The signature has been verified before. An invalid claim rejects the token with an error message
that names the claim and never contains the token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.access.caller import InactiveCredentialError, Permission, validate_caller_name
from app.domain.shared.limits import Limits
from app.domain.shared.problems import ErrorCode, RequestError
from app.domain.shared.values import validate_name

ORGANIZATION_WILDCARD = "*"
ORGANIZATION_CLAIM = "organization"
PERMISSIONS_CLAIM = "permissions"
MAX_LEEWAY_SECONDS = 3_600
# DeltaFi's names for the same permissions are accepted, too.
PERMISSION_NAMES = {permission.value: permission for permission in Permission} | {
    "EventRead": Permission.EVENT_READ,
    "EventCreate": Permission.EVENT_CREATE,
    "EventUpdate": Permission.EVENT_UPDATE,
    "EventDelete": Permission.EVENT_DELETE,
}

# Claims that OpenID Connect defines for ID tokens.
_ID_TOKEN_CLAIMS = frozenset({"nonce", "at_hash", "c_hash"})
_LIMITS = Limits()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Leaves a margin for the leeway before the year 10000. Times in milliseconds exceed it.
_LATEST_SECONDS = int((datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())


class TokenSettingsError(ValueError):
    """A setting for access tokens is invalid, so the server must not start.

    `setting` is its name without the prefix of these settings.
    """

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


@dataclass(frozen=True)
class TokenClaims:
    """`organizations` are keys; None means all organizations.

    `expires_at` is the first instant at which the token is rejected: its `exp` plus the leeway.
    """

    name: str
    organizations: frozenset[str] | None
    permissions: frozenset[Permission]
    expires_at: datetime


@dataclass(frozen=True)
class TokenRequirements:
    """Claims that every token must have; None if not required. The leeway allows for clock skew.

    `organization_claim` and `permissions_claim` are names of claims, or paths to nested members
    with dots. Without a `permissions_claim`, permissions are in `permissions`, or else in `scope`.
    """

    issuer: str | None = None
    audience: str | None = None
    leeway: timedelta = timedelta(0)
    organization_claim: str = ORGANIZATION_CLAIM
    permissions_claim: str | None = None


def check_leeway(seconds: int) -> None:
    """Raises TokenSettingsError if the leeway is out of range."""
    if not 0 <= seconds <= MAX_LEEWAY_SECONDS:
        raise TokenSettingsError(
            "leeway_seconds",
            f"Invalid leeway of {seconds:,} seconds for access tokens: "
            f"expected 0 to {MAX_LEEWAY_SECONDS:,} seconds.",
        )


def parse_claims(
    claims: Mapping[str, Any],
    requirements: TokenRequirements,
    now: datetime,
    token_type: str | None = None,
) -> TokenClaims:
    """Parses the claims. Raises RequestError UNAUTHENTICATED if one is missing or invalid.

    `token_type` is the `typ` of the token's header.
    """
    _check_type(claims, token_type)
    expires_at = _parse_expiration(claims, requirements.leeway, now)
    _check_issuer(claims, requirements.issuer)
    _check_audience(claims, requirements.audience)
    return TokenClaims(
        name=_parse_name(claims),
        organizations=_parse_organizations(claims, requirements.organization_claim),
        permissions=_parse_permissions(claims, requirements.permissions_claim),
        expires_at=expires_at,
    )


def unauthenticated(message: str) -> RequestError:
    return RequestError(ErrorCode.UNAUTHENTICATED, message)


def _check_type(claims: Mapping[str, Any], token_type: str | None) -> None:
    """Rejects ID tokens, which providers sign with the same keys and often for the same audience.

    The type of an access token is `at+jwt` (RFC 9068), but few providers set it.
    """
    name = (token_type or "JWT").lower().removeprefix("application/")
    if name == "at+jwt" or claims.get("typ") == "Bearer":
        return
    # `typ` is a claim of Keycloak, whose older versions have a nonce in both kinds of tokens.
    if name != "jwt" or claims.get("typ") == "ID" or not _ID_TOKEN_CLAIMS.isdisjoint(claims):
        raise unauthenticated(
            "The token is not an access token. Send the access token of the identity provider "
            "(access_token), not its ID token."
        )


def _parse_expiration(claims: Mapping[str, Any], leeway: timedelta, now: datetime) -> datetime:
    if "exp" not in claims:
        raise unauthenticated("The token has no expiration time: the 'exp' claim is missing.")
    expires_at = _parse_time(claims, "exp") + leeway
    if now >= expires_at:
        raise InactiveCredentialError("The token has expired (exp).")
    if "nbf" in claims and now < _parse_time(claims, "nbf") - leeway:
        raise unauthenticated("The token is not valid yet (nbf).")
    if "iat" in claims and now < _parse_time(claims, "iat") - leeway:
        raise unauthenticated(
            "The token was issued in the future (iat). Synchronize the clocks of the identity "
            "provider and this server."
        )
    return expires_at


def _parse_time(claims: Mapping[str, Any], claim: str) -> datetime:
    seconds = claims[claim]
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    # NaN compares false, infinity and an integer that no double can hold compare exactly.
    if not (is_number and 0 <= seconds <= _LATEST_SECONDS):
        raise unauthenticated(
            f"The token's '{claim}' claim must be a number of seconds since 1970-01-01T00:00:00Z."
        )
    return _EPOCH + timedelta(seconds=seconds)


def _check_issuer(claims: Mapping[str, Any], issuer: str | None) -> None:
    if issuer is not None and claims.get("iss") != issuer:
        raise unauthenticated(
            "The token's issuer (iss) is not the issuer in TOCSIN_JWT_ISSUER. Request a token "
            "from that issuer."
        )


def _check_audience(claims: Mapping[str, Any], audience: str | None) -> None:
    audiences = claims.get("aud")
    if audience is not None and audience not in (
        audiences if isinstance(audiences, list) else [audiences]
    ):
        raise unauthenticated(
            "The token's audience (aud) does not include this server. Request a token for the "
            "audience in TOCSIN_JWT_AUDIENCE."
        )


def _parse_name(claims: Mapping[str, Any]) -> str:
    name = claims.get("sub")
    if not isinstance(name, str) or not name:
        raise unauthenticated(
            "The token has no subject: the 'sub' claim must be a non-empty string."
        )
    if problems := validate_caller_name(name, _LIMITS, "sub"):
        raise unauthenticated(f"The token's 'sub' claim is invalid: {problems[0].message}")
    return name


def _find_claim(claims: Mapping[str, Any], path: str) -> Any:
    """Returns None if the claim is absent. A claim whose name has dots precedes a nested member."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _parse_organizations(claims: Mapping[str, Any], claim: str) -> frozenset[str] | None:
    value = _find_claim(claims, claim)
    if value is None or value == []:
        raise unauthenticated(
            f"The token has no organization: the '{claim}' claim is missing or empty."
        )
    keys: set[str] = set()
    for key in value if isinstance(value, list) else [value]:
        if not isinstance(key, str) or validate_name(key, _LIMITS.name_characters):
            raise unauthenticated(
                f"The token's '{claim}' claim must be an organization key, a list of "
                f"organization keys, or '{ORGANIZATION_WILDCARD}'."
            )
        keys.add(key)
    return None if ORGANIZATION_WILDCARD in keys else frozenset(keys)


def _parse_permissions(claims: Mapping[str, Any], claim: str | None) -> frozenset[Permission]:
    """Parses the claim. Unknown names are ignored."""
    if claim is None:
        claim = "scope" if claims.get(PERMISSIONS_CLAIM) is None else PERMISSIONS_CLAIM
    value = _find_claim(claims, claim)
    if value is None:
        return frozenset()
    names = value.split() if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise unauthenticated(
            f"The token's '{claim}' claim must be a list of permission names, or permission names "
            "separated by spaces."
        )
    return frozenset(PERMISSION_NAMES[name] for name in names if name in PERMISSION_NAMES)
