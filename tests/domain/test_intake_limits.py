"""A report or an update over a limit is rejected with the number and the path."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from app.domain.events.state import Entity, EventDraft
from app.domain.intake.intake import (
    Accepted,
    EventTypeSnapshot,
    Rejected,
    validate_report,
    validate_update,
)
from app.domain.shared.exact_decimals import parse_decimal
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import format_instant
from tests.domain.examples import (
    EVENT_ID,
    FLARING,
    FREE_FORM,
    NOW,
    codes_and_paths,
    make_command_context,
    nest_value,
    rejected_problems,
)
from tests.domain.strategies import ANY_JSON, ANY_TEXT, DRAFTS

A_MICROSECOND = timedelta(microseconds=1)
AHEAD = (
    f"The event's time, {format_instant(NOW + timedelta(minutes=5) + A_MICROSECOND)}, is more "
    "than 300 seconds ahead of the server's clock. Check the clock of the event's source."
)

PAST_A_LIMIT: list[tuple[dict[str, Any], Problem]] = [
    (
        {"type": "x" * 256},
        invalid_input("At most 255 characters are allowed; type has 256.", "type"),
    ),
    ({"type": ""}, invalid_input("type must not be empty.", "type")),
    (
        {"type": "a\tb"},
        invalid_input("Character 2 is U+0009, which is not allowed. Remove the character.", "type"),
    ),
    (
        {"type": "pump.*"},
        invalid_input("type must not end in '*', which marks a prefix in filters.", "type"),
    ),
    (
        {"source": "x" * 256},
        invalid_input("At most 255 characters are allowed; source has 256.", "source"),
    ),
    ({"source": ""}, invalid_input("source must not be empty.", "source")),
    (
        {"source_id": "x" * 256},
        invalid_input("At most 255 characters are allowed; sourceId has 256.", "sourceId"),
    ),
    ({"source_id": ""}, invalid_input("sourceId must not be empty.", "sourceId")),
    (
        {"subject": "x" * 256},
        invalid_input("At most 255 characters are allowed; subject has 256.", "subject"),
    ),
    (
        {"subject": "\n"},
        invalid_input(
            "Character 1 is U+000A, which is not allowed. Remove the character.", "subject"
        ),
    ),
    (
        {"summary": "x" * 1_001},
        invalid_input("At most 1,000 characters are allowed; summary has 1,001.", "summary"),
    ),
    (
        {"summary": "\0"},
        invalid_input(
            "Character 1 is U+0000, which is not allowed. Remove the character.", "summary"
        ),
    ),
    (
        {"content": "x" * 100_001},
        invalid_input("At most 100,000 characters are allowed; content has 100,001.", "content"),
    ),
    (
        {"content": "\ud800"},
        invalid_input(
            "Character 1 is U+D800, which is not allowed. Remove the character.", "content"
        ),
    ),
    (
        {"entity": Entity("", "1")},
        invalid_input("entity.type must not be empty.", "entity", "type"),
    ),
    (
        {"entity": Entity("Well", "x" * 256)},
        invalid_input("At most 255 characters are allowed; entity.id has 256.", "entity", "id"),
    ),
    (
        {"tags": ("a",) * 101},
        invalid_input("At most 100 tags are allowed; this event has 101.", "tags"),
    ),
    (
        {"tags": ("a", "x" * 256)},
        invalid_input("At most 255 characters are allowed; tags[1] has 256.", "tags", "1"),
    ),
    ({"tags": ("a", "b", "")}, invalid_input("tags[2] must not be empty.", "tags", "2")),
    (
        {"occurred_at": NOW + timedelta(minutes=5) + A_MICROSECOND},
        invalid_input(AHEAD, "occurredAt"),
    ),
    ({"fields": [1]}, invalid_input("fields must be a JSON object.", "fields")),
    (
        {"fields": {"t": "x" * 65_529}},
        invalid_input("At most 65,536 bytes of JSON are allowed; the value has 65,537.", "fields"),
    ),
    (
        {"fields": {"n": [math.inf]}},
        invalid_input(
            "The number must be finite and within the range of a double-precision number (about "
            "±1.8e308).",
            "fields",
            "n",
            "0",
        ),
    ),
]
IN_AN_UPDATE = [
    row
    for row in PAST_A_LIMIT
    if row[0].keys().isdisjoint(("type", "source", "source_id", "subject"))
]


@pytest.mark.parametrize(("attributes", "problem"), PAST_A_LIMIT)
def test_a_report_over_a_limit_is_rejected_with_the_number_and_the_path(
    attributes: dict[str, Any], problem: Problem
) -> None:
    draft = EventDraft(**attributes)

    result = validate_report(draft, None, make_command_context(), EVENT_ID)

    assert result == Rejected((problem,))


@pytest.mark.parametrize(
    "attributes",
    [
        {"type": "x" * 255, "source": "x" * 255, "source_id": "x" * 255, "subject": "x" * 255},
        {"summary": "é" * 1_000, "content": "\U0001f600" * 100_000},
        {"entity": Entity("x" * 255, "x" * 255), "tags": ("x" * 255,) * 100},
        {"fields": {"t": "x" * 65_528}},
    ],
)
def test_a_report_at_its_limits_is_accepted(attributes: dict[str, Any]) -> None:
    assert isinstance(
        validate_report(EventDraft(**attributes), None, make_command_context(), EVENT_ID), Accepted
    )


@pytest.mark.parametrize(
    ("limits", "attributes", "problem"),
    [
        (
            Limits(summary_characters=3),
            {"summary": "abcd"},
            invalid_input("At most 3 characters are allowed; summary has 4.", "summary"),
        ),
        (
            Limits(tags_per_event=1),
            {"tags": ("a", "b")},
            invalid_input("At most 1 tag is allowed; this event has 2.", "tags"),
        ),
        (
            Limits(fields_bytes=8),
            {"fields": {"a": 123}},
            invalid_input("At most 8 bytes of JSON are allowed; the value has 9.", "fields"),
        ),
        (
            Limits(fields_depth=3),
            {"fields": {"a": [[[]]]}},
            invalid_input("The value is nested deeper than the maximum of 3 levels.", "fields"),
        ),
        (
            Limits(clock_skew_seconds=60),
            {"occurred_at": NOW + timedelta(seconds=61)},
            invalid_input(
                f"The event's time, {format_instant(NOW + timedelta(seconds=61))}, is more than "
                "60 seconds ahead of the server's clock. Check the clock of the event's source.",
                "occurredAt",
            ),
        ),
    ],
)
def test_the_message_contains_the_configured_limit(
    limits: Limits, attributes: dict[str, Any], problem: Problem
) -> None:
    result = validate_report(
        EventDraft(**attributes), None, make_command_context(limits=limits), EVENT_ID
    )

    assert result == Rejected((problem,))


@pytest.mark.parametrize(("attributes", "problem"), IN_AN_UPDATE)
def test_an_update_over_a_limit_is_rejected_with_the_number_and_the_path(
    attributes: dict[str, Any], problem: Problem
) -> None:
    event = replace(FREE_FORM, fields={})

    result = validate_update(event, attributes, None, make_command_context())

    assert result == Rejected((problem,))


def test_the_size_limit_applies_to_the_merged_values() -> None:
    event = replace(FREE_FORM, fields={"a": "x" * 40_000})

    result = validate_update(event, {"fields": {"b": "x" * 40_000}}, None, make_command_context())

    message = "At most 65,536 bytes of JSON are allowed; the value has 80,015."
    assert result == Rejected((invalid_input(message, "fields"),))


@pytest.mark.parametrize(
    ("spec", "values", "problems"),
    [
        (
            None,
            {"a": math.nan, "b": "\0"},
            [("INVALID_INPUT", ("fields", "a")), ("INVALID_INPUT", ("fields", "b"))],
        ),
        (
            FLARING,
            {"volume": math.nan, "remarks": "\0", "cause": "Weather", "weather": "fine"},
            [
                ("FIELD_INVALID", ("fields", "cause")),
                ("FIELD_UNKNOWN", ("fields", "weather")),
                ("INVALID_INPUT", ("fields", "remarks")),
                ("INVALID_INPUT", ("fields", "volume")),
            ],
        ),
        (
            FLARING,
            {"remarks": "x" * 65_536},
            [("FIELD_REQUIRED", ("fields", "volume")), ("INVALID_INPUT", ("fields",))],
        ),
        (
            FLARING,
            {"remarks": nest_value(50)},
            [("FIELD_REQUIRED", ("fields", "volume")), ("INVALID_INPUT", ("fields",))],
        ),
        (
            FLARING,
            {"remarks": "\0"},
            [("FIELD_REQUIRED", ("fields", "volume")), ("INVALID_INPUT", ("fields", "remarks"))],
        ),
    ],
)
def test_a_value_that_cannot_be_stored_does_not_hide_other_problems(
    spec: EventTypeSnapshot | None, values: Any, problems: list[tuple[str, tuple[str, ...]]]
) -> None:
    result = validate_report(EventDraft(fields=values), spec, make_command_context(), EVENT_ID)

    assert codes_and_paths(rejected_problems(result)) == problems


@pytest.mark.parametrize("spec", [None, FLARING], ids=["free-form", "registered"])
@given(draft=DRAFTS)
def test_any_report_is_accepted_and_storable_or_rejected_with_a_valid_message(
    spec: EventTypeSnapshot | None, draft: EventDraft
) -> None:
    result = validate_report(draft, spec, make_command_context(), EVENT_ID)

    _assert_stored_or_reported(result)


@pytest.mark.parametrize("spec", [None, FLARING], ids=["free-form", "registered"])
@pytest.mark.parametrize(
    ("values", "problem"),
    [
        pytest.param(
            nest_value(5_000),
            invalid_input("fields must be a JSON object.", "fields"),
            id="5,000 lists",
        ),
        pytest.param(
            {"volume": nest_value(5_000)},
            invalid_input("The value is nested deeper than the maximum of 50 levels.", "fields"),
            id="5,000 lists in a field",
        ),
        pytest.param(
            {"volume": nest_value(480, parse_decimal("0.12345678901234567890"))},
            invalid_input("The value is nested deeper than the maximum of 50 levels.", "fields"),
            id="480 lists with a decimal that loses digits",
        ),
        pytest.param(
            nest_value(5_000, key="volume"),
            invalid_input("The value is nested deeper than the maximum of 50 levels.", "fields"),
            id="5,000 objects",
        ),
        pytest.param(
            {"volume": 10**5_000},
            invalid_input(
                "The number must be finite and within the range of a double-precision number "
                "(about ±1.8e308).",
                "fields",
                "volume",
            ),
            id="10^5000",
        ),
        pytest.param(
            {"volume": math.nan},
            invalid_input(
                "The number must be finite and within the range of a double-precision number "
                "(about ±1.8e308).",
                "fields",
                "volume",
            ),
            id="NaN",
        ),
    ],
)
def test_values_that_break_parsers_are_rejected(
    values: Any, problem: Problem, spec: EventTypeSnapshot | None
) -> None:
    result = validate_report(EventDraft(fields=values), spec, make_command_context(), EVENT_ID)

    assert result == Rejected((problem,))


@given(ANY_JSON, ANY_TEXT)
def test_any_update_is_accepted_and_storable_or_rejected_with_a_valid_message(
    values: Any, text: str
) -> None:
    attributes = {"fields": values, "summary": text, "content": text, "tags": (text,)}

    result = validate_update(FREE_FORM, attributes, None, make_command_context())

    _assert_stored_or_reported(result)


def _assert_stored_or_reported(result: Accepted | Rejected) -> None:
    """Asserts that UTF-8 and PostgreSQL can store the event as JSON, or the problems."""
    if isinstance(result, Accepted):
        assert json.dumps(result.event.to_json(), allow_nan=False)
        texts = [*_iterate_texts(result.event.to_json())]
    else:
        texts = [text for each in result.problems for text in (each.message, *each.path)]
        assert texts
    assert all("\0" not in text and text.encode().decode() == text for text in texts)


def _iterate_texts(value: Any) -> Iterator[str]:
    """Every key and text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _iterate_texts(inner)
