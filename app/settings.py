"""Settings, read from TOCSIN_* environment variables.

Only `main` and the commands read them. All other modules get values.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.domain.events.severity import Severity, parse_severity_map
from app.domain.shared.limits import (
    DocumentLimits,
    FailedAuthLimits,
    Limits,
    RequestLimits,
    SocketLimits,
    SubscriptionLimits,
)

_BASE_URL = re.compile(r"^https?://[^\s/?#]+(/[^\s?#]*)?\Z")
# docs/upgrading.md has the same table.
RENAMED_SETTINGS = {
    "TOCSIN_LOG_REQUESTS": "TOCSIN_ACCESS_LOG",
    "TOCSIN_BUFFER_ENTRIES": "TOCSIN_SUBSCRIPTIONS__BUFFER_MESSAGES",
    "TOCSIN_BUFFER_BYTES": "TOCSIN_SUBSCRIPTIONS__BUFFER_BYTES",
    "TOCSIN_SLOWING__FREE": "TOCSIN_FAILED_AUTH__FREE_ATTEMPTS",
    "TOCSIN_SLOWING__SECONDS": "TOCSIN_FAILED_AUTH__WINDOW_SECONDS",
    "TOCSIN_SLOWING__FIRST_DELAY": "TOCSIN_FAILED_AUTH__FIRST_DELAY_SECONDS",
    "TOCSIN_SLOWING__LONGEST_DELAY": "TOCSIN_FAILED_AUTH__MAX_DELAY_SECONDS",
    "TOCSIN_SLOWING__WAITING": "TOCSIN_FAILED_AUTH__MAX_DELAYED_REQUESTS",
    "TOCSIN_SLOWING__ADDRESSES": "TOCSIN_FAILED_AUTH__TRACKED_ADDRESSES",
    "TOCSIN_LIMITS__PAGE": "TOCSIN_LIMITS__PAGE_SIZE",
    "TOCSIN_LIMITS__BULK": "TOCSIN_LIMITS__EVENTS_PER_CALL",
    "TOCSIN_LIMITS__MESSAGE_BYTES": "TOCSIN_LIMITS__CLOUD_EVENTS_BODY_BYTES",
    "TOCSIN_LIMITS__NAME": "TOCSIN_LIMITS__NAME_CHARACTERS",
    "TOCSIN_LIMITS__SUMMARY": "TOCSIN_LIMITS__SUMMARY_CHARACTERS",
    "TOCSIN_LIMITS__CONTENT": "TOCSIN_LIMITS__CONTENT_CHARACTERS",
    "TOCSIN_LIMITS__NOTE": "TOCSIN_LIMITS__NOTE_CHARACTERS",
    "TOCSIN_LIMITS__TAGS": "TOCSIN_LIMITS__TAGS_PER_EVENT",
    "TOCSIN_LIMITS__PAYLOAD_BYTES": "TOCSIN_LIMITS__DATA_BYTES",
    "TOCSIN_LIMITS__EXTENSIONS": "TOCSIN_LIMITS__EXTENSIONS_PER_EVENT",
    "TOCSIN_LIMITS__SCHEMA_ADDRESS": "TOCSIN_LIMITS__DATASCHEMA_CHARACTERS",
    "TOCSIN_LIMITS__CLOUD_EVENTS_PAGE": "TOCSIN_LIMITS__CLOUD_EVENTS_PAGE_SIZE",
    "TOCSIN_LIMITS__OPTIONS": "TOCSIN_LIMITS__OPTIONS_PER_FIELD",
    "TOCSIN_LIMITS__WINDOW_DAYS": "TOCSIN_LIMITS__DUPLICATE_WINDOW_DAYS",
    "TOCSIN_LIMITS__TRIAL": "TOCSIN_LIMITS__EVENTS_PER_TRIAL",
    "TOCSIN_LIMITS__EXPRESSION": "TOCSIN_LIMITS__EXPRESSION_CHARACTERS",
    "TOCSIN_LIMITS__CORRELATED_PER_CALL": "TOCSIN_LIMITS__CORRELATIONS_PER_CALL",
    "TOCSIN_LIMITS__CORRELATIONS": "TOCSIN_LIMITS__CORRELATIONS_PER_EVENT",
    "TOCSIN_LIMITS__COUNTS": "TOCSIN_LIMITS__COUNT_ROWS",
    "TOCSIN_LIMITS__COUNTS_OVER_TIME": "TOCSIN_LIMITS__COUNT_ROWS_OVER_TIME",
    "TOCSIN_LIMITS__FUTURE_SECONDS": "TOCSIN_LIMITS__CLOCK_SKEW_SECONDS",
    "TOCSIN_LIMITS__API_KEYS": "TOCSIN_LIMITS__API_KEYS_PER_ORGANIZATION",
    "TOCSIN_SOCKETS__INIT_SECONDS": "TOCSIN_SOCKETS__INIT_TIMEOUT_SECONDS",
    "TOCSIN_SOCKETS__OPERATIONS": "TOCSIN_SOCKETS__OPERATIONS_PER_SOCKET",
    "TOCSIN_SOCKETS__ID_CHARACTERS": "TOCSIN_SOCKETS__OPERATION_ID_CHARACTERS",
    "TOCSIN_SOCKETS__PING_SECONDS": "TOCSIN_SOCKETS__PING_INTERVAL_SECONDS",
    "TOCSIN_SOCKETS__PONG_SECONDS": "TOCSIN_SOCKETS__PONG_TIMEOUT_SECONDS",
    "TOCSIN_SOCKETS__CLOSE_SECONDS": "TOCSIN_SOCKETS__CLOSE_TIMEOUT_SECONDS",
    "TOCSIN_SOCKETS__PER_CREDENTIAL": "TOCSIN_SOCKETS__SOCKETS_PER_CREDENTIAL",
    "TOCSIN_SOCKETS__MESSAGES_AT_ONCE": "TOCSIN_SOCKETS__MESSAGE_BURST",
    "TOCSIN_DOCUMENTS__DIRECTIVES_AT_A_PLACE": "TOCSIN_DOCUMENTS__DIRECTIVES_PER_LOCATION",
    "TOCSIN_REQUESTS__QUERY_SECONDS": "TOCSIN_REQUESTS__QUERY_TIMEOUT_SECONDS",
    "TOCSIN_REQUESTS__MUTATION_SECONDS": "TOCSIN_REQUESTS__MUTATION_TIMEOUT_SECONDS",
    "TOCSIN_REQUESTS__BODY_SECONDS": "TOCSIN_REQUESTS__BODY_TIMEOUT_SECONDS",
    "TOCSIN_REQUESTS__HEAD_SECONDS": "TOCSIN_REQUESTS__HEADERS_TIMEOUT_SECONDS",
    "TOCSIN_REQUESTS__HEAD_BYTES": "TOCSIN_REQUESTS__HEADERS_BYTES",
    "TOCSIN_REQUESTS__POINTS": "TOCSIN_REQUESTS__POINTS_PER_MINUTE",
    "TOCSIN_REQUESTS__PRINCIPALS": "TOCSIN_REQUESTS__TRACKED_CREDENTIALS",
}


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="TOCSIN_", env_nested_delimiter="__")

    database_url: str = Field(
        default="sqlite:///tocsin.db",
        description="URL of the database: `sqlite:///FILE` or "
        "`postgresql://USER:PASSWORD@HOST:PORT/NAME`. The PostgreSQL database must exist.",
    )
    bootstrap_key: str | None = Field(
        default=None,
        repr=False,
        description="API key of the administrator, for an empty database. Ignored later. If not "
        "set, a key is generated and printed.",
    )
    public_url: str | None = Field(
        default=None,
        description="Base URL of the server for clients, `https://HOST/PATH`. Used in `dataschema` "
        "and to recognize the server's own web pages. If not set, each request's host is used.",
    )
    cors_origins: str | None = Field(
        default=None,
        description="Origins of other sites whose web pages may use the API, separated by commas: "
        "`https://a.example,https://b.example:8443`, or `*` for all. If not set, none may.",
    )
    jwt_secret: SecretStr | None = Field(
        default=None,
        description="Secret of at least 32 bytes. Access tokens that are signed with it (HS256, "
        "HS384, HS512) are accepted. If not set, none are.",
    )
    jwt_jwks_url: str | None = Field(
        default=None,
        description="URL of a JSON Web Key Set. Access tokens that are signed with one of its keys "
        "are accepted. If not set, none are.",
    )
    jwt_issuer: str | None = Field(
        default=None,
        description="Required `iss` of access tokens. If not set, every issuer is accepted.",
    )
    jwt_audience: str | None = Field(
        default=None,
        description="Required `aud` of access tokens. If not set, every audience is accepted.",
    )
    jwt_leeway_seconds: int = Field(
        default=30,
        ge=0,
        description="Accepted clock difference in seconds when the times in an access token are "
        "validated, at most 3,600.",
    )
    severity_map: Annotated[dict[str, Severity] | None, NoDecode] = Field(
        default=None,
        description="Words that producers use for severities, with their meanings: "
        "`critical=error,fatal=error,notice=info`. Case is ignored. They are added to the words "
        "that `LogEventInput.severity` lists. An event with any other word has the severity INFO "
        "and a warning `SEVERITY_UNKNOWN`.",
    )
    failed_auth: FailedAuthLimits = Field(
        default_factory=FailedAuthLimits,
        description="Rate limit for failed authentication attempts.",
    )
    trusted_proxies: str | None = Field(
        default=None,
        description="Addresses and networks of reverse proxies whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` are trusted, separated by commas: `10.0.0.1,10.1.0.0/16`, or `*` for "
        "all. If not set, the headers are ignored.",
    )
    subscriptions: SubscriptionLimits = Field(
        default_factory=SubscriptionLimits,
        description="Memory for messages that wait for a slow subscriber.",
    )
    drain_seconds: float = Field(
        default=5,
        ge=0,
        le=600,
        description="Time in seconds after SIGTERM in which the server still accepts requests, "
        "while `GET /ready` fails, so that load balancers stop sending requests before the "
        "server stops.",
    )
    metrics: bool = Field(default=True, description="Serves `GET /metrics`.")
    metrics_token: SecretStr | None = Field(
        default=None,
        description="Bearer token that `GET /metrics` requires. If not set, everyone can read the "
        "metrics.",
    )
    access_log: bool = Field(
        default=False, description="Writes a line to the server logs for each request."
    )
    limits: Limits = Field(
        default_factory=Limits, description="Limits of events, event types, rules and lists."
    )
    sockets: SocketLimits = Field(
        default_factory=SocketLimits, description="Limits and timeouts of WebSocket connections."
    )
    documents: DocumentLimits = Field(
        default_factory=DocumentLimits, description="Limits of GraphQL documents."
    )
    requests: RequestLimits = Field(
        default_factory=RequestLimits,
        description="Time limits of requests, and the rate limit of a credential.",
    )

    @model_validator(mode="before")
    @classmethod
    def _reject_old_names(cls, values: Any) -> Any:
        if renamed := find_renamed_settings(os.environ):
            lines = [f"{old} was renamed: set {new} instead." for old, new in renamed.items()]
            raise PydanticCustomError("renamed_setting", "{lines}", {"lines": "\n".join(lines)})
        return values

    @field_validator("severity_map", mode="before")
    @classmethod
    def _parse_severity_map(cls, value: str | None) -> dict[str, Severity] | None:
        return None if value is None else parse_severity_map(value)

    @field_validator("public_url")
    @classmethod
    def _validate_public_url(cls, value: str | None) -> str | None:
        if value is not None and not _BASE_URL.search(value):
            raise ValueError(
                f"Invalid base URL {value[:100]!a}. "
                "Use https://HOST or https://HOST/PATH, without a query."
            )
        return value

    @field_validator("cors_origins")
    @classmethod
    def _validate_origins(cls, value: str | None) -> str | None:
        if value is not None:
            # Imported here because it loads the web framework, which only `serve` needs.
            from app.http.cross_origin import AllowedOrigins

            AllowedOrigins.from_settings(value, None)
        return value


def find_renamed_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the old names that the environment sets, with their new names.

    A group of settings may be one variable with a JSON object, as in TOCSIN_LIMITS={"page": 50}.
    """
    names = {name.upper() for name in environment}
    groups = {old.partition("__")[0] for old in RENAMED_SETTINGS if "__" in old}
    for name, value in environment.items():
        if name.upper() in groups:
            names.update(f"{name}__{key}".upper() for key in _parse_object(value))
    return {old: new for old, new in RENAMED_SETTINGS.items() if old in names}


def _parse_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
