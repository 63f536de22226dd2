"""The events that a filter selects."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.domain.events.filters import (
    EventAttribute,
    EventFilter,
    TagFilter,
    TimeRange,
    filter_matches,
    validate_filter_size,
)
from app.domain.events.predicates import FieldPredicate, PredicateOperator
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventState, EventStatus
from app.domain.shared.limits import Limits
from app.domain.shared.problems import invalid_input
from tests.domain.examples import EARLIER, EVENT_ID, NOW, OTHER_ID, SILENCE_ID, TYPE_ID, make_event

A_MICROSECOND = timedelta(microseconds=1)

# For every attribute: a condition that selects `make_alert()`, and one that does not.
SELECTING: dict[str, Any] = {
    "ids": (OTHER_ID, EVENT_ID),
    "event_type_id": TYPE_ID,
    "types": ("other", "pump.tripped"),
    "category": "pumps",
    "entity": Entity("Well", "well-001"),
    "entity_id": "well-001",
    "entity_type": "Well",
    "severities": (Severity.ERROR, Severity.WARN),
    "source": "//scada/pumps",
    "source_ids": ("trip-16", "trip-17"),
    "subject": "pump-3",
    "outcome": Outcome.FAILURE,
    "duplicate": False,
    "occurred_at": TimeRange(EARLIER, NOW),
    "last_occurred_at": TimeRange(EARLIER, NOW),
    "recorded_at": TimeRange(EARLIER, NOW),
    "updated_at": TimeRange(EARLIER, NOW),
    "notification": True,
    "acknowledged": True,
    "alert_key": "pump-3-tripped",
    "statuses": (EventStatus.OPEN, EventStatus.ACKNOWLEDGED),
    "silenced_by": SILENCE_ID,
    "tags": TagFilter(all=("Study:12",), any=("other", "Study:12")),
    "missing": (),
    "search": "TRIPPED pump",
    "fields": (FieldPredicate("pressure", PredicateOperator.GT, 4),),
    "and_": (EventFilter(), EventFilter(subject="pump-3")),
    "or_": (EventFilter(subject="pump-4"), EventFilter(subject="pump-3")),
    "not_": EventFilter(subject="pump-4"),
}
MISSING: dict[str, Any] = {
    "ids": (OTHER_ID,),
    "event_type_id": OTHER_ID,
    "types": ("other", "pump"),
    "category": "Pumps",
    "entity": Entity("Pump", "well-001"),
    "entity_id": "well-002",
    "entity_type": "Pump",
    "severities": (Severity.ERROR, Severity.SUCCESS),
    "source": "//scada",
    "source_ids": ("trip-16",),
    "subject": "pump-4",
    "outcome": Outcome.SUCCESS,
    "duplicate": True,
    "occurred_at": TimeRange(end=EARLIER),
    "last_occurred_at": TimeRange(start=NOW),
    "recorded_at": TimeRange(start=NOW),
    "updated_at": TimeRange(end=EARLIER),
    "notification": False,
    "acknowledged": False,
    "alert_key": "pump-3",
    "statuses": (EventStatus.OPEN, EventStatus.RESOLVED),
    "silenced_by": OTHER_ID,
    "tags": TagFilter(all=("Study:12", "other")),
    "missing": (EventAttribute.SUBJECT,),
    "search": "pump tripped twice",
    "fields": (FieldPredicate("pressure", PredicateOperator.LT, 4),),
    "and_": (EventFilter(), EventFilter(subject="pump-4")),
    "or_": (EventFilter(subject="pump-4"), EventFilter(subject="pump-5")),
    "not_": EventFilter(subject="pump-3"),
}
ATTRIBUTES = [attribute.name for attribute in fields(EventFilter)]


def make_alert(**overrides: Any) -> EventState:
    return make_event(**{"alert_key": "pump-3-tripped"} | overrides)


def test_an_empty_filter_selects_every_event() -> None:
    assert filter_matches(EventFilter(), make_alert())


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_a_condition_selects_events_with_that_value(attribute: str) -> None:
    expected = _filter_by(attribute, SELECTING[attribute])

    assert filter_matches(expected, make_alert())


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_all_conditions_must_hold(attribute: str) -> None:
    expected = replace(EventFilter(**SELECTING), **{attribute: MISSING[attribute]})

    assert not filter_matches(expected, make_alert())


@pytest.mark.parametrize("attribute", ["ids", "types", "severities", "source_ids"])
def test_an_empty_list_selects_nothing(attribute: str) -> None:
    expected = _filter_by(attribute, ())

    assert not filter_matches(expected, make_alert())


@pytest.mark.parametrize(
    ("attribute", "absent"),
    [
        ("event_type_id", "event_type_id"),
        ("entity", "entity"),
        ("entity_id", "entity"),
        ("source_ids", "source_id"),
        ("subject", "subject"),
        ("outcome", "outcome"),
        ("alert_key", "alert_key"),
        ("acknowledged", "acknowledged_at"),
    ],
)
def test_a_condition_on_an_absent_attribute_is_false(attribute: str, absent: str) -> None:
    expected = _filter_by(attribute, SELECTING[attribute])

    assert not filter_matches(expected, make_alert(**{absent: None}))


@pytest.mark.parametrize("attribute", EventAttribute)
def test_missing_selects_an_event_whose_attribute_is_null(attribute: EventAttribute) -> None:
    is_missing = EventFilter(missing=(attribute,))

    assert filter_matches(is_missing, make_alert(**{attribute.value: None}))
    assert not filter_matches(is_missing, make_alert())


def test_missing_selects_events_in_which_all_of_the_attributes_are_null() -> None:
    are_missing = EventFilter(missing=(EventAttribute.SUBJECT, EventAttribute.OUTCOME))

    assert filter_matches(are_missing, make_event(subject=None, outcome=None))
    assert not filter_matches(are_missing, make_event(subject=None))


def test_the_last_occurrence_is_that_of_a_counted_duplicate_or_of_the_event_if_it_is_later() -> (
    None
):
    since_now = EventFilter(last_occurred_at=TimeRange(start=NOW))

    assert filter_matches(since_now, make_event(occurred_at=EARLIER, last_occurred_at=NOW))
    assert filter_matches(since_now, make_event(occurred_at=NOW, last_occurred_at=EARLIER))
    assert not filter_matches(since_now, make_event(occurred_at=EARLIER, last_occurred_at=None))


@pytest.mark.parametrize("attribute", ["notification", "acknowledged"])
def test_false_is_a_condition_that_selects_the_other_events(attribute: str) -> None:
    expected = _filter_by(attribute, False)

    assert filter_matches(expected, make_event(notification=False, acknowledged_at=None))
    assert not filter_matches(expected, make_alert())


@pytest.mark.parametrize(
    ("name", "type_name", "selected"),
    [
        ("pump.*", "pump.tripped", True),
        ("pump.*", "pump.", True),
        ("pump*", "pump", True),
        ("pump*", "pumps.tripped", True),
        ("*", "anything", True),
        ("pump.*", "pump", False),
        ("pump.*", "Pump.tripped", False),
        ("*.tripped", "pump.tripped", False),
        ("p*p.tripped", "pump.tripped", False),
        ("pump.", "pump.tripped", False),
        ("pump_tripped", "pump.tripped", False),
        ("100%*", "100 percent", False),
        ("pump.tripped", "PUMP.TRIPPED", False),
    ],
)
def test_a_type_is_exact_or_a_prefix_if_it_ends_in_an_asterisk(
    name: str, type_name: str, selected: bool
) -> None:
    expected = EventFilter(types=(name,))

    assert filter_matches(expected, make_event(type=type_name)) is selected


@pytest.mark.parametrize("attribute", ["occurred_at", "recorded_at"])
@pytest.mark.parametrize(
    ("start", "end", "selected"),
    [
        (None, None, True),
        (EARLIER, None, True),
        (EARLIER + A_MICROSECOND, None, False),
        (None, EARLIER, False),
        (None, EARLIER + A_MICROSECOND, True),
        (EARLIER, EARLIER, False),
        (EARLIER, EARLIER + A_MICROSECOND, True),
        (NOW, EARLIER, False),
    ],
)
def test_a_range_includes_its_start_and_excludes_its_end(
    attribute: str, start: datetime | None, end: datetime | None, selected: bool
) -> None:
    expected = _filter_by(attribute, TimeRange(start, end))

    assert filter_matches(expected, make_alert()) is selected


def _filter_by(attribute: str, value: Any) -> EventFilter:
    attributes: dict[str, Any] = {attribute: value}
    return EventFilter(**attributes)


@pytest.mark.parametrize(
    ("filter", "selected"),
    [
        (EventFilter(and_=()), True),
        (EventFilter(or_=()), False),
        (EventFilter(not_=EventFilter()), False),
        (EventFilter(tags=TagFilter()), True),
        (EventFilter(tags=TagFilter(all=())), False),
        (EventFilter(tags=TagFilter(any=())), False),
        (EventFilter(tags=TagFilter(any=("other",))), False),
    ],
)
def test_empty_filters(filter: EventFilter, selected: bool) -> None:
    assert filter_matches(filter, make_alert()) is selected


def test_a_filter_has_at_most_5_levels() -> None:
    nested = EventFilter()
    for _ in range(4):
        nested = EventFilter(not_=nested)

    assert validate_filter_size(nested, Limits()) == []
    assert validate_filter_size(EventFilter(and_=(nested,)), Limits()) == [
        invalid_input("At most 5 levels of nested filters are allowed; this filter has 6.")
    ]


def test_a_filter_has_at_most_100_conditions() -> None:
    two = EventFilter(subject="a", tags=TagFilter(any=("b",)))

    assert validate_filter_size(EventFilter(or_=(two,) * 50), Limits()) == []
    assert validate_filter_size(EventFilter(or_=(two,) * 50, source="c"), Limits()) == [
        invalid_input("At most 100 conditions are allowed; this filter has 101.")
    ]
