"""The tokens (JWT) that the settings accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.domain.access.tokens import check_leeway
from app.settings import Settings

if TYPE_CHECKING:
    from app.services.auth.tokens import TokenVerifier


def create_token_verifier(settings: Settings) -> TokenVerifier | None:
    """Reads tokens as the settings say; None if they accept no tokens.

    Raises TokenSettingsError if a setting is invalid.
    """
    check_leeway(settings.jwt_leeway_seconds)
    secret = settings.jwt_secret
    if secret is None and settings.jwt_jwks_url is None:
        return None
    # An HTTP client and cryptography, which take long to import and few servers need.
    from app.services.auth.tokens import TokenVerifier

    return TokenVerifier(
        secret=None if secret is None else secret.get_secret_value(),
        jwks_url=settings.jwt_jwks_url,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        leeway_seconds=settings.jwt_leeway_seconds,
    )
