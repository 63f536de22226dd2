"""An update merges and validates the given attributes; absent ones stay unchanged."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity
from app.domain.intake.intake import Accepted, Rejected, validate_update
from app.domain.shared.problems import invalid_input
from tests.domain.examples import (
    FLARED,
    FLARING,
    FREE_FORM,
    NOW,
    accepted_event,
    codes_and_paths,
    make_command_context,
    rejected_problems,
)


def test_an_update_changes_only_the_given_attributes() -> None:
    attributes = {
        "entity": Entity("Pump", "3"),
        "severity": " Green ",
        "summary": "",
        "content": "Restarted.",
        "outcome": Outcome.SUCCESS,
        "occurred_at": NOW,
        "tags": ("b", "a", "b"),
        "notification": False,
    }

    result = validate_update(FREE_FORM, attributes, None, make_command_context())

    assert result == Accepted(
        replace(
            FREE_FORM,
            entity=Entity("Pump", "3"),
            severity=Severity.SUCCESS,
            severity_text=" Green ",
            summary="",
            content="Restarted.",
            outcome=Outcome.SUCCESS,
            occurred_at=NOW,
            tags=("b", "a"),
            notification=False,
            updated_at=NOW,
            version=3,
        )
    )


def test_an_empty_update_changes_only_bookkeeping_attributes() -> None:
    result = validate_update(FREE_FORM, {}, None, make_command_context())

    assert result == Accepted(replace(FREE_FORM, updated_at=NOW, version=3))


@pytest.mark.parametrize(
    ("attribute", "cleared"),
    [("entity", None), ("content", None), ("outcome", None), ("tags", ()), ("fields", {})],
)
def test_null_clears_a_nullable_attribute(attribute: str, cleared: Any) -> None:
    event = accepted_event(
        validate_update(FREE_FORM, {attribute: None}, None, make_command_context())
    )

    assert event == replace(FREE_FORM, **{attribute: cleared}, updated_at=NOW, version=3)


@pytest.mark.parametrize(
    ("attribute", "path"),
    [
        ("severity", "severity"),
        ("summary", "summary"),
        ("occurred_at", "occurredAt"),
        ("notification", "notification"),
    ],
)
def test_null_is_rejected_for_a_required_attribute(attribute: str, path: str) -> None:
    result = validate_update(FREE_FORM, {attribute: None}, None, make_command_context())

    assert result == Rejected(
        (invalid_input(f"{path} must not be null. Omit it to keep the current value.", path),)
    )


@pytest.mark.parametrize(
    ("attributes", "merged"),
    [
        ({}, {"a": 1, "b": {"c": 2}}),
        ({"a": 3}, {"a": 3, "b": {"c": 2}}),
        ({"d": False}, {"a": 1, "b": {"c": 2}, "d": False}),
        ({"a": None}, {"b": {"c": 2}}),
        ({"a": None, "b": None}, {}),
        ({"unknown": None}, {"a": 1, "b": {"c": 2}}),
        ({"a": ""}, {"a": "", "b": {"c": 2}}),
        ({"b": {"d": None}}, {"a": 1, "b": {"d": None}}),
    ],
)
def test_fields_are_merged_by_name_and_null_removes_one(
    attributes: dict[str, Any], merged: dict[str, Any]
) -> None:
    event = replace(FREE_FORM, fields={"a": 1, "b": {"c": 2}})

    revised = accepted_event(
        validate_update(event, {"fields": attributes}, None, make_command_context())
    )

    assert revised.fields == merged
    assert event.fields == {"a": 1, "b": {"c": 2}}


def test_an_update_of_other_fields_keeps_a_stored_null() -> None:
    event = replace(FREE_FORM, fields={"a": None, "b": 2})

    revised = accepted_event(
        validate_update(event, {"fields": {"b": 3}}, None, make_command_context())
    )

    assert revised.fields == {"a": None, "b": 3}


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        ({"volume": None}, [("FIELD_REQUIRED", ("fields", "volume"))]),
        (None, [("FIELD_REQUIRED", ("fields", "volume"))]),
        ({"volume": -1}, [("FIELD_INVALID", ("fields", "volume"))]),
        ({"weather": "fine"}, [("FIELD_UNKNOWN", ("fields", "weather"))]),
        ({"remarks": "\0"}, [("INVALID_INPUT", ("fields", "remarks"))]),
        ("text", [("INVALID_INPUT", ("fields",))]),
    ],
)
def test_the_type_validates_the_merged_values(
    value: Any, problems: list[tuple[str, tuple[str, ...]]]
) -> None:
    result = validate_update(FLARED, {"fields": value}, FLARING, make_command_context())

    assert codes_and_paths(rejected_problems(result)) == problems


def test_required_fields_are_checked_on_the_merged_values() -> None:
    attributes = {"fields": {"cause": None, "remarks": "Over."}}

    event = accepted_event(validate_update(FLARED, attributes, FLARING, make_command_context()))

    assert event.fields == {"volume": 150, "remarks": "Over."}


@pytest.mark.parametrize("state", EventTypeState)
def test_an_event_can_be_updated_in_any_state_of_its_type(state: EventTypeState) -> None:
    result = validate_update(
        FLARED, {"summary": "Over."}, replace(FLARING, state=state), make_command_context()
    )

    assert accepted_event(result).summary == "Over."


def test_all_problems_of_an_update_are_reported_together() -> None:
    attributes = {
        "severity": None,
        "summary": "x" * 1_001,
        "occurred_at": NOW + timedelta(hours=1),
        "notification": None,
        "fields": {"volume": None, "cause": "Weather"},
        "tags": ("", "a"),
    }

    result = validate_update(FLARED, attributes, FLARING, make_command_context())

    assert codes_and_paths(rejected_problems(result)) == [
        ("FIELD_INVALID", ("fields", "cause")),
        ("FIELD_REQUIRED", ("fields", "volume")),
        ("INVALID_INPUT", ("notification",)),
        ("INVALID_INPUT", ("occurredAt",)),
        ("INVALID_INPUT", ("severity",)),
        ("INVALID_INPUT", ("summary",)),
        ("INVALID_INPUT", ("tags", "0")),
    ]
