"""Errors as values.

A `Problem` is an error or a warning about an input (`userErrors` and `warnings` of a mutation). A
`RequestError` fails the request, or the field whose resolver raised it (`errors` of the response).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum

# Message of every unexpected error. The response has a reference, too, that is in the server logs.
INTERNAL_ERROR = (
    "Internal server error. Report the reference of this error to the operator of the server."
)


class UserErrorCode(Enum):
    """Codes of problems. `app.graphql.shared.enums` describes them for clients."""

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
    SEVERITY_UNKNOWN = "SEVERITY_UNKNOWN"


@dataclass(frozen=True)
class Problem:
    """A problem of an input. `path` leads to the argument or to a part of it."""

    code: UserErrorCode
    message: str
    path: tuple[str, ...] = ()

    def prepend_path(self, *prefix: str) -> Problem:
        """Returns a copy whose path starts with `prefix`."""
        return replace(self, path=(*prefix, *self.path))


def invalid_input(message: str, *path: str) -> Problem:
    return Problem(UserErrorCode.INVALID_INPUT, message, path)


class ErrorCode(StrEnum):
    """Codes of request errors, as `extensions.code`."""

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


# When the error occurs, and what the client should do. Part of the schema's description.
ERROR_CODE_DESCRIPTIONS = {
    ErrorCode.UNAUTHENTICATED: "The request has no credential, or the credential is invalid, "
    "revoked or expired. Send a valid API key or access token.",
    ErrorCode.FORBIDDEN: "The credential lacks the required permission or has no access to the "
    "organization. Use a credential that has both.",
    ErrorCode.BAD_USER_INPUT: "An argument, a variable or the request itself is invalid. Fix the "
    "request. If an argument is invalid, `extensions.path` is the path to the invalid value, as in "
    "`UserError.path`.",
    ErrorCode.GRAPHQL_PARSE_FAILED: "The document has a GraphQL syntax error. Fix the syntax.",
    ErrorCode.GRAPHQL_VALIDATION_FAILED: "The document is not valid against the schema. Fix the "
    "document. If a literal is invalid, `extensions.path` is its path in the arguments.",
    ErrorCode.INVALID_CURSOR: "The cursor is damaged, or belongs to a different list, order or "
    "organization. Start again without a cursor.",
    ErrorCode.CURSOR_EXPIRED: "The change log no longer has the entries after the cursor. Load "
    "the list again, and then subscribe with its new cursor.",
    ErrorCode.LIMIT_EXCEEDED: "The request exceeds a limit: the document is too large, the "
    "operation costs too much or took too long, the credential has reached its rate limit or its "
    "maximum number of connections, or there were too many failed authentication attempts from "
    "the client's address. If `extensions.retryAfterSeconds` is present, retry after that number "
    "of seconds; otherwise, request less. A mutation that took too long may have been executed: "
    "see the message.",
    ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED: "The request has the hash of a persisted query "
    "instead of a document. Send the document.",
    ErrorCode.UNAVAILABLE: "The database is unavailable, the public keys for access tokens cannot "
    "be loaded, or a subscription was interrupted. Retry later; a subscription resumes after its "
    "last cursor.",
    ErrorCode.INTERNAL_SERVER_ERROR: "An unexpected error occurred in the server. Report "
    "`extensions.reference` to the operator of the server, who can find the error in the server "
    "logs.",
}


class RequestError(Exception):
    """Fails a request, with a message for the client and the path of the argument.

    `retry_after`: number of seconds after which a retry may succeed.
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


def not_found(noun: str, missing: object, *path: str) -> Problem:
    """Returns the problem of an ID that does not exist."""
    return Problem(UserErrorCode.NOT_FOUND, f"There is no {noun} {missing}.", path)
