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
    index_fields,
    predicate_holds,
    to_comparable,
    validate_predicate,
)
from app.domain.shared.problems import invalid_input
from app.domain.shared.values import is_blank
from tests.domain.strategies import FINITE_NUMBERS, STORABLE_JSON, STORABLE_TEXT

Op = PredicateOperator
ABSENT = object()


def holds(predicate: FieldPredicate, fields: dict[str, Any]) -> bool:
    return predicate_holds(predicate, index_fields(fields))


NOON = "2026-04-10T12:00:00Z"
NUMBER, TEXT, TRUTH, LIST, OBJECT = 150, "wear", True, ["a", 1, True], {"a": 1}

# (Operator, operand): the values of the field for which it is true. It is false for all others in
# VALUES.
VALUES = (NUMBER, TEXT, NOON, TRUTH, LIST, OBJECT, None, ABSENT)
HOLDING: list[tuple[PredicateOperator, Any, tuple[Any, ...]]] = [
    (Op.EQ, 150, (NUMBER,)),
    (Op.EQ, 150.0, (NUMBER,)),
    (Op.EQ, "150", ()),
    (Op.EQ, 1, (LIST,)),
    (Op.EQ, "wear", (TEXT,)),
    (Op.EQ, "Wear", ()),
    (Op.EQ, "2026-04-10T14:00:00+02:00", (NOON,)),
    (Op.EQ, "2026-04-10T12:00:00.0000001Z", (NOON,)),
    (Op.EQ, "2026-04-10T12:00:00", ()),
    (Op.EQ, True, (TRUTH, LIST)),
    (Op.EQ, False, ()),
    (Op.EQ, "true", ()),
    (Op.EQ, "a", (LIST,)),
    (Op.NE, 150, (TEXT, NOON, TRUTH, LIST, OBJECT)),
    (Op.NE, "150", (NUMBER, TEXT, NOON, TRUTH, LIST, OBJECT)),
    (Op.NE, "wear", (NUMBER, NOON, TRUTH, LIST, OBJECT)),
    (Op.NE, "2026-04-10T14:00:00+02:00", (NUMBER, TEXT, TRUTH, LIST, OBJECT)),
    (Op.NE, 1, (NUMBER, TEXT, NOON, TRUTH, OBJECT)),
    (Op.NE, True, (NUMBER, TEXT, NOON, OBJECT)),
    (Op.GT, 149.999, (NUMBER,)),
    (Op.GT, 150, ()),
    (Op.GTE, 150, (NUMBER,)),
    (Op.LT, 150.001, (NUMBER, LIST)),
    (Op.LT, 150, (LIST,)),
    (Op.LTE, 150, (NUMBER, LIST)),
    (Op.LTE, -1, ()),
    (Op.GT, "w", (TEXT,)),
    (Op.GT, "", (TEXT, NOON, LIST)),
    (Op.GT, "Z", (TEXT, LIST)),
    (Op.LT, "wear", (NOON, LIST)),
    (Op.GTE, "wear", (TEXT,)),
    (Op.LT, "é", (TEXT, NOON, LIST)),
    (Op.GT, "2026-04-10T13:59:59.999999+02:00", (TEXT, NOON, LIST)),
    (Op.LTE, "2026-04-10T14:00:00+02:00", (NOON,)),
    (Op.LT, "2026-04-10T14:00:00+02:00", ()),
    (Op.GT, "2026-04-10", (TEXT, NOON, LIST)),
    (Op.GT, True, ()),
    (Op.IN, (), ()),
    (Op.IN, (150, "wear"), (NUMBER, TEXT)),
    (Op.IN, ("150", 1, False), (LIST,)),
    (Op.IN, ("2026-04-10T14:00:00+02:00", True), (NOON, TRUTH, LIST)),
    (Op.IN, ("a",), (LIST,)),
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

    held = [each for each in VALUES if holds(predicate, _fields_with(each))]

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


PATHS: list[tuple[dict[str, Any], str, list[Any]]] = [
    ({"a": {"b": 1}}, "a.b", [1]),
    ({"a.b": 1}, "a.b", [1]),
    ({"a.b": 1, "a": {"b": "x"}}, "a.b", [1, "x"]),
    ({"a": {"b.c": 1, "b": {"c": 2}}, "a.b": {"c": 3}}, "a.b.c", [1, 2, 3]),
    ({"a": [{"b": 1}, {"b": True}, {"c": 1}, 5]}, "a.b", [1, True]),
    ({"a": [{"b": [1, 2]}, {"b": [3]}]}, "a.b", [1, 2, 3]),
    ({"": {"": 1}, "a": {"": 2}}, ".", [1]),
    ({"a": {"": 2}}, "a.", [2]),
    ({"a": {"b": None}}, "a.b", []),
    ({"a": {"b": []}}, "a.b", []),
    ({"a": [[{"b": 1}]]}, "a.b", [1]),
    ({"a": [1, [2, [[3], []]], None]}, "a", [1, 2, 3]),
    ({"a": {"b": 1}}, "b", []),
    ({"a": {"b": 1}}, "a", []),
]


@pytest.mark.parametrize(("fields", "path", "values"), PATHS)
def test_a_path_finds_exactly_these_values(
    fields: dict[str, Any], path: str, values: list[Any]
) -> None:
    for operator in (Op.EQ, Op.IN):
        found = [
            value
            for value in (1, 2, 3, "x", True, 5)
            if holds(
                FieldPredicate(path, operator, value if operator is Op.EQ else (value,)), fields
            )
        ]
        assert found == values


def test_objects_and_lists_exist_and_empty_lists_do_not() -> None:
    fields: dict[str, Any] = {"a": {"b": {}, "c": [{}], "d": [], "e": None}}

    existing = [path for path in ("a", "a.b", "a.c", "a.d", "a.e", "a.c.x") if exists(path, fields)]

    assert existing == ["a", "a.b", "a.c"]


def exists(path: str, fields: dict[str, Any]) -> bool:
    exists = holds(FieldPredicate(path, Op.EXISTS), fields)
    assert holds(FieldPredicate(path, Op.NOT_EXISTS), fields) is not exists
    return exists


def test_a_part_of_a_nested_text_is_found_and_a_part_of_an_element_is_not() -> None:
    fields: dict[str, Any] = {"commits": [{"message": "fix it"}, {"files": ["main.py"]}]}

    assert holds(FieldPredicate("commits.message", Op.CONTAINS, "fix"), fields)
    assert holds(FieldPredicate("commits.files", Op.CONTAINS, "main.py"), fields)
    assert not holds(FieldPredicate("commits.files", Op.CONTAINS, "main"), fields)


def test_only_the_first_100_elements_of_a_list_are_compared() -> None:
    fields = {"list": [*range(100), "beyond"], "objects": [*({"n": n} for n in range(101))]}

    assert holds(FieldPredicate("list", Op.CONTAINS, 99), fields)
    assert not holds(FieldPredicate("list", Op.CONTAINS, "beyond"), fields)
    assert holds(FieldPredicate("objects.n", Op.EQ, 99), fields)
    assert not holds(FieldPredicate("objects.n", Op.EQ, 100), fields)
    # Repeated elements and those that are not scalars count towards the 100.
    assert not holds(
        FieldPredicate("list", Op.CONTAINS, "beyond"), {"list": [None] * 100 + ["beyond"]}
    )


def test_only_the_first_1_000_names_in_order_are_indexed() -> None:
    fields: dict[str, Any] = {f"{n:04}": n for n in reversed(range(1_001))}

    assert holds(FieldPredicate("0999", Op.EQ, 999), fields)
    assert holds(FieldPredicate("1000", Op.NOT_EXISTS), fields)
    assert not holds(FieldPredicate("1000", Op.EQ, 1000), fields)
    assert set(index_fields(fields).values) == set(fields) - {"1000"}
    assert not index_fields(fields).is_complete


def test_names_with_fewer_levels_are_indexed_first() -> None:
    inner = {f"{n:04}": {"x": n} for n in reversed(range(1_001))}
    fields = {"a": inner, "z": {"y": 1}}

    index = index_fields(fields)

    assert not index.is_complete
    assert {*index.values} == {"a", "z", *(f"a.{n:04}" for n in range(998))}
    assert holds(FieldPredicate("z.y", Op.NOT_EXISTS), fields)


def test_nulls_and_long_names_do_not_count_towards_the_1_000() -> None:
    fields: dict[str, Any] = {f"{n:04}": n for n in range(1_000)}
    fields |= {f"-{n}": None for n in range(100)} | {"+" * 256: {"a": 1}}
    fields |= {f"+{n}": [] for n in range(100)}

    assert len(index_fields(fields).values) == 1_000
    assert index_fields(fields).is_complete
    assert holds(FieldPredicate("0999", Op.EQ, 999), fields)


def test_paths_of_up_to_255_characters_are_indexed() -> None:
    fields = {"x" * 255: 1, "x" * 256: 1, "y": {"x" * 253: 1, "x" * 254: 1}}

    assert exists("x" * 255, fields)
    assert not exists("x" * 256, fields)
    assert exists("y." + "x" * 253, fields)
    assert not exists("y." + "x" * 254, fields)


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
            holds(FieldPredicate(name, operator, value), fields)
            for operator, value in ((Op.EQ, operand), (Op.NE, operand), (Op.NOT_EXISTS, None))
        ]
        assert held[:2].count(True) == (fields.get(name) not in (None, []))
        assert held[2] == (fields.get(name) is None or is_blank(fields[name]))


