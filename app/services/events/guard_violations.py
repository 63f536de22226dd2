"""Reads which published guard rules stored events do not pass."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from app.domain.access.caller import Caller
from app.domain.rules.guards import Violation, find_violations
from app.domain.shared.limits import Limits
from app.services.definitions.event_types import load_version_definitions
from app.services.events.validation import cache_event_types
from app.store import tables
from app.store.engine.database import BY_ID, Database


async def fetch_violations(
    database: Database, caller: Caller, ids: Collection[UUID], now: datetime, limits: Limits
) -> dict[UUID, list[Violation]]:
    """Returns the violations of each event by ID, as if it were logged now."""
    async with database.read(caller.organization_id) as session:
        statement = select(tables.Event).where(col(tables.Event.id).in_(ids))
        rows = await session.scalars(statement, execution_options=BY_ID)
        events = [row.to_domain() for row in rows]
        type_ids = {event.event_type_id for event in events if event.event_type_id is not None}
        definitions = await cache_event_types(session, type_ids, limits)
        versions = await load_version_definitions(
            session,
            {
                (event.event_type_id, event.event_type_version)
                for event in events
                if event.event_type_id is not None and event.event_type_version is not None
            },
        )
    violations = {}
    for event in events:
        event_type = None if event.event_type_id is None else definitions.by_id[event.event_type_id]
        version = versions.get((event.event_type_id, event.event_type_version))  # type: ignore[arg-type]
        guards = (*definitions.guards, *(event_type.guards if event_type else ()))
        violations[event.id] = find_violations(
            guards,
            event,
            None,
            now,
            limits,
            version_fields=None if version is None else version.fields,
        )
        await asyncio.sleep(0)  # let other requests run between two events
    return violations
