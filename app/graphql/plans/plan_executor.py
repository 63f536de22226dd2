"""Execution of queries and mutations by compiled plans.

graphql-core executes what no plan covers, and reports all errors. A mutation is never run again: if
it fails, or its payload cannot be written, graphql-core gets its result instead of running it.
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
from app.domain.shared.problems import RequestError
from app.graphql.execution.admission import OperationTimeLimit, OperationTimeoutError
from app.graphql.execution.document_costs import OperationCost
from app.graphql.execution.documents import Document
from app.graphql.execution.operation_metrics import (
    OperationRecorder,
    find_error_code,
    root_field_label,
)
from app.graphql.plans.cached_event_types import StaleCacheError
from app.graphql.plans.input_readers import InputReaders, UnsupportedInputError, VariableReader
from app.graphql.plans.plan_steps import NotPlannedError, OperationRequest, collect_variables
from app.graphql.plans.planned_operation import PlannedOperation
from app.graphql.plans.planner import MutationPlan, Plan, Planner, QueryPlan
from app.graphql.plans.response_writer import build_response
from app.graphql.shared.context import Context
from app.store.engine.database_errors import unavailable_reason

if TYPE_CHECKING:
    from app.graphql.schema import Schema

log = structlog.get_logger(__name__)
# There is a plan for each set of values of the variables in @skip and @include: 20 variables would
# allow a million plans, of 50 kB each.
MAX_PLANS_PER_OPERATION = 8
_FALLBACK_ERRORS = (
    GraphQLError,
    RecursionError,  # of a deeply nested input
    RequestError,
    StaleCacheError,
    UnsupportedInputError,
)


@dataclass
class _CachedOperation:
    """An operation with its plans, by driver and values of the variables in directives."""

    document: DocumentNode
    fragments: dict[str, FragmentDefinitionNode]
    node: OperationDefinitionNode
    type: StrawberryOperationType
    root_field: str
    cost: OperationCost
    variable_reader: VariableReader
    directive_variables: tuple[str, ...]
    plans: dict[Hashable, Plan | None] = field(default_factory=dict)


@dataclass
class _PreparedOperation:
    """An operation that may run. `arguments`: those of a mutation, by Python name."""

    operation: _CachedOperation
    plan: Plan
    request: OperationRequest
    cost: int
    arguments: dict[str, Any]


class PlanExecutor:
    """Executes queries and mutations by cached plans."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._graphql_schema = schema.graphql_schema
        self._input_readers = InputReaders()

    async def execute_plan(
        self,
        context: Context,
        document: Document,
        operation_name: str | None,
        variables: dict[str, Any] | None,
    ) -> bytes | ExecutionResult | None:
        """Executes an operation by its plan. None if graphql-core must execute the operation.

        Returns the response as JSON or, with errors, as a result.
        """
        operation = self._find_operation(document, operation_name)
        if operation is None:
            return None
        try:
            prepared = self._prepare_operation(context, operation, variables or {})
            if prepared is None:
                metrics.plan_counter("not_planned").inc()
                return None
            if isinstance(prepared.plan, QueryPlan):
                return await self._execute_in_time(prepared)
        except Exception as error:
            _record_failure(error)
            return None
        return await self._execute_in_time(prepared)  # a mutation is not repeated, whatever happens

    def _prepare_operation(
        self, context: Context, operation: _CachedOperation, variables: dict[str, Any]
    ) -> _PreparedOperation | None:
        """Reads the input and charges the cost. None if there is no plan that may run."""
        cost = operation.cost.calculate(variables)
        if cost > self._schema.documents.limits.cost:
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
        arguments = plan.arguments.read_arguments(request) if isinstance(plan, MutationPlan) else {}
        context.charge_in_advance(cost)
        return _PreparedOperation(operation, plan, request, cost, arguments)

    async def _execute_in_time(self, prepared: _PreparedOperation) -> bytes | ExecutionResult:
        operation, cost, plan = prepared.operation, prepared.cost, prepared.plan
        recorder = OperationRecorder()
        try:
            with OperationTimeLimit(operation.type, self._schema.request_limits):
                if isinstance(plan, MutationPlan):
                    response = await self._run_mutation(prepared, plan)
                else:
                    [response] = await plan.write_data(prepared.request, [None])
        except OperationTimeoutError as error:
            metrics.plan_counter("fallback").inc()
            errors = [GraphQLError(error.message, original_error=error)]
            response = self._schema.build_result(None, errors, cost)
        code = "OK" if isinstance(response, str) else find_error_code(response.errors)
        recorder.record_end(operation.root_field, operation.type.value, code)
        if not isinstance(response, str):
            return response
        metrics.plan_counter("planned").inc()
        return build_response(response, cost, self._schema.documents.limits.cost)

    async def _run_mutation(
        self, prepared: _PreparedOperation, plan: MutationPlan
    ) -> str | ExecutionResult:
        """Returns the data as JSON, or the result with errors."""
        request = prepared.request
        try:
            payload = await plan.run(None, request.context, **prepared.arguments)
        except Exception as error:
            metrics.plan_counter("fallback").inc()
            return await self._report_mutation(prepared, error)
        try:
            [text] = await plan.write_payload(request, [payload])
        except Exception as error:
            _record_failure(error)
            return await self._report_mutation(prepared, payload)
        return f'{{"{plan.response_key}":{text}}}'

    async def _report_mutation(self, prepared: _PreparedOperation, result: Any) -> ExecutionResult:
        """Executes a mutation by graphql-core, with the payload or exception that it has returned
        or raised instead of its resolver.
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
            operation_name=None if operation.node.name is None else operation.node.name.value,
            middleware=MiddlewareManager(resolve),
        )
        if inspect.isawaitable(executed):
            executed = await executed
        return self._schema.build_result(executed.data, executed.errors or [], prepared.cost)

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
        """Prepares a query or mutation. None if there is none, or the document is invalid."""
        node, cost = document.find_operation(name), document.find_operation_cost(name)
        if document.errors or document.node is None or node is None or cost is None:
            return None
        if node.operation is OperationType.SUBSCRIPTION:
            return None
        directive_variables: set[str] = set()

        class DirectiveVisitor(Visitor):
            def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
                directive_variables.update(collect_variables(node))

        for definition in (node, *document.fragments.values()):
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
        )


def _record_failure(error: Exception) -> None:
    """Counts an error of a plan, and logs it."""
    if isinstance(error, _FALLBACK_ERRORS) or unavailable_reason(error) is not None:
        metrics.plan_counter("fallback").inc()
        log.debug("plan_fallback", reason=repr(error))
    else:
        metrics.plan_counter("failed").inc()
        log.error("plan_failed", exc_info=error)
