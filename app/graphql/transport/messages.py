"""What travels on a socket, by the document of graphql-transport-ws. Nothing here waits.

Whatever a client sends is a message, or a reason to close: `parse` raises nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NoReturn

PROTOCOL = "graphql-transport-ws"
ACKNOWLEDGED = '{"type":"connection_ack"}'
PING = '{"type":"ping"}'
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_REASON_BYTES = 123  # what RFC 6455 leaves for it in a control frame
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


@dataclass(frozen=True)
class Close:
    """Why a socket is closed: the reason is cut to what a close frame can carry."""

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
    """`answer` is the pong to it, with the same payload."""

    answer: str


@dataclass(frozen=True)
class Pong:
    pass


@dataclass(frozen=True)
class Subscribe:
    id: str
    query: str
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


@dataclass(frozen=True)
class Complete:
    id: str


Message = ConnectionInit | Ping | Pong | Subscribe | Complete


class _InvalidError(Exception):
    pass


def parse(frame: str | bytes, id_characters: int) -> Message | Close:
    """The message in a frame, whose id has at most so many characters."""
    try:
        return _message(_json(frame), id_characters)
    except _InvalidError as error:
        return Close(CloseCode.INVALID_MESSAGE, str(error))
    except RecursionError:
        return Close(CloseCode.INVALID_MESSAGE, "The message is nested too deeply.")


def text_of(value: Any) -> str:
    """JSON, which carries lone surrogates, too: it is ASCII. ValueError for what is no number."""
    return _ENCODER.encode(value)


def next_message(id: str, payload: str) -> str:
    """The payload is JSON already: it was written once, for whoever gets it."""
    return before_payload(id) + payload + "}"


def before_payload(id: str) -> str:
    """How a `next` begins: its payload and a brace complete it."""
    return f'{{"id":{text_of(id)},"type":"next","payload":'


def error_message(id: str, payload: str) -> str:
    return f'{{"id":{text_of(id)},"type":"error","payload":{payload}}}'


def complete_message(id: str) -> str:
    return f'{{"id":{text_of(id)},"type":"complete"}}'


def _json(frame: str | bytes) -> Any:
    if isinstance(frame, bytes):
        raise _InvalidError("A message is a text frame, not a binary one.")
    try:
        return json.loads(frame, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise _InvalidError(f"The message is not JSON: {error}.") from None
    except ValueError:  # an integer of thousands of digits
        raise _InvalidError("The message has a number that is too long.") from None


def _no_number(constant: str) -> NoReturn:
    raise _InvalidError(f"The message is not JSON: {constant} is no number.")


def _message(said: Any, id_characters: int) -> Message:
    if not isinstance(said, dict):
        raise _InvalidError(f"A message is an object, not {_kind(said)}.")
    kind = said.get("type")
    if not isinstance(kind, str):
        raise _InvalidError(f"A message's 'type' is a string, not {_kind(kind)}.")
    match kind:
        case "connection_init":
            return ConnectionInit(_object(said, "payload", kind) or {})
        case "ping":
            return Ping(_pong(_object(said, "payload", kind)))
        case "pong":
            _object(said, "payload", kind)
            return Pong()
        case "subscribe":
            return _subscribe(_id(said, kind, id_characters), said)
        case "complete":
            return Complete(_id(said, kind, id_characters))
    if kind in _FROM_SERVERS:
        raise _InvalidError(f"'{kind}' is what servers send.")
    raise _InvalidError(f"There is no message of the type '{kind}'.")


def _subscribe(id: str, said: dict[str, Any]) -> Subscribe:
    payload = _object(said, "payload", "subscribe")
    if payload is None:
        raise _InvalidError("'payload' of 'subscribe' is an object, not null.")
    query, name = payload.get("query"), payload.get("operationName")
    if not isinstance(query, str):
        raise _InvalidError(f"'query' of 'subscribe' is a string, not {_kind(query)}.")
    if name is not None and not isinstance(name, str):
        raise _InvalidError(f"'operationName' of 'subscribe' is a string, not {_kind(name)}.")
    variables = _object(payload, "variables", "subscribe")
    return Subscribe(id, query, name, variables, _object(payload, "extensions", "subscribe"))


def _object(said: dict[str, Any], name: str, kind: str) -> dict[str, Any] | None:
    value = said.get(name)
    if value is None or isinstance(value, dict):
        return value
    raise _InvalidError(f"'{name}' of '{kind}' is an object, not {_kind(value)}.")


def _id(said: dict[str, Any], kind: str, most: int) -> str:
    id = said.get("id")
    if not isinstance(id, str):
        raise _InvalidError(f"'id' of '{kind}' is a string, not {_kind(id)}.")
    if not id:
        raise _InvalidError(f"'id' of '{kind}' is empty.")
    if len(id) > most:
        raise _InvalidError(f"'id' of '{kind}' is longer than {most:,} characters.")
    return id


def _pong(payload: dict[str, Any] | None) -> str:
    if payload is None:
        return '{"type":"pong"}'
    try:
        return f'{{"type":"pong","payload":{text_of(payload)}}}'
    except ValueError:  # 1e400 was read as infinity
        raise _InvalidError("'payload' of 'ping' has a number that is too large.") from None


def _kind(value: Any) -> str:
    kinds = {type(None): "null", bool: "a boolean", str: "a string", list: "an array"}
    return kinds.get(type(value), "an object" if isinstance(value, dict) else "a number")
