"""The states of an event type, where each may go, and what each means for a report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from app.domain.shared.problems import Problem, UserErrorCode, invalid
from app.domain.shared.values import write_instant


class EventTypeState(Enum):
    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    DEPRECATED = "DEPRECATED"
    ARCHIVED = "ARCHIVED"


_WAYS: dict[EventTypeState, tuple[EventTypeState, ...]] = {
    EventTypeState.DRAFT: (EventTypeState.PUBLISHED, EventTypeState.ARCHIVED),
    EventTypeState.PUBLISHED: (EventTypeState.DEPRECATED, EventTypeState.ARCHIVED),
    EventTypeState.DEPRECATED: (EventTypeState.PUBLISHED, EventTypeState.ARCHIVED),
    EventTypeState.ARCHIVED: (EventTypeState.DEPRECATED,),
}


@dataclass(frozen=True)
class TransitionProblem(Problem):
    """The lifecycle does not lead there: where it is, and where it may go."""

    state: EventTypeState = EventTypeState.DRAFT
    allowed: tuple[EventTypeState, ...] = ()


def ways(state: EventTypeState) -> tuple[EventTypeState, ...]:
    """The states that the lifecycle leads to from this one."""
    return _WAYS[state]


def transition_problems(
    state: EventTypeState, to: EventTypeState, sunset_at: datetime | None
) -> list[Problem]:
    """Why an event type cannot move. To stay where it is, is no error."""
    if to is not state and to not in ways(state):
        allowed = " or ".join(each.value for each in ways(state))
        message = f"From {state.value} it may become {allowed}, not {to.value}."
        code = UserErrorCode.ILLEGAL_TRANSITION
        return [TransitionProblem(code, message, ("to",), state, ways(state))]
    if sunset_at is not None and to is not EventTypeState.DEPRECATED:
        return [invalid("Goes with DEPRECATED alone.", "sunsetAt")]
    return []


def closed(
    type_name: str,
    state: EventTypeState,
    named: str,
    sunset_at: datetime | None = None,
    now: datetime | None = None,
) -> list[Problem]:
    """Why an event type in this state takes no events, told of the input that named it."""
    if state in (EventTypeState.DRAFT, EventTypeState.ARCHIVED):
        message = f"Event type {type_name} is {state.value} and takes no events."
    elif sunset_at is not None and now is not None and sunset_at <= now:
        message = f"Event type {type_name} takes no events since {write_instant(sunset_at)}."
    else:
        return []
    return [Problem(UserErrorCode.EVENT_TYPE_CLOSED, message, (named,))]


def outdated(
    type_name: str, state: EventTypeState, named: str, sunset_at: datetime | None = None
) -> list[Problem]:
    """The warning that goes with an event of a type which is on its way out."""
    if state is not EventTypeState.DEPRECATED:
        return []
    until = "" if sunset_at is None else f" and takes no events from {write_instant(sunset_at)} on"
    message = f"Event type {type_name} is DEPRECATED{until}."
    return [Problem(UserErrorCode.EVENT_TYPE_CLOSED, message, (named,))]
