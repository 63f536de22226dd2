"""The examples on the page about guard rules pass and reject events as described."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from app.domain.event_types.fields import FieldKind
from app.domain.events.severity import Severity
from app.domain.events.state import Entity, EventState
from app.domain.rules.expressions import Expression, compile_expression
from app.domain.shared.limits import Limits
from tests.domain.examples import NOW, evaluate_expression, make_event, make_field

PAGE = (Path(__file__).parents[2] / "docs/guard-rules.md").read_text()
EXAMPLES = [dedent(each) for each in re.findall(r" *```cel\n(.*?) *```", PAGE, re.DOTALL)]
OF_THE_ORGANIZATION = (8, 9)
FORM = (
    make_field(name="volume_mcf"),
    make_field(name="duration_hours"),
    make_field(name="wells_shut_in", kind=FieldKind.INTEGER),
    make_field(name="cause", kind=FieldKind.SELECT, options=("equipment", "weather", "other")),
    make_field(name="wells", kind=FieldKind.MULTI_SELECT, options=("w-1", "w-2")),
    make_field(name="started_at", kind=FieldKind.DATETIME),
    make_field(name="ended_at", kind=FieldKind.DATETIME),
    make_field(name="permit", kind=FieldKind.TEXT),
)
FLARE = make_event(
    severity=Severity.ERROR,
    tags=("StudyId:1", "night"),
    fields={
        "volume_mcf": 750,
        "duration_hours": 24,
        "wells_shut_in": 2,
        "cause": "weather",
        "wells": ["w-1", "w-2"],
        "started_at": "2026-04-09T08:00:00+02:00",
        "ended_at": "2026-04-09T18:00:00+02:00",
        "permit": "FL-2026-0042",
    },
)


def flare_with(**values: Any) -> EventState:
    return replace(FLARE, fields=FLARE.fields | values)


BAD = [
    flare_with(duration_hours=25),
    flare_with(permit="none"),
    flare_with(volume_mcf=99),
    flare_with(ended_at="2026-04-09T07:59:59+02:00"),
    flare_with(started_at="2026-04-08T10:29:59Z"),
    flare_with(wells=["w-1"]),
    flare_with(volume_mcf=749),
    replace(FLARE, entity=Entity("Pump", "3")),
    replace(FLARE, tags=("StudyId:1", "StudyId:2")),
    flare_with(pressure=10_000),
]


def evaluate_example(number: int, event: EventState, old: EventState | None) -> bool | str:
    form = None if number in OF_THE_ORGANIZATION else FORM
    expression = compile_expression(EXAMPLES[number], form, Limits())
    assert isinstance(expression, Expression), expression
    return evaluate_expression(expression, event, old, NOW)


def test_the_page_has_ten_examples() -> None:
    assert len(EXAMPLES) == len(BAD) == 10


@pytest.mark.parametrize("number", range(10))
def test_each_example_passes_a_valid_event_and_rejects_an_invalid_one(number: int) -> None:
    assert evaluate_example(number, FLARE, None) is True
    assert evaluate_example(number, FLARE, FLARE) is True
    assert evaluate_example(number, BAD[number], FLARE) is False


def test_the_page_names_the_limits() -> None:
    limits = Limits()

    for number in (limits.expression_characters, limits.expression_steps):
        assert f"{number:,}" in PAGE
    assert f"`optMap` | {limits.expression_macros} levels |" in PAGE


FUNCTIONS = PAGE.partition("## Functions for strings")[2].partition("\n## ")[0]
AVAILABLE, _, UNAVAILABLE = FUNCTIONS.partition("are not available:")
TABLE_ROWS = re.findall(r"^\| (?!function|---)(.+?) \| (.+) \|$", AVAILABLE, re.MULTILINE)


@pytest.mark.parametrize(("functions", "examples"), TABLE_ROWS, ids=lambda cell: cell[:40])
def test_the_functions_on_the_page_are_available(functions: str, examples: str) -> None:
    names = [each for each in re.findall(r"`([.\w]+)`", functions) if each != ".?"]

    assert [name for name in names if f"{name}(" not in examples] == []
    for example in re.findall(r"`(.+?)`", examples):
        expression = compile_expression(example, None, Limits())
        assert isinstance(expression, Expression), (example, expression)
        assert expression.problems == ()
        assert evaluate_expression(expression, FLARE, None, NOW) is True, example


@pytest.mark.parametrize("example", re.findall(r"`(.+?)`", UNAVAILABLE))
def test_the_other_functions_on_the_page_are_not_available(example: str) -> None:
    assert isinstance(compile_expression(example, None, Limits()), list)


@pytest.mark.parametrize(
    ("values", "passes"),
    [
        ({}, True),
        ({"duration_hours": 24, "permit": " fl-2026 "}, True),
        ({"duration_hours": 25}, False),
        ({"permit": "none"}, False),
    ],
)
def test_the_example_of_optional_values_passes_events_without_them(
    values: dict[str, Any], passes: bool
) -> None:
    [text] = re.findall(r"```text\n(.*?)```", AVAILABLE, re.DOTALL)
    expression = compile_expression(text, FORM, Limits())
    assert isinstance(expression, Expression), expression

    event = replace(FLARE, fields=values)
    assert evaluate_expression(expression, event, None, NOW) is passes
