"""Payloads of sources: authenticates the sender, logs the events, and keeps rejected payloads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import delete, or_, select, update
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.caller import Caller, Permission
from app.domain.access.tokens import unauthenticated
from app.domain.events.severity import SeverityMap
from app.domain.events.state import AlertKey, Entity, EventDraft, SourceIdentity
from app.domain.intake.intake import CommandContext
from app.domain.shared.limits import Limits
from app.domain.shared.masking import MASK, mask_credentials
from app.domain.shared.messages import locate_message
from app.domain.shared.problems import ErrorCode, RequestError
from app.domain.shared.values import replace_unstorable
from app.domain.sources.payloads import (
    RepeatablePayload,
    identify_repetitions,
    parse_payload,
    with_source,
)
from app.domain.sources.reports import Acknowledgement, ParsedPayload, map_severities
from app.domain.sources.sources import (
    SourceKind,
    format_alert_key,
    format_source_uri,
    format_truncation_key,
)
from app.services.auth.access import Access
from app.services.auth.stored_secrets import find_by_secret
from app.services.change_log.notifications import acknowledge_alert
from app.services.events.events import log_parsed_events
from app.services.events.own_reports import log_own_report
from app.services.events.receipts import load_receipts
from app.services.events.reports import EventResult
from app.services.shared.row_locks import lock_row
from app.services.sources.sources import read_mapping
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database, retry_on_deadlock
from app.store.writing.inserts import insert_rows

REJECTED_TYPE = "tocsin.source.rejected"
TRUNCATED_TYPE = "tocsin.source.truncated"
_RECEIVED_INTERVAL = timedelta(minutes=1)
_MAX_ERROR_CHARACTERS = 500
_MAX_CREDENTIAL_BYTES = 200

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ReceivedPayload:
    """Results of the reports of a payload, in their order. `deduplication_key`: of PagerDuty."""

    results: tuple[EventResult, ...]
    deduplication_key: str | None = None


async def authenticate_source(
    access: Access, token: str, source_id: UUID | None, address: str | None
) -> tables.Source:
    """Returns the source with this token, and this ID unless it is None.

    Failed attempts are rate-limited as those of API keys; call it in `recorded_failures`. Raises
    RequestError UNAUTHENTICATED, FORBIDDEN if the source is disabled, or LIMIT_EXCEEDED.
    """
    now = datetime.now(UTC)
    access.throttle.check_allowed(address, token)
    async with access.database.read(ALL_ORGANIZATIONS) as session:
        row = await find_by_secret(session, tables.Source, token)
    if row is None or source_id not in (None, row.id):
        await access.throttle.delay_failure(address)
        raise unauthenticated(
            "Invalid token of a source. Check that the token is complete, and that it was not "
            "replaced by a new one."
        )
    access.throttle.record_success(token)
    if not row.enabled:
        raise RequestError(ErrorCode.FORBIDDEN, "The source is disabled.")
    await _record_received(access.database, row, now)
    return row


async def _record_received(database: Database, row: tables.Source, now: datetime) -> None:
    """Records when the source received its last payload, at most once a minute."""
    if row.last_received_at is not None and now - row.last_received_at < _RECEIVED_INTERVAL:
        return
    received_at = col(tables.Source.last_received_at)
    is_due = or_(received_at.is_(None), received_at <= now - _RECEIVED_INTERVAL)
    statement = update(tables.Source).where(col(tables.Source.id) == row.id, is_due)
    async with database.write(row.organization_id, writes_log=False) as session:
        await session.execute(statement.values(last_received_at=now))


def build_command(
    source: tables.Source, limits: Limits, severity_map: SeverityMap
) -> CommandContext:
    """Returns the context in which a source logs events: it is the caller."""
    caller = Caller(
        source.name,
        source.organization_id,
        frozenset({Permission.EVENT_CREATE}),
        credential_id=source.id,
    )
    return CommandContext(
        caller, datetime.now(UTC), limits, severity_map=map_severities(severity_map)
    )


async def receive_payload(
    access: Access,
    command: CommandContext,
    source: tables.Source,
    payload: Any,
    body: bytes,
    headers: Mapping[str, str],
) -> ReceivedPayload:
    """Logs the events of a payload, for which one point has been charged. `body`: its JSON.

    Raises UnreadablePayloadError, and RequestError LIMIT_EXCEEDED if the source sends too much.
    """
    repeatable = await asyncio.to_thread(_parse_payload, command, source, payload, body, headers)
    count = max(1, len(repeatable.parsed.reports))
    access.rate_limits.charge_points(command.actor, count, charged=1)
    parsed = await _find_repetitions(access.database, command, source, repeatable)
    results = await _log_reports(access.database, command, source, parsed)
    if parsed.truncated_count:
        await _notify(access.database, command, _build_truncation_report(source, parsed))
    return ReceivedPayload(tuple(results), parsed.deduplication_key)


def _parse_payload(
    command: CommandContext,
    source: tables.Source,
    payload: Any,
    body: bytes,
    headers: Mapping[str, str],
) -> RepeatablePayload:
    parsed = parse_payload(
        source.kind, read_mapping(source), payload, headers, command.now, command.limits
    )
    parsed = with_source(parsed, source.id)
    if source.kind is not SourceKind.JSON:
        return RepeatablePayload(parsed, {0: parsed.earlier_key} if parsed.earlier_key else {})
    return identify_repetitions(parsed, body, command.now, command.limits)


async def _find_repetitions(
    database: Database,
    command: CommandContext,
    source: tables.Source,
    repeatable: RepeatablePayload,
) -> ParsedPayload:
    """Returns the payload with the source IDs of the events that were logged from an equal one."""
    parsed, uri = repeatable.parsed, format_source_uri(source.id)
    identities = {
        index: SourceIdentity(uri, source_id) for index, source_id in repeatable.earlier_ids.items()
    }
    if not identities:
        return parsed
    async with database.read(command.actor.organization_id) as session:
        known = await load_receipts(session, set(identities.values()))
    reports = list(parsed.reports)
    for index, identity in identities.items():
        report = reports[index]
        if identity in known and isinstance(report, EventDraft):
            report = replace(report, source_id=identity.source_id)
            if parsed.earlier_key is not None:  # the source ID of the event is its alert key
                report = replace(report, alert_key=identity.source_id)
                parsed = replace(parsed, deduplication_key=identity.source_id)
            reports[index] = report
    return replace(parsed, reports=tuple(reports))


async def _log_reports(
    database: Database, command: CommandContext, source: tables.Source, parsed: ParsedPayload
) -> list[EventResult]:
    results: list[EventResult] = []
    drafts = []
    for report in parsed.reports:
        if isinstance(report, Acknowledgement):
            key = AlertKey(format_source_uri(source.id), report.alert_key)
            results.append(await acknowledge_alert(database, command, key))
        else:
            drafts.append(report)
    size = command.limits.events_per_call
    for start in range(0, len(drafts), size):
        results += await log_parsed_events(database, command, drafts[start : start + size])
    return results


def describe_rejections(results: tuple[EventResult, ...]) -> str | None:
    """Returns the reason why events of a payload were rejected. None if all were accepted."""
    reasons = [
        f"Event {number} of {len(results)} was rejected: "
        f"{locate_message(result.problems[0].path, result.problems[0].message)}"
        for number, result in enumerate(results, 1)
        if result.is_rejected
    ]
    if not reasons:
        return None
    return reasons[0] if len(reasons) == 1 else f"{reasons[0]} {len(reasons) - 1:,} more."


async def keep_rejected_payload(
    database: Database,
    command: CommandContext,
    source: tables.Source,
    error: str,
    body: bytes,
    token: str,
) -> None:
    """Keeps a payload that was rejected, without credentials, and notifies of it."""
    limits = command.limits
    error = replace_unstorable(error).replace(token, MASK)[:_MAX_ERROR_CHARACTERS]
    # More than the limit, so that a token at its end is found.
    beginning = body[: limits.rejected_payload_bytes + _MAX_CREDENTIAL_BYTES]
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        beginning = beginning.replace(token.encode(encoding), MASK.encode())
    text = replace_unstorable(mask_credentials(beginning.decode(errors="replace")))
    text = text.encode()[: limits.rejected_payload_bytes].decode(errors="ignore")
    await _store_rejected_payload(database, command, source, error, text)
    await _notify(database, command, _build_rejection_report(source, error))


@retry_on_deadlock
async def _store_rejected_payload(
    database: Database, command: CommandContext, source: tables.Source, error: str, body: str
) -> None:
    table = tables.RejectedPayload
    row = table(
        id=uuid7(),
        organization_id=source.organization_id,
        source_id=source.id,
        at=command.now,
        error=error,
        body=body,
    )
    of_source = col(table.source_id) == source.id
    kept = (
        select(col(table.id))
        .where(of_source)
        .order_by(col(table.id).desc())
        .limit(command.limits.rejected_payloads)
    )
    async with database.write(source.organization_id, writes_log=False) as session:
        if await lock_row(session, tables.Source, source.id) is None:
            return  # it was deleted meanwhile
        await insert_rows(session, (table, [row.to_columns()]))
        ids = list(await session.scalars(kept))
        await session.execute(
            delete(table).where(of_source, col(table.id) < ids[-1]),
            execution_options={"synchronize_session": False},
        )


def _build_rejection_report(source: tables.Source, error: str) -> EventDraft:
    return replace(
        _build_own_report(source),
        type=REJECTED_TYPE,
        summary=f"The source {source.name} has rejected a payload",
        content=error,
        alert_key=format_alert_key(source.id),
    )


def _build_truncation_report(source: tables.Source, parsed: ParsedPayload) -> EventDraft:
    count, total = parsed.truncated_count, parsed.truncated_count + len(parsed.reports)
    setting = (
        "the optional setting Max Alerts of the contact point in Grafana"
        if source.kind is SourceKind.GRAFANA
        else "max_alerts in webhook_configs of Alertmanager"
    )
    return replace(
        _build_own_report(source),
        type=TRUNCATED_TYPE,
        summary=f"The sender of the source {source.name} leaves out alerts",
        content=f"{count:,} of the {total:,} alerts of a notification were not sent, so Tocsin "
        f"does not have them. Raise {setting}, or set it to 0, which means no limit.",
        alert_key=format_truncation_key(source.id),
    )


def _build_own_report(source: tables.Source) -> EventDraft:
    return EventDraft(
        entity=Entity("source", str(source.id)),
        severity="warn",
        source=format_source_uri(source.id),
        notification=True,
    )


@retry_on_deadlock
async def _notify(database: Database, command: CommandContext, draft: EventDraft) -> None:
    """Logs a notification about a source. Further ones with its alert key do not change it."""
    draft = replace(draft, state_digest=replace(draft, content=None).digest())
    async with database.write(command.actor.organization_id) as session:
        await log_own_report(session, command, draft)
