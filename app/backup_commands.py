"""The commands `tocsin backup`, `restore`, `verify` and `copy`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from sqlalchemy.engine import URL

from app.command_options import exit_with
from app.command_runner import read_settings, run_async, run_on_database
from app.domain.shared.messages import format_count
from app.settings import Settings
from app.store.backup import restore_backup, write_backup
from app.store.database_copy import ReportProgress, TableProgress, copy_database
from app.store.engine.database import Database
from app.store.engine.dialect import InvalidDatabaseUrlError, display_address, parse_database_url
from app.store.migrate import check_version, start_new_epoch
from app.store.verification import Verification, verify_database
from app.telemetry import configure_logs

MAX_PRINTED_PROBLEMS = 20


def backup(file: Path) -> None:
    configure_logs()
    settings = read_settings()

    async def run() -> None:
        url = parse_database_url(settings.database_direct_url or settings.database_url)
        # Before an upgrade, the new version also backs up the database of the old one.
        await check_version(url, accepts_older=True)
        write_backup(url, file)

    run_async(settings, run)
    typer.echo(f"Wrote the backup {file} ({file.stat().st_size:,} bytes).")


def restore(file: Path, *, replace: bool) -> None:
    configure_logs()
    settings = read_settings()

    async def run() -> None:
        url = parse_database_url(settings.database_direct_url or settings.database_url)
        await restore_backup(url, file, replace=replace)
        await start_new_epoch(url, parse_database_url(settings.database_url))

    run_async(settings, run)
    address = display_address(parse_database_url(settings.database_url))
    typer.echo(
        f"Restored {file} to the database at {address}. All cursors have expired: clients that use "
        "one get CURSOR_EXPIRED, and must load their lists again."
    )


def verify() -> None:
    settings = read_settings()
    with _show_progress() as progress:

        def report(result: Verification) -> None:
            counts = (format_count(result.events, "event"), _format_entries(result.entries))
            progress.update(progress.task_ids[0], description=f"Verified {' and '.join(counts)}")

        progress.add_task("", total=None)

        async def run(database: Database) -> Verification:
            return await verify_database(database, report)

        result = run_on_database(settings, run)
    for problem in result.problems[:MAX_PRINTED_PROBLEMS]:
        typer.echo(problem)
    if (more := len(result.problems) - MAX_PRINTED_PROBLEMS) > 0:
        typer.echo(f"{format_count(more, 'more problem')} not shown.")
    summary = (
        f"Verified {format_count(result.events, 'event')} and {_format_entries(result.entries)}"
    )
    if result.problems:
        exit_with(f"{summary}: {format_count(len(result.problems), 'problem')}.", 1)
    typer.echo(f"{summary}: no problems.")


def copy(source: str, target: str) -> None:
    configure_logs()
    urls = [_parse_url(option, url) for option, url in (("--from", source), ("--to", target))]
    with _show_progress() as progress:
        report = _create_reporter(progress)

        async def run() -> dict[str, int]:
            return await copy_database(urls[0], urls[1], report)

        # The URL of the settings is not used, but errors of a database are described with it.
        totals = run_async(Settings.model_construct(database_url=source), run)
    for table, rows in totals.items():
        typer.echo(f"{table}: {format_count(rows, 'row')}")
    typer.echo(
        f"Copied and verified {format_count(sum(totals.values()), 'row')}. Cursors of the original "
        "are not valid in the copy: clients get CURSOR_EXPIRED, and must load their lists again."
    )


def _parse_url(option: str, url: str) -> URL:
    try:
        return parse_database_url(url)
    except InvalidDatabaseUrlError as error:
        exit_with(f"{option}: {error}", 2)


def _format_entries(count: int) -> str:
    return f"{format_count(count, 'entry', 'entries')} of the change log"


def _create_reporter(progress: Progress) -> ReportProgress:
    tasks: dict[tuple[str, bool], TaskID] = {}

    def report(each: TableProgress) -> None:
        key = (each.table, each.verifying)
        if key not in tasks:
            verb = "Verifying" if each.verifying else "Copying"
            tasks[key] = progress.add_task(f"{verb} {each.table}", total=each.total)
        progress.update(tasks[key], completed=each.rows)

    return report


@contextlib.contextmanager
def _show_progress() -> Iterator[Progress]:
    """Shows progress bars on a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True
    ) as bar:
        yield bar
