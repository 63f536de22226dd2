"""Renewal of the search words of stored events, in the background of every server process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence

import structlog

from app.services.shared.background_tasks import log_failure, run_in_background
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.writing import search_index
from app.store.writing.search_index import OutdatedWords

# A transaction that writes the words of 100,000 characters took 0.5 to 2.5 s on two busy cores.
MAX_EVENTS = 100
MAX_CHARACTERS = 100_000
MIN_PAUSE_SECONDS = 0.05
RETRY_SECONDS = 10.0

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def start_renewing_words(database: Database) -> AsyncIterator[None]:
    """Renews outdated search words until none is left, or until the block is left."""
    async with run_in_background(_renew_all(database), "search words"):
        yield


async def _renew_all(database: Database) -> None:
    """Renews batch after batch, and starts again after the last one if any batch was skipped.

    Pauses for as long as a batch took, so that other transactions can write.
    """
    renewed, after, max_characters = 0, 0, MAX_CHARACTERS
    while True:
        started = time.monotonic()
        batch: list[OutdatedWords] = []
        try:
            async with database.read(ALL_ORGANIZATIONS) as session:
                batch = await search_index.list_outdated_words(
                    session, after, MAX_EVENTS, max_characters
                )
            count = await _renew(database, batch)
        except Exception as error:  # the words stay searchable by their version
            log_failure("search_words_not_renewed", error, events=len(batch))
            if len(batch) > 1:
                max_characters = sum(each.characters for each in batch) // 2
            elif batch:
                after = batch[0].id
            await asyncio.sleep(RETRY_SECONDS)
            continue
        if batch:
            after = batch[-1].id
            renewed += count
            max_characters = min(max_characters * 2, MAX_CHARACTERS)
            # Without a renewed event, another process renews the same ones.
            pause = max(MIN_PAUSE_SECONDS, time.monotonic() - started)
            await asyncio.sleep(pause if count else RETRY_SECONDS)
        elif after:
            after = 0
        else:
            break
    if renewed:
        log.info("search_words_renewed", events=renewed)


async def _renew(database: Database, batch: Sequence[OutdatedWords]) -> int:
    """Extracts words outside of any transaction, and returns the number of renewed events."""
    if not batch:
        return 0
    rows = await asyncio.to_thread(search_index.extract_outdated, batch)
    async with database.write(ALL_ORGANIZATIONS, writes_log=False) as session:
        return await search_index.replace_outdated_words(session, batch, rows)
