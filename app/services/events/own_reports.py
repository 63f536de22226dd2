"""Events by which Tocsin itself reports on its work, such as the outage of a channel."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.events.state import EventDraft
from app.domain.intake.intake import CommandContext
from app.services.events.reports import ReportCall, process_reports

log = structlog.get_logger(__name__)


async def log_own_report(session: AsyncSession, command: CommandContext, draft: EventDraft) -> None:
    """Logs an event of Tocsin itself. No definition of the organization rejects it.

    If its event type or a guard rule would, it is stored without an event type. Duplication rules
    do not apply.
    """
    command = replace(command, now=datetime.now(UTC), is_internal=True)
    [result] = await process_reports(session, [ReportCall(command, [draft])])
    if result.is_rejected:
        log.error(
            "own_report_rejected",
            source=draft.source,
            cause=[problem.message for problem in result.problems],
        )
