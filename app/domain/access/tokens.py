"""What a token claims: who sends it, for which organizations, with which permissions, until when.

A token's claims come here once its signature is known to be good. What cannot be used is refused
whole, with the claim that it is about; the token itself is never told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.access.caller import EndedError, Permission, caller_name_problems
from app.domain.shared.limits import Limits
from app.domain.shared.problems import ErrorCode, RequestError
from app.domain.shared.values import name_problems

EVERY_ORGANIZATION = "*"
LONGEST_LEEWAY_SECONDS = 3_600
# DeltaFi's names of the same permissions, beside our own.
PERMISSION_NAMES = {permission.value: permission for permission in Permission} | {
    "EventRead": Permission.EVENT_READ,
    "EventCreate": Permission.EVENT_CREATE,
    "EventUpdate": Permission.EVENT_UPDATE,
    "EventDelete": Permission.EVENT_DELETE,
}

_LIMITS = Limits()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Room for the leeway before the calendar ends. Times in milliseconds lie beyond it.
_LATEST_SECONDS = int((datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())


class TokenSettingsError(ValueError):
    """A setting of tokens is invalid: the server should not start."""


@dataclass(frozen=True)
class TokenClaims:
    """`organizations` are keys, None stands for every one.

    `expires_at` is the first instant at which the token is refused: its `exp`, and the leeway.
    """

    name: str
    organizations: frozenset[str] | None
    permissions: frozenset[Permission]
    expires_at: datetime


@dataclass(frozen=True)
class TokenTerms:
    """What every token must say: None asks for nothing. The leeway is for clocks that differ."""

    issuer: str | None = None
    audience: str | None = None
    leeway: timedelta = timedelta(0)


def check_leeway(seconds: int) -> None:
    """Raises TokenSettingsError if clocks may not differ by so many seconds."""
    if not 0 <= seconds <= LONGEST_LEEWAY_SECONDS:
        raise TokenSettingsError(
            f"The leeway for tokens must be 0 to {LONGEST_LEEWAY_SECONDS:,} seconds."
        )


def read_claims(claims: Mapping[str, Any], terms: TokenTerms, now: datetime) -> TokenClaims:
    """The claims that count. RequestError UNAUTHENTICATED for any that cannot be used."""
    expires_at = _checked_times(claims, terms.leeway, now)
    _check_issuer(claims, terms.issuer)
    _check_audience(claims, terms.audience)
    return TokenClaims(
        name=_name(claims),
        organizations=_organizations(claims),
        permissions=_permissions(claims),
        expires_at=expires_at,
    )


def refusal(message: str) -> RequestError:
    return RequestError(ErrorCode.UNAUTHENTICATED, message)


def _checked_times(claims: Mapping[str, Any], leeway: timedelta, now: datetime) -> datetime:
    if "exp" not in claims:
        raise refusal("The token does not say until when it is valid (exp).")
    expires_at = _instant(claims, "exp") + leeway
    if now >= expires_at:
        raise EndedError("The token has expired (exp).")
    if "nbf" in claims and now < _instant(claims, "nbf") - leeway:
        raise refusal("The token is not valid yet (nbf).")
    if "iat" in claims and now < _instant(claims, "iat") - leeway:
        raise refusal("The token was issued in the future (iat): do the clocks differ?")
    return expires_at


def _instant(claims: Mapping[str, Any], claim: str) -> datetime:
    seconds = claims[claim]
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    # NaN compares false, infinity and an integer that no double can hold compare exactly.
    if not (number and 0 <= seconds <= _LATEST_SECONDS):
        raise refusal(f"The token's {claim} must be a time in seconds since 1970.")
    return _EPOCH + timedelta(seconds=seconds)


def _check_issuer(claims: Mapping[str, Any], issuer: str | None) -> None:
    if issuer is not None and claims.get("iss") != issuer:
        raise refusal("The token is not from the issuer that this server trusts (iss).")


def _check_audience(claims: Mapping[str, Any], audience: str | None) -> None:
    said = claims.get("aud")
    if audience is not None and audience not in (said if isinstance(said, list) else [said]):
        raise refusal("The token is not meant for this server: it has another audience (aud).")


def _name(claims: Mapping[str, Any]) -> str:
    name = claims.get("sub")
    if not isinstance(name, str) or not name:
        raise refusal("The token does not name its bearer (sub).")
    if problems := caller_name_problems(name, _LIMITS):
        raise refusal(f"The token's sub cannot be used: {problems[0].message}")
    return name


def _organizations(claims: Mapping[str, Any]) -> frozenset[str] | None:
    said = claims.get("organization")
    if said is None or said == []:
        raise refusal("The token names no organization: the claim organization is missing.")
    keys: set[str] = set()
    for key in said if isinstance(said, list) else [said]:
        if not isinstance(key, str) or name_problems(key, _LIMITS.name):
            raise refusal(
                f"The token's organization must be a key, a list of keys, or {EVERY_ORGANIZATION}."
            )
        keys.add(key)
    return None if EVERY_ORGANIZATION in keys else frozenset(keys)


def _permissions(claims: Mapping[str, Any]) -> frozenset[Permission]:
    """Those of `permissions`, or of `scope` where it is absent. Names of other systems are none."""
    claim = "permissions" if claims.get("permissions") is not None else "scope"
    said = claims.get(claim)
    if said is None:
        return frozenset()
    names = said.split() if isinstance(said, str) else said
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise refusal(f"The token's {claim} must be a list of names, or a text of them.")
    return frozenset(PERMISSION_NAMES[name] for name in names if name in PERMISSION_NAMES)
