"""Responses of an operation as JSON, streamed to a transport.

A subscription is executed once for all that share it (`execution/subscription_execution.py`).

Error codes, masking and logging are those of HTTP: both use the schema's `process_errors`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from graphql import ExecutionResult as OriginalResult
from graphql import GraphQLError
from strawberry.http import process_result
from strawberry.types.execution import ExecutionResult, PreExecutionError

from app.domain.shared.json_encoding import encode_json
from app.graphql.execution.subscription_execution import OpenedSubscription, StreamRequest
from app.graphql.schema import Schema
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


async def stream_responses(
    schema: Schema, context: Context, request: GraphQLRequest, push: Push | None = None
) -> AsyncGenerator[OperationResponse, None]:
    """Yields one response of a query or mutation, or each event of a subscription.

    A slow consumer makes the source wait. Close the generator after use. Payloads of a subscription
    that arrive while the consumer waits are given to `push` if possible.
    """

    def serialize_result(result: OriginalResult) -> str:
        if result.errors:
            schema.process_errors(result.errors)
        return encode_json(process_result(ExecutionResult(data=result.data, errors=result.errors)))

    try:
        results = await schema.stream(
            request.query,
            variable_values=request.variables,
            context_value=context,
            operation_name=request.operation_name,
            operation_extensions=request.extensions,
        )
        async with contextlib.aclosing(results):
            async for result in results:
                if not isinstance(result, ExecutionResult):
                    raise TypeError(
                        "Received a partial result, although @defer and @stream are disabled."
                    )
                if is_request_error(result):
                    yield _create_failed_response(result.errors or ())
                    return
                if not isinstance(result.data, OpenedSubscription):
                    yield OperationResponse(encode_json(process_result(result)))
                    continue
                batches = result.data.stream_entries(
                    StreamRequest(request.query, request.variables or {}, serialize_result, push)
                )
                async with contextlib.aclosing(batches):
                    async for rendered in batches:
                        for offset, (position, payload) in enumerate(rendered, 1 - len(rendered)):
                            yield OperationResponse(
                                payload, False, offset < 0, result.data.get_cursor(position)
                            )
    except Exception as error:
        # Admission raises the error of a document that does not parse.
        if not isinstance(error, GraphQLError):
            error = GraphQLError(str(error), original_error=error)
        schema.process_errors([error])
        yield _create_failed_response([error])


def is_request_error(result: ExecutionResult) -> bool:
    """Returns whether the operation did not run, or its source failed. Field errors have a path."""
    if isinstance(result, PreExecutionError):
        return True
    errors = result.errors or ()
    return result.data is None and bool(errors) and all(error.path is None for error in errors)


def _create_failed_response(errors: Sequence[GraphQLError]) -> OperationResponse:
    return OperationResponse(encode_json([error.formatted for error in errors]), failed=True)
