"""Error codes of the GraphQL errors in responses."""

from __future__ import annotations

import re
import sys
from uuid import uuid4

import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError

from app.domain.shared.problems import INTERNAL_ERROR, ErrorCode, RequestError
from app.graphql.shared import enums  # noqa: F401 (describes the enums before they are used)
from app.store.engine.database_errors import unavailable_message

log = structlog.get_logger(__name__)


OPERATION_NOT_FOUND = (
    "operationName must be the name of an operation of the document. It can be omitted only if "
    "the document has exactly one operation."
)
# Prefix of Python's error message for an integer literal with too many digits.
_DIGIT_LIMIT_MESSAGE = "Exceeds the limit ("


def create_bad_request_error(message: str) -> GraphQLError:
    """Creates a BAD_USER_INPUT error about a request as a whole."""
    return GraphQLError(message, extensions={"code": ErrorCode.BAD_USER_INPUT.value})


def assign_error_code(error: GraphQLError) -> None:
    """Sets the error code of an error and removes internal details from it, in place.

    Unexpected errors are logged with a reference that the response contains.
    """
    error.message = _NAME_SUGGESTION.sub("", error.message)
    error.message = _NOT_NONE.sub("not to be null.", error.message)
    cause = error.original_error
    if isinstance(cause, RequestError):
        error.message = cause.message
        path, retry_after = list(cause.path) or None, cause.retry_after
        _set_extensions(error, cause.code, path=path, retryAfterSeconds=retry_after)
    elif isinstance(cause, MissingQueryError | CannotGetOperationTypeError):
        if isinstance(cause, CannotGetOperationTypeError):
            error.message = OPERATION_NOT_FOUND
        _set_extensions(error, ErrorCode.BAD_USER_INPUT)
    elif cause is not None and (reason := unavailable_message(cause)) is not None:
        log.warning("database_unavailable", cause=str(cause))
        error.message = reason
        _set_extensions(error, ErrorCode.UNAVAILABLE)
    elif isinstance(cause, ValueError) and str(cause).startswith(_DIGIT_LIMIT_MESSAGE):
        error.message = (
            f"A number has too many digits; the maximum is {sys.get_int_max_str_digits():,}."
        )
        _set_extensions(error, ErrorCode.BAD_USER_INPUT)
    elif cause is not None and not isinstance(cause, GraphQLError):
        reference = uuid4().hex
        log.error("internal_error", reference=reference, path=error.path, exc_info=cause)
        error.message = INTERNAL_ERROR
        _set_extensions(error, ErrorCode.INTERNAL_SERVER_ERROR, reference=reference)
    elif "code" not in (error.extensions or {}):
        _set_extensions(error, _get_error_code(error))


# Some messages of graphql-core suggest names of the schema although suggestions are disabled.
_NAME_SUGGESTION = re.compile(r" Did you mean [^?]*\?")
# Suffix of graphql-core's messages about null, which has Python's name for it.
_NOT_NONE = re.compile(r"not to be None\.\Z")
# graphql-core's messages about `@oneOf` inputs.
_ONE_OF_MESSAGE = re.compile(
    r"(Variable '\$\w+' has the nullable type '[^']+': )?Within OneOf Input Object type "
)


def _get_error_code(error: GraphQLError) -> ErrorCode:
    if isinstance(error, GraphQLSyntaxError):
        return ErrorCode.GRAPHQL_PARSE_FAILED
    # If a variable does not match its type, graphql-core sets the reason as the original error.
    if error.path or error.original_error or _ONE_OF_MESSAGE.match(error.message):
        return ErrorCode.BAD_USER_INPUT
    return ErrorCode.GRAPHQL_VALIDATION_FAILED


def _set_extensions(error: GraphQLError, code: ErrorCode, **extensions: object) -> None:
    present_extensions = {key: value for key, value in extensions.items() if value is not None}
    error.extensions = {**(error.extensions or {}), "code": code.value, **present_extensions}
