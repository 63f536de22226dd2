"""Filters as SQL conditions. They select the events that `filters.filter_matches` selects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
    tuple_,
)
from sqlmodel import col

from app.domain.events.filters import (
    CONDITIONS,
    EventAttribute,
    EventFilter,
    TagFilter,
    TimeRange,
    is_type_prefix,
)
from app.domain.events.predicates import (
    ORDERING_OPERATORS,
    Comparable,
    FieldPredicate,
    PredicateOperator,
    to_comparable,
)
from app.domain.events.state import Comparison, EventStatus
from app.domain.events.words import is_prefix_term
from app.domain.shared.values import WHITESPACE
from app.store.tables import Event, EventCount, EventTag, EventValue, EventWords, Receipt
from app.store.tables.columns import CodePoints, ContainsText, HasWords
from app.store.tables.exact_numbers import split_number
from app.store.writing.search_index import (
    HEAD_LENGTH,
    build_word_queries,
    split_text,
)

Condition = ColumnElement[bool]
# The columns of the attributes that conditions compare, by name of the condition.
CONDITION_COLUMNS: dict[str, Any] = {
    name: getattr(Event, attribute.name) for name, attribute in CONDITIONS.items()
}
# The conditions of a filter on what the counters distinguish.
_COUNTED = {"types", "severities", "statuses", "notification"}


def build_conditions(filter: EventFilter, organization_id: UUID) -> list[Condition]:
    """The conditions of a filter on rows of `tables.Event`, to be combined with AND."""
    return list(_conditions(filter, organization_id))


def _conditions(filter: EventFilter, organization_id: UUID) -> Iterator[Condition]:
    for name, column in CONDITION_COLUMNS.items():
        if (value := getattr(filter, name)) is None:
            continue
        if name == "source_ids":
            yield is_reported_as(col(Receipt.source_id).in_(value))
        elif name == "statuses":
            yield has_status(value)
        else:
            yield from _compare_column(column, CONDITIONS[name].comparison, value)
    if filter.types is not None:
        yield _has_type(filter.types)
    if filter.entity is not None:
        yield col(Event.entity_type) == filter.entity.type
        yield col(Event.entity_id) == filter.entity.id
    if filter.duplicate is not None:
        yield _null_check(Event.duplicate_of_id, filter.duplicate)
    if filter.acknowledged is not None:
        yield _null_check(Event.acknowledged_at, filter.acknowledged)
    yield from _tag_conditions(filter.tags)
    for attribute in filter.missing or ():
        name = "entity_type" if attribute is EventAttribute.ENTITY else attribute.value
        yield _null_check(getattr(Event, name), is_present=False)
    if filter.search is not None and (
        queries := build_word_queries(organization_id, filter.search)
    ):
        has_words = HasWords(EventWords.id, EventWords.words, queries)
        event_ids = select(col(EventWords.event_id)).where(has_words)
        if any(map(is_prefix_term, queries[0])):
            # PostgreSQL expects every prefix to be common, and would test the words of all events
            # in the order of the page. OFFSET makes it search the index first.
            event_ids = event_ids.offset(literal_column("0"))
        yield col(Event.id).in_(event_ids)
    if filter.fields is not None:
        yield and_(true(), *map(_field_condition, filter.fields)) if filter.fields else false()
    for part in filter.and_ or ():
        yield from _conditions(part, organization_id)
    if filter.or_ is not None:
        yield or_(false(), *(_all_conditions(part, organization_id) for part in filter.or_))
    if filter.not_ is not None:
        # A condition on a missing value is NULL, and NOT NULL is NULL as well.
        yield not_(func.coalesce(_all_conditions(filter.not_, organization_id), false()))


def build_counter_conditions(filters: Sequence[EventFilter]) -> list[Condition] | None:
    """The conditions of filters on rows of `tables.EventCount`, to be combined with AND.

    None if the filters have conditions on what the counters do not distinguish.
    """
    conditions: list[Condition] = []
    has_type = False
    for filter in filters:
        names = {name for name, value in vars(filter).items() if value is not None}
        has_other_types = any(not name or is_type_prefix(name) for name in filter.types or ())
        if names - _COUNTED or has_other_types:
            return None
        if filter.types is not None:
            has_type = True
            conditions.append(_has_type(filter.types, EventCount.type))
        if filter.severities is not None:
            conditions.append(col(EventCount.severity).in_(filter.severities))
        if filter.statuses is not None:
            conditions.append(has_status(filter.statuses, EventCount))
        if filter.notification is not None:
            conditions.append(col(EventCount.notification) == filter.notification)
    return conditions if has_type else [col(EventCount.type) == "", *conditions]


def _has_type(types: Sequence[str], column: Any = Event.type) -> Condition:
    """Selects the types with one of the names, or with one of the prefixes that end in '*'."""
    names = [type_name for type_name in types if not is_type_prefix(type_name)]
    exact = [col(column).in_(names)] if names else []
    prefixes = (
        _type_has_prefix(type_name[:-1]) for type_name in types if is_type_prefix(type_name)
    )
    return or_(false(), *exact, *prefixes)


def has_status(statuses: Sequence[EventStatus], event: Any = Event) -> Condition:
    # Not as parameters: the partial index of open notifications needs the value.
    values: list[Condition] = [
        literal_column(f"'{status.value}'") for status in dict.fromkeys(statuses)
    ]
    status = col(event.status)
    return status == values[0] if len(values) == 1 else status.in_(values)


def is_reported_as(condition: Condition) -> Condition:
    """Selects the events of the receipts: also the originals of counted duplicates."""
    return col(Event.id).in_(select(col(Receipt.event_id)).where(condition))


def _all_conditions(filter: EventFilter, organization_id: UUID) -> Condition:
    return and_(true(), *_conditions(filter, organization_id))


def _field_condition(predicate: FieldPredicate) -> Condition:
    has_value = _has_value(predicate)
    match predicate.operator:
        case PredicateOperator.EXISTS:
            return _has_value(predicate, not_(_VALUE_IS_BLANK))
        case PredicateOperator.NOT_EXISTS:
            return not_(_has_value(predicate, not_(_VALUE_IS_BLANK)))
        case PredicateOperator.EQ:
            return _has_value(predicate, _value_equals(predicate.value))
        case PredicateOperator.NE:
            return and_(has_value, not_(_has_value(predicate, _value_equals(predicate.value))))
        case PredicateOperator.IN:
            return _has_value(predicate, _value_in(predicate.value))
        case PredicateOperator.CONTAINS:
            is_element = col(EventValue.ordinal) > 0
            return or_(
                _has_value(predicate, and_(_value_contains(predicate.value), not_(is_element))),
                _has_value(predicate, and_(is_element, _value_equals(predicate.value))),
            )
        case operator:
            return _has_value(predicate, _value_compares(operator, predicate.value))


def _has_value(predicate: FieldPredicate, condition: Condition | None = None) -> Condition:
    event_ids = select(col(EventValue.event_id)).where(col(EventValue.field) == predicate.field)
    return col(Event.id).in_(event_ids if condition is None else event_ids.where(condition))


_VALUE_IS_BLANK = and_(
    *(
        func.coalesce(func.trim(col(column), WHITESPACE), "-") == ""
        for column in (EventValue.head, EventValue.tail)
    )
)
_TEXT_COLUMNS = tuple_(col(EventValue.head), col(EventValue.tail))


def _may_have_tail(text: str) -> bool:
    """Whether a stored text can have the head of this text and a tail.

    Otherwise, the index of heads suffices to compare with it.
    """
    return len(text) >= HEAD_LENGTH


def _value_equals(value: Any) -> Condition:
    match to_comparable(value):
        case Comparable(number=int() | float() as number):
            double, exact = split_number(number)
            return and_(
                col(EventValue.number) == double,
                true() if exact is None else col(EventValue.exact) == exact,
            )
        case Comparable(text=str(text)):
            head, tail = split_text(text)
            has_head = col(EventValue.head) == head
            return (
                and_(has_head, col(EventValue.tail) == tail) if _may_have_tail(text) else has_head
            )
        case Comparable(boolean=bool(truth)):
            return col(EventValue.truth).is_(truth)
    return false()


def _value_in(values: Sequence[Any]) -> Condition:
    """Uses IN lists where possible: thousands of conditions take seconds to compile."""
    doubles, exact_numbers, short, long_or_other = [], {}, [], []
    for value in values:
        match to_comparable(value):
            case Comparable(number=int() | float() as number):
                double, exact = split_number(number)
                if exact is None:
                    doubles.append(double)
                else:
                    exact_numbers[exact] = double
            case Comparable(text=str(text)) if not _may_have_tail(text):
                short.append(text)
            case _:
                long_or_other.append(value)
    # With one condition, SQLite needs only one index.
    conditions = list(map(_value_equals, long_or_other))
    if doubles:
        conditions.append(col(EventValue.number).in_(doubles))
    if exact_numbers:
        is_near = col(EventValue.number).in_(sorted(set(exact_numbers.values())))
        conditions.append(and_(is_near, col(EventValue.exact).in_(exact_numbers)))
    if short:
        conditions.append(col(EventValue.head).in_(short))
    return or_(false(), *conditions)


def _value_contains(value: Any) -> Condition:
    needle = to_comparable(value)
    if needle is None or needle.text is None:
        return false()
    text, head = literal(needle.text), col(EventValue.head)
    # In this order, the index of heads suffices for all texts that have no tail.
    return and_(
        head >= "",
        or_(
            ContainsText(head, text),
            and_(
                func.length(head) == HEAD_LENGTH,
                ContainsText(head.concat(col(EventValue.tail)), text),
            ),
        ),
    )


def _value_compares(operator: PredicateOperator, value: Any) -> Condition:
    compare = ORDERING_OPERATORS[operator]
    match to_comparable(value):
        case Comparable(number=int() | float() as number):
            double, exact = split_number(number)
            column = col(EventValue.number)
            condition: Condition = compare(column, double)
            if exact is not None:
                # The range of doubles, both ends included, is what the index can find.
                in_range = column >= double if compare(1, 0) else column <= double
                is_exact = or_(column != double, compare(col(EventValue.exact), exact))
                condition = and_(in_range, is_exact)
        case Comparable(text=str(text)) if not _may_have_tail(text):
            condition = compare(col(EventValue.head), text)
        case Comparable(text=str(text)):
            pair = tuple_(*(literal(part, CodePoints()) for part in split_text(text)))
            condition = compare(_TEXT_COLUMNS, pair)
        case _:
            condition = false()
    return condition


def _tag_conditions(tags: TagFilter | None) -> Iterator[Condition]:
    if tags is not None and tags.all is not None:
        yield true() if tags.all else false()
        # One subquery for all tags: PostgreSQL plans for minutes with hundreds of them.
        required_tags = set(tags.all)
        event_ids = select(col(EventTag.event_id)).where(
            col(EventTag.tag).in_(sorted(required_tags))
        )
        has_all = func.count() == len(required_tags)
        yield col(Event.id).in_(event_ids.group_by(col(EventTag.event_id)).having(has_all))
    if tags is not None and tags.any is not None:
        yield _has_tag(col(EventTag.tag).in_(tags.any))


def _has_tag(condition: Condition) -> Condition:
    event_ids = select(col(EventTag.event_id)).where(condition)
    return col(Event.id).in_(event_ids)


def _type_has_prefix(prefix: str) -> Condition:
    # Not LIKE: it ignores case on SQLite, and no index supports it on either database.
    end = _prefix_end(prefix)
    return and_(col(Event.type) >= prefix, true() if end is None else col(Event.type) < end)


def _prefix_end(prefix: str) -> str | None:
    """The least text greater than all texts with this prefix, by code point. None if unbounded."""
    shortened = prefix.rstrip("\U0010ffff")
    if not shortened:
        return None
    code = ord(shortened[-1]) + 1
    # Surrogates do not occur in texts.
    return shortened[:-1] + chr(0xE000 if code == 0xD800 else code)


def _null_check(column: Any, is_present: bool) -> Condition:
    return col(column).is_not(None) if is_present else col(column).is_(None)


def within(column: Any, times: TimeRange | None) -> Iterator[Condition]:
    """The conditions of the times in a range."""
    if times is not None and times.start is not None:
        yield col(column) >= times.start
    if times is not None and times.end is not None:
        yield col(column) < times.end


def _compare_column(column: Any, comparison: Comparison | None, value: Any) -> Iterator[Condition]:
    match comparison:
        case Comparison.EQUALS:
            yield col(column) == value
        case Comparison.ONE_OF:
            yield col(column).in_(value)
        case Comparison.WITHIN:
            yield from within(column, value)
