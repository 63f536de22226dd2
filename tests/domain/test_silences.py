"""Silences: whether they are active, what they match, and how long they may last."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from app.domain.events.filters import EventAttribute, EventFilter
from app.domain.events.silences import (
    Silence,
    sets_condition,
    silence_event,
    validate_filter,
    validate_period,
)
from app.domain.events.state import EventStatus
from app.domain.shared.limits import Limits
from tests.domain.examples import NOW, OTHER_ID, make_event

HOUR = timedelta(hours=1)
MATCHING = EventFilter(subject="pump-3")


def make_silence(number: int, filter: EventFilter = MATCHING) -> Silence:
    return Silence(UUID(int=number), filter, NOW - HOUR, NOW + HOUR)


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "is_active"),
    [
        (NOW - HOUR, NOW + HOUR, True),
        (NOW, NOW + HOUR, True),
        (None, NOW + HOUR, True),
        (NOW - HOUR, NOW, False),
        (None, NOW, False),
        (NOW + HOUR, NOW + 2 * HOUR, False),
    ],
)
def test_a_silence_is_active_from_its_start_to_before_its_end(
    starts_at: datetime | None, ends_at: datetime, is_active: bool
) -> None:
    silence = Silence(OTHER_ID, MATCHING, starts_at, ends_at)

    assert silence.is_active(NOW) is is_active


def test_an_event_is_silenced_by_the_first_silence_that_matches_and_is_active() -> None:
    event = make_event()
    other, ended = make_silence(1, EventFilter(subject="pump-4")), make_silence(2)
    silences = [other, Silence(ended.id, MATCHING, None, NOW), make_silence(3), make_silence(4)]

    silenced = silence_event(silences, event, NOW)
    unsilenced = silence_event(silences[:2], event, NOW)

    assert (silenced.silenced_by_id, unsilenced.silenced_by_id) == (UUID(int=3), None)


def test_a_silence_is_compared_with_the_event_as_if_it_were_not_silenced() -> None:
    event = make_event(silenced_by_id=UUID(int=1))

    silenced = silence_event([make_silence(2, EventFilter(silenced_by=UUID(int=1)))], event, NOW)

    assert silenced.silenced_by_id is None


@pytest.mark.parametrize(
    ("filter", "has_condition"),
    [
        (EventFilter(), False),
        (EventFilter(missing=()), False),
        (EventFilter(and_=(EventFilter(), EventFilter(not_=EventFilter()))), False),
        (EventFilter(or_=()), False),
        (EventFilter(fields=()), True),
        (EventFilter(notification=False), True),
        (EventFilter(statuses=(EventStatus.OPEN,)), True),
        (EventFilter(or_=(EventFilter(), EventFilter(source="s"))), False),
        (EventFilter(or_=(MATCHING, EventFilter(not_=EventFilter(source="s")))), True),
    ],
)
def test_a_filter_sets_a_condition_if_it_compares_an_attribute(
    filter: EventFilter, has_condition: bool
) -> None:
    assert sets_condition(filter) is has_condition


def test_a_silence_does_not_select_events_by_their_silence() -> None:
    silenced = EventFilter(silenced_by=OTHER_ID)
    not_silenced = EventFilter(missing=(EventAttribute.SILENCED_BY,))

    problems = validate_filter(
        EventFilter(subject="s", and_=(EventFilter(or_=(MATCHING, silenced)),), not_=not_silenced)
    )

    message = "The filter of a silence must not select events by their silence."
    assert [(each.path, each.message) for each in problems] == [
        (("filter", "and", "0", "or", "1", "silencedBy"), message),
        (("filter", "not", "missing"), message),
    ]


def test_a_silence_may_last_as_long_as_the_limit() -> None:
    limits = Limits(silence_days=2)

    longest = validate_period(NOW, NOW + timedelta(days=2), NOW, limits)
    [problem] = validate_period(NOW, NOW + timedelta(days=2, microseconds=1), NOW, limits)

    assert longest == []
    assert problem.path == ("endsAt",)
    assert problem.message == (
        "A silence can last at most 2 days: endsAt must not be later than "
        "2026-04-12T10:30:00.000000Z."
    )
