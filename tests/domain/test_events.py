"""The state of an event in the change log, and the changes between two states."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given

from app.domain.events.severity import Severity
from app.domain.events.state import Entity, EventState, diff_states
from app.domain.shared.values import format_instant
from tests.domain.examples import EARLIER, NOW, make_event
from tests.domain.strategies import EVENTS


def test_the_change_log_stores_an_event_under_the_names_of_the_api() -> None:
    event = make_event(severity_text="warning", alert_key="pump-3-tripped")

    serialized = event.to_json()

    assert serialized == {
        "id": "0196201a-0000-7000-8000-00000000000e",
        "type": "pump.tripped",
        "severity": "WARN",
        "summary": "Pump 3 tripped",
        "source": "//scada/pumps",
        "occurredAt": "2026-04-09T08:00:00.000000Z",
        "recordedAt": "2026-04-09T08:00:00.000000Z",
        "updatedAt": "2026-04-09T08:00:00.000000Z",
        "eventTypeId": "0196201a-0000-7000-8000-00000000000f",
        "eventTypeVersion": 3,
        "category": "pumps",
        "entity": {"type": "Well", "id": "well-001"},
        "content": "It was the bearing.",
        "sourceId": "trip-17",
        "subject": "pump-3",
        "outcome": "FAILURE",
        "fields": {"pressure": 4.5},
        "tags": ["Study:12"],
        "duplicateOfId": None,
        "occurrences": 1,
        "lastOccurredAt": None,
        "notification": True,
        "acknowledgedAt": "2026-04-09T08:00:00.000000Z",
        "acknowledgedBy": "night shift",
        "acknowledgementNote": "On it.",
        "alertKey": "pump-3-tripped",
        "resolvedAt": None,
        "resolvedBy": None,
        "resolutionNote": None,
        "silencedById": "0196201a-0000-7000-8000-0000000000aa",
        "version": 2,
        "severityText": "warning",
        "summaryGiven": True,
        "extensions": {"traceparent": "00-1"},
        "payload": {"datacontenttype": "application/vnd.acme+json"},
    }


def test_the_change_log_stores_instants_in_utc() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    event = make_event(occurred_at=datetime(2026, 4, 10, 1, 0, 0, 7, tzinfo=india))

    serialized = event.to_json()

    assert serialized["occurredAt"] == "2026-04-09T19:30:00.000007Z"
    assert EventState.from_json(serialized).occurred_at.tzinfo is UTC


@given(EVENTS)
def test_every_event_is_restored_from_the_text_of_the_change_log(event: EventState) -> None:
    text = json.dumps(event.to_json(), ensure_ascii=False, allow_nan=False).encode()

    read = EventState.from_json(json.loads(text))

    assert read == event


def test_attributes_that_an_older_change_log_lacks_get_their_defaults() -> None:
    serialized = make_event().to_json()
    for name in ("tags", "entity", "notification", "acknowledgedAt", "version", "fields"):
        del serialized[name]

    read = EventState.from_json(serialized)

    assert read == make_event(
        tags=(), entity=None, notification=False, acknowledged_at=None, version=1, fields={}
    )


def test_other_entries_of_the_change_log_are_ignored() -> None:
    serialized = make_event().to_json() | {"weather": "fine"}

    read = EventState.from_json(serialized)

    assert read == make_event()


def test_a_change_has_the_values_before_and_after() -> None:
    before = make_event(tags=("a",), content=None)
    after = make_event(
        tags=("a", "b"),
        content="It was the bearing.",
        severity=Severity.ERROR,
        entity=Entity("Well", "well-002"),
        occurred_at=NOW,
        fields={"pressure": 5},
    )

    changes = diff_states(before, after)

    assert changes == {
        "tags": [["a"], ["a", "b"]],
        "content": [None, "It was the bearing."],
        "severity": ["WARN", "ERROR"],
        "entity": [{"type": "Well", "id": "well-001"}, {"type": "Well", "id": "well-002"}],
        "occurredAt": ["2026-04-09T08:00:00.000000Z", "2026-04-10T10:30:00.000000Z"],
        "fields": [{"pressure": 4.5}, {"pressure": 5}],
    }


def test_of_the_bookkeeping_attributes_only_the_update_time_is_a_change() -> None:
    before = make_event(version=2, updated_at=EARLIER, summary_given=True)
    after = make_event(version=3, updated_at=NOW, summary_given=False)

    changes = diff_states(before, after)

    assert changes == {"updatedAt": [format_instant(EARLIER), format_instant(NOW)]}


@pytest.mark.parametrize(("old", "new"), [(1, True), (False, 0), ([1.0], [True])])
def test_a_number_that_becomes_a_boolean_is_a_change(old: object, new: object) -> None:
    before, after = make_event(fields={"running": old}), make_event(fields={"running": new})

    changes = diff_states(before, after)

    assert list(changes) == ["fields"]


@given(EVENTS, EVENTS)
def test_the_changes_applied_to_the_old_state_give_the_new_one(
    before: EventState, other: EventState
) -> None:
    after = replace(other, id=before.id)

    changes = diff_states(before, after)

    bookkeeping = {name: after.to_json()[name] for name in ("version", "summaryGiven")}
    reached = before.to_json() | {name: new for name, [_, new] in changes.items()} | bookkeeping
    assert reached == after.to_json()
    assert all(old != new for old, new in changes.values())


def test_all_attributes_of_a_logged_event_are_new() -> None:
    changes = diff_states(None, make_event(content=None, tags=("a",)))

    assert changes["tags"] == [None, ["a"]]
    assert not {"id", "content", "version"} & changes.keys()


def test_all_attributes_of_a_deleted_event_are_removed() -> None:
    changes = diff_states(make_event(content=None, tags=("a",)), None)

    assert changes["tags"] == [["a"], None]
    assert not {"id", "content", "version"} & changes.keys()
