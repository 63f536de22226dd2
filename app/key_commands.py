"""The commands `tocsin keys`. They use the database directly."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from app.command_options import exit_with, parse_instant_option
from app.command_runner import read_settings, run_on_database
from app.domain.access.caller import Permission
from app.domain.shared.values import format_instant, parse_id
from app.services.auth import operator_keys
from app.services.auth.keys import ApiKeyResult
from app.store import tables

_OPTIONS = {"expiresAt": "--expires-at", "permissions": "--permission"}


def create_key(
    name: str,
    permissions: list[str],
    organization: str,
    expires_at: str | None,
    *,
    every_organization: bool,
) -> None:
    granted = list(map(_parse_permission, permissions))
    settings = read_settings()
    expiration = parse_instant_option("--expires-at", expires_at)
    now = datetime.now(UTC)
    result = run_on_database(
        settings,
        lambda database: operator_keys.create(
            database,
            organization,
            name,
            granted,
            expiration,
            now,
            settings.limits,
            every_organization=every_organization,
        ),
    )
    key = _require_key(result)
    typer.echo(f"Secret of the new API key {key.id} (shown only once):", err=True)
    typer.echo(result.secret)


def _parse_permission(text: str) -> Permission:
    try:
        return Permission(text)
    except ValueError:
        names = ", ".join(each.value for each in Permission)
        exit_with(f"--permission: Invalid permission {text[:100]!a}. Use one of {names}.", 2)


def list_keys() -> None:
    now = datetime.now(UTC)
    rows = run_on_database(read_settings(), lambda database: operator_keys.list_keys(database, now))
    typer.echo("id\torganization\tstate\tlast used\tpermissions\tname", err=True)
    for organization, key in rows:
        typer.echo("\t".join(_format_row(organization, key, now)))


def revoke_key(id: str) -> None:
    key_id = parse_id(id)
    if key_id is None:
        exit_with(f"Invalid ID {id[:100]!a}: expected a UUID, as printed by `tocsin keys list`.", 2)
    now = datetime.now(UTC)
    settings = read_settings()
    result = run_on_database(settings, lambda database: operator_keys.revoke(database, key_id, now))
    key = _require_key(result)
    typer.echo(f"API key {key.id} ({key.name}): {_format_state(key, now)}.", err=True)


def _format_row(organization: str, key: tables.ApiKey, now: datetime) -> tuple[str, ...]:
    organizations = "*" if key.every_organization else organization
    last_used = "never" if key.last_used_at is None else format_instant(key.last_used_at)
    return (
        str(key.id),
        organizations,
        _format_state(key, now),
        last_used,
        ",".join(key.permissions),
        key.name,
    )


def _format_state(key: tables.ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked since {format_instant(key.revoked_at)}"
    if key.expires_at is None:
        return "valid"
    prefix = "expired since" if key.expires_at <= now else "valid until"
    return f"{prefix} {format_instant(key.expires_at)}"


def _require_key(result: ApiKeyResult) -> tables.ApiKey:
    """Returns the key. Prints the problems, and exits with code 1 if there is no key."""
    for problem in result.problems:
        option = "".join(_OPTIONS.get(step, f"--{step}") + ": " for step in problem.path[:1])
        typer.echo(f"{option}{problem.message}", err=True)
    if result.key is None:
        raise typer.Exit(1)
    return result.key
