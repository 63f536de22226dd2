"""The distinct values of an indexed column, each found by one search in the index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import CTE, ColumnElement, select
from sqlalchemy.orm import aliased
from sqlmodel import col


def select_distinct_values(
    table: Any,
    attribute: str,
    build_condition: Callable[[Any], ColumnElement[bool]] | None = None,
) -> CTE:
    """Returns the values in the column `value`, in ascending order and then null.

    `build_condition`: restricts the rows of the table or alias that it gets.
    """

    def select_first(rows: Any, *conditions: ColumnElement[bool]) -> Any:
        column = col(getattr(rows, attribute))
        more = () if build_condition is None else (build_condition(rows),)
        first = select(column).where(column.is_not(None), *conditions, *more)
        return first.order_by(column).limit(1).scalar_subquery()

    found = select(select_first(table).label("value")).cte("found", recursive=True)
    other = aliased(table)
    following = select_first(other, col(getattr(other, attribute)) > found.c.value)
    return found.union_all(select(following).where(found.c.value.is_not(None)))
