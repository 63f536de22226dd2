"""Whether the process is alive, whether it is fit to serve, and what it has counted."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from app import metrics
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.runtime.health import Check, Vitals

router = APIRouter()
_GOOD = {Check.DATABASE: "reachable", Check.MIGRATIONS: "current", Check.LOG: "read"}


@router.get("/health")
async def health() -> JSONResponse:
    """200 as long as the process serves, whatever the database does."""
    return JSONResponse({"status": "ok"})


@router.get("/ready")
async def ready(request: Request) -> JSONResponse:
    """200 when the process can do its work; 503 when not, with what is wrong."""
    vitals: Vitals = request.app.state.vitals
    look = await vitals.look()
    # Without the database nothing is known of what is in it.
    known = [Check.DATABASE] if Check.DATABASE in look.problems else list(Check)
    body: dict[str, object] = {"status": "unready" if look.problems else "ready"}
    body |= {check.value: look.problems.get(check, _GOOD[check]) for check in known}
    if look.lag is not None:
        body["lag"] = {"entries": look.lag.entries, "seconds": round(look.lag.seconds, 3)}
    return JSONResponse(body, 503 if look.problems else 200, {"Cache-Control": "no-store"})


def metrics_router(token: SecretStr | None) -> APIRouter:
    """`GET /metrics`; where there is a token, for those alone who give it."""
    made = APIRouter()

    @made.get("/metrics")
    def exposition(request: Request) -> Response:
        if token is not None:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
                told = "The metrics want TOCSIN_METRICS_TOKEN, as Authorization: Bearer TOKEN."
                raise RequestError(ErrorCode.UNAUTHENTICATED, told)
        return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)

    return made
