"""The table of event attributes names what the representations of an event have."""

from __future__ import annotations

from dataclasses import fields

from strawberry.utils.str_converters import to_camel_case

from app.domain.events.filters import CONDITIONS, EventFilter
from app.domain.events.state import ATTRIBUTES, EventDraft, EventState, Use, attributes_with
from app.graphql.schema import build_schema
from app.graphql.types.event_inputs import LogEventInput, UpdateEventInput
from app.store.tables import Event

COMPUTED = {"entity_type", "entity_id", "latest_occurrence", "acknowledged"}
# Set by a CloudEvent only.
WITHOUT_INPUT = {"extensions", "payload"}
SCHEMA = build_schema()._schema


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
    of_drafts_only = {"event_type_id", "acknowledged", "severity_level", "severity_text"}

    assert _names(EventDraft) - of_drafts_only == reported
    assert _names(LogEventInput) == reported - WITHOUT_INPUT | {"event_type_id", "acknowledged"}


def test_the_input_of_update_event_has_the_updatable_attributes() -> None:
    updatable = {attribute.name for attribute in attributes_with(Use.UPDATABLE)}

    assert _names(UpdateEventInput) == updatable | {"id", "if_version"}


def test_both_filters_have_the_conditions_of_the_table() -> None:
    listed = {to_camel_case(name) for name in CONDITIONS}

    assert CONDITIONS.keys() < _names(EventFilter)
    assert listed - _input_fields("EventFilter") == {"entityType"}  # for `containerEvents` only
