"""Messages of the graphql-transport-ws protocol. No I/O.

`parse_message` never raises: an invalid frame closes the connection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from app.domain.shared.json_encoding import encode_json
from app.domain.shared.strict_json import UnreadableJsonError, decode_json
from app.graphql.transport.requests import GraphQLRequest

PROTOCOL = "graphql-transport-ws"
ACKNOWLEDGED = '{"type":"connection_ack"}'
PING = '{"type":"ping"}'
_REASON_BYTES = 123  # maximum in a control frame (RFC 6455)
_FROM_SERVERS = {"connection_ack", "next", "error"}


class CloseCode(IntEnum):
    MESSAGE_TOO_BIG = 1009
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    INVALID_MESSAGE = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    TIMEOUT = 4408
    SUBSCRIBER_EXISTS = 4409
    TOO_MANY_INITIALISATIONS = 4429
    INTERNAL_ERROR = 4500


# Cause, and what the client should do. docs/reference/close-codes.md is generated from this. The
# codes below 1009 come from the client, the network or the WebSocket library.
CLOSE_CODE_DESCRIPTIONS = {
    1000: ("The client closed the connection.", ""),
    1001: ("The client closed the connection, for example because the user left the page.", ""),
    1006: (
        "The connection was lost, or the handshake was rejected because the page has a different "
        "origin.",
        "Resume. If the handshake was rejected, serve the page from this server, from "
        "`TOCSIN_PUBLIC_URL`, or from an origin in `TOCSIN_CORS_ORIGINS`.",
    ),
    1007: ("A text message is not valid UTF-8.", "Fix the client."),
    CloseCode.MESSAGE_TOO_BIG: (
        "A message is larger than `TOCSIN_SOCKETS__MESSAGE_BYTES`.",
        "Send smaller messages.",
    ),
    CloseCode.SERVICE_RESTART: ("The server is stopping or restarting.", "Resume."),
    CloseCode.TRY_AGAIN_LATER: (
        "The database is unavailable, the identity provider's keys cannot be loaded, there were "
        "too many failed authentication attempts from this address, or the credential has too "
        "many WebSocket connections and event streams. The close reason names the cause.",
        "Resume. Increase the delay with each attempt.",
    ),
    CloseCode.INVALID_MESSAGE: (
        "A message is invalid. The close reason describes the error.",
        "Fix the client.",
    ),
    CloseCode.UNAUTHORIZED: (
        "An operation was sent before the connection was acknowledged.",
        "Wait for `connection_ack`.",
    ),
    CloseCode.FORBIDDEN: (
        "After `connection_init`, with the reason `Forbidden`: the credential is not valid, or "
        "has no access to the organization. Later: the credential expired or was revoked; the "
        "close reason names the cause.",
        "Sign in again, then resume.",
    ),
    CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE: (
        "The subprotocol is missing or not supported.",
        "Use `graphql-transport-ws`.",
    ),
    CloseCode.TIMEOUT: (
        "`connection_init` did not arrive in time, or a ping was not answered.",
        "Resume.",
    ),
    CloseCode.SUBSCRIBER_EXISTS: (
        "The ID of a new operation is in use by a running operation.",
        "Use a unique ID for each running operation.",
    ),
    CloseCode.TOO_MANY_INITIALISATIONS: (
        "`connection_init` was sent twice.",
        "Send `connection_init` only once.",
    ),
    CloseCode.INTERNAL_ERROR: (
        "An unexpected error occurred in the server. The close reason contains the reference of "
        "the error in the server logs.",
        "Report the reference to the operator of the server. Resume.",
    ),
}


@dataclass(frozen=True)
class Close:
    """Close code and reason; the reason is truncated to fit a close frame."""

    code: CloseCode
    reason: str

    def __post_init__(self) -> None:
        carried = self.reason.encode(errors="replace")[:_REASON_BYTES].decode(errors="ignore")
        object.__setattr__(self, "reason", carried)


@dataclass(frozen=True)
class ConnectionInit:
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ping:
    """`pong`: the encoded response, with the same payload."""

    pong: str


@dataclass(frozen=True)
class Pong:
    pass


@dataclass
class Subscribe(GraphQLRequest):
    id: str = field(kw_only=True)


@dataclass(frozen=True)
class Complete:
    id: str


Message = ConnectionInit | Ping | Pong | Subscribe | Complete


class _InvalidMessageError(Exception):
    pass


def parse_message(frame: str | bytes, id_characters: int) -> Message | Close:
    """Parses a frame. `id_characters`: maximum length of an operation ID."""
    try:
        return _parse_object(_decode_frame(frame), id_characters)
    except _InvalidMessageError as error:
        return Close(CloseCode.INVALID_MESSAGE, str(error))


def build_next_message(id: str, payload: str) -> str:
    """Builds a `next` message. `payload`: JSON, encoded once for all subscribers."""
    return build_next_prefix(id) + payload + "}"


def build_next_prefix(id: str) -> str:
    """Builds the start of a `next` message; the payload and a brace complete it."""
    return f'{{"id":{encode_json(id)},"type":"next","payload":'


def build_error_message(id: str, payload: str) -> str:
    return f'{{"id":{encode_json(id)},"type":"error","payload":{payload}}}'


def build_complete_message(id: str) -> str:
    return f'{{"id":{encode_json(id)},"type":"complete"}}'


def _decode_frame(frame: str | bytes) -> Any:
    if isinstance(frame, bytes):
        raise _InvalidMessageError("A message must be a text frame, not a binary frame.")
    try:
        return decode_json(frame)
    except UnreadableJsonError as error:
        raise _InvalidMessageError(f"The message {error}.") from None


def _parse_object(fields: Any, id_characters: int) -> Message:
    if not isinstance(fields, dict):
        raise _InvalidMessageError(f"A message must be an object, not {_describe_type(fields)}.")
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise _InvalidMessageError(
            f"'type' of a message must be a string, not {_describe_type(kind)}."
        )
    match kind:
        case "connection_init":
            return ConnectionInit(_read_object(fields, "payload", kind) or {})
        case "ping":
            return Ping(_build_pong(_read_object(fields, "payload", kind)))
        case "pong":
            _read_object(fields, "payload", kind)
            return Pong()
        case "subscribe":
            return _parse_subscribe(_read_id(fields, kind, id_characters), fields)
        case "complete":
            return Complete(_read_id(fields, kind, id_characters))
    if kind in _FROM_SERVERS:
        raise _InvalidMessageError(f"Only the server sends messages of type '{kind}'.")
    raise _InvalidMessageError(f"Unknown message type '{kind}'.")


def _parse_subscribe(id: str, fields: dict[str, Any]) -> Subscribe:
    payload = _read_object(fields, "payload", "subscribe")
    if payload is None:
        raise _InvalidMessageError("'payload' of 'subscribe' must be an object, not null.")
    query, name = payload.get("query"), payload.get("operationName")
    if not isinstance(query, str):
        raise _InvalidMessageError(
            f"'query' of 'subscribe' must be a string, not {_describe_type(query)}."
        )
    if name is not None and not isinstance(name, str):
        raise _InvalidMessageError(
            f"'operationName' of 'subscribe' must be a string, not {_describe_type(name)}."
        )
    variables = _read_object(payload, "variables", "subscribe")
    extensions = _read_object(payload, "extensions", "subscribe")
    return Subscribe(query, name or None, variables, extensions, id=id)


def _read_object(fields: dict[str, Any], name: str, kind: str) -> dict[str, Any] | None:
    value = fields.get(name)
    if value is None or isinstance(value, dict):
        return value
    raise _InvalidMessageError(
        f"'{name}' of '{kind}' must be an object, not {_describe_type(value)}."
    )


def _read_id(fields: dict[str, Any], kind: str, max_characters: int) -> str:
    id = fields.get("id")
    if not isinstance(id, str):
        raise _InvalidMessageError(f"'id' of '{kind}' must be a string, not {_describe_type(id)}.")
    if not id:
        raise _InvalidMessageError(f"'id' of '{kind}' must not be empty.")
    if len(id) > max_characters:
        raise _InvalidMessageError(
            f"'id' of '{kind}' is too long; the maximum is {max_characters:,} characters."
        )
    return id


def _build_pong(payload: dict[str, Any] | None) -> str:
    if payload is None:
        return '{"type":"pong"}'
    try:
        return f'{{"type":"pong","payload":{encode_json(payload)}}}'
    except ValueError:  # 1e400 was read as infinity
        raise _InvalidMessageError("'payload' of 'ping' has a number that is too large.") from None


def _describe_type(value: Any) -> str:
    kinds = {type(None): "null", bool: "a boolean", str: "a string", list: "an array"}
    return kinds.get(type(value), "an object" if isinstance(value, dict) else "a number")
