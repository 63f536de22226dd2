"""What is asked of event types: one, or a list of them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.graphql.event_types.inputs import EventTypeBy, EventTypeFilter
from app.graphql.shared.context import Context, Info
from app.graphql.shared.declared import Listed, One, reads
from app.graphql.shared.nodes import wanted_id
from app.graphql.shared.pages import After, Connection, First, connection
from app.graphql.types.event_filter import storable
from app.graphql.types.event_type import EventType
from app.graphql.types.loaders import loaders_of
from app.services.definitions import event_types
from app.services.definitions.event_types import TypePage
from app.store.reading.pages import page_request


def _named(_root: Any, context: Context, by: EventTypeBy) -> UUID | str:
    """The id or the type. RequestError BAD_USER_INPUT."""
    if by.id:
        return wanted_id(by.id.value, "by", "id")
    named = by.type.value if by.type else ""
    storable(named, context.limits, "by", "type")
    return named


def _page(
    _root: Any,
    context: Context,
    filter: EventTypeFilter | None = None,
    first: int | None = 20,
    after: str | None = None,
) -> TypePage:
    wanted = (filter or EventTypeFilter()).to_domain(context.limits)
    return TypePage(wanted, page_request(context.limits, first=first, after=after))


@strawberry.type
class EventTypeQueries:
    @strawberry.field(
        description="One event type; null where there is none.",
        metadata=reads(One(_named, event_types.select_one)),
    )
    async def event_type(
        self,
        info: Info,
        by: Annotated[EventTypeBy, strawberry.argument(description="Its id or its type.")],
    ) -> EventType | None:
        wanted = _named(self, info.context, by)
        if isinstance(wanted, UUID):
            return await loaders_of(info).event_types.load(wanted)
        row = await event_types.find(info.context.database, info.context.caller, type=wanted)
        return None if row is None else EventType.from_row(row)

    @strawberry.field(
        description="The organization's event types, in order of creation.",
        metadata=reads(Listed(_page, event_types.select_page)),
    )
    async def event_types(
        self,
        info: Info,
        filter: Annotated[
            EventTypeFilter | None, strawberry.argument(description="Only these event types.")
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> Connection[EventType]:
        database, caller = info.context.database, info.context.caller
        wanted = _page(self, info.context, filter, first, after)
        page = await event_types.page(database, caller, wanted.filter, wanted.request)
        return connection(
            page,
            wanted.order,
            caller.organization_id,
            EventType.from_row,
            lambda: event_types.count(database, caller, wanted.filter),
        )
