"""Rows of values as parameters of a statement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, bindparam, column, func, select, type_coerce
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeEngine

from app.store.tables.columns import POSTGRESQL


def build_rows_cte(
    session: AsyncSession, columns: dict[str, TypeEngine[Any]], rows: Sequence[tuple[Any, ...]]
) -> CTE:
    """The rows as a CTE with these columns: one parameter, or one for each column.

    VALUES would be recompiled for each number of rows, at half a millisecond per row.
    """
    dialect = session.get_bind().dialect
    if dialect.name == POSTGRESQL:
        arrays = [
            bindparam(None, list(values), postgresql.ARRAY(type_))
            for values, type_ in zip(zip(*rows, strict=True), columns.values(), strict=True)
        ]
        typed_columns = [column(name, type_) for name, type_ in columns.items()]
        derived = (
            func.unnest(*arrays).table_valued(*typed_columns, name="input_values").render_derived()
        )
        return select(derived).cte("input_rows")
    processors = [type_.dialect_impl(dialect).bind_processor(dialect) for type_ in columns.values()]
    encoded_rows = [
        [
            value if process is None else process(value)
            for process, value in zip(processors, row, strict=True)
        ]
        for row in rows
    ]
    element = func.json_each(json.dumps(encoded_rows)).table_valued("value")
    return select(
        *(
            type_coerce(func.json_extract(element.c.value, f"$[{index}]"), type_).label(name)
            for index, (name, type_) in enumerate(columns.items())
        )
    ).cte("input_rows")
