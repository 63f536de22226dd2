"""A filter as conditions on the tables: the twin of `domain.filters.matches`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, not_, or_, select, true
from sqlmodel import col

from app.domain.filters import EventFilter, TagFilter, TimeRange, is_prefix
from app.store.tables import Event, EventTag

Condition = ColumnElement[bool]


def events(filter: EventFilter) -> list[Condition]:
    """Conditions on `tables.Event`; all must hold."""
    return list(_conditions(filter))


def _conditions(filter: EventFilter) -> Iterator[Condition]:
    yield from _within(Event.id, filter.ids)
    yield from _equal(Event.event_type_id, filter.event_type_id)
    if filter.types is not None:
        yield or_(false(), *(_named(name) for name in filter.types))
    if filter.entity is not None:
        yield from _equal(Event.entity_type, filter.entity.type)
        yield from _equal(Event.entity_id, filter.entity.id)
    yield from _equal(Event.entity_id, filter.entity_id)
    yield from _within(Event.severity, filter.severities)
    yield from _equal(Event.source, filter.source)
    yield from _within(Event.source_id, filter.source_ids)
    yield from _equal(Event.subject, filter.subject)
    yield from _equal(Event.outcome, filter.outcome)
    yield from _during(Event.occurred_at, filter.occurred_at)
    yield from _during(Event.recorded_at, filter.recorded_at)
    yield from _equal(Event.notification, filter.notification)
    if filter.acknowledged is not None:
        at = col(Event.acknowledged_at)
        yield at.is_not(None) if filter.acknowledged else at.is_(None)
    yield from _tagged(filter.tags)
    for part in filter.and_ or ():
        yield from _conditions(part)
    if filter.or_ is not None:
        yield or_(false(), *(_all(part) for part in filter.or_))
    if filter.not_ is not None:
        # A condition on what is not there is NULL, and NOT NULL would be NULL as well.
        yield not_(func.coalesce(_all(filter.not_), false()))


def _all(filter: EventFilter) -> Condition:
    return and_(true(), *_conditions(filter))


def _tagged(tags: TagFilter | None) -> Iterator[Condition]:
    if tags is not None and tags.all is not None:
        yield true() if tags.all else false()
        for tag in dict.fromkeys(tags.all):
            yield _has_tag(col(EventTag.tag) == tag)
    if tags is not None and tags.any is not None:
        yield _has_tag(col(EventTag.tag).in_(tags.any))


def _has_tag(wanted: Condition) -> Condition:
    own = select(col(EventTag.event_id)).where(wanted)
    return col(Event.id).in_(own)


def _named(type_name: str) -> Condition:
    if not is_prefix(type_name):
        return col(Event.type) == type_name
    # Not LIKE: on SQLite it takes a for A.
    prefix = type_name[:-1]
    return func.substr(Event.type, 1, len(prefix)) == prefix


def _equal(column: Any, wanted: Any) -> Iterator[Condition]:
    if wanted is not None:
        yield col(column) == wanted


def _within(column: Any, wanted: Sequence[Any] | None) -> Iterator[Condition]:
    if wanted is not None:
        yield col(column).in_(wanted)


def _during(column: Any, span: TimeRange | None) -> Iterator[Condition]:
    if span is not None and span.start is not None:
        yield col(column) >= span.start
    if span is not None and span.end is not None:
        yield col(column) < span.end
