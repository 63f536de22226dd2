"""GraphQL over WebSocket by graphql-transport-ws.

One frame is sent at a time, and operations wait for their turn, so memory is bounded by the buffer
of the connection. `request_close` closes the connection; the first reason wins. `docs/sockets.md`
documents the close codes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.types.graphql import OperationType

from app.domain.shared.json_encoding import encode_json
from app.domain.shared.limits import SocketLimits
from app.domain.shared.problems import ErrorCode, RequestError
from app.graphql.plans.plan_executor import PlanExecutor
from app.graphql.shared.context import Context
from app.graphql.transport.connection_slots import (
    ConnectionSlot,
    ConnectionSlots,
    MessageRateLimiter,
)
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
    build_complete_message,
    build_error_message,
    build_next_message,
    build_next_prefix,
)
from app.graphql.transport.operation_responses import stream_responses
from app.graphql.transport.protocol_state import ProtocolState
from app.graphql.transport.websocket_protocol import BatchSender, create_batch_sender
from app.services.auth.credential_watcher import CredentialLifetime
from app.store.engine.database_errors import DATABASE_ERRORS, unavailable_message

_AUTH_ERROR_CODES = (ErrorCode.UNAUTHENTICATED, ErrorCode.FORBIDDEN)

log = structlog.get_logger(__name__)


def _create_rejection_close(error: Exception) -> Close:
    """Creates the close message for a connection that was not acknowledged."""
    if isinstance(error, RequestError):
        if error.code in _AUTH_ERROR_CODES:
            return Close(CloseCode.FORBIDDEN, "Forbidden")
        return Close(CloseCode.TRY_AGAIN_LATER, error.message)
    if (reason := unavailable_message(error)) is None:
        raise error
    log.warning("database_unavailable", cause=str(error))
    return Close(CloseCode.TRY_AGAIN_LATER, reason)


class WebSocketConnection:
    """WebSocket connection of one client."""

    def __init__(
        self,
        websocket: WebSocket,
        executor: PlanExecutor,
        limits: SocketLimits,
        context: Context,
        connection_slots: ConnectionSlots,
    ) -> None:
        self._websocket = websocket
        self._executor = executor
        self._limits = limits
        self._context = context
        self._connection_slots = connection_slots
        self._slot: ConnectionSlot | None = None
        self._credential_lifetime: CredentialLifetime | None = None
        self._ping_timer: asyncio.TimerHandle | None = None
        self._rate_limiter = MessageRateLimiter(limits)
        self._operations: dict[str, asyncio.Task[None]] = {}
        # Senders push payloads of an operation directly, without its task.
        self._senders: dict[str, BatchSender] = {}
        self._protocol_state = ProtocolState(limits, self._operations)
        self._tasks: set[asyncio.Task[None]] = set()
        self._mutation_tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._send_lock = asyncio.Lock()
        self._frame_received = asyncio.Event()
        self._close_requested: asyncio.Future[Close | None] = (
            asyncio.get_running_loop().create_future()
        )

    def request_close(self, close: Close | None) -> None:
        """Closes the connection. None: it is closed already."""
        if not self._close_requested.done():
            self._close_requested.set_result(close)
            for sender in self._senders.values():
                sender.closed = True

    async def serve(self) -> None:
        """Serves the connection until it is closed, then cancels its tasks."""
        close: Close | None = None
        listeners: set[Any] = self._websocket.app.state.listeners
        listeners.add(self)
        self._start_task(self._receive_frames)
        self._start_task(self._enforce_init_timeout)
        try:
            close = await self._close_requested
        finally:
            listeners.discard(self)
            if self._slot is not None:
                self._slot.release()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            self._stop_timers()
            await self._close_websocket(close)
            await asyncio.gather(*tasks, return_exceptions=True)

    def _stop_timers(self) -> None:
        if self._ping_timer is not None:
            self._ping_timer.cancel()
        if self._credential_lifetime is not None:
            self._credential_lifetime.release()
            self._credential_lifetime = None  # its callback refers to this object

    async def drain(self) -> None:
        """Starts no more operations, and closes once the running mutations have responded."""
        self._draining = True
        if self._mutation_tasks:
            await asyncio.wait(self._mutation_tasks)
        self.request_close(
            Close(CloseCode.SERVICE_RESTART, "The server is shutting down. Reconnect.")
        )

    def _start_task(self, work: Callable[..., Awaitable[None]], *args: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(self._run_guarded(work, *args))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run_guarded(self, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        try:
            await work(*args)
        except WebSocketDisconnect:
            self.request_close(None)
        except Exception:
            reference = uuid4().hex
            log.exception("socket_failed", reference=reference)
            reason = f"Internal server error. Reference: {reference}"
            self.request_close(Close(CloseCode.INTERNAL_ERROR, reason))

    async def _receive_frames(self) -> None:
        while not self._close_requested.done():
            event = await self._websocket.receive()
            if event["type"] == "websocket.disconnect":
                self.request_close(None)
                return
            self._frame_received.set()
            # A client that sends too fast is read more slowly; no message is lost.
            if delay := self._rate_limiter.reserve_delay(asyncio.get_running_loop().time()):
                await asyncio.sleep(delay)
            text = event.get("text")
            await self._handle_message(
                self._protocol_state.parse_frame(event["bytes"] if text is None else text)
            )
            # Let other tasks run between frames that arrived together.
            await asyncio.sleep(0)

    async def _handle_message(self, message: Message | Close) -> None:
        match message:
            case Close():
                self.request_close(message)
            case ConnectionInit():
                self._start_task(self._handle_connection_init, message)
            case Ping():
                await self._send(message.pong)
            case Subscribe():
                await self._handle_subscribe(message)
            case Complete():
                await self._handle_complete(message.id)

    async def _enforce_init_timeout(self) -> None:
        await asyncio.sleep(self._limits.init_timeout_seconds)
        if not self._protocol_state.initialised:
            self.request_close(Close(CloseCode.TIMEOUT, "Connection initialisation timeout"))

    async def _handle_connection_init(self, message: ConnectionInit) -> None:
        # Values that are not strings are kept, so that authentication rejects them.
        headers = {
            name.lower(): value if isinstance(value, str) else json.dumps(value)
            for name, value in message.payload.items()
            if value is not None
        }
        try:
            await self._context.authenticate(headers)
            self._slot = self._connection_slots.acquire(self._context.caller.identity)
        except (RequestError, *DATABASE_ERRORS) as error:
            self.request_close(_create_rejection_close(error))
        else:
            # An idle connection has no tasks for this, as they take memory.
            self._credential_lifetime = self._context.credential_lifetime()
            self._credential_lifetime.ended.add_done_callback(self._close_with_credential)
            self._schedule_ping()
            self._protocol_state.acknowledged = True
            await self._send(ACKNOWLEDGED)

    def _close_with_credential(self, ended: asyncio.Future[str]) -> None:
        self.request_close(Close(CloseCode.FORBIDDEN, ended.result()))

    def _schedule_ping(self) -> None:
        self._ping_timer = asyncio.get_running_loop().call_later(
            self._limits.ping_interval_seconds, self._start_task, self._ping_client
        )

    async def _ping_client(self) -> None:
        """Pings the client, and closes the connection if the client sends nothing in time."""
        self._frame_received.clear()
        try:
            async with asyncio.timeout(self._limits.pong_timeout_seconds):
                await self._send(PING)
                await self._frame_received.wait()
        except TimeoutError:
            reason = f"No response to a ping within {self._limits.pong_timeout_seconds:g} s."
            self.request_close(Close(CloseCode.TIMEOUT, reason))
        else:
            self._schedule_ping()

    async def _handle_subscribe(self, message: Subscribe) -> None:
        max_operations = self._limits.operations_per_socket
        if self._draining or self._close_requested.done():
            return
        if len(self._operations) >= max_operations:
            error = {
                "message": (
                    "This WebSocket connection has too many running operations; the maximum is "
                    f"{max_operations:,}. Complete one of them."
                ),
                "extensions": {"code": ErrorCode.LIMIT_EXCEEDED.value},
            }
            await self._send(build_error_message(message.id, encode_json([error])))
        else:
            self._context.record_key_use()
            sender = create_batch_sender(
                self._websocket.scope, build_next_prefix(message.id).encode()
            )
            if sender is not None:
                self._senders[message.id] = sender
            task = self._operations[message.id] = self._start_task(self._run_operation, message)
            # Before the task starts: `drain` waits for every mutation that was received.
            if self._is_mutation(message):
                self._mutation_tasks.add(task)
                task.add_done_callback(self._mutation_tasks.discard)

    def _is_mutation(self, message: Subscribe) -> bool:
        try:
            document = self._executor.schema.documents.get_document(message.query)
        except Exception:  # a bug: the operation's task reports it, and the connection stays open
            return False
        return document.find_operation_type(message.operation_name) is OperationType.MUTATION

    async def _run_operation(self, message: Subscribe) -> None:
        final_message = build_complete_message(message.id)
        sender = self._senders.get(message.id)
        responses = stream_responses(
            self._executor, self._context.operation_context(), message, sender
        )
        async with contextlib.aclosing(responses) as open_responses:
            async for response in open_responses:
                if response.failed:
                    final_message = build_error_message(message.id, response.payload)
                else:
                    await self._send(
                        build_next_message(message.id, response.payload), response.has_more
                    )
        # Before sending: a client may reuse the ID as soon as it has read the message.
        self._remove_operation(message.id)
        await self._send(final_message)

    def _remove_operation(self, id: str) -> asyncio.Task[None] | None:
        """Removes the operation and closes its sender."""
        if (sender := self._senders.pop(id, None)) is not None:
            sender.closed = True
        return self._operations.pop(id, None)

    async def _handle_complete(self, id: str) -> None:
        """Cancels a completed operation before the next message is read."""
        task = self._remove_operation(id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _send(self, message: str, more: bool = False) -> None:
        async with self._send_lock:
            try:
                await self._websocket.send(
                    {"type": "websocket.send", "text": message, "more": more}
                )
            except RuntimeError:  # closed meanwhile, by this class or by the protocol below it
                raise WebSocketDisconnect from None

    async def _close_websocket(self, close: Close | None) -> None:
        if close is None:
            return
        # A client that does not read never receives the close frame.
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(self._limits.close_timeout_seconds):
                await self._websocket.close(close.code, close.reason)
