"""Guard rules: what each is, and which of them an event violates.

A rule holds when its expression is true; an expression that cannot be evaluated, or no longer
compiles, does not hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

from app.domain.events.state import EventState
from app.domain.rules.expression_scope import Form, same_kind
from app.domain.rules.expressions import Expression, Occasion, compile_expression
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

    `form` is the type's fields as they are now, None for a rule of the whole organization.
    """

    id: UUID
    name: str
    version: int
    expression: str
    message: str
    enforcement: GuardEnforcement = GuardEnforcement.REJECT
    form: Form = None


@dataclass(frozen=True, kw_only=True)
class Violation(Problem):
    """A rule that does not hold: which, and in which version."""

    rule_id: UUID
    version: int
    enforcement: GuardEnforcement


def violations(
    guards: Iterable[Guard],
    event: EventState,
    old: EventState | None,
    now: datetime,
    limits: Limits,
    *,
    own: Form = None,
    unsound: Collection[str] = (),
) -> list[Violation]:
    """Every rule that does not hold for the event. `old` is None when it is logged.

    `own` are the fields of the event's own version: a rule of the type that names another is
    skipped. So is one that names an unsound field: what is wrong with the field is told already.
    """
    found = []
    occasion = Occasion(event, old, now)
    for guard in guards:
        expression = compile_expression(guard.expression, guard.form, limits)
        if isinstance(expression, Expression):
            if _lacking(expression, own) or not expression.fields.isdisjoint(unsound):
                continue
            if occasion.holds(expression) is True:
                continue
        found.append(_violation(guard, expression))
    return found


def _violation(guard: Guard, expression: object) -> Violation:
    names_fields = isinstance(expression, Expression) and expression.fields
    return Violation(
        UserErrorCode.GUARD_REJECTED,
        guard.message,
        ("fields",) if names_fields else (),
        rule_id=guard.id,
        version=guard.version,
        enforcement=guard.enforcement,
    )


def _lacking(expression: Expression, own: Form) -> bool:
    """Whether a rule of the type names what the event's own version has not, or not of its kind."""
    if expression.form is None:
        return False
    there = {field.name: field for field in own or ()}
    return any(
        field.name not in there or not same_kind(field, there[field.name])
        for field in expression.form
        if field.name in expression.fields
    )
