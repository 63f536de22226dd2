"""Validation of new event types."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from app.domain.event_types.definitions import EventTypeDefinition, validate_new_definition
from app.domain.event_types.fields import FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode, invalid_input
from tests.domain.examples import codes_and_paths, make_field, nest_value

INCIDENT = EventTypeDefinition(name="Flaring Incident", category="Flaring")


@pytest.mark.parametrize(
    ("name", "category", "type_name"),
    [
        ("Flaring Incident", "Flaring", "flaring.flaring_incident"),
        ("Flaring  --  Incident", "Gas & Oil", "gas_oil.flaring_incident"),
        ("Pump 3", None, "general.pump_3"),
        ("pump_tripped", "a_b", "a_b.pump_tripped"),
        ("a__b", "a._.b", "a_b.a_b"),
        ("Größe", "x.y", "x_y.gr_e"),
        ("(new)", "x", "x._new_"),
    ],
)
def test_the_default_type_consists_of_category_and_name(
    name: str, category: str | None, type_name: str
) -> None:
    assert EventTypeDefinition(name=name, category=category).type_name == type_name


def test_a_given_type_is_stored_unchanged() -> None:
    definition = replace(INCIDENT, type="com.acme/Flaring Incident")

    assert definition.type_name == "com.acme/Flaring Incident"
    assert validate_new_definition(definition, Limits()) == []


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"type": ""}, invalid_input("type must not be empty.", "type")),
        (
            {"type": "a\nb"},
            invalid_input(
                "Character 2 is U+000A, which is not allowed. Remove the character.", "type"
            ),
        ),
        (
            {"type": "pump.*"},
            invalid_input("type must not end in '*', which marks a prefix in filters.", "type"),
        ),
        ({"name": ""}, invalid_input("name must not be empty.", "name")),
        (
            {"name": "x" * 256},
            invalid_input("At most 255 characters are allowed; name has 256.", "name"),
        ),
        ({"category": ""}, invalid_input("category must not be empty.", "category")),
        (
            {"category": "\ud800"},
            invalid_input(
                "Character 1 is U+D800, which is not allowed. Remove the character.", "category"
            ),
        ),
        (
            {"description": "x" * 100_001},
            invalid_input(
                "At most 100,000 characters are allowed; description has 100,001.", "description"
            ),
        ),
        (
            {"name": "x" * 200, "category": "y" * 100},
            invalid_input("At most 255 characters are allowed; type has 301.", "type"),
        ),
    ],
)
def test_the_texts_of_a_definition_have_limits(
    attributes: dict[str, Any], problem: Problem
) -> None:
    assert validate_new_definition(replace(INCIDENT, **attributes), Limits()) == [problem]


@pytest.mark.parametrize("state", [EventTypeState.DRAFT, EventTypeState.PUBLISHED])
def test_a_new_type_is_draft_or_published(state: EventTypeState) -> None:
    assert validate_new_definition(replace(INCIDENT, state=state), Limits()) == []


@pytest.mark.parametrize("state", [EventTypeState.DEPRECATED, EventTypeState.ARCHIVED])
def test_a_new_type_cannot_be_deprecated_or_archived(state: EventTypeState) -> None:
    problems = validate_new_definition(replace(INCIDENT, state=state), Limits())

    assert problems == [
        invalid_input(f"A new event type must be DRAFT or PUBLISHED, not {state.value}.", "state")
    ]


def test_a_type_has_at_most_200_fields() -> None:
    fields = tuple(make_field(name=f"f{number}") for number in range(201))

    full = validate_new_definition(replace(INCIDENT, fields=fields[:200]), Limits())
    too_many = validate_new_definition(replace(INCIDENT, name="", fields=fields), Limits())

    message = "At most 200 fields are allowed; this event type has 201."
    assert full == []
    assert too_many == [
        invalid_input("name must not be empty.", "name"),
        Problem(UserErrorCode.LIMIT_REACHED, message, ("fields",)),
    ]


def test_a_problem_of_a_field_has_a_path_of_index_and_attribute() -> None:
    fields = (make_field(), make_field(name="cause", kind=FieldKind.SELECT))

    problems = validate_new_definition(replace(INCIDENT, fields=fields), Limits())

    message = "A field of kind SELECT must have at least one option."
    assert problems == [invalid_input(message, "fields", "1", "options")]


@pytest.mark.parametrize(
    ("attributes", "attribute"),
    [
        ({"kind": FieldKind.TEXT, "pattern": "("}, "pattern"),
        ({"kind": FieldKind.TEXT, "default": 1}, "default"),
        ({"kind": FieldKind.NUMBER, "minimum": 1.0, "default": 0.5}, "default"),
        ({"kind": FieldKind.NUMBER, "default": math.nan}, "default"),
    ],
)
def test_a_pattern_and_a_default_are_validated_with_the_definition(
    attributes: dict[str, Any], attribute: str
) -> None:
    fields = (make_field(), make_field(name="cause", **attributes))

    problems = validate_new_definition(replace(INCIDENT, fields=fields), Limits())

    assert codes_and_paths(problems) == [("INVALID_INPUT", ("fields", "1", attribute))]


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        pytest.param(FieldKind.TEXT, "\ud800", id="lone surrogate"),
        pytest.param(FieldKind.TEXT, "a\0", id="U+0000"),
        pytest.param(FieldKind.TEXT, "x" * 65_537, id="more than fields can hold"),
        pytest.param(FieldKind.NUMBER, 10**400, id="not finite as a double"),
        pytest.param(FieldKind.TEXT, nest_value(5_000), id="5,000 lists"),
    ],
)
def test_a_default_that_events_cannot_store_is_rejected(kind: FieldKind, default: Any) -> None:
    fields = (make_field(kind=kind, default=default),)

    problems = validate_new_definition(replace(INCIDENT, fields=fields), Limits())

    assert {(problem.code, problem.path) for problem in problems} == {
        (UserErrorCode.INVALID_INPUT, ("fields", "0", "default"))
    }


def test_an_invalid_field_does_not_prevent_validation_of_other_patterns() -> None:
    fields = (
        make_field(name="_volume", kind=FieldKind.TEXT, pattern="("),
        make_field(name="cause", kind=FieldKind.TEXT, pattern="("),
        make_field(name="remarks", kind=FieldKind.TEXT, default=1),
    )

    problems = validate_new_definition(replace(INCIDENT, fields=fields), Limits())

    assert codes_and_paths(problems) == [
        ("INVALID_INPUT", ("fields", "0", "name")),
        ("INVALID_INPUT", ("fields", "1", "pattern")),
        ("INVALID_INPUT", ("fields", "2", "default")),
    ]


def test_all_problems_are_reported_together() -> None:
    definition = EventTypeDefinition(
        type="a\0",
        name="",
        description="\0",
        category="x" * 256,
        state=EventTypeState.ARCHIVED,
        fields=(make_field(name="1"), make_field(name="2")),
    )

    problems = validate_new_definition(definition, Limits())

    assert codes_and_paths(problems) == [
        ("INVALID_INPUT", ("category",)),
        ("INVALID_INPUT", ("description",)),
        ("INVALID_INPUT", ("fields", "0", "name")),
        ("INVALID_INPUT", ("fields", "1", "name")),
        ("INVALID_INPUT", ("name",)),
        ("INVALID_INPUT", ("state",)),
        ("INVALID_INPUT", ("type",)),
    ]
