"""Errors as values.

A `Problem` is an error or a warning about an input (userErrors and warnings of a mutation). A
`RequestError` ends the request, or the part of it that raised it (GraphQL errors).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum

# Message of every unexpected error. The response has a reference, too, that is in the server logs.
INTERNAL_ERROR = "Internal server error. Include the reference when you report this error."


class UserErrorCode(Enum):
    INVALID_INPUT = "INVALID_INPUT"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    IN_USE = "IN_USE"
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    FIELD_REQUIRED = "FIELD_REQUIRED"
    FIELD_UNKNOWN = "FIELD_UNKNOWN"
    FIELD_HIDDEN = "FIELD_HIDDEN"
    FIELD_INVALID = "FIELD_INVALID"
    GUARD_REJECTED = "GUARD_REJECTED"
    DUPLICATE = "DUPLICATE"
    EVENT_TYPE_CLOSED = "EVENT_TYPE_CLOSED"
    EXPRESSION_INVALID = "EXPRESSION_INVALID"
    CYCLE = "CYCLE"
    LIMIT_REACHED = "LIMIT_REACHED"


@dataclass(frozen=True)
class Problem:
    code: UserErrorCode
    message: str
    path: tuple[str, ...] = ()

    def prepend_path(self, *prefix: str) -> Problem:
        """Returns a copy whose path starts with `prefix`."""
        return replace(self, path=(*prefix, *self.path))


def invalid_input(message: str, *path: str) -> Problem:
    return Problem(UserErrorCode.INVALID_INPUT, message, path)


class ErrorCode(StrEnum):
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    INVALID_CURSOR = "INVALID_CURSOR"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    PERSISTED_QUERY_NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
    CURSOR_EXPIRED = "CURSOR_EXPIRED"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"


class RequestError(Exception):
    """Ends a request, with a message that its sender may read and the argument it is about.

    `retry_after`: in how many seconds it may be worth another try.
    """

    def __init__(
        self, code: ErrorCode, message: str, *path: str, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path
        self.retry_after = retry_after


def bad_user_input(message: str, *path: str) -> RequestError:
    return RequestError(ErrorCode.BAD_USER_INPUT, message, *path)
