"""Subscriptions: what their resolvers return, and how many subscribers share its responses.

The resolver checks arguments and cursor, and returns a source. Subscribers of the same
organization, permissions, document and variables share the responses, but each starts at its own
cursor.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Hashable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, Generic, TypeVar, cast

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution.collect_fields import collect_fields
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from app.graphql.execution.input_errors import MAX_REPORTED_ERRORS, add_variable_paths
from app.graphql.shared.context import Context
from app.graphql.shared.field_sources import FirstValue, get_first_value, get_strawberry_field
from app.services.change_log.broadcast import Broadcast, Push, RenderedEntry
from app.services.change_log.subscriptions import LogSubscription
from app.store.change_log.changes import LOG_START, Entry, LogPosition

Item = TypeVar("Item")
Value = TypeVar("Value")
_READ_FIELD = "NotificationEdge", "read"
# Returns the response to each item as JSON.
RenderItems = Callable[[Context, Sequence[Any]], Awaitable[Sequence[str]]]


@dataclass(frozen=True)
class SubscriptionOperation:
    """A subscription of a document.

    `cursor_variable`: name of the variable that is used only as the cursor to start after.
    `one_reader`: whether the responses depend on the caller's read mark.
    """

    document: str
    name: str | None
    cursor_variable: str | None
    one_reader: bool

    @classmethod
    def from_node(
        cls,
        schema: GraphQLSchema,
        document: str,
        node: OperationDefinitionNode,
        fragments: Collection[FragmentDefinitionNode],
    ) -> SubscriptionOperation:
        return cls(
            document,
            None if node.name is None else node.name.value,
            _find_cursor_variable(node, fragments),
            _selects_read_marks(schema, node, fragments),
        )

    def build_key(self, variables: Mapping[str, Any]) -> Hashable:
        """Returns a key. Operations with equal keys have the same responses."""
        shared = {name: variables[name] for name in variables if name != self.cursor_variable}
        # Variables as text: True is equal to 1.
        return self.document, self.name, json.dumps(shared, sort_keys=True)


@dataclass(frozen=True)
class StreamRequest:
    """What a subscriber receives from a source.

    `key`: equal for all subscribers that share the responses, apart from their permissions.
    `push` takes entries that arrive while the subscriber waits.
    """

    context: Context
    key: Hashable
    one_reader: bool
    render_items: RenderItems
    push: Push | None


class SubscriptionSource(AsyncIterator[Item], Generic[Item]):
    """Result of a subscription's resolver, from which many subscribers get the same responses.

    As an event source it yields itself once, and the executor returns it as data.
    """

    async def __anext__(self) -> Item:
        return cast("Item", self)

    def stream_entries(self, request: StreamRequest) -> AsyncGenerator[list[RenderedEntry], None]:
        """Yields batches of rendered entries with their log positions, without the pushed ones."""
        raise NotImplementedError

    def get_cursor(self, position: LogPosition) -> Callable[[], str] | None:
        """Returns a function that encodes the cursor of an entry. None if there are no cursors."""
        return None


@dataclass(frozen=True)
class FollowedFeed(SubscriptionSource[Item]):
    """A log subscription, and a function that converts an entry to an item."""

    subscription: LogSubscription
    build_item: Callable[[str, Entry], Item | None]

    def stream_entries(self, request: StreamRequest) -> AsyncGenerator[list[RenderedEntry], None]:
        return self._get_broadcast(request).subscribe(self.subscription.after, request.push)

    def get_cursor(self, position: LogPosition) -> Callable[[], str]:
        return partial(self.subscription.encode_cursor, position)

    def _get_broadcast(self, request: StreamRequest) -> Broadcast:
        """Returns the broadcast for all subscribers with the same audience and operation.

        The subscriber that starts it may leave first: the broadcast keeps neither its connection
        nor its credential, and no response depends on its start position.
        """
        context, one_reader = request.context, request.one_reader
        audience = context.audience_key(one_reader=one_reader)
        key = self.subscription.broadcast_key, audience, request.key
        shared_context = context.shared_context(one_reader=one_reader)
        render_items = request.render_items

        async def render_entries(entries: Sequence[Entry]) -> list[RenderedEntry]:
            items = []
            for entry in entries:
                cursor = self.subscription.encode_cursor(entry.position)
                if (item := self.build_item(cursor, entry)) is not None:
                    items.append((entry.position, item))
            if not items:
                return []
            # All together, so that the loaders batch their reads.
            texts = await render_items(shared_context, [item for _, item in items])
            return [(position, text) for (position, _), text in zip(items, texts, strict=True)]

        return context.feed.get_broadcast(key, self.subscription.feed_filter, render_entries)


@dataclass(frozen=True)
class LiveValue(SubscriptionSource[Item], Generic[Item, Value]):
    """The current value and each new one, and a function that converts a value to an item.

    Each response contains all of it, so that it is not resumed. `get_responses` returns the
    responses that all subscribers share, and the key of a value in them besides the operation.
    """

    values: AsyncGenerator[Value, None]
    build_item: Callable[[Value], Item]
    get_responses: Callable[[Value], tuple[dict[Hashable, str], Hashable]]

    async def stream_entries(
        self, request: StreamRequest
    ) -> AsyncGenerator[list[RenderedEntry], None]:
        async with contextlib.aclosing(self.values) as values:
            async for value in values:
                responses, value_key = self.get_responses(value)
                key = request.key, value_key
                if key not in responses:
                    item = self.build_item(value)
                    [responses[key]] = await request.render_items(request.context, [item])
                yield [(LOG_START, responses[key])]


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Returns the source of a subscription as data, instead of executing it per subscriber.

    Reads each `FirstValue` before the other fields of a query, as its plan would.
    """

    @classmethod
    def build(
        cls,
        schema: GraphQLSchema,
        document: DocumentNode,
        root_value: Any = None,
        context_value: Any = None,
        raw_variable_values: dict[str, Any] | None = None,
        operation_name: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Returns an executor, or the errors of the variables, without suggestions of names."""
        variables = raw_variable_values or {}
        result = super().build(
            *(schema, document, root_value, context_value, variables, operation_name, *args),
            **{**kwargs, "hide_suggestions": True},
        )
        if not isinstance(result, list):
            return result
        errors = result[:MAX_REPORTED_ERRORS]
        add_variable_paths(errors, schema, document, operation_name, variables)
        return errors

    def execute_operation(self, serially: bool | None = None) -> Any:
        if isinstance(self.root_value, SubscriptionSource):
            return ExecutionResult(data=cast("Any", self.root_value))
        if first_values := self._collect_first_values():
            return self._execute_after(first_values, serially)
        return super().execute_operation(serially)

    def _collect_first_values(self) -> dict[str, FirstValue]:
        """Returns the selected values that are read first, by the Python name of their field."""
        root_type = self.schema.query_type
        if self.operation.operation is not OperationType.QUERY or root_type is None:
            return {}
        fields = collect_fields(
            self.schema, self.fragments, self.variable_values, root_type, self.operation
        )
        return {
            get_strawberry_field(root_type.fields[item.node.name.value]).python_name: source
            for [item, *_] in fields.grouped_field_set.values()
            if (source := get_first_value(root_type, item.node))
        }

    async def _execute_after(
        self, first_values: Mapping[str, FirstValue], serially: bool | None
    ) -> Any:
        self.root_value = SimpleNamespace()
        for name, source in first_values.items():
            try:
                value = await source.fetch(None, self.context_value)
            except Exception as error:  # graphql-core raises it when it reads the field
                value = error
            setattr(self.root_value, name, value)
        result = super().execute_operation(serially)
        return await result if self.is_awaitable(result) else result

    def build_per_event_executor(self, payload: Any, context: Context | None = None) -> Any:
        """Returns a new executor: a copy would share the fields collected for earlier events.

        `context`: the context of the event, if it is another.
        """
        return type(self)(
            schema=self.schema,
            fragment_definitions=self.fragment_definitions,
            fragments=self.fragments,
            root_value=payload,
            context_value=context or self.context_value,
            operation=self.operation,
            variable_values=self.variable_values,
            field_resolver=self.field_resolver,
            type_resolver=self.type_resolver,
            subscribe_field_resolver=self.subscribe_field_resolver,
            enable_early_execution=self.enable_early_execution,
            middleware_manager=self.middleware_manager,
            is_awaitable=self.is_awaitable,
            is_async_iterable=self.is_async_iterable,
            hide_suggestions=self.hide_suggestions,
            abort_signal=self.abort_signal,
            hooks=self.hooks,
            operation_extensions=self.operation_extensions,
        )


def _find_cursor_variable(
    operation: OperationDefinitionNode, fragments: Collection[FragmentDefinitionNode]
) -> str | None:
    """Returns the name of the variable used only as the subscription's `after` argument."""
    [field, *other_fields] = operation.selection_set.selections
    if other_fields or not isinstance(field, FieldNode):
        return None
    values = [
        argument.value for argument in field.arguments or () if argument.name.value == "after"
    ]
    if not values or not isinstance(values[0], VariableNode):
        return None
    name = values[0].name.value
    uses = _VariableUses(name)
    for node in (operation.selection_set, *fragments):
        visit(node, uses)
    return name if uses.count == 1 else None


def _selects_read_marks(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Collection[FragmentDefinitionNode],
) -> bool:
    """Whether the operation selects a field that depends on the caller's read mark."""
    type_info = TypeInfo(schema)
    visitor = _ReadMarkFinder(type_info)
    for node in (operation, *fragments):
        visit(node, TypeInfoVisitor(type_info, visitor))
    return visitor.found


class _ReadMarkFinder(Visitor):
    def __init__(self, type_info: TypeInfo) -> None:
        super().__init__()
        self._type_info = type_info
        self.found = False

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent = self._type_info.get_parent_type()
        self.found |= parent is not None and (parent.name, node.name.value) == _READ_FIELD


class _VariableUses(Visitor):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.count = 0

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.count += node.name.value == self._name
