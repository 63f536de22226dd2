"""CloudEvents over HTTP: `POST /cloudevents`, in structured, batched and binary mode.

The result of each event is returned as JSON, and errors as `application/problem+json`.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from app.domain.access.caller import Caller, Permission
from app.domain.intake.intake import CommandContext
from app.domain.shared.limits import Limits
from app.domain.shared.problems import ErrorCode, RequestError
from app.http.cloudevent_messages import PATH, read_message
from app.http.json_bodies import ErrorDetail, InvalidMessage
from app.http.problem_responses import (
    error_details,
    json_response,
    problem_response,
    respond_with_problems,
    result_json,
    result_status,
)
from app.http.webhook_handshake import WebHookHandshake, is_valid_rate
from app.request_io import BodyError, authenticate_request, receive_body
from app.services.auth.access import Access
from app.services.events import cloudevents
from app.services.events.reports import EventResult

OTHER_METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE"]
router = APIRouter()


@router.post(PATH)
async def receive_events(request: Request) -> Response:
    """Returns 202 if all events were accepted, 207 if some of a batch were not, else a problem."""
    return await respond_with_problems(_process_request(request))


@router.options(PATH)
async def answer_handshake(request: Request) -> Response:
    """Permits an allowed sender to send events. Returns 405 if the setting allows no sender."""
    handshake: WebHookHandshake = request.app.state.webhook_handshake
    if not handshake.is_enabled():
        return await reject_method()
    origin = request.headers.get("webhook-request-origin")
    if not origin:
        message = "The header WebHook-Request-Origin is missing. Send the DNS name of the sender."
        return problem_response(400, [ErrorDetail(ErrorCode.BAD_USER_INPUT.value, message)])
    if not handshake.allows_origin(origin):
        message = (
            f"The sender {origin[:100]!a} is not allowed to send events. The operator of the "
            "server can add it to TOCSIN_WEBHOOK_ORIGINS."
        )
        return problem_response(403, [ErrorDetail(ErrorCode.FORBIDDEN.value, message)])
    if not is_valid_rate(request.headers.get("webhook-request-rate", "1")):
        message = "WebHook-Request-Rate must be the number of requests per minute, at least 1."
        return problem_response(400, [ErrorDetail(ErrorCode.BAD_USER_INPUT.value, message)])
    headers = {
        "Allow": "POST",
        "WebHook-Allowed-Origin": origin,
        "WebHook-Allowed-Rate": handshake.allowed_rate,
    }
    return Response(status_code=200, headers=headers)


@router.api_route(PATH, methods=OTHER_METHODS)
async def reject_method() -> Response:
    """Returns 405 for methods other than POST."""
    error_detail = ErrorDetail(
        ErrorCode.BAD_USER_INPUT.value, "Unsupported method: send events by POST."
    )
    return problem_response(405, [error_detail], headers={"Allow": "POST"})


async def _process_request(request: Request) -> Response:
    access: Access = request.app.state.access
    limits: Limits = request.app.state.limits
    caller = await authenticate_request(request)
    if not caller.has_any_permission({Permission.EVENT_CREATE}):
        raise RequestError(
            ErrorCode.FORBIDDEN, f"POST {PATH} requires the permission EVENT_CREATE."
        )
    access.rate_limits.charge_points(caller, 1)  # before the request is received and parsed
    body = await receive_body(request, limits.body_bytes)
    message = await asyncio.to_thread(read_message, request.headers.raw, body)
    if isinstance(message, InvalidMessage):
        return problem_response(message.status, message.errors)
    if len(message.events) > limits.events_per_call:
        raise BodyError(
            413,
            f"The batch has {len(message.events):,} events; the maximum is "
            f"{limits.events_per_call:,}. Send smaller batches.",
        )
    access.rate_limits.charge_points(caller, max(1, len(message.events)), charged=1)
    severity_map = request.app.state.severity_map
    command = CommandContext(caller, datetime.now(UTC), limits, severity_map=severity_map)
    results = await cloudevents.ingest_cloud_events(access.database, command, message.events)
    response_body = {
        "results": [
            _result_json(event, result, caller, limits)
            for event, result in zip(message.events, results, strict=True)
        ]
    }
    rejected = [result for result in results if result.is_rejected]
    if rejected and not message.batched:
        return problem_response(result_status(rejected[0]), error_details(rejected[0].problems))
    return json_response(207 if rejected else 202, response_body, "application/json")


def _result_json(
    event: object, result: EventResult, caller: Caller, limits: Limits
) -> dict[str, Any]:
    """Returns the result of an event, with its id if the caller created it or may read it."""
    may_see = result.stored or caller.has_any_permission({Permission.EVENT_READ})
    return {
        "id": _echo_attribute(event, "id", limits),
        "source": _echo_attribute(event, "source", limits),
        **result_json(result, may_see=may_see),
    }


def _echo_attribute(event: object, attribute: str, limits: Limits) -> str | None:
    """Returns an attribute that identifies the event, or None if it is not a valid string."""
    value = event.get(attribute) if isinstance(event, dict) else None
    return value if isinstance(value, str) and len(value) <= limits.name_characters else None
