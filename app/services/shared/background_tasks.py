"""Background tasks of a process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any

import structlog

from app.domain.events.filter_json import UnreadableFilterError
from app.store.engine.database_errors import DATABASE_ERRORS

log = structlog.get_logger(__name__)
_in_background: ContextVar[bool] = ContextVar("in_background", default=False)


def in_background() -> bool:
    """Whether a background task runs this code, and not a request."""
    return _in_background.get()


@contextlib.asynccontextmanager
async def run_in_background(
    coroutine: Coroutine[None, None, None], name: str
) -> AsyncIterator[None]:
    """Runs the coroutine until the block is left. The name is for logs and debuggers."""
    context = copy_context()
    context.run(_in_background.set, True)
    task = asyncio.create_task(coroutine, name=name, context=context)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def log_failure(event: str, error: Exception, **values: Any) -> None:
    """Logs that work was not done, in its `except` block. A bug is an error with a traceback."""
    if isinstance(error, (*DATABASE_ERRORS, UnreadableFilterError)):
        log.warning(event, cause=str(error), **values)
    else:
        log.exception(event, **values)
