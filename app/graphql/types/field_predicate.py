"""A test on one custom field, as filters and conditions are given it."""

from __future__ import annotations

import strawberry
from strawberry.scalars import JSON

from app.domain.events import predicates
from app.domain.events.predicates import PredicateOperator, predicate_problems
from app.domain.shared.limits import Limits
from app.domain.shared.problems import bad_input, invalid
from app.domain.shared.values import json_problems, text_problems


@strawberry.input(
    description="A test on one custom field: on what an event has under that name in `fields`, be "
    "its type registered or free-form. Fields beyond the first 1,000 of an event, and elements "
    "beyond the first 100 of a list, are not looked at."
)
class FieldPredicate:
    field: str = strawberry.field(description="The field's name.")
    operator: PredicateOperator = strawberry.field(description="How its value is tested.")
    value: JSON | None = strawberry.field(
        default=None,
        description="What it is tested with: a number, a text, true or false; a list of them for "
        'IN; nothing for EXISTS and NOT_EXISTS. A number is no text: `150` is not `"150"`.',
    )

    def to_domain(self) -> predicates.FieldPredicate:
        value = tuple(self.value) if isinstance(self.value, list) else self.value
        return predicates.FieldPredicate(self.field, self.operator, value)

    def checked(self, limits: Limits, *place: str) -> predicates.FieldPredicate:
        """RequestError BAD_USER_INPUT, with the path, for what no event can be asked."""
        predicate = self.to_domain()
        problems = text_problems(self.field, limits.name, "field")
        if isinstance(self.value, list) and len(self.value) > limits.filter_values:
            many = f"There are {len(self.value):,} values; at most {limits.filter_values}."
            problems.append(invalid(many, "value"))
        # What cannot be kept cannot be compared either.
        problems = problems or json_problems(self.value, limits, "value")
        for problem in problems or predicate_problems(predicate):
            raise bad_input(problem.message, *place, *problem.path)
        return predicate
