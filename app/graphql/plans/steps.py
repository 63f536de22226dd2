"""A plan: what each root field reads, and what its answer is put together from."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import FieldNode, GraphQLField, VariableNode, Visitor, get_argument_values, visit
from graphql.execution.values import VariableValues
from strawberry.schema.base import BaseSchema
from strawberry.types.arguments import convert_arguments

from app.domain.access import Permission
from app.domain.limits import Limits
from app.graphql.context import Context
from app.graphql.plans.declared import Listed, Made, One, Part, definition_of
from app.graphql.plans.rows import Write
from app.graphql.plans.shared import SharedPart
from app.store.selection import Row, Selection

KEPT = 100
KEPT_CHARACTERS = 1_000
_MISSING = object()


class NotPlannedError(Exception):
    """Says what no plan covers."""


class Arguments:
    """Those of one field: coerced and converted as its resolver gets them."""

    def __init__(self, schema: BaseSchema, field: GraphQLField, node: FieldNode) -> None:
        self._schema: Any = schema
        self._field = field
        self._node = node
        self._names = tuple({name for each in node.arguments or () for name in variables_in(each)})
        self._limits: Limits | None = None
        self._known: dict[Hashable, Any] = {}

    def wanted(self, make: Callable[..., Any], parent: Any, context: Context, given: Any) -> Any:
        """What `make` says is wanted: kept for its variables, where no parent has a say."""
        values = tuple([given.coerced.get(name, _MISSING) for name in self._names])
        if parent is not None or not all(map(_is_small, values)):
            return make(parent, context, **self.read(given))
        if self._limits is not context.limits or len(self._known) == KEPT:
            self._limits, self._known = context.limits, {}
        # With their types: 1 is equal to True.
        key = values, tuple(map(type, values))
        if (wanted := self._known.get(key)) is None:
            wanted = self._known[key] = make(None, context, **self.read(given))
        return wanted

    def read(self, variables: VariableValues) -> dict[str, Any]:
        """GraphQLError, StrawberryInputCoercionError."""
        given = get_argument_values(self._field, self._node, variables)
        return convert_arguments(
            given,
            definition_of(self._field).arguments,
            self._schema.schema_converter.scalar_registry,
            self._schema.config,
        )


def _is_small(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= KEPT_CHARACTERS
    return value is None or value is _MISSING or isinstance(value, int)


@dataclass(frozen=True)
class Rows:
    """Rows of one statement: what is read, the writer of each part, and what they share.

    `shared`: with the place in the row of the event type's id.
    """

    selection: Selection
    writers: tuple[Write, ...]
    shared: tuple[tuple[SharedPart, int], ...]
    keys: Mapping[str, Callable[[Row], Any]]


@dataclass(frozen=True)
class Piece:
    """A field of a list: `part` tells which, `within` what it has inside."""

    key: str
    part: Part | str
    within: tuple[Piece, ...] = ()
    writer: int = 0


@dataclass(frozen=True)
class ListPlan:
    what: Listed
    arguments: Arguments
    rows: Rows
    pieces: tuple[Piece, ...]
    counts: tuple[str, ...]
    every_cursor: bool


@dataclass(frozen=True)
class OnePlan:
    what: One
    arguments: Arguments
    rows: Rows


@dataclass(frozen=True)
class MadePlan:
    """Objects in memory: their values by attribute, and the plans of what lies below them.

    `leaf` is the type of what is no object.
    """

    what: Made
    arguments: Arguments
    fields: tuple[tuple[str, Any], ...]
    leaf: Any


@dataclass(frozen=True)
class Plan:
    roots: tuple[tuple[str, Any], ...]
    needed: frozenset[frozenset[Permission]]


class _Variables(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)


def variables_in(node: Any) -> set[str]:
    found = _Variables()
    visit(node, found)
    return found.names
