"""Callers, drafts and organizations to begin a test with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from app.domain.access.caller import Caller, Permission
from app.domain.intake.intake import Desk, Draft
from app.services.auth import keys
from app.services.auth.access import Access, authenticate
from app.services.auth.organizations import add_organization
from app.store import tables
from app.store.engine.database import EVERYWHERE, Database
from tests.client import ADMINISTRATOR

NOON = datetime(2026, 4, 10, 12, tzinfo=UTC)


async def administrator(database: Database) -> Caller:
    return await authenticate(Access(database), f"Bearer {ADMINISTRATOR}")


async def a_desk(database: Database) -> Desk:
    return Desk(await administrator(database), datetime.now(UTC))


def ring(summary: str, **given: Any) -> Draft:
    """A draft that becomes a notification."""
    return Draft(summary=summary, notification=True, **given)


async def a_key(
    database: Database, *permissions: Permission, organization: str = "default", **more: Any
) -> str:
    """A new key of the organization, which is made where it is missing."""
    async with database.write(EVERYWHERE) as session:
        organization_id: UUID | None = (
            await session.scalars(
                select(col(tables.Organization.id)).where(
                    col(tables.Organization.key) == organization
                )
            )
        ).one_or_none() or await add_organization(session, organization, organization, NOON)
        assert organization_id is not None
        _, secret = await keys.add(
            session,
            organization_id,
            f"key of {organization}",
            frozenset(permissions),
            NOON,
            actor="test",
            **more,
        )
        return secret
