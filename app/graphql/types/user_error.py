"""User errors: errors and warnings about the input of a mutation, returned as data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry
from graphql import GraphQLObjectType, GraphQLSchema, get_named_type

from app.domain.access.caller import Permission
from app.domain.event_types.lifecycle import EventTypeState, TransitionProblem
from app.domain.rules.duplicates import DuplicateProblem
from app.domain.rules.expression_problems import ExpressionProblem
from app.domain.rules.guards import GuardViolationReason, Violation
from app.domain.shared.problems import Problem, UserErrorCode, bad_user_input
from app.graphql.shared import enums  # noqa: F401 (describes the enums before they are used)
from app.graphql.shared.context import Info
from app.graphql.shared.field_sources import ComputedField, declare_source, get_python_type
from app.graphql.shared.nodes import InvalidArgumentsError
from app.graphql.types.loaders import get_loaders
from app.store import tables

if TYPE_CHECKING:
    from app.graphql.types.duplication_rule import DuplicationRule
    from app.graphql.types.event import Event
    from app.graphql.types.guard_rule import GuardRule


@strawberry.interface(
    description="An error in the input of a mutation, or a warning about the input, returned as "
    "data. If a mutation returns an error, nothing was changed, except that a mutation of several "
    "events may have changed the events without an error."
)
class UserError:
    message: str = strawberry.field(
        description="Message for the user: what is wrong and how to fix it."
    )
    code: UserErrorCode = strawberry.field(
        description="Machine-readable code of the error or warning."
    )
    path: list[str] = strawberry.field(
        description='Path to the invalid value in the arguments, such as `["input", "fields", '
        '"volume_mcf"]`. List indexes start at 0. Empty if no single argument is the cause.'
    )


@strawberry.type(description="An error or warning without additional fields.")
class InputError(UserError):
    pass


@strawberry.type(
    description="Error with the code `ILLEGAL_TRANSITION`: the event type cannot change from its "
    "current state to the requested one."
)
class TransitionError(UserError):
    from_: EventTypeState = strawberry.field(
        name="from", description="Current state of the event type."
    )
    allowed: list[EventTypeState] = strawberry.field(
        description="States that `transitionEventType` can change the event type to."
    )


@strawberry.type(
    description="Error or warning with the code `GUARD_REJECTED`: the event does not pass a guard "
    "rule, for the `reason` given. With the enforcement mode REJECT, it is an error; "
    "with WARN, it is a warning."
)
class GuardViolation(UserError):  # noqa: N818 (a GraphQL type, not an exception)
    version: int = strawberry.field(
        description="Number of the version of the guard rule that the event does not pass."
    )
    reason: GuardViolationReason = strawberry.field(
        description="Why the event does not pass the rule. If the rule could not be evaluated, "
        "`message` is not the message of the rule, but says why, and names what is absent."
    )
    rule_id: strawberry.Private[UUID]

    @strawberry.field(
        description="The guard rule that the event does not pass.",
        metadata=declare_source(ComputedField()),
    )
    async def rule(
        self, info: Info
    ) -> Annotated[GuardRule, strawberry.lazy("app.graphql.types.guard_rule")]:
        key = tables.GuardRule, self.rule_id
        guard_rule: GuardRule | None = await get_loaders(info).rules.load(key)
        if guard_rule is None:
            raise bad_user_input(
                "The guard rule was deleted during the request. Repeat the request."
            )
        return guard_rule


@strawberry.type(
    description="Error with the code `EXPRESSION_INVALID`: a CEL expression has a syntax error, "
    "does not match the fields of the event type, has a constant that can never be evaluated, such "
    "as `duration('1d')`, or compares an attribute or a field with a string that is none of its "
    "values."
)
class ExpressionError(UserError):
    line: int = strawberry.field(description="Line of the error in the expression, starting at 1.")
    column: int = strawberry.field(
        description="Column of the error within the line, in characters, starting at 1."
    )


@strawberry.type(
    description="Error with the code `DUPLICATE`: a duplication rule with the action REJECT found "
    "an earlier event that the rejected event duplicates."
)
class DuplicateError(UserError):
    rule_id: strawberry.Private[UUID | None]
    existing_id: strawberry.Private[UUID | None]

    @strawberry.field(
        description="Duplication rule that found the original event. Null if the rule has since "
        "been deleted.",
        metadata=declare_source(ComputedField()),
    )
    async def rule(
        self, info: Info
    ) -> Annotated[DuplicationRule, strawberry.lazy("app.graphql.types.duplication_rule")] | None:
        if self.rule_id is None:
            return None
        key = tables.DuplicationRule, self.rule_id
        rule: DuplicationRule | None = await get_loaders(info).rules.load(key)
        return rule

    @strawberry.field(
        description="Original event. Null if the caller lacks EVENT_READ or the event has since "
        "been deleted.",
        metadata=declare_source(ComputedField()),
    )
    async def existing(
        self, info: Info
    ) -> Annotated[Event, strawberry.lazy("app.graphql.types.event")] | None:
        if self.existing_id is None or not info.context.caller.has_any_permission(
            {Permission.EVENT_READ}
        ):
            return None
        return await get_loaders(info).events.load(self.existing_id)


def return_argument_problems(schema: GraphQLSchema) -> None:
    """Makes mutations return the problems of an InvalidArgumentsError in `userErrors`."""
    if schema.mutation_type is not None:
        for field in schema.mutation_type.fields.values():
            if field.resolve is None:
                raise TypeError(f"a mutation without a resolver returns {field.type}")
            field.resolve = catch_argument_problems(field.resolve, get_named_type(field.type))


def catch_argument_problems(
    resolver: Callable[..., Any], payload_type: GraphQLObjectType
) -> Callable[..., Awaitable[Any]]:
    """Makes the resolver of a mutation return the problems of an InvalidArgumentsError."""
    create_payload = get_python_type(payload_type)

    async def resolve(parent: Any, info: Any, /, **arguments: Any) -> Any:
        try:
            return await resolver(parent, info, **arguments)
        except InvalidArgumentsError as error:
            return create_payload(user_errors=to_user_errors(error.problems))

    return resolve


def to_user_errors(problems: Sequence[Problem], *argument_path: str) -> list[UserError]:
    """Converts problems to user errors and prepends the path of the argument to their paths."""
    return [_to_user_error(problem.prepend_path(*argument_path)) for problem in problems]


def _to_user_error(problem: Problem) -> UserError:
    attributes: Any = {"message": problem.message, "code": problem.code, "path": list(problem.path)}
    if isinstance(problem, TransitionProblem):
        return TransitionError(**attributes, from_=problem.state, allowed=list(problem.allowed))
    if isinstance(problem, Violation):
        return GuardViolation(
            **attributes,
            version=problem.version,
            reason=problem.reason,
            rule_id=problem.rule_id,
        )
    if isinstance(problem, ExpressionProblem):
        return ExpressionError(**attributes, line=problem.line, column=problem.column)
    if isinstance(problem, DuplicateProblem):
        return DuplicateError(
            **attributes, rule_id=problem.rule_id, existing_id=problem.existing_id
        )
    return InputError(**attributes)
