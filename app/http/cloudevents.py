"""CloudEvents over HTTP: `POST /cloudevents`, in structured, batched and binary mode.

What became of each event is told as JSON; what was refused, as `application/problem+json`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from app.domain.access.caller import Caller, Permission
from app.domain.intake.intake import Desk
from app.domain.shared.limits import Limits
from app.domain.shared.problems import ErrorCode, Problem, RequestError, UserErrorCode
from app.http.cloudevent_messages import PATH, Flaw, Message, Unreadable, read_message
from app.http.errors import headers_of, status_of
from app.request_io import body_of, caller_behind
from app.services.auth.access import Access
from app.services.events import cloudevents
from app.services.events.reports import Report
from app.store.engine.dialect import why_unavailable

OTHER_METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
router = APIRouter()
log = structlog.get_logger(__name__)

# What is not named here was understood and judged: 422. Of several, the least tells the most.
_STATUS = {
    UserErrorCode.INVALID_INPUT: 400,
    UserErrorCode.CONFLICT: 409,
    UserErrorCode.DUPLICATE: 409,
}


@router.post(PATH)
async def receive(request: Request) -> Response:
    """202 when all events were accepted, 207 for a batch with refusals; else a problem."""
    try:
        return await _receive(request)
    except ClientDisconnect:
        return Response(status_code=400)  # to nobody
    except RequestError as error:
        return _ended(error)
    except Exception as error:
        if (why := why_unavailable(error)) is not None:
            log.warning("database_unavailable", cause=str(error))
            return _ended(RequestError(ErrorCode.UNAVAILABLE, why))
        reference = uuid4().hex
        log.exception("unexpected", reference=reference)
        flaw = Flaw(ErrorCode.INTERNAL_SERVER_ERROR.value, "Something went wrong in the server.")
        return _problem(500, [flaw], reference=reference)


@router.api_route(PATH, methods=OTHER_METHODS)
async def not_that_way() -> Response:
    """405: events are sent by POST."""
    flaw = Flaw(ErrorCode.BAD_USER_INPUT.value, "Send events by POST.")
    return _problem(405, [flaw], headers={"Allow": "POST"})


async def _receive(request: Request) -> Response:
    access: Access = request.app.state.access
    limits: Limits = request.app.state.limits
    caller = await caller_behind(request)
    if not caller.may({Permission.EVENT_CREATE}):
        raise RequestError(ErrorCode.FORBIDDEN, f"POST {PATH} needs the permission EVENT_CREATE.")
    body = await body_of(request, limits.message_bytes)
    message = (
        _too_much(f"The body is longer than {limits.message_bytes:,} bytes.")
        if body is None
        else await asyncio.to_thread(read_message, request.headers.raw, body)
    )
    if isinstance(message, Message) and len(message.events) > limits.bulk:
        message = _too_much(
            f"The batch has {len(message.events):,} events; at most {limits.bulk:,} are taken."
        )
    if isinstance(message, Unreadable):
        return _problem(message.status, message.flaws)
    access.rates.spend(caller, len(message.events))
    desk = Desk(caller, datetime.now(UTC), limits)
    reports = await cloudevents.ingest(access.database, desk, message.events)
    results = [
        _result(event, report, caller, limits)
        for event, report in zip(message.events, reports, strict=True)
    ]
    refused = [report for report in reports if report.refused]
    if refused and not message.batched:
        return _problem(_status(refused[0]), _flaws(refused[0].problems))
    return _answer(207 if refused else 202, {"results": results}, "application/json")


def _result(event: object, report: Report, caller: Caller, limits: Limits) -> dict[str, Any]:
    """What became of an event. Its id is told to those who made it or may read it."""
    may_see = report.stored or caller.may({Permission.EVENT_READ})
    return {
        "id": _echo(event, "id", limits),
        "source": _echo(event, "source", limits),
        "status": _status(report) if report.refused else 202,
        "duplicate": report.duplicate,
        "event": str(report.event.id) if report.event and may_see else None,
        "warnings": [_told(flaw) for flaw in _flaws(report.warnings)],
        "errors": [_told(flaw) for flaw in _flaws(report.problems)],
    }


def _echo(event: object, attribute: str, limits: Limits) -> str | None:
    """What tells the sender which event it was, where that is a text that an event can have."""
    said = event.get(attribute) if isinstance(event, dict) else None
    return said if isinstance(said, str) and len(said) <= limits.name else None


def _status(report: Report) -> int:
    return min(_status_of(problem) for problem in report.problems)


def _status_of(problem: Problem) -> int:
    return _STATUS.get(problem.code, 422)


def _flaws(problems: Sequence[Problem]) -> list[Flaw]:
    """The problems, with one that decides on the status first."""
    ranked = sorted(problems, key=_status_of)
    return [Flaw(each.code.value, each.message, each.path) for each in ranked]


def _too_much(message: str) -> Unreadable:
    return Unreadable(413, (Flaw(ErrorCode.BAD_USER_INPUT.value, message),))


def _ended(error: RequestError) -> Response:
    flaw = Flaw(error.code.value, error.message, error.path)
    return _problem(status_of(error), [flaw], headers_of(error))


def _problem(
    status: int,
    flaws: Sequence[Flaw],
    headers: dict[str, str] | None = None,
    **more: str,
) -> Response:
    """RFC 9457. `code` and `detail` are the first flaw's; `detail` says how many there are more."""
    told = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _detail(flaws),
        "code": flaws[0].code,
        "errors": [_told(flaw) for flaw in flaws],
        **more,
    }
    return _answer(status, told, "application/problem+json", headers)


def _detail(flaws: Sequence[Flaw]) -> str:
    first = flaws[0]
    said = ": ".join(part for part in (".".join(first.path), first.message) if part)
    return said if len(flaws) == 1 else f"{said} And {len(flaws) - 1:,} more."


def _told(flaw: Flaw) -> dict[str, Any]:
    return {"code": flaw.code, "message": flaw.message, "path": list(flaw.path)}


def _answer(
    status: int, told: dict[str, Any], media_type: str, headers: dict[str, str] | None = None
) -> Response:
    # Escaped to ASCII: what came in may hold what UTF-8 cannot carry.
    return Response(json.dumps(told).encode(), status, headers, media_type)
