"""Execution of queries by compiled plans, with fallback to graphql-core."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import structlog
from graphql import (
    DirectiveNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    Visitor,
    get_variable_values,
    visit,
)
from graphql.execution.values import VariableValues
from strawberry.types.graphql import OperationType as StrawberryOperationType

from app import metrics
from app.domain.shared.problems import RequestError
from app.graphql.execution.admission import OperationTimeoutError, create_timeout_error
from app.graphql.execution.document_costs import OperationCost
from app.graphql.execution.documents import Document
from app.graphql.execution.operation_metrics import OperationRecorder, root_field_label
from app.graphql.plans.cached_event_types import StaleCacheError
from app.graphql.plans.plan_steps import NotPlannedError, QueryPlan, collect_variables
from app.graphql.plans.planned_operation import PlannedOperation
from app.graphql.plans.planner import Planner
from app.graphql.plans.response_writer import QueryRequest, build_response, write_data
from app.graphql.shared.context import Context
from app.store.engine.database_errors import unavailable_reason

if TYPE_CHECKING:
    from app.graphql.schema import Schema

log = structlog.get_logger(__name__)
# There is a plan for each set of values of the variables in @skip and @include: 20 variables would
# allow a million plans, of 50 kB each.
MAX_PLANS_PER_OPERATION = 8
_FALLBACK_ERRORS = (GraphQLError, RequestError, StaleCacheError)


@dataclass
class _CachedQuery:
    """A query with its plans, by driver and values of the variables in directives."""

    node: OperationDefinitionNode
    root_field: str
    cost: OperationCost
    fragments: dict[str, FragmentDefinitionNode]
    directive_variables: tuple[str, ...]
    plans: dict[Hashable, QueryPlan | None] = field(default_factory=dict)


class QueryExecutor:
    """Executes queries by cached plans."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._graphql_schema = schema._schema
        # Entries live as long as their document in the cache, which bounds their number.
        self._queries: WeakKeyDictionary[Document, dict[str | None, _CachedQuery]] = (
            WeakKeyDictionary()
        )

    async def execute_query(
        self,
        context: Context,
        document: Document,
        operation_name: str | None,
        variables: dict[str, Any] | None,
    ) -> bytes | None:
        """Returns the response as JSON, or None if graphql-core must execute the operation.

        Raises OperationTimeoutError if the query exceeds its time limit.
        """
        query = self._get_query(document, operation_name)
        if query is None:
            return None
        cost, max_cost = query.cost.calculate(variables or {}), self._schema.documents.limits.cost
        result = "not_planned"
        try:
            plan_and_request = (
                self._find_plan(context, query, variables) if cost <= max_cost else None
            )
            if plan_and_request is not None:
                result = "fallback"
                context.charge_in_advance(cost)
                recorder = OperationRecorder()
                try:
                    data = await self._write_in_time(*plan_and_request)
                except OperationTimeoutError as error:
                    recorder.record_end(query.root_field, "query", error.code.value)
                    raise
                recorder.record_end(query.root_field, "query", "OK")
                result = "planned"
                return build_response(data, cost, max_cost)
        except OperationTimeoutError:
            raise
        except Exception as error:
            # graphql-core reports the error.
            if isinstance(error, _FALLBACK_ERRORS) or unavailable_reason(error) is not None:
                log.debug("plan_fallback", reason=repr(error))
            else:
                result = "failed"
                log.error("plan_failed", exc_info=error)
        finally:
            metrics.plan_counter(result).inc()
        return None

    async def _write_in_time(self, plan: QueryPlan, request: QueryRequest) -> str:
        seconds = self._schema.request_limits.query_timeout_seconds
        try:
            async with asyncio.timeout(seconds) as deadline:
                return await write_data(plan, request)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise create_timeout_error(StrawberryOperationType.QUERY, seconds) from error

    def _find_plan(
        self, context: Context, query: _CachedQuery, raw_variables: dict[str, Any] | None
    ) -> tuple[QueryPlan, QueryRequest] | None:
        definitions = query.node.variable_definitions
        values = VariableValues({}, {})
        if definitions:
            coerced = get_variable_values(self._graphql_schema, definitions, raw_variables or {})
            if isinstance(coerced, list):
                raise coerced[0]
            values = coerced
        plan_key = (
            context.database.driver_codec.name,
            *map(values.coerced.get, query.directive_variables),
        )
        if plan_key not in query.plans:
            if len(query.plans) == MAX_PLANS_PER_OPERATION:
                query.plans.clear()
            query.plans[plan_key] = self._compile_plan(context, query, values)
        plan = query.plans[plan_key]
        if plan is None or not all(
            map(context.caller.has_any_permission, plan.required_permissions)
        ):
            return None
        return plan, QueryRequest(context, values, raw_variables)

    def _compile_plan(
        self, context: Context, query: _CachedQuery, values: VariableValues
    ) -> QueryPlan | None:
        driver_codec = context.database.driver_codec
        operation = PlannedOperation(
            self._schema, driver_codec, query.node, query.fragments, values
        )
        try:
            return Planner(operation).build_plan()
        except NotPlannedError as error:
            log.debug("not_planned", reason=str(error))
            return None

    def _get_query(self, document: Document, name: str | None) -> _CachedQuery | None:
        queries = self._queries.setdefault(document, {})
        if (query := queries.get(name)) is None and (
            query := self._build_query(document, name)
        ) is not None:
            queries[name] = query
        return query

    def _build_query(self, document: Document, name: str | None) -> _CachedQuery | None:
        """Prepares a query. None if the document is invalid or the operation is not a query."""
        node, cost = document.find_operation(name), document.find_operation_cost(name)
        if document.errors or node is None or cost is None:
            return None
        if node.operation is not OperationType.QUERY:
            return None
        fragments = document.fragments
        directive_variables: set[str] = set()

        class DirectiveVisitor(Visitor):
            def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
                directive_variables.update(collect_variables(node))

        for definition in (node, *fragments.values()):
            visit(definition, DirectiveVisitor())
        root_field = root_field_label(self._graphql_schema, node)
        return _CachedQuery(node, root_field, cost, fragments, tuple(sorted(directive_variables)))
