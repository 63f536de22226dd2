"""How to connect to PostgreSQL: the parameters of a URL, for the driver asyncpg.

Settings of the server are set after connecting: a pooler rejects or ignores them as parameters of
the connection. Pooled connections go through a pooler in transaction mode, such as PgBouncer.
There, each transaction may run on another connection of the server: nothing of a session can be
relied on, and timeouts are set in each transaction.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.domain.shared.json_encoding import encode_json, load_json

CONNECT_TIMEOUT_SECONDS = 10
SEVERAL_HOSTS = (
    "Write several hosts as postgresql://USER@/NAME?host=HOST1,HOST2&port=PORT1,PORT2, each with "
    "its port."
)

# Parameters of libpq that asyncpg reads from a URL.
_DRIVER_PARAMETERS = {
    "gsslib",
    "krbsrvname",
    "passfile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "target_session_attrs",
}
_OTHER_PARAMETERS = {
    "application_name",
    "connect_timeout",
    "fallback_application_name",
    "host",
    "options",
    "port",
}
_URL_FIELDS = {"user": "username", "password": "password", "dbname": "database"}
# Other parameters, with the values that ask for what asyncpg does anyway.
_FIXED_PARAMETERS = {
    "channel_binding": {"disable", "prefer"},
    "client_encoding": {"auto", "unicode", "utf-8", "utf8"},
    "gssencmode": {"disable", "prefer"},
    "load_balance_hosts": {"disable"},
    "sslcompression": {"0"},
    "sslsni": {"1"},
}
_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": (
        "any",
        "read-write",
        "read-only",
        "primary",
        "standby",
        "prefer-standby",
    ),
}
_FILES = ("sslcert", "sslkey", "sslrootcert", "sslcrl")


def normalize_url(url: URL) -> URL:
    """The URL with the driver and with checked parameters. Raises ValueError."""
    query = dict(url.query)
    fields: dict[str, Any] = {"drivername": "postgresql+asyncpg"}
    for name, value in url.query.items():
        if name == "host":
            continue
        query[name] = last_value = value if isinstance(value, str) else value[-1]
        if name in _URL_FIELDS:
            fields[_URL_FIELDS[name]] = query.pop(name)
        elif name == "ssl":  # asyncpg's name
            query["sslmode"] = query.pop(name)
            _check_parameter("sslmode", last_value)
        else:
            _check_parameter(name, last_value)
    url = url.set(query=query, **fields)
    _check_address(url)
    return url


def create_postgresql_engine(
    url: URL, settings: Mapping[str, str], *, pooled: bool = False, **options: Any
) -> AsyncEngine:
    """An engine whose sessions have these settings of the server."""
    arguments = connect_arguments(url, pooled=pooled)
    if pooled:
        arguments["prepared_statement_cache_size"] = 0  # SQLAlchemy's own cache
    engine = create_async_engine(
        _address(url),
        connect_args=arguments,
        json_serializer=encode_json,
        json_deserializer=load_json,
        **options,
    )
    if settings:

        @event.listens_for(engine.sync_engine, "connect")
        def connected(connection: Any, _record: Any) -> None:
            connection.autocommit = True
            try:
                connection.cursor().execute(set_statement(settings))
            except BaseException:
                connection.terminate()  # the pool does not close it if this handler raises
                raise
            connection.autocommit = False

    return engine


def set_statement(settings: Mapping[str, str]) -> str:
    """The statement that sets these settings of the server for the session."""
    values = (f"set_config('{name}', '{value}', false)" for name, value in settings.items())
    return f"SELECT {', '.join(values)}"


def driver_arguments(url: URL, *, pooled: bool) -> dict[str, Any]:
    """All arguments of `asyncpg.connect`, for a connection without SQLAlchemy."""
    address = _address(url)
    _, arguments = address.get_dialect()().create_connect_args(address)
    return {**arguments, **connect_arguments(url, pooled=pooled)}


def connect_arguments(url: URL, *, pooled: bool) -> dict[str, Any]:
    """The arguments of `asyncpg.connect` for the parameters of the URL."""
    query = {name: str(value) for name, value in url.query.items()}
    names = ("application_name", "fallback_application_name")
    server_settings = {
        "application_name": next((query[name] for name in names if name in query), "tocsin")
    }
    if "options" in query:
        server_settings["options"] = query["options"]
    timeout = int(query.get("connect_timeout", CONNECT_TIMEOUT_SECONDS))
    arguments: dict[str, Any] = {
        # The only way to pass the files of certificates.
        "dsn": "postgresql://?"
        + urlencode({name: value for name, value in query.items() if name in _DRIVER_PARAMETERS}),
        "server_settings": server_settings,
        "timeout": timeout if timeout > 0 else None,
    }
    if pooled:
        arguments["statement_cache_size"] = 0
    return arguments


def _address(url: URL) -> URL:
    query = {name: value for name, value in url.query.items() if name in ("host", "port")}
    return url.set(query=query)


def _check_parameter(name: str, value: str) -> None:
    if name in _FIXED_PARAMETERS:
        if value.lower() not in _FIXED_PARAMETERS[name]:
            raise ValueError(
                f"{name}={value} is not supported by the driver asyncpg: remove this parameter."
            )
        return
    if name not in _DRIVER_PARAMETERS | _OTHER_PARAMETERS:
        raise ValueError(f"The parameter {name!a} is not supported: remove this parameter.")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ValueError(f"Invalid {name} {value!a}. Use one of: {', '.join(_CHOICES[name])}.")
    if name in _FILES and not os.access(value, os.R_OK):
        raise ValueError(f"{name}: The file {value!a} cannot be read.")
    if name == "connect_timeout":
        try:
            int(value)
        except ValueError:
            raise ValueError(
                f"Invalid connect_timeout {value!a}. Use a number of seconds."
            ) from None


def _check_address(url: URL) -> None:
    address = _address(url)
    hosts = url.query.get("host", ())
    has_several = not isinstance(hosts, str) and len(hosts) > 1
    if "," in (url.host or ""):
        raise ValueError(SEVERAL_HOSTS)
    try:
        _, arguments = address.get_dialect()().create_connect_args(address)
        ports = arguments.get("port", 5432)
        numbers = [int(port) for port in (ports if isinstance(ports, list) else [ports])]
    except (ArgumentError, ValueError) as error:
        if has_several or "," in hosts:
            raise ValueError(SEVERAL_HOSTS) from None
        raise ValueError(f"Invalid host or port: {str(error).removesuffix('.')}.") from None
    if not all(0 < number < 65_536 for number in numbers):
        raise ValueError("Invalid port: use a number from 1 to 65535.")
