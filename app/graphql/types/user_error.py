"""User errors: what a mutation returns as data if its input is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from app.domain.access.caller import Permission
from app.domain.event_types.lifecycle import EventTypeState, TransitionProblem
from app.domain.rules.duplicates import DuplicateProblem
from app.domain.rules.expression_problems import ExpressionProblem
from app.domain.rules.guards import Violation
from app.domain.shared.problems import Problem, UserErrorCode, bad_user_input
from app.graphql.shared import enums  # noqa: F401 (they are described before a type has them)
from app.graphql.shared.context import Info
from app.graphql.types.loaders import get_loaders

if TYPE_CHECKING:
    from app.graphql.types.duplication_rule import DuplicationRule
    from app.graphql.types.event import Event
    from app.graphql.types.guard_rule import GuardRule


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
    ) -> Annotated[GuardRule, strawberry.lazy("app.graphql.types.guard_rule")]:
        guard_rule = await get_loaders(info).guard_rules.load(self.rule_id)
        if guard_rule is None:
            raise bad_user_input("The guard rule was deleted meanwhile.")
        return guard_rule


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
    ) -> Annotated[DuplicationRule, strawberry.lazy("app.graphql.types.duplication_rule")] | None:
        if self.rule_id is None:
            return None
        return await get_loaders(info).duplication_rules.load(self.rule_id)

    @strawberry.field(description="The event that was there. Null without EVENT_READ.")
    async def existing(
        self, info: Info
    ) -> Annotated[Event, strawberry.lazy("app.graphql.types.event")] | None:
        if self.existing_id is None or not info.context.caller.has_any_permission(
            {Permission.EVENT_READ}
        ):
            return None
        return await get_loaders(info).events.load(self.existing_id)


def to_user_errors(problems: Sequence[Problem], *argument_path: str) -> list[UserError]:
    """Converts problems to user errors and prepends the path of the argument to their paths."""
    return [_to_user_error(problem.prepend_path(*argument_path)) for problem in problems]


def _to_user_error(problem: Problem) -> UserError:
    attributes: Any = {"message": problem.message, "code": problem.code, "path": list(problem.path)}
    if isinstance(problem, TransitionProblem):
        return TransitionError(**attributes, from_=problem.state, allowed=list(problem.allowed))
    if isinstance(problem, Violation):
        return GuardViolation(**attributes, version=problem.version, rule_id=problem.rule_id)
    if isinstance(problem, ExpressionProblem):
        return ExpressionError(**attributes, line=problem.line, column=problem.column)
    if isinstance(problem, DuplicateProblem):
        return DuplicateError(
            **attributes, rule_id=problem.rule_id, existing_id=problem.existing_id
        )
    return InputError(**attributes)
