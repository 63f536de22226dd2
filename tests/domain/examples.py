"""Factories of domain objects: a test sets only the attributes that matter to it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.domain.access.caller import Caller
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventDraft, EventState
from app.domain.intake.intake import (
    Accepted,
    CommandContext,
    EventTypeSnapshot,
    Rejected,
    ValidationResult,
)
from app.domain.rules.expressions import EvaluationContext, Expression
from app.domain.shared.problems import Problem

NOW = datetime(2026, 4, 10, 10, 30, tzinfo=UTC)
EARLIER = datetime(2026, 4, 9, 8, 0, tzinfo=UTC)
EVENT_ID = UUID("0196201a-0000-7000-8000-00000000000e")
TYPE_ID = UUID("0196201a-0000-7000-8000-00000000000f")
SILENCE_ID = UUID("0196201a-0000-7000-8000-0000000000aa")
OTHER_ID = UUID("0196201a-0000-7000-8000-0000000000ff")


def make_caller(**overrides: Any) -> Caller:
    defaults: dict[str, Any] = {
        "name": "field desk",
        "organization_id": OTHER_ID,
        "permissions": frozenset(),
    }
    return Caller(**defaults | overrides)


def make_command_context(**overrides: Any) -> CommandContext:
    defaults: dict[str, Any] = {"actor": make_caller(), "now": NOW}
    return CommandContext(**defaults | overrides)


def make_field(**overrides: Any) -> FieldDefinition:
    defaults: dict[str, Any] = {"name": "volume", "kind": FieldKind.NUMBER}
    return FieldDefinition(**defaults | overrides)


def make_event_type(*fields: FieldDefinition, **overrides: Any) -> EventTypeSnapshot:
    defaults: dict[str, Any] = {
        "id": TYPE_ID,
        "type": "flaring.flaring_incident",
        "name": "Flaring Incident",
        "category": "flaring",
        "state": EventTypeState.PUBLISHED,
        "version": 3,
        "fields": fields,
    }
    return EventTypeSnapshot(**defaults | overrides)


_REPORTED: dict[str, Any] = {
    "type": "pump.tripped",
    "entity": Entity("Well", "well-001"),
    "summary": "Pump 3 tripped",
    "content": "It was the bearing.",
    "source": "//scada/pumps",
    "source_id": "trip-17",
    "subject": "pump-3",
    "outcome": Outcome.FAILURE,
    "occurred_at": EARLIER,
    "fields": {"pressure": 4.5},
    "tags": ("Study:12",),
    "notification": True,
}


def make_draft(**overrides: Any) -> EventDraft:
    """A draft with every attribute set, except the registered type."""
    defaults = _REPORTED | {
        "severity": "warn",
        "acknowledged": False,
        "extensions": {"traceparent": "00-1"},
        "payload": {"datacontenttype": "application/vnd.acme+json"},
    }
    return EventDraft(**defaults | overrides)


def make_event(**overrides: Any) -> EventState:
    defaults = _REPORTED | {
        "id": EVENT_ID,
        "event_type_id": TYPE_ID,
        "event_type_version": 3,
        "category": "pumps",
        "severity": Severity.WARN,
        "recorded_at": EARLIER,
        "updated_at": EARLIER,
        "acknowledged_at": EARLIER,
        "acknowledged_by": "night shift",
        "acknowledgement_note": "On it.",
        "silenced_by_id": SILENCE_ID,
        "version": 2,
        "extensions": {"traceparent": "00-1"},
        "payload": {"datacontenttype": "application/vnd.acme+json"},
    }
    return EventState(**defaults | overrides)


def accepted_event(result: ValidationResult) -> EventState:
    assert isinstance(result, Accepted), result
    return result.event


def rejected_problems(result: ValidationResult) -> tuple[Problem, ...]:
    assert isinstance(result, Rejected), result
    return result.problems


def codes_and_paths(problems: Iterable[Problem]) -> list[tuple[str, tuple[str, ...]]]:
    """Code and path of each, sorted."""
    return sorted((problem.code.value, problem.path) for problem in problems)


def nest_value(levels: int, innermost: Any = None, *, key: str | None = None) -> Any:
    """A value nested in the given number of lists, or of objects if there is a key."""
    value = innermost
    for _ in range(levels):
        value = [value] if key is None else {key: value}
    return value


def is_utf_8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


FLARING = make_event_type(
    make_field(name="volume", required=True, minimum=0.0),
    make_field(name="cause", kind=FieldKind.SELECT, options=("Maintenance", "Failure")),
    make_field(name="remarks", kind=FieldKind.TEXT),
)
FREE_FORM = make_event(event_type_id=None, event_type_version=None, fields={"a": 1, "b": 2})
FLARED = make_event(
    type=FLARING.type, fields={"volume": 150, "cause": "Maintenance", "remarks": "None."}
)


def evaluate_expression(
    expression: Expression, event: EventState, old: EventState | None, now: datetime
) -> bool | str:
    """Evaluates one expression. Returns its result or an error message."""
    return EvaluationContext(event, old, now).evaluate(expression)
