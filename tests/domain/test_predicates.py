"""Predicates on custom fields, and the fields that are indexed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events.predicates import (
    Comparable,
    FieldPredicate,
    PredicateOperator,
    comparable_elements,
    indexed_fields,
    predicate_holds,
    to_comparable,
    validate_predicate,
)
from app.domain.shared.problems import invalid_input
from app.domain.shared.values import is_blank
from tests.domain.strategies import FINITE_NUMBERS, STORABLE_JSON, STORABLE_TEXT

Op = PredicateOperator
ABSENT = object()
NOON = "2026-04-10T12:00:00Z"
NUMBER, TEXT, TRUTH, LIST, OBJECT = 150, "wear", True, ["a", 1, True], {"a": 1}

# (Operator, operand): the values of the field for which it is true. It is false for all others in
# VALUES.
VALUES = (NUMBER, TEXT, NOON, TRUTH, LIST, OBJECT, None, ABSENT)
HOLDING: list[tuple[PredicateOperator, Any, tuple[Any, ...]]] = [
    (Op.EQ, 150, (NUMBER,)),
    (Op.EQ, 150.0, (NUMBER,)),
    (Op.EQ, "150", ()),
    (Op.EQ, 1, ()),
    (Op.EQ, "wear", (TEXT,)),
    (Op.EQ, "Wear", ()),
    (Op.EQ, "2026-04-10T14:00:00+02:00", (NOON,)),
    (Op.EQ, "2026-04-10T12:00:00.0000001Z", (NOON,)),
    (Op.EQ, "2026-04-10T12:00:00", ()),
    (Op.EQ, True, (TRUTH,)),
    (Op.EQ, False, ()),
    (Op.EQ, "true", ()),
    (Op.EQ, "a", ()),
    (Op.NE, 150, (TEXT, NOON, TRUTH, LIST, OBJECT)),
    (Op.NE, "150", (NUMBER, TEXT, NOON, TRUTH, LIST, OBJECT)),
    (Op.NE, "wear", (NUMBER, NOON, TRUTH, LIST, OBJECT)),
    (Op.NE, "2026-04-10T14:00:00+02:00", (NUMBER, TEXT, TRUTH, LIST, OBJECT)),
    (Op.NE, 1, (NUMBER, TEXT, NOON, TRUTH, LIST, OBJECT)),
    (Op.NE, True, (NUMBER, TEXT, NOON, LIST, OBJECT)),
    (Op.GT, 149.999, (NUMBER,)),
    (Op.GT, 150, ()),
    (Op.GTE, 150, (NUMBER,)),
    (Op.LT, 150.001, (NUMBER,)),
    (Op.LT, 150, ()),
    (Op.LTE, 150, (NUMBER,)),
    (Op.LTE, -1, ()),
    (Op.GT, "w", (TEXT,)),
    (Op.GT, "", (TEXT, NOON)),
    (Op.GT, "Z", (TEXT,)),
    (Op.LT, "wear", (NOON,)),
    (Op.GTE, "wear", (TEXT,)),
    (Op.LT, "é", (TEXT, NOON)),
    (Op.GT, "2026-04-10T13:59:59.999999+02:00", (TEXT, NOON)),
    (Op.LTE, "2026-04-10T14:00:00+02:00", (NOON,)),
    (Op.LT, "2026-04-10T14:00:00+02:00", ()),
    (Op.GT, "2026-04-10", (TEXT, NOON)),
    (Op.GT, True, ()),
    (Op.IN, (), ()),
    (Op.IN, (150, "wear"), (NUMBER, TEXT)),
    (Op.IN, ("150", 1, False), ()),
    (Op.IN, ("2026-04-10T14:00:00+02:00", True), (NOON, TRUTH)),
    (Op.IN, ("a",), ()),
    (Op.CONTAINS, "ea", (TEXT,)),
    (Op.CONTAINS, "wear", (TEXT,)),
    (Op.CONTAINS, "", (TEXT, NOON)),
    (Op.CONTAINS, "EA", ()),
    (Op.CONTAINS, "%", ()),
    (Op.CONTAINS, "a", (TEXT, LIST)),
    (Op.CONTAINS, 1.0, (LIST,)),
    (Op.CONTAINS, True, (LIST,)),
    (Op.CONTAINS, False, ()),
    (Op.CONTAINS, 150, ()),
    (Op.CONTAINS, "12:00", (NOON,)),
    (Op.CONTAINS, "x", ()),
    (Op.EXISTS, None, (NUMBER, TEXT, NOON, TRUTH, LIST, OBJECT)),
    (Op.NOT_EXISTS, None, (None, ABSENT)),
]


@pytest.mark.parametrize(("operator", "operand", "values"), HOLDING)
def test_an_operator_is_true_for_exactly_these_values(
    operator: PredicateOperator, operand: Any, values: tuple[Any, ...]
) -> None:
    predicate = FieldPredicate("field", operator, operand)

    held = [each for each in VALUES if predicate_holds(predicate, _fields_with(each))]

    assert held == list(values)


def _fields_with(value: Any) -> dict[str, Any]:
    return {"other": 1} if value is ABSENT else {"field": value, "other": 1}


@pytest.mark.parametrize(
    ("value", "compared"),
    [
        (0, Comparable(number=0.0)),
        (-0.0, Comparable(number=0.0)),
        (2**53 + 1, Comparable(number=2**53 + 1)),
        (2.0**53, Comparable(number=2**53)),
        (False, Comparable(boolean=False)),
        ("", Comparable(text="")),
        ("é", Comparable(text="é")),
        ("2026-04-10T12:00:00Z", Comparable(text="2026-04-10T12:00:00.000000Z")),
        ("2026-04-10t14:00:00.5+02:00", Comparable(text="2026-04-10T12:00:00.500000Z")),
        ("2026-04-10", Comparable(text="2026-04-10")),
        ("0001-01-01T00:00:00Z", Comparable(text="0001-01-01T00:00:00.000000Z")),
        ("0001-01-01T00:00:00+01:00", Comparable(text="0001-01-01T00:00:00+01:00")),
        ("2026-02-30T00:00:00Z", Comparable(text="2026-02-30T00:00:00Z")),
        (None, None),
        ([1], None),
        ({"a": 1}, None),
        ((1,), None),
    ],
)
def test_a_scalar_is_compared_by_its_kind(value: Any, compared: Comparable | None) -> None:
    assert to_comparable(value) == compared


def test_the_elements_of_a_list_are_its_distinct_scalars() -> None:
    assert comparable_elements(["a", 1, 1.0, True, None, ["b"], {"c": 1}, "a", False]) == [
        *(Comparable(text="a"), Comparable(number=1.0), Comparable(boolean=True)),
        Comparable(boolean=False),
    ]
    for other in ("ab", 1, True, None, {"a": 1}, ("a",)):
        assert comparable_elements(other) == []


def test_only_the_first_100_elements_of_a_list_are_compared() -> None:
    fields = {"list": [*range(100), "beyond"]}

    assert predicate_holds(FieldPredicate("list", Op.CONTAINS, 99), fields)
    assert not predicate_holds(FieldPredicate("list", Op.CONTAINS, "beyond"), fields)
    # Repeated elements and those that are not scalars count towards the 100.
    assert comparable_elements([None] * 100 + ["beyond"]) == []


def test_only_the_first_1_000_names_in_order_are_indexed() -> None:
    fields: dict[str, Any] = {f"{n:04}": n for n in reversed(range(1_001))}

    assert predicate_holds(FieldPredicate("0999", Op.EQ, 999), fields)
    assert predicate_holds(FieldPredicate("1000", Op.NOT_EXISTS), fields)
    assert not predicate_holds(FieldPredicate("1000", Op.EQ, 1000), fields)
    assert set(indexed_fields(fields)) == set(fields) - {"1000"}


def test_nulls_and_long_names_do_not_count_towards_the_1_000() -> None:
    fields: dict[str, Any] = {f"{n:04}": n for n in range(1_000)}
    fields |= {f"-{n}": None for n in range(100)} | {"+" * 256: 1}

    assert len(indexed_fields(fields)) == 1_000
    assert predicate_holds(FieldPredicate("0999", Op.EQ, 999), fields)


def test_names_of_up_to_255_characters_are_indexed() -> None:
    fields = {"x" * 255: 1, "x" * 256: 1}

    assert predicate_holds(FieldPredicate("x" * 255, Op.EXISTS), fields)
    assert predicate_holds(FieldPredicate("x" * 256, Op.NOT_EXISTS), fields)


SCALARS = STORABLE_TEXT | FINITE_NUMBERS | st.booleans()
NAMES = st.sampled_from(["a", "b"])
VALUED = (
    SCALARS
    | st.none()
    | st.sampled_from(["", " ", []])
    | st.lists(SCALARS, max_size=2)
    | st.just({"a": 1})
)


@given(st.dictionaries(NAMES, VALUED, max_size=2), SCALARS)
def test_exactly_one_of_equal_unequal_and_absent_is_true(
    fields: dict[str, Any], operand: Any
) -> None:
    for name in ("a", "b"):
        held = [
            predicate_holds(FieldPredicate(name, operator, value), fields)
            for operator, value in ((Op.EQ, operand), (Op.NE, operand), (Op.NOT_EXISTS, None))
        ]
        assert held[:2].count(True) == (fields.get(name) not in (None, []))
        assert held[2] == (fields.get(name) is None or is_blank(fields[name]))


@given(FINITE_NUMBERS | STORABLE_TEXT, FINITE_NUMBERS | STORABLE_TEXT)
def test_comparable_values_are_less_equal_or_greater(value: Any, operand: Any) -> None:
    fields = {"a": value}
    less, equal, greater, most, least = (
        predicate_holds(FieldPredicate("a", operator, operand), fields)
        for operator in (Op.LT, Op.EQ, Op.GT, Op.LTE, Op.GTE)
    )

    assert less + equal + greater == (isinstance(value, str) is isinstance(operand, str))
    assert (most, least) == (less or equal, greater or equal)


@given(SCALARS, st.lists(SCALARS, max_size=4))
def test_in_is_true_if_the_value_equals_an_element(value: Any, operand: list[Any]) -> None:
    fields = {"a": value}

    within = predicate_holds(FieldPredicate("a", Op.IN, tuple(operand)), fields)

    assert within is any(
        predicate_holds(FieldPredicate("a", Op.EQ, each), fields) for each in operand
    )


@given(st.lists(SCALARS, max_size=4), SCALARS)
def test_a_list_contains_each_of_its_elements(value: list[Any], operand: Any) -> None:
    contained = predicate_holds(FieldPredicate("a", Op.CONTAINS, operand), {"a": value})

    equal = FieldPredicate("a", Op.EQ, operand)
    assert contained is any(predicate_holds(equal, {"a": each}) for each in value)


@given(SCALARS | st.lists(STORABLE_JSON, min_size=1, max_size=4))
def test_a_predicate_does_not_depend_on_other_fields(value: Any) -> None:
    crowd: dict[str, Any] = {f"z{n}": n for n in range(1_000)}

    assert indexed_fields({"a": value} | crowd)["a"] == value
    assert indexed_fields({"a": None, "b": []} | crowd) == crowd


SOUND: list[tuple[PredicateOperator, Any]] = [
    *((each, value) for each in (Op.EQ, Op.NE, Op.CONTAINS) for value in (0, 1.5, "", NOON, False)),
    *((each, value) for each in (Op.GT, Op.GTE, Op.LT, Op.LTE) for value in (0, -1.5, "", NOON)),
    *((Op.IN, value) for value in ((), (1,), ("a", 1, True))),
    *((Op.EXISTS, None), (Op.NOT_EXISTS, None)),
]
A_SCALAR = "requires a string, a number or a boolean."
AN_ORDER = "requires a number, or a string such as a date or time."
NO_SCALARS: tuple[Any, ...] = (None, (), (1,), {})
NO_BOUNDS: tuple[Any, ...] = (None, True, False, (1,), {})
NO_LISTS: tuple[Any, ...] = (None, 1, "ab", {}, (None,), (1, (2,)), ({},))
VALUES_AT_ALL: tuple[Any, ...] = (0, "", False, (), {})
UNSOUND: list[tuple[PredicateOperator, Any, str]] = [
    *((each, value, A_SCALAR) for each in (Op.EQ, Op.NE, Op.CONTAINS) for value in NO_SCALARS),
    *((each, value, AN_ORDER) for each in (Op.GT, Op.GTE, Op.LT, Op.LTE) for value in NO_BOUNDS),
    *((Op.IN, value, "requires a list of strings, numbers or booleans.") for value in NO_LISTS),
    *(
        (each, value, "does not accept a value. Omit the value.")
        for each in (Op.EXISTS, Op.NOT_EXISTS)
        for value in VALUES_AT_ALL
    ),
]


@pytest.mark.parametrize(("operator", "value"), SOUND)
def test_an_operator_accepts_a_value(operator: PredicateOperator, value: Any) -> None:
    assert validate_predicate(FieldPredicate("a", operator, value)) == []


@pytest.mark.parametrize(("operator", "value", "expected_message"), UNSOUND)
def test_an_operator_rejects_a_value(
    operator: PredicateOperator, value: Any, expected_message: str
) -> None:
    problems = validate_predicate(FieldPredicate("a", operator, value))

    hint = " To select events without the field, use NOT_EXISTS." if value is None else ""
    message = f"Operator {operator.value} {expected_message}{hint}"
    assert problems == [invalid_input(message, "value")]
