"""A plan: what each root field reads, and what its answer is put together from."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import FieldNode, GraphQLField, VariableNode, Visitor, get_argument_values, visit
from graphql.execution.values import VariableValues
from strawberry.schema.base import BaseSchema
from strawberry.types.arguments import convert_arguments

from app.domain.access.caller import Permission
from app.graphql.plans.cached_event_types import SharedPart
from app.graphql.plans.rows import Write
from app.graphql.shared.context import Context
from app.graphql.shared.declared import Listed, Made, One, Part, definition_of
from app.store.reading.projection import Row, Selection

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
        self._last: tuple[Hashable, Any] = None, None

    def wanted(self, make: Callable[..., Any], parent: Any, context: Context, given: Any) -> Any:
        """What `make` says is wanted: the last one is kept, where no parent has a say.

        One alone: it may have a hundred filters, and there is one of these for each field and plan.
        """
        values = tuple([given.coerced.get(name, _MISSING) for name in self._names])
        if parent is not None or not _are_small(values):
            return make(parent, context, **self.read(given))
        # With their types: 1 is equal to True. With the limits themselves, not their values.
        key = id(context.limits), values, tuple(map(type, values))
        known, wanted = self._last
        if known != key:
            wanted = make(None, context, **self.read(given))
            self._last = key, wanted
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


def _are_small(values: tuple[Any, ...]) -> bool:
    texts = [each for each in values if isinstance(each, str)]
    others = [each for each in values if not isinstance(each, str)]
    plain = all(each is None or each is _MISSING or isinstance(each, int) for each in others)
    return plain and sum(map(len, texts)) <= KEPT_CHARACTERS


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
