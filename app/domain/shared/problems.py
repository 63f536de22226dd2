"""What can be wrong, as values.

A `Problem` is an answer about an input (a mutation's userErrors and warnings). A
`RequestError` ends the request or the part of it that raised it (GraphQL's errors).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum


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

    def under(self, *place: str) -> Problem:
        """The same problem, told from further out."""
        return replace(self, path=(*place, *self.path))


def invalid(message: str, *path: str) -> Problem:
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


def bad_input(message: str, *path: str) -> RequestError:
    return RequestError(ErrorCode.BAD_USER_INPUT, message, *path)
