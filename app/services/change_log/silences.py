"""Creates, changes, ends and lists silences.

A change waits for the transactions that log events, and later ones see it, on every server:
silences are cached and locked as the definitions of the organization are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.audit import AuditAction
from app.domain.events.filter_json import filter_to_json
from app.domain.events.filters import EventFilter
from app.domain.events.silences import validate_comment, validate_filter, validate_period
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import Problem, UserErrorCode, not_found
from app.domain.shared.values import format_instant, to_camel_case
from app.services.shared.audited_changes import append_entry, validate_not_null
from app.services.shared.readers import ListQuery, ListReader, lookup_by_id
from app.services.shared.row_locks import lock_row
from app.store import tables
from app.store.change_log.audit import collect_values
from app.store.engine.database import Database, retry_on_deadlock
from app.store.engine.dialect import lock_definitions_exclusive
from app.store.reading import condition_templates, pages
from app.store.reading.condition_templates import ConditionTemplate
from app.store.tables.columns import UTCDateTime
from app.store.writing.inserts import insert_rows

_NEWEST_FIRST = pages.newest_first_order("silence", col(tables.Silence.id))
SILENCE_BY_ID = lookup_by_id(tables.Silence)


@dataclass(frozen=True)
class SilencePageRequest:
    """Position of a page of silences.

    `active`: those that are or are not active. `ended`: those that are or are not over. None
    selects both. Without the time, because plans use an equal request again.
    """

    page: pages.PageRequest
    active: bool | None
    ended: bool | None


def _build_list_query(request: SilencePageRequest, _organization_id: UUID) -> ListQuery:
    has_conditions = (request.active, request.ended) != (None, None)
    templates = [_time_template(request)] if has_conditions else []
    return ListQuery(condition_templates.match_all(templates), _NEWEST_FIRST, request.page)


def _time_template(request: SilencePageRequest) -> ConditionTemplate:
    def conditions() -> list[Any]:
        now = bindparam("now", None, type_=UTCDateTime())
        is_ended = col(tables.Silence.ends_at) <= now
        is_active = (col(tables.Silence.starts_at) <= now) & ~is_ended
        pairs = ((is_active, request.active), (is_ended, request.ended))
        return [each if value else ~each for each, value in pairs if value is not None]

    cache_key = ("times", request.active, request.ended)
    return ConditionTemplate(cache_key, {"now": datetime.now(UTC)}, conditions)


SILENCE_LIST = ListReader(tables.Silence, _build_list_query)


@dataclass(frozen=True)
class SilenceDraft:
    """A silence to create. It starts when it is created if `starts_at` is None."""

    filter: EventFilter
    starts_at: datetime | None
    ends_at: datetime
    comment: str


@dataclass(frozen=True)
class SilenceResult:
    """The silence after a mutation, or the problems."""

    silence: tables.Silence | None = None
    problems: tuple[Problem, ...] = ()


@retry_on_deadlock
async def create_silence(
    database: Database, command: CommandContext, draft: SilenceDraft
) -> SilenceResult:
    organization_id, limits = command.actor.organization_id, command.limits
    starts_at = draft.starts_at or command.now
    if problems := (
        *validate_filter(draft.filter),
        *validate_period(starts_at, draft.ends_at, command.now, limits),
        *validate_comment(draft.comment, limits),
    ):
        return SilenceResult(problems=problems)
    row = tables.Silence(
        id=uuid7(),
        organization_id=organization_id,
        filter=filter_to_json(draft.filter),
        starts_at=starts_at,
        ends_at=draft.ends_at,
        comment=draft.comment,
        created_at=command.now,
        created_by=command.actor.name,
    )
    async with database.write(organization_id) as session:
        await lock_definitions_exclusive(session, organization_id)
        is_current = col(tables.Silence.ends_at) > command.now
        count = select(func.count()).select_from(tables.Silence).where(is_current)
        if (await session.scalars(count)).one() >= limits.silences:
            message = (
                "The organization has the maximum number of silences that have not ended, "
                f"{limits.silences:,}. End one of them first."
            )
            return SilenceResult(problems=(Problem(UserErrorCode.LIMIT_REACHED, message),))
        await insert_rows(session, (tables.Silence, [row.to_columns()]))
        await append_entry(session, command, row, AuditAction.CREATED)
    return SilenceResult(row)


@retry_on_deadlock
async def update_silence(
    database: Database, command: CommandContext, silence_id: UUID, attributes: Mapping[str, Any]
) -> SilenceResult:
    """Changes the comment, or the end of a silence that has not ended."""
    if null_problems := validate_not_null(
        {to_camel_case(name): value for name, value in attributes.items()}
    ):
        return SilenceResult(problems=null_problems)
    if problems := validate_comment(attributes.get("comment"), command.limits):
        return SilenceResult(problems=tuple(problems))
    async with database.write(command.actor.organization_id) as session:
        row = await _lock_silence(session, command, silence_id)
        if row is None:
            return _silence_not_found(silence_id)
        ends_at = attributes.get("ends_at", row.ends_at)
        if ends_at != row.ends_at:
            if row.ends_at <= command.now:
                message = (
                    f"The silence ended at {format_instant(row.ends_at)}. Create another silence."
                )
                problem = Problem(UserErrorCode.CONFLICT, message, ("endsAt",))
                return SilenceResult(problems=(problem,))
            period_problems = validate_period(row.starts_at, ends_at, command.now, command.limits)
            if period_problems:
                return SilenceResult(problems=tuple(period_problems))
        await _change_row(session, command, row, attributes)
    return SilenceResult(row)


@retry_on_deadlock
async def expire_silence(
    database: Database, command: CommandContext, silence_id: UUID
) -> SilenceResult:
    """Ends a silence now. Ending it again changes nothing."""
    async with database.write(command.actor.organization_id) as session:
        row = await _lock_silence(session, command, silence_id)
        if row is None:
            return _silence_not_found(silence_id)
        if row.ends_at > command.now:
            # A silence that has not started never will.
            times = {"starts_at": min(row.starts_at, command.now), "ends_at": command.now}
            await _change_row(session, command, row, times)
    return SilenceResult(row)


async def _change_row(
    session: AsyncSession,
    command: CommandContext,
    row: tables.Silence,
    attributes: Mapping[str, Any],
) -> None:
    before = collect_values(row)
    for name, value in attributes.items():
        setattr(row, name, value)
    if collect_values(row) != before:
        await append_entry(session, command, row, AuditAction.UPDATED, before)


async def _lock_silence(
    session: AsyncSession, command: CommandContext, silence_id: UUID
) -> tables.Silence | None:
    await lock_definitions_exclusive(session, command.actor.organization_id)
    return await lock_row(session, tables.Silence, silence_id)


def _silence_not_found(silence_id: UUID) -> SilenceResult:
    return SilenceResult(problems=(not_found("silence", silence_id, "id"),))
