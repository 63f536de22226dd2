"""Decimal numbers keep the digits that a double loses."""

from __future__ import annotations

import json
from decimal import Decimal
from math import isinf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.shared.exact_decimals import (
    ExactDecimal,
    find_exact_decimals,
    has_exact_decimals,
    parse_decimal,
    round_decimals,
)
from app.domain.shared.json_encoding import encode_json, load_json

DIGITS = st.text("0123456789", min_size=1, max_size=40)
NUMBERS = st.builds(
    lambda sign, whole, fraction, exponent: f"{sign}{int(whole)}.{fraction}{exponent}",
    st.sampled_from(["", "-"]),
    DIGITS,
    DIGITS,
    st.just("") | st.integers(-330, 300).map("e{}".format),
)


@given(NUMBERS)
def test_a_number_is_the_nearest_double_and_its_json_equals_the_number(text: str) -> None:
    number = parse_decimal(text)

    assert number == float(text)
    if isinf(number):
        with pytest.raises(ValueError, match="Out of range"):
            encode_json(number)
    else:
        written = encode_json([number, {"a": number}])
        assert Decimal(written[1 : written.index(",")]) == Decimal(text)
        assert isinstance(number, ExactDecimal) == (Decimal(repr(float(text))) != Decimal(text))
        assert encode_json(load_json(written)) == written


@pytest.mark.parametrize("text", ["0.1", "-1.50", "123456789.123456", "1e5", "1.5E-7", "1e400"])
def test_a_number_that_survives_is_a_plain_float(text: str) -> None:
    assert type(parse_decimal(text)) is float


def test_the_digits_are_found_and_rounded_in_nested_values() -> None:
    value: Any = load_json('{"a": [1, {"b": 0.12345678901234567890}], "c": "x", "d": 0.5}')

    found = [(path, number.digits) for path, number in find_exact_decimals(value, "fields")]

    assert found == [(("fields", "a", "1", "b"), "0.12345678901234567890")]
    assert has_exact_decimals(value)
    rounded = round_decimals(value)
    assert not has_exact_decimals(rounded)
    assert rounded == value
    assert json.dumps(rounded) == '{"a": [1, {"b": 0.12345678901234568}], "c": "x", "d": 0.5}'


def test_strings_are_not_mistaken_for_digits() -> None:
    value = [load_json("0.12345678901234567890"), '"0.1"', "0.12345678901234567890", "\0x"]

    assert encode_json(value) == (
        '[0.12345678901234567890,"\\"0.1\\"","0.12345678901234567890","\\u0000x"]'
    )


def test_only_lone_surrogates_are_escaped() -> None:
    assert encode_json({"é": ["\u2028🔥\x7f", "\ud800é\udc00"]}) == (
        '{"é":["\u2028🔥\x7f","\\ud800é\\udc00"]}'
    )
