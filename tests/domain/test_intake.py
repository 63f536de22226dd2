"""Validation of reports: defaults, event types, and all problems together."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventDraft, EventState
from app.domain.intake.intake import Accepted, EventTypeSnapshot, Rejected, validate_report
from app.domain.shared.problems import Problem, UserErrorCode, invalid_input
from tests.domain.examples import (
    EARLIER,
    EVENT_ID,
    FLARING,
    NOW,
    TYPE_ID,
    accepted_event,
    codes_and_paths,
    make_caller,
    make_command_context,
    make_draft,
    make_event_type,
    rejected_problems,
)
from tests.domain.strategies import STORABLE_OBJECTS


def test_an_empty_report_is_a_notice_that_occurred_now() -> None:
    command = make_command_context(actor=make_caller(name="field desk №1"))

    result = validate_report(EventDraft(), None, command, EVENT_ID)

    assert result == Accepted(
        EventState(
            id=EVENT_ID,
            type="notice",
            severity=Severity.INFO,
            summary="notice",
            summary_given=False,
            source="field%20desk%20%E2%84%961",
            occurred_at=NOW,
            recorded_at=NOW,
            updated_at=NOW,
            fields={},
            tags=(),
            notification=False,
            version=1,
        )
    )


def test_a_complete_report_is_accepted_unchanged() -> None:
    draft = make_draft()

    result = validate_report(draft, None, make_command_context(), EVENT_ID)

    assert result == Accepted(
        EventState(
            id=EVENT_ID,
            type="pump.tripped",
            entity=Entity("Well", "well-001"),
            severity=Severity.WARN,
            severity_text="warn",
            summary="Pump 3 tripped",
            content="It was the bearing.",
            source="//scada/pumps",
            source_id="trip-17",
            subject="pump-3",
            outcome=Outcome.FAILURE,
            occurred_at=EARLIER,
            recorded_at=NOW,
            updated_at=NOW,
            fields={"pressure": 4.5},
            tags=("Study:12",),
            notification=True,
            extensions={"traceparent": "00-1"},
            payload={"datacontenttype": "application/vnd.acme+json"},
        )
    )


def test_an_event_of_a_registered_type_has_its_name_and_version() -> None:
    draft = EventDraft(event_type_id=str(TYPE_ID), fields={"volume": 150})

    event = accepted_event(validate_report(draft, FLARING, make_command_context(), EVENT_ID))

    assert event.type == "flaring.flaring_incident"
    assert event.event_type_id == TYPE_ID
    assert event.event_type_version == 3
    assert event.summary == "Flaring Incident"


def test_the_summary_of_a_free_form_event_is_its_type() -> None:
    event = accepted_event(
        validate_report(EventDraft(type="pump.tripped"), None, make_command_context(), EVENT_ID)
    )

    assert event.summary == "pump.tripped"


@pytest.mark.parametrize("spec", [None, make_event_type()])
def test_an_empty_summary_is_not_replaced(spec: EventTypeSnapshot | None) -> None:
    event = accepted_event(
        validate_report(EventDraft(summary=""), spec, make_command_context(), EVENT_ID)
    )

    assert event.summary == ""


def test_an_event_logged_as_acknowledged_is_acknowledged_by_its_caller() -> None:
    event = accepted_event(
        validate_report(EventDraft(acknowledged=True), None, make_command_context(), EVENT_ID)
    )

    assert event.acknowledged
    assert (event.acknowledged_at, event.acknowledged_by) == (NOW, "field desk")


def test_duplicate_tags_are_removed_in_order() -> None:
    event = accepted_event(
        validate_report(
            EventDraft(tags=("b", "a", "b", "B")), None, make_command_context(), EVENT_ID
        )
    )

    assert event.tags == ("b", "a", "B")


@pytest.mark.parametrize("ahead", [timedelta(minutes=5), timedelta(0), timedelta(days=-365 * 900)])
def test_the_time_of_an_event_is_at_most_5_minutes_ahead(ahead: timedelta) -> None:
    event = accepted_event(
        validate_report(EventDraft(occurred_at=NOW + ahead), None, make_command_context(), EVENT_ID)
    )

    assert event.occurred_at == NOW + ahead


@given(STORABLE_OBJECTS)
def test_an_unregistered_type_accepts_any_object(values: dict[str, Any]) -> None:
    event = accepted_event(
        validate_report(
            EventDraft(type="pump.tripped", fields=values), None, make_command_context(), EVENT_ID
        )
    )

    assert event.fields == values
    assert (event.event_type_id, event.event_type_version) == (None, None)


@pytest.mark.parametrize("state", [EventTypeState.DRAFT, EventTypeState.ARCHIVED])
def test_a_type_that_is_not_in_use_rejects_its_events(state: EventTypeState) -> None:
    result = validate_report(
        EventDraft(type="a"),
        make_event_type(type="a", state=state),
        make_command_context(),
        EVENT_ID,
    )

    message = (
        f"Event type 'a' is {state.value} and does not accept events. Use a published event type."
    )
    assert result == Rejected((Problem(UserErrorCode.EVENT_TYPE_CLOSED, message, ("type",)),))


def test_a_closed_type_given_by_id_is_rejected_with_the_path_of_the_id() -> None:
    spec = make_event_type(type="a", state=EventTypeState.ARCHIVED)

    result = validate_report(
        EventDraft(event_type_id=str(TYPE_ID)), spec, make_command_context(), EVENT_ID
    )

    message = "Event type 'a' is ARCHIVED and does not accept events. Use a published event type."
    path = ("eventTypeId",)
    assert result == Rejected((Problem(UserErrorCode.EVENT_TYPE_CLOSED, message, path),))


def test_a_deprecated_type_given_by_id_has_a_warning_with_the_path_of_the_id() -> None:
    spec = make_event_type(type="a", state=EventTypeState.DEPRECATED)

    result = validate_report(
        EventDraft(event_type_id=str(TYPE_ID)), spec, make_command_context(), EVENT_ID
    )

    message, path = "Event type 'a' is DEPRECATED.", ("eventTypeId",)
    assert isinstance(result, Accepted)
    assert result.warnings == (Problem(UserErrorCode.EVENT_TYPE_CLOSED, message, path),)


def test_a_deprecated_type_accepts_events_with_a_warning() -> None:
    spec = make_event_type(type="a", state=EventTypeState.DEPRECATED)

    result = validate_report(EventDraft(type="a"), spec, make_command_context(), EVENT_ID)

    warning = Problem(UserErrorCode.EVENT_TYPE_CLOSED, "Event type 'a' is DEPRECATED.", ("type",))
    assert isinstance(result, Accepted)
    assert result.event.event_type_id == TYPE_ID
    assert result.warnings == (warning,)


def test_a_published_type_accepts_events_without_a_warning() -> None:
    result = validate_report(
        EventDraft(type="a"), make_event_type(type="a"), make_command_context(), EVENT_ID
    )

    assert isinstance(result, Accepted)
    assert result.warnings == ()


def test_an_id_and_a_different_type_are_rejected() -> None:
    draft = EventDraft(event_type_id=str(TYPE_ID), type="pump.tripped")

    result = validate_report(draft, make_event_type(), make_command_context(), EVENT_ID)

    message = (
        "type is 'pump.tripped', but eventTypeId identifies event type 'flaring.flaring_incident'. "
        "Omit one of them."
    )
    assert result == Rejected((invalid_input(message, "type"),))


def test_an_id_and_its_own_type_are_accepted() -> None:
    draft = EventDraft(event_type_id=str(TYPE_ID), type="flaring.flaring_incident")

    assert isinstance(
        validate_report(draft, make_event_type(), make_command_context(), EVENT_ID), Accepted
    )


@pytest.mark.parametrize(
    ("values", "problems"),
    [
        (None, [("FIELD_REQUIRED", ("fields", "volume"))]),
        ({}, [("FIELD_REQUIRED", ("fields", "volume"))]),
        ({"volume": None}, [("FIELD_REQUIRED", ("fields", "volume"))]),
        ({"volume": -1}, [("FIELD_INVALID", ("fields", "volume"))]),
        ({"volume": 1, "weather": "fine"}, [("FIELD_UNKNOWN", ("fields", "weather"))]),
        ([], [("INVALID_INPUT", ("fields",))]),
    ],
)
def test_a_registered_type_rejects_invalid_values(
    values: Any, problems: list[tuple[str, tuple[str, ...]]]
) -> None:
    result = validate_report(EventDraft(fields=values), FLARING, make_command_context(), EVENT_ID)

    assert codes_and_paths(rejected_problems(result)) == problems


def test_all_problems_of_a_report_are_reported_together() -> None:
    draft = EventDraft(
        type="pump.tripped",
        entity=Entity("", "\0"),
        summary="x" * 1_001,
        content="\0",
        source="",
        source_id="\n",
        subject="",
        occurred_at=NOW + timedelta(hours=1),
        fields={"cause": "Weather", "remarks": 1, "weather": "fine"},
        tags=("", *("a",) * 98, "\0", "b"),
    )

    result = validate_report(
        draft, replace(FLARING, state=EventTypeState.ARCHIVED), make_command_context(), EVENT_ID
    )

    assert codes_and_paths(rejected_problems(result)) == [
        ("EVENT_TYPE_CLOSED", ("type",)),
        ("FIELD_INVALID", ("fields", "cause")),
        ("FIELD_INVALID", ("fields", "remarks")),
        ("FIELD_REQUIRED", ("fields", "volume")),
        ("FIELD_UNKNOWN", ("fields", "weather")),
        ("INVALID_INPUT", ("content",)),
        ("INVALID_INPUT", ("entity", "id")),
        ("INVALID_INPUT", ("entity", "type")),
        ("INVALID_INPUT", ("occurredAt",)),
        ("INVALID_INPUT", ("source",)),
        ("INVALID_INPUT", ("sourceId",)),
        ("INVALID_INPUT", ("subject",)),
        ("INVALID_INPUT", ("summary",)),
        ("INVALID_INPUT", ("tags",)),
        ("INVALID_INPUT", ("tags", "0")),
        ("INVALID_INPUT", ("tags", "99")),
        ("INVALID_INPUT", ("type",)),
    ]
