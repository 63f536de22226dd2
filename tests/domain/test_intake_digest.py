"""The digest of a report, which identifies a replay."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventDraft
from tests.domain.examples import (
    EARLIER,
    OTHER_ID,
    TYPE_ID,
    make_draft,
    nest_value,
)
from tests.domain.strategies import DRAFTS

INDIA = timezone(timedelta(hours=5, minutes=30))
A_MICROSECOND = timedelta(microseconds=1)

OTHER_VALUES: dict[str, Any] = {
    "event_type_id": str(OTHER_ID),
    "type": "pump.stopped",
    "entity": Entity("well-001", "Well"),
    "severity": "warning",
    "summary": "pump 3 tripped",
    "content": "",
    "source": "//scada/pumps/",
    "source_id": "trip-18",
    "subject": "//scada/pumps",
    "outcome": Outcome.SUCCESS,
    "occurred_at": EARLIER + A_MICROSECOND,
    "fields": {"pressure": "4.5"},
    "tags": ("Study", "12"),
    "notification": False,
    "acknowledged": True,
    "extensions": {"traceparent": "00-2"},
    "payload": {"data": "tripped"},
}


# Digests exclude what was derived from the severity of a CloudEvent, and the API.
DERIVED = ("severity_level", "severity_text", "is_cloud_event")
ATTRIBUTES = [attribute.name for attribute in fields(EventDraft) if attribute.name not in DERIVED]


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_a_different_value_changes_the_digest(attribute: str) -> None:
    draft = make_draft(event_type_id=str(TYPE_ID))
    other = replace(draft, **{attribute: OTHER_VALUES[attribute]})

    assert draft.digest() != other.digest()


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_absent_attribute_changes_the_digest(attribute: str) -> None:
    draft = make_draft(event_type_id=str(TYPE_ID))
    absent: dict[str, Any] = {attribute: None}
    other = replace(draft, **absent)

    assert draft.digest() != other.digest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"entity": Entity("Well", "1")}, {"entity": Entity("Well", "2")}),
        ({"entity": Entity("Well", "1")}, {"entity": Entity("Pump", "1")}),
        ({"summary": ""}, {}),
        ({"tags": ()}, {}),
        ({"tags": ("a", "b")}, {"tags": ("b", "a")}),
        ({"tags": ("a,b",)}, {"tags": ("a", "b")}),
        ({"notification": False}, {}),
        ({"fields": {}}, {}),
        ({"fields": {"a": None}}, {"fields": {}}),
        ({"fields": {"a": 1}}, {"fields": {"a": True}}),
        ({"fields": {"a": 1}}, {"fields": {"a": "1"}}),
        ({"fields": {"a": [1, 2]}}, {"fields": {"a": [2, 1]}}),
        ({"summary": "a"}, {"content": "a"}),
        ({"type": "a", "subject": "b"}, {"type": "b", "subject": "a"}),
    ],
)
def test_similar_reports_have_different_digests(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert EventDraft(**one).digest() != EventDraft(**other).digest()


def test_values_derived_from_a_severity_do_not_change_the_digest() -> None:
    draft = make_draft(severity="FATAL")
    derived = replace(draft, severity_level=Severity.ERROR, severity_text="FATAL")

    assert draft.digest() == derived.digest()


@given(DRAFTS, st.sampled_from(ATTRIBUTES), st.data())
def test_digests_are_equal_only_if_the_reports_are(
    draft: EventDraft, attribute: str, data: st.DataObject
) -> None:
    other = data.draw(DRAFTS)
    mixed = replace(draft, **{attribute: getattr(other, attribute)})

    same = draft.digest() == mixed.digest()

    assert same == (_comparable_attributes(draft) == _comparable_attributes(mixed))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"fields": {"a": 150}}, {"fields": {"a": 150.0}}),
        ({"fields": {"a": 1, "b": 2}}, {"fields": {"b": 2, "a": 1}}),
        ({"occurred_at": EARLIER}, {"occurred_at": EARLIER.astimezone(INDIA)}),
    ],
)
def test_equivalent_notations_have_equal_digests(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    digests = {make_draft(**report).digest() for report in (one, other)}

    assert len(digests) == 1
    assert len(str(digests.pop())) == 64


@pytest.mark.parametrize("year", [1, 1066])
def test_distant_past_instants_have_different_digests(year: int) -> None:
    instant = datetime(year, 1, 2, 3, 4, 5, 6, tzinfo=UTC)

    digests = [EventDraft(occurred_at=at).digest() for at in (instant, instant + A_MICROSECOND)]

    assert digests[0] != digests[1]


def test_values_nested_too_deeply_to_be_accepted_have_no_digest() -> None:
    assert EventDraft(fields={"a": nest_value(5_000)}).digest() is None


def test_a_number_too_large_to_be_accepted_has_a_digest() -> None:
    draft = EventDraft(fields={"a": 10**5_000})

    digest = draft.digest()

    assert digest != EventDraft(fields={"a": 1}).digest()


def _comparable_attributes(draft: EventDraft) -> list[Any]:
    """Returns the attributes so that booleans differ from numbers and NaN equals itself."""
    return [_comparable_value(getattr(draft, attribute)) for attribute in ATTRIBUTES]


def _comparable_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _comparable_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_comparable_value(inner) for inner in value]
    if isinstance(value, float) and math.isnan(value):
        return "NaN", None
    return isinstance(value, bool), value
