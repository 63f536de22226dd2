"""Types that the modules of plans share: requests, read plans and the fields that they write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import Node, VariableNode, Visitor, visit

from app.graphql.plans.cached_event_types import CachedEventTypes
from app.graphql.plans.row_writers import WriteRows
from app.graphql.shared.context import Context
from app.graphql.shared.field_sources import ConnectionPart
from app.store.engine.driver_statements import DriverRow
from app.store.reading.projection import Projection


class NotPlannedError(Exception):
    """The operation needs something that plans do not support."""


@dataclass
class OperationRequest:
    """Context and variables of a request, as JSON with their defaults, and as inputs."""

    context: Context
    json_values: Mapping[str, Any]
    inputs: Mapping[str, Any]


# Returns the JSON of a field's values or, for a field with a source, of its values in the parents.
WriteValues = Callable[[OperationRequest, Sequence[Any]], Awaitable[Sequence[str]]]


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


class _VariableCollector(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)


def collect_variables(*nodes: Node) -> set[str]:
    """Returns the names of the variables in the nodes."""
    collector = _VariableCollector()
    for node in nodes:
        visit(node, collector)
    return collector.names
