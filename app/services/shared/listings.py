"""Reads a page of a list, limited to the requested columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.domain.access.caller import Caller
from app.store.engine.database import Database
from app.store.reading import projection
from app.store.reading.condition_templates import ConditionTemplate
from app.store.reading.pages import Order, Page, PageRequest
from app.store.reading.projection import DriverRow, Projection

TOTAL = "total"


@dataclass(frozen=True)
class ListPage:
    """A page of rows. `make_cursor` builds a row's cursor from its values of `key_columns`."""

    page: Page[DriverRow]
    totals: Mapping[str, int]
    key_columns: Sequence[str] = ()
    make_cursor: Callable[[Any], str] = str


async def fetch_list_page(
    database: Database,
    caller: Caller,
    columns: Projection,
    template: ConditionTemplate,
    order: Order[Any],
    request: PageRequest,
    counts: Sequence[str],
) -> ListPage:
    """Fetches a page of the list. Raises RequestError INVALID_CURSOR."""
    organization_id = caller.organization_id
    count_templates = {TOTAL: template} if TOTAL in counts else projection.NO_COUNTS
    result = await projection.fetch_page(
        database, organization_id, columns, template, order, request, counts=count_templates
    )
    return ListPage(
        result.page,
        result.totals,
        order.column_names,
        partial(order.encode_key_cursor, organization_id),
    )
