"""Conditional rules in reports and updates: values of hidden fields are dropped with a warning."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.event_types.fields import FieldKind
from app.domain.events.state import EventDraft
from app.domain.intake.intake import Accepted, EventTypeSnapshot, validate_report, validate_update
from app.domain.shared.problems import Problem, UserErrorCode
from tests.domain.examples import (
    EVENT_ID,
    codes_and_paths,
    make_command_context,
    make_event,
    make_event_type,
    make_field,
    rejected_problems,
)
from tests.domain.rule_examples import CAUSES, field_exists, make_predicate, make_rule

SPEC = make_event_type(
    make_field(name="cause", kind=FieldKind.SELECT, options=CAUSES),
    make_field(name="remarks", kind=FieldKind.TEXT, required=True, default="None."),
    make_field(name="hours"),
    make_field(name="late", default=1),
    rules=(
        make_rule("SHOW", "remarks", make_predicate("cause", "EQ", "Other")),
        make_rule("REQUIRE", "hours", field_exists("remarks")),
        make_rule("HIDE", "late", make_predicate("hours", "LT", 24)),
    ),
)


def hidden_problem(name: str) -> Problem:
    message = f"Field '{name}' is hidden by a conditional rule, so its value was dropped."
    return Problem(UserErrorCode.FIELD_HIDDEN, message, ("fields", name))


@pytest.mark.parametrize(
    ("values", "stored", "warnings"),
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
def test_values_of_visible_fields_are_stored(
    values: Any, stored: dict[str, Any], warnings: tuple[str, ...]
) -> None:
    result = validate_report(EventDraft(fields=values), SPEC, make_command_context(), EVENT_ID)

    assert isinstance(result, Accepted), result
    assert result.event.fields == stored
    assert result.warnings == tuple(map(hidden_problem, warnings))


@pytest.mark.parametrize(
    ("values", "problems"),
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
def test_invalid_values_of_visible_fields_are_rejected(
    values: Any, problems: list[tuple[str, tuple[str, ...]]]
) -> None:
    result = validate_report(EventDraft(fields=values), SPEC, make_command_context(), EVENT_ID)

    assert codes_and_paths(rejected_problems(result)) == problems


def test_conditions_are_evaluated_on_values_that_cannot_be_stored() -> None:
    spec = make_event_type(
        make_field(name="a", kind=FieldKind.TEXT),
        make_field(name="b", required=True),
        make_field(name="c"),
        rules=(
            make_rule("HIDE", "b", field_exists("a")),
            make_rule("SHOW", "c", field_exists("a")),
        ),
    )

    result = validate_report(
        EventDraft(fields={"a": "\0", "c": 1}), spec, make_command_context(), EVENT_ID
    )

    assert codes_and_paths(rejected_problems(result)) == [("INVALID_INPUT", ("fields", "a"))]


@pytest.mark.parametrize(
    ("stored", "values", "kept", "warnings"),
    [
        # hides a field: its stored value is removed
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
        # shows a field: it gets its default or the given value
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
        # keeps or removes the value of a visible field: the default is not applied again
        ({"hours": 30}, {"hours": 31}, {"hours": 31}, ()),
        ({"hours": 30, "late": 2}, {"late": None}, {"hours": 30}, ()),
        ({"hours": 30, "late": 2}, None, {}, ()),
        ({"hours": 3}, {"hours": None, "late": None}, {}, ()),
    ],
)
def test_an_update_resolves_conditions_on_the_merged_values(
    stored: dict[str, Any],
    values: dict[str, Any] | None,
    kept: dict[str, Any],
    warnings: tuple[str, ...],
) -> None:
    event = make_event(fields=stored)

    result = validate_update(event, {"fields": values}, SPEC, make_command_context())

    assert isinstance(result, Accepted), result
    assert result.event.fields == kept
    assert result.warnings == tuple(map(hidden_problem, warnings))


def test_an_update_that_removes_a_required_value_is_rejected() -> None:
    event = make_event(fields={"cause": "Other", "remarks": "x", "hours": 24})

    result = validate_update(event, {"fields": {"remarks": None}}, SPEC, make_command_context())

    assert codes_and_paths(rejected_problems(result)) == [("FIELD_REQUIRED", ("fields", "remarks"))]


@pytest.mark.parametrize("spec", [SPEC, None])
def test_an_update_of_other_attributes_keeps_the_values(
    spec: EventTypeSnapshot | None,
) -> None:
    event = make_event(fields={"hours": 3, "late": 1})

    result = validate_update(event, {"summary": "Over."}, spec, make_command_context())

    assert isinstance(result, Accepted)
    assert (result.event.fields, result.warnings) == ({"hours": 3, "late": 1}, ())
