"""What a field reads, said where the field is: data for the planner, without SQL.

A field without a resolver, of a type that is `rows_of` a table, reads the column of its own name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeVar

from graphql import GraphQLField, GraphQLObjectType
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from app.domain.access.caller import Caller
from app.services.shared.listings import Listing
from app.store.engine.database import Database
from app.store.reading.projection import Row, Selection
from app.store.tables import Owned

Type = TypeVar("Type", bound=type)
_KEY = "reads"
_TABLES: dict[type, type[Owned]] = {}


@dataclass(frozen=True)
class Column:
    name: str


@dataclass(frozen=True)
class Later:
    """The later of two instants, of which the second may be missing."""

    name: str
    other: str


@dataclass(frozen=True)
class Given:
    """Whether the column has a value."""

    name: str


@dataclass(frozen=True)
class Group:
    """An object made of columns of the same row, by its fields; null where one has no value."""

    columns: Mapping[str, str]


@dataclass(frozen=True)
class Other:
    """The row whose id the column has."""

    by: str


@dataclass(frozen=True)
class Shared:
    """The event type whose id the column has: what many rows name is written once.

    None: the row itself is the event type.
    """

    by: str | None


@dataclass(frozen=True)
class Defined:
    """Follows from the organization's event types and rules, and from nothing else."""


@dataclass(frozen=True)
class Listed:
    """A page of rows. `wanted(parent, context, **arguments)` is what `read` is asked for.

    `keys`: every column that the list may be sorted by. The last argument of `read` names the
    numbers that are asked for.
    """

    wanted: Callable[..., Any]
    read: Callable[[Database, Caller, Any, Selection, Sequence[str]], Awaitable[Listing | None]]
    keys: tuple[str, ...] = ("id",)


@dataclass(frozen=True)
class One:
    """A single row, or null."""

    wanted: Callable[..., Any]
    read: Callable[[Database, Caller, Any, Selection], Awaitable[Row | None]]


@dataclass(frozen=True)
class Made:
    """What `make(parent, context, **arguments)` makes in memory: an object, several, or a value."""

    make: Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Done:
    """What a mutation does: `do(context, **arguments)` gives what its resolver answers."""

    do: Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Held:
    """A row that the object has in memory, as this attribute; None is null."""

    attribute: str


class Part(Enum):
    """What lists and their edges have beside rows."""

    EDGES = auto()
    NODES = auto()
    PAGE_INFO = auto()
    TOTAL = auto()
    UNACKNOWLEDGED = auto()
    CURSOR = auto()
    NODE = auto()
    HAS_NEXT = auto()
    HAS_PREVIOUS = auto()
    START = auto()
    END = auto()


# The numbers of a list, as the services name them.
NUMBERS = {Part.TOTAL: "total", Part.UNACKNOWLEDGED: "unacknowledged"}
Reads = (
    Column
    | Later
    | Given
    | Group
    | Other
    | Shared
    | Defined
    | Listed
    | One
    | Made
    | Done
    | Held
    | Part
)


def reads(what: Reads) -> dict[str, Reads]:
    """As `metadata` of a field."""
    return {_KEY: what}


def rows_of(table: type[Owned]) -> Callable[[Type], Type]:
    """The type's objects are rows of this table."""

    def mark(type_: Type) -> Type:
        _TABLES[type_] = table
        return type_

    return mark


def definition_of(field: GraphQLField) -> StrawberryField:
    found: StrawberryField = field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    return found


def origin_of(type_: GraphQLObjectType) -> type:
    found: type = type_.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].origin
    return found


def table_of(type_: GraphQLObjectType) -> type[Owned] | None:
    return _TABLES.get(origin_of(type_))


def declared(type_: GraphQLObjectType, name: str) -> Reads | None:
    """What the field of the type reads; None where nobody has said it."""
    defined = definition_of(type_.fields[name])
    metadata: Mapping[Any, Reads] = defined.metadata or {}
    if (said := metadata.get(_KEY)) is not None:
        return said
    table = table_of(type_)
    own = defined.python_name
    if table is not None and defined.base_resolver is None and own in table.model_fields:
        return Column(own)
    return None
