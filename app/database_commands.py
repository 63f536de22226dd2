"""The commands `tocsin migrate` and `tocsin prune`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import typer

from app.command_options import exit_with
from app.command_runner import read_settings, run_async, run_on_database
from app.database_setup import prepare_database
from app.domain.shared.messages import format_count, quote_value
from app.domain.shared.values import format_instant, parse_instant
from app.services.auth.organizations import find_organization_id
from app.services.change_log import pruning
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.dialect import parse_database_url
from app.store.migrate import EpochChange, start_new_epoch
from app.telemetry import configure_logs


def migrate(*, new_epoch: bool) -> None:
    configure_logs()
    settings = read_settings()

    async def run() -> tuple[EpochChange | None, str | None]:
        url = parse_database_url(settings.database_url)
        direct_url = parse_database_url(settings.database_direct_url or settings.database_url)
        change = await start_new_epoch(direct_url, url) if new_epoch else None
        return change, await prepare_database(settings)

    change, key = run_async(settings, run)
    typer.echo("The database is up to date.")
    if change is not None:
        typer.echo(
            f"The change log has the new epoch {change.new}; the old epoch was {change.old}. All "
            "existing cursors have expired: clients that use one get CURSOR_EXPIRED, and must "
            "load their lists again."
        )
    if key is not None:
        typer.echo(f"Created the API key of the administrator (shown only once):\n\n  {key}")


def prune(
    before: str, organization: str | None, *, audit_entries: bool, dry_run: bool, yes: bool
) -> None:
    older_than = parse_instant(before) or parse_instant(f"{before}T00:00:00Z")
    if older_than is None:
        exit_with(
            f"--before: Invalid time {quote_value(before)}. Use a date or a time in UTC: "
            "2026-04-10 or 2026-04-10T00:00:00Z.",
            2,
        )
    configure_logs()
    settings = read_settings()
    if older_than > datetime.now(UTC):
        exit_with(
            f"--before: {format_instant(older_than)} is in the future. Choose a time in the past.",
            2,
        )
    if not (dry_run or yes or sys.stdin.isatty()):
        exit_with(
            "Pruning cannot be undone. Add --yes to confirm it, or --dry-run to count the entries.",
            2,
        )

    def describe(number: int) -> str:
        entries = format_count(number, "entry", "entries")
        owner = "" if organization is None else f" of the organization {quote_value(organization)}"
        return f"{entries} older than {format_instant(older_than)} from the change log{owner}"

    def run(work: Callable[..., Coroutine[Any, Any, int]]) -> int:
        async def run_work(database: Database) -> int:
            owner = organization and await _find_organization(database, organization)
            return await work(
                database,
                older_than,
                audit_entries=audit_entries,
                organization_id=owner,
                undelivered_time=settings.retention.undelivered_time,
            )

        return run_on_database(settings, run_work)

    if dry_run or not yes:
        count = run(pruning.count_prunable_entries)
        if dry_run:
            typer.echo(f"Would remove {describe(count)}.")
            return
        if count and not typer.confirm(f"Permanently remove {describe(count)}?", err=True):
            exit_with("Nothing was removed.", 1)
    typer.echo(f"Removed {describe(run(pruning.prune_entries))}.")


async def _find_organization(database: Database, key: str) -> UUID:
    """Exits with code 2 if there is no organization with the key."""
    async with database.read(ALL_ORGANIZATIONS) as session:
        organization_id = await find_organization_id(session, key)
    if organization_id is None:
        exit_with(f"--organization: There is no organization with the key {quote_value(key)}.", 2)
    return organization_id
