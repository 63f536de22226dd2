"""Responses of the APIs that receive events: results as JSON, errors by RFC 9457."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from fastapi import Response
from starlette.requests import ClientDisconnect

from app.domain.shared.json_encoding import encode_json
from app.domain.shared.messages import locate_message
from app.domain.shared.problems import (
    INTERNAL_ERROR,
    ErrorCode,
    Problem,
    RequestError,
    UserErrorCode,
)
from app.http.errors import error_headers, error_status
from app.http.json_bodies import ErrorDetail
from app.services.events.reports import EventResult
from app.store.engine.database_errors import unavailable_message

log = structlog.get_logger(__name__)

# All other codes are 422. Of several errors, the lowest status is returned.
_STATUS_BY_CODE = {
    UserErrorCode.INVALID_INPUT: 400,
    UserErrorCode.CONFLICT: 409,
    UserErrorCode.DUPLICATE: 409,
}


async def respond_with_problems(response: Awaitable[Response]) -> Response:
    """Returns the response, or the problem that its computation raises."""
    try:
        return await response
    except ClientDisconnect:
        return Response(status_code=400)  # the client does not receive it
    except RequestError as error:
        return request_error_response(error)
    except Exception as error:
        if (reason := unavailable_message(error)) is not None:
            log.warning("database_unavailable", cause=str(error))
            return request_error_response(RequestError(ErrorCode.UNAVAILABLE, reason))
        reference = uuid4().hex
        log.exception("internal_error", reference=reference)
        error_detail = ErrorDetail(ErrorCode.INTERNAL_SERVER_ERROR.value, INTERNAL_ERROR)
        return problem_response(500, [error_detail], reference=reference)


def result_json(result: EventResult, *, may_see: bool) -> dict[str, Any]:
    """Returns the result of an event. `may_see`: whether it has the ID of the event."""
    return {
        "status": result_status(result) if result.is_rejected else 202,
        "duplicate": result.duplicate,
        "event": str(result.event.id) if result.event and may_see else None,
        "warnings": [error_json(error_detail) for error_detail in error_details(result.warnings)],
        "errors": [error_json(error_detail) for error_detail in error_details(result.problems)],
    }


def result_status(result: EventResult) -> int:
    return min(_problem_status(problem) for problem in result.problems)


def _problem_status(problem: Problem) -> int:
    return _STATUS_BY_CODE.get(problem.code, 422)


def error_details(problems: Sequence[Problem]) -> list[ErrorDetail]:
    """Returns the problems, with one that determines the status first."""
    ranked = sorted(problems, key=_problem_status)
    return [ErrorDetail(problem.code.value, problem.message, problem.path) for problem in ranked]


def request_error_response(error: RequestError) -> Response:
    error_detail = ErrorDetail(error.code.value, error.message, error.path)
    return problem_response(error_status(error), [error_detail], error_headers(error))


def problem_response(
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
        "errors": [error_json(error_detail) for error_detail in errors],
        **more,
    }
    return json_response(status, problem, "application/problem+json", headers)


def _problem_detail(errors: Sequence[ErrorDetail]) -> str:
    first = errors[0]
    detail = locate_message(first.path, first.message)
    return detail if len(errors) == 1 else _count_more(detail, len(errors) - 1)


def _count_more(detail: str, count: int) -> str:
    noun = "error is" if count == 1 else "errors are"
    return f"{detail} {count:,} more {noun} listed in `errors`."


def error_json(error_detail: ErrorDetail) -> dict[str, Any]:
    return {
        "code": error_detail.code,
        "message": error_detail.message,
        "path": list(error_detail.path),
    }


def json_response(
    status: int, body: dict[str, Any], media_type: str, headers: dict[str, str] | None = None
) -> Response:
    return Response(encode_json(body).encode(), status, headers, media_type)
