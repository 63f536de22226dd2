"""The commands `tocsin keys`: what an operator does with keys, at the database itself."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from app.command_runner import exit_with, read_settings, run_on_database
from app.domain.access.caller import Permission
from app.domain.shared.values import read_id, read_instant, write_instant
from app.services.auth import operator_keys
from app.services.auth.keys import Saved
from app.store import tables

_OPTIONS = {"expiresAt": "--expires-at", "permissions": "--permission"}


def create_key(
    name: str,
    permissions: list[Permission],
    organization: str,
    expires_at: str | None,
    *,
    every_organization: bool,
) -> None:
    settings = read_settings()
    ends = None if expires_at is None else read_instant(expires_at)
    if expires_at is not None and ends is None:
        exit_with("--expires-at: Wants an instant with an offset, as 2027-01-01T00:00:00Z.", 2)
    now = datetime.now(UTC)
    saved = run_on_database(
        settings,
        lambda database: operator_keys.create(
            database,
            organization,
            name,
            permissions,
            ends,
            now,
            settings.limits,
            every_organization=every_organization,
        ),
    )
    key = _saved(saved)
    typer.echo(f"The secret of the new key {key.id}, shown this once:", err=True)
    typer.echo(saved.secret)


def list_keys() -> None:
    now = datetime.now(UTC)
    rows = run_on_database(read_settings(), lambda database: operator_keys.listed(database, now))
    typer.echo("id\torganization\tstate\tlast used\tpermissions\tname", err=True)
    for organization, key in rows:
        typer.echo("\t".join(_told(organization, key, now)))


def revoke_key(id: str) -> None:
    key_id = read_id(id)
    if key_id is None:
        exit_with(f"{id[:100]!a} is no id; ids are UUIDs.", 2)
    now = datetime.now(UTC)
    settings = read_settings()
    saved = run_on_database(settings, lambda database: operator_keys.revoke(database, key_id, now))
    key = _saved(saved)
    typer.echo(f"The key {key.id} ({key.name}) is {_state(key, now)}.", err=True)


def _told(organization: str, key: tables.ApiKey, now: datetime) -> tuple[str, ...]:
    where = "*" if key.every_organization else organization
    used = "never" if key.last_used_at is None else write_instant(key.last_used_at)
    return (str(key.id), where, _state(key, now), used, ",".join(key.permissions), key.name)


def _state(key: tables.ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked since {write_instant(key.revoked_at)}"
    if key.expires_at is None:
        return "valid"
    since = "expired since" if key.expires_at <= now else "valid until"
    return f"{since} {write_instant(key.expires_at)}"


def _saved(saved: Saved) -> tables.ApiKey:
    """The key; where there is none, says why, a line for each reason."""
    for problem in saved.problems:
        option = "".join(_OPTIONS.get(step, f"--{step}") + ": " for step in problem.path[:1])
        typer.echo(f"{option}{problem.message}", err=True)
    if saved.key is None:
        raise typer.Exit(1)
    return saved.key
