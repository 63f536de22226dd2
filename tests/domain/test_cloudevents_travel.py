"""A CloudEvent that another Tocsin server parses is formatted there as the same CloudEvent."""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.domain.events.cloudevents import format_cloud_event, schema_url
from app.domain.events.severity import Outcome
from app.domain.events.state import Entity, EventDraft, EventState
from app.domain.events.uris import is_uri_reference, to_uri_reference
from app.domain.intake.cloudevent_data import decode_json
from app.domain.intake.cloudevent_parsing import parse_cloud_event
from app.domain.intake.intake import EventTypeSnapshot, validate_report, validate_update
from app.domain.shared.limits import Limits
from app.domain.shared.values import format_instant
from tests.domain.examples import (
    EVENT_ID,
    NOW,
    OTHER_ID,
    accepted_event,
    make_command_context,
    make_event_type,
)
from tests.domain.strategies import INSTANTS, STORABLE_JSON, STORABLE_OBJECTS, STORABLE_TEXT

BASE = "https://tocsin.example"
HERE, THERE = make_command_context(), make_command_context(now=NOW + timedelta(hours=1))
ON_A_LINE = st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"])
NAMES = st.text(ON_A_LINE, min_size=1, max_size=30)
LONG_NAMES = st.builds(lambda each, times: (each * times)[:255], NAMES, st.integers(1, 255))
ODD_SOURCES = st.text("aé%2:/#?[]@ <", min_size=1, max_size=12)
SOURCES = st.sampled_from(["/a/b", "urn:x:y", "https://x/?q#f"]) | ODD_SOURCES | LONG_NAMES
TYPES = st.just("flaring.flaring_incident") | NAMES.filter(lambda name: not name.endswith("*"))
ENTITIES = st.builds(Entity, LONG_NAMES, LONG_NAMES)
TIMES = INSTANTS.filter(lambda instant: instant <= NOW)
SPECS = st.none() | st.just(make_event_type())

DRAFTS = st.builds(
    EventDraft,
    type=st.none() | TYPES,
    entity=st.none() | ENTITIES,
    severity=st.sampled_from([None, "error", "warn", "info", "success"]),
    summary=st.none() | STORABLE_TEXT | st.just("flaring.flaring_incident"),
    content=st.none() | STORABLE_TEXT,
    source=st.none() | SOURCES,
    source_id=st.none() | NAMES,
    subject=st.none() | LONG_NAMES,
    outcome=st.none() | st.sampled_from(Outcome),
    occurred_at=st.none() | TIMES,
    fields=st.none() | STORABLE_OBJECTS,
    tags=st.none() | st.lists(NAMES, max_size=3).map(tuple),
    notification=st.none() | st.booleans(),
)
VALUES = (
    st.booleans()
    | st.integers(-(2**31), 2**31 - 1)
    | st.text(ON_A_LINE, max_size=20)
    | st.sampled_from(["SUCCESS", "true", "Well", "well-001", "Well/well-001", "pump"])
)
EXTENSIONS = ("entitytype", "entityid", "outcome", "notification", "summary", "partitionkey", "a1")
CLOUD_EVENTS = st.fixed_dictionaries(
    {
        "specversion": st.just("1.0"),
        "id": NAMES,
        "source": SOURCES.filter(is_uri_reference),
        "type": TYPES,
    },
    optional={
        "subject": NAMES | st.just("Well/well-001"),
        "time": TIMES.map(format_instant),
        "datacontenttype": st.sampled_from(["application/json", "text/plain; charset=utf-8"]),
        "dataschema": st.just("https://example.com/schema#a"),
        "planningtags": st.lists(NAMES, max_size=3),
        "severitytext": st.sampled_from(["ERROR", "FATAL", ""]),
        "severitynumber": st.integers(1, 24),
        "recordedtime": TIMES.map(format_instant),
        **dict.fromkeys(EXTENSIONS, VALUES),
    },
)
DATA = st.one_of(
    st.just({}),
    st.builds(lambda data: {"data": data}, STORABLE_JSON),
    st.builds(
        lambda data: {"data_base64": base64.b64encode(data).decode()}, st.binary(max_size=20)
    ),
)
UPDATES = st.fixed_dictionaries(
    {},
    optional={
        "entity": st.none() | ENTITIES,
        "summary": STORABLE_TEXT,
        "outcome": st.none() | st.sampled_from(Outcome),
        "notification": st.booleans(),
        "fields": STORABLE_OBJECTS,
        "tags": st.lists(NAMES, max_size=3).map(tuple),
    },
)


def serialize_event(event: EventState) -> dict[str, Any]:
    """Serializes the event as it is sent."""
    out = format_cloud_event(event, schema_url(BASE, event))
    sent: dict[str, Any] = json.loads(json.dumps(out, allow_nan=False).encode())
    return sent


def accept_event(value: object, spec: EventTypeSnapshot | None, command: Any = THERE) -> EventState:
    draft = parse_cloud_event(value, Limits())
    assert isinstance(draft, EventDraft), draft
    return accepted_event(validate_report(draft, spec, command, OTHER_ID))


def assert_round_trip(event: EventState, there: EventTypeSnapshot | None = None) -> None:
    first = serialize_event(event)

    again = serialize_event(accept_event(first, there))

    changed = {"recordedtime": None}
    assert again | changed == first | changed


@given(DRAFTS, st.uuids())
def test_every_event_survives_a_round_trip(draft: EventDraft, event_id: UUID) -> None:
    assert_round_trip(accepted_event(validate_report(draft, None, HERE, event_id)))


@given(CLOUD_EVENTS, DATA)
def test_every_cloud_event_survives_a_second_round_trip(
    value: dict[str, Any], data: dict[str, Any]
) -> None:
    assert_round_trip(accept_event(value | data, None, HERE))


@given(CLOUD_EVENTS, DATA, UPDATES)
def test_an_updated_event_survives_a_round_trip(
    value: dict[str, Any], data: dict[str, Any], update: dict[str, Any]
) -> None:
    event = accept_event(value | data, None, HERE)

    assert_round_trip(accepted_event(validate_update(event, update, None, HERE)))


@given(DRAFTS, st.booleans())
def test_an_event_of_a_registered_type_survives_a_round_trip(
    draft: EventDraft, registered_there: bool
) -> None:
    spec = make_event_type()
    named = EventDraft(**vars(draft) | {"type": spec.type, "fields": None})

    assert_round_trip(
        accepted_event(validate_report(named, spec, HERE, EVENT_ID)),
        spec if registered_there else None,
    )


@given(CLOUD_EVENTS, DATA)
def test_received_attributes_are_returned(value: dict[str, Any], data: dict[str, Any]) -> None:
    """Except for attributes that Tocsin sets: severities, the recorded time and default values.

    Bytes that are JSON by their type and their content are returned as their value.
    """
    out = serialize_event(accept_event(value | data, None, HERE))

    ours = {"severitytext", "severitynumber", "recordedtime", "planningtags", "time"}
    came = {name: each for name, each in (value | data).items() if name not in ours}
    with contextlib.suppress(KeyError, ValueError):
        decoded = decode_json(base64.b64decode(came["data_base64"]), came.get("datacontenttype"))
        del came["data_base64"]
        came["data"] = decoded
    assert {name: out.get(name) for name in came} == came


@given(SOURCES)
def test_every_source_has_an_equivalent_uri_reference(source: str) -> None:
    reference = to_uri_reference(source)

    assert is_uri_reference(reference)
    assert to_uri_reference(reference) == reference
    assert reference == source or len(reference) <= 255
