"""Prepares a database for servers of this version: tables and the first API key."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from app.domain.shared.problems import RequestError
from app.services.auth.access import Access, authenticate_credential
from app.services.auth.organizations import bootstrap_database
from app.settings import Settings
from app.store.engine.database import Database
from app.store.migrate import migrate_database

log = structlog.get_logger(__name__)


async def prepare_database(settings: Settings) -> str | None:
    """Migrates the database. Returns the API key of the administrator if one was generated."""
    secret = settings.bootstrap_key
    given_key = None if secret is None else secret.get_secret_value()
    database = Database(settings.database_url, settings.database_direct_url, settings.database)
    try:
        await migrate_database(database.direct_url)
        key = await bootstrap_database(database, given_key, datetime.now(UTC))
        if key is None and given_key is not None:
            await _check_bootstrap_key(database, given_key)
        return key if given_key is None else None
    finally:
        await database.close()


async def _check_bootstrap_key(database: Database, key: str) -> None:
    try:
        await authenticate_credential(Access(database), f"Bearer {key}")
    except RequestError:
        log.warning(
            "bootstrap_key_ignored",
            reason="TOCSIN_BOOTSTRAP_KEY only applies to an empty database; this one has API keys.",
        )
