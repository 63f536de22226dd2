"""Import: reads events from a file and stores them in batches, one transaction per batch."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.archives.reading import ParsedEvent
from app.domain.access.caller import Caller
from app.domain.events.severity import SeverityMap
from app.domain.intake.intake import CommandContext
from app.domain.shared.limits import Limits
from app.domain.shared.messages import locate_message
from app.domain.shared.problems import Problem
from app.domain.shared.values import replace_control_characters
from app.services.events import cloudevents
from app.services.events.events import LogDrafts, log_events
from app.services.events.reports import EventResult
from app.store.engine.database import Database
from app.store.engine.database_errors import unavailable_reason

BATCH_SIZE = 500
# A transaction of 300,000 bytes of Chinese text took up to 2.5 s on two busy cores, in which no
# server can write to a SQLite database.
BATCH_BYTES = 262_144
MAX_ATTEMPTS = 5
RETRY_DELAY_SECONDS = 1.0
INTERRUPTED = "Interrupted"


class FileReadError(Exception):
    """The file cannot be read. Not an OSError, because the database may raise these, too."""


PrintLine = Callable[[str], None]


@dataclass
class ImportTally:
    """The results of an import. `stop_reason` is set if the rest of the file was not read."""

    imported: int = 0
    already_present: int = 0
    counted_duplicates: int = 0
    rejected: int = 0
    stop_reason: str | None = None
    dry_run: bool = False

    def __str__(self) -> str:
        verb = "Would import" if self.dry_run else "Imported"
        return (
            f"{verb} {self.imported:,}, already present {self.already_present:,}, "
            f"counted as duplicates {self.counted_duplicates:,}, rejected {self.rejected:,}."
        )

    def add(self, result: EventResult) -> None:
        if result.is_rejected:
            self.rejected += 1
        elif result.replay:
            self.already_present += 1
        elif result.stored:
            self.imported += 1
        else:
            self.counted_duplicates += 1


Ingest = Callable[[Database, CommandContext, Sequence[ParsedEvent]], Awaitable[list[EventResult]]]


@dataclass(frozen=True)
class CloudEventIngester:
    log: LogDrafts = log_events

    async def __call__(
        self, database: Database, command: CommandContext, events: Sequence[ParsedEvent]
    ) -> list[EventResult]:
        values = [event.value for event in events]
        return await cloudevents.ingest_cloud_events(database, command, values, self.log)


def format_problem(location: str, problem: Problem) -> str:
    return f"{location}: {locate_message(problem.path, problem.message)}"


@dataclass
class Importer:
    """Imports events. `print_line` receives rejections, `advance` the size of each batch.

    `ingest` stores a batch, or only checks it. Retries of it must not create duplicates.
    """

    database: Database
    reporter: Caller
    limits: Limits
    print_line: PrintLine
    advance: Callable[[int], None] = lambda _: None
    severity_map: SeverityMap = field(default_factory=dict)
    tally: ImportTally = field(default_factory=ImportTally)
    ingest: Ingest = field(default_factory=CloudEventIngester)
    format_problem: Callable[[str, Problem], str] = format_problem

    async def run(self, results: Iterator[ParsedEvent]) -> ImportTally:
        """Imports all events. An interrupted import can be repeated without creating duplicates."""
        try:
            while batch := self._read_batch(results):
                await self._import_batch(batch)
                self.advance(len(batch))
        except (KeyboardInterrupt, asyncio.CancelledError):
            self.tally.stop_reason = INTERRUPTED
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)  # consumes a pending cancellation
        except FileReadError as error:
            self.tally.stop_reason = f"Cannot read the rest of the file: {error}"
        except Exception as error:
            if (reason := unavailable_reason(error)) is None:
                raise
            self.tally.stop_reason = reason.removesuffix(" Try again.").removesuffix(".")
        return self.tally

    def _read_batch(self, results: Iterator[ParsedEvent]) -> list[ParsedEvent]:
        """Reads a batch, limited by its number of events and its bytes."""
        batch: list[ParsedEvent] = []
        size = 0
        try:
            with _interruptible():
                for parsed in results:
                    batch.append(parsed)
                    size += parsed.size
                    if len(batch) == BATCH_SIZE or size >= min(BATCH_BYTES, self.limits.body_bytes):
                        break
        except OSError as error:
            raise FileReadError(error.strerror) from None
        return batch

    async def _import_batch(self, batch: list[ParsedEvent]) -> None:
        events = [parsed for parsed in batch if parsed.error is None]
        results = iter(await self._ingest(events))
        for parsed in batch:
            if parsed.error is not None:
                self.tally.rejected += 1
                self._print(f"{parsed.location}: {parsed.error}")
                continue
            result = next(results)
            self.tally.add(result)
            for problem in result.problems:
                self._print(self.format_problem(parsed.location, problem))
            for warning in result.warnings:
                self._print(self.format_problem(f"{parsed.location}: warning", warning))

    def _print(self, line: str) -> None:
        self.print_line(replace_control_characters(line))

    async def _ingest(self, events: list[ParsedEvent]) -> list[EventResult]:
        """Stores events, and retries while the database is unavailable. Retries are idempotent."""
        attempts = 0
        while True:
            try:
                command = CommandContext(
                    self.reporter,
                    datetime.now(UTC),
                    self.limits,
                    severity_map=self.severity_map,
                )
                return await self.ingest(self.database, command, events)
            except Exception as error:
                attempts += 1
                if attempts == MAX_ATTEMPTS or unavailable_reason(error) is None:
                    raise
                await asyncio.sleep(RETRY_DELAY_SECONDS)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets Ctrl-C interrupt a blocking read at once; the event loop would handle it afterwards.

    A Ctrl-C that the loop received but has not handled yet raises KeyboardInterrupt, too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals arrive in the main thread only
        return
    previous_handler = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise KeyboardInterrupt
        yield
    finally:
        signal.signal(signal.SIGINT, previous_handler)
