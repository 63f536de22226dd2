"""Factories of callers, commands, drafts and API keys."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from app.domain.access.caller import Caller, Permission
from app.domain.events.state import EventDraft
from app.domain.intake.intake import CommandContext
from app.services.auth import keys
from app.services.auth.access import Access, authenticate_credential
from app.services.auth.organizations import insert_organization
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import ADMINISTRATOR

NOON = datetime(2026, 4, 10, 12, tzinfo=UTC)


async def admin_caller(database: Database) -> Caller:
    return await authenticate_credential(Access(database), f"Bearer {ADMINISTRATOR}")


async def admin_command(database: Database) -> CommandContext:
    return CommandContext(await admin_caller(database), datetime.now(UTC))


def notification_draft(summary: str, **overrides: Any) -> EventDraft:
    """A draft that becomes a notification."""
    return EventDraft(summary=summary, notification=True, **overrides)


async def create_api_key(
    database: Database, *permissions: Permission, organization: str = "default", **more: Any
) -> str:
    """Creates an API key of the organization, which is created if missing."""
    async with database.write(ALL_ORGANIZATIONS) as session:
        organization_id: UUID | None = (
            await session.scalars(
                select(col(tables.Organization.id)).where(
                    col(tables.Organization.key) == organization
                )
            )
        ).one_or_none() or await insert_organization(session, organization, organization, NOON)
        assert organization_id is not None
        _, secret = await keys.insert_key(
            session,
            organization_id,
            f"key of {organization}",
            frozenset(permissions),
            NOON,
            actor="test",
            **more,
        )
        return secret


def make_file_read_only(url: str) -> None:
    """Gives a database file of SQLite a format that only a later SQLite may write."""
    _set_write_format(url, 3)


def make_file_writable(url: str) -> None:
    """Reverses `make_file_read_only`."""
    _set_write_format(url, 2)


def _set_write_format(url: str, version: int) -> None:
    with Path(url.removeprefix("sqlite:///")).open("rb+") as file:
        file.seek(18)
        file.write(bytes([version]))


async def create_key_caller(database: Database, *permissions: Permission) -> Caller:
    """Creates an API key. Returns the caller that uses it."""
    key = await create_api_key(database, *permissions)
    return await authenticate_credential(Access(database), f"Bearer {key}")
