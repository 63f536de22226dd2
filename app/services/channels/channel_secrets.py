"""The secrets of a channel: its address, request headers and signing secrets."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlmodel import col

from app.domain.channels.messages import create_secret
from app.domain.shared.json_encoding import encode_json
from app.domain.shared.values import format_instant
from app.services.channels.encryption import SecretKeys
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database

_SECRET_BYTES = 32
PREVIOUS_SECRET_TIME = timedelta(days=1)
_BATCH_SIZE = 100


@dataclass(frozen=True)
class ChannelSecrets:
    """`previous_signing_secret` signs messages, too, until `previous_until`.

    `signing_secret`: None if the kind of the channel does not sign messages.
    """

    url: str
    headers: dict[str, str]
    signing_secret: str | None
    previous_signing_secret: str | None = None
    previous_until: datetime | None = None

    def signing_secrets(self, now: datetime) -> list[str]:
        """The secrets that sign a message, the newest first."""
        secrets = [] if self.signing_secret is None else [self.signing_secret]
        if self.previous_signing_secret is not None and self.previous_until is not None:
            secrets += [self.previous_signing_secret] if now < self.previous_until else []
        return secrets

    def rotate(self, now: datetime) -> ChannelSecrets:
        """Replaces the signing secret. The one before stays valid for a day."""
        return replace(
            self,
            signing_secret=create_signing_secret(),
            previous_signing_secret=self.signing_secret,
            previous_until=now + PREVIOUS_SECRET_TIME,
        )


def create_signing_secret() -> str:
    return create_secret(os.urandom(_SECRET_BYTES))


def encrypt_secrets(
    keys: SecretKeys, secrets: ChannelSecrets, organization_id: UUID, channel_id: UUID
) -> str:
    until = secrets.previous_until
    values = vars(secrets) | {"previous_until": None if until is None else format_instant(until)}
    return keys.encrypt(encode_json(values), organization_id, channel_id)


def decrypt_secrets(keys: SecretKeys, channel: tables.Channel) -> ChannelSecrets:
    """Raises DecryptionError."""
    values: dict[str, Any] = json.loads(
        keys.decrypt(channel.secrets, channel.organization_id, channel.id)
    )
    until = values["previous_until"]
    return ChannelSecrets(
        **values | {"previous_until": None if until is None else datetime.fromisoformat(until)}
    )


async def rotate_encryption(database: Database, keys: SecretKeys) -> int:
    """Encrypts the secrets of all channels with the first key. Returns the number of changed ones.

    Servers may run meanwhile. Raises DecryptionError if no key decrypts the secrets of a channel.
    """
    table = tables.Channel
    changed, last_id = 0, None
    while True:
        statement = select(table).order_by(col(table.id)).limit(_BATCH_SIZE)
        if last_id is not None:
            statement = statement.where(col(table.id) > last_id)
        async with database.write(ALL_ORGANIZATIONS, writes_log=False) as session:
            rows = list(await session.scalars(statement.with_for_update()))
            for row in rows:
                if not keys.is_current(row.secrets):
                    secrets = keys.encrypt(
                        keys.decrypt(row.secrets, row.organization_id, row.id),
                        row.organization_id,
                        row.id,
                    )
                    await session.execute(
                        update(table).where(col(table.id) == row.id).values(secrets=secrets)
                    )
                    changed += 1
        if len(rows) < _BATCH_SIZE:
            return changed
        last_id = rows[-1].id
