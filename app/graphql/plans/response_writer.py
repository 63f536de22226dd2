"""Writers of the fields that read rows, pages of lists or single rows, and of the response."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.shared.json_encoding import BOOLEANS
from app.graphql.plans.cached_event_types import StaleCacheError
from app.graphql.plans.input_readers import FieldArguments
from app.graphql.plans.plan_steps import OperationRequest, ReadPlan, SelectedField, WriteValues
from app.graphql.shared.field_sources import (
    COUNT_NAMES,
    ConnectionPart,
    ListSource,
    LookupSource,
)
from app.services.shared.readers import ListPage
from app.store.engine.driver_statements import DriverRow

MAX_READS = 3


def build_response(data: str, cost: int, max_cost: int) -> str:
    """Builds the response with its cost extension."""
    cost_extension = f'{{"cost":{{"requested":{cost},"limit":{max_cost}}}}}'
    return f'{{"data":{data},"extensions":{cost_extension}}}'


@dataclass(frozen=True)
class ListPlan:
    """Writes a page of a list."""

    source: ListSource
    arguments: FieldArguments
    read_plan: ReadPlan
    selected_fields: tuple[SelectedField, ...]
    counts: tuple[str, ...]
    needs_every_cursor: bool

    async def write(self, request: OperationRequest, parent: Any) -> str:
        context = request.context
        list_request = self.arguments.build_request(self.source.build_request, parent, request)
        page = await self.source.reader.fetch_columns(
            context.database, context.caller, list_request, self.read_plan.projection, self.counts
        )
        event_types = await fetch_event_types(self.read_plan, request, page.rows)
        cursors = [self._encode_cursor(page, row) for row in self._rows_with_cursors(page)]
        return _write_list_fields(self.selected_fields, self.read_plan, page, event_types, cursors)

    def _rows_with_cursors(self, page: ListPage[DriverRow]) -> Sequence[DriverRow]:
        """Returns the rows whose cursors are selected."""
        rows = page.rows
        if not self.read_plan.sort_key_readers or not rows:
            return ()
        return rows if self.needs_every_cursor else (rows[0], rows[-1])

    def _encode_cursor(self, page: ListPage[DriverRow], row: DriverRow) -> str:
        return page.encode_key(
            tuple(self.read_plan.sort_key_readers[name](row) for name in page.key_columns)
        )


@dataclass(frozen=True)
class RowPlan:
    """Writes the row with a key."""

    source: LookupSource
    arguments: FieldArguments
    read_plan: ReadPlan

    async def write(self, request: OperationRequest, parent: Any) -> str:
        context = request.context
        inputs = self.arguments.read_arguments(request)
        key = self.source.build_key(parent, context, **inputs)
        row = await self.source.reader.fetch_columns(
            context.database, context.caller, key, self.read_plan.projection
        )
        if row is None:
            return "null"
        event_types = await fetch_event_types(self.read_plan, request, [row])
        return self.read_plan.writers[0]([row], (), event_types)[0]


def create_reading_writer(plan: ListPlan | RowPlan) -> WriteValues:
    """Creates the writer of a field that reads rows.

    It reads them again if the definitions changed before the event types were read, and raises
    StaleCacheError if they changed each time.
    """

    async def write(request: OperationRequest, parents: Sequence[Any]) -> Sequence[str]:
        texts = []  # not a comprehension, which would be a coroutine of its own
        for parent in parents:
            try:
                text = await plan.write(request, parent)
            except StaleCacheError:
                text = await write_again(request, parent)
            texts.append(text)
        return texts

    async def write_again(request: OperationRequest, parent: Any) -> str:
        for _ in range(MAX_READS - 2):
            with contextlib.suppress(StaleCacheError):
                return await plan.write(request, parent)
        return await plan.write(request, parent)

    return write


def _write_list_fields(
    selected_fields: Sequence[SelectedField],
    read_plan: ReadPlan,
    page: ListPage[DriverRow],
    event_types: Sequence[Mapping[Any, str]],
    cursors: Sequence[str],
) -> str:
    members = []
    for selected_field in selected_fields:
        match selected_field.source:
            case ConnectionPart.NODES | ConnectionPart.EDGES:
                write_rows = read_plan.writers[selected_field.writer_index]
                text = f"[{','.join(write_rows(page.rows, cursors, event_types))}]"
            case ConnectionPart.PAGE_INFO:
                text = _write_list_fields(
                    selected_field.subfields, read_plan, page, event_types, cursors
                )
            case ConnectionPart.TOTAL_COUNT | ConnectionPart.UNACKNOWLEDGED_COUNT:
                text = str(page.counts[COUNT_NAMES[selected_field.source]])
            case ConnectionPart.HAS_NEXT_PAGE:
                text = BOOLEANS[page.has_next]
            case ConnectionPart.HAS_PREVIOUS_PAGE:
                text = BOOLEANS[page.has_previous]
            case ConnectionPart.START_CURSOR:
                text = f'"{cursors[0]}"' if cursors else "null"
            case ConnectionPart.END_CURSOR:
                text = f'"{cursors[-1]}"' if cursors else "null"
            case _:
                text = str(selected_field.source)  # a type's name
        members.append(f'"{selected_field.response_key}":{text}')
    return "{" + ",".join(members) + "}"


async def fetch_event_types(
    read_plan: ReadPlan, request: OperationRequest, rows: Sequence[DriverRow]
) -> Sequence[Mapping[Any, str]]:
    if not rows or not read_plan.event_types:
        return ()
    definitions_version = rows[0][-1]
    return [
        await cache.fetch_texts(
            request.context,
            request.json_values,
            definitions_version,
            [row[position] for row in rows],
        )
        for cache, position in read_plan.event_types
    ]
