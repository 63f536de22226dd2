"""What one statement reads, found while the writers of its rows are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphql import get_named_type
from graphql.execution.collect_fields import FieldDetails

from app.graphql.plans.cached_event_types import SharedPart
from app.graphql.plans.operation import Operation
from app.graphql.plans.rows import Code, Table
from app.graphql.plans.steps import NotPlannedError, Rows
from app.graphql.shared.declared import (
    Column,
    Given,
    Group,
    Later,
    Other,
    Part,
    Shared,
    definition_of,
    table_of,
)
from app.store.tables import Owned

MOST_JOINED = 5  # rows of rows: SQLite joins 64 tables


class Building:
    """What one statement is to read, while its writers are made."""

    def __init__(self, operation: Operation, table: type[Owned]) -> None:
        self._operation = operation
        self.row = Table(table)
        self._bodies: list[tuple[Code, str]] = []
        self._shared: list[tuple[SharedPart, str]] = []
        self.cursors = False

    def writer(self, type_: Any, details: list[FieldDetails]) -> int:
        """The number of the writer for objects of this type: rows, or edges with rows in them."""
        code = Code(self._operation.raw)
        self._bodies.append((code, self._object(code, type_, details, self.row)))
        return len(self._bodies) - 1

    def rows(self, keys: Sequence[str] = ()) -> Rows:
        """`keys`: columns that cursors are made of."""
        for name in keys or ("id",):
            self.row.column(name)
        writers = tuple(code.writer(self.row, body) for code, body in self._bodies)
        places = {name: n for n, name in enumerate(self.row.variables)}
        shared = tuple((part, places[variable]) for part, variable in self._shared)
        read = {name: self.row.meaning(self._operation.raw, name) for name in keys}
        return Rows(self.row.selection, writers, shared, read)

    def _object(self, code: Code, type_: Any, details: list[FieldDetails], row: Table) -> str:
        if type_.name == "EventType":
            return self._share(code, Shared(None), details, row)
        below = self._operation.below(type_, details)
        members = [
            f'"{key}":{self._value(code, type_, inner, row)}' for key, inner in below.items()
        ]
        return "{{" + ",".join(members) + "}}"

    def _value(self, code: Code, type_: Any, details: list[FieldDetails], row: Table) -> str:
        name = details[0].node.name.value
        if name == "__typename":
            return f'"{type_.name}"'
        what = self._operation.declared(type_, name)
        field = type_.fields[name].type
        within = get_named_type(field)
        match what:
            case Column(column):
                return code.column(row.column(column), field)
            case Later():
                return code.later(what, row)
            case Given():
                return code.given(what, row)
            case Part.CURSOR:
                self.cursors = True
                return code.cursor()
            case Part.NODE:
                return self._object(code, within, details, row)
            case Group(columns):
                needed = [row.column(each) for each in columns.values()]
                return code.object(needed, lambda: self._group(code, within, details, row, columns))
            case Other(by):
                if row.depth == MOST_JOINED:
                    raise NotPlannedError(f"{type_}.{name} too often")
                other = row.other(by, table_for(within))
                return code.object(
                    [other.column("id")], lambda: self._object(code, within, details, other)
                )
            case Shared():
                return self._share(code, what, details, row)
        raise NotPlannedError(f"{type_}.{name}")

    def _group(
        self, code: Code, type_: Any, details: list[FieldDetails], row: Table, columns: Any
    ) -> str:
        members = []
        for key, inner in self._operation.below(type_, details).items():
            name = inner[0].node.name.value
            if name == "__typename":
                members.append(f'"{key}":"{type_.name}"')
                continue
            own = definition_of(type_.fields[name]).python_name
            if own not in columns:
                raise NotPlannedError(f"{type_}.{name}")
            self._operation.need(type_, name)
            value = code.column(row.column(columns[own]), type_.fields[name].type)
            members.append(f'"{key}":{value}')
        return "{{" + ",".join(members) + "}}"

    def _share(self, code: Code, what: Shared, details: list[FieldDetails], row: Table) -> str:
        variable = row.column(what.by or "id")
        self._shared.append((self._operation.share(details), variable))
        self.row.definitions = True
        return code.shared(len(self._shared) - 1, variable)


def table_for(type_: Any) -> type[Owned]:
    table = table_of(type_)
    if table is None:
        raise NotPlannedError(str(type_))
    return table
