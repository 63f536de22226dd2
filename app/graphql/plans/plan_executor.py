"""Execution of queries and mutations, and opening of subscriptions, by compiled plans.

graphql-core executes what no plan covers, and reports all errors. The resolver of a mutation or a
subscription is never called again: if it fails, or the payload of a mutation cannot be written,
graphql-core gets its result instead of calling it.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import structlog
from graphql import (
    DirectiveNode,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    MiddlewareManager,
    OperationDefinitionNode,
    OperationType,
    Visitor,
    execute,
    get_variable_values,
    visit,
)
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType as StrawberryOperationType

from app import metrics
from app.domain.shared.problems import ErrorCode
from app.graphql.execution.admission import OperationTimeLimit, OperationTimeoutError
from app.graphql.execution.document_costs import OperationCost
from app.graphql.execution.documents import Document
from app.graphql.execution.operation_metrics import (
    CANCELLED,
    OperationRecorder,
    find_error_code,
    root_field_label,
)
from app.graphql.execution.subscription_execution import StreamRequest, SubscriptionOperation
from app.graphql.plans.input_readers import InputReaders, VariableReader
from app.graphql.plans.plan_failures import record_failure
from app.graphql.plans.plan_steps import NotPlannedError, OperationRequest, collect_variables
from app.graphql.plans.planned_operation import PlannedOperation
from app.graphql.plans.planner import Plan, Planner, QueryPlan, ResolverPlan
from app.graphql.plans.response_writer import build_response
from app.graphql.plans.subscription_renderer import SubscriptionRenderer
from app.graphql.schema import Schema
from app.graphql.shared.context import Context
from app.services.change_log.broadcast import Push, RenderedEntry
from app.store.change_log.changes import LogPosition

Result = TypeVar("Result")

log = structlog.get_logger(__name__)
# There is a plan for each set of values of the variables in @skip and @include: 20 variables would
# allow a million plans, of 50 kB each.
MAX_PLANS_PER_OPERATION = 8
SINGLE_RESULT = frozenset({StrawberryOperationType.QUERY, StrawberryOperationType.MUTATION})


@dataclass
class _CachedOperation:
    """An operation with its plans, by driver and values of the variables in directives.

    `subscription`: None for a query or a mutation.
    """

    document: DocumentNode
    fragments: dict[str, FragmentDefinitionNode]
    node: OperationDefinitionNode
    type: StrawberryOperationType
    root_field: str
    cost: OperationCost
    variable_reader: VariableReader
    directive_variables: tuple[str, ...]
    subscription: SubscriptionOperation | None
    plans: dict[Hashable, Plan | None] = field(default_factory=dict)

    @property
    def name(self) -> str | None:
        return None if self.node.name is None else self.node.name.value


@dataclass
class _PreparedOperation:
    """An operation that may run. `arguments`: those of the resolver of a `ResolverPlan`."""

    operation: _CachedOperation
    plan: Plan
    request: OperationRequest
    cost: int
    arguments: dict[str, Any]


@dataclass(frozen=True)
class OpenedSubscription:
    """A subscription whose permissions, arguments and cursor are checked."""

    entries: AsyncGenerator[list[RenderedEntry], None]
    get_cursor: Callable[[LogPosition], Callable[[], str] | None]


class PlanExecutor:
    """Executes operations by cached plans."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._graphql_schema = schema.graphql_schema
        self._input_readers = InputReaders()

    async def execute_plan(
        self,
        context: Context,
        document: Document,
        operation_name: str | None,
        variables: dict[str, Any] | None,
        allowed_types: Collection[StrawberryOperationType] = SINGLE_RESULT,
    ) -> str | ExecutionResult | None:
        """Executes an operation of these types by its plan. None if graphql-core must execute it.

        Returns the response as JSON or, with errors, as a result.
        """
        operation = self._find_operation(document, operation_name)
        if operation is None or operation.type not in allowed_types:
            return None
        prepared = self._prepare_operation(context, operation, variables or {})
        if prepared is None:
            return None
        try:
            response = await self._run_in_time(prepared, self._write_data(prepared))
        except Exception as error:
            if isinstance(prepared.plan, ResolverPlan):
                raise  # a mutation is not repeated, whatever happens
            record_failure(error)
            return None
        if isinstance(response, ExecutionResult):
            return response
        return build_response(response, prepared.cost, self.schema.documents.limits.cost)

    async def open_subscription(
        self,
        context: Context,
        document: Document,
        operation_name: str | None,
        variables: dict[str, Any] | None,
        push: Push | None,
    ) -> OpenedSubscription | ExecutionResult:
        """Opens a subscription by its plan, or else by graphql-core. A result has errors."""
        variables = variables or {}
        operation = self._find_operation(document, operation_name)
        prepared = (
            None if operation is None else self._prepare_operation(context, operation, variables)
        )
        plan: ResolverPlan | None = None
        json_values: Mapping[str, Any] = variables
        inputs: Mapping[str, Any] = {}
        if prepared is None:
            source = await self._open_by_schema(context, document, operation_name, variables)
        else:
            plan, request = cast("ResolverPlan", prepared.plan), prepared.request
            json_values, inputs = request.json_values, request.inputs
            source = await self._run_in_time(prepared, self._call_resolver(prepared, plan))
        if isinstance(source, ExecutionResult):
            return source
        operation = cast("_CachedOperation", operation)  # the schema has opened it
        subscription = cast("SubscriptionOperation", operation.subscription)
        renderer = SubscriptionRenderer(
            self.schema, operation.document, operation.name, json_values, inputs, plan
        )
        key = subscription.build_key(variables)
        stream_request = StreamRequest(
            context, key, subscription.one_reader, renderer.render_items, push
        )
        return OpenedSubscription(source.stream_entries(stream_request), source.get_cursor)

    async def _open_by_schema(
        self,
        context: Context,
        document: Document,
        operation_name: str | None,
        variables: dict[str, Any] | None,
    ) -> Any:
        """Returns the source of a subscription, or the result with errors."""
        results = await self.schema.stream(
            document.text,
            variable_values=variables,
            context_value=context,
            operation_name=operation_name,
        )
        async with contextlib.aclosing(results):
            result = await anext(results)
        return result if result.errors else result.data

    def _prepare_operation(
        self, context: Context, operation: _CachedOperation, variables: dict[str, Any]
    ) -> _PreparedOperation | None:
        """Reads the input and charges the cost. None if there is no plan that may run."""
        try:
            prepared = self._read_operation(context, operation, variables)
        except Exception as error:
            record_failure(error)
            return None
        if prepared is None:
            metrics.plan_counter("not_planned").inc()
        return prepared

    def _read_operation(
        self, context: Context, operation: _CachedOperation, variables: dict[str, Any]
    ) -> _PreparedOperation | None:
        cost = operation.cost.calculate(variables)
        if cost > self.schema.documents.limits.cost:
            return None
        json_values, inputs = operation.variable_reader.read_variables(variables)
        request = OperationRequest(context, json_values, inputs)
        plan = self._find_plan(operation, request)
        if plan is None:
            return None
        caller = context.caller
        for permissions in plan.required_permissions:
            if not caller.has_any_permission(permissions):
                return None
        arguments = plan.arguments.read_arguments(request) if isinstance(plan, ResolverPlan) else {}
        context.charge_in_advance(cost)
        return _PreparedOperation(operation, plan, request, cost, arguments)

    async def _run_in_time(
        self, prepared: _PreparedOperation, running: Awaitable[Result]
    ) -> Result | ExecutionResult:
        """Returns what the awaitable returns or, on a timeout, the result with the error.

        Records the operation, unless its plan fails before anything ran: graphql-core then
        executes and records it.
        """
        operation, recorder = prepared.operation, OperationRecorder()
        result: str | None = ErrorCode.INTERNAL_SERVER_ERROR.value
        try:
            response = await self._limit_time(prepared, running)
            result = "OK"
            if isinstance(response, ExecutionResult):
                result = find_error_code(response.errors)
            return response
        except asyncio.CancelledError:
            result = CANCELLED
            raise
        except Exception:
            if isinstance(prepared.plan, QueryPlan):
                result = None
            raise
        finally:
            if result is not None:
                recorder.record_end(operation.root_field, operation.type.value, result)

    async def _limit_time(
        self, prepared: _PreparedOperation, running: Awaitable[Result]
    ) -> Result | ExecutionResult:
        try:
            with OperationTimeLimit(prepared.operation.type, self.schema.request_limits):
                response: Result | ExecutionResult = await running
        except OperationTimeoutError as error:
            metrics.plan_counter("fallback").inc()
            errors = [GraphQLError(error.message, original_error=error)]
            return self.schema.build_result(None, errors, prepared.cost)
        if not isinstance(response, ExecutionResult):
            metrics.plan_counter("planned").inc()
        return response

    async def _write_data(self, prepared: _PreparedOperation) -> str | ExecutionResult:
        """Returns the data as JSON, or the result with errors."""
        request, plan = prepared.request, prepared.plan
        if isinstance(plan, QueryPlan):
            [text] = await plan.write_data(request, [None])
            return text
        payload = await self._call_resolver(prepared, plan)
        if isinstance(payload, ExecutionResult):
            return payload
        try:
            [text] = await plan.write_result(request, [payload])
        except Exception as error:
            record_failure(error)
            return await self._report_result(prepared, payload)
        return f'{{"{plan.response_key}":{text}}}'

    async def _call_resolver(self, prepared: _PreparedOperation, plan: ResolverPlan) -> Any:
        """Returns what the resolver returns or, if it raises one, the result with the error."""
        try:
            return await plan.call_resolver(None, prepared.request.context, **prepared.arguments)
        except Exception as error:
            metrics.plan_counter("fallback").inc()
            return await self._report_result(prepared, error)

    async def _report_result(self, prepared: _PreparedOperation, result: Any) -> ExecutionResult:
        """Executes the operation by graphql-core, with the payload or exception that its resolver
        has returned or raised instead of the resolver.
        """

        def resolve(next_: Any, parent: Any, info: Any, **arguments: Any) -> Any:
            if info.path.prev is not None:
                return next_(parent, info, **arguments)
            if isinstance(result, Exception):
                raise result
            return result

        operation, request = prepared.operation, prepared.request
        executed: Any = execute(
            self._graphql_schema,
            operation.document,
            context_value=request.context,
            variable_values=dict(request.json_values),
            operation_name=operation.name,
            middleware=MiddlewareManager(resolve),
        )
        if inspect.isawaitable(executed):
            executed = await executed
        return self.schema.build_result(executed.data, executed.errors or [], prepared.cost)

    def _find_plan(self, operation: _CachedOperation, request: OperationRequest) -> Plan | None:
        plan_key: Hashable = request.context.database.driver_codec.name
        if operation.directive_variables:
            plan_key = plan_key, *map(request.inputs.get, operation.directive_variables)
        if plan_key not in operation.plans:
            if len(operation.plans) == MAX_PLANS_PER_OPERATION:
                operation.plans.clear()
            operation.plans[plan_key] = self._compile_plan(operation, request)
        return operation.plans[plan_key]

    def _compile_plan(self, operation: _CachedOperation, request: OperationRequest) -> Plan | None:
        values = get_variable_values(
            self._graphql_schema,
            operation.node.variable_definitions or (),
            dict(request.json_values),
        )
        if isinstance(values, list):
            raise values[0]
        planned_operation = PlannedOperation(
            self._graphql_schema,
            request.context.database.driver_codec,
            operation.node,
            operation.fragments,
            values,
        )
        try:
            return Planner(planned_operation, self._input_readers).build_plan()
        except NotPlannedError as error:
            log.debug("not_planned", reason=str(error))
            return None

    def _find_operation(self, document: Document, name: str | None) -> _CachedOperation | None:
        operation: _CachedOperation | None = document.prepared_operations.get(name)
        if operation is None:
            operation = self._create_operation(document, name)
            if operation is not None:
                document.prepared_operations[name] = operation
        return operation

    def _create_operation(self, document: Document, name: str | None) -> _CachedOperation | None:
        """Prepares an operation. None if there is none, or the document is invalid."""
        node, cost = document.find_operation(name), document.find_operation_cost(name)
        if document.errors or document.node is None or node is None or cost is None:
            return None
        fragments = document.fragments.values()
        directive_variables: set[str] = set()

        class DirectiveVisitor(Visitor):
            def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
                directive_variables.update(collect_variables(node))

        for definition in (node, *fragments):
            visit(definition, DirectiveVisitor())
        return _CachedOperation(
            document.node,
            document.fragments,
            node,
            StrawberryOperationType(node.operation.value),
            root_field_label(self._graphql_schema, node),
            cost,
            VariableReader(
                self._graphql_schema, self._input_readers, node.variable_definitions or ()
            ),
            tuple(sorted(directive_variables)),
            SubscriptionOperation.from_node(self._graphql_schema, document.text, node, fragments)
            if node.operation is OperationType.SUBSCRIPTION
            else None,
        )
