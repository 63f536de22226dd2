"""Prepares a database for servers of this version: tables and the first API key."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from app.domain.shared.messages import format_count
from app.domain.shared.problems import RequestError
from app.services.auth.access import Access, authenticate_credential
from app.services.auth.organizations import bootstrap_database
from app.settings import RECOMMENDED_KEY_CHARACTERS, Settings
from app.store.change_log.changes import fetch_snapshot
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.dialect import is_postgresql
from app.store.migrate import migrate_database

log = structlog.get_logger(__name__)


async def prepare_database(settings: Settings) -> str | None:
    """Migrates the database. Returns the API key of the administrator if one was generated."""
    secret = settings.bootstrap_key
    given_key = None if secret is None else secret.get_secret_value()
    database = Database(settings.database_url, settings.database_direct_url, settings.database)
    try:
        await migrate_database(database.direct_url, database.url)
        await _check_timeline(database)
        key = await bootstrap_database(database, given_key, datetime.now(UTC))
        if given_key is None:
            return key
        if key is None and not await _is_valid_key(database, given_key):
            log.warning(
                "bootstrap_key_ignored",
                reason="TOCSIN_BOOTSTRAP_KEY applies only to a new database. This database already "
                "has API keys.",
            )
        elif len(given_key) < RECOMMENDED_KEY_CHARACTERS:
            log.warning(
                "bootstrap_key_short",
                reason="TOCSIN_BOOTSTRAP_KEY, the API key of the administrator, has only "
                f"{format_count(len(given_key), 'character')}. Use at least "
                f"{RECOMMENDED_KEY_CHARACTERS} random characters.",
            )
        return None
    finally:
        await database.close()


async def _is_valid_key(database: Database, key: str) -> bool:
    try:
        await authenticate_credential(Access(database), f"Bearer {key}")
    except RequestError:
        return False
    return True


async def _check_timeline(database: Database) -> None:
    async with database.read(ALL_ORGANIZATIONS) as session:
        snapshot = await fetch_snapshot(session)
    if is_postgresql(database.url) and not snapshot.timeline:
        log.warning(
            "wal_timeline_unavailable",
            reason="The timeline of PostgreSQL's write-ahead log cannot be read, so a failover "
            "that loses transactions is not detected. After such a failover, run `tocsin migrate "
            "--new-epoch` with all servers stopped.",
        )
