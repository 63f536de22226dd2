"""An operation as what is to be read of each table, and how its rows are written.

Whatever is not declared raises NotPlannedError: the operation is executed as all were before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from graphql import GraphQLObjectType, get_named_type, is_leaf_type
from graphql.execution.collect_fields import FieldDetails

from app.graphql.plans.building import Building, table_for
from app.graphql.plans.operation import Operation
from app.graphql.plans.steps import (
    Arguments,
    ListPlan,
    MadePlan,
    NotPlannedError,
    OnePlan,
    Piece,
    Plan,
)
from app.graphql.shared.declared import NUMBERS, Listed, Made, One, Part, declared, definition_of


class Planner:
    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    def plan(self) -> Plan:
        """NotPlannedError."""
        query = self._operation.schema.query_type
        if query is None:
            raise NotPlannedError("no queries")
        roots = [self._root(query, *each) for each in self._operation.roots(query).items()]
        return Plan(tuple(roots), frozenset(self._operation.needed))

    def _root(
        self, parent: GraphQLObjectType, key: str, details: list[FieldDetails]
    ) -> tuple[str, Any]:
        name = details[0].node.name.value
        if name == "__typename":
            return key, f'"{parent.name}"'
        what = self._operation.declared(parent, name)
        field = parent.fields[name]
        arguments = Arguments(self._operation.strawberry, field, details[0].node)
        type_ = get_named_type(field.type)
        match what:
            case Listed():
                return key, self._list(what, arguments, type_, details)
            case One():
                return key, self._one(what, arguments, type_, details)
            case Made():
                return key, self._made(what, arguments, type_, details)
        raise NotPlannedError(f"{parent}.{name}")

    def _list(
        self, what: Listed, arguments: Arguments, type_: Any, details: list[FieldDetails]
    ) -> ListPlan:
        node = _node_type(type_)
        built = Building(self._operation, table_for(node))
        pieces = tuple(self._pieces(type_, details, built, node))
        parts = {piece.part for piece in _all(pieces)}
        keys: tuple[str, ...] = ()
        every = built.cursors
        if every or parts & {Part.START, Part.END}:
            keys = what.keys
        counts = tuple(name for part, name in NUMBERS.items() if part in parts)
        return ListPlan(what, arguments, built.rows(keys), pieces, counts, every)

    def _pieces(
        self, type_: Any, details: list[FieldDetails], built: Building, node: Any
    ) -> Iterator[Piece]:
        for key, inner in self._operation.below(type_, details).items():
            name = inner[0].node.name.value
            if name == "__typename":
                yield Piece(key, f'"{type_.name}"')
                continue
            part = self._operation.declared(type_, name)
            field_type = get_named_type(type_.fields[name].type)
            if part is Part.NODES:
                yield Piece(key, part, writer=built.writer(node, inner))
            elif part is Part.EDGES:
                yield Piece(key, part, writer=built.writer(field_type, inner))
            elif part is Part.PAGE_INFO:
                yield Piece(key, part, tuple(self._pieces(field_type, inner, built, node)))
            elif isinstance(part, Part):
                yield Piece(key, part)
            else:
                raise NotPlannedError(f"{type_}.{name}")

    def _one(
        self, what: One, arguments: Arguments, type_: Any, details: list[FieldDetails]
    ) -> OnePlan:
        built = Building(self._operation, table_for(type_))
        built.writer(type_, details)
        return OnePlan(what, arguments, built.rows())

    def _made(
        self, what: Made, arguments: Arguments, type_: Any, details: list[FieldDetails]
    ) -> MadePlan:
        fields = []
        if is_leaf_type(type_):
            return MadePlan(what, arguments, (), type_)
        for key, inner in self._operation.below(type_, details).items():
            name = inner[0].node.name.value
            field = None if name == "__typename" else type_.fields[name]
            if field is None:
                fields.append((key, f'"{type_.name}"'))
            elif (
                is_leaf_type(get_named_type(field.type)) and not definition_of(field).base_resolver
            ):
                self._operation.need(type_, name)
                fields.append((key, field))
            else:
                fields.append(self._root(type_, key, inner))
        return MadePlan(what, arguments, tuple(fields), None)


def _node_type(type_: Any) -> Any:
    """What a list is of, by its `nodes`."""
    for name, field in type_.fields.items():
        if declared(type_, name) is Part.NODES:
            return get_named_type(field.type)
    raise NotPlannedError(str(type_))


def _all(pieces: Sequence[Piece]) -> Iterator[Piece]:
    for piece in pieces:
        yield piece
        yield from _all(piece.within)
