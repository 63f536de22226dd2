"""Responses of an operation as JSON, for all transports.

An operation is executed by its plan, or else by graphql-core. The responses of a subscription are
rendered once for all that share them (`execution/subscription_execution.py`).

Error codes, masking and logging are those of HTTP: both use the schema's `process_errors`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import dataclass

from graphql import GraphQLError
from strawberry.http import process_result
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from app.domain.shared.json_encoding import encode_json
from app.graphql.plans.plan_executor import SINGLE_RESULT, PlanExecutor
from app.graphql.shared.context import Context
from app.graphql.transport.requests import GraphQLRequest
from app.services.change_log.broadcast import Push


@dataclass(frozen=True)
class OperationResponse:
    """A response to a request.

    `payload`: the result as JSON; if `failed`, the errors, and it is the last response.
    `has_more`: the next response is available without waiting.
    `get_cursor`: returns the subscription's cursor after this response, if it has cursors.
    """

    payload: str
    failed: bool = False
    has_more: bool = False
    get_cursor: Callable[[], str] | None = None


async def execute_operation(
    executor: PlanExecutor,
    context: Context,
    request: GraphQLRequest,
    allowed_types: Collection[OperationType] = SINGLE_RESULT,
) -> str | ExecutionResult:
    """Executes a query or a mutation. Returns the response as JSON, or the result.

    Raises InvalidOperationTypeError if the type of the operation is not allowed.
    """
    schema = executor.schema
    document = schema.documents.get_document(request.query)
    name, variables = request.operation_name, request.variables
    response = await executor.execute_plan(context, document, name, variables, allowed_types)
    if response is not None:
        return response
    return await schema.execute(
        request.query,
        variable_values=variables,
        context_value=context,
        operation_name=name,
        allowed_operation_types=allowed_types,
        operation_extensions=request.extensions,
    )


async def stream_responses(
    executor: PlanExecutor, context: Context, request: GraphQLRequest, push: Push | None = None
) -> AsyncGenerator[OperationResponse, None]:
    """Yields one response of a query or mutation, or each event of a subscription.

    A slow consumer makes the source wait. Close the generator after use. Payloads of a subscription
    that arrive while the consumer waits are given to `push` if possible.
    """
    try:
        document = executor.schema.documents.get_document(request.query)
        name, variables = request.operation_name, request.variables
        if document.find_operation_type(name) is not OperationType.SUBSCRIPTION:
            yield _create_response(await execute_operation(executor, context, request))
            return
        opened = await executor.open_subscription(context, document, name, variables, push)
        if isinstance(opened, ExecutionResult):
            yield _create_failed_response(opened.errors or ())
            return
        async with contextlib.aclosing(opened.entries) as batches:
            async for rendered in batches:
                for offset, (position, payload) in enumerate(rendered, 1 - len(rendered)):
                    yield OperationResponse(payload, False, offset < 0, opened.get_cursor(position))
    except Exception as error:
        # Admission raises the error of a document that does not parse.
        if not isinstance(error, GraphQLError):
            error = GraphQLError(str(error), original_error=error)
        executor.schema.process_errors([error])
        yield _create_failed_response([error])


def is_request_error(result: ExecutionResult) -> bool:
    """Returns whether the operation did not run, or its source failed. Field errors have a path."""
    if isinstance(result, PreExecutionError):
        return True
    errors = result.errors or ()
    return result.data is None and bool(errors) and all(error.path is None for error in errors)


def _create_response(response: str | ExecutionResult) -> OperationResponse:
    if isinstance(response, str):
        return OperationResponse(response)
    if is_request_error(response):
        return _create_failed_response(response.errors or ())
    return OperationResponse(encode_json(process_result(response)))


def _create_failed_response(errors: Sequence[GraphQLError]) -> OperationResponse:
    return OperationResponse(encode_json([error.formatted for error in errors]), failed=True)
