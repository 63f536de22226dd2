"""Decides which events notify, and which ones a silence suppresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app import metrics
from app.domain.events.filter_json import UnreadableFilterError
from app.domain.events.silences import Silence, silence_event
from app.domain.events.state import EventState
from app.services.events.validation import CachedDefinitions, load_current_definitions
from app.store import tables

log = structlog.get_logger(__name__)


class Silencer:
    """Applies the silences of an organization in one transaction."""

    def __init__(self, silences: Sequence[Silence] = ()) -> None:
        self._silences = silences
        self._counts: Counter[UUID] = Counter()

    def decide_notification(
        self, before: EventState | None, after: EventState, now: datetime, *, again: bool = False
    ) -> tuple[EventState, bool]:
        """Returns the changed event, silenced if a silence suppresses it, and whether it notifies.

        An event notifies when it becomes a notification; with `again`, also if it was one before.
        A resolved one never does.
        """
        is_due = again or before is None or not before.notification
        if not (is_due and after.notification and after.resolved_at is None):
            if not after.notification and after.silenced_by_id is not None:
                after = replace(after, silenced_by_id=None)
            return after, False
        after = silence_event(self._silences, after, now)
        if after.silenced_by_id is not None:
            self._counts[after.silenced_by_id] += 1
        return after, after.silenced_by_id is None

    def is_active(self, silence_id: UUID, now: datetime) -> bool:
        return any(each.id == silence_id and each.is_active(now) for each in self._silences)

    async def store_counts(self, session: AsyncSession) -> None:
        """Adds the suppressed notifications to the counts of their silences.

        Locks the rows of these silences: call it after all other rows are locked.
        """
        table = tables.Silence
        for silence_id, count in sorted(self._counts.items()):
            increment = update(table).values(silenced_count=col(table.silenced_count) + count)
            await session.execute(
                increment.where(col(table.id) == silence_id),
                execution_options={"synchronize_session": False},
            )
        metrics.SILENCED_NOTIFICATIONS.inc(self._counts.total())


async def load_silencer(
    session: AsyncSession, definitions: CachedDefinitions | None = None
) -> Silencer:
    """Returns the silences as of this transaction. Runs one statement if they are cached.

    With `definitions`, which must be current, it runs none. The silences stay valid until the
    transaction ends if it holds `lock_definitions_shared`.
    """
    if definitions is None:
        definitions = await load_current_definitions(session)
    if definitions.silences is None:
        table = tables.Silence
        # The one that lasts longest comes first: then the fewest have to take over from others.
        statement = (
            select(table)
            .where(col(table.ends_at) > datetime.now(UTC))
            .order_by(col(table.ends_at).desc(), col(table.id))
        )
        rows = await session.scalars(statement)
        definitions.silences = tuple(_read_silences(rows))
    return Silencer(definitions.silences)


def _read_silences(rows: Iterable[tables.Silence]) -> Iterator[Silence]:
    """Leaves out the silences that cannot be read: they suppress nothing."""
    for row in rows:
        try:
            yield row.to_domain()
        except UnreadableFilterError as error:
            log.warning("silence_not_readable", silence=str(row.id), cause=str(error))
