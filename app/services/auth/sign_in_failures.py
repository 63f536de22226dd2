"""Failed authentication: a metric, a line in the server logs and, for known keys, an audit entry.

Only keys that have expired or were revoked are known. Their entries are limited in the database, so
that neither a client nor several servers can fill the change log.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import or_, update
from sqlalchemy.exc import DBAPIError

from app import metrics
from app.domain.access.audit import AuditAction
from app.domain.access.caller import InactiveCredentialError
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.auth.keys import InactiveKeyError
from app.store import tables
from app.store.change_log.audit import append_audit_entry, collect_values
from app.store.engine.database import Database

MIN_INTERVAL = timedelta(minutes=1)

log = structlog.get_logger(__name__)
_KEY_TABLE = tables.METADATA.tables["api_key"]
_FAILED_AT = _KEY_TABLE.c.sign_in_failed_at


@contextlib.asynccontextmanager
async def recorded_failures(database: Database, address: str | None) -> AsyncIterator[None]:
    """Records a failed authentication in the block."""
    try:
        yield
    except RequestError as error:
        await _record_failure(database, error, address, datetime.now(UTC))
        raise


async def _record_failure(
    database: Database, error: RequestError, address: str | None, now: datetime
) -> None:
    """Records a request that was rejected because of its credential."""
    reason = _find_reason(error)
    if reason is None:
        return
    metrics.FAILED_AUTHENTICATIONS.labels(reason).inc()
    log.info("authentication_failed", reason=reason, cause=error.message, address=address)
    if isinstance(error, InactiveKeyError):
        try:
            await _append_entry(database, error.key, now)
        except DBAPIError as failure:  # the client gets the reason of its rejection nevertheless
            log.warning("failed_authentication_not_recorded", cause=str(failure))


def _find_reason(error: RequestError) -> str | None:
    if error.code is ErrorCode.LIMIT_EXCEEDED:
        return "throttled"
    if error.code is ErrorCode.UNAUTHENTICATED:
        return "inactive" if isinstance(error, InactiveCredentialError) else "invalid"
    return None


async def _append_entry(database: Database, key: tables.ApiKey, now: datetime) -> None:
    if key.sign_in_failed_at is not None and now - key.sign_in_failed_at < MIN_INTERVAL:
        return
    is_due = or_(_FAILED_AT.is_(None), now - MIN_INTERVAL >= _FAILED_AT)
    statement = update(_KEY_TABLE).where(_KEY_TABLE.c.id == key.id, is_due)
    async with database.write(key.organization_id) as session:
        # Of requests at once, also of several servers, one updates the row.
        updated: Any = await session.execute(statement.values(sign_in_failed_at=now))
        if updated.rowcount:
            reason = "EXPIRED" if key.revoked_at is None else "REVOKED"
            action, values = AuditAction.SIGN_IN_FAILED, collect_values(key)
            await append_audit_entry(
                session, key, action, key.name, now, values, {"reason": reason}
            )
