"""A check of the published guard rules when a server process starts.

Rules exceed limits only if the limits were changed after the rules were published. The check logs
them before an event is validated.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlmodel import col

from app.domain.rules.guards import GuardRuleState
from app.domain.shared.limits import Limits
from app.services.events.validation import cache_event_types
from app.services.shared.background_tasks import log_failure, run_in_background
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database

# Event types whose rules are compiled in one turn of the event loop.
_BATCH_SIZE = 10

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def start_checking_guards(database: Database, limits: Limits) -> AsyncIterator[None]:
    """Checks all published rules once, in the background, unless the block is left before."""
    async with run_in_background(_check_guards(database, limits), "guard rules"):
        yield


async def _check_guards(database: Database, limits: Limits) -> None:
    try:
        guarded = await _find_guarded_types(database)
    except Exception as error:  # the first event of each type is another opportunity
        log_failure("guard_rules_not_checked", error)
        return
    for organization_id, event_type_ids in guarded.items():
        try:
            for start in range(0, max(len(event_type_ids), 1), _BATCH_SIZE):
                async with database.read(organization_id) as session:
                    batch = event_type_ids[start : start + _BATCH_SIZE]
                    await cache_event_types(session, batch, limits)
                await asyncio.sleep(0)  # lets requests run
        except Exception as error:  # the rules of other organizations may be readable
            log_failure("guard_rules_not_checked", error, organization_id=str(organization_id))


async def _find_guarded_types(database: Database) -> dict[UUID, list[UUID]]:
    """Returns the event types with published rules, by organization. A rule may be for no type."""
    rule = tables.GuardRule
    statement = (
        select(col(rule.organization_id), col(rule.event_type_id))
        .where(col(rule.state) == GuardRuleState.PUBLISHED)
        .distinct()
    )
    guarded: dict[UUID, list[UUID]] = defaultdict(list)
    async with database.read(ALL_ORGANIZATIONS) as session:
        for organization_id, event_type_id in await session.execute(statement):
            guarded[organization_id] += [] if event_type_id is None else [event_type_id]
    return guarded
