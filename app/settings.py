"""Settings, read from TOCSIN_* environment variables and the file `tocsin.toml`.

Only `main` and the commands read them. All other modules get values.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.domain.access.provider_urls import is_provider_url, origin_of
from app.domain.channels.addresses import parse_networks
from app.domain.events.severity import Severity, parse_severity_map
from app.domain.shared.limits import (
    ChannelLimits,
    DatabaseLimits,
    DocumentLimits,
    FailedAuthLimits,
    Limits,
    RequestLimits,
    RetentionLimits,
    SocketLimits,
    SubscriptionLimits,
)
from app.setting_names import FILE_SUFFIX, find_name_errors
from app.settings_file import FILE_VARIABLE, SettingsFile, SettingsFileSource, read_settings_file

RECOMMENDED_KEY_CHARACTERS = 32
HIDDEN_VALUE = "********"
# Clients send it in a header.
_CREDENTIAL = re.compile(r"[ -~]*\Z")
_BASE_URL = re.compile(r"^https?://[^\s/?#]+(/[^\s?#]*)?\Z")


class Settings(BaseSettings):
    """A setting with `repr=False` is a secret: see `secret_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="TOCSIN_",
        env_nested_delimiter="__",
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    database_url: str = Field(
        default="sqlite:///tocsin.db",
        repr=False,
        description="URL of the database: `sqlite:///FILE` or "
        "`postgresql://USER:PASSWORD@HOST:PORT/NAME`. A PostgreSQL database must already "
        "exist; a SQLite file is created if it is missing.",
    )
    database_direct_url: str | None = Field(
        default=None,
        repr=False,
        description="URL of the same PostgreSQL database without the connection pooler. Required "
        "if `TOCSIN_DATABASE_URL` is the URL of a pooler in transaction mode, such as PgBouncer. "
        "Migrations and one connection of each server process use this URL.",
    )
    database: DatabaseLimits = Field(
        default_factory=DatabaseLimits, description="Connections to PostgreSQL."
    )
    bootstrap_key: SecretStr | None = Field(
        default=None,
        repr=False,
        description="API key of the administrator of a new database. The setting is ignored "
        f"after the database has been created. Use at least {RECOMMENDED_KEY_CHARACTERS} random "
        "characters; if the key is shorter, the server logs a warning. If not set, a key is "
        "generated and printed.",
    )
    public_url: str | None = Field(
        default=None,
        description="Base URL at which clients reach the server, `https://HOST/PATH`. Used in "
        "`dataschema`, in the links that `tocsin serve` prints, and to recognize requests from the "
        "server's own web pages. If not set, the host of each request is used.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="File with the TLS certificate of the server and its intermediate "
        "certificates, in PEM format. Requires `TOCSIN_TLS_KEY`. If not set, the server uses HTTP "
        "without TLS.",
    )
    tls_key: Path | None = Field(
        default=None,
        description="File with the private key of the certificate in `TOCSIN_TLS_CERTIFICATE`, in "
        "PEM format and without a password.",
    )
    cors_origins: str | None = Field(
        default=None,
        description="Origins of other sites whose web pages may use the API, separated by commas: "
        "`https://a.example,https://b.example:8443`, `https://*.example.com` for all "
        "subdomains, or `*` for all origins. If not set, web pages of other sites cannot use "
        "the API.",
    )
    cors_headers: str | None = Field(
        default=None,
        description="Names of additional request headers that web pages of the origins in "
        "`TOCSIN_CORS_ORIGINS` may send, separated by commas: `x-company-id`, or "
        "`x-company-*` for all names with this prefix. If not set, only the headers that "
        "[GraphQL over HTTP](../http.md#cross-origin-requests) lists are allowed.",
    )
    webhook_origins: str | None = Field(
        default=None,
        description="Senders that may send CloudEvents as webhooks, by the DNS names that they "
        "send in `WebHook-Request-Origin`, separated by commas: `eventgrid.azure.net`, "
        "`*.example.com` for all subdomains, or `*` for all senders. If not set, the server does "
        "not answer the [handshake](../cloudevents.md#webhooks).",
    )
    jwt_secret: SecretStr | None = Field(
        default=None,
        repr=False,
        description="Secret of at least 32 bytes with which access tokens are signed (HS256, "
        "HS384 or HS512). If not set, the server rejects tokens that are signed with a secret.",
    )
    jwt_jwks_url: str | None = Field(
        default=None,
        description="URL of a JSON Web Key Set: the public keys of the identity provider that "
        "signs the access tokens. If not set, the server rejects tokens that are signed with a "
        "private key.",
    )
    jwt_issuer: str | None = Field(
        default=None,
        description="Value that the `iss` claim of an access token must have. If not set, the "
        "server accepts tokens from every issuer.",
    )
    jwt_audience: str | None = Field(
        default=None,
        description="Value that the `aud` claim of an access token must have or contain. If not "
        "set, the server accepts tokens for every audience.",
    )
    jwt_leeway_seconds: int = Field(
        default=30,
        ge=0,
        description="Clock difference in seconds that is tolerated when the times in an access "
        "token are validated. Maximum 3,600.",
    )
    jwt_organization_claim: str = Field(
        default="organization",
        min_length=1,
        description="Claim of an access token with the keys of its organizations. The path of a "
        "nested claim has dots: `tocsin.organization`.",
    )
    jwt_permissions_claim: str | None = Field(
        default=None,
        min_length=1,
        description="Claim of an access token with its permissions. The path of a nested claim "
        "has dots: `realm_access.roles`. A token without the claim has no permissions. If not "
        "set, permissions are read from the claim `permissions`, or from `scope` if a token does "
        "not have it.",
    )
    oidc_client_id: str | None = Field(
        default=None,
        min_length=1,
        description="Client ID of the console at the identity provider. If set, users can [sign "
        "in to the console](../tokens.md#sign-in-to-the-console) with OpenID Connect. Requires "
        "`TOCSIN_JWT_ISSUER`, `TOCSIN_JWT_AUDIENCE` and `TOCSIN_JWT_JWKS_URL`.",
    )
    oidc_scope: str = Field(
        default="openid",
        description="Scopes that the console requests, separated by spaces, including `openid`. "
        "Add `offline_access` if the identity provider issues refresh tokens only with this "
        "scope, and the scope with the claim in `TOCSIN_OIDC_DISPLAY_NAME_CLAIM`, often "
        "`profile`.",
    )
    oidc_resource: str | None = Field(
        default=None,
        description="Absolute URI that the console sends as `resource` (RFC 8707), for identity "
        "providers that select the API by it. All providers get `TOCSIN_JWT_AUDIENCE` as "
        "`audience`.",
    )
    oidc_token_origin: str | None = Field(
        default=None,
        description="Origin of the token endpoint, `https://HOST`, if it differs from the origin "
        "of `TOCSIN_JWT_ISSUER`. The content security policy of the console allows requests to "
        "these origins and its own server only.",
    )
    oidc_display_name_claim: str = Field(
        default="name",
        min_length=1,
        description="Claim of an ID token with the name that the console shows for the user. The "
        "change log always has the `sub` claim.",
    )
    severity_map: Annotated[dict[str, Severity] | None, NoDecode] = Field(
        default=None,
        description="Words that producers use for severities, and the severities that they stand "
        "for, separated by commas: `critical=error,fatal=error,notice=info`. Case is ignored. "
        "The server accepts these words in addition to those that `LogEventInput.severity` "
        "lists. An event with any other word gets the severity INFO and the warning "
        "`SEVERITY_UNKNOWN`.",
    )
    failed_auth: FailedAuthLimits = Field(
        default_factory=FailedAuthLimits,
        description="Rate limit for failed authentication attempts, per client address and server "
        "process. IPv6 addresses in the same /64 network count as one address.",
    )
    trusted_proxies: str | None = Field(
        default=None,
        description="Addresses and networks of reverse proxies whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` are trusted, separated by commas: `10.0.0.1,10.1.0.0/16`, or "
        "`*` for all addresses. If not set, the server ignores these headers.",
    )
    subscriptions: SubscriptionLimits = Field(
        default_factory=SubscriptionLimits,
        description="Memory for messages that a slow subscriber has not received yet, in each "
        "server process.",
    )
    secrets_keys: SecretStr | None = Field(
        default=None,
        repr=False,
        description="Keys that encrypt the addresses, request headers and signing secrets of "
        "channels in the database, separated by commas: 32 random bytes each, in Base64, as "
        "`openssl rand -base64 32` prints them. The first one encrypts, and all of them decrypt. "
        "To replace a key, put a new one before it, run `tocsin secrets rotate`, and then remove "
        "it. If not set, channels cannot be created, and nothing is delivered.",
    )
    channel_networks: str | None = Field(
        default=None,
        description="Networks that channels may reach although they are not public, separated by "
        "commas: `10.1.0.0/16,fd00::/8`. If not set, requests are sent to public addresses only.",
    )
    channels: ChannelLimits = Field(
        default_factory=ChannelLimits,
        description="Deliveries to the addresses of channels.",
    )
    drain_seconds: float = Field(
        default=5,
        ge=0,
        le=600,
        description="Time in seconds for which the server still accepts requests after SIGTERM. "
        "`GET /ready` fails during this time, so that load balancers stop sending requests "
        "before the server stops. Maximum 600.",
    )
    metrics: bool = Field(
        default=True, description="Whether the server responds to `GET /metrics`."
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        repr=False,
        description="Bearer token that `GET /metrics` requires. If not set, metrics are available "
        "only at a loopback address, such as 127.0.0.1, of a server that has neither "
        "`TOCSIN_PUBLIC_URL` nor `TOCSIN_TRUSTED_PROXIES`.",
    )
    access_log: bool = Field(
        default=False,
        description="Whether the server writes a line to its logs for each HTTP request.",
    )
    limits: Limits = Field(
        default_factory=Limits,
        description="Limits on events, event types, rules, filters and lists.",
    )
    retention: RetentionLimits = Field(
        default_factory=RetentionLimits,
        description="Load that the application of retention policies causes.",
    )
    sockets: SocketLimits = Field(
        default_factory=SocketLimits, description="Limits and timeouts for WebSocket connections."
    )
    documents: DocumentLimits = Field(
        default_factory=DocumentLimits, description="Limits on GraphQL documents."
    )
    requests: RequestLimits = Field(
        default_factory=RequestLimits,
        description="Time limits of requests, and the rate limit of a credential.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = SettingsFileSource(settings_cls, read_settings_file())
        return init_settings, env_settings, file

    @model_validator(mode="before")
    @classmethod
    def _read_environment(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Rejects unknown names, and reads the secrets that are in files."""
        names = setting_names()
        settings_file = read_settings_file()
        errors = find_name_errors(os.environ, names | {FILE_VARIABLE})
        file_errors = find_name_errors(settings_file.list_variables(), names)
        if settings_file.problem is not None:
            file_errors.append(settings_file.problem)
        errors += [f"{settings_file.path}: {error}" for error in file_errors]
        variables = {name.upper(): value for name, value in os.environ.items()}
        for name in secret_settings():
            value, secret_errors = _read_secret(name, variables, settings_file)
            errors += secret_errors
            if value is not None:
                values[name] = value
        if errors:
            raise PydanticCustomError("environment", "{lines}", {"lines": "\n".join(errors)})
        return values

    @field_validator("severity_map", mode="before")
    @classmethod
    def _parse_severity_map(cls, value: str | dict[str, str] | None) -> dict[str, Severity] | None:
        if isinstance(value, dict):  # a table of the settings file
            value = ",".join(f"{word}={severity}" for word, severity in value.items())
        return None if value is None else parse_severity_map(value)

    @field_validator("*", mode="before")
    @classmethod
    def _normalize(cls, value: Any, info: ValidationInfo) -> Any:
        """A mounted file ends in a line break, and so does what a script reads from one."""
        if isinstance(value, str):
            return value.strip()
        if isinstance(value, dict) and info.field_name in _setting_groups():
            return {name.lower(): each for name, each in value.items()}
        return value

    @field_validator("bootstrap_key", "jwt_secret", "metrics_token", "secrets_keys")
    @classmethod
    def _reject_empty_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value():
            raise ValueError("The value must not be empty")
        return value

    @field_validator("bootstrap_key", "metrics_token")
    @classmethod
    def _validate_credential(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _CREDENTIAL.match(value.get_secret_value()):
            raise ValueError(
                "Clients cannot send the value in an HTTP header. Use a single line of printable "
                "ASCII characters"
            )
        return value

    @field_validator("database_direct_url")
    @classmethod
    def _validate_direct_url(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None:
            # Imported here because it loads SQLAlchemy, which not every command needs.
            from app.store.engine.dialect import is_postgresql, parse_database_url

            # The other URL has errors of its own, which are reported when it is used.
            is_other_postgresql = info.data["database_url"].startswith("postgres")
            if not (is_other_postgresql and is_postgresql(parse_database_url(value))):
                raise ValueError(
                    "Both this setting and TOCSIN_DATABASE_URL must be PostgreSQL URLs"
                )
        return value

    @field_validator("public_url")
    @classmethod
    def _validate_public_url(cls, value: str | None) -> str | None:
        if value is not None and not _BASE_URL.search(value):
            raise ValueError(
                f"Invalid base URL {value[:100]!a}. "
                "Use https://HOST or https://HOST/PATH, without a query."
            )
        return value

    @field_validator("oidc_token_origin")
    @classmethod
    def _validate_token_origin(cls, value: str | None) -> str | None:
        if value is not None and (not is_provider_url(value) or value != origin_of(value)):
            raise ValueError(
                f"Invalid origin {value[:100]!a}. Use https://HOST without a path. Only a provider "
                "on the same machine may use http://"
            )
        return value

    @field_validator("oidc_scope")
    @classmethod
    def _validate_scope(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("The scopes must include openid")
        return value

    @model_validator(mode="after")
    def _validate_sign_in(self) -> Settings:
        """Sign-in to the console requires that the server accepts the tokens of the provider."""
        if self.oidc_client_id is None:
            return self
        required = ("jwt_issuer", "jwt_audience", "jwt_jwks_url")
        missing = [f"TOCSIN_{name.upper()}" for name in required if getattr(self, name) is None]
        if missing:
            message = f"TOCSIN_OIDC_CLIENT_ID: Sign-in requires {' and '.join(missing)}."
        elif not is_provider_url(self.jwt_issuer or ""):
            message = (
                "TOCSIN_JWT_ISSUER: For sign-in to the console, the issuer must be the URL of the "
                "identity provider, https://HOST or https://HOST/PATH. Only a provider on the same "
                "machine may use http://."
            )
        else:
            return self
        raise PydanticCustomError("sign_in", "{message}", {"message": message})

    @field_validator("trusted_proxies")
    @classmethod
    def _validate_proxies(cls, value: str | None) -> str | None:
        for proxy in () if value in (None, "*") else value.split(","):
            try:
                ipaddress.ip_network(proxy.strip())
            except ValueError:
                raise ValueError(
                    f"Invalid address {proxy.strip()[:100]!a}. Use IP addresses and networks "
                    "separated by commas, such as 10.0.0.1,10.1.0.0/16"
                ) from None
        return value

    @field_validator("secrets_keys")
    @classmethod
    def _validate_secrets_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            # Imported here because it loads the cryptography library, which few commands need.
            from app.services.channels.encryption import SecretKeys

            SecretKeys(value.get_secret_value().split(","))
        return value

    @field_validator("channel_networks")
    @classmethod
    def _validate_channel_networks(cls, value: str | None) -> str | None:
        if value is not None:
            parse_networks(value)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _validate_origins(cls, value: str | None) -> str | None:
        if value is not None:
            # Imported here because it loads the web framework, which only `serve` needs.
            from app.http.cross_origin import AllowedOrigins

            AllowedOrigins(value, None)
        return value

    @field_validator("webhook_origins")
    @classmethod
    def _validate_webhook_origins(cls, value: str | None) -> str | None:
        if value is not None:
            from app.http.webhook_handshake import WebHookHandshake

            WebHookHandshake(value)
        return value

    @field_validator("cors_headers")
    @classmethod
    def _validate_headers(cls, value: str | None) -> str | None:
        if value is not None:
            from app.http.cross_origin import AllowedHeaders

            AllowedHeaders(value)
        return value


def find_variable(setting: str) -> str:
    """The environment variable of the setting: TOCSIN_..._FILE if the value is in a file.

    If the value is in the settings file, the name of this file and the key.
    """
    variable, key = f"TOCSIN_{setting.upper()}", setting.lower().split("__")
    variables = set(map(str.upper, os.environ))
    if variable + FILE_SUFFIX in variables:
        return variable + FILE_SUFFIX
    group = f"TOCSIN_{key[0].upper()}"
    file = read_settings_file()
    if variables.isdisjoint({variable, group}):
        for path in ([f"{setting.lower()}{FILE_SUFFIX.lower()}"], key):
            if file.has(*path):
                return f"{file.path}: {'.'.join(path)}"
    return variable


def _read_secret(
    name: str, variables: Mapping[str, str], file: SettingsFile
) -> tuple[str | None, list[str]]:
    """Returns the secret that is in a file of its own, and what is wrong.

    Environment variables override the settings file, whether or not they name a file.
    """
    variable = f"TOCSIN_{name.upper()}"
    if variable in variables or variable + FILE_SUFFIX in variables:
        source: Mapping[str, Any] = variables
        plain, in_file, place = variable, variable + FILE_SUFFIX, ""
    else:
        source = file.values
        plain, in_file, place = name, name + FILE_SUFFIX.lower(), f"{file.path}: "
    if in_file not in source:
        return None, []
    errors = []
    if plain in source:
        errors.append(f"{place}Set either {plain} or {in_file}, not both.")
    try:
        return Path(str(source[in_file]).strip()).read_text(encoding="utf-8-sig"), errors
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its content is not valid UTF-8"
        return None, [*errors, f"{place}{in_file}: The file cannot be read: {reason}."]


def find_source(setting: str) -> str:
    """Where the value of the setting comes from, for people."""
    variable = find_variable(setting)
    names = {variable, variable.partition("__")[0]}
    if not variable.startswith("TOCSIN_") or not names.isdisjoint(map(str.upper, os.environ)):
        return variable
    return "default"


def secret_settings() -> list[str]:
    """The settings that are secrets: not shown, and readable from the file TOCSIN_..._FILE."""
    return [name for name, setting in Settings.model_fields.items() if not setting.repr]


def list_settings(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Yields each setting in force with its value, by name: `limits__offset` in a group.

    Secrets are hidden.
    """
    groups, secrets = _setting_groups(), secret_settings()
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if name in groups:
            yield from ((f"{name}__{each}", getattr(value, each)) for each in groups[name])
        else:
            yield name, HIDDEN_VALUE if name in secrets and value is not None else value


def setting_names() -> set[str]:
    """The names of all TOCSIN_* variables that are settings."""
    groups = _setting_groups()
    names = Settings.model_fields.keys() - groups
    names |= {f"{name}{FILE_SUFFIX}" for name in secret_settings()}
    names |= {f"{group}__{name}" for group, settings in groups.items() for name in settings}
    return {f"TOCSIN_{name}".upper() for name in names}


def _setting_groups() -> dict[str, list[str]]:
    """The settings of each group, which are one variable with a JSON object, or one each."""
    return {
        name: [each.name for each in dataclasses.fields(setting.annotation)]
        for name, setting in Settings.model_fields.items()
        if dataclasses.is_dataclass(setting.annotation)
    }
