"""The Strawberry server of `benchmarks.fanout`: Strawberry's own socket, with events in memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from enum import Enum
from uuid import uuid4

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL


@strawberry.enum
class Severity(Enum):
    ERROR = "ERROR"
    WARN = "WARN"
    INFO = "INFO"
    SUCCESS = "SUCCESS"


@strawberry.input
class EntityInput:
    type: str
    id: str


@strawberry.type
class Entity:
    type: str
    entity_id: str


@strawberry.type
class Event:
    id: strawberry.ID
    type: str
    severity: Severity
    summary: str
    source: str
    occurred_at: datetime
    tags: list[str]
    entity: Entity | None


@strawberry.type
class NotificationEdge:
    cursor: str
    node: Event


@strawberry.input
class EventFilter:
    severities: list[Severity] | None = None
    types: list[str] | None = None
    entity: EntityInput | None = None
    source: str | None = None

    def selects(self, event: Event) -> bool:
        return (
            (self.severities is None or event.severity in self.severities)
            and (self.types is None or event.type in self.types)
            and (
                self.entity is None
                or event.entity == Entity(type=self.entity.type, entity_id=self.entity.id)
            )
            and (self.source is None or self.source == event.source)
        )


@strawberry.input
class LogEventInput:
    type: str
    severity: str
    summary: str
    source: str
    tags: list[str]
    entity: EntityInput
    notification: bool

    def event(self) -> Event:
        return Event(
            id=strawberry.ID(str(uuid4())),
            type=self.type,
            severity=Severity(self.severity.upper()),
            summary=self.summary,
            source=self.source,
            occurred_at=datetime.now(UTC),
            tags=self.tags,
            entity=Entity(type=self.entity.type, entity_id=self.entity.id),
        )


@strawberry.type
class LogEventPayload:
    event: Event


@strawberry.type
class LogEventsPayload:
    results: list[LogEventPayload]


followers: set[asyncio.Queue[NotificationEdge]] = set()


@strawberry.type
class Query:
    ready: bool = True


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def log_events(self, input: list[LogEventInput]) -> LogEventsPayload:
        events = [each.event() for each in input]
        for number, event in enumerate(events):
            for follower in followers:
                follower.put_nowait(NotificationEdge(cursor=str(number), node=event))
        return LogEventsPayload(results=[LogEventPayload(event=event) for event in events])


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def notification_added(
        self, filter: EventFilter | None = None
    ) -> AsyncGenerator[NotificationEdge, None]:
        waiting: asyncio.Queue[NotificationEdge] = asyncio.Queue()
        followers.add(waiting)
        try:
            while True:
                edge = await waiting.get()
                if filter is None or filter.selects(edge.node):
                    yield edge
        finally:
            followers.discard(waiting)


def main() -> None:
    schema = strawberry.Schema(Query, Mutation, Subscription)
    app = FastAPI()
    router: GraphQLRouter[None, None] = GraphQLRouter(
        schema, path="/graphql", subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL]
    )
    app.include_router(router)
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    port = listening.getsockname()[1]
    print(f"Strawberry is running at http://127.0.0.1:{port}/graphql", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main()
