"""What ends a request, by status and headers, and before GraphQL runs in the form of its errors."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from app.domain.shared.problems import ErrorCode, RequestError
from app.request_io import RETRY_SECONDS, TooSlowError
from app.store.engine.dialect import DATABASE_ERRORS, why_unavailable

_STATUS = {
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.LIMIT_EXCEEDED: 429,
    ErrorCode.UNAVAILABLE: 503,
}


def status_of(error: RequestError) -> int:
    if isinstance(error, TooSlowError):
        return 408
    return _STATUS.get(error.code, 400)


def headers_of(error: RequestError) -> dict[str, str]:
    """How to sign in, or when to try again, where that helps."""
    if error.code is ErrorCode.UNAUTHENTICATED:
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, TooSlowError):
        return {"Connection": "close"}
    unavailable = error.code is ErrorCode.UNAVAILABLE
    after = RETRY_SECONDS if unavailable and error.retry_after is None else error.retry_after
    return {} if after is None else {"Retry-After": str(after)}


def answer_errors(app: FastAPI) -> None:
    for kind in (RequestError, *DATABASE_ERRORS):
        app.add_exception_handler(kind, _answered)


def refusal(error: Exception) -> JSONResponse:
    """The answer to a request that one of these ended. Raises what is no refusal."""
    if not isinstance(error, RequestError):
        why = why_unavailable(error)
        if why is None:
            raise error
        error = RequestError(ErrorCode.UNAVAILABLE, why)
    body = {"errors": [{"message": error.message, "extensions": {"code": error.code.value}}]}
    return JSONResponse(body, status_of(error), headers_of(error))


async def _answered(_request: Request, error: Exception) -> JSONResponse:
    return refusal(error)
