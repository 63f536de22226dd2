"""Names of TOCSIN_* environment variables: renamed, removed, unknown and injected ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

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
    "TOCSIN_LIMITS__MESSAGE_BYTES": "TOCSIN_LIMITS__BODY_BYTES",
    "TOCSIN_LIMITS__CLOUD_EVENTS_BODY_BYTES": "TOCSIN_LIMITS__BODY_BYTES",
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

REMOVED_SETTINGS = {
    "TOCSIN_READY_LAG_SECONDS": "alert on the metric tocsin_change_log_lag_seconds",
}
# Options of the command `serve` that a newcomer expects to be settings.
SERVE_OPTIONS = {
    "TOCSIN_PORT": "Set the port with an option: `tocsin serve --port 8001`.",
    "TOCSIN_HOST": "Set the address with an option: `tocsin serve --host 0.0.0.0`.",
    "TOCSIN_WORKERS": "Set the number of workers with an option: `tocsin serve --workers 2`.",
}
# Read by `tocsin config`, which uses a server as a client.
CLIENT_VARIABLES = {"TOCSIN_KEY", "TOCSIN_URL"}
FILE_SUFFIX = "_FILE"
_PREFIX = "TOCSIN_"

# Kubernetes injects these for a Service that is named `tocsin` or `tocsin-...`.
_SERVICE_VARIABLE = re.compile(
    r"TOCSIN_(\w+_)?"
    r"(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_PORT = re.compile(r"TOCSIN_(\w+_)?PORT")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")


def find_name_errors(environment: Mapping[str, str], known_names: set[str]) -> list[str]:
    """Describes each TOCSIN_* variable that is not a setting, with its new or most similar name."""
    groups = {name.partition("__")[0] for name in known_names if "__" in name}
    # In the order of the environment, each name once.
    names = dict.fromkeys(_setting_names(environment, groups))
    return [
        error for name in names if (error := _name_error(name, known_names, groups)) is not None
    ]


def _setting_names(environment: Mapping[str, str], groups: set[str]) -> Iterator[str]:
    """A group of settings may be one variable with a JSON object: TOCSIN_LIMITS={"offset": 50}."""
    for variable, value in environment.items():
        name = variable.upper()
        is_other = name in CLIENT_VARIABLES or _is_of_kubernetes(name, value)
        if not name.startswith(_PREFIX) or is_other:
            continue
        yield name
        if name in groups:
            yield from (f"{name}__{key}".upper() for key in _parse_object(value))


def _is_of_kubernetes(name: str, value: str) -> bool:
    return _SERVICE_VARIABLE.fullmatch(name) is not None or (
        _SERVICE_PORT.fullmatch(name) is not None and _SERVICE_URL.match(value) is not None
    )


def _name_error(name: str, known_names: set[str], groups: set[str]) -> str | None:
    if new_name := RENAMED_SETTINGS.get(name):
        return f"{name} was renamed: set {new_name} instead."
    if instead := REMOVED_SETTINGS.get(name):
        return f"{name} was removed: {instead} instead."
    if name in known_names or name in groups:
        return None
    if hint := SERVE_OPTIONS.get(name):
        return f"Unknown setting {name}. {hint}"
    # The common prefix, which makes all names similar, is not compared.
    group = name.partition("__")[0]
    prefix = f"{group}__" if group in groups and "__" in name else _PREFIX
    candidates = [each.removeprefix(prefix) for each in known_names if each.startswith(prefix)]
    similar = get_close_matches(name.removeprefix(prefix), sorted(candidates), n=1)
    suggestion = f" Did you mean {prefix}{similar[0]}?" if similar else ""
    return f"Unknown setting {name}.{suggestion}"


def _parse_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
