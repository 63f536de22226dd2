"""The states of an event type, and what each means for a report."""

from __future__ import annotations

from enum import Enum

from app.domain.problems import Problem, UserErrorCode


class EventTypeState(Enum):
    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    DEPRECATED = "DEPRECATED"
    ARCHIVED = "ARCHIVED"


def closed(type_name: str, state: EventTypeState, named: str) -> list[Problem]:
    """Why an event type in this state takes no events, told of the input that named it."""
    if state in (EventTypeState.PUBLISHED, EventTypeState.DEPRECATED):
        return []
    message = f"Event type {type_name} is {state.value} and takes no events."
    return [Problem(UserErrorCode.EVENT_TYPE_CLOSED, message, (named,))]


def outdated(type_name: str, state: EventTypeState, named: str) -> list[Problem]:
    """The warning that goes with an event of a type which is on its way out."""
    if state is not EventTypeState.DEPRECATED:
        return []
    message = f"Event type {type_name} is DEPRECATED."
    return [Problem(UserErrorCode.EVENT_TYPE_CLOSED, message, (named,))]
