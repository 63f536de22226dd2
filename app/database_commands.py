"""The commands `tocsin migrate` and `tocsin prune`."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from app.command_runner import exit_with, read_settings, run_async, run_on_database
from app.database_setup import prepare_database
from app.domain.shared.values import format_instant
from app.services.change_log import pruning
from app.telemetry import configure_logs


def migrate(*, new_epoch: bool) -> None:
    configure_logs()
    settings = read_settings()
    key = run_async(lambda: prepare_database(settings, new_epoch=new_epoch))
    typer.echo("The database is up to date.")
    if key is not None:
        typer.echo(f"It was new. Its administrator's key, shown this once:\n\n  {key}")


def prune(before: datetime, *, dry_run: bool) -> None:
    """`before` is a naive time in UTC."""
    configure_logs()
    settings = read_settings()
    older_than = before.replace(tzinfo=UTC)
    if older_than > datetime.now(UTC):
        exit_with("--before: lies in the future.", 2)
    work = pruning.count_prunable_entries if dry_run else pruning.prune_entries
    number = run_on_database(settings, lambda database: work(database, older_than))
    what = "would be removed" if dry_run else "were removed"
    typer.echo(f"{number:,} log entries from before {format_instant(older_than)} {what}.")
