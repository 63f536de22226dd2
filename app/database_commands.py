"""The commands `tocsin migrate` and `tocsin prune`."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from app.command_runner import exit_with, read_settings, run_async, run_on_database
from app.database_setup import prepare_database
from app.domain.shared.messages import format_count, quote_value
from app.domain.shared.values import format_instant, parse_instant
from app.services.change_log import pruning
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


def prune(before: str, *, audit_entries: bool, dry_run: bool) -> None:
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
    work = pruning.count_prunable_entries if dry_run else pruning.prune_entries
    number = run_on_database(
        settings, lambda database: work(database, older_than, audit_entries=audit_entries)
    )
    verb = "Would remove" if dry_run else "Removed"
    entries = format_count(number, "entry", "entries")
    typer.echo(f"{verb} {entries} older than {format_instant(older_than)} from the change log.")
