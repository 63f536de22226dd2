"""Renewal of the search words of stored events, in the background of every server process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from app.services.shared.background_tasks import run_in_background
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.writing import search_index

BATCH_SIZE = 100  # events that a transaction locks
PAUSE_SECONDS = 0.05  # leaves the database to requests
RETRY_SECONDS = 10.0

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def start_renewing_words(database: Database) -> AsyncIterator[None]:
    """Renews outdated search words until none is left, or until the block is left."""
    async with run_in_background(_renew_all(database), "search words"):
        yield


async def _renew_all(database: Database) -> None:
    renewed = 0
    while True:
        try:
            async with database.read(ALL_ORGANIZATIONS) as session:
                if not await search_index.has_outdated_words(session):
                    break
            async with database.write(ALL_ORGANIZATIONS) as session:
                count = await search_index.renew_words(session, BATCH_SIZE)
        except Exception as error:  # the words stay searchable by their version
            log.warning("search_words_not_renewed", cause=str(error))
            await asyncio.sleep(RETRY_SECONDS)
            continue
        renewed += count
        # If another process renews the same events, there is nothing to do yet.
        await asyncio.sleep(PAUSE_SECONDS if count else RETRY_SECONDS)
    if renewed:
        log.info("search_words_renewed", events=renewed)
