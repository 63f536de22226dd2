"""Events out of a file: batch after batch, each durable before the next one is read."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.archives.reading import Read
from app.domain.access.caller import Caller
from app.domain.intake.intake import Desk
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem
from app.domain.shared.values import on_one_line
from app.services.events import cloudevents
from app.services.events.reports import Report
from app.store.engine.database import Database
from app.store.engine.dialect import why_unavailable

BATCH = 500
TRIES = 5
PAUSE_SECONDS = 1.0
INTERRUPTED = "Interrupted"


class UnreadableError(Exception):
    """What keeps the file from being read: it is no OSError, which a database may raise, too."""


Tell = Callable[[str], None]


@dataclass
class Tally:
    """What became of the events of a file. `broken`: why the rest of it was left."""

    imported: int = 0
    known: int = 0
    counted: int = 0
    refused: int = 0
    broken: str | None = None

    def __str__(self) -> str:
        return (
            f"Imported {self.imported:,}, already there {self.known:,}, "
            f"counted as duplicates {self.counted:,}, refused {self.refused:,}."
        )

    def add(self, report: Report) -> None:
        if report.refused:
            self.refused += 1
        elif report.replay:
            self.known += 1
        elif report.stored:
            self.imported += 1
        else:
            self.counted += 1


@dataclass
class Import:
    """Whoever reports, where to, and who is told of each refusal and of each batch."""

    database: Database
    reporter: Caller
    limits: Limits
    tell: Tell
    advance: Callable[[int], None] = lambda _: None
    tally: Tally = field(default_factory=Tally)

    async def run(self, reads: Iterator[Read]) -> Tally:
        """Takes it all in. What is broken off, by whatever, can be run again: nothing is twice."""
        try:
            while batch := self._next(reads):
                await self._take(batch)
                self.advance(len(batch))
        except (KeyboardInterrupt, asyncio.CancelledError):
            self.tally.broken = INTERRUPTED
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)  # a cancellation that is on its way ends here
        except UnreadableError as error:
            self.tally.broken = f"The file cannot be read on: {error}"
        except Exception as error:
            if (why := why_unavailable(error)) is None:
                raise
            self.tally.broken = why.removesuffix(".")
        return self.tally

    def _next(self, reads: Iterator[Read]) -> list[Read]:
        """The next batch: so many events, or so many bytes, whichever is there first."""
        batch: list[Read] = []
        size = 0
        try:
            with _interruptible():
                for read in reads:
                    batch.append(read)
                    size += read.size
                    if len(batch) == BATCH or size >= self.limits.message_bytes:
                        break
        except OSError as error:
            raise UnreadableError(error.strerror) from None
        return batch

    async def _take(self, batch: list[Read]) -> None:
        events = [read.value for read in batch if read.flaw is None]
        reports = iter(await self._ingest(events))
        for read in batch:
            if read.flaw is not None:
                self.tally.refused += 1
                self.tell(f"{read.place}: {read.flaw}")
                continue
            report = next(reports)
            self.tally.add(report)
            for problem in report.problems:
                self.tell(_line(read.place, problem))
            for warning in report.warnings:
                self.tell(_line(f"{read.place}: warning", warning))

    async def _ingest(self, events: list[object]) -> list[Report]:
        """Tries again where another writer was in the way: what is there already is met again."""
        tried = 0
        while True:
            try:
                desk = Desk(self.reporter, datetime.now(UTC), self.limits)
                return await cloudevents.ingest(self.database, desk, events)
            except Exception as error:
                tried += 1
                if tried == TRIES or why_unavailable(error) is None:
                    raise
                await asyncio.sleep(PAUSE_SECONDS)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends the wait for a file at once; the loop would be told when there is a line.

    So would a Ctrl-C that the loop was told of, and could not yet act on, when this begins.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no signal arrives here
        return
    kept = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise KeyboardInterrupt
        yield
    finally:
        signal.signal(signal.SIGINT, kept)


def _line(place: str, problem: Problem) -> str:
    path = ".".join(problem.path)
    return on_one_line(": ".join(part for part in (place, path, problem.message) if part))
