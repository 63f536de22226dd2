"""The canonical form of a JSON value: equal values have equal texts, others different ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.shared.json_encoding import load_json
from app.domain.shared.values import canonical_json
from tests.domain.strategies import STORABLE_JSON


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, b"null"),
        (150.0, b"150"),
        (-0.0, b"0"),
        (1.5, b"1.5"),
        (1e22, b"10000000000000000000000"),
        (True, b"true"),
        ("é\0\ud800", rb'"\u00e9\u0000\ud800"'),
        (("a", [2.0]), b'["a",[2]]'),
        ({"b": 1, "a": {"d": 2.0, "c": None}}, b'{"a":{"c":null,"d":2},"b":1}'),
    ],
)
def test_the_canonical_form_is_compact_sorted_and_ascii(value: Any, text: bytes) -> None:
    assert canonical_json(value) == text


@given(st.integers(-(2**53), 2**53))
def test_an_integer_and_an_equal_float_have_the_same_form(number: int) -> None:
    assert canonical_json({"n": [number]}) == canonical_json({"n": [float(number)]})


@pytest.mark.parametrize(
    ("text", "exactly", "as_double"),
    [
        ("123456789123456.12345", b"12345678912345612345e-5", b"123456789123456.12"),
        ("-9007199254740993.0", b"-9007199254740993", b"-9007199254740992"),
        ("1e-400", b"1e-400", b"0"),
        ("1e23", b"100000000000000000000000", b"99999999999999991611392"),
        ("1.50", b"1.5", b"1.5"),
    ],
)
def test_all_digits_count_in_the_exact_form(text: str, exactly: bytes, as_double: bytes) -> None:
    assert canonical_json([load_json(text)], exact=True) == b"[" + exactly + b"]"
    assert canonical_json([load_json(text)]) == b"[" + as_double + b"]"


@given(STORABLE_JSON)
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    assert canonical_json(value) == canonical_json(_reversed(value))


@given(STORABLE_JSON)
def test_the_canonical_form_contains_the_whole_value(value: Any) -> None:
    text = canonical_json(value)

    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0, False),
        (1, "1"),
        (None, "null"),
        (None, ""),
        ({"a": None}, {}),
        ({}, []),
        ([1, 2], [2, 1]),
        (["a,b"], ["a", "b"]),
        ({"a": {"b": 1}}, {"a": ["b", 1]}),
        ("é", "e\u0301"),
    ],
)
def test_values_that_differ_have_different_canonical_forms(one: Any, other: Any) -> None:
    assert canonical_json(one) != canonical_json(other)


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(inner) for inner in value] if isinstance(value, list) else value
