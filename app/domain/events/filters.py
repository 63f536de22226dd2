"""Which events are meant.

`matches` asks one event in memory; its twin `store.where` asks the database. Both give the same
answer, and a test holds them together. None is "not said"; an empty list selects nothing.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from app.domain.events.predicates import FieldPredicate, holds
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventState
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, invalid


@dataclass(frozen=True)
class TimeRange:
    """From `start` on, and before `end`."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, instant: datetime) -> bool:
        after = self.start is None or self.start <= instant
        return after and (self.end is None or instant < self.end)


@dataclass(frozen=True)
class TagFilter:
    """With every tag of `all`, and with one of `any`."""

    all: tuple[str, ...] | None = None
    any: tuple[str, ...] | None = None

    def holds(self, tags: tuple[str, ...]) -> bool:
        every = self.all is None or (bool(self.all) and set(self.all) <= set(tags))
        return every and (self.any is None or not set(self.any).isdisjoint(tags))


@dataclass(frozen=True)
class EventFilter:
    """All that is said must hold. A type that ends in '*' is a prefix.

    `search` is met by summary and content together, when they have all of its `words`. `category`
    is the event type's in the version that the event was checked against.
    """

    ids: tuple[UUID, ...] | None = None
    event_type_id: UUID | None = None
    types: tuple[str, ...] | None = None
    category: str | None = None
    entity: Entity | None = None
    entity_id: str | None = None
    entity_type: str | None = None
    severities: tuple[Severity, ...] | None = None
    source: str | None = None
    source_ids: tuple[str, ...] | None = None
    subject: str | None = None
    outcome: Outcome | None = None
    duplicate: bool | None = None
    occurred_at: TimeRange | None = None
    recorded_at: TimeRange | None = None
    notification: bool | None = None
    acknowledged: bool | None = None
    tags: TagFilter | None = None
    search: str | None = None
    fields: tuple[FieldPredicate, ...] | None = None
    and_: tuple[EventFilter, ...] | None = None
    or_: tuple[EventFilter, ...] | None = None
    not_: EventFilter | None = None

    @property
    def parts(self) -> tuple[EventFilter, ...]:
        """The filters that this one is composed of."""
        return (*(self.and_ or ()), *(self.or_ or ()), *((self.not_,) if self.not_ else ()))


def matches(filter: EventFilter, event: EventState) -> bool:
    """Whether the filter selects the event in this state."""
    return all(_tests(filter, event))


def words(text: str) -> frozenset[str]:
    """The words that a text is found by: runs of letters and digits, without their marks.

    Compatible characters are one (NFKC), and so are upper and lower case.
    """
    return frozenset(map(_word, whole_words(text)))


def whole_words(text: str) -> frozenset[str]:
    """The same, however long: what beginnings of words are looked for in."""
    return frozenset(_RUNS.findall(text.casefold() if text.isascii() else _folded(text)))


def size_problems(filter: EventFilter, limits: Limits) -> list[Problem]:
    """Whether a filter is too deep, or says too much."""
    deep, wide = _measured(filter)
    problems = []
    if deep > limits.filter_depth:
        problems.append(invalid(f"Is {deep} filters deep; at most {limits.filter_depth}."))
    if wide > limits.filter_leaves:
        problems.append(invalid(f"Says {wide} things; at most {limits.filter_leaves}."))
    return problems


def _measured(filter: EventFilter) -> tuple[int, int]:
    """How deep filters lie within it, itself counted, and how many things they say."""
    said = sum(
        getattr(filter, f.name) is not None
        for f in fields(filter)
        if f.name not in ("fields", "and_", "or_", "not_")
    )
    said += 0 if filter.fields is None else max(1, len(filter.fields))
    # Each prefix is a range of its own; exact names are one list.
    said += max(0, sum(map(is_prefix, filter.types or ())) - 1)
    parts = [_measured(part) for part in filter.parts]
    deepest = max((deep for deep, _ in parts), default=0)
    return deepest + 1, said + sum(wide for _, wide in parts)


def is_prefix(type_name: str) -> bool:
    return type_name.endswith("*")


def _tests(filter: EventFilter, event: EventState) -> Iterable[bool]:
    yield _within(filter.ids, event.id)
    yield _equal(filter.event_type_id, event.event_type_id)
    yield filter.types is None or any(_named(name, event.type) for name in filter.types)
    yield _equal(filter.category, event.category)
    yield _equal(filter.entity, event.entity)
    yield _equal(filter.entity_id, event.entity and event.entity.id)
    yield _equal(filter.entity_type, event.entity and event.entity.type)
    yield _within(filter.severities, event.severity)
    yield _equal(filter.source, event.source)
    yield _within(filter.source_ids, event.source_id)
    yield _equal(filter.subject, event.subject)
    yield _equal(filter.outcome, event.outcome)
    yield _equal(filter.duplicate, event.duplicate_of_id is not None)
    yield filter.occurred_at is None or filter.occurred_at.holds(event.occurred_at)
    yield filter.recorded_at is None or filter.recorded_at.holds(event.recorded_at)
    yield _equal(filter.notification, event.notification)
    yield _equal(filter.acknowledged, event.acknowledged)
    yield filter.tags is None or filter.tags.holds(event.tags)
    yield filter.search is None or _wanted(filter.search) <= words_of(event)
    yield filter.fields is None or _all_hold(filter.fields, event)
    yield filter.and_ is None or all(matches(part, event) for part in filter.and_)
    yield filter.or_ is None or any(matches(part, event) for part in filter.or_)
    yield filter.not_ is None or not matches(filter.not_, event)


def words_of(event: EventState) -> frozenset[str]:
    """The words that `search` finds the event by."""
    return _words_in(event.summary, event.content or "")


def _all_hold(predicates: tuple[FieldPredicate, ...], event: EventState) -> bool:
    return bool(predicates) and all(holds(each, event.fields) for each in predicates)


def _equal(wanted: Any, value: Any) -> bool:
    return wanted is None or wanted == value


def _within(wanted: tuple[Any, ...] | None, value: Any) -> bool:
    return wanted is None or value in wanted


def _named(wanted: str, type_name: str) -> bool:
    return type_name.startswith(wanted[:-1]) if is_prefix(wanted) else type_name == wanted


# A long run of letters is no word that anyone types. PostgreSQL keeps less than 1 MiB of words for
# a row: of 101,000 characters, NFKC makes 9.4 bytes of different words each, if none is longer.
_LONGEST_WORD_BYTES = 28
_RUNS = re.compile(r"[^\W_]+")


def _folded(text: str) -> str:
    if text.isascii():  # the rest is the same for it, and slow
        return text.lower()
    whole = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    bare = "".join(each for each in whole if not unicodedata.category(each).startswith("M"))
    return unicodedata.normalize("NFKC", bare)  # letters that a mark kept apart


def _word(run: str) -> str:
    """The run, or where it is long what stands for it: no other run does, and no word has a '#'."""
    written = run.encode()
    if len(written) <= _LONGEST_WORD_BYTES:
        return run
    return "#" + hashlib.sha256(written).hexdigest()[: _LONGEST_WORD_BYTES - 1]


# One event is judged by many filters in a row, and one filter judges many events.
@lru_cache(maxsize=64)
def _words_in(summary: str, content: str) -> frozenset[str]:
    return words(f"{summary} {content}")


@lru_cache(maxsize=1024)
def _wanted(search: str) -> frozenset[str]:
    return words(search)
