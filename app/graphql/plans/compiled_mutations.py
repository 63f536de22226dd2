"""Execution of mutations that report events by compiled plans: their results are in memory.

Only successful payloads are written here. Unsupported arguments, errors and warnings fall back to
graphql-core, which gets the result of the mutation and does not run it again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import structlog
from graphql import (
    FieldNode,
    GraphQLError,
    OperationType,
    get_named_type,
)
from graphql.execution.values import VariableValues
from strawberry.types.graphql import OperationType as StrawberryOperationType

from app import metrics
from app.domain.access.caller import Permission
from app.domain.shared.problems import RequestError
from app.graphql.execution.admission import OperationTimeoutError, enforce_timeout
from app.graphql.execution.document_costs import OperationCost
from app.graphql.execution.documents import Document
from app.graphql.execution.operation_metrics import OperationRecorder, root_field_label
from app.graphql.plans.argument_readers import ArgumentReader, UnsupportedInputError
from app.graphql.plans.object_writer import ObjectWriter
from app.graphql.plans.plan_steps import NotPlannedError
from app.graphql.plans.planned_operation import PlannedOperation
from app.graphql.plans.response_writer import build_response
from app.graphql.shared.context import Context
from app.graphql.shared.field_sources import MutationHandler, get_field_source
from app.store.tables.columns import DriverCodec

if TYPE_CHECKING:
    from app.graphql.schema import Schema

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class MutationPlan:
    """A compiled operation with one mutation: argument reader, handler and payload writer."""

    root_field: str
    response_key: str
    cost: OperationCost
    handler: MutationHandler
    argument_reader: ArgumentReader
    payload_writer: ObjectWriter
    required_permissions: frozenset[frozenset[Permission]]


class CompiledMutations:
    """Executes mutations by cached plans."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._graphql_schema = schema._schema
        # Entries live as long as their document in the cache, which bounds their number.
        self._plans: WeakKeyDictionary[Document, dict[str | None, MutationPlan | None]] = (
            WeakKeyDictionary()
        )

    async def execute_mutation(
        self,
        context: Context,
        document: Document,
        operation_name: str | None,
        variables: dict[str, Any] | None,
    ) -> bytes | None:
        """Returns the response as JSON, or None if graphql-core must execute the operation.

        Raises OperationTimeoutError if the mutation exceeds its time limit.
        """
        plan = self._get_plan(document, operation_name)
        if plan is None or not all(
            map(context.caller.has_any_permission, plan.required_permissions)
        ):
            return None
        cost, max_cost = plan.cost.calculate(variables or {}), self._schema.documents.limits.cost
        if cost > max_cost:
            return None
        try:
            arguments = plan.argument_reader.read_arguments(variables or {})
            context.charge_in_advance(cost)
        except (UnsupportedInputError, GraphQLError, RequestError):
            metrics.plan_counter("fallback").inc()
            return None
        payload = await self._run_mutation(context, plan, arguments)
        metrics.plan_counter("fallback" if payload is None else "planned").inc()
        if payload is None:
            return None
        return build_response(f'{{"{plan.response_key}":{payload}}}', cost, max_cost)

    async def _run_mutation(
        self, context: Context, plan: MutationPlan, arguments: dict[str, Any]
    ) -> str | None:
        """Returns the payload as JSON, or None if graphql-core must report the result."""
        context.mutation_result = asyncio.get_running_loop().create_future()
        recorder = OperationRecorder()
        try:
            async with enforce_timeout(
                StrawberryOperationType.MUTATION, self._schema.request_limits
            ):
                context.mutation_result.set_result(await plan.handler.handle(context, **arguments))
            [payload] = plan.payload_writer.write_objects([context.mutation_result.result()])
            recorder.record_end(plan.root_field, "mutation", "OK")
            return payload
        except OperationTimeoutError as error:
            recorder.record_end(plan.root_field, "mutation", error.code.value)
            raise
        except NotPlannedError:
            return None
        except Exception as error:
            if context.mutation_result.done():
                log.error("plan_failed", exc_info=error)
            else:
                context.mutation_result.set_exception(error)
        return None

    def _get_plan(self, document: Document, name: str | None) -> MutationPlan | None:
        plans = self._plans.setdefault(document, {})
        if name not in plans and document.find_operation(name) is not None:
            try:
                plans[name] = self._compile_plan(document, name)
            except (NotPlannedError, UnsupportedInputError) as error:
                log.debug("not_planned", reason=str(error))
                plans[name] = None
        return plans.get(name)

    def _compile_plan(self, document: Document, name: str | None) -> MutationPlan | None:
        """Compiles the plan of an operation. None if the document is invalid or is not a mutation
        that plans support.

        Raises NotPlannedError or UnsupportedInputError.
        """
        node, cost, graphql_schema = (
            document.find_operation(name),
            document.find_operation_cost(name),
            self._graphql_schema,
        )
        if node is None or cost is None or document.errors:
            return None
        root, selections = graphql_schema.mutation_type, node.selection_set.selections
        if node.operation is not OperationType.MUTATION or root is None or len(selections) != 1:
            return None
        [field_node] = selections
        if not isinstance(field_node, FieldNode) or field_node.name.value.startswith("__"):
            return None
        field = root.fields[field_node.name.value]
        handler = get_field_source(root, field_node.name.value)
        if not isinstance(handler, MutationHandler) or document.has_directives:
            return None
        no_values = VariableValues({}, {})
        operation = PlannedOperation(
            self._schema, DriverCodec(None), node, document.fragments, no_values
        )
        operation.resolve_source(root, field_node.name.value)
        argument_reader = ArgumentReader(graphql_schema, node, field, field_node)
        [(response_key, details)] = operation.collect_root_fields(root).items()
        payload_writer = ObjectWriter(operation, get_named_type(field.type), details)
        root_field = root_field_label(graphql_schema, node)
        return MutationPlan(
            root_field,
            response_key,
            cost,
            handler,
            argument_reader,
            payload_writer,
            frozenset(operation.required_permissions),
        )
