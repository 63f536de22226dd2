"""What can be subscribed to: a selection of the log, from a cursor on."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from app.domain.access.caller import Caller
from app.domain.events.filters import EventFilter
from app.services.change_log.feed import start_of
from app.services.change_log.feed_filters import Selection
from app.store.change_log import changes
from app.store.change_log.changes import Place
from app.store.engine.database import Database


@dataclass(frozen=True)
class Following:
    """What somebody follows, and from where on."""

    selection: Selection
    after: Place
    moment: changes.Moment

    @property
    def key(self) -> Hashable:
        """Of those who follow the same, wherever they begin."""
        return self.selection, self.moment.epoch

    def cursor(self, place: Place) -> str:
        return changes.cursor_of(self.selection.organization_id, self.moment, place, complete=True)


async def notifications_added(
    database: Database, caller: Caller, filter: EventFilter, after: str | None
) -> Following:
    """Each notification as it rings. RequestError INVALID_CURSOR, CURSOR_EXPIRED."""
    moment, start = await start_of(database, caller, after)
    return Following(Selection(caller.organization_id, filter, rings_only=True), start, moment)


async def events_changed(
    database: Database, caller: Caller, filter: EventFilter, after: str | None
) -> Following:
    """Every change of the events that the filter selects, before or after it.

    RequestError INVALID_CURSOR, CURSOR_EXPIRED.
    """
    moment, start = await start_of(database, caller, after)
    return Following(Selection(caller.organization_id, filter), start, moment)
