"""The table of event attributes names what the representations of an event have."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints

import pytest
import strawberry
from strawberry.utils.str_converters import to_camel_case

from app.domain.events.filters import CONDITIONS, EventAttribute, EventFilter
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import ATTRIBUTES, Entity, EventDraft, EventState, Use, attributes_with
from app.domain.intake.intake import validate_report
from app.domain.shared.limits import Limits
from app.graphql.schema import build_schema
from app.graphql.types.event_inputs import (
    EntityInput,
    LogEventInput,
    TagFilter,
    TimeRange,
    UpdateEventInput,
)
from app.graphql.types.event_inputs import EventFilter as EventFilterInput
from app.store.tables import Event
from tests.domain.examples import EVENT_ID, accepted_event, make_command_context, make_draft

COMPUTED = {"entity_type", "entity_id", "latest_occurrence", "acknowledged", "status"}
# Validation converts them, or replaces an omitted one.
CONVERTED = {
    *("type", "severity", "summary", "source", "occurred_at", "fields", "tags", "notification")
}
# Set by a CloudEvent only.
WITHOUT_INPUT = {"extensions", "payload"}
SCHEMA = build_schema().graphql_schema


def _names(type_: type) -> set[str]:
    return {field.name for field in fields(type_)}


def _input_fields(name: str) -> set[str]:
    return set(SCHEMA.type_map[name].fields)  # type: ignore[attr-defined]


def test_every_attribute_of_the_state_is_in_the_table_once() -> None:
    listed = [attribute.name for attribute in ATTRIBUTES]

    assert sorted(listed) == sorted(_names(EventState) | COMPUTED)


def test_every_attribute_that_is_not_computed_has_a_column() -> None:
    columns = set(Event.model_fields)

    assert {each.name for each in ATTRIBUTES} - columns == {"entity", "acknowledged"}


def test_a_draft_and_the_input_of_log_event_have_the_reported_attributes() -> None:
    reported = {attribute.name for attribute in attributes_with(Use.REPORTED)}
    of_drafts_only = {
        *("event_type_id", "acknowledged", "resolved", "severity_level", "severity_text"),
        *("resolved_at", "is_cloud_event", "has_field_names", "type_version"),
        *("state_digest", "started_at", "sent_at"),
    }

    assert _names(EventDraft) - of_drafts_only == reported
    assert _names(LogEventInput) == reported - WITHOUT_INPUT | {
        *("event_type_id", "acknowledged", "resolved")
    }


def test_the_input_of_log_event_passes_every_attribute_to_the_draft() -> None:
    values: dict[str, Any] = {name: name for name in _names(LogEventInput)}

    draft = LogEventInput(
        **values | {"entity": EntityInput(type="Well", id="1"), "tags": ["a"]}
    ).to_domain()

    assert draft == EventDraft(**values | {"entity": Entity("Well", "1"), "tags": ("a",)})


# A value of each type of a condition; lists are empty.
SAMPLES: dict[Any, Any] = {
    bool: True,
    str: str(EVENT_ID),
    strawberry.ID: str(EVENT_ID),
    Outcome: Outcome.SUCCESS,
    EntityInput: EntityInput(type="Well", id="1"),
    TimeRange: TimeRange(),
    TagFilter: TagFilter(),
    EventFilterInput: EventFilterInput(),
}


@pytest.mark.parametrize("name", [field.name for field in fields(EventFilterInput)])
def test_the_input_of_a_filter_passes_every_condition_to_the_filter(name: str) -> None:
    [type_, *_] = get_args(get_type_hints(EventFilterInput)[name])
    value: Any = [] if get_origin(type_) is list else SAMPLES[type_]

    converted = EventFilterInput(**{name: value}).to_domain(Limits())

    assert {each for each, condition in vars(converted).items() if condition is not None} == {name}


def test_the_input_of_update_event_has_the_updatable_attributes() -> None:
    updatable = {attribute.name for attribute in attributes_with(Use.UPDATABLE)}

    assert _names(UpdateEventInput) == updatable | {"id", "if_version"}


def test_both_filters_have_the_conditions_of_the_table() -> None:
    listed = {to_camel_case(name) for name in CONDITIONS}

    assert CONDITIONS.keys() < _names(EventFilter)
    assert listed - _input_fields("EventFilter") == {"entityType"}  # for `containerEvents` only


@pytest.mark.parametrize("name", [each.name for each in attributes_with(Use.REPORTED)])
def test_a_reported_attribute_arrives_in_the_state(name: str) -> None:
    reported = make_draft(alert_key="pump-3-tripped")

    event = accepted_event(validate_report(reported, None, make_command_context(), EVENT_ID))

    value = getattr(event, name)
    expected = getattr(reported, name)
    assert expected not in (None, _default_of_state(name))
    assert value == (Severity.WARN if name == "severity" else expected)


def test_an_omitted_attribute_has_the_default_of_the_state() -> None:
    event = accepted_event(validate_report(EventDraft(), None, make_command_context(), EVENT_ID))

    copied = {each.name for each in attributes_with(Use.REPORTED)} - CONVERTED
    assert {name: getattr(event, name) for name in copied} == {
        name: _default_of_state(name) for name in copied
    }


def _default_of_state(name: str) -> Any:
    return {field.name: field.default for field in fields(EventState)}[name]


def test_a_draft_and_a_state_have_the_same_types_of_copied_attributes() -> None:
    of_drafts, of_states = get_type_hints(EventDraft), get_type_hints(EventState)

    different = {
        each.name
        for each in attributes_with(Use.REPORTED)
        if of_drafts[each.name] not in (of_states[each.name], of_states[each.name] | None)
    }

    assert different == {"fields", "severity"}  # any JSON value, and any text


def test_the_filter_for_missing_attributes_has_the_nullable_ones() -> None:
    without_empty = {"fields", "tags", "extensions", "payload"}

    nullable = {each.name for each in attributes_with(Use.REPORTED | Use.NULLABLE)} - without_empty

    assert {each.value for each in EventAttribute} == nullable | {"category", "silenced_by_id"}
