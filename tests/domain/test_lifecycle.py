"""DRAFT and ARCHIVED types reject events, DEPRECATED ones accept them with a warning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.event_types.lifecycle import (
    EventTypeState,
    deprecation_warnings,
    validate_accepts_events,
)
from app.domain.shared.problems import Problem, UserErrorCode


@pytest.mark.parametrize("named", ["type", "eventTypeId"])
@pytest.mark.parametrize("state", [EventTypeState.DRAFT, EventTypeState.ARCHIVED])
def test_draft_and_archived_types_reject_events(state: EventTypeState, named: str) -> None:
    problems = validate_accepts_events("pump.tripped", state, named)

    message = (
        f"Event type 'pump.tripped' is {state.value} and does not accept events. "
        "Use a published event type."
    )
    assert problems == [Problem(UserErrorCode.EVENT_TYPE_CLOSED, message, (named,))]


@pytest.mark.parametrize("state", [EventTypeState.PUBLISHED, EventTypeState.DEPRECATED])
def test_published_and_deprecated_types_accept_events(state: EventTypeState) -> None:
    assert validate_accepts_events("pump.tripped", state, "type") == []


@pytest.mark.parametrize("named", ["type", "eventTypeId"])
def test_a_deprecated_type_has_a_warning(named: str) -> None:
    warnings = deprecation_warnings("pump.tripped", EventTypeState.DEPRECATED, named)

    message = "Event type 'pump.tripped' is DEPRECATED."
    assert warnings == [Problem(UserErrorCode.EVENT_TYPE_CLOSED, message, (named,))]


@pytest.mark.parametrize("state", [s for s in EventTypeState if s is not EventTypeState.DEPRECATED])
def test_a_type_in_another_state_has_no_warning(state: EventTypeState) -> None:
    assert deprecation_warnings("pump.tripped", state, "type") == []


@pytest.mark.parametrize(
    ("microseconds_after_sunset", "is_closed"), [(-1, False), (0, True), (1, True)]
)
def test_a_deprecated_type_rejects_events_after_its_sunset(
    microseconds_after_sunset: int, is_closed: bool
) -> None:
    sunset_at = datetime(2026, 4, 10, 12, tzinfo=UTC)
    now = sunset_at + timedelta(microseconds=microseconds_after_sunset)

    problems = validate_accepts_events(
        "pump.tripped", EventTypeState.DEPRECATED, "type", sunset_at, now
    )

    message = (
        "Event type 'pump.tripped' has not accepted events since 2026-04-10T12:00:00.000000Z. "
        "Use a published event type."
    )
    closed = Problem(UserErrorCode.EVENT_TYPE_CLOSED, message, ("type",))
    assert problems == ([closed] if is_closed else [])
