"""Responses as server-sent events (graphql-sse, distinct connections): a comment, then `next` and
`complete`.

The event ID is the subscription's cursor: `Last-Event-ID` resumes after it. A stream ends without
`complete` when its credential ends or the server shuts down: clients resume.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

import anyio

from app.graphql.transport.connection_slots import ConnectionSlot
from app.graphql.transport.operation_responses import OperationResponse
from app.services.auth.credential_watcher import CredentialLifetime

_KEEP_ALIVE = ":\n\n"
_COMPLETE_EVENT = "event: complete\ndata:\n\n"


def _uninterrupted() -> anyio.CancelScope:
    """Returns a scope for the clean-up of a stream whose client has disconnected.

    Starlette then cancels every await of the stream, not only the first one: without the scope, the
    rollback of a read would be cancelled, too, and its connection lost.
    """
    return anyio.CancelScope(shield=True)


class EventStream:
    """Event stream of one operation."""

    def __init__(
        self,
        responses: AsyncGenerator[OperationResponse, None],
        track_credential: Callable[[], CredentialLifetime],
        keep_alive_seconds: float,
        slot: ConnectionSlot,
    ) -> None:
        self._responses = responses
        self._track_credential = track_credential
        self._keep_alive_seconds = keep_alive_seconds
        self._slot = slot
        self._drain_requested = asyncio.Event()

    async def drain(self) -> None:
        """Ends the stream because the server shuts down."""
        self._drain_requested.set()

    async def stream_events(self, open_streams: set[Any]) -> AsyncIterator[str]:
        """Yields the events. The stream is in `open_streams` until it ends."""
        credential_lifetime = self._track_credential()
        end_futures: list[asyncio.Future[Any]] = [
            credential_lifetime.ended,
            asyncio.ensure_future(self._drain_requested.wait()),
        ]
        open_streams.add(self)
        try:
            async for event in self._stream_until(end_futures):
                yield event
        finally:
            with _uninterrupted():
                await self._responses.aclose()
            open_streams.discard(self)
            self._slot.release()
            credential_lifetime.release()
            for future in end_futures:
                future.cancel()

    async def _stream_until(self, end_futures: Sequence[asyncio.Future[Any]]) -> AsyncIterator[str]:
        next_response = asyncio.ensure_future(anext(self._responses, None))
        try:
            # Some proxies and clients wait for the first bytes of the body.
            yield _KEEP_ALIVE
            while True:
                done, _ = await asyncio.wait(
                    {next_response, *end_futures},
                    timeout=self._keep_alive_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if done.intersection(end_futures):
                    return
                if not done:
                    yield _KEEP_ALIVE
                    continue
                response = next_response.result()
                if response is None:
                    yield _COMPLETE_EVENT
                    return
                payload = (
                    f'{{"errors":{response.payload}}}' if response.failed else response.payload
                )
                id_line = "" if response.get_cursor is None else f"id: {response.get_cursor()}\n"
                yield f"event: next\n{id_line}data: {payload}\n\n"
                next_response = asyncio.ensure_future(anext(self._responses, None))
        finally:
            next_response.cancel()
            with _uninterrupted():
                await asyncio.gather(next_response, return_exceptions=True)
