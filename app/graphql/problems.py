"""Errors as clients see them: as data in a mutation's payload, else with a code and a path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid4

import strawberry
import structlog
from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError

from app.domain.access import Permission
from app.domain.duplicates import DuplicateProblem
from app.domain.expression_problems import ExpressionProblem
from app.domain.guards import Violation
from app.domain.lifecycle import EventTypeState, TransitionProblem
from app.domain.problems import ErrorCode, Problem, RequestError, UserErrorCode, bad_input
from app.graphql import enums  # noqa: F401 (they are described before a type has them)
from app.graphql.context import Info
from app.store.dialect import why_unavailable

if TYPE_CHECKING:
    from app.graphql.duplication_rules import DuplicationRule
    from app.graphql.events import Event
    from app.graphql.guard_rules import GuardRule

log = structlog.get_logger(__name__)


@strawberry.interface(
    description="Something wrong with a mutation's input, told as data. Where `userErrors` is "
    "not empty, nothing was stored."
)
class UserError:
    message: str = strawberry.field(description="What is wrong, for people.")
    code: UserErrorCode = strawberry.field(description="What is wrong, for programs.")
    path: list[str] = strawberry.field(
        description="Where in the arguments: `['input', 'fields', 'volume_mcf']`. "
        "Items of a list are counted from 0."
    )


@strawberry.type(description="An error that needs no more words than every error has.")
class InputError(UserError):
    pass


@strawberry.type(description="The lifecycle does not lead there from here.")
class TransitionError(UserError):
    from_: EventTypeState = strawberry.field(name="from", description="Where the event type is.")
    allowed: list[EventTypeState] = strawberry.field(description="Where it may go.")


@strawberry.type(
    description="A guard rule did not hold, or could not be evaluated. In `warnings` where it only "
    "warns."
)
class GuardViolation(UserError):  # noqa: N818 (no exception: an error as data)
    version: int = strawberry.field(description="The version of the rule that judged.")
    rule_id: strawberry.Private[UUID]

    @strawberry.field(description="The rule.")
    async def rule(
        self, info: Info
    ) -> Annotated[GuardRule, strawberry.lazy("app.graphql.guard_rules")]:
        found = await info.context.loaders.guard_rules.load(self.rule_id)
        if found is None:
            raise bad_input("The guard rule was deleted meanwhile.")
        return found


@strawberry.type(description="An expression does not parse, or does not fit the event type.")
class ExpressionError(UserError):
    line: int = strawberry.field(description="From 1.")
    column: int = strawberry.field(description="From 1, in characters.")


@strawberry.type(description="A duplication rule with REJECT found the event that was there.")
class DuplicateError(UserError):
    rule_id: strawberry.Private[UUID | None]
    existing_id: strawberry.Private[UUID | None]

    @strawberry.field(description="The rule that found it.")
    async def rule(
        self, info: Info
    ) -> Annotated[DuplicationRule, strawberry.lazy("app.graphql.duplication_rules")] | None:
        if self.rule_id is None:
            return None
        return await info.context.loaders.duplication_rules.load(self.rule_id)

    @strawberry.field(description="The event that was there. Null without EVENT_READ.")
    async def existing(
        self, info: Info
    ) -> Annotated[Event, strawberry.lazy("app.graphql.events")] | None:
        if self.existing_id is None or not info.context.caller.may({Permission.EVENT_READ}):
            return None
        return await info.context.loaders.events.load(self.existing_id)


def user_errors(problems: Sequence[Problem], *place: str) -> list[UserError]:
    """The problems with the argument they are about in front of their paths."""
    return [_user_error(problem.under(*place)) for problem in problems]


def _user_error(problem: Problem) -> UserError:
    told: Any = {"message": problem.message, "code": problem.code, "path": list(problem.path)}
    if isinstance(problem, TransitionProblem):
        return TransitionError(**told, from_=problem.state, allowed=list(problem.allowed))
    if isinstance(problem, Violation):
        return GuardViolation(**told, version=problem.version, rule_id=problem.rule_id)
    if isinstance(problem, ExpressionProblem):
        return ExpressionError(**told, line=problem.line, column=problem.column)
    if isinstance(problem, DuplicateProblem):
        return DuplicateError(**told, rule_id=problem.rule_id, existing_id=problem.existing_id)
    return InputError(**told)


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
    if error.message.startswith("Syntax Error"):
        return ErrorCode.GRAPHQL_PARSE_FAILED
    # A variable that does not fit its type has the reason as its cause.
    if error.path or error.original_error or error.message.startswith(_ONE_OF):
        return ErrorCode.BAD_USER_INPUT
    return ErrorCode.GRAPHQL_VALIDATION_FAILED


def _extend(error: GraphQLError, code: ErrorCode, **more: object) -> None:
    said = {key: value for key, value in more.items() if value is not None}
    error.extensions = {**(error.extensions or {}), "code": code.value, **said}
