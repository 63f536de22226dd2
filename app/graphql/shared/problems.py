"""Errors as clients see them: as data in a mutation's payload, else with a code and a path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError

from app.domain.shared.problems import ErrorCode, RequestError
from app.graphql.shared import enums  # noqa: F401 (they are described before a type has them)
from app.store.engine.dialect import why_unavailable

if TYPE_CHECKING:
    pass

log = structlog.get_logger(__name__)


# Python's words for a literal whose value would take it too long to find out.
_TOO_MANY_DIGITS = "Exceeds the limit ("


def bad_request(message: str) -> GraphQLError:
    """What is wrong with a request as a whole."""
    return GraphQLError(message, extensions={"code": ErrorCode.BAD_USER_INPUT.value})


def tell(error: GraphQLError) -> None:
    """Gives an error its code and takes from it what is nobody's business, in place.

    The unexpected is logged under an id that the answer carries.
    """
    error.message = _SUGGESTION.sub("", error.message)
    cause = error.original_error
    if isinstance(cause, RequestError):
        error.message = cause.message
        path, after = list(cause.path) or None, cause.retry_after
        _extend(error, cause.code, argument=path, retryAfterSeconds=after)
    elif isinstance(cause, MissingQueryError | CannotGetOperationTypeError):
        _extend(error, ErrorCode.BAD_USER_INPUT)
    elif cause is not None and (why := why_unavailable(cause)) is not None:
        log.warning("database_unavailable", cause=str(cause))
        error.message = why
        _extend(error, ErrorCode.UNAVAILABLE)
    elif isinstance(cause, ValueError) and str(cause).startswith(_TOO_MANY_DIGITS):
        error.message = "A number has more digits than can be read."
        _extend(error, ErrorCode.BAD_USER_INPUT)
    elif cause is not None and not isinstance(cause, GraphQLError):
        reference = uuid4().hex
        log.error("unexpected", reference=reference, path=error.path, exc_info=cause)
        error.message = "Something went wrong in the server."
        _extend(error, ErrorCode.INTERNAL_SERVER_ERROR, reference=reference)
    elif "code" not in (error.extensions or {}):
        _extend(error, _code_of(error))


# Where graphql-core is not asked to leave it out: names are not for strangers to be guessed.
_SUGGESTION = re.compile(r" Did you mean [^?]*\?")
# Strawberry's words for an input of which one member is wanted.
_ONE_OF = ("OneOf Input Object", "Value for member field")


def _code_of(error: GraphQLError) -> ErrorCode:
    if isinstance(error, GraphQLSyntaxError):
        return ErrorCode.GRAPHQL_PARSE_FAILED
    # A variable that does not fit its type has the reason as its cause.
    if error.path or error.original_error or error.message.startswith(_ONE_OF):
        return ErrorCode.BAD_USER_INPUT
    return ErrorCode.GRAPHQL_VALIDATION_FAILED


def _extend(error: GraphQLError, code: ErrorCode, **more: object) -> None:
    said = {key: value for key, value in more.items() if value is not None}
    error.extensions = {**(error.extensions or {}), "code": code.value, **said}
