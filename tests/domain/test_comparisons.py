"""Predicates of conditional rules for each kind of field, evaluated here and in the schema."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.event_types.comparisons import (
    build_value_schema,
    supported_operators,
    validate_field_predicate,
    value_satisfies,
)
from app.domain.event_types.fields import MAX_SAFE_INTEGER, FieldKind
from app.domain.events.predicates import (
    ORDERING_OPERATORS,
    FieldPredicate,
    PredicateOperator,
    index_fields,
    predicate_holds,
)
from app.domain.shared.limits import Limits
from app.domain.shared.problems import invalid_input
from tests.domain.examples import codes_and_paths, make_field
from tests.domain.strategies import STORABLE_JSON, STORABLE_TEXT

OPTIONS = ("Maintenance", "Failure")
EQUALITY, PRESENCE = ("EQ", "NE", "IN"), ("EXISTS", "NOT_EXISTS")
ORDER = ("GT", "GTE", "LT", "LTE")
OPERATORS: dict[str, set[str]] = {
    "TEXT": {*EQUALITY, "CONTAINS", *PRESENCE},
    "LONG_TEXT": {*EQUALITY, "CONTAINS", *PRESENCE},
    "URL": {*EQUALITY, "CONTAINS", *PRESENCE},
    "EMAIL": {*EQUALITY, "CONTAINS", *PRESENCE},
    "NUMBER": {*EQUALITY, *ORDER, *PRESENCE},
    "INTEGER": {*EQUALITY, *ORDER, *PRESENCE},
    "DATE": {*EQUALITY, *ORDER, *PRESENCE},
    "DATETIME": {*ORDER, *PRESENCE},
    "BOOLEAN": {*EQUALITY, *PRESENCE},
    "SELECT": {*EQUALITY, *PRESENCE},
    "MULTI_SELECT": {"CONTAINS", *PRESENCE},
}
# Kind, operator, operand: values for which the predicate is true, and values for which it is false.
MEANING: list[tuple[str, str, Any, list[Any], list[Any]]] = [
    ("TEXT", "EQ", "a", ["a"], ["A", "ab", "", None, 1, ["a"]]),
    ("TEXT", "NE", "a", ["A", ""], ["a", None, 1]),
    ("TEXT", "IN", ("a", "b"), ["a", "b"], ["c", None, 1]),
    ("TEXT", "CONTAINS", "a.b", ["a.b", "xa.by"], ["axb", "a", None, ["a.b"]]),
    ("URL", "CONTAINS", "/(b)\n", ["https://a/(b)\n"], ["https://a/b\n"]),
    ("NUMBER", "EQ", 1, [1, 1.0], [True, "1", 2, None]),
    ("NUMBER", "NE", 1, [2, -1, 1.5], [1, 1.0, None, "2", True]),
    ("NUMBER", "IN", (1, 2.5), [1, 2.5], [2, True, None]),
    ("NUMBER", "GT", 1, [1.001, 10**300], [1, 0, None, "2", True]),
    ("NUMBER", "GTE", 1, [1, 2], [0.999, None]),
    ("NUMBER", "LT", 0, [-0.001], [0, -0.0, None, False]),
    ("NUMBER", "LTE", 0, [0, -0.0, -1], [5e-324, None]),
    ("INTEGER", "GT", MAX_SAFE_INTEGER, [2**53, 2**53 + 1], [MAX_SAFE_INTEGER]),
    ("BOOLEAN", "EQ", True, [True], [False, 1, "true", None]),
    ("BOOLEAN", "NE", True, [False], [True, 0, None]),
    ("DATE", "EQ", "2026-04-10", ["2026-04-10"], ["2026-04-11", None]),
    ("DATE", "GT", "2026-04-10", ["2026-04-11", "2027-01-01"], ["2026-04-10", "2025-12-31"]),
    ("DATE", "GTE", "2026-04-10", ["2026-04-10", "2026-10-01"], ["2026-04-09", None, "soon"]),
    ("DATE", "LT", "2026-04-10", ["2026-04-09", "1999-12-31"], ["2026-04-10", "", None, 1]),
    ("DATE", "LTE", "2026-04-10", ["2026-04-10", "0001-01-01"], ["2026-04-11", "2026-04-1"]),
    (
        "DATETIME",
        "GT",
        "2026-04-10T10:30:00Z",
        [
            "2026-04-10T10:30:00.000001Z",
            "2026-04-10T12:30:01+02:00",
            "2026-04-10T10:29:01-00:01",
            "2026-04-09T10:32:00-23:59",
            "9999-12-31T23:59:59Z",
        ],
        [
            "2026-04-10T10:30:00.000Z",
            "2026-04-10T10:30:00.000000999Z",
            "2026-04-10T12:30:00+02:00",
            "2026-04-11T10:29:00+23:59",
            "2026-02-30T10:30:00Z",
            "2027-01-01 00:00:00Z",
            "2027-01-01",
            "",
            None,
            1,
        ],
    ),
    (
        "DATETIME",
        "GTE",
        "2026-04-10T12:30:00.50+02:00",
        ["2026-04-10T10:30:00.5Z", "2026-04-10T05:00:00.500-05:30", "2026-04-10T10:30:00.6Z"],
        ["2026-04-10T10:30:00.499999999Z", "2026-04-10T12:30:00.5+02:01", "soon"],
    ),
    (
        "DATETIME",
        "GTE",
        "2026-04-10T10:30:00.1234567Z",
        ["2026-04-10T10:30:00.123456Z", "2026-04-10T10:30:00.123456999Z"],
        ["2026-04-10T10:30:00.123455999Z", "2026-04-10T10:30:00.12345Z"],
    ),
    (
        "DATETIME",
        "GT",
        "2026-04-10T10:30:00.1234567Z",
        ["2026-04-10T10:30:00.123457Z", "2026-04-10T10:30:00.13Z"],
        ["2026-04-10T10:30:00.123456999Z", "2026-04-10T10:30:00.123456Z"],
    ),
    (
        "DATETIME",
        "LT",
        "2024-03-01T00:00:00Z",
        [
            "2024-02-29T23:59:59.999999999Z",
            "2024-03-01T00:59:59+01:00",
            "0001-01-01T00:00:00+23:59",
        ],
        ["2024-03-01T00:00:00Z", "2024-02-29T23:00:00-01:00", "2023-02-29T00:00:00Z", None],
    ),
    (
        "DATETIME",
        "LTE",
        "0001-01-01T00:00:00Z",
        ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01"],
        ["0001-01-01T00:00:00.1Z", "0001-01-01T00:00:00-00:01", "0000-01-01T00:00:00Z"],
    ),
    ("DATETIME", "EXISTS", None, ["2026-04-10T10:30:00Z"], [None, 1]),
    ("SELECT", "EQ", "Failure", ["Failure"], ["Maintenance", None]),
    ("MULTI_SELECT", "CONTAINS", "Failure", [["Failure"], ["Maintenance", "Failure"]], [[], None]),
    ("MULTI_SELECT", "CONTAINS", "Failure", [], ["Failure", ["Failures"], [["Failure"]]]),
    ("MULTI_SELECT", "EXISTS", None, [["Failure"]], [None, [], "Failure"]),
    ("MULTI_SELECT", "NOT_EXISTS", None, [None, []], [["Failure"]]),
    ("NUMBER", "NOT_EXISTS", None, [None, "1"], [0]),
    (
        "TEXT",
        "EXISTS",
        None,
        ["a", " a", "\u200b"],
        [None, False, "", " \t\n", "\u0085\ufeff"],
    ),
    ("TEXT", "NOT_EXISTS", None, [None, "", " \t\n"], ["a", " a"]),
]
DATES = st.dates().map(str)
VALUES = STORABLE_JSON | DATES | st.lists(st.sampled_from(OPTIONS))


@pytest.mark.parametrize("kind", FieldKind)
def test_each_kind_supports_its_operators(kind: FieldKind) -> None:
    operators = {operator.value for operator in supported_operators(kind)}

    assert operators == OPERATORS[kind.value]


@pytest.mark.parametrize(("kind", "operator", "operand", "holding", "failing"), MEANING)
def test_a_predicate_is_true_only_for_matching_values(
    kind: str, operator: str, operand: Any, holding: list[Any], failing: list[Any]
) -> None:
    predicate = FieldPredicate("f", PredicateOperator(operator), operand)

    answers = [value_satisfies(predicate, FieldKind(kind), value) for value in holding + failing]

    assert answers == [True] * len(holding) + [False] * len(failing)


@pytest.mark.parametrize(("kind", "operator", "operand", "holding", "failing"), MEANING)
def test_the_schema_of_a_predicate_accepts_the_same_values(
    kind: str, operator: str, operand: Any, holding: list[Any], failing: list[Any]
) -> None:
    predicate = FieldPredicate("f", PredicateOperator(operator), operand)

    answers = [_holds_by_schema(predicate, FieldKind(kind), value) for value in holding + failing]

    assert answers == [True] * len(holding) + [False] * len(failing)


@given(st.data())
def test_a_valid_predicate_and_its_schema_agree(data: st.DataObject) -> None:
    field = make_field(name="f", kind=data.draw(st.sampled_from(FieldKind)), options=OPTIONS)
    operator = data.draw(st.sampled_from(sorted(supported_operators(field.kind), key=str)))
    operand = data.draw(_matching_values(field.kind, operator))
    predicate = FieldPredicate("f", operator, operand)
    value = data.draw(VALUES | _matching_values(field.kind, PredicateOperator.EQ))

    assert validate_field_predicate(predicate, field, Limits()) == []
    assert value_satisfies(predicate, field.kind, value) == _holds_by_schema(
        predicate, field.kind, value
    )


INSTANTS = st.builds(
    lambda day, time, fraction, offset: f"{day}T{time}{fraction}{offset}",
    st.dates(),
    st.times().map(lambda time: time.isoformat("seconds")),
    st.sampled_from(["", ".0", ".5", ".50", ".499999999", ".500000001", ".500001", ".5000019"]),
    st.sampled_from(["Z", "+00:00", "-00:00", "+23:59", "-23:59", "+05:45", "-03:30"])
    | st.builds(
        lambda sign, hour, minute: f"{sign}{hour:02}:{minute:02}",
        st.sampled_from("+-"),
        st.integers(0, 23),
        st.integers(0, 59),
    ),
)


@pytest.mark.parametrize("operator", [PredicateOperator(each) for each in ORDER])
@given(bound=INSTANTS, value=INSTANTS, near=INSTANTS)
def test_a_schema_compares_instants_in_order(
    operator: PredicateOperator, bound: str, value: str, near: str
) -> None:
    predicate = FieldPredicate("f", operator, bound)

    # The same date, or the same time with another offset.
    for each in (value, bound, bound[:10] + near[10:], bound[:16] + near[16:]):
        by_schema = _holds_by_schema(predicate, FieldKind.DATETIME, each)
        assert value_satisfies(predicate, FieldKind.DATETIME, each) == by_schema


ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
DATETIMES = st.datetimes(timezones=ZONES).filter(lambda time: 2 < time.year < 9998)


@given(DATETIMES, DATETIMES, st.integers(-3, 3))
def test_instants_are_compared_like_aware_datetimes(
    first: datetime, value: datetime, distance: int
) -> None:
    second = (first + timedelta(minutes=distance)).astimezone(value.tzinfo) if distance else value

    for operator, compare in ORDERING_OPERATORS.items():
        predicate = FieldPredicate("f", operator, first.isoformat())
        holds = value_satisfies(predicate, FieldKind.DATETIME, second.isoformat())
        assert holds == compare(second, first)


@pytest.mark.parametrize("operator", [PredicateOperator(each) for each in ORDER])
@given(bound=INSTANTS, value=INSTANTS, near=INSTANTS)
def test_a_filter_compares_instants_like_a_conditional_rule(
    operator: PredicateOperator, bound: str, value: str, near: str
) -> None:
    predicate = FieldPredicate("f", operator, bound)

    # Instants outside the years 0001 to 9999 in UTC are texts for a filter.
    for each in (value, bound, bound[:10] + near[10:], bound[:16] + near[16:]):
        if all("0001" < text[:4] < "9999" for text in (bound, each)):
            in_filter = predicate_holds(predicate, index_fields({"f": each}))
            assert value_satisfies(predicate, FieldKind.DATETIME, each) == in_filter


@pytest.mark.parametrize("operator", [PredicateOperator(each) for each in ORDER])
@given(bound=DATES, value=DATES)
def test_a_pattern_compares_dates_in_order(
    operator: PredicateOperator, bound: str, value: str
) -> None:
    predicate = FieldPredicate("f", operator, bound)

    for each in (value, bound):
        by_pattern = _holds_by_schema(predicate, FieldKind.DATE, each)
        assert value_satisfies(predicate, FieldKind.DATE, each) == by_pattern


@pytest.mark.parametrize(
    ("kind", "operator", "operand", "path"),
    [
        ("NUMBER", "CONTAINS", 1, ("operator",)),
        ("TEXT", "GT", "a", ("operator",)),
        ("SELECT", "CONTAINS", "Failure", ("operator",)),
        ("MULTI_SELECT", "EQ", "Failure", ("operator",)),
        ("DATETIME", "GT", "2026-04-10", ("value",)),
        ("DATETIME", "GT", "2026-02-30T10:30:00Z", ("value",)),
        ("DATETIME", "GT", 1, ("value",)),
        ("DATETIME", "EQ", "2026-04-10T10:30:00Z", ("operator",)),
        ("BOOLEAN", "LT", True, ("operator",)),
        ("NUMBER", "EQ", None, ("value",)),
        ("NUMBER", "EQ", "1", ("value",)),
        ("NUMBER", "EQ", True, ("value",)),
        ("NUMBER", "EQ", (1,), ("value",)),
        ("NUMBER", "EQ", MAX_SAFE_INTEGER + 1, ("value",)),
        ("NUMBER", "GT", float("inf"), ("value",)),
        ("NUMBER", "LT", float("nan"), ("value",)),
        ("NUMBER", "IN", 1, ("value",)),
        ("NUMBER", "IN", (), ("value",)),
        ("NUMBER", "IN", (1, "2", 3), ("value", "1")),
        ("INTEGER", "EQ", 1.5, ("value",)),
        ("BOOLEAN", "EQ", 1, ("value",)),
        ("DATE", "LT", "2026-02-30", ("value",)),
        ("DATE", "EQ", "10.04.2026", ("value",)),
        ("DATE", "EQ", 20260410, ("value",)),
        ("TEXT", "EQ", 1, ("value",)),
        ("TEXT", "CONTAINS", None, ("value",)),
        ("TEXT", "EQ", "x" * 256, ("value",)),
        ("TEXT", "EQ", "\0", ("value",)),
        ("TEXT", "CONTAINS", "\ud800", ("value",)),
        ("SELECT", "EQ", "Weather", ("value",)),
        ("SELECT", "IN", ("Failure", 1), ("value", "1")),
        ("MULTI_SELECT", "CONTAINS", "Weather", ("value",)),
        ("TEXT", "EXISTS", "a", ("value",)),
        ("TEXT", "NOT_EXISTS", False, ("value",)),
    ],
)
def test_an_operator_or_value_that_does_not_match_the_kind_is_rejected(
    kind: str, operator: str, operand: Any, path: tuple[str, ...]
) -> None:
    options = OPTIONS if "SELECT" in kind else None
    field = make_field(name="f", kind=FieldKind(kind), options=options)

    problems = validate_field_predicate(
        FieldPredicate("f", PredicateOperator(operator), operand), field, Limits()
    )

    assert codes_and_paths(problems) == [("INVALID_INPUT", path)]


def test_the_problem_of_an_unsupported_operator_lists_the_supported_ones() -> None:
    predicate = FieldPredicate("causes", PredicateOperator.EQ, "Failure")
    field = make_field(name="causes", kind=FieldKind.MULTI_SELECT, options=OPTIONS)

    problems = validate_field_predicate(predicate, field, Limits())

    message = (
        f"Operator {predicate.operator.value} cannot be applied to field 'causes' of kind "
        "MULTI_SELECT. Use one of CONTAINS, EXISTS, NOT_EXISTS."
    )
    assert problems == [invalid_input(message, "operator")]


def _holds_by_schema(predicate: FieldPredicate, kind: FieldKind, value: Any) -> bool:
    schema = {"properties": {"f": build_value_schema(predicate, kind)}, "required": ["f"]}
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    holds = validator.is_valid({} if value is None else {"f": value})
    return holds != (predicate.operator is PredicateOperator.NOT_EXISTS)


def _matching_values(kind: FieldKind, operator: PredicateOperator) -> st.SearchStrategy[Any]:
    if operator in (PredicateOperator.EXISTS, PredicateOperator.NOT_EXISTS):
        return st.none()
    integers = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    scalars: dict[FieldKind, st.SearchStrategy[Any]] = {
        FieldKind.NUMBER: integers | st.floats(-1e9, 1e9),
        FieldKind.INTEGER: integers,
        FieldKind.BOOLEAN: st.booleans(),
        FieldKind.DATE: DATES,
        FieldKind.DATETIME: INSTANTS,
        FieldKind.SELECT: st.sampled_from(OPTIONS),
        FieldKind.MULTI_SELECT: st.sampled_from(OPTIONS),
    }
    scalar = scalars.get(kind, STORABLE_TEXT)
    if operator is PredicateOperator.IN:
        return st.lists(scalar, min_size=1, max_size=4).map(tuple)
    return scalar
