"""Applies retention policies in the background of every server process.

Each policy is applied by one process at a time, which holds its lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.access.audit import AuditAction
from app.domain.access.caller import Caller, Permission
from app.domain.access.retention import RetentionTarget
from app.domain.events.filter_json import filter_from_json
from app.domain.events.filters import EventFilter, older_than
from app.domain.intake.intake import CommandContext
from app.domain.shared.limits import Limits, RetentionLimits
from app.domain.shared.values import format_instant
from app.services.change_log import pruning
from app.services.events.bulk_changes import EventSelection
from app.services.events.events import delete_selected
from app.services.shared import leases
from app.services.shared.background_tasks import log_failure, run_in_background
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.audit import collect_values, create_entry
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.reading import event_conditions

ACTOR = "retention policy"
LEASE_TIME = timedelta(minutes=2)
MAX_SELECTED_EVENTS = 5_000
POLICIES_PER_READ = 100
RETRY_SECONDS = 10.0

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def start_applying_policies(
    database: Database, retention: RetentionLimits, limits: Limits
) -> AsyncIterator[None]:
    """Applies the policies of all organizations until the block is left."""
    async with run_in_background(_apply_repeatedly(database, retention, limits), "retention"):
        yield


async def _apply_repeatedly(database: Database, retention: RetentionLimits, limits: Limits) -> None:
    pause_seconds = min(RETRY_SECONDS, retention.interval_seconds)
    while True:
        try:
            await apply_due_policies(database, retention, limits)
        except Exception as error:  # the policies are applied at the next opportunity
            log_failure("retention_failed", error)
        await asyncio.sleep(pause_seconds)


async def apply_due_policies(
    database: Database, retention: RetentionLimits, limits: Limits
) -> None:
    """Applies each policy that was not applied within the interval, unless a process does so."""
    table = tables.RetentionPolicy
    # Those that were never applied come first on both databases.
    order = (col(table.last_applied_at).is_not(None), col(table.last_applied_at))
    statement = select(table).where(*_is_due(retention)).order_by(*order).limit(POLICIES_PER_READ)
    async with database.read(ALL_ORGANIZATIONS) as session:
        policies = list(await session.scalars(statement))
    for policy in policies:
        holder = str(uuid4())
        if await _take_lease(database, policy, holder, _is_due(retention)):
            try:
                await _Application(database, policy, holder, retention, limits).run()
            except Exception as error:  # it is applied again; others do not wait for it
                organization = str(policy.organization_id)
                log_failure(
                    "retention_failed", error, policy=policy.name, organization=organization
                )


def _is_due(retention: RetentionLimits) -> list[Any]:
    table, now = tables.RetentionPolicy, datetime.now(UTC)
    interval_start = now - timedelta(seconds=retention.interval_seconds)
    return [
        or_(col(table.last_applied_at).is_(None), col(table.last_applied_at) < interval_start),
        leases.is_free(table),
    ]


async def _take_lease(
    database: Database,
    policy: tables.RetentionPolicy,
    holder: str,
    conditions: Sequence[Any],
    *,
    skip_locked: bool = True,
) -> bool:
    """Takes or extends the lease, if the conditions hold and the policy has not changed."""
    table = tables.RetentionPolicy
    is_same = (col(table.id) == policy.id, col(table.updated_at) == policy.updated_at)
    taken = await leases.take_leases(
        database,
        policy.organization_id,
        table,
        [*is_same, *conditions],
        holder,
        LEASE_TIME,
        skip_locked=skip_locked,
    )
    return bool(taken)


class _LeaseLostError(Exception):
    """The policy was changed or deleted, or another process applies it."""


class _Application:
    """One application of a policy, by the process that holds its lease."""

    def __init__(
        self,
        database: Database,
        policy: tables.RetentionPolicy,
        holder: str,
        retention: RetentionLimits,
        limits: Limits,
    ) -> None:
        self._database = database
        self._policy = policy
        self._holder = holder
        self._undelivered_time = retention.undelivered_time
        self._pause_factor = max(0.0, 100 / retention.max_time_percent - 1)
        self._now = datetime.now(UTC)
        self._before = policy.to_domain().expiration_time(self._now)
        actor = Caller(
            f"{ACTOR} {policy.name}", policy.organization_id, frozenset({Permission.EVENT_DELETE})
        )
        self._command = CommandContext(actor, self._now, limits)
        self._removed = 0
        # Sequence of the audit entry, once it is written, also by a batch that is not committed.
        self._entry_sequence: int | None = None

    async def run(self) -> None:
        """Applies the policy and releases its lease.

        After an error the lease stays until its end, so that other policies are applied first.
        """
        policy, is_failed = self._policy, False
        organization = str(policy.organization_id)
        try:
            if policy.target is RetentionTarget.EVENTS:
                await self._delete_events()
            else:
                self._removed = await self._prune_history()
            await self._record_completion()
        except _LeaseLostError:
            return
        except Exception:
            is_failed = True
            raise
        finally:
            if not is_failed:
                await leases.release_leases(
                    self._database,
                    policy.organization_id,
                    tables.RetentionPolicy,
                    self._holder,
                    policy.id,
                )
        if self._removed:
            log.info(
                "retention_applied",
                policy=policy.name,
                organization=organization,
                target=policy.target.value,
                removed=self._removed,
            )

    async def _delete_events(self) -> None:
        selected = (filter_from_json(self._policy.filter or {}), older_than(self._before))
        filter = EventFilter(and_=selected)
        conditions = event_conditions.build_conditions(filter, self._policy.organization_id)
        table = tables.Event
        order = (col(table.recorded_at), col(table.id))
        statement = select(col(table.id)).where(*conditions).order_by(*order)
        while True:
            async with self._database.read(self._policy.organization_id) as session:
                ids = list(await session.scalars(statement.limit(MAX_SELECTED_EVENTS)))
            started = time.monotonic()
            selection = EventSelection(ids, len(ids), conditions)
            async for rows in delete_selected(
                self._database, self._command, selection, self._record_batch
            ):
                self._removed += len(rows)
                await self._pause(time.monotonic() - started)
                started = time.monotonic()
            if len(ids) < MAX_SELECTED_EVENTS:
                return

    async def _prune_history(self) -> int:
        organization_id = self._policy.organization_id
        end = await pruning.find_prunable_end(self._database, self._before, organization_id)
        return await pruning.prune_entries(
            self._database,
            self._before,
            organization_id=organization_id,
            undelivered_time=self._undelivered_time,
            actor=self._command.actor.name,
            until=end,
            pause=self._pause,
        )

    async def _pause(self, seconds: float) -> None:
        """Pauses in proportion to the seconds of a batch. Raises _LeaseLostError."""
        await asyncio.sleep(seconds * self._pause_factor)
        is_holder = leases.is_held_by(tables.RetentionPolicy, self._holder)
        if not await _take_lease(
            self._database, self._policy, self._holder, [is_holder], skip_locked=False
        ):
            raise _LeaseLostError

    async def _record_batch(self, session: AsyncSession, deleted: int) -> None:
        """Writes the audit entry with the first batch, and its number with the next ones.

        What is deleted has an entry even if the process is killed, or if the entry of the first
        batches was pruned meanwhile.
        """
        values = {
            "before": format_instant(self._before),
            "deletedEvents": self._removed + deleted,
        }
        entry = create_entry(
            self._policy,
            AuditAction.RETENTION_APPLIED,
            self._command.actor.name,
            self._now,
            collect_values(self._policy),
            values,
        )
        if self._removed > 0:
            # One entry for all batches: subscriptions do not deliver audit entries.
            statement = update(tables.Change).where(col(tables.Change.seq) == self._entry_sequence)
            statement = statement.values(changes=entry.changes, state=entry.state)
            updated: Any = await session.execute(statement)
            if updated.rowcount:
                return
        [position] = await changes.append_entries(session, [entry])
        self._entry_sequence = position.seq

    async def _record_completion(self) -> None:
        """Records the time, unless the policy was changed meanwhile: it is applied again."""
        table = tables.RetentionPolicy
        statement = (
            update(table)
            .where(
                col(table.id) == self._policy.id,
                leases.is_held_by(table, self._holder),
                col(table.updated_at) == self._policy.updated_at,
            )
            .values(last_applied_at=self._now)
        )
        async with self._database.write(self._policy.organization_id, writes_log=False) as session:
            await session.execute(statement)