@given(FINITE_NUMBERS | STORABLE_TEXT, FINITE_NUMBERS | STORABLE_TEXT)
def test_comparable_values_are_less_equal_or_greater(value: Any, operand: Any) -> None:
    fields = {"a": value}
    less, equal, greater, most, least = (
        holds(FieldPredicate("a", operator, operand), fields)
        for operator in (Op.LT, Op.EQ, Op.GT, Op.LTE, Op.GTE)
    )

    assert less + equal + greater == (isinstance(value, str) is isinstance(operand, str))
    assert (most, least) == (less or equal, greater or equal)


@given(SCALARS, st.lists(SCALARS, max_size=4))
def test_in_is_true_if_the_value_equals_an_element(value: Any, operand: list[Any]) -> None:
    fields = {"a": value}

    within = holds(FieldPredicate("a", Op.IN, tuple(operand)), fields)

    assert within is any(holds(FieldPredicate("a", Op.EQ, each), fields) for each in operand)


@given(st.lists(SCALARS, max_size=4), SCALARS)
def test_a_list_contains_each_of_its_elements(value: list[Any], operand: Any) -> None:
    contained = holds(FieldPredicate("a", Op.CONTAINS, operand), {"a": value})

    equal = FieldPredicate("a", Op.EQ, operand)
    assert contained is any(holds(equal, {"a": each}) for each in value)


@given(SCALARS | st.lists(STORABLE_JSON, min_size=1, max_size=4))
def test_a_predicate_does_not_depend_on_other_fields(value: Any) -> None:
    crowd: dict[str, Any] = {f"z{n}": n for n in range(1_000)}
    alone = index_fields({"a": value}).values.get("a")

    assert index_fields({"a": value} | crowd).values.get("a") == alone
    assert set(index_fields({"a": None, "b": []} | crowd).values) == set(crowd)


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
