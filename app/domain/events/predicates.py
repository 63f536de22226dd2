"""Predicates on one custom field, for filters.

A list matches if any of its elements does; the elements of a list in a list are also its elements.
If the field is absent, every predicate is false except NOT_EXISTS; NE is false, too. Null and an
empty list are absent. A blank string is a value, but does not exist for EXISTS.

Numbers are compared with numbers, booleans with booleans, strings with strings by code point, and
strings that are instants by time. Values of different JSON types are unequal and have no order.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Any, NamedTuple

from app.domain.shared.exact_decimals import ExactDecimal, to_integer
from app.domain.shared.limits import Limits
from app.domain.shared.messages import format_subject
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import format_instant, is_blank, parse_instant, validate_text


class PredicateOperator(Enum):
    EQ = "EQ"
    NE = "NE"
    GT = "GT"
    GTE = "GTE"
    LT = "LT"
    LTE = "LTE"
    IN = "IN"
    CONTAINS = "CONTAINS"
    EXISTS = "EXISTS"
    NOT_EXISTS = "NOT_EXISTS"


@dataclass(frozen=True)
class FieldPredicate:
    """A predicate on a field.

    `value` is a JSON scalar; a tuple of scalars for IN; None for EXISTS and NOT_EXISTS.
    """

    field: str
    operator: PredicateOperator
    value: Any = None


ORDERING_OPERATORS: dict[PredicateOperator, Callable[[Any, Any], Any]] = {
    PredicateOperator.GT: operator.gt,
    PredicateOperator.GTE: operator.ge,
    PredicateOperator.LT: operator.lt,
    PredicateOperator.LTE: operator.le,
}

# The index contains at most this many paths of an event and elements of a list. Longer paths are
# not indexed.
MAX_INDEXED_FIELDS = 1_000
MAX_INDEXED_ELEMENTS = 100
MAX_INDEXED_NAME_LENGTH = 255


class Comparable(NamedTuple):
    """A JSON scalar in comparable form: exactly one of the attributes is not None.

    Python compares integers and floats exactly, whatever their size.
    """

    number: int | float | None = None
    text: str | None = None
    boolean: bool | None = None


def to_comparable(value: Any) -> Comparable | None:
    """Returns the comparable form of a scalar. None for a list, an object or null."""
    if isinstance(value, str):
        instant = parse_instant(value)
        return Comparable(None, value if instant is None else format_instant(instant))
    if isinstance(value, bool):
        return Comparable(boolean=value)
    if isinstance(value, ExactDecimal):
        return Comparable(to_integer(value))
    if isinstance(value, int | float):
        return Comparable(value)
    return None


@dataclass
class IndexedValues:
    """The values that a path finds in the fields of an event. Dicts are ordered sets.

    `scalars`: those that are the value of a key; None stands for a list or an object. `elements`:
    those that are elements of a list. `is_single`: there is one value, and the path to it does not
    lead through a list.
    """

    is_single: bool = True
    scalars: dict[Comparable | None, None] = field(default_factory=dict)
    elements: dict[Comparable, None] = field(default_factory=dict)

    def list_numbered(self) -> list[tuple[int, Comparable | None]]:
        """Returns each value with its ordinal in the table `event_value`."""
        first = 0 if self.is_single else 1
        scalars = [(-number, scalar) for number, scalar in enumerate(self.scalars, first)]
        return [*scalars, *enumerate(self.elements, start=1)]

    @property
    def exist(self) -> bool:
        """Whether any value is not blank."""
        return any(
            scalar is None or scalar.text is None or not is_blank(scalar.text)
            for scalar in self.scalars
        )

    def equals(self, value: Comparable | None) -> bool:
        return value is not None and (value in self.scalars or value in self.elements)

    def contains(self, value: Comparable | None) -> bool:
        """Whether a string contains the value, or a list has it as an element."""
        if value is None:
            return False
        return value in self.elements or (
            value.text is not None
            and any(
                scalar is not None and scalar.text is not None and value.text in scalar.text
                for scalar in self.scalars
            )
        )


@dataclass(frozen=True)
class FieldIndex:
    """The values that filters find, by path. `is_complete`: whether all paths are included."""

    values: dict[str, IndexedValues]
    is_complete: bool


def index_fields(fields: Mapping[str, Any]) -> FieldIndex:
    """Finds the values of each path: a key, or keys of nested objects with dots between them.

    A path leads through lists into each element. Null and an empty list count as absent. Of more
    paths than the limit, the index contains those with the fewest keys; of these, the first by
    name.
    """
    values: dict[str, IndexedValues] = {}
    is_complete = True
    level = [(path, value, False) for path, value in fields.items()]
    while level:
        level = [
            each
            for each in level
            if each[1] is not None and each[1] != [] and len(each[0]) <= MAX_INDEXED_NAME_LENGTH
        ]
        paths = {path for path, _, _ in level if path not in values}
        room = MAX_INDEXED_FIELDS - len(values)
        if len(paths) > room:
            is_complete = False
            paths = set(sorted(paths)[:room])
        values |= {path: IndexedValues() for path in paths}
        next_level: list[tuple[str, Any, bool]] = []
        for path, value, is_in_list in level:
            if (found := values.get(path)) is None:
                continue
            found.is_single = not (is_in_list or found.scalars)
            comparable = to_comparable(value)
            found.scalars[comparable] = None
            if comparable is not None:
                continue
            if isinstance(value, dict):
                next_level += _members(path, value, is_in_list=is_in_list)
            elif isinstance(value, list):
                for element in islice(_elements(value), MAX_INDEXED_ELEMENTS):
                    if isinstance(element, dict):
                        next_level += _members(path, element, is_in_list=True)
                    elif (comparable := to_comparable(element)) is not None:
                        found.elements[comparable] = None
        level = next_level
    return FieldIndex(values, is_complete)


def predicate_holds(predicate: FieldPredicate, index: FieldIndex) -> bool:
    """Whether the predicate holds for the fields of an event."""
    values = index.values.get(predicate.field)
    if values is None:
        return predicate.operator is PredicateOperator.NOT_EXISTS
    match predicate.operator:
        case PredicateOperator.EXISTS:
            return values.exist
        case PredicateOperator.NOT_EXISTS:
            return not values.exist
        case PredicateOperator.EQ:
            return values.equals(to_comparable(predicate.value))
        case PredicateOperator.NE:
            return not values.equals(to_comparable(predicate.value))
        case PredicateOperator.IN:
            return any(map(values.equals, map(to_comparable, predicate.value)))
        case PredicateOperator.CONTAINS:
            return values.contains(to_comparable(predicate.value))
        case ordering:
            bound = to_comparable(predicate.value)
            return any(
                _compare(ordering, value, bound) for value in (*values.scalars, *values.elements)
            )


def validate_field_path(field_path: str, limits: Limits, *path: str) -> list[Problem]:
    """Validates the name of a field, or the path of a nested value."""
    if not field_path:
        return [invalid_input(f"{format_subject(path)} must not be empty.", *path)]
    return validate_text(field_path, limits.name_characters, *path)


def validate_predicate(predicate: FieldPredicate) -> list[Problem]:
    """Validates that the value suits the operator, independently of the kind of the field."""
    name, value = predicate.operator.value, predicate.value
    match predicate.operator:
        case PredicateOperator.EXISTS | PredicateOperator.NOT_EXISTS:
            error = (
                None
                if value is None
                else f"Operator {name} does not accept a value. Omit the value."
            )
        case PredicateOperator.IN:
            is_list = isinstance(value, tuple)
            error = f"Operator {name} requires a list of strings, numbers or booleans."
            if is_list and all(map(to_comparable, value)):
                error = None
        case ordering if ordering in ORDERING_OPERATORS:
            bound = to_comparable(value)
            error = f"Operator {name} requires a number, or a string such as a date or time."
            if bound is not None and bound.boolean is None:
                error = None
        case _:
            error = (
                None
                if to_comparable(value)
                else f"Operator {name} requires a string, a number or a boolean."
            )
    if error is not None and value is None:
        error += " To select events without the field, use NOT_EXISTS."
    return [] if error is None else [invalid_input(error, "value")]


def _elements(value: list[Any]) -> Iterator[Any]:
    """The elements of a list. Lists in it are read like the list itself."""
    for element in value:
        if isinstance(element, list):
            yield from _elements(element)
        else:
            yield element


def _members(
    path: str, value: Mapping[str, Any], *, is_in_list: bool
) -> Iterable[tuple[str, Any, bool]]:
    return ((f"{path}.{name}", member, is_in_list) for name, member in value.items())


def _compare(
    ordering: PredicateOperator, actual: Comparable | None, bound: Comparable | None
) -> bool:
    if actual is None or bound is None:
        return False
    for left, right in ((actual.number, bound.number), (actual.text, bound.text)):
        if left is not None and right is not None:
            return bool(ORDERING_OPERATORS[ordering](left, right))
    return False
