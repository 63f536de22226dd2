"""Silences: filters that suppress the notifications of matching events for a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from uuid import UUID

from app.domain.events.filters import EventAttribute, EventFilter, filter_matches
from app.domain.events.state import EventState
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import format_instant, validate_text

_NOT_CONDITIONS = frozenset({"missing", "and_", "or_", "not_"})


@dataclass(frozen=True)
class Silence:
    """A silence as it is applied: from `starts_at`, inclusive, to `ends_at`, exclusive.

    `starts_at` is None if the silence has applied since it was created: the clock of another server
    may be behind that of the server that created it.
    """

    id: UUID
    filter: EventFilter
    starts_at: datetime | None
    ends_at: datetime

    def is_active(self, now: datetime) -> bool:
        return (self.starts_at is None or self.starts_at <= now) and now < self.ends_at


def silence_event(silences: Iterable[Silence], event: EventState, now: datetime) -> EventState:
    """Returns an event that would notify, with the silence that suppresses the notification.

    `silenced_by_id` is None if there is none. Of several silences, the first one is chosen.
    """
    event = event if event.silenced_by_id is None else replace(event, silenced_by_id=None)
    for silence in silences:
        if silence.is_active(now) and filter_matches(silence.filter, event):
            return replace(event, silenced_by_id=silence.id)
    return event


def sets_condition(filter: EventFilter) -> bool:
    """Whether a filter compares an attribute of each event that it matches."""
    has_own = any(
        getattr(filter, attribute.name) is not None
        for attribute in fields(filter)
        if attribute.name not in _NOT_CONDITIONS
    )
    return (
        has_own
        or bool(filter.missing)
        or any(map(sets_condition, filter.and_ or ()))
        or (bool(filter.or_) and all(map(sets_condition, filter.or_ or ())))
        or (filter.not_ is not None and sets_condition(filter.not_))
    )


def _find_silence_conditions(
    filter: EventFilter, path: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    if filter.silenced_by is not None:
        yield (*path, "silencedBy")
    if EventAttribute.SILENCED_BY in (filter.missing or ()):
        yield (*path, "missing")
    for name, parts in (("and", filter.and_ or ()), ("or", filter.or_ or ())):
        for index, part in enumerate(parts):
            yield from _find_silence_conditions(part, (*path, name, str(index)))
    if filter.not_ is not None:
        yield from _find_silence_conditions(filter.not_, (*path, "not"))


def validate_filter(filter: EventFilter) -> list[Problem]:
    """Validates that the filter of a silence sets a condition, and none on silences."""
    if paths := [*_find_silence_conditions(filter, ("filter",))]:
        message = "The filter of a silence must not select events by their silence."
        return [invalid_input(message, *path) for path in paths]
    if sets_condition(filter):
        return []
    message = (
        "filter must have at least one condition: without one, the silence would suppress all "
        "notifications. To silence all notifications, list all severities."
    )
    return [invalid_input(message, "filter")]


def validate_period(
    starts_at: datetime, ends_at: datetime, now: datetime, limits: Limits
) -> list[Problem]:
    """Validates the times of a silence that does not end before now."""
    max_length = timedelta(days=limits.silence_days)
    if ends_at <= now:
        message = f"endsAt must be later than the current time, {format_instant(now)}."
    elif ends_at <= starts_at:
        message = f"endsAt must be later than startsAt, {format_instant(starts_at)}."
    elif ends_at - starts_at > max_length:
        message = (
            f"A silence can last at most {limits.silence_days} days: endsAt must not be later than "
            f"{format_instant(starts_at + max_length)}."
        )
    else:
        return []
    return [invalid_input(message, "endsAt")]


def validate_comment(comment: str | None, limits: Limits) -> list[Problem]:
    return validate_text(comment, limits.note_characters, "comment")
