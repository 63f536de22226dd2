"""GraphQL over HTTP: one answer in JSON, or events (SSE) for who accepts nothing else.

By the drafts "GraphQL over HTTP" and graphql-sse (distinct connections). Nothing runs, and no body
is read, before the credential is known.
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

from app.domain.shared.problems import ErrorCode, RequestError
from app.graphql.execution.admission import OverdueError
from app.graphql.plans.answering import Plans
from app.graphql.plans.compiled_mutations import Deeds
from app.graphql.schema import Schema
from app.graphql.shared.context import Context
from app.graphql.transport.connection_slots import Places
from app.graphql.transport.messages import Subscribe, text_of
from app.graphql.transport.operations import answers, ends_the_operation
from app.graphql.transport.requests import (
    EVENTS,
    GRAPHQL_JSON,
    JSON,
    Refusal,
    accepted,
    read_address,
    read_body,
    wrong_content,
)
from app.graphql.transport.sse import Stream
from app.request_io import RETRY_SECONDS, body_of, said_in

MakeContext = Callable[[Request, Mapping[str, str]], Awaitable[Context]]
_HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Accept, Authorization, data-partition-id, slb-data-partition-id",
    "X-Content-Type-Options": "nosniff",
}


def http_endpoint(
    schema: Schema,
    make_context: MakeContext,
    body_bytes: int,
    alive_seconds: float,
    places: Places,
) -> Callable[[Request], Awaitable[Response]]:
    """`body_bytes`: of a request at most. `alive_seconds`: between signs of life to who listens."""

    plans, deeds = Plans(schema), Deeds(schema)

    async def serve(request: Request) -> Response:
        said = said_in(request)
        media_type = accepted(said.get("accept"))
        context = await make_context(request, said)
        if media_type is None:
            told = f"Accept {GRAPHQL_JSON}, {JSON} or, for subscriptions, {EVENTS}."
            return _refused(Refusal(406, told), JSON)
        operation = await _operation(request, said, body_bytes)
        if isinstance(operation, Refusal):
            return _refused(operation, media_type)
        if media_type == EVENTS:
            place = places.take(context.credential)
            ending = context.ending()
            stream = Stream(answers(schema, context, operation), ending, alive_seconds, place)
            events = stream.events(request.app.state.listeners)
            return StreamingResponse(events, headers=_HEADERS, media_type=EVENTS)
        document = schema.documents.read(operation.query)
        name, variables = operation.operation_name, operation.variables
        try:
            planned = await plans.answer(context, document, name, variables)
            if planned is None and request.method == "POST":
                planned = await deeds.answer(context, document, name, variables)
        except OverdueError as error:
            return _result(schema.broken_off(error, document.cost(name, variables)), media_type)
        if planned is not None:
            return Written(planned, media_type)
        types = {OperationType.QUERY, OperationType.MUTATION}
        if request.method != "POST":
            types -= {OperationType.MUTATION}
        try:
            result = await schema.execute(
                operation.query,
                variable_values=operation.variables,
                context_value=context,
                operation_name=operation.operation_name,
                allowed_operation_types=types,
                operation_extensions=operation.extensions,
            )
        except InvalidOperationTypeError:
            refusal = Refusal(405, "GET runs queries alone: send a mutation by POST.")
            return _refused(refusal, media_type, Allow="POST")
        return _result(result, media_type)

    return serve


async def _operation(
    request: Request, said: Mapping[str, str], body_bytes: int
) -> Subscribe | Refusal:
    if request.method != "POST":
        return read_address(request.query_params.multi_items())
    if (refusal := wrong_content(said.get("content-type"))) is not None:
        return refusal
    try:
        body = await body_of(request, body_bytes)
    except ClientDisconnect:
        return Refusal(400, "The request broke off.")
    if body is None:
        return Refusal(413, f"A request has at most {body_bytes:,} bytes.")
    return read_body(body)


def _result(result: ExecutionResult, media_type: str) -> Response:
    told: dict[str, Any] = dict(process_result(result))
    codes = {(error.extensions or {}).get("code") for error in result.errors or ()}
    # What was broken off has run.
    not_run = ends_the_operation(result) and not any(
        isinstance(error.original_error, OverdueError) for error in result.errors or ()
    )
    if not_run:  # no data is not the same as data that is null
        told.pop("data", None)
    if not_run and (seconds := _retry_after(result)) is not None:
        return _answer(429, told, media_type, {"Retry-After": str(seconds)})
    if result.data is None and ErrorCode.UNAVAILABLE.value in codes:
        return _answer(503, told, media_type, {"Retry-After": str(RETRY_SECONDS)})
    return _answer(400 if not_run and media_type == GRAPHQL_JSON else 200, told, media_type)


def _retry_after(result: ExecutionResult) -> int | None:
    for error in result.errors or ():
        if isinstance(error.original_error, RequestError):
            return error.original_error.retry_after
    return None


def _refused(refusal: Refusal, media_type: str, **headers: str) -> Response:
    error = {"message": refusal.message, "extensions": {"code": refusal.code.value}}
    status = 400 if refusal.status == 200 and media_type == GRAPHQL_JSON else refusal.status
    return _answer(
        status, {"errors": [error]}, JSON if media_type == EVENTS else media_type, headers
    )


def _answer(
    status: int, told: dict[str, Any], media_type: str, headers: dict[str, str] | None = None
) -> Response:
    return Written(text_of(told).encode(), media_type, status, headers)


class Written(Response):
    """An answer that is JSON already. The headers that all have are encoded once."""

    _ENCODED = {
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
            *self._ENCODED[media_type],
            (b"content-length", str(len(body)).encode()),
        ]
        for name, value in (headers or {}).items():
            self.raw_headers.append((name.lower().encode(), value.encode()))
