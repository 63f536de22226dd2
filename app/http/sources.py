"""Payloads of other systems: `POST /sources/{id}`, and `POST /v2/enqueue` for PagerDuty senders.

The middleware has replaced a token in the path by the header Authorization.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from app import metrics
from app.domain.shared.limits import Limits
from app.domain.shared.messages import locate_message
from app.domain.shared.problems import ErrorCode, RequestError
from app.domain.shared.values import parse_id
from app.domain.sources.pagerduty import ROUTING_KEY
from app.domain.sources.reports import UnreadablePayloadError
from app.domain.sources.sources import SourceKind
from app.http.json_bodies import (
    ErrorDetail,
    InvalidMessage,
    JsonValue,
    malformed_message,
    read_json,
    unsupported_media_type,
)
from app.http.problem_responses import (
    error_details,
    json_response,
    problem_response,
    respond_with_problems,
    result_json,
    result_status,
)
from app.request_io import BodyError, get_client_address, headers_of, receive_body
from app.services.auth.access import Access, parse_bearer_credential
from app.services.auth.sign_in_failures import recorded_failures
from app.services.sources import receiving
from app.services.sources.receiving import ReceivedPayload
from app.store import tables

PATH = "/sources/{source_id}"
PAGERDUTY_PATH = "/v2/enqueue"
# Anyone can send that much, because the key is in the body. PagerDuty accepts no larger events.
MAX_PAGERDUTY_BYTES = 512 * 1024
_ROUTING_KEY = re.compile(rb'"routing_key"\s{0,9}:\s{0,9}"([!-~]{1,200}?)"')
OTHER_METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS"]
router = APIRouter()


@router.post(PATH)
async def receive_payload(request: Request, source_id: str) -> Response:
    """Returns 202 if all events were accepted, 207 if some of them were not, else a problem."""
    return await respond_with_problems(_process_payload(request, source_id))


@router.post(PAGERDUTY_PATH)
async def receive_pagerduty_event(request: Request) -> Response:
    """Returns 202 if the event was accepted, else a problem."""
    return await respond_with_problems(_process_pagerduty_event(request))


@router.api_route(PATH, methods=OTHER_METHODS)
@router.api_route(PAGERDUTY_PATH, methods=OTHER_METHODS)
async def reject_method() -> Response:
    """Returns 405 for methods other than POST."""
    error_detail = ErrorDetail(
        ErrorCode.BAD_USER_INPUT.value, "Unsupported method: send payloads by POST."
    )
    return problem_response(405, [error_detail], headers={"Allow": "POST"})


async def _process_payload(request: Request, source_id: str) -> Response:
    access, limits, address = _read_state(request)
    async with recorded_failures(access.database, address):
        token = parse_bearer_credential(request.headers.get("authorization"))
        # An ID that is not a UUID is that of no source.
        row_id = parse_id(source_id) or UUID(int=0)
        source = await receiving.authenticate_source(access, token, row_id, address)
    payload = _Payload(request, source, token)
    try:
        payload.body = await receive_body(request, limits.body_bytes)
    except BodyError as error:
        return await payload.reject(InvalidMessage(error.status, (_error_detail(error),)))
    return await payload.process(await _read_body(request, payload.body))


async def _process_pagerduty_event(request: Request) -> Response:
    access, limits, address = _read_state(request)
    body = await receive_body(request, min(limits.body_bytes, MAX_PAGERDUTY_BYTES))
    async with recorded_failures(access.database, address):
        # Before the body is parsed, which only the credential in it could allow.
        likely_token = _ROUTING_KEY.search(body)
        likely_text = "" if likely_token is None else likely_token[1].decode()
        access.throttle.check_allowed(address, likely_text)
        value = await _read_body(request, body)
        if isinstance(value, InvalidMessage):  # without its routing_key, of no source
            await access.throttle.delay_failure(address)
            return problem_response(value.status, value.errors)
        event = value.value
        token = event.get(ROUTING_KEY) if isinstance(event, dict) else None
        if not isinstance(token, str) or not token:
            await access.throttle.delay_failure(address)
            message = f"{ROUTING_KEY} is missing: send the token of a source of kind PAGERDUTY."
            raise RequestError(ErrorCode.UNAUTHENTICATED, message, ROUTING_KEY)
        source = await receiving.authenticate_source(access, token, None, address)
    payload = _Payload(request, source, token, body)
    if source.kind is not SourceKind.PAGERDUTY:
        message = (
            f"The source has the kind {source.kind.value}: {PAGERDUTY_PATH} is for PAGERDUTY only. "
            f"Send to /sources/{source.id}."
        )
        return await payload.reject(malformed_message(message))
    return await payload.process(value)


def _read_state(request: Request) -> tuple[Access, Limits, str | None]:
    state = request.app.state
    return state.access, state.limits, get_client_address(request.scope)


async def _read_body(request: Request, body: bytes) -> JsonValue | InvalidMessage:
    content_type = request.headers.get("content-type", "").strip()
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type and not media_type.endswith(("/json", "+json")):
        return unsupported_media_type(
            f"Unsupported media type {media_type[:100]!a}: send the payload as application/json."
        )
    return await asyncio.to_thread(read_json, body, content_type)


class _Payload:
    """A payload of an authenticated sender."""

    def __init__(
        self, request: Request, source: tables.Source, token: str, body: bytes = b""
    ) -> None:
        state = request.app.state
        self._access: Access = state.access
        self._headers = headers_of(request)
        self._source, self._token = source, token
        self._command = receiving.build_command(source, state.limits, state.severity_map)
        self.body = body
        # Before the payload is received and parsed; the events are charged when they are counted.
        self._access.rate_limits.charge_points(self._command.actor, 1)

    async def process(self, value: JsonValue | InvalidMessage) -> Response:
        """Logs the events of the payload, and keeps it if it or one of them is rejected."""
        if isinstance(value, InvalidMessage):
            return await self.reject(value)
        try:
            received = await receiving.receive_payload(
                self._access, self._command, self._source, value.value, self.body, self._headers
            )
        except UnreadablePayloadError as error:
            return await self.reject(malformed_message(str(error)))
        rejections = receiving.describe_rejections(received.results)
        if rejections is None:
            self._count("accepted")
        else:
            await self._keep(rejections)
        return _build_response(received)

    async def reject(self, message: InvalidMessage) -> Response:
        first = message.errors[0]
        await self._keep(locate_message(first.path, first.message))
        return problem_response(message.status, message.errors)

    async def _keep(self, error: str) -> None:
        self._count("rejected")
        await receiving.keep_rejected_payload(
            self._access.database, self._command, self._source, error, self.body, self._token
        )

    def _count(self, result: str) -> None:
        metrics.SOURCE_PAYLOADS.labels(self._source.kind.value, result).inc()


def _error_detail(error: RequestError) -> ErrorDetail:
    return ErrorDetail(error.code.value, error.message, error.path)


def _build_response(received: ReceivedPayload) -> Response:
    """A payload of which an event was accepted is accepted: its sender must not send it again."""
    results = received.results
    rejected = [result for result in results if result.is_rejected]
    if rejected and len(rejected) == len(results):
        status = min(map(result_status, rejected))
        problems = [problem for result in rejected for problem in result.problems]
        return problem_response(status, error_details(problems))
    body: dict[str, Any] = {
        "results": [result_json(result, may_see=result.stored) for result in results]
    }
    if (key := received.deduplication_key) is not None:
        body = {"status": "success", "message": "Event processed", "dedup_key": key, **body}
    return json_response(207 if rejected else 202, body, "application/json")
