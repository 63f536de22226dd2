"""A page of a list by the columns asked for, with the way in which its rows have cursors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.domain.access.caller import Caller
from app.store.engine.database import Database
from app.store.reading import projection
from app.store.reading.pages import Order, Page, PageRequest
from app.store.reading.projection import Row, Selection
from app.store.reading.templates import Template

TOTAL = "total"


@dataclass(frozen=True)
class Listing:
    """`keys` are the columns whose values `cursor` makes a row's cursor of."""

    page: Page[Row]
    totals: Mapping[str, int]
    keys: Sequence[str] = ()
    cursor: Callable[[Any], str] = str


async def listing(
    database: Database,
    caller: Caller,
    columns: Selection,
    template: Template,
    order: Order[Any],
    request: PageRequest,
    counts: Sequence[str],
) -> Listing:
    """RequestError INVALID_CURSOR."""
    own = caller.organization_id
    counted = {TOTAL: template} if TOTAL in counts else projection.NOTHING
    found = await projection.page(database, own, columns, template, order, request, counts=counted)
    return Listing(found.page, found.totals, order.keys, partial(order.cursor_at, own))
