"""Answers as events (SSE), by graphql-sse's mode of distinct connections: `next`, then `complete`.

The id of an event is a subscription's cursor: `Last-Event-ID` resumes behind it. A stream ends with
its credential, and when the server ends, without `complete`: clients resume.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from app.graphql.transport.connection_slots import Place
from app.graphql.transport.operations import Answer
from app.services.auth.credential_watcher import Ending

_ALIVE = ":\n\n"
_COMPLETE = "event: complete\ndata:\n\n"


class Stream:
    """The events of one operation."""

    def __init__(
        self,
        answers: AsyncGenerator[Answer, None],
        ending: Ending,
        alive_seconds: float,
        place: Place,
    ) -> None:
        self._answers = answers
        self._ending = ending
        self._alive_seconds = alive_seconds
        self._place = place
        self._drained = asyncio.Event()

    async def drain(self) -> None:
        """Ends it, as the server does."""
        self._drained.set()

    async def events(self, open_ones: set[Any]) -> AsyncIterator[str]:
        """It is among the open ones until it ends; comments tell that it is there."""
        ends = [
            asyncio.ensure_future(self._ending.wait()),
            asyncio.ensure_future(self._drained.wait()),
        ]
        open_ones.add(self)
        try:
            async with contextlib.aclosing(self._answers) as answers:
                async for event in self._until(ends, answers):
                    yield event
        finally:
            open_ones.discard(self)
            self._place.leave()
            for each in ends:
                each.cancel()

    async def _until(
        self, ends: Sequence[asyncio.Future[Any]], answers: AsyncGenerator[Answer, None]
    ) -> AsyncIterator[str]:
        coming = asyncio.ensure_future(anext(answers, None))
        try:
            while True:
                done, _ = await asyncio.wait(
                    {coming, *ends},
                    timeout=self._alive_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if done.intersection(ends):
                    return
                if not done:
                    yield _ALIVE
                    continue
                answer = coming.result()
                if answer is None:
                    yield _COMPLETE
                    return
                payload = f'{{"errors":{answer.payload}}}' if answer.failed else answer.payload
                place = "" if answer.cursor is None else f"id: {answer.cursor()}\n"
                yield f"event: next\n{place}data: {payload}\n\n"
                coming = asyncio.ensure_future(anext(answers, None))
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
