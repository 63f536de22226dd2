"""The names that the editors of rules in the console offer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.domain.rules.duplicates import FINGERPRINT_PATHS
from app.domain.rules.expression_messages import EVENT_ATTRIBUTES
from app.domain.rules.expressions import Expression, compile_expression
from app.domain.shared.limits import Limits
from tests.domain.examples import NOW, evaluate_expression, make_event

PATH = Path(__file__).parents[2] / "web/console/src/common/cel/vocabulary.json"
VOCABULARY = json.loads(PATH.read_text())
FUNCTIONS = [*VOCABULARY["functions"], *VOCABULARY["methods"]]


def test_the_editor_of_expressions_offers_all_attributes_of_events() -> None:
    names = [each["name"] for each in VOCABULARY["attributes"]]

    assert sorted(names) == sorted([*EVENT_ATTRIBUTES, "entity", "fields"])


def test_the_fingerprint_builder_offers_all_attributes_of_fingerprints() -> None:
    assert sorted(VOCABULARY["fingerprint"]) == sorted(FINGERPRINT_PATHS)


@pytest.mark.parametrize("example", [each["example"] for each in FUNCTIONS])
def test_each_function_that_the_editor_offers_works_as_in_its_example(example: str) -> None:
    expression = compile_expression(example, None, Limits())

    assert isinstance(expression, Expression), expression
    assert evaluate_expression(expression, make_event(), None, NOW) is True


def test_each_example_uses_its_function() -> None:
    unused = [each["name"] for each in FUNCTIONS if f"{each['name']}(" not in each["example"]]

    assert unused == []
