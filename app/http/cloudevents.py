"""CloudEvents over HTTP: `POST /cloudevents`, in structured, batched and binary mode.

The result of each event is returned as JSON, and errors as `application/problem+json`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from app.domain.access.caller import Caller, Permission
from app.domain.intake.intake import CommandContext
from app.domain.shared.json_encoding import encode_json
from app.domain.shared.limits import Limits
from app.domain.shared.messages import locate_message
from app.domain.shared.problems import (
    INTERNAL_ERROR,
    ErrorCode,
    Problem,
    RequestError,
    UserErrorCode,
)
from app.http.cloudevent_messages import (
    PATH,
    ErrorDetail,
    InvalidMessage,
    read_message,
)
from app.http.errors import error_headers, error_status
from app.http.webhook_handshake import WebHookHandshake, is_valid_rate
from app.request_io import BodyError, authenticate_request, receive_body
from app.services.auth.access import Access
from app.services.events import cloudevents
from app.services.events.reports import EventResult
from app.store.engine.database_errors import unavailable_message

OTHER_METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE"]
router = APIRouter()
log = structlog.get_logger(__name__)

# All other codes are 422. Of several errors, the lowest status is returned.
_STATUS_BY_CODE = {
    UserErrorCode.INVALID_INPUT: 400,
    UserErrorCode.CONFLICT: 409,
    UserErrorCode.DUPLICATE: 409,
}


@router.post(PATH)
async def receive_events(request: Request) -> Response:
    """Returns 202 if all events were accepted, 207 if some of a batch were not, else a problem."""
    try:
        return await _process_request(request)
    except ClientDisconnect:
        return Response(status_code=400)  # the client does not receive it
    except RequestError as error:
        return _request_error_response(error)
    except Exception as error:
        if (reason := unavailable_message(error)) is not None:
            log.warning("database_unavailable", cause=str(error))
            return _request_error_response(RequestError(ErrorCode.UNAVAILABLE, reason))
        reference = uuid4().hex
        log.exception("internal_error", reference=reference)
        error_detail = ErrorDetail(ErrorCode.INTERNAL_SERVER_ERROR.value, INTERNAL_ERROR)
        return _problem_response(500, [error_detail], reference=reference)


@router.options(PATH)
async def answer_handshake(request: Request) -> Response:
    """Permits an allowed sender to send events. Returns 405 if the setting allows no sender."""
    handshake: WebHookHandshake = request.app.state.webhook_handshake
    if not handshake.is_enabled():
        return await reject_method()
    origin = request.headers.get("webhook-request-origin")
    if not origin:
        message = "The header WebHook-Request-Origin is missing. Send the DNS name of the sender."
        return _problem_response(400, [ErrorDetail(ErrorCode.BAD_USER_INPUT.value, message)])
    if not handshake.allows_origin(origin):
        message = (
            f"The sender {origin[:100]!a} is not allowed to send events. The operator of the "
            "server can add it to TOCSIN_WEBHOOK_ORIGINS."
        )
        return _problem_response(403, [ErrorDetail(ErrorCode.FORBIDDEN.value, message)])
    if not is_valid_rate(request.headers.get("webhook-request-rate", "1")):
        message = "WebHook-Request-Rate must be the number of requests per minute, at least 1."
        return _problem_response(400, [ErrorDetail(ErrorCode.BAD_USER_INPUT.value, message)])
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
    return _problem_response(405, [error_detail], headers={"Allow": "POST"})


async def _process_request(request: Request) -> Response:
    access: Access = request.app.state.access
    limits: Limits = request.app.state.limits
    caller = await authenticate_request(request)
    if not caller.has_any_permission({Permission.EVENT_CREATE}):
        raise RequestError(
            ErrorCode.FORBIDDEN, f"POST {PATH} requires the permission EVENT_CREATE."
        )
    body = await receive_body(request, limits.body_bytes)
    message = await asyncio.to_thread(read_message, request.headers.raw, body)
    if isinstance(message, InvalidMessage):
        return _problem_response(message.status, message.errors)
    if len(message.events) > limits.events_per_call:
        raise BodyError(
            413,
            f"The batch has {len(message.events):,} events; the maximum is "
            f"{limits.events_per_call:,}. Send smaller batches.",
        )
    access.rate_limits.charge_points(caller, len(message.events))
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
        return _problem_response(_result_status(rejected[0]), _error_details(rejected[0].problems))
    return _json_response(207 if rejected else 202, response_body, "application/json")


def _result_json(
    event: object, result: EventResult, caller: Caller, limits: Limits
) -> dict[str, Any]:
    """Returns the result of an event, with its id if the caller created it or may read it."""
    may_see = result.stored or caller.has_any_permission({Permission.EVENT_READ})
    return {
        "id": _echo_attribute(event, "id", limits),
        "source": _echo_attribute(event, "source", limits),
        "status": _result_status(result) if result.is_rejected else 202,
        "duplicate": result.duplicate,
        "event": str(result.event.id) if result.event and may_see else None,
        "warnings": [_error_json(error_detail) for error_detail in _error_details(result.warnings)],
        "errors": [_error_json(error_detail) for error_detail in _error_details(result.problems)],
    }


def _echo_attribute(event: object, attribute: str, limits: Limits) -> str | None:
    """Returns an attribute that identifies the event, or None if it is not a valid string."""
    value = event.get(attribute) if isinstance(event, dict) else None
    return value if isinstance(value, str) and len(value) <= limits.name_characters else None


def _result_status(result: EventResult) -> int:
    return min(_problem_status(problem) for problem in result.problems)


def _problem_status(problem: Problem) -> int:
    return _STATUS_BY_CODE.get(problem.code, 422)


def _error_details(problems: Sequence[Problem]) -> list[ErrorDetail]:
    """Returns the problems, with one that determines the status first."""
    ranked = sorted(problems, key=_problem_status)
    return [ErrorDetail(problem.code.value, problem.message, problem.path) for problem in ranked]


def _request_error_response(error: RequestError) -> Response:
    error_detail = ErrorDetail(error.code.value, error.message, error.path)
    return _problem_response(error_status(error), [error_detail], error_headers(error))


def _problem_response(
    status: int,
    errors: Sequence[ErrorDetail],
    headers: dict[str, str] | None = None,
    **more: str,
) -> Response:
    """Returns a problem by RFC 9457. `code` and `detail` are those of the first error; `detail`
    has the number of further ones.
    """
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _problem_detail(errors),
        "code": errors[0].code,
        "errors": [_error_json(error_detail) for error_detail in errors],
        **more,
    }
    return _json_response(status, problem, "application/problem+json", headers)


def _problem_detail(errors: Sequence[ErrorDetail]) -> str:
    first = errors[0]
    detail = locate_message(first.path, first.message)
    return detail if len(errors) == 1 else _count_more(detail, len(errors) - 1)


def _count_more(detail: str, count: int) -> str:
    noun = "error is" if count == 1 else "errors are"
    return f"{detail} {count:,} more {noun} listed in `errors`."


def _error_json(error_detail: ErrorDetail) -> dict[str, Any]:
    return {
        "code": error_detail.code,
        "message": error_detail.message,
        "path": list(error_detail.path),
    }


def _json_response(
    status: int, body: dict[str, Any], media_type: str, headers: dict[str, str] | None = None
) -> Response:
    return Response(encode_json(body).encode(), status, headers, media_type)
