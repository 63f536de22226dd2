"""The digest of a report, which identifies a replay."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventDraft
from app.domain.shared.json_encoding import load_json
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
    "alert_key": "pump-3",
    "extensions": {"traceparent": "00-2"},
    "payload": {"data": "tripped"},
}


# Digests exclude what was derived from the severity of a CloudEvent, the form of the report, and
# the key of the receipt.
OF_FORM = ("severity_level", "severity_text", "is_cloud_event", "has_field_names", "type_version")
OF_ALERTS = ("resolved_at", "state_digest", "started_at", "sent_at")
EXCLUDED = (*OF_FORM, *OF_ALERTS, "source", "source_id")
# Apart from `resolved`, which chooses the attributes that are compared.
ATTRIBUTES = [
    attribute.name
    for attribute in fields(EventDraft)
    if attribute.name not in (*EXCLUDED, "resolved")
]

# Reported or absent, these are the same report.
DEFAULTS: dict[str, Any] = {
    "type": "notice",
    "fields": {},
    "tags": (),
    "notification": False,
    "acknowledged": False,
}


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_a_different_value_changes_the_digest(attribute: str) -> None:
    draft = make_draft(event_type_id=str(TYPE_ID))
    other = replace(draft, **{attribute: OTHER_VALUES[attribute]})

    assert draft.digest() != other.digest()


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_absent_attribute_changes_the_digest(attribute: str) -> None:
    draft = make_draft(event_type_id=str(TYPE_ID), acknowledged=True, alert_key="pump-3-tripped")
    absent: dict[str, Any] = {attribute: None}
    other = replace(draft, **absent)

    assert draft.digest() != other.digest()


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_resolutions_are_compared_by_the_attributes_that_they_use(attribute: str) -> None:
    resolution = make_draft(alert_key="pump-3-tripped", resolved=True)
    other = replace(resolution, **{attribute: OTHER_VALUES[attribute]})

    is_equal = resolution.digest() == other.digest()

    assert is_equal is (attribute not in ("alert_key", "occurred_at", "summary"))


def test_a_resolution_differs_from_the_report_of_its_condition() -> None:
    report = make_draft(alert_key="pump-3-tripped")

    assert report.digest() != replace(report, resolved=True).digest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"entity": Entity("Well", "1")}, {"entity": Entity("Well", "2")}),
        ({"entity": Entity("Well", "1")}, {"entity": Entity("Pump", "1")}),
        ({"summary": ""}, {}),
        ({"tags": ("a,b",)}, {"tags": ("a", "b")}),
        ({"notification": True}, {}),
        ({"fields": {"a": ""}}, {}),
        ({"fields": {"a": []}}, {}),
        ({"severity": "info"}, {}),
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
        (
            {"fields": {"a": ["2026-04-10T12:00:00Z"]}},
            {"fields": {"a": ["2026-04-10T14:00:00.0+02:00"]}},
        ),
        ({"tags": ("a", "b")}, {"tags": ("b", "a", "b")}),
        ({"tags": ()}, {"tags": None}),
        ({"fields": {"a": None, "b": {"c": None}}}, {"fields": {"b": {}}}),
        ({"fields": {"a": None}}, {"fields": None}),
        ({"type": "notice"}, {"type": None}),
        ({"severity": " "}, {"severity": None}),
        ({"notification": False}, {"notification": None}),
        ({"acknowledged": False}, {"acknowledged": None}),
        ({"event_type_id": str(TYPE_ID)}, {"event_type_id": str(TYPE_ID).upper()}),
        ({"source": "//the/callers/own"}, {"source": None}),
    ],
)
def test_equivalent_notations_have_equal_digests(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    digests = {make_draft(**report).digest() for report in (one, other)}

    assert len(digests) == 1
    assert len(str(digests.pop())) == 64


@given(
    st.integers(-(10**20), 10**20).filter(bool),
    st.integers(-400, 200),
    st.integers(0, 5),
    st.sampled_from([-1, 1]),
)
def test_digits_not_notation_identify_a_number(
    digits: int, power: int, zeros: int, step: int
) -> None:
    def digest(text: str) -> str | None:
        return EventDraft(fields={"a": [load_json(text)]}).digest()

    notations = [f"{digits}e{power}", f"{digits}{'0' * zeros}.0E{power - zeros}"]
    if -30 < power < 30:
        notations.append(f"{Decimal(digits).scaleb(power):f}")

    assert len({digest(text) for text in notations}) == 1
    assert digest(f"{digits + step}e{power}") != digest(notations[0])


@pytest.mark.parametrize("zero", ["0.0", "-0.0", "0e-99999999999999999999", "-0.000e-400"])
def test_zeros_have_equal_digests(zero: str) -> None:
    assert (
        EventDraft(fields={"a": load_json(zero)}).digest() == EventDraft(fields={"a": 0}).digest()
    )


@pytest.mark.parametrize("exponent", ["9" * 4_300, "9" * 5_000], ids=["4,300", "5,000"])
def test_an_exponent_of_thousands_of_digits_has_a_digest(exponent: str) -> None:
    one, same, other = (
        EventDraft(fields={"a": load_json(f"{digits}e-{exponent}")}).digest()
        for digits in ("1.5", "1.5", "1.25")
    )

    assert one is not None
    assert one == same != other


@pytest.mark.parametrize("text", ["123456789123456.12345", "9007199254740993.0"])
def test_the_first_version_digest_compares_doubles(text: str) -> None:
    reports = [EventDraft(fields={"a": value}) for value in (load_json(text), float(text))]

    assert len({report.first_version_digest() for report in reports}) == 1
    assert len({report.digest() for report in reports}) == 2


def test_only_fields_that_are_sets_have_any_order() -> None:
    one, other = (
        make_draft(fields={"colors": colors, "route": ["a", "b"]})
        for colors in (["red", "green"], ["green", "red"])
    )
    rerouted = make_draft(fields={"colors": ["red", "green"], "route": ["b", "a"]})

    sets = [("colors",)]
    assert one.digest(sets) == other.digest(sets) != rerouted.digest(sets)
    assert one.digest() != other.digest()


def test_a_nested_set_has_any_order_and_a_key_with_a_dot_is_another_value() -> None:
    one, other = (
        make_draft(fields={"a": {"b": colors}, "n": 1}) for colors in (["r", "g"], ["g", "r"])
    )
    dotted, other_dotted = (
        make_draft(fields={"a.b": colors}) for colors in (["r", "g"], ["g", "r"])
    )

    assert one.digest([("a", "b")]) == other.digest([("a", "b")])
    assert one.digest([("a.b",), ("a",), ("n", "b")]) != other.digest(
        [("a.b",), ("a",), ("n", "b")]
    )
    assert dotted.digest([("a.b",)]) == other_dotted.digest([("a.b",)])
    assert dotted.digest([("a", "b")]) != other_dotted.digest([("a", "b")])


def test_the_first_version_digest_is_that_of_stored_receipts() -> None:
    full = make_draft()
    sparse = make_draft(
        event_type_id=str(TYPE_ID),
        tags=("b", "a"),
        notification=False,
        fields={"a": None, "b": ["2026-04-10T14:00:00+02:00", 150.0]},
        extensions=None,
        payload=None,
    )

    # Computed by the code of migration 0014.
    assert [each.first_version_digest() for each in (full, sparse)] == [
        "56bdd979637de16c141ca3ae01d255bd8a5df4e5ac1fbfbd4e471d973b2e820a",
        "883d559b2b55f07334ffd790df20327fc05b60ad3f9cf762d97d6bc7a17d3e41",
    ]


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
    values = {name: getattr(draft, name) for name in ATTRIBUTES}
    values |= {name: each for name, each in DEFAULTS.items() if values[name] is None}
    values["tags"] = sorted(set(values["tags"]))
    if values["severity"] is not None and not values["severity"].strip():
        values["severity"] = None
    return [_comparable_value(values[name]) for name in ATTRIBUTES]


def _comparable_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _comparable_value(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_comparable_value(inner) for inner in value]
    if isinstance(value, float) and math.isnan(value):
        return "NaN", None
    return isinstance(value, bool), value
