"""A filter as conditions on the tables: the twin of `domain.filters.matches`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, literal, not_, or_, select, true, tuple_
from sqlmodel import col

from app.domain.events.filters import EventFilter, TagFilter, TimeRange, is_prefix, words
from app.domain.events.predicates import (
    ORDERING,
    Comparable,
    FieldPredicate,
    PredicateOperator,
    comparable,
)
from app.store.tables import Event, EventTag, EventValue, EventWords
from app.store.tables.columns import CodePoints, HasWords, Includes
from app.store.writing.lookup import HEAD, halves, words_in

Condition = ColumnElement[bool]


def events(filter: EventFilter, organization_id: UUID) -> list[Condition]:
    """Conditions on the organization's rows of `tables.Event`; all must hold."""
    return list(_conditions(filter, organization_id))


def _conditions(filter: EventFilter, organization_id: UUID) -> Iterator[Condition]:
    yield from _within(Event.id, filter.ids)
    yield from _equal(Event.event_type_id, filter.event_type_id)
    if filter.types is not None:
        names = [name for name in filter.types if not is_prefix(name)]
        exact = [col(Event.type).in_(names)] if names else []
        prefixes = (_begins(name[:-1]) for name in filter.types if is_prefix(name))
        yield or_(false(), *exact, *prefixes)
    yield from _equal(Event.category, filter.category)
    if filter.entity is not None:
        yield from _equal(Event.entity_type, filter.entity.type)
        yield from _equal(Event.entity_id, filter.entity.id)
    yield from _equal(Event.entity_id, filter.entity_id)
    yield from _equal(Event.entity_type, filter.entity_type)
    yield from _within(Event.severity, filter.severities)
    yield from _equal(Event.source, filter.source)
    yield from _within(Event.source_id, filter.source_ids)
    yield from _equal(Event.subject, filter.subject)
    yield from _equal(Event.outcome, filter.outcome)
    if filter.duplicate is not None:
        yield _is_there(Event.duplicate_of_id, filter.duplicate)
    yield from _during(Event.occurred_at, filter.occurred_at)
    yield from _during(Event.recorded_at, filter.recorded_at)
    yield from _equal(Event.notification, filter.notification)
    if filter.acknowledged is not None:
        yield _is_there(Event.acknowledged_at, filter.acknowledged)
    yield from _tagged(filter.tags)
    if filter.search is not None and (wanted := words(filter.search)):
        every = words_in(organization_id, wanted)
        found = HasWords(EventWords.id, EventWords.words, every)
        yield col(Event.id).in_(select(col(EventWords.event_id)).where(found))
    if filter.fields is not None:
        yield and_(true(), *map(_holds, filter.fields)) if filter.fields else false()
    for part in filter.and_ or ():
        yield from _conditions(part, organization_id)
    if filter.or_ is not None:
        yield or_(false(), *(_all(part, organization_id) for part in filter.or_))
    if filter.not_ is not None:
        # A condition on what is not there is NULL, and NOT NULL would be NULL as well.
        yield not_(func.coalesce(_all(filter.not_, organization_id), false()))


def _all(filter: EventFilter, organization_id: UUID) -> Condition:
    return and_(true(), *_conditions(filter, organization_id))


def _holds(predicate: FieldPredicate) -> Condition:
    there = _has_value(predicate)
    match predicate.operator:
        case PredicateOperator.EXISTS:
            return there
        case PredicateOperator.NOT_EXISTS:
            return not_(there)
        case PredicateOperator.EQ:
            return _has_value(predicate, _is(predicate.value))
        case PredicateOperator.NE:
            return and_(there, not_(_has_value(predicate, _is(predicate.value))))
        case PredicateOperator.IN:
            return _has_value(predicate, _is_one_of(predicate.value))
        case PredicateOperator.CONTAINS:
            return or_(
                _has_value(predicate, _includes(predicate.value)),
                _has_value(predicate, _is(predicate.value), element=True),
            )
        case ordering:
            return _has_value(predicate, _ordered(ordering, predicate.value))


def _has_value(
    predicate: FieldPredicate, condition: Condition | None = None, *, element: bool = False
) -> Condition:
    ordinal = col(EventValue.ordinal)
    own = select(col(EventValue.event_id)).where(
        col(EventValue.field) == predicate.field, ordinal > 0 if element else ordinal == 0
    )
    return col(Event.id).in_(own if condition is None else own.where(condition))


_TEXT = tuple_(col(EventValue.head), col(EventValue.tail))


def _is(value: Any) -> Condition:
    match comparable(value):
        case Comparable(number=float(number)):
            return col(EventValue.number) == number
        case Comparable(text=str(text)):
            head, tail = halves(text)
            return and_(col(EventValue.head) == head, col(EventValue.tail) == tail)
        case Comparable(truth=bool(truth)):
            return col(EventValue.truth).is_(truth)
    return false()


def _is_one_of(values: Sequence[Any]) -> Condition:
    """As lists, as far as that goes: thousands of conditions take seconds to put together."""
    numbers, short, others = [], [], []
    for value in values:
        match comparable(value):
            case Comparable(number=float(number)):
                numbers.append(number)
            case Comparable(text=str(text)) if len(text) <= HEAD:
                short.append(text)
            case _:
                others.append(value)
    return or_(
        col(EventValue.number).in_(numbers),
        and_(col(EventValue.head).in_(short), col(EventValue.tail) == ""),
        *map(_is, others),
    )


def _includes(value: Any) -> Condition:
    wanted = comparable(value)
    if wanted is None or wanted.text is None:
        return false()
    return Includes(col(EventValue.head).concat(col(EventValue.tail)), literal(wanted.text))


def _ordered(ordering: PredicateOperator, value: Any) -> Condition:
    compare = ORDERING[ordering]
    match comparable(value):
        case Comparable(number=float(number)):
            ordered: Condition = compare(col(EventValue.number), number)
        case Comparable(text=str(text)):
            pair = tuple_(*(literal(half, CodePoints()) for half in halves(text)))
            ordered = compare(_TEXT, pair)
        case _:
            ordered = false()
    return ordered


def _tagged(tags: TagFilter | None) -> Iterator[Condition]:
    if tags is not None and tags.all is not None:
        yield true() if tags.all else false()
        # One subquery for all: PostgreSQL plans for minutes where there are hundreds.
        wanted = set(tags.all)
        own = select(col(EventTag.event_id)).where(col(EventTag.tag).in_(sorted(wanted)))
        having = func.count() == len(wanted)
        yield col(Event.id).in_(own.group_by(col(EventTag.event_id)).having(having))
    if tags is not None and tags.any is not None:
        yield _has_tag(col(EventTag.tag).in_(tags.any))


def _has_tag(wanted: Condition) -> Condition:
    own = select(col(EventTag.event_id)).where(wanted)
    return col(Event.id).in_(own)


def _begins(prefix: str) -> Condition:
    # Not LIKE: on SQLite it takes a for A, and an index serves it on neither.
    end = _behind(prefix)
    return and_(col(Event.type) >= prefix, true() if end is None else col(Event.type) < end)


def _behind(prefix: str) -> str | None:
    """The first text, by code point, behind all that begin so; None where there is none."""
    most = prefix.rstrip("\U0010ffff")
    if not most:
        return None
    code = ord(most[-1]) + 1
    # No text has a surrogate.
    return most[:-1] + chr(0xE000 if code == 0xD800 else code)


def _is_there(column: Any, wanted: bool) -> Condition:
    return col(column).is_not(None) if wanted else col(column).is_(None)


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
