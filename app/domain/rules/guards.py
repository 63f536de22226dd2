"""Guard rules, and which of them an event violates.

An event violates a rule unless its expression is true. An expression that cannot be evaluated, or
that no longer compiles, counts as violated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

from app.domain.events.state import EventState
from app.domain.rules.expression_messages import TypeFields, have_same_type
from app.domain.rules.expressions import EvaluationContext, Expression, compile_expression
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode


class GuardRuleState(Enum):
    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    RETIRED = "RETIRED"


class GuardEnforcement(Enum):
    REJECT = "REJECT"
    WARN = "WARN"


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
    result = []
    context = EvaluationContext(event, old, now)
    for guard in guards:
        expression = compile_expression(guard.expression, guard.type_fields, limits)
        if isinstance(expression, Expression):
            if _lacks_fields(expression, version_fields) or not expression.field_names.isdisjoint(
                invalid_fields
            ):
                continue
            if context.evaluate(expression) is True:
                continue
        result.append(_to_violation(guard, expression))
    return result


def _to_violation(guard: Guard, expression: object) -> Violation:
    names_fields = isinstance(expression, Expression) and expression.field_names
    return Violation(
        UserErrorCode.GUARD_REJECTED,
        guard.message,
        ("fields",) if names_fields else (),
        rule_id=guard.id,
        version=guard.version,
        enforcement=guard.enforcement,
    )


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
