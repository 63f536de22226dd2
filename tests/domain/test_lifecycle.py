"""DRAFT and ARCHIVED refuse events, DEPRECATED takes them with a warning."""

from __future__ import annotations

import pytest

from app.domain.event_types.lifecycle import EventTypeState, closed, outdated
from app.domain.shared.problems import Problem, UserErrorCode


@pytest.mark.parametrize("named", ["type", "eventTypeId"])
@pytest.mark.parametrize("state", [EventTypeState.DRAFT, EventTypeState.ARCHIVED])
def test_a_type_that_is_not_yet_or_no_longer_in_use_is_closed(
    state: EventTypeState, named: str
) -> None:
    problems = closed("pump.tripped", state, named)

    message = f"Event type pump.tripped is {state.value} and takes no events."
    assert problems == [Problem(UserErrorCode.EVENT_TYPE_CLOSED, message, (named,))]


@pytest.mark.parametrize("state", [EventTypeState.PUBLISHED, EventTypeState.DEPRECATED])
def test_a_type_in_use_is_open(state: EventTypeState) -> None:
    assert closed("pump.tripped", state, "type") == []


@pytest.mark.parametrize("named", ["type", "eventTypeId"])
def test_a_deprecated_type_warns(named: str) -> None:
    warnings = outdated("pump.tripped", EventTypeState.DEPRECATED, named)

    message = "Event type pump.tripped is DEPRECATED."
    assert warnings == [Problem(UserErrorCode.EVENT_TYPE_CLOSED, message, (named,))]


@pytest.mark.parametrize("state", [s for s in EventTypeState if s is not EventTypeState.DEPRECATED])
def test_a_type_in_any_other_state_does_not_warn(state: EventTypeState) -> None:
    assert outdated("pump.tripped", state, "type") == []
