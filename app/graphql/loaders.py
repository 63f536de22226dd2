"""What many rows of one answer ask for, read in one statement each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from app.graphql.context import Context
from app.graphql.event_types import EventField, EventType
from app.services import event_types

Found = TypeVar("Found")


class Loaders:
    """Of one request, or of one socket."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.event_types: DataLoader[UUID, EventType | None] = self._loader(self._event_types)
        self.event_fields: DataLoader[UUID, list[EventField] | None] = self._loader(
            self._event_fields
        )

    async def _event_types(self, ids: list[UUID]) -> dict[UUID, EventType]:
        rows = await event_types.by_ids(self._context.database, self._context.caller, ids)
        return {id: EventType.from_row(row) for id, row in rows.items()}

    async def _event_fields(self, ids: list[UUID]) -> dict[UUID, list[EventField]]:
        rows = await event_types.fields_of(self._context.database, self._context.caller, ids)
        return {id: [EventField.from_row(row) for row in fields] for id, fields in rows.items()}

    def _loader(
        self, read: Callable[[list[UUID]], Awaitable[dict[UUID, Found]]]
    ) -> DataLoader[UUID, Found | None]:
        async def load(ids: list[UUID]) -> list[Found | None]:
            found = await read(ids)
            return [found.get(each) for each in ids]

        # A socket lives long: what one operation read must not answer a later one.
        return DataLoader(load_fn=load, cache=False)
