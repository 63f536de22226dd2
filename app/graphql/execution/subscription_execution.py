"""Execution of subscriptions: opened for each subscriber, executed once for all that share it.

Opening checks permissions, arguments and cursor, and returns an `OpenedSubscription`.
`OpenedSubscription.stream_entries` shares the execution among subscribers of the same organization,
permissions, document and variables. Each starts at its own cursor.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, Generic, TypeVar, cast

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLSchema,
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
from app.services.change_log.broadcast import Push, RenderedEntry
from app.services.change_log.subscriptions import LogSubscription
from app.store.change_log.changes import LOG_START, Entry, LogPosition

Item = TypeVar("Item")
Value = TypeVar("Value")
_READ_FIELD = "NotificationEdge", "read"
# Returns the JSON that is sent to the client.
SerializeResult = Callable[[ExecutionResult], str]


class SharedSource(AsyncIterator[Item], Generic[Item]):
    """Result of a subscription's resolver, from which many subscribers get the same responses.

    As an event source it yields itself once; the executor turns it into an `OpenedSubscription`.
    """

    async def __anext__(self) -> Item:
        return cast("Item", self)

    def open(self, executor: Executor) -> OpenedSubscription:
        raise NotImplementedError


@dataclass(frozen=True)
class FollowedFeed(SharedSource[Item]):
    """A log subscription, and a function that converts an entry to an item."""

    subscription: LogSubscription
    build_item: Callable[[str, Entry], Item | None]

    def open(self, executor: Executor) -> OpenedSubscription:
        return OpenedFeed(executor, self)


@dataclass(frozen=True)
class LiveValue(SharedSource[Item], Generic[Item, Value]):
    """The current value and each new one, and a function that converts a value to an item.

    `get_responses` returns the responses that all subscribers share, and the key of a value in
    them besides the operation.
    """

    values: AsyncGenerator[Value, None]
    build_item: Callable[[Value], Item]
    get_responses: Callable[[Value], tuple[dict[Hashable, str], Hashable]]

    def open(self, executor: Executor) -> OpenedSubscription:
        return OpenedLiveValue(executor, self)


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Returns an `OpenedSubscription` instead of executing a subscription per subscriber.

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
        if isinstance(self.root_value, SharedSource):
            return ExecutionResult(data=cast("Any", self.root_value.open(self)))
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

    def build_per_event_executor(self, payload: Any) -> Any:
        """Returns a new executor: a copy would share the fields collected for earlier events."""
        return type(self)(
            schema=self.schema,
            fragment_definitions=self.fragment_definitions,
            fragments=self.fragments,
            root_value=payload,
            context_value=self.context_value,
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


@dataclass(frozen=True)
class StreamRequest:
    """Operation of a subscriber. `push` takes entries that arrive while the subscriber waits."""

    query: str
    variables: dict[str, Any]
    serialize_result: SerializeResult
    push: Push | None


class OpenedSubscription:
    """An authorized subscription."""

    def stream_entries(self, request: StreamRequest) -> AsyncGenerator[list[RenderedEntry], None]:
        """Yields batches of rendered entries with their log positions, without the pushed ones."""
        raise NotImplementedError

    def get_cursor(self, position: LogPosition) -> Callable[[], str] | None:
        """Returns a function that encodes the cursor of an entry. None if there are no cursors."""
        return None


@dataclass(frozen=True)
class OpenedLiveValue(OpenedSubscription):
    """A live value. Each response contains all of it, so that it is not resumed."""

    executor: Executor
    value: LiveValue[Any, Any]

    async def stream_entries(
        self, request: StreamRequest
    ) -> AsyncGenerator[list[RenderedEntry], None]:
        operation = _build_operation_key(self.executor, request.query, request.variables)
        async with contextlib.aclosing(self.value.values) as values:
            async for value in values:
                responses, key = self.value.get_responses(value)
                if (text := responses.get((operation, key))) is None:
                    item = self.value.build_item(value)
                    executor = self.executor.build_per_event_executor(item)
                    result = executor.execute_operation(False)
                    if asyncio.iscoroutine(result):
                        result = await result
                    text = responses[operation, key] = request.serialize_result(result)
                yield [(LOG_START, text)]


@dataclass(frozen=True)
class OpenedFeed(OpenedSubscription):
    """A subscription to the change log with its start position."""

    executor: Executor
    feed: FollowedFeed[Any]

    async def stream_entries(
        self, request: StreamRequest
    ) -> AsyncGenerator[list[RenderedEntry], None]:
        context: Context = self.executor.context_value
        subscription = self.feed.subscription
        cursor_variable = _find_cursor_variable(self.executor)
        shared_variables = {
            name: value for name, value in request.variables.items() if name != cursor_variable
        }
        one_reader = _selects_read_marks(self.executor)
        key = (
            subscription.broadcast_key,
            context.audience_key(one_reader=one_reader),
            _build_operation_key(self.executor, request.query, shared_variables),
        )
        execution = _SharedExecution(
            self, context.shared_context(one_reader=one_reader), request.serialize_result
        )
        broadcast = context.feed.get_broadcast(
            key, subscription.feed_filter, execution.render_entries
        )
        async with contextlib.aclosing(
            broadcast.subscribe(subscription.after, request.push)
        ) as batches:
            async for rendered in batches:
                yield rendered

    def get_cursor(self, position: LogPosition) -> Callable[[], str]:
        return partial(self.feed.subscription.encode_cursor, position)


class _SharedExecution:
    """Executes entries for all subscribers; keeps no state of the one that opened it."""

    def __init__(
        self,
        opened_subscription: OpenedFeed,
        context: Context,
        serialize_result: SerializeResult,
    ) -> None:
        self._executor = opened_subscription.executor.build_per_event_executor(None)
        self._executor.context_value = context
        self._feed = opened_subscription.feed
        self._serialize_result = serialize_result

    async def render_entries(self, entries: Sequence[Entry]) -> list[RenderedEntry]:
        """Renders the entries concurrently, so that the loaders batch their reads."""
        items = []
        for entry in entries:
            item = self._feed.build_item(
                self._feed.subscription.encode_cursor(entry.position), entry
            )
            if item is not None:
                items.append((entry.position, item))
        results: list[Any] = [
            self._executor.build_per_event_executor(item).execute_operation(False)
            for _, item in items
        ]
        pending = {
            index: result for index, result in enumerate(results) if asyncio.iscoroutine(result)
        }
        for index, result in zip(pending, await asyncio.gather(*pending.values()), strict=True):
            results[index] = result
        return [
            (position, self._serialize_result(result))
            for (position, _), result in zip(items, results, strict=True)
        ]


def _build_operation_key(executor: Executor, query: str, variables: dict[str, Any]) -> Hashable:
    """Returns the key of an operation. Operations with equal keys have the same responses."""
    name = executor.operation.name
    # Variables as text: True is equal to 1.
    return query, name and name.value, json.dumps(variables, sort_keys=True)


def _find_cursor_variable(executor: Executor) -> str | None:
    """Returns the name of the variable used only as the subscription's `after` argument."""
    [field, *other_fields] = executor.operation.selection_set.selections
    if other_fields or not isinstance(field, FieldNode):
        return None
    values = [
        argument.value for argument in field.arguments or () if argument.name.value == "after"
    ]
    if not values or not isinstance(values[0], VariableNode):
        return None
    name = values[0].name.value
    uses = _VariableUses(name)
    for node in (executor.operation.selection_set, *executor.fragment_definitions.values()):
        visit(node, uses)
    return name if uses.count == 1 else None


def _selects_read_marks(executor: Executor) -> bool:
    """Whether the operation selects a field that depends on the caller's read mark."""
    type_info = TypeInfo(executor.schema)
    visitor = _ReadMarkFinder(type_info)
    for node in (executor.operation, *executor.fragment_definitions.values()):
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
