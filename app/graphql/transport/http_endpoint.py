"""GraphQL over HTTP: a JSON response, or server-sent events if the client accepts only those.

Follows the drafts "GraphQL over HTTP" and graphql-sse (distinct connections). The caller is
authenticated before the body is read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from strawberry.http import process_result
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType

from app.domain.shared.json_encoding import encode_json
from app.domain.shared.problems import ErrorCode, RequestError
from app.graphql.execution.admission import OperationTimeoutError
from app.graphql.plans.plan_executor import SINGLE_RESULT, PlanExecutor
from app.graphql.shared.context import Context
from app.graphql.transport.connection_slots import ConnectionSlots
from app.graphql.transport.operation_responses import (
    execute_operation,
    is_request_error,
    stream_responses,
)
from app.graphql.transport.requests import (
    EVENTS,
    GRAPHQL_JSON,
    JSON,
    GraphQLRequest,
    RequestRejection,
    check_content_type,
    negotiate_media_type,
    parse_body,
    parse_query_parameters,
)
from app.graphql.transport.sse import EventStream
from app.request_io import RETRY_AFTER_SECONDS, BodyError, get_header, receive_body

CreateContext = Callable[[Request], Awaitable[Context]]
_HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Accept, Authorization, data-partition-id, slb-data-partition-id",
    "X-Content-Type-Options": "nosniff",
}
_STREAM_HEADERS = _HEADERS | {"X-Accel-Buffering": "no"}  # nginx then forwards events at once


def create_http_endpoint(
    executor: PlanExecutor,
    create_context: CreateContext,
    max_body_bytes: int,
    keep_alive_seconds: float,
    connection_slots: ConnectionSlots,
) -> Callable[[Request], Awaitable[Response]]:
    """Creates the handler. `keep_alive_seconds`: interval of comments in event streams."""
    documents = executor.schema.documents

    async def serve(request: Request) -> Response:
        media_type = negotiate_media_type(get_header(request.scope, b"accept"))
        context = await create_context(request)
        if media_type is None:
            message = (
                "The Accept header allows none of the supported media types: "
                f"{GRAPHQL_JSON}, {JSON} and, for subscriptions, {EVENTS}."
            )
            return _create_rejection_response(RequestRejection(406, message), JSON)
        operation = await _parse_request(request, max_body_bytes)
        if isinstance(operation, RequestRejection):
            return _create_rejection_response(operation, media_type)
        is_mutation_by_get = request.method != "POST" and OperationType.MUTATION is (
            documents.get_document(operation.query).find_operation_type(operation.operation_name)
        )
        if media_type == EVENTS and not is_mutation_by_get:  # rejected below
            slot = connection_slots.acquire(context.caller.identity)
            stream = EventStream(
                stream_responses(executor, context, operation),
                context.credential_lifetime,
                keep_alive_seconds,
                slot,
            )
            events = stream.stream_events(request.app.state.listeners)
            return StreamingResponse(events, headers=_STREAM_HEADERS, media_type=EVENTS)
        allowed_types = SINGLE_RESULT if request.method == "POST" else {OperationType.QUERY}
        try:
            response = await execute_operation(executor, context, operation, allowed_types)
        except InvalidOperationTypeError as error:
            message = (
                f"A subscription requires the header Accept: {EVENTS}, or a WebSocket connection."
                if error.operation_type is OperationType.SUBSCRIPTION
                else "GET requests can only run queries. Send mutations by POST."
            )
            rejection = RequestRejection(405, message)
            return _create_rejection_response(rejection, media_type, Allow="POST")
        if isinstance(response, str):
            return EncodedJsonResponse(response.encode(), media_type)
        return _create_result_response(response, media_type)

    return serve


async def _parse_request(
    request: Request, max_body_bytes: int
) -> GraphQLRequest | RequestRejection:
    if request.method != "POST":
        return parse_query_parameters(request.query_params.multi_items())
    if (rejection := check_content_type(get_header(request.scope, b"content-type"))) is not None:
        return rejection
    try:
        body = await receive_body(request, max_body_bytes)
    except ClientDisconnect:
        return RequestRejection(400, "The client disconnected before the request was complete.")
    except BodyError as error:
        return RequestRejection(error.status, error.message)
    return parse_body(body)


def _create_result_response(result: ExecutionResult, media_type: str) -> Response:
    payload: dict[str, Any] = dict(process_result(result))
    codes = {(error.extensions or {}).get("code") for error in result.errors or ()}
    # An operation that timed out has started to run.
    is_rejected = is_request_error(result) and not any(
        isinstance(error.original_error, OperationTimeoutError) for error in result.errors or ()
    )
    if is_rejected:  # absent data means that nothing ran; null means that execution failed
        payload.pop("data", None)
    if is_rejected and (seconds := _find_retry_after(result)) is not None:
        return _create_json_response(429, payload, media_type, {"Retry-After": str(seconds)})
    if result.data is None and ErrorCode.UNAVAILABLE.value in codes:
        return _create_json_response(
            503, payload, media_type, {"Retry-After": str(RETRY_AFTER_SECONDS)}
        )
    return _create_json_response(
        400 if is_rejected and media_type == GRAPHQL_JSON else 200, payload, media_type
    )


def _find_retry_after(result: ExecutionResult) -> int | None:
    for error in result.errors or ():
        if isinstance(error.original_error, RequestError):
            return error.original_error.retry_after
    return None


def _create_rejection_response(
    rejection: RequestRejection, media_type: str, **headers: str
) -> Response:
    error = {"message": rejection.message, "extensions": {"code": rejection.code.value}}
    status = 400 if rejection.status == 200 and media_type == GRAPHQL_JSON else rejection.status
    return _create_json_response(
        status, {"errors": [error]}, JSON if media_type == EVENTS else media_type, headers
    )


def _create_json_response(
    status: int, payload: dict[str, Any], media_type: str, headers: dict[str, str] | None = None
) -> Response:
    return EncodedJsonResponse(encode_json(payload).encode(), media_type, status, headers)


class EncodedJsonResponse(Response):
    """Response whose body is encoded JSON. The common headers are encoded once."""

    _ENCODED_HEADERS = {
        media_type: [
            *((name.lower().encode(), value.encode()) for name, value in _HEADERS.items()),
            (b"content-type", f"{media_type}; charset=utf-8".encode()),
        ]
        for media_type in (JSON, GRAPHQL_JSON)
    }

    def __init__(
        self,
        body: bytes,
        media_type: str,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = [
            *self._ENCODED_HEADERS[media_type],
            (b"content-length", str(len(body)).encode()),
        ]
        for name, value in (headers or {}).items():
            self.raw_headers.append((name.lower().encode(), value.encode()))
