"""Organizations, and the bootstrap of an empty database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.exc import NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.audit import AuditAction
from app.domain.access.caller import Caller, Permission, validate_organization
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import ErrorCode, Problem, RequestError, UserErrorCode
from app.domain.shared.values import validate_name
from app.services.auth import keys
from app.services.shared.audited_changes import append_entry
from app.services.shared.readers import lookup_by_id
from app.services.shared.row_locks import lock_organization
from app.store import tables
from app.store.change_log.audit import append_audit_entry, collect_values
from app.store.engine.database import ALL_ORGANIZATIONS, Database, retry_on_deadlock
from app.store.writing.inserts import KEEP_EXISTING, insert_rows

ADMINISTRATOR = "administrator"
DEFAULT_ORGANIZATION_KEY = "default"
ORGANIZATION_BY_ID = lookup_by_id(tables.Organization)
_MAX_KEY_LENGTH = 255


@dataclass(frozen=True)
class OrganizationResult:
    """The organization after the change, or the problems that prevented it."""

    organization: tables.Organization | None = None
    problems: tuple[Problem, ...] = ()


async def bootstrap_database(database: Database, key: str | None, now: datetime) -> str | None:
    """Creates the default organization and its administrator's key in an empty database.

    Returns the key, or None if the database is not empty. If several processes start at once, one
    of them gets the key.
    """
    async with database.write(ALL_ORGANIZATIONS) as session:
        if (await session.scalars(select(col(tables.Organization.id)).limit(1))).first():
            return None
        organization_id = await insert_organization(
            session, DEFAULT_ORGANIZATION_KEY, "Default", now
        )
        if organization_id is None:
            return None
        _, secret = await keys.insert_key(
            session,
            organization_id,
            ADMINISTRATOR,
            frozenset(Permission),
            now,
            actor=ADMINISTRATOR,
            secret=key,
            every_organization=True,
        )
        return secret


@retry_on_deadlock
async def create(
    database: Database, command: CommandContext, key: str, name: str
) -> OrganizationResult:
    """Creates an empty organization.

    Raises RequestError FORBIDDEN unless the caller has all organizations.
    """
    if not command.actor.every_organization:
        message = "Only a caller with access to every organization may create an organization."
        raise RequestError(ErrorCode.FORBIDDEN, message)
    if problems := validate_organization(key, name, command.limits):
        return OrganizationResult(problems=tuple(problems))
    async with database.write(ALL_ORGANIZATIONS) as session:
        actor = command.actor.name
        organization_id = await insert_organization(session, key, name, command.now, actor)
        if organization_id is None:
            message = f"An organization with the key {key!r} already exists."
            return OrganizationResult(
                problems=(Problem(UserErrorCode.ALREADY_EXISTS, message, ("key",)),)
            )
        return OrganizationResult(await session.get_one(tables.Organization, organization_id))


@retry_on_deadlock
async def rename(database: Database, command: CommandContext, name: str) -> OrganizationResult:
    """Renames the organization of the request. Its current name changes nothing."""
    if problems := validate_name(name, command.limits.name_characters, "name"):
        return OrganizationResult(problems=tuple(problems))
    organization_id = command.actor.organization_id
    async with database.write(organization_id) as session:
        organization = await lock_organization(session, organization_id)
        if name != organization.name:
            before = collect_values(organization)
            organization.name = name
            await append_entry(session, command, organization, AuditAction.UPDATED, before)
            await session.flush()
            await session.refresh(organization)
        return OrganizationResult(organization)


async def insert_organization(
    session: AsyncSession, key: str, name: str, now: datetime, actor: str = ADMINISTRATOR
) -> UUID | None:
    """Writes an organization and its log entry. Returns None if the key is taken."""
    organization = tables.Organization(id=uuid7(), key=key, name=name, created_at=now)
    row = {"id": organization.id, "key": key, "name": name, "created_at": now}
    if not await insert_rows(
        session, (tables.Organization, [row]), on_conflict=KEEP_EXISTING, returning=("id",)
    ):
        return None
    await append_audit_entry(session, organization, AuditAction.CREATED, actor, now)
    return organization.id


async def find_organization_id(session: AsyncSession, key: str) -> UUID | None:
    """Returns the id of the organization with this key. Needs a session of ALL_ORGANIZATIONS."""
    if validate_name(key, _MAX_KEY_LENGTH):
        return None
    statement = select(col(tables.Organization.id)).where(col(tables.Organization.key) == key)
    return (await session.scalars(statement)).one_or_none()


async def fetch_organization(database: Database, caller: Caller) -> tables.Organization:
    """Fetches the organization that the request acts in."""
    row = await ORGANIZATION_BY_ID.fetch_row(database, caller, caller.organization_id)
    if row is None:
        raise NoResultFound  # organizations are not deleted
    return row


async def list_organizations(
    database: Database, caller: Caller, limit: int
) -> Sequence[tables.Organization]:
    """Lists the organizations that the caller may act in, ordered by key, up to `limit`."""
    table = tables.Organization
    async with database.read(ALL_ORGANIZATIONS) as session:
        statement = select(table).order_by(col(table.key)).limit(limit)
        if not caller.every_organization:
            by_key = col(table.key).in_(sorted(caller.organization_keys))
            statement = statement.where(or_(col(table.id) == caller.organization_id, by_key))
        return list(await session.scalars(statement))
