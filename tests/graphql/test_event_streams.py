"""Server-sent event streams, as the web framework runs them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import anyio

from app.domain.shared.limits import SocketLimits
from app.graphql.transport.connection_slots import ConnectionSlots
from app.graphql.transport.operation_responses import OperationResponse
from app.graphql.transport.sse import EventStream
from app.services.auth.credential_watcher import CredentialLifetime


class RecordedRead:
    """An operation that reads from a database and takes a moment to end the read."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.ended = False

    async def read_responses(self) -> AsyncGenerator[OperationResponse, None]:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            self.ended = True
        yield OperationResponse("{}")


async def test_a_read_ends_completely_when_its_client_disconnects() -> None:
    read = RecordedRead()
    slots = ConnectionSlots(SocketLimits())
    stream = EventStream(
        read.read_responses(), lambda: CredentialLifetime(None), 60, slots.acquire("key")
    )

    async def send_events() -> None:
        async for _ in stream.stream_events(set()):
            pass

    # Starlette does this when the client disconnects.
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send_events)
        await read.started.wait()
        tasks.cancel_scope.cancel()

    assert read.ended
