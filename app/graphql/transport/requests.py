"""Parses GraphQL requests from HTTP bodies and query parameters. No I/O.

Follows the draft "GraphQL over HTTP", sections 4 to 6.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mimeparse import MimeTypeParseException, best_match, parse_mime_type

from app.domain.shared.problems import ErrorCode
from app.domain.shared.strict_json import UnreadableJsonError, decode_json

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EVENTS = "text/event-stream"
_CHARSETS = ("utf-8", "utf8")
_MAX_CACHED_CHARACTERS = 300  # longer headers are not cached
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
_PARAMETERS = ("query", "operationName", "variables", "extensions")


@dataclass  # not frozen, as `Subscribe`: a frozen one takes three times as long to create
class GraphQLRequest:
    """A request to execute an operation, by any transport."""

    query: str
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


@dataclass(frozen=True)
class RequestRejection:
    """A rejected request: HTTP status, message and error code."""

    status: int
    message: str
    code: ErrorCode = ErrorCode.BAD_USER_INPUT


def negotiate_media_type(header: str | None) -> str | None:
    """Returns the media type of the response; None if none is acceptable.

    JSON wins over events: clients accept events, too, because a request may need them.
    """
    if header is None or not header.strip():
        return JSON
    return (
        _match_media_type(header)
        if len(header) < _MAX_CACHED_CHARACTERS
        else _match_media_type.__wrapped__(header)
    )


@lru_cache(maxsize=1000)
def _match_media_type(header: str) -> str | None:
    # Of equal matches the last wins: the newer type only if the header names it.
    media_types = [JSON, GRAPHQL_JSON] if GRAPHQL_JSON in header.lower() else [GRAPHQL_JSON, JSON]
    try:
        return best_match(media_types, header) or best_match([EVENTS], header) or None
    except MimeTypeParseException:
        return None


def check_content_type(header: str | None) -> RequestRejection | None:
    """Returns the rejection of an unsupported Content-Type; None if it is supported."""
    content_type = header or ""
    return (
        _check_content_type(content_type)
        if len(content_type) < _MAX_CACHED_CHARACTERS
        else _check_content_type.__wrapped__(content_type)
    )


@lru_cache(maxsize=1000)
def _check_content_type(header: str) -> RequestRejection | None:
    try:
        kind, subtype, parameters = parse_mime_type(header)
    except MimeTypeParseException:
        kind, subtype, parameters = "", "", {}
    charset = parameters.get("charset", "utf-8").strip('"').lower()
    if f"{kind}/{subtype}".lower() == JSON and charset in _CHARSETS:
        return None
    problem = (
        f"Unsupported Content-Type {header[:100]!a}" if header else "The Content-Type is missing"
    )
    return RequestRejection(415, f"{problem}: send the request as {JSON} in UTF-8.")


def parse_body(body: bytes) -> GraphQLRequest | RequestRejection:
    """Parses the JSON body of a POST request."""
    try:
        return _build_request(decode_json(body.decode().removeprefix(_BYTE_ORDER_MARK)))
    except UnicodeDecodeError:
        return RequestRejection(400, "The request body is not valid UTF-8.")
    except UnreadableJsonError as error:
        return RequestRejection(400, f"The request body {error}.")


def parse_query_parameters(pairs: Iterable[tuple[str, str]]) -> GraphQLRequest | RequestRejection:
    """Parses the query parameters of a GET request. `variables` and `extensions` are JSON."""
    parameters: dict[str, Any] = {}
    for name, value in pairs:
        if name not in _PARAMETERS:
            continue
        if name in parameters:
            return RequestRejection(400, f"The query parameter {name} occurs more than once.")
        try:
            # Clients send `variables=` for no variables.
            is_json = value and name in ("variables", "extensions")
            parameters[name] = decode_json(value) if is_json else value or None
        except UnreadableJsonError as error:
            return RequestRejection(400, f"The query parameter {name} {error}.")
    return _build_request(parameters)


def _build_request(body: Any) -> GraphQLRequest | RequestRejection:
    if not isinstance(body, dict):
        return RequestRejection(
            400, "The request must be a JSON object with `query`; batches are not supported."
        )
    query, name = body.get("query"), body.get("operationName")
    variables, extensions = body.get("variables"), body.get("extensions")
    if name is not None and not isinstance(name, str):
        return RequestRejection(400, "`operationName` must be a string or null.")
    for parameter, value in (("variables", variables), ("extensions", extensions)):
        if value is not None and not isinstance(value, dict):
            return RequestRejection(400, f"`{parameter}` must be an object or null.")
    if query is None and extensions is not None and "persistedQuery" in extensions:
        # Apollo's link sends the whole query if it gets this message.
        unsupported = ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED
        return RequestRejection(200, "PersistedQueryNotSupported", unsupported)
    if not isinstance(query, str) or not query:
        return RequestRejection(400, "`query` must be a string with the GraphQL document.")
    return GraphQLRequest(query, name or None, variables, extensions)
