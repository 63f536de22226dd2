"""Creates, changes, deletes and lists retention policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.audit import AuditAction
from app.domain.access.caller import Permission
from app.domain.access.retention import RetentionPolicy, validate_retention_policy
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import ErrorCode, Problem, RequestError, UserErrorCode, not_found
from app.domain.shared.values import to_camel_case
from app.services.shared.audited_changes import append_entry, validate_not_null
from app.services.shared.readers import ListQuery, ListReader, lookup_by_id
from app.services.shared.row_locks import lock_organization, lock_row
from app.store import tables
from app.store.change_log.audit import collect_values
from app.store.engine.database import Database, retry_on_deadlock
from app.store.reading import condition_templates, pages
from app.store.writing.inserts import insert_rows

_ORDER = pages.creation_order("retention_policy", col(tables.RetentionPolicy.id))
POLICY_BY_ID = lookup_by_id(tables.RetentionPolicy)
POLICY_LIST: ListReader[pages.PageRequest, tables.RetentionPolicy] = ListReader(
    tables.RetentionPolicy,
    lambda page, _: ListQuery(condition_templates.match_all([]), _ORDER, page),
)


@dataclass(frozen=True)
class PolicyResult:
    """The policy after a mutation (its last state if deleted), or the problems."""

    policy: tables.RetentionPolicy | None = None
    problems: tuple[Problem, ...] = ()


@retry_on_deadlock
async def create_policy(
    database: Database, command: CommandContext, policy: RetentionPolicy
) -> PolicyResult:
    _require_deletion(command)
    if problems := validate_retention_policy(policy, command.limits):
        return PolicyResult(problems=tuple(problems))
    row = tables.RetentionPolicy(
        id=uuid7(),
        organization_id=command.actor.organization_id,
        created_at=command.now,
        updated_at=command.now,
        **_column_values(policy),
    )
    async with database.write(command.actor.organization_id) as session:
        await lock_organization(session, command.actor.organization_id)
        count = await session.scalar(select(func.count()).select_from(tables.RetentionPolicy))
        if (count or 0) >= (maximum := command.limits.retention_policies):
            message = (
                f"The organization has the maximum number of retention policies, {maximum:,}. "
                "Delete one of them first."
            )
            return PolicyResult(problems=(Problem(UserErrorCode.LIMIT_REACHED, message),))
        await insert_rows(session, (tables.RetentionPolicy, [row.to_columns()]))
        await append_entry(session, command, row, AuditAction.CREATED)
    return PolicyResult(row)


@retry_on_deadlock
async def update_policy(
    database: Database, command: CommandContext, policy_id: UUID, attributes: Mapping[str, Any]
) -> PolicyResult:
    """Changes the attributes that are provided. The policy is applied again soon."""
    _require_deletion(command)
    api_attributes = {to_camel_case(name): value for name, value in attributes.items()}
    if null_problems := validate_not_null(api_attributes):
        return PolicyResult(problems=null_problems)
    async with database.write(command.actor.organization_id) as session:
        row = await lock_row(session, tables.RetentionPolicy, policy_id)
        if row is None:
            return PolicyResult(problems=(not_found("retention policy", policy_id, "id"),))
        before = collect_values(row)
        policy = replace(row.to_domain(), **attributes)
        if problems := validate_retention_policy(policy, command.limits):
            return PolicyResult(problems=tuple(problems))
        for name, value in _column_values(policy).items():
            setattr(row, name, value)
        row.updated_at = command.now
        row.last_applied_at = None
        await append_entry(session, command, row, AuditAction.UPDATED, before)
    return PolicyResult(row)


@retry_on_deadlock
async def delete_policy(
    database: Database, command: CommandContext, policy_id: UUID
) -> PolicyResult:
    async with database.write(command.actor.organization_id) as session:
        row = await lock_row(session, tables.RetentionPolicy, policy_id)
        if row is None:
            return PolicyResult(problems=(not_found("retention policy", policy_id, "id"),))
        await session.delete(row)
        await append_entry(session, command, row, AuditAction.DELETED)
    return PolicyResult(row)


def _require_deletion(command: CommandContext) -> None:
    """Raises RequestError FORBIDDEN: a policy deletes events, which its author must be allowed."""
    if not command.actor.has_any_permission(frozenset({Permission.EVENT_DELETE})):
        message = "A retention policy deletes events, which requires the permission EVENT_DELETE."
        raise RequestError(ErrorCode.FORBIDDEN, message)


def _column_values(policy: RetentionPolicy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "target": policy.target,
        "filter": None if policy.filter is None else dict(policy.filter),
        "keep_for_us": policy.keep_for // timedelta(microseconds=1),
    }
