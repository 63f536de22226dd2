"""Secrets that authenticate: only their SHA-256 is stored, with its start for the lookup."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.store import tables

_PREFIX_LENGTH = 16
SecretRowT = TypeVar("SecretRowT", tables.ApiKey, tables.Source)


class SecretDigest(NamedTuple):
    """What is stored of a secret."""

    prefix: str
    digest: str


def digest_secret(secret: str) -> SecretDigest:
    digest = hashlib.sha256(secret.encode(errors="replace")).hexdigest()
    return SecretDigest(digest[:_PREFIX_LENGTH], digest)


async def find_by_secret(
    session: AsyncSession, table: type[SecretRowT], secret: str
) -> SecretRowT | None:
    """Returns the row with this secret. Comparing the digests takes the same time for all."""
    stored = digest_secret(secret)
    columns: Any = table
    candidates = await session.scalars(select(table).where(columns.prefix == stored.prefix))
    for row in candidates:
        if hmac.compare_digest(row.digest, stored.digest):
            return row
    return None
