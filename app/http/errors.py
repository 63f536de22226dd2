"""What ends a request before GraphQL runs, in the form of GraphQL's own errors."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from app.domain.problems import ErrorCode, RequestError
from app.store.dialect import DATABASE_ERRORS, why_unavailable

_STATUS = {
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.LIMIT_EXCEEDED: 429,
    ErrorCode.UNAVAILABLE: 503,
}


def answer_errors(app: FastAPI) -> None:
    app.add_exception_handler(RequestError, _refused)
    for kind in DATABASE_ERRORS:
        app.add_exception_handler(kind, _failed)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestError):
        raise error
    headers = {"WWW-Authenticate": "Bearer"} if error.code is ErrorCode.UNAUTHENTICATED else {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    body = {"errors": [{"message": error.message, "extensions": {"code": error.code.value}}]}
    return JSONResponse(body, _STATUS.get(error.code, 400), headers)


async def _failed(request: Request, error: Exception) -> JSONResponse:
    why = why_unavailable(error)
    if why is None:
        raise error
    return await _refused(request, RequestError(ErrorCode.UNAVAILABLE, why))
