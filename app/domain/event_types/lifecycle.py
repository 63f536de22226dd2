"""The states of an event type, the transitions between them, and their effect on new events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from app.domain.shared.messages import quote_value
from app.domain.shared.problems import Problem, UserErrorCode, invalid_input
from app.domain.shared.values import format_instant


class EventTypeState(Enum):
    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    DEPRECATED = "DEPRECATED"
    ARCHIVED = "ARCHIVED"


_TRANSITIONS: dict[EventTypeState, tuple[EventTypeState, ...]] = {
    EventTypeState.DRAFT: (EventTypeState.PUBLISHED, EventTypeState.ARCHIVED),
    EventTypeState.PUBLISHED: (EventTypeState.DEPRECATED, EventTypeState.ARCHIVED),
    EventTypeState.DEPRECATED: (EventTypeState.PUBLISHED, EventTypeState.ARCHIVED),
    EventTypeState.ARCHIVED: (EventTypeState.DEPRECATED,),
}


@dataclass(frozen=True)
class TransitionProblem(Problem):
    """A transition that is not allowed from the current state."""

    state: EventTypeState = EventTypeState.DRAFT
    allowed: tuple[EventTypeState, ...] = ()


def allowed_transitions(state: EventTypeState) -> tuple[EventTypeState, ...]:
    """Returns the states that an event type may move to from this one."""
    return _TRANSITIONS[state]


def validate_transition(
    state: EventTypeState, to: EventTypeState, sunset_at: datetime | None
) -> list[Problem]:
    """Validates a transition. A transition to the current state is allowed and changes nothing."""
    if to is not state and to not in allowed_transitions(state):
        allowed = " or ".join(target.value for target in allowed_transitions(state))
        message = f"Invalid transition from {state.value} to {to.value}: expected {allowed}."
        code = UserErrorCode.ILLEGAL_TRANSITION
        return [TransitionProblem(code, message, ("to",), state, allowed_transitions(state))]
    if sunset_at is not None and to is not EventTypeState.DEPRECATED:
        return [
            invalid_input("sunsetAt is allowed only in a transition to DEPRECATED.", "sunsetAt")
        ]
    return []


def validate_accepts_events(
    type_name: str,
    state: EventTypeState,
    argument: str,
    sunset_at: datetime | None = None,
    now: datetime | None = None,
) -> list[Problem]:
    """Validates that an event type accepts events. `argument` is the input that named it."""
    if state in (EventTypeState.DRAFT, EventTypeState.ARCHIVED):
        reason = f"is {state.value} and does not accept events"
    elif sunset_at is not None and now is not None and sunset_at <= now:
        reason = f"has not accepted events since {format_instant(sunset_at)}"
    else:
        return []
    message = f"Event type {quote_value(type_name)} {reason}. Use a published event type."
    return [Problem(UserErrorCode.EVENT_TYPE_CLOSED, message, (argument,))]


def deprecation_warnings(
    type_name: str, state: EventTypeState, argument: str, sunset_at: datetime | None = None
) -> list[Problem]:
    """Returns the warning for an event of a deprecated type."""
    if state is not EventTypeState.DEPRECATED:
        return []
    message = f"Event type {quote_value(type_name)} is DEPRECATED."
    if sunset_at is not None:
        message += f" It will stop accepting events at {format_instant(sunset_at)}."
    return [Problem(UserErrorCode.EVENT_TYPE_CLOSED, message, (argument,))]
