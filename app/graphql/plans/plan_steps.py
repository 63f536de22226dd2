"""Steps of a query plan: what each root field reads, and which fields of it are written."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import FieldNode, GraphQLField, VariableNode, Visitor, get_argument_values, visit
from graphql.execution.values import VariableValues
from strawberry.schema.base import BaseSchema
from strawberry.types.arguments import convert_arguments

from app.domain.access.caller import Permission
from app.graphql.plans.cached_event_types import CachedEventTypes
from app.graphql.plans.row_writers import WriteRows
from app.graphql.shared.context import Context
from app.graphql.shared.field_sources import (
    ComputedField,
    ConnectionPart,
    ListSource,
    LookupSource,
    get_strawberry_field,
)
from app.store.engine.driver_statements import DriverRow
from app.store.reading.projection import Projection

MAX_CACHED_CHARACTERS = 1_000
_MISSING = object()


class NotPlannedError(Exception):
    """The operation needs something that plans do not support."""


class FieldArguments:
    """Arguments of one field, coerced and converted as for its resolver."""

    def __init__(self, schema: BaseSchema, field: GraphQLField, node: FieldNode) -> None:
        self._schema: Any = schema
        self._field = field
        self._node = node
        self._variable_names = tuple(
            {name for argument in node.arguments or () for name in collect_variables(argument)}
        )
        self._last_request: tuple[Hashable, Any] = None, None

    def build_request(
        self, create_request: Callable[..., Any], parent: Any, context: Context, variables: Any
    ) -> Any:
        """Returns the request that `create_request` builds from the arguments.

        Without a parent, the last request is cached. Only one, because a request may have a hundred
        filters, and each field of each plan has its own cache.
        """
        values = tuple([variables.coerced.get(name, _MISSING) for name in self._variable_names])
        if parent is not None or not _are_cacheable(values):
            return create_request(parent, context, **self.read_arguments(variables))
        # With their types: 1 is equal to True. With the limits themselves, not their values.
        key = id(context.limits), values, tuple(map(type, values))
        last_key, request = self._last_request
        if last_key != key:
            request = create_request(None, context, **self.read_arguments(variables))
            self._last_request = key, request
        return request

    def read_arguments(self, variables: VariableValues) -> dict[str, Any]:
        """Returns the arguments by Python name, as the resolver gets them.

        Raises GraphQLError or StrawberryInputCoercionError if an argument is invalid.
        """
        values = get_argument_values(self._field, self._node, variables)
        return convert_arguments(
            values,
            get_strawberry_field(self._field).arguments,
            self._schema.schema_converter.scalar_registry,
            self._schema.config,
        )


def _are_cacheable(values: tuple[Any, ...]) -> bool:
    texts = [value for value in values if isinstance(value, str)]
    others = [value for value in values if not isinstance(value, str)]
    are_scalars = all(
        value is None or value is _MISSING or isinstance(value, int) for value in others
    )
    return are_scalars and sum(map(len, texts)) <= MAX_CACHED_CHARACTERS


@dataclass(frozen=True)
class ReadPlan:
    """Reads the rows of one statement: projection, row writers, and readers of the sort keys.

    `event_types`: caches, each with the position of the event type's ID in the row.
    """

    projection: Projection
    writers: tuple[WriteRows, ...]
    event_types: tuple[tuple[CachedEventTypes, int], ...]
    sort_key_readers: Mapping[str, Callable[[DriverRow], Any]]


@dataclass(frozen=True)
class SelectedField:
    """A selected field of a connection, with its selected subfields."""

    response_key: str
    source: ConnectionPart | str
    subfields: tuple[SelectedField, ...] = ()
    writer_index: int = 0


@dataclass(frozen=True)
class ListPlan:
    source: ListSource
    arguments: FieldArguments
    read_plan: ReadPlan
    selected_fields: tuple[SelectedField, ...]
    counts: tuple[str, ...]
    needs_every_cursor: bool


@dataclass(frozen=True)
class RowPlan:
    source: LookupSource
    arguments: FieldArguments
    read_plan: ReadPlan


@dataclass(frozen=True)
class ComputedPlan:
    """Computed objects: their fields are attributes or further plans.

    `leaf_type`: type of a scalar or enum value; None for objects.
    """

    source: ComputedField
    arguments: FieldArguments
    fields: tuple[tuple[str, Any], ...]
    leaf_type: Any


@dataclass(frozen=True)
class QueryPlan:
    root_fields: tuple[tuple[str, Any], ...]
    required_permissions: frozenset[frozenset[Permission]]


class _VariableCollector(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)


def collect_variables(node: Any) -> set[str]:
    collector = _VariableCollector()
    visit(node, collector)
    return collector.names
