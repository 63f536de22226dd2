"""The socket: GraphQL by graphql-transport-ws.

One frame is on its way at a time, and an operation waits until its own is: memory is bounded by
what the connection buffers. Whatever ends a socket goes through `end`, and the first reason counts.
`docs/sockets.md` tells clients what the codes mean.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.domain.shared.limits import SocketLimits
from app.domain.shared.problems import ErrorCode, RequestError
from app.graphql.schema import Schema
from app.graphql.shared.context import Context
from app.graphql.transport.connection_slots import Pace, Place, Places
from app.graphql.transport.conversation import Conversation
from app.graphql.transport.frames import Sender, sender_of
from app.graphql.transport.messages import (
    ACKNOWLEDGED,
    PING,
    Close,
    CloseCode,
    Complete,
    ConnectionInit,
    Message,
    Ping,
    Subscribe,
    before_payload,
    complete_message,
    error_message,
    next_message,
    text_of,
)
from app.graphql.transport.operations import answers
from app.store.engine.dialect import DATABASE_ERRORS, why_unavailable

_REFUSED = (ErrorCode.UNAUTHENTICATED, ErrorCode.FORBIDDEN)

log = structlog.get_logger(__name__)


def _refusal(error: Exception) -> Close:
    """What the client of a connection that is not acknowledged is told."""
    if isinstance(error, RequestError):
        if error.code in _REFUSED:
            return Close(CloseCode.FORBIDDEN, "Forbidden")
        return Close(CloseCode.TRY_AGAIN_LATER, error.message)
    if (why := why_unavailable(error)) is None:
        raise error
    log.warning("database_unavailable", cause=str(error))
    return Close(CloseCode.TRY_AGAIN_LATER, why)


class Socket:
    """One client's socket, from its handshake to its end."""

    def __init__(
        self,
        websocket: WebSocket,
        schema: Schema,
        limits: SocketLimits,
        context: Context,
        places: Places,
    ) -> None:
        self._websocket = websocket
        self._schema = schema
        self._limits = limits
        self._context = context
        self._places = places
        self._place: Place | None = None
        self._pace = Pace(limits)
        self._operations: dict[str, asyncio.Task[None]] = {}
        # What is pushed for an operation goes past its task.
        self._senders: dict[str, Sender] = {}
        self._conversation = Conversation(limits, self._operations)
        self._tasks: set[asyncio.Task[None]] = set()
        self._mutations: set[asyncio.Task[None]] = set()
        self._draining = False
        self._sending = asyncio.Lock()
        self._heard = asyncio.Event()
        self._ended: asyncio.Future[Close | None] = asyncio.get_running_loop().create_future()

    def end(self, close: Close | None) -> None:
        """Closes the socket, whatever it does; with None it is closed already."""
        if not self._ended.done():
            self._ended.set_result(close)
            for sender in self._senders.values():
                sender.ended = True

    async def serve(self) -> None:
        """Until it ends; then nothing of it goes on."""
        close: Close | None = None
        listeners: set[Any] = self._websocket.app.state.listeners
        listeners.add(self)
        self._start(self._listen)
        self._start(self._expect_init)
        try:
            close = await self._ended
        finally:
            listeners.discard(self)
            if self._place is not None:
                self._place.leave()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await self._close(close)
            await asyncio.gather(*tasks, return_exceptions=True)

    async def drain(self) -> None:
        """Begins nothing any more, and ends when the mutations that have begun are answered."""
        self._draining = True
        if self._mutations:
            await asyncio.wait(self._mutations)
        self.end(Close(CloseCode.SERVICE_RESTART, "The server ends"))

    def _start(self, work: Callable[..., Awaitable[None]], *given: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(work, *given))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Callable[..., Awaitable[None]], *given: Any) -> None:
        try:
            await work(*given)
        except WebSocketDisconnect:
            self.end(None)
        except Exception:
            reference = uuid4().hex
            log.exception("socket_failed", reference=reference)
            told = f"Something went wrong in the server: {reference}"
            self.end(Close(CloseCode.INTERNAL_ERROR, told))

    async def _listen(self) -> None:
        while not self._ended.done():
            event = await self._websocket.receive()
            if event["type"] == "websocket.disconnect":
                self.end(None)
                return
            self._heard.set()
            # Who sends too fast is read more slowly: its connection fills, and nothing is lost.
            if wait := self._pace.wait_for(asyncio.get_running_loop().time()):
                await asyncio.sleep(wait)
            text = event.get("text")
            await self._take(self._conversation.hear(event["bytes"] if text is None else text))
            # Frames that have come in together would keep the loop from everybody else.
            await asyncio.sleep(0)

    async def _take(self, message: Message | Close) -> None:
        match message:
            case Close():
                self.end(message)
            case ConnectionInit():
                self._start(self._authenticate, message)
            case Ping():
                await self._send(message.answer)
            case Subscribe():
                await self._begin(message)
            case Complete():
                await self._stop(message.id)

    async def _expect_init(self) -> None:
        await asyncio.sleep(self._limits.init_seconds)
        if not self._conversation.initialised:
            self.end(Close(CloseCode.TIMEOUT, "Connection initialisation timeout"))

    async def _authenticate(self, message: ConnectionInit) -> None:
        # What is no text is no name of anything, but it was said: it is refused, not passed over.
        said = {
            name.lower(): value if isinstance(value, str) else text_of(value)
            for name, value in message.payload.items()
            if value is not None
        }
        try:
            await self._context.authenticate(said)
            self._place = self._places.take(self._context.credential)
        except (RequestError, *DATABASE_ERRORS) as error:
            self.end(_refusal(error))
        else:
            self._start(self._end_with_credential)
            self._start(self._look_after)
            self._conversation.acknowledged = True
            await self._send(ACKNOWLEDGED)

    async def _end_with_credential(self) -> None:
        self.end(Close(CloseCode.FORBIDDEN, await self._context.ending().wait()))

    async def _look_after(self) -> None:
        """Closes the socket of a client that is gone. Whatever it sends shows that it is there."""
        while True:
            await asyncio.sleep(self._limits.ping_seconds)
            self._heard.clear()
            try:
                async with asyncio.timeout(self._limits.pong_seconds):
                    await self._send(PING)
                    await self._heard.wait()
            except TimeoutError:
                told = f"No answer to a ping within {self._limits.pong_seconds:g} seconds"
                return self.end(Close(CloseCode.TIMEOUT, told))

    async def _begin(self, message: Subscribe) -> None:
        most = self._limits.operations
        if self._draining or self._ended.done():
            return
        if len(self._operations) >= most:
            error = {
                "message": f"A socket carries at most {most:,} operations at a time.",
                "extensions": {"code": ErrorCode.LIMIT_EXCEEDED.value},
            }
            await self._send(error_message(message.id, text_of([error])))
        else:
            self._context.note_use()
            sender = sender_of(self._websocket.scope, before_payload(message.id).encode())
            if sender is not None:
                self._senders[message.id] = sender
            task = self._operations[message.id] = self._start(self._run, message)
            # Read before the task starts: `drain` waits for every mutation that has come in.
            document = self._schema.documents.read(message.query)
            if document.is_mutation(message.operation_name):
                self._mutations.add(task)
                task.add_done_callback(self._mutations.discard)

    async def _run(self, message: Subscribe) -> None:
        last = complete_message(message.id)
        sender = self._senders.get(message.id)
        asked = answers(self._schema, self._context, message, sender)
        async with contextlib.aclosing(asked) as given:
            async for answer in given:
                if answer.failed:
                    last = error_message(message.id, answer.payload)
                else:
                    await self._send(next_message(message.id, answer.payload), answer.more)
        # Before it is said: who has read it may use the id again.
        self._forget(message.id)
        await self._send(last)

    def _forget(self, id: str) -> asyncio.Task[None] | None:
        """Nothing is pushed for the operation from here on."""
        if (sender := self._senders.pop(id, None)) is not None:
            sender.ended = True
        return self._operations.pop(id, None)

    async def _stop(self, id: str) -> None:
        """Ends an operation that its client has completed, before the next message is read."""
        task = self._forget(id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _send(self, message: str, more: bool = False) -> None:
        async with self._sending:
            try:
                await self._websocket.send(
                    {"type": "websocket.send", "text": message, "more": more}
                )
            except RuntimeError:  # closed meanwhile, by us or below us
                raise WebSocketDisconnect from None

    async def _close(self, close: Close | None) -> None:
        if close is None:
            return
        # A client that reads nothing never gets it.
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(self._limits.close_seconds):
                await self._websocket.close(close.code, close.reason)
