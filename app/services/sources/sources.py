"""Creates, changes, deletes and lists sources."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.audit import AuditAction
from app.domain.access.caller import Caller, Permission
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import (
    ErrorCode,
    Problem,
    RequestError,
    UserErrorCode,
    not_found,
)
from app.domain.shared.values import to_camel_case
from app.domain.sources.sources import SourceKind, SourceMapping, validate_source
from app.services.auth.stored_secrets import digest_secret
from app.services.shared.audited_changes import append_entry, validate_not_null
from app.services.shared.readers import ListQuery, ListReader, lookup_by_id
from app.services.shared.row_locks import lock_organization, lock_row
from app.store import tables
from app.store.change_log.audit import collect_values
from app.store.engine.database import Database, retry_on_deadlock
from app.store.reading import condition_templates, pages
from app.store.writing.inserts import insert_rows

_ORDER = pages.creation_order("source", col(tables.Source.id))
SOURCE_BY_ID = lookup_by_id(tables.Source)
SOURCE_LIST: ListReader[pages.PageRequest, tables.Source] = ListReader(
    tables.Source, lambda page, _: ListQuery(condition_templates.match_all([]), _ORDER, page)
)
# 32 hexadecimal digits, as PagerDuty's keys have: many senders accept nothing else.
_TOKEN_BYTES = 16


@dataclass(frozen=True)
class SourceResult:
    """The source after a mutation (its last state if deleted), or the problems.

    `token`: the new token, if the mutation created one.
    """

    source: tables.Source | None = None
    token: str | None = None
    problems: tuple[Problem, ...] = ()


@retry_on_deadlock
async def create_source(
    database: Database,
    command: CommandContext,
    name: str,
    kind: SourceKind,
    mapping: SourceMapping | None,
    *,
    enabled: bool,
) -> SourceResult:
    """Creates a source. Raises RequestError FORBIDDEN without EVENT_CREATE."""
    require_creating(command.actor)
    if problems := validate_source(name, kind, mapping, command.limits):
        return SourceResult(problems=tuple(problems))
    organization_id = command.actor.organization_id
    token = secrets.token_hex(_TOKEN_BYTES)
    async with database.write(organization_id) as session:
        await lock_organization(session, organization_id)
        count = await session.scalar(select(func.count()).select_from(tables.Source))
        if (count or 0) >= (maximum := command.limits.sources):
            message = (
                f"The organization has the maximum number of sources, {maximum:,}. "
                "Delete one of them first."
            )
            return SourceResult(problems=(Problem(UserErrorCode.LIMIT_REACHED, message),))
        row = tables.Source(
            id=uuid7(),
            organization_id=organization_id,
            name=name,
            kind=kind,
            mapping=None if mapping is None else mapping.to_json(),
            enabled=enabled,
            **digest_secret(token)._asdict(),
            created_at=command.now,
            updated_at=command.now,
        )
        await insert_rows(session, (tables.Source, [row.to_columns()]))
        await append_entry(session, command, row, AuditAction.CREATED)
    return SourceResult(row, token)


@retry_on_deadlock
async def update_source(
    database: Database, command: CommandContext, source_id: UUID, attributes: Mapping[str, Any]
) -> SourceResult:
    """Changes the attributes that are provided. Raises RequestError FORBIDDEN."""
    require_creating(command.actor)
    api_attributes = {to_camel_case(name): value for name, value in attributes.items()}
    if null_problems := validate_not_null(api_attributes):
        return SourceResult(problems=null_problems)
    async with database.write(command.actor.organization_id) as session:
        row = await lock_row(session, tables.Source, source_id)
        if row is None:
            return _not_found(source_id)
        before = collect_values(row)
        mapping = attributes.get("mapping", read_mapping(row))
        name = attributes.get("name", row.name)
        if problems := validate_source(name, row.kind, mapping, command.limits):
            return SourceResult(problems=tuple(problems))
        row.name = name
        row.mapping = None if mapping is None else mapping.to_json()
        row.enabled = attributes.get("enabled", row.enabled)
        row.updated_at = command.now
        await append_entry(session, command, row, AuditAction.UPDATED, before)
    return SourceResult(row)


@retry_on_deadlock
async def delete_source(
    database: Database, command: CommandContext, source_id: UUID
) -> SourceResult:
    """Deletes a source and its rejected payloads. Its events are kept."""
    async with database.write(command.actor.organization_id) as session:
        row = await lock_row(session, tables.Source, source_id)
        if row is None:
            return _not_found(source_id)
        await session.delete(row)
        await append_entry(session, command, row, AuditAction.DELETED)
    return SourceResult(row)


@retry_on_deadlock
async def rotate_token(
    database: Database, command: CommandContext, source_id: UUID
) -> SourceResult:
    """Replaces the token. The previous one is no longer valid. Raises RequestError FORBIDDEN."""
    require_creating(command.actor)
    token = secrets.token_hex(_TOKEN_BYTES)
    async with database.write(command.actor.organization_id) as session:
        row = await lock_row(session, tables.Source, source_id)
        if row is None:
            return _not_found(source_id)
        row.prefix, row.digest = digest_secret(token)
        row.updated_at = command.now
        await append_entry(session, command, row, AuditAction.ROTATED)
    return SourceResult(row, token)


async def fetch_rejected_payloads(
    database: Database, caller: Caller, source_ids: Sequence[UUID]
) -> dict[UUID, list[tables.RejectedPayload]]:
    """Returns the rejected payloads of each source, newest first."""
    table = tables.RejectedPayload
    statement = select(table).where(col(table.source_id).in_(sorted(source_ids)))
    async with database.read(caller.organization_id) as session:
        rows = await session.scalars(statement.order_by(col(table.id).desc()))
        payloads: dict[UUID, list[tables.RejectedPayload]] = {each: [] for each in source_ids}
        for row in rows:
            payloads[row.source_id].append(row)
    return payloads


async def count_rejected_payloads(
    database: Database, caller: Caller, source_ids: Sequence[UUID]
) -> dict[UUID, int]:
    """Returns the number of rejected payloads of each source that has some."""
    source_id = col(tables.RejectedPayload.source_id)
    statement = select(source_id, func.count()).where(source_id.in_(sorted(source_ids)))
    async with database.read(caller.organization_id) as session:
        rows = await session.execute(statement.group_by(source_id))
        return {id: int(count) for id, count in rows}


def read_mapping(row: tables.Source) -> SourceMapping | None:
    return None if row.mapping is None else SourceMapping.from_json(row.mapping)


def require_creating(caller: Caller) -> None:
    """Raises RequestError FORBIDDEN: who makes or gets a token must be permitted to log events."""
    if not caller.has_any_permission({Permission.EVENT_CREATE}):
        message = "A source logs events, which requires the permission EVENT_CREATE."
        raise RequestError(ErrorCode.FORBIDDEN, message)


def _not_found(source_id: UUID) -> SourceResult:
    return SourceResult(problems=(not_found("source", source_id, "id"),))
