"""Responses to requests that fail before GraphQL runs: status, headers and body."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.domain.shared.messages import quote_value
from app.domain.shared.problems import ErrorCode, RequestError
from app.request_io import RETRY_AFTER_SECONDS, BodyError, RequestTimeoutError
from app.store.engine.database_errors import DATABASE_ERRORS, unavailable_message

_STATUS_BY_CODE = {
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.LIMIT_EXCEEDED: 429,
    ErrorCode.UNAVAILABLE: 503,
}


def error_status(error: RequestError) -> int:
    if isinstance(error, RequestTimeoutError):
        return 408
    if isinstance(error, BodyError):
        return error.status
    return _STATUS_BY_CODE.get(error.code, 400)


def error_headers(error: RequestError) -> dict[str, str]:
    """Returns the response headers of an error: authentication scheme or retry time."""
    if error.code is ErrorCode.UNAUTHENTICATED:
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, RequestTimeoutError):
        return {"Connection": "close"}
    unavailable = error.code is ErrorCode.UNAVAILABLE
    retry_after = error.retry_after
    if unavailable and retry_after is None:
        retry_after = RETRY_AFTER_SECONDS
    return {} if retry_after is None else {"Retry-After": str(retry_after)}


def register_error_handlers(app: FastAPI) -> None:
    for error_class in (RequestError, *DATABASE_ERRORS):
        app.add_exception_handler(error_class, _handle_error)
    app.add_exception_handler(HTTPException, _handle_routing_error)


def error_response(error: Exception) -> JSONResponse:
    """Returns the response to a RequestError or an unavailable database. Reraises other errors."""
    if not isinstance(error, RequestError):
        reason = unavailable_message(error)
        if reason is None:
            raise error
        error = RequestError(ErrorCode.UNAVAILABLE, reason)
    body = {"errors": [{"message": error.message, "extensions": {"code": error.code.value}}]}
    return JSONResponse(body, error_status(error), error_headers(error))


async def _handle_routing_error(request: Request, error: Any) -> JSONResponse:
    """Responds to an HTTPException of Starlette: no route has the path or the method."""
    path, headers = quote_value(request.url.path), error.headers or {}
    message = error.detail
    if error.status_code == 404:
        message = f"There is nothing at {path}. The GraphQL API is at /graphql."
    elif error.status_code == 405 and "Allow" in headers:
        allowed = " or ".join(sorted(headers["Allow"].split(", ")))
        message = f"{path} does not support the method {request.method}. Use {allowed}."
    body = {"errors": [{"message": message, "extensions": {"code": ErrorCode.BAD_USER_INPUT}}]}
    return JSONResponse(body, error.status_code, error.headers)


async def _handle_error(_request: Request, error: Exception) -> JSONResponse:
    return error_response(error)
