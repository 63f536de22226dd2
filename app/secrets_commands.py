"""The command `tocsin secrets rotate`. It uses the database directly."""

from __future__ import annotations

import typer

from app.command_options import exit_with
from app.command_runner import read_settings, run_on_database
from app.domain.shared.messages import format_count
from app.services.channels.channel_secrets import rotate_encryption
from app.services.channels.encryption import DecryptionError, SecretKeys
from app.store.engine.database import Database


def rotate() -> None:
    settings = read_settings()
    secret = settings.secrets_keys
    if secret is None:
        exit_with("TOCSIN_SECRETS_KEYS is not set: there is no key to encrypt secrets with.", 2)
    keys = SecretKeys(secret.get_secret_value().split(","))

    async def rotate_channels(database: Database) -> int | DecryptionError:
        try:
            return await rotate_encryption(database, keys)
        except DecryptionError as error:
            return error

    result = run_on_database(settings, rotate_channels)
    if isinstance(result, DecryptionError):
        exit_with(str(result), 1)
    typer.echo(f"Encrypted the secrets of {format_count(result, 'channel')} with the first key.")
