"""Writes the responses of query plans as JSON, without executing fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLField, get_named_type, is_list_type
from graphql.execution.values import VariableValues
from graphql.type import get_nullable_type

from app.graphql.plans.cached_event_types import StaleCacheError
from app.graphql.plans.plan_steps import (
    ComputedPlan,
    ListPlan,
    NotPlannedError,
    QueryPlan,
    ReadPlan,
    RowPlan,
    SelectedField,
)
from app.graphql.shared.context import Context
from app.graphql.shared.field_sources import COUNT_NAMES, ConnectionPart, get_strawberry_field
from app.graphql.shared.json_encoding import encode_json
from app.services.shared.readers import ListPage
from app.store.engine.driver_statements import DriverRow

MAX_READS = 3


@dataclass(frozen=True)
class QueryRequest:
    """Context and variables of a request, coerced and as sent."""

    context: Context
    variables: VariableValues
    raw_variables: dict[str, Any] | None


def build_response(data: str, cost: int, max_cost: int) -> bytes:
    """Builds the response with its cost extension."""
    cost_extension = f'{{"cost":{{"requested":{cost},"limit":{max_cost}}}}}'
    return f'{{"data":{data},"extensions":{cost_extension}}}'.encode()


async def write_data(plan: QueryPlan, request: QueryRequest) -> str:
    """Returns the data of the operation as JSON. Any error is raised."""
    members = [
        f'"{key}":{await _write_field(root, request, None)}' for key, root in plan.root_fields
    ]
    return "{" + ",".join(members) + "}"


async def _write_field(plan: Any, request: QueryRequest, parent: Any) -> str:
    match plan:
        case str():
            return plan
        case ListPlan() | RowPlan():
            return await _write_rows(plan, request, parent)
        case ComputedPlan():
            return await _write_computed(plan, request, parent)
    raise NotPlannedError(str(plan))


async def _write_rows(plan: ListPlan | RowPlan, request: QueryRequest, parent: Any) -> str:
    """Reads the rows again if the definitions changed before the event types were read.

    Raises StaleCacheError if they changed each time.
    """
    write: Any = _write_list if isinstance(plan, ListPlan) else _write_row
    for remaining in range(MAX_READS, 0, -1):
        try:
            return str(await write(plan, request, parent))
        except StaleCacheError:
            if remaining == 1:
                raise
    raise AssertionError


async def _write_list(plan: ListPlan, request: QueryRequest, parent: Any) -> str:
    context = request.context
    list_request = plan.arguments.build_request(
        plan.source.build_request, parent, context, request.variables
    )
    page = await plan.source.reader.fetch_columns(
        context.database, context.caller, list_request, plan.read_plan.projection, plan.counts
    )
    event_types = await _fetch_event_types(plan.read_plan, request, page.rows)
    cursors = [_encode_cursor(plan, page, row) for row in _rows_with_cursors(plan, page)]
    return _write_list_fields(plan.selected_fields, plan.read_plan, page, event_types, cursors)


def _rows_with_cursors(plan: ListPlan, page: ListPage[DriverRow]) -> Sequence[DriverRow]:
    """Returns the rows whose cursors are selected."""
    rows = page.rows
    if not plan.read_plan.sort_key_readers or not rows:
        return ()
    return rows if plan.needs_every_cursor else (rows[0], rows[-1])


def _encode_cursor(plan: ListPlan, page: ListPage[DriverRow], row: DriverRow) -> str:
    return page.encode_key(
        tuple(plan.read_plan.sort_key_readers[name](row) for name in page.key_columns)
    )


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
                text = _write_boolean(page.has_next)
            case ConnectionPart.HAS_PREVIOUS_PAGE:
                text = _write_boolean(page.has_previous)
            case ConnectionPart.START_CURSOR:
                text = f'"{cursors[0]}"' if cursors else "null"
            case ConnectionPart.END_CURSOR:
                text = f'"{cursors[-1]}"' if cursors else "null"
            case _:
                text = str(selected_field.source)  # a type's name
        members.append(f'"{selected_field.response_key}":{text}')
    return "{" + ",".join(members) + "}"


async def _write_row(plan: RowPlan, request: QueryRequest, parent: Any) -> str:
    context = request.context
    key = plan.arguments.build_request(plan.source.build_key, parent, context, request.variables)
    row = await plan.source.reader.fetch_columns(
        context.database, context.caller, key, plan.read_plan.projection
    )
    if row is None:
        return "null"
    event_types = await _fetch_event_types(plan.read_plan, request, [row])
    return plan.read_plan.writers[0]([row], (), event_types)[0]


async def _write_computed(plan: ComputedPlan, request: QueryRequest, parent: Any) -> str:
    arguments = plan.arguments.read_arguments(request.variables)
    value = await plan.source.compute(parent, request.context, **arguments)
    if plan.leaf_type is not None:
        return _write_leaf(value, plan.leaf_type)
    if isinstance(value, list):
        return f"[{','.join([await _write_object(plan, request, item) for item in value])}]"
    return await _write_object(plan, request, value)


async def _write_object(plan: ComputedPlan, request: QueryRequest, value: Any) -> str:
    if value is None:
        return "null"
    members = []
    for key, field in plan.fields:
        if isinstance(field, GraphQLField):
            text = _write_leaf(getattr(value, get_strawberry_field(field).python_name), field.type)
        else:
            text = await _write_field(field, request, value)
        members.append(f'"{key}":{text}')
    return "{" + ",".join(members) + "}"


def _write_leaf(value: Any, type_: Any) -> str:
    if value is None:
        return "null"
    nullable = get_nullable_type(type_)
    if is_list_type(nullable):
        return f"[{','.join(_write_leaf(item, nullable.of_type) for item in value)}]"
    return encode_json(get_named_type(type_).serialize(value))


async def _fetch_event_types(
    read_plan: ReadPlan, request: QueryRequest, rows: Sequence[DriverRow]
) -> Sequence[Mapping[Any, str]]:
    if not rows:
        return ()
    definitions_version = rows[0][-1]
    return [
        await cache.fetch_texts(
            request.context,
            request.raw_variables,
            definitions_version,
            [row[position] for row in rows],
        )
        for cache, position in read_plan.event_types
    ]


def _write_boolean(value: bool) -> str:
    return "true" if value else "false"
