"""A predicate on one custom field, in filters and conditions."""

from __future__ import annotations

import strawberry
from strawberry.scalars import JSON

from app.domain.events import predicates
from app.domain.events.predicates import (
    PredicateOperator,
    validate_field_path,
    validate_predicate,
)
from app.domain.shared.limits import Limits
from app.domain.shared.problems import bad_user_input, invalid_input
from app.domain.shared.values import validate_json
from app.graphql.shared.examples import with_example


@strawberry.input(
    description=with_example(
        "A predicate on one custom field, in a filter or in the condition of a conditional rule. "
        "A filter applies the predicate to all events, including free-form events. It finds the "
        "first 1,000 names in the fields of an event: those with the fewest levels, and of these "
        "the first in alphabetical order; and the first 100 elements of a list.",
        """
        { field: "volume_mcf", operator: GTE, value: 100 }
        """,
    )
)
class FieldPredicate:
    field: str = strawberry.field(
        description="Name of the field: its key in `Event.fields`. In filters, also the path of a "
        "nested value: `labels.host` is the key `labels.host`, and the key `host` of the object "
        "`labels` or of the objects in the list `labels`. 1 to 255 characters by default."
    )
    operator: PredicateOperator = strawberry.field(description="Comparison operator.")
    value: JSON | None = strawberry.field(
        default=None,
        description="Value to compare with: a string, number or boolean; for IN, a list of these. "
        "Must be omitted for EXISTS and NOT_EXISTS. Values of different JSON types are never "
        'equal: `150` is not `"150"`.',
    )

    def to_domain(self) -> predicates.FieldPredicate:
        value = tuple(self.value) if isinstance(self.value, list) else self.value
        return predicates.FieldPredicate(self.field, self.operator, value)

    def to_validated_domain(self, limits: Limits, *path: str) -> predicates.FieldPredicate:
        """Converts the predicate. Raises RequestError BAD_USER_INPUT with its path if invalid."""
        predicate = self.to_domain()
        problems = validate_field_path(self.field, limits, "field")
        if isinstance(self.value, list) and len(self.value) > limits.filter_values:
            size, max_size = len(self.value), limits.filter_values
            message = f"The list has {size:,} values; at most {max_size:,} are allowed."
            problems.append(invalid_input(message, "value"))
        # PostgreSQL rejects values that it cannot store even in a comparison.
        problems = problems or validate_json(self.value, limits, "value")
        for problem in problems or validate_predicate(predicate):
            raise bad_user_input(problem.message, *path, *problem.path)
        return predicate
