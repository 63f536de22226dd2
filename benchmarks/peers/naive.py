"""A server as in a tutorial: Strawberry on the same tables, with a session for each resolver.

No loaders, validation, keys, change log or search words. An event is stored with its tags. As a
process, it serves TOCSIN_DATABASE_URL.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import strawberry
from fastapi import FastAPI
from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlmodel import col
from strawberry.fastapi import GraphQLRouter
from strawberry.scalars import JSON
from uuid_utils.compat import uuid7

from app.domain.events.severity import Severity
from app.store import tables
from benchmarks.peers.serving import run_app

SCHEMES = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


class NaiveSite:
    """The database, which is the context of every resolver."""

    organization_id: UUID

    def __init__(self, database_url: str) -> None:
        scheme, _, rest = database_url.partition(":")
        self.engine = create_async_engine(f"{SCHEMES[scheme]}:{rest}")
        self.session = async_sessionmaker(self.engine, expire_on_commit=False)

    async def open(self) -> None:
        async with self.session() as session:
            ids = await session.scalars(select(col(tables.Organization.id)))
            self.organization_id = ids.one()


Info = strawberry.Info[dict[str, NaiveSite], None]


def get_site(info: Info) -> NaiveSite:
    return info.context["site"]


@strawberry.type
class EventField:
    name: str
    kind: str
    label: str
    required: bool
    unit: str | None


@strawberry.type
class EventType:
    id: strawberry.ID
    type: str
    name: str
    category: str

    @strawberry.field
    async def fields(self, info: Info) -> list[EventField]:
        field = tables.EventField
        own = select(field).where(col(field.event_type_id) == UUID(self.id))
        async with get_site(info).session() as session:
            rows = await session.scalars(own.order_by(col(field.position)))
            return [
                EventField(
                    name=row.name,
                    kind=row.kind.value,
                    label=row.label,
                    required=row.required,
                    unit=row.unit,
                )
                for row in rows
            ]


@strawberry.type
class Event:
    id: strawberry.ID
    type: str
    severity: str
    summary: str
    source: str
    occurred_at: datetime
    tags: list[str]
    fields: JSON
    event_type_id: strawberry.Private[UUID | None]

    @strawberry.field
    async def event_type(self, info: Info) -> EventType | None:
        async with get_site(info).session() as session:
            row = await session.get(tables.EventType, self.event_type_id)
            if row is None:
                return None
            return EventType(
                id=strawberry.ID(str(row.id)), type=row.type, name=row.name, category=row.category
            )

    @classmethod
    def from_row(cls, row: tables.Event) -> Event:
        return cls(
            id=strawberry.ID(str(row.id)),
            type=row.type,
            severity=row.severity.value,
            summary=row.summary,
            source=row.source,
            occurred_at=row.occurred_at,
            tags=row.tags,
            fields=JSON(row.fields),
            event_type_id=row.event_type_id,
        )


@strawberry.type
class EventConnection:
    nodes: list[Event]
    source: strawberry.Private[str | None]

    @strawberry.field
    async def total_count(self, info: Info) -> int:
        own = [col(tables.Event.organization_id) == get_site(info).organization_id]
        if self.source is not None:
            own.append(col(tables.Event.source) == self.source)
        async with get_site(info).session() as session:
            counted = select(func.count()).select_from(tables.Event).where(*own)
            return (await session.scalars(counted)).one()


@strawberry.input
class EventFilter:
    source: str | None = None


@strawberry.type
class Query:
    @strawberry.field
    async def events(
        self,
        info: Info,
        first: int = 20,
        after: str | None = None,
        filter: EventFilter | None = None,
    ) -> EventConnection:
        event = tables.Event
        key = (col(event.occurred_at), col(event.id))
        statement = select(event).where(
            col(event.organization_id) == get_site(info).organization_id
        )
        if after is not None:
            occurred_at, id = after.split("|")
            cursor_values = (datetime.fromisoformat(occurred_at), UUID(id))
            statement = statement.where(tuple_(*key) < cursor_values)
        source = None if filter is None else filter.source
        if source is not None:
            statement = statement.where(col(event.source) == source)
        statement = statement.order_by(*(each.desc() for each in key)).limit(first)
        async with get_site(info).session() as session:
            rows = await session.scalars(statement)
            return EventConnection(nodes=[Event.from_row(row) for row in rows], source=source)

    @strawberry.field
    async def event(self, info: Info, id: strawberry.ID) -> Event | None:
        async with get_site(info).session() as session:
            row = await session.get(tables.Event, UUID(id))
            return None if row is None else Event.from_row(row)


@strawberry.input
class LogEventInput:
    type: str
    severity: str
    summary: str
    source: str
    source_id: str
    tags: list[str]
    fields: JSON


@strawberry.type
class LogEventPayload:
    event: Event


@strawberry.type
class LogEventsPayload:
    results: list[LogEventPayload]


async def add_event(session: AsyncSession, site: NaiveSite, input: LogEventInput) -> tables.Event:
    now = datetime.now(UTC)
    named = select(tables.EventType).where(col(tables.EventType.type) == input.type)
    event_type = (await session.scalars(named)).one()
    row = tables.Event(
        id=uuid7(),
        organization_id=site.organization_id,
        type=input.type,
        event_type_id=event_type.id,
        event_type_version=event_type.version,
        category=event_type.category,
        severity=Severity(input.severity.upper()),
        summary=input.summary,
        source=input.source,
        source_id=input.source_id,
        occurred_at=now,
        recorded_at=now,
        updated_at=now,
        fields=dict(input.fields),  # type: ignore[call-overload]
        tags=input.tags,
    )
    session.add(row)
    await session.flush()
    session.add_all(
        tables.EventTag(organization_id=site.organization_id, event_id=row.id, tag=tag)
        for tag in input.tags
    )
    return row


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def log_event(self, info: Info, input: LogEventInput) -> LogEventPayload:
        async with get_site(info).session() as session:
            row = await add_event(session, get_site(info), input)
            await session.commit()
            return LogEventPayload(event=Event.from_row(row))

    @strawberry.mutation
    async def log_events(self, info: Info, input: list[LogEventInput]) -> LogEventsPayload:
        """Logs one event after another, each with its own commit."""
        results = []
        for each in input:
            async with get_site(info).session() as session:
                row = await add_event(session, get_site(info), each)
                await session.commit()
                results.append(LogEventPayload(event=Event.from_row(row)))
        return LogEventsPayload(results=results)

    @strawberry.mutation
    async def log_events_at_once(self, info: Info, input: list[LogEventInput]) -> LogEventsPayload:
        """Logs one event after another, with one commit."""
        async with get_site(info).session() as session:
            rows = [await add_event(session, get_site(info), each) for each in input]
            await session.commit()
            results = [LogEventPayload(event=Event.from_row(row)) for row in rows]
            return LogEventsPayload(results=results)


def create_app(database_url: str) -> FastAPI:
    site = NaiveSite(database_url)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await site.open()
        yield
        await site.engine.dispose()

    async def context() -> dict[str, Any]:
        return {"site": site}

    app = FastAPI(lifespan=lifespan)
    schema = strawberry.Schema(Query, Mutation)
    router: GraphQLRouter[Any, None] = GraphQLRouter(
        schema, path="/graphql", context_getter=context
    )
    app.include_router(router)
    return app


if __name__ == "__main__":
    run_app("Naive Strawberry", create_app(os.environ["TOCSIN_DATABASE_URL"]))
