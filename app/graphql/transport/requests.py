"""A GraphQL request as HTTP carries it: read from a body or an address, or refused. Nothing waits.

By the draft "GraphQL over HTTP", sections 4 to 6.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mimeparse import MimeTypeParseException, best_match, parse_mime_type

from app.domain.shared.json_texts import STRICT
from app.domain.shared.problems import ErrorCode
from app.graphql.transport.messages import Subscribe

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EVENTS = "text/event-stream"
_CHARSETS = ("utf-8", "utf8")
_USUAL = 300  # characters: a longer header is read anew each time, and takes no memory
_PARAMETERS = ("query", "operationName", "variables", "extensions")


@dataclass(frozen=True)
class Refusal:
    """Why nothing is run: the HTTP status, and what the client is told."""

    status: int
    message: str
    code: ErrorCode = ErrorCode.BAD_USER_INPUT


def accepted(header: str | None) -> str | None:
    """The media type to answer in; None where none is accepted.

    JSON wins over events where both are: clients name events beside it for what they may need.
    """
    if header is None or not header.strip():
        return JSON
    return _accepted(header) if len(header) < _USUAL else _accepted.__wrapped__(header)


@lru_cache(maxsize=1000)
def _accepted(header: str) -> str | None:
    # Of equal ones the last wins: the newer type where it is named, not where anything will do.
    answers = [JSON, GRAPHQL_JSON] if GRAPHQL_JSON in header.lower() else [GRAPHQL_JSON, JSON]
    try:
        return best_match(answers, header) or best_match([EVENTS], header) or None
    except MimeTypeParseException:
        return None


def wrong_content(header: str | None) -> Refusal | None:
    """What is wrong with a body of this Content-Type, if anything is."""
    given = header or ""
    return _wrong_content(given) if len(given) < _USUAL else _wrong_content.__wrapped__(given)


@lru_cache(maxsize=1000)
def _wrong_content(header: str) -> Refusal | None:
    try:
        kind, subtype, parameters = parse_mime_type(header)
    except MimeTypeParseException:
        kind, subtype, parameters = "", "", {}
    charset = parameters.get("charset", "utf-8").strip('"').lower()
    if f"{kind}/{subtype}".lower() == JSON and charset in _CHARSETS:
        return None
    told = f"Send the request as {JSON} in UTF-8, not as {(header or 'nothing')[:100]!a}."
    return Refusal(415, told)


def read_body(body: bytes) -> Subscribe | Refusal:
    """The request in the JSON of a POST."""
    try:
        return _request(_json(body.decode()))
    except UnicodeDecodeError:
        return Refusal(400, "The body is not UTF-8.")
    except _UnreadableError as error:
        return Refusal(400, f"The body {error}.")


def read_address(pairs: Iterable[tuple[str, str]]) -> Subscribe | Refusal:
    """The request in the parameters of a GET: `variables` and `extensions` are JSON."""
    said: dict[str, Any] = {}
    for name, value in pairs:
        if name not in _PARAMETERS:
            continue
        if name in said:
            return Refusal(400, f"The parameter {name} is there more than once.")
        try:
            said[name] = _json(value) if name in ("variables", "extensions") else value
        except _UnreadableError as error:
            return Refusal(400, f"The parameter {name} {error}.")
    return _request(said)


class _UnreadableError(Exception):
    """Says what is wrong with a JSON text."""


def _json(text: str) -> Any:
    try:
        return STRICT.decode(text)
    except RecursionError:
        raise _UnreadableError("is nested too deeply to be read") from None
    except ValueError as error:
        raise _UnreadableError(f"is not JSON: {error}") from None


def _request(said: Any) -> Subscribe | Refusal:
    if not isinstance(said, dict):
        return Refusal(400, "A request is a JSON object with `query`; lists of them are not taken.")
    query, name = said.get("query"), said.get("operationName")
    variables, extensions = said.get("variables"), said.get("extensions")
    if name is not None and not isinstance(name, str):
        return Refusal(400, "`operationName` is a string or null.")
    for parameter, value in (("variables", variables), ("extensions", extensions)):
        if value is not None and not isinstance(value, dict):
            return Refusal(400, f"`{parameter}` is an object or null.")
    if query is None and extensions is not None and "persistedQuery" in extensions:
        # By these words Apollo's link knows that it should send the whole query.
        unsupported = ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED
        return Refusal(200, "PersistedQueryNotSupported", unsupported)
    if not isinstance(query, str) or not query:
        return Refusal(400, "`query` is a string with the document.")
    return Subscribe("", query, name, variables, extensions)
