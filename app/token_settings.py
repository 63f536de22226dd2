"""Creates the verifier of access tokens (JWT) from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.domain.access.tokens import check_leeway
from app.settings import Settings

if TYPE_CHECKING:
    from app.services.auth.tokens import TokenVerifier


def create_token_verifier(settings: Settings) -> TokenVerifier | None:
    """Creates the verifier of access tokens. Returns None if no tokens are accepted.

    Raises TokenSettingsError if a setting is invalid.
    """
    check_leeway(settings.jwt_leeway_seconds)
    secret = settings.jwt_secret
    if secret is None and settings.jwt_jwks_url is None:
        return None
    # It imports an HTTP client and cryptography, which are slow to import and often not needed.
    from app.services.auth.tokens import TokenVerifier

    return TokenVerifier(
        secret=None if secret is None else secret.get_secret_value(),
        jwks_url=settings.jwt_jwks_url,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        leeway_seconds=settings.jwt_leeway_seconds,
        organization_claim=settings.jwt_organization_claim,
        permissions_claim=settings.jwt_permissions_claim,
    )
