"""Writers of values in memory: each writes the values of one field in many objects at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any

from graphql import GraphQLEnumType, GraphQLScalarType

from app.domain.shared.json_encoding import BOOLEANS, encode_json
from app.graphql.plans.input_readers import FieldArguments
from app.graphql.plans.plan_steps import OperationRequest, ReadPlan, WriteValues
from app.graphql.plans.response_writer import fetch_event_types
from app.store.reading import projection


def create_object_writer(
    members: Mapping[str, str | WriteValues], first_members: Container[str] = ()
) -> WriteValues:
    """Creates the writer of objects. `members`: by response key, JSON or the writer of a field.

    `first_members`: response keys of the fields that are read before the others.
    """
    texts = (
        f'"{key}":{member if isinstance(member, str) else "%s"}' for key, member in members.items()
    )
    template = "{" + ",".join(texts) + "}"  # GraphQL names contain no %
    writers = {key: member for key, member in members.items() if not isinstance(member, str)}
    reading_order = sorted(writers, key=lambda key: key not in first_members)

    async def write(request: OperationRequest, objects: Sequence[Any]) -> Sequence[str]:
        if not writers:
            return [template] * len(objects)
        columns = {}
        for key in reading_order:  # a comprehension would be a coroutine of its own
            columns[key] = await writers[key](request, objects)
        return [
            template % values for values in zip(*[columns[key] for key in writers], strict=True)
        ]

    return write


def create_abstract_writer(writers: Mapping[type, WriteValues]) -> WriteValues:
    """Creates the writer of objects of an interface. `writers`: by the class of the object."""

    async def write(request: OperationRequest, objects: Sequence[Any]) -> Sequence[str]:
        texts = {
            type_: iter(
                await write_objects(request, [item for item in objects if type(item) is type_])
            )
            for type_, write_objects in writers.items()
        }
        return [next(texts[type(item)]) for item in objects]

    return write


def create_list_writer(write_items: WriteValues) -> WriteValues:
    """Creates the writer of lists, whose items are written together."""

    async def write(request: OperationRequest, lists: Sequence[Any]) -> Sequence[str]:
        items = [item for items in lists for item in items]
        if not items:
            return ["[]"] * len(lists)
        texts = iter(await write_items(request, items))
        return [f"[{','.join(islice(texts, len(items)))}]" for items in lists]

    return write


def create_leaf_writer(type_: GraphQLScalarType | GraphQLEnumType) -> WriteValues:
    """Creates the writer of values that are not None. It raises an error for None."""
    serialize = type_.coerce_output_value

    async def write(_request: OperationRequest, values: Sequence[Any]) -> Sequence[str]:
        texts = [encode_json(serialize(value)) for value in values]
        if "null" in texts:  # the scalar JSON accepts None
            raise TypeError(f"a value of the type {type_.name}! is None")
        return texts

    async def write_booleans(_request: OperationRequest, values: Sequence[Any]) -> Sequence[str]:
        return [BOOLEANS[value] for value in values]

    return write_booleans if type_.name == "Boolean" else write


def create_attribute_writer(attribute: str, write_values: WriteValues) -> WriteValues:
    """Creates the writer of a field that is an attribute of the objects."""
    get_value = attrgetter(attribute)

    async def write(request: OperationRequest, objects: Sequence[Any]) -> Sequence[str]:
        return await write_values(request, [get_value(item) for item in objects])

    return write


def create_resolver_writer(
    call_resolver: Callable[..., Awaitable[Any]],
    arguments: FieldArguments,
    write_values: WriteValues,
) -> WriteValues:
    """Creates the writer of a field that is computed by its resolver."""

    async def write(request: OperationRequest, parents: Sequence[Any]) -> Sequence[str]:
        inputs = arguments.read_arguments(request)
        calls = [call_resolver(parent, request.context, **inputs) for parent in parents]
        # Several concurrently, so that the loaders batch their reads.
        values = [await calls[0]] if len(calls) == 1 else await asyncio.gather(*calls)
        return await write_values(request, values)

    return write


def create_memory_row_writer(read_plan: ReadPlan) -> WriteValues:
    """Creates the writer of rows in memory, with their event types but no other rows.

    It raises StaleCacheError if the definitions changed while the event types were read.
    """
    read_columns, [write_rows] = attrgetter("id", *read_plan.projection.columns), read_plan.writers

    async def write(request: OperationRequest, rows: Sequence[Any]) -> Sequence[str]:
        values = [read_columns(row)[1:] for row in rows]
        if not read_plan.event_types:
            return write_rows(values, (), ())
        context = request.context
        definitions_version = await projection.fetch_definitions_version(
            context.database, context.caller.organization_id
        )
        values = [(*columns, definitions_version) for columns in values]
        return write_rows(values, (), await fetch_event_types(read_plan, request, values))

    return write


def create_nullable_writer(write_values: WriteValues) -> WriteValues:
    """Creates the writer of values that may be None."""

    async def write(request: OperationRequest, values: Sequence[Any]) -> Sequence[str]:
        present = [value for value in values if value is not None]
        texts = await write_values(request, present) if present else ()
        if len(present) == len(values):
            return texts
        remaining = iter(texts)
        return ["null" if value is None else next(remaining) for value in values]

    return write
