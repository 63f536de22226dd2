"""The page for authors of rules tells the truth: each example passes and refuses as it says."""

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
from app.domain.rules.expressions import Expression, compile_expression, evaluate
from app.domain.shared.limits import Limits
from tests.domain.examples import NOW, a_field, an_event

PAGE = (Path(__file__).parents[2] / "docs/guard-rules.md").read_text()
EXAMPLES = [dedent(each) for each in re.findall(r" *```cel\n(.*?) *```", PAGE, re.DOTALL)]
OF_THE_ORGANIZATION = (8, 9)
FORM = (
    a_field(name="volume_mcf"),
    a_field(name="duration_hours"),
    a_field(name="wells_shut_in", kind=FieldKind.INTEGER),
    a_field(name="cause", kind=FieldKind.SELECT, options=("equipment", "weather", "other")),
    a_field(name="wells", kind=FieldKind.MULTI_SELECT, options=("w-1", "w-2")),
    a_field(name="started_at", kind=FieldKind.DATETIME),
    a_field(name="ended_at", kind=FieldKind.DATETIME),
    a_field(name="permit", kind=FieldKind.TEXT),
)
FLARE = an_event(
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


def changed(**values: Any) -> EventState:
    return replace(FLARE, fields=FLARE.fields | values)


BAD = [
    changed(duration_hours=25),
    changed(permit="none"),
    changed(volume_mcf=99),
    changed(ended_at="2026-04-09T07:59:59+02:00"),
    changed(started_at="2026-04-08T10:29:59Z"),
    changed(wells=["w-1"]),
    changed(volume_mcf=749),
    replace(FLARE, entity=Entity("Pump", "3")),
    replace(FLARE, tags=("StudyId:1", "StudyId:2")),
    changed(pressure=10_000),
]


def answer(number: int, event: EventState, old: EventState | None) -> bool | str:
    form = None if number in OF_THE_ORGANIZATION else FORM
    expression = compile_expression(EXAMPLES[number], form, Limits())
    assert isinstance(expression, Expression), expression
    return evaluate(expression, event, old, NOW)


def test_the_page_has_ten_examples() -> None:
    assert len(EXAMPLES) == len(BAD) == 10


@pytest.mark.parametrize("number", range(10))
def test_each_example_passes_a_flare_and_refuses_what_it_speaks_of(number: int) -> None:
    assert answer(number, FLARE, None) is True
    assert answer(number, FLARE, FLARE) is True
    assert answer(number, BAD[number], FLARE) is False


def test_the_page_names_the_limits() -> None:
    limits = Limits()

    for number in (limits.expression, limits.expression_steps):
        assert f"{number:,}" in PAGE
    assert f"macros {limits.expression_macros} deep" in PAGE
