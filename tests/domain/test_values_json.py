"""Validation of JSON values: their depth, characters, numbers and size."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import pytest
from hypothesis import given

from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import validate_json, validate_json_object
from tests.domain.examples import is_utf_8, nest_value
from tests.domain.strategies import ANY_JSON, STORABLE_JSON, STORABLE_OBJECTS


@given(STORABLE_OBJECTS)
def test_every_object_of_storable_values_is_accepted(value: dict[str, Any]) -> None:
    assert validate_json_object(value, Limits()) == []


@given(STORABLE_JSON)
def test_every_json_value_of_storable_values_is_accepted(value: Any) -> None:
    assert validate_json(value, Limits()) == []


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            math.nan,
            invalid_input(
                "The number must be finite and within the range of a double-precision number "
                "(about ±1.8e308).",
                "default",
            ),
        ),
        (
            "a\0",
            invalid_input(
                "Character 2 is U+0000, which is not allowed. Remove the character.", "default"
            ),
        ),
        (
            [1, 2**1024],
            invalid_input(
                "The number must be finite and within the range of a double-precision number "
                "(about ±1.8e308).",
                "default",
                "1",
            ),
        ),
        (
            {"a": "\ud800"},
            invalid_input(
                "Character 1 is U+D800, which is not allowed. Remove the character.", "default", "a"
            ),
        ),
        (
            "x" * 65_535,
            invalid_input(
                "At most 65,536 bytes of JSON are allowed; the value has 65,537.", "default"
            ),
        ),
        (
            nest_value(51),
            invalid_input("The value is nested deeper than the maximum of 50 levels.", "default"),
        ),
    ],
)
def test_a_json_value_that_cannot_be_stored_is_reported_with_its_path(
    value: Any, problem: Problem
) -> None:
    assert validate_json(value, Limits(), "default") == [problem]


def test_all_values_that_cannot_be_stored_are_reported_together() -> None:
    value = {"n": [math.nan, 1, -math.inf], "\0": {"t": "a\ud800", "whole": "text"}, "k\0": "\0"}

    problems = validate_json_object(value, Limits(), "fields")

    assert sorted(problems, key=lambda problem: (problem.path, problem.message)) == [
        invalid_input(
            "Character 1 is U+0000, which is not allowed. Remove the character.",
            "fields",
            "k\ufffd",
        ),
        invalid_input(
            "Character 2 is U+0000, which is not allowed. Remove the character.",
            "fields",
            "k\ufffd",
        ),
        invalid_input(
            "The number must be finite and within the range of a double-precision number (about "
            "±1.8e308).",
            "fields",
            "n",
            "0",
        ),
        invalid_input(
            "The number must be finite and within the range of a double-precision number (about "
            "±1.8e308).",
            "fields",
            "n",
            "2",
        ),
        invalid_input(
            "Character 1 is U+0000, which is not allowed. Remove the character.", "fields", "\ufffd"
        ),
        invalid_input(
            "Character 2 is U+D800, which is not allowed. Remove the character.",
            "fields",
            "\ufffd",
            "t",
        ),
    ]


@given(ANY_JSON)
def test_there_is_one_problem_per_value_that_cannot_be_stored(value: Any) -> None:
    problems = validate_json(value, Limits(), "fields")

    assert len(problems) == _count_unstorable(value)


def test_a_value_nested_too_deeply_is_the_only_problem() -> None:
    value = {"a": math.nan, "deep": nest_value(50), "b": "\0"}

    problems = validate_json_object(value, Limits(), "fields")

    assert problems == [
        invalid_input("The value is nested deeper than the maximum of 50 levels.", "fields")
    ]


@pytest.mark.parametrize("value", [None, [], [{}], "{}", 1, True])
def test_a_value_that_is_not_an_object_is_rejected(value: Any) -> None:
    problems = validate_json_object(value, Limits(), "fields")

    assert problems == [invalid_input("fields must be a JSON object.", "fields")]


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(math.nan, id="NaN"),
        pytest.param(math.inf, id="Infinity"),
        pytest.param(-math.inf, id="-Infinity"),
        pytest.param(2**1024, id="2^1024"),
        pytest.param(-(10**5_000), id="-10^5000"),
    ],
)
def test_a_number_that_is_not_finite_is_reported_with_its_path(number: float) -> None:
    problems = validate_json_object({"a": [1, {"b": number}]}, Limits(), "fields")

    assert problems == [
        invalid_input(
            "The number must be finite and within the range of a double-precision number (about "
            "±1.8e308).",
            "fields",
            "a",
            "1",
            "b",
        )
    ]


@pytest.mark.parametrize("number", [1.7976931348623157e308, 2**1023, -0.0, 5e-324, 2**64, True])
def test_every_finite_number_is_accepted(number: float) -> None:
    assert validate_json_object({"n": number}, Limits()) == []


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            {"a": ["x", "y\0"]},
            invalid_input(
                "Character 2 is U+0000, which is not allowed. Remove the character.",
                "fields",
                "a",
                "1",
            ),
        ),
        (
            {"a": {"b": "\udc80"}},
            invalid_input(
                "Character 1 is U+DC80, which is not allowed. Remove the character.",
                "fields",
                "a",
                "b",
            ),
        ),
        (
            {"a": {"b\0": 1}},
            invalid_input(
                "Character 2 is U+0000, which is not allowed. Remove the character.",
                "fields",
                "a",
                "b\ufffd",
            ),
        ),
        (
            {"\ud800": {}},
            invalid_input(
                "Character 1 is U+D800, which is not allowed. Remove the character.",
                "fields",
                "\ufffd",
            ),
        ),
    ],
)
def test_the_path_of_a_string_or_key_that_cannot_be_stored_is_storable(
    value: Any, problem: Problem
) -> None:
    assert validate_json_object(value, Limits(), "fields") == [problem]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"t": "x" * 65_528}, id="ASCII"),
        pytest.param({"t": "é" * 32_764}, id="two bytes a character"),
        pytest.param({"t": "\U0001f600" * 16_382}, id="four bytes a character"),
        pytest.param({"t": [1] * 32_764}, id="numbers"),
    ],
)
def test_the_limit_of_64_kib_is_in_bytes_of_compact_utf_8(value: dict[str, Any]) -> None:
    fitting = validate_json_object(value, Limits(), "fields")
    too_large = validate_json_object(value | {"more": None}, Limits(), "fields")

    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    message = f"At most 65,536 bytes of JSON are allowed; the value has {size + 12:,}."
    assert size in (65_535, 65_536)
    assert fitting == []
    assert too_large == [invalid_input(message, "fields")]


@pytest.mark.parametrize("key", [None, "a"])
@pytest.mark.parametrize("levels", [50, 51, 5_000])
def test_a_value_nested_too_deeply_is_rejected(levels: int, key: str | None) -> None:
    value = {"deep": nest_value(levels, key=key)}

    problems = validate_json_object(value, Limits(), "fields")

    assert problems == [
        invalid_input("The value is nested deeper than the maximum of 50 levels.", "fields")
    ]


@pytest.mark.parametrize("key", [None, "a"])
@pytest.mark.parametrize("innermost", [None, 1, "text", True])
def test_a_scalar_in_50_containers_is_accepted(innermost: Any, key: str | None) -> None:
    value = nest_value(50, innermost, key=key)

    assert validate_json(value, Limits(), "default") == []
    assert validate_json_object({"deep": value[key or 0]}, Limits(), "fields") == []


@pytest.mark.parametrize("key", [None, "a"])
@pytest.mark.parametrize("innermost", [[], {}])
def test_an_empty_51st_container_is_too_deep(innermost: Any, key: str | None) -> None:
    fitting, too_deep = nest_value(49, innermost, key=key), nest_value(50, innermost, key=key)

    problems = [validate_json(value, Limits(), "default") for value in (fitting, too_deep)]

    assert problems == [
        [],
        [invalid_input("The value is nested deeper than the maximum of 50 levels.", "default")],
    ]


@pytest.mark.parametrize("key", [None, "a"])
def test_a_scalar_in_50_containers_that_cannot_be_stored_is_reported_with_its_path(
    key: str | None,
) -> None:
    problems = validate_json(nest_value(50, math.nan, key=key), Limits(), "default")

    path = ("default", *(key or "0",) * 50)
    assert problems == [
        invalid_input(
            "The number must be finite and within the range of a double-precision number (about "
            "±1.8e308).",
            *path,
        )
    ]


def _count_unstorable(value: Any) -> int:
    """Returns the number of keys, texts and numbers that UTF-8, PostgreSQL or a double cannot
    store.
    """
    if isinstance(value, dict):
        return sum(map(_count_unstorable, [*value, *value.values()]))
    if isinstance(value, list):
        return sum(map(_count_unstorable, value))
    if isinstance(value, str):
        return int("\0" in value or not is_utf_8(value))
    finite = not isinstance(value, int | float) or abs(value) <= sys.float_info.max
    return int(not finite)
