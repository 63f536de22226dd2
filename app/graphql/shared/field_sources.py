"""Declarations of what each field reads, as data for the planner. They contain no SQL.

A field of an object in memory is an attribute, or what its resolver returns: the resolver of a
field with a source uses only the context of its `info`.

A field without a resolver, of a type that is `backed_by_table`, reads the column of its own name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeVar

from graphql import FieldNode, GraphQLField, GraphQLObjectType
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from app.services.shared.readers import TOTAL_COUNT, UNACKNOWLEDGED_COUNT, ListReader, LookupReader
from app.store.tables import OrganizationOwned

Type = TypeVar("Type", bound=type)
_METADATA_KEY = "source"
_IN_MEMORY_KEY = "in_memory_source"
_TABLES_BY_TYPE: dict[type, type[OrganizationOwned]] = {}
_TYPES_BY_TABLE: dict[type[OrganizationOwned], Any] = {}


@dataclass(frozen=True)
class Column:
    """A column of the row."""

    name: str


@dataclass(frozen=True)
class LatestOf:
    """The later of two timestamp columns, the second of which is nullable."""

    column: str
    nullable_column: str


@dataclass(frozen=True)
class IsNotNull:
    """True if the column is not null."""

    column: str


@dataclass(frozen=True)
class EventStatusOf:
    """The status of an event, or null. Rows in memory lack the column that the database computes.

    The columns are those that it depends on.
    """

    notification: str = "notification"
    alert_key: str = "alert_key"
    resolved_at: str = "resolved_at"
    acknowledged_at: str = "acknowledged_at"


@dataclass(frozen=True)
class EmbeddedObject:
    """An object whose fields are columns of the same row. Null if one of the columns is null."""

    columns: Mapping[str, str]


@dataclass(frozen=True)
class ForeignRow:
    """The row that the column references by id, of the table of the field's type."""

    id_column: str


@dataclass(frozen=True)
class EventTypeReference:
    """The event type that the column references by id. It is encoded once for all rows.

    `id_column` is None if the row itself is the event type.
    """

    id_column: str | None


@dataclass(frozen=True)
class DefinitionField:
    """A field that depends on the organization's event types and rules only."""


@dataclass(frozen=True)
class ListSource:
    """A page of a list. `build_request(parent, context, **arguments)` returns the request."""

    build_request: Callable[..., Any]
    reader: ListReader[Any, Any]


@dataclass(frozen=True)
class LookupSource:
    """The row with a key, or null. `build_key(parent, context, **arguments)` returns the key."""

    build_key: Callable[..., Any]
    reader: LookupReader[Any, Any]


@dataclass(frozen=True)
class ComputedField:
    """An object, a list or a value that the field's resolver returns."""


@dataclass(frozen=True)
class FirstValue:
    """A value of the root that `fetch(root, context)` returns, before the other fields are read.

    The field has no resolver: graphql-core gets the value as an attribute of the root.
    """

    fetch: Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class InMemoryRow:
    """A row that the object holds in an attribute. Null if the attribute is None."""

    attribute: str


class ConnectionPart(Enum):
    """A field of a connection, of its edges or of its page information."""

    EDGES = auto()
    NODES = auto()
    PAGE_INFO = auto()
    TOTAL_COUNT = auto()
    UNACKNOWLEDGED_COUNT = auto()
    CURSOR = auto()
    NODE = auto()
    HAS_NEXT_PAGE = auto()
    HAS_PREVIOUS_PAGE = auto()
    START_CURSOR = auto()
    END_CURSOR = auto()


# The names of the counts in `ListReader`.
COUNT_NAMES = {
    ConnectionPart.TOTAL_COUNT: TOTAL_COUNT,
    ConnectionPart.UNACKNOWLEDGED_COUNT: UNACKNOWLEDGED_COUNT,
}
FieldSource = (
    Column
    | LatestOf
    | IsNotNull
    | EventStatusOf
    | EmbeddedObject
    | ForeignRow
    | EventTypeReference
    | DefinitionField
    | ListSource
    | LookupSource
    | ComputedField
    | FirstValue
    | InMemoryRow
    | ConnectionPart
)


def declare_source(
    source: FieldSource, in_memory: FieldSource | None = None
) -> dict[str, FieldSource]:
    """Returns the `metadata` of a Strawberry field that reads this source.

    `in_memory`: the source in objects that are created in memory, if it is another.
    """
    return {_METADATA_KEY: source} | ({_IN_MEMORY_KEY: in_memory} if in_memory else {})


def backed_by_table(table: type[OrganizationOwned]) -> Callable[[Type], Type]:
    """Declares that the objects of a type are rows of this table."""

    def register_table(type_: Type) -> Type:
        _TABLES_BY_TYPE[type_] = table
        _TYPES_BY_TABLE[table] = type_
        return type_

    return register_table


def build_object(row: OrganizationOwned) -> Any:
    """Returns the object of the type that is backed by the row's table."""
    return _TYPES_BY_TABLE[type(row)].from_row(row)


def get_strawberry_field(field: GraphQLField) -> StrawberryField:
    strawberry_field: StrawberryField = field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    return strawberry_field


def get_python_type(type_: GraphQLObjectType) -> type:
    python_type: type = type_.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].origin
    return python_type


def get_backing_table(type_: GraphQLObjectType) -> type[OrganizationOwned] | None:
    return _TABLES_BY_TYPE.get(get_python_type(type_))


def get_first_value(type_: GraphQLObjectType, node: FieldNode) -> FirstValue | None:
    """Returns the source of a field that is read before the others. None for other fields."""
    name = node.name.value
    source = None if name.startswith("__") else get_field_source(type_, name)
    return source if isinstance(source, FirstValue) else None


def get_in_memory_source(type_: GraphQLObjectType, name: str) -> FieldSource | None:
    """Returns what a field reads in an object that is created in memory. None if undeclared."""
    metadata: Mapping[Any, FieldSource] = get_strawberry_field(type_.fields[name]).metadata or {}
    return metadata.get(_IN_MEMORY_KEY) or get_field_source(type_, name)


def get_field_source(type_: GraphQLObjectType, name: str) -> FieldSource | None:
    """Returns what a field reads. None if it is not declared."""
    strawberry_field = get_strawberry_field(type_.fields[name])
    metadata: Mapping[Any, FieldSource] = strawberry_field.metadata or {}
    if (source := metadata.get(_METADATA_KEY)) is not None:
        return source
    table = get_backing_table(type_)
    column_name = strawberry_field.python_name
    if (
        table is not None
        and strawberry_field.base_resolver is None
        and column_name in table.model_fields
    ):
        return Column(column_name)
    return None
