"""Conditional rules at the desk: what is hidden is dropped with a warning, logged or updated."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.event_types.fields import FieldKind
from app.domain.intake.intake import Accepted, Draft, TypeSpec, judge, revise
from app.domain.shared.problems import Problem, UserErrorCode
from tests.domain.examples import EVENT_ID, a_desk, a_field, a_spec, an_event, refused, told
from tests.domain.forms import CAUSES, a_rule, asks, present

SPEC = a_spec(
    a_field(name="cause", kind=FieldKind.SELECT, options=CAUSES),
    a_field(name="remarks", kind=FieldKind.TEXT, required=True, default="None."),
    a_field(name="hours"),
    a_field(name="late", default=1),
    rules=(
        a_rule("SHOW", "remarks", asks("cause", "EQ", "Other")),
        a_rule("REQUIRE", "hours", present("remarks")),
        a_rule("HIDE", "late", asks("hours", "LT", 24)),
    ),
)


def hidden(name: str) -> Problem:
    message = f"{name} is hidden by a conditional rule: its value was dropped."
    return Problem(UserErrorCode.FIELD_HIDDEN, message, ("fields", name))


@pytest.mark.parametrize(
    ("given", "kept", "warnings"),
    [
        ({}, {"late": 1}, ()),
        (None, {"late": 1}, ()),
        ({"cause": "Failure", "remarks": "x"}, {"cause": "Failure", "late": 1}, ("remarks",)),
        ({"remarks": None, "late": 2}, {"late": 2}, ()),
        ({"hours": 3, "late": 30}, {"hours": 3}, ("late",)),
        ({"hours": 3}, {"hours": 3}, ()),
        ({"hours": 3, "remarks": 1, "late": "x"}, {"hours": 3}, ("remarks", "late")),
        (
            {"cause": "Other", "hours": 24},
            {"cause": "Other", "hours": 24, "remarks": "None.", "late": 1},
            (),
        ),
    ],
)
def test_a_report_keeps_what_is_visible(
    given: Any, kept: dict[str, Any], warnings: tuple[str, ...]
) -> None:
    verdict = judge(Draft(fields=given), SPEC, a_desk(), EVENT_ID)

    assert isinstance(verdict, Accepted), verdict
    assert verdict.event.fields == kept
    assert verdict.warnings == tuple(map(hidden, warnings))


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({"cause": "Other"}, [("FIELD_REQUIRED", ("fields", "hours"))]),
        ({"cause": "Weather", "remarks": "x"}, [("FIELD_INVALID", ("fields", "cause"))]),
        (
            {"cause": "Other", "remarks": 1},
            [("FIELD_INVALID", ("fields", "remarks"))],
        ),
        ({"cause": "Other", "hours": "\0"}, [("INVALID_INPUT", ("fields", "hours"))]),
        (
            {"cause": "Other", "remarks": "\0", "hours": 2, "x": 1},
            [("FIELD_UNKNOWN", ("fields", "x")), ("INVALID_INPUT", ("fields", "remarks"))],
        ),
    ],
)
def test_a_report_is_refused_for_what_is_wrong_with_what_is_visible(
    given: Any, problems: list[tuple[str, tuple[str, ...]]]
) -> None:
    verdict = judge(Draft(fields=given), SPEC, a_desk(), EVENT_ID)

    assert told(refused(verdict)) == problems


def test_a_value_that_cannot_be_kept_still_counts_in_conditions() -> None:
    spec = a_spec(
        a_field(name="a", kind=FieldKind.TEXT),
        a_field(name="b", required=True),
        a_field(name="c"),
        rules=(a_rule("HIDE", "b", present("a")), a_rule("SHOW", "c", present("a"))),
    )

    verdict = judge(Draft(fields={"a": "\0", "c": 1}), spec, a_desk(), EVENT_ID)

    assert told(refused(verdict)) == [("INVALID_INPUT", ("fields", "a"))]


@pytest.mark.parametrize(
    ("stored", "given", "kept", "warnings"),
    [
        # hides a field: its stored value goes
        (
            {"cause": "Other", "remarks": "x", "hours": 24, "late": 1},
            {"cause": "Failure"},
            {"cause": "Failure", "hours": 24, "late": 1},
            ("remarks",),
        ),
        (
            {"hours": 30, "late": 1},
            {"hours": 3, "late": 2},
            {"hours": 3},
            ("late",),
        ),
        # shows a field: it gets its default, or what is given
        (
            {"cause": "Failure", "hours": 24},
            {"cause": "Other"},
            {"cause": "Other", "hours": 24, "remarks": "None."},
            (),
        ),
        (
            {"cause": "Failure", "hours": 24},
            {"cause": "Other", "remarks": "x"},
            {"cause": "Other", "hours": 24, "remarks": "x"},
            (),
        ),
        # leaves alone or removes a field that is visible: no default again
        ({"hours": 30}, {"hours": 31}, {"hours": 31}, ()),
        ({"hours": 30, "late": 2}, {"late": None}, {"hours": 30}, ()),
        ({"hours": 30, "late": 2}, None, {}, ()),
        ({"hours": 3}, {"hours": None, "late": None}, {}, ()),
    ],
)
def test_an_update_settles_the_merged_values(
    stored: dict[str, Any],
    given: dict[str, Any] | None,
    kept: dict[str, Any],
    warnings: tuple[str, ...],
) -> None:
    event = an_event(fields=stored)

    verdict = revise(event, {"fields": given}, SPEC, a_desk())

    assert isinstance(verdict, Accepted), verdict
    assert verdict.event.fields == kept
    assert verdict.warnings == tuple(map(hidden, warnings))


def test_an_update_that_removes_what_is_required_is_refused() -> None:
    event = an_event(fields={"cause": "Other", "remarks": "x", "hours": 24})

    verdict = revise(event, {"fields": {"remarks": None}}, SPEC, a_desk())

    assert told(refused(verdict)) == [("FIELD_REQUIRED", ("fields", "remarks"))]


@pytest.mark.parametrize("spec", [SPEC, None])
def test_an_update_of_something_else_leaves_the_values_alone(spec: TypeSpec | None) -> None:
    event = an_event(fields={"hours": 3, "late": 1})

    verdict = revise(event, {"summary": "Over."}, spec, a_desk())

    assert isinstance(verdict, Accepted)
    assert (verdict.event.fields, verdict.warnings) == ({"hours": 3, "late": 1}, ())
