"""A predicate on one custom field, in filters and conditions."""

from __future__ import annotations

import strawberry
from strawberry.scalars import JSON

from app.domain.events import predicates
from app.domain.events.predicates import PredicateOperator, validate_predicate
from app.domain.shared.limits import Limits
from app.domain.shared.problems import bad_user_input, invalid_input
from app.domain.shared.values import validate_json, validate_text


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

    def to_validated_domain(self, limits: Limits, *path: str) -> predicates.FieldPredicate:
        """Converts the predicate. Raises RequestError BAD_USER_INPUT with its path if invalid."""
        predicate = self.to_domain()
        problems = validate_text(self.field, limits.name_characters, "field")
        if isinstance(self.value, list) and len(self.value) > limits.filter_values:
            message = f"There are {len(self.value):,} values; at most {limits.filter_values}."
            problems.append(invalid_input(message, "value"))
        # A value that cannot be stored cannot be compared either.
        problems = problems or validate_json(self.value, limits, "value")
        for problem in problems or validate_predicate(predicate):
            raise bad_user_input(problem.message, *path, *problem.path)
        return predicate
