"""Liveness and readiness probes, and metrics."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from app import metrics
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.runtime.health import HealthCheck, HealthMonitor

router = APIRouter()
_METHODS = ["GET", "HEAD"]
_NO_STORE = {"Cache-Control": "no-store"}
_METRICS_ARE_PRIVATE = (
    "Metrics require a token: set TOCSIN_METRICS_TOKEN, and send its value in the header "
    "Authorization: Bearer TOKEN. Without that setting, metrics are available only at a loopback "
    "address of a server that has neither TOCSIN_PUBLIC_URL nor TOCSIN_TRUSTED_PROXIES."
)
_OK_TEXTS = {
    HealthCheck.DATABASE: "reachable",
    HealthCheck.MIGRATIONS: "up to date",
}


@router.api_route("/health", methods=_METHODS)
async def health() -> JSONResponse:
    """Returns 200 as long as the process runs, whatever the state of the database."""
    return JSONResponse({"status": "ok"})


@router.api_route("/ready", methods=_METHODS)
async def ready(request: Request) -> JSONResponse:
    """Returns 200 if the process can serve requests, and 503 with the failed checks if not.

    Conditions that all processes share, such as a slow database, are reported with 200: a load
    balancer that removed every process would turn them into an outage. A read-only database is an
    exception: often it is a standby or a wrong file, which new processes use by mistake, and they
    must not replace the others. A process that stops returns 503, although it still serves
    requests.
    """
    if request.app.state.stopping:
        return JSONResponse({"status": "stopping"}, 503, _NO_STORE)
    monitor: HealthMonitor = request.app.state.health_monitor
    report = await monitor.check_health()
    # Without the database the other checks have no results.
    checks = (
        [HealthCheck.DATABASE] if HealthCheck.DATABASE in report.problems else list(HealthCheck)
    )
    body: dict[str, object] = {"status": "ready" if report.is_ready else "unready"}
    body |= {check.value: report.problems.get(check, _OK_TEXTS[check]) for check in checks}
    if report.lag is not None:
        body["changeLogLag"] = {
            "entries": report.lag.entries,
            "seconds": round(report.lag.seconds, 3),
        }
    return JSONResponse(body, 200 if report.is_ready else 503, _NO_STORE)


def create_metrics_router(token: SecretStr | None, *, is_behind_proxy: bool) -> APIRouter:
    """Returns the router of `GET /metrics`, which requires the token.

    Without a token, it serves only clients on the same machine, if no proxy that could forward
    requests of others is configured.
    """
    metrics_routes = APIRouter()

    @metrics_routes.api_route("/metrics", methods=_METHODS)
    def scrape_metrics(request: Request) -> Response:
        if token is None:
            if is_behind_proxy or not _arrived_on_loopback(request):
                raise RequestError(ErrorCode.UNAUTHENTICATED, _METRICS_ARE_PRIVATE)
        else:
            token_header = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(token_header.encode(), token.get_secret_value().encode()):
                message = (
                    "Invalid token: send the value of TOCSIN_METRICS_TOKEN in the header "
                    "Authorization: Bearer TOKEN."
                )
                raise RequestError(ErrorCode.UNAUTHENTICATED, message)
        return Response(metrics.render_metrics(), media_type=metrics.CONTENT_TYPE)

    return metrics_routes


def _arrived_on_loopback(request: Request) -> bool:
    """Whether the request arrived at a loopback address of the server, such as 127.0.0.1."""
    try:
        return ip_address(request.scope["server"][0]).is_loopback
    except (TypeError, ValueError):  # not an IP address
        return False
