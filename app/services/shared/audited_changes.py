"""Functions of all use cases that change audited rows: checking attributes, appending entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.access.audit import AuditAction
from app.domain.intake.intake import CommandContext
from app.domain.shared.messages import null_message
from app.domain.shared.problems import Problem, invalid_input
from app.store.change_log.audit import Subject, append_audit_entry


def validate_not_null(attributes: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Returns a problem for each attribute that an update sets to null."""
    return tuple(
        invalid_input(null_message(name), name)
        for name, value in attributes.items()
        if value is None
    )


async def append_entry(
    session: AsyncSession,
    command: CommandContext,
    row: Subject,
    action: AuditAction,
    before: Mapping[str, Any] | None = None,
) -> None:
    """Appends the audit entry of a change. `before`: the values of the row before it."""
    await append_audit_entry(session, row, action, command.actor.name, command.now, before)
