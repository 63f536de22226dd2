"""Settings, read from TOCSIN_* environment variables.

Only the composition root and the commands read them; everything else gets values.
"""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.domain.shared.limits import (
    DocumentLimits,
    FailedAuthLimits,
    Limits,
    RequestLimits,
    SocketLimits,
)


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="TOCSIN_", env_nested_delimiter="__")

    database_url: str = Field(
        default="sqlite:///tocsin.db", description="sqlite:///FILE or postgresql://USER@HOST/NAME"
    )
    bootstrap_key: str | None = Field(
        default=None,
        repr=False,
        description="The administrator's key of an empty database; else one is made.",
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="The server as clients address it; without it, as each request did.",
    )
    cors_origins: str | None = Field(
        default=None,
        description="Other origins whose pages may call, `*` for all: https://a.example,"
        "https://b.example:8443. Without it, none.",
    )
    jwt_secret: SecretStr | None = Field(
        default=None, description="Tokens signed with this secret (HS256 and so on) are accepted."
    )
    jwt_jwks_url: str | None = Field(
        default=None, description="Tokens signed with one of the keys published there are accepted."
    )
    jwt_issuer: str | None = Field(default=None, description="What a token must say as `iss`.")
    jwt_audience: str | None = Field(default=None, description="What a token must say as `aud`.")
    jwt_leeway_seconds: int = Field(
        default=30, ge=0, description="How far the clocks of servers may differ."
    )
    slowing: FailedAuthLimits = Field(
        default_factory=FailedAuthLimits, description="TOCSIN_SLOWING__FREE and so on."
    )
    trusted_proxies: str | None = Field(
        default=None,
        description="Addresses whose X-Forwarded-For and -Proto are believed, `*` for all: "
        "10.0.0.1,10.1.0.0/16. Without it, nobody's are.",
    )
    buffer_entries: int = Field(
        default=1000, ge=1, description="Answers that wait in memory for one subscriber."
    )
    buffer_bytes: int = Field(
        default=1024 * 1024, ge=1, description="Bytes of answers that wait for one subscriber."
    )
    metrics: bool = Field(default=True, description="Whether there is GET /metrics.")
    metrics_token: SecretStr | None = Field(
        default=None, description="Only who gives this as a bearer token reads the metrics."
    )
    log_requests: bool = Field(default=False, description="Logs a line for each request.")
    ready_lag_seconds: float = Field(
        default=30, gt=0, description="GET /ready says no when subscribers are later than this."
    )
    limits: Limits = Field(default_factory=Limits, description="TOCSIN_LIMITS__PAGE and so on.")
    sockets: SocketLimits = Field(
        default_factory=SocketLimits, description="TOCSIN_SOCKETS__OPERATIONS and so on."
    )
    documents: DocumentLimits = Field(
        default_factory=DocumentLimits, description="TOCSIN_DOCUMENTS__COST and so on."
    )
    requests: RequestLimits = Field(
        default_factory=RequestLimits, description="TOCSIN_REQUESTS__POINTS and so on."
    )

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: str | None) -> str | None:
        if value is not None:
            # Imported here because it loads the web framework, which only `serve` needs.
            from app.http.cross_origin import AllowedOrigins

            AllowedOrigins.from_settings(value, None)
        return value
