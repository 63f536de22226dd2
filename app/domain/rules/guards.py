"""Guard rules, and which of them an event violates.

An event does not pass a rule if the expression of the rule is false, cannot be evaluated, or no
longer compiles.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from uuid import UUID

from app.domain.events.state import EventState
from app.domain.rules.expression_messages import TypeFields, have_same_type
from app.domain.rules.expression_problems import strip_status_code
from app.domain.rules.expressions import EvaluationContext, Expression, compile_expression
from app.domain.shared.limits import Limits
from app.domain.shared.messages import join_names, quote_value
from app.domain.shared.problems import Problem, UserErrorCode


class GuardRuleState(Enum):
    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    RETIRED = "RETIRED"


class GuardEnforcement(Enum):
    REJECT = "REJECT"
    WARN = "WARN"


class GuardViolationReason(Enum):
    """Why an event does not pass a guard rule."""

    VIOLATED = "VIOLATED"
    NOT_EVALUABLE = "NOT_EVALUABLE"


@dataclass(frozen=True)
class Guard:
    """A published version of a guard rule.

    `type_fields` are the current fields of the event type; None for an organization-wide rule.
    """

    id: UUID
    name: str
    version: int
    expression: str
    message: str
    enforcement: GuardEnforcement = GuardEnforcement.REJECT
    type_fields: TypeFields = None


@dataclass(frozen=True, kw_only=True)
class Violation(Problem):
    """A violated guard rule and its version."""

    rule_id: UUID
    version: int
    enforcement: GuardEnforcement
    reason: GuardViolationReason = GuardViolationReason.VIOLATED


def find_violations(
    guards: Iterable[Guard],
    event: EventState,
    old: EventState | None,
    now: datetime,
    limits: Limits,
    *,
    version_fields: TypeFields = None,
    invalid_fields: Collection[str] = (),
) -> list[Violation]:
    """Returns the violations of an event. `old` is None when the event is logged.

    `version_fields` are the fields of the event type version of the event. Rules of the event type
    that use other fields are skipped. So are rules that use `invalid_fields`, because the problems
    of those fields are reported already.
    """
    violations = []
    context = EvaluationContext(event, old, now)
    for guard in guards:
        expression = compile_expression(guard.expression, guard.type_fields, limits)
        if not isinstance(expression, Expression):
            error = f"{expression[0].message} Change or retire the rule."
            violations.append(_create_failure(guard, error, ()))
            continue
        if _lacks_fields(expression, version_fields) or not expression.field_names.isdisjoint(
            invalid_fields
        ):
            continue
        path = ("fields",) if expression.field_names else ()
        match context.evaluate(expression):
            case False:
                violations.append(_create_violation(guard, guard.message, path))
            case str(error):
                absent = context.find_absent(expression, error)
                violations.append(_create_failure(guard, _describe_error(error, absent), path))
    return violations


@dataclass(frozen=True)
class TrialFailure:
    """Why an event does not pass an expression that is tried."""

    reason: GuardViolationReason
    message: str


def find_trial_failure(
    expression: Expression, event: EventState, now: datetime, version_fields: TypeFields
) -> TrialFailure | None:
    """Returns why the event would not pass if it were logged now. None if it would.

    `version_fields` are those of `find_violations`.
    """
    if _lacks_fields(expression, version_fields):
        return None
    context = EvaluationContext(event, None, now)
    match context.evaluate(expression):
        case False:
            values = context.describe_values(expression)
            message = (
                f"The expression is false: {join_names(values)}." if values else _FALSE_MESSAGE
            )
            return TrialFailure(GuardViolationReason.VIOLATED, message)
        case str(error):
            message = _describe_error(error, context.find_absent(expression, error))
            return TrialFailure(GuardViolationReason.NOT_EVALUABLE, message)
    return None


_FALSE_MESSAGE = "The expression is false, and does not depend on the event."


def _create_violation(guard: Guard, message: str, path: tuple[str, ...]) -> Violation:
    return Violation(
        UserErrorCode.GUARD_REJECTED,
        message,
        path,
        rule_id=guard.id,
        version=guard.version,
        enforcement=guard.enforcement,
    )


def _create_failure(guard: Guard, error: str, path: tuple[str, ...]) -> Violation:
    message = f"The guard rule {quote_value(guard.name)} cannot be evaluated: {error}"
    violation = _create_violation(guard, message, path)
    return replace(violation, reason=GuardViolationReason.NOT_EVALUABLE)


def _describe_error(error: str, absent: Sequence[str]) -> str:
    """Describes an evaluation error to the author of the event. `absent`: what the event lacks."""
    if "old" in absent:
        return "old is null, because the event is new. Let the rule begin with old == null ||."
    if absent:
        verb, pronoun = ("is", "it") if len(absent) == 1 else ("are", "them")
        is_in_event = any(name.startswith("event") for name in absent)
        remedy = f"Add {pronoun} to the event, or let" if is_in_event else "Let"
        names = join_names(absent)
        return f"{names} {verb} absent. {remedy} the rule test {pronoun} with has() first."
    return f"{strip_status_code(error)}. Change the event or the rule."


def _lacks_fields(expression: Expression, version_fields: TypeFields) -> bool:
    """Whether the rule uses fields that the version lacks, or has with another type."""
    if expression.type_fields is None:
        return False
    fields_by_name = {field.name: field for field in version_fields or ()}
    return any(
        field.name not in fields_by_name or not have_same_type(field, fields_by_name[field.name])
        for field in expression.type_fields
        if field.name in expression.field_names
    )
