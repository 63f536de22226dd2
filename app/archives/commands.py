"""The commands `import` and `export`. They use the database directly, also while servers run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from app.archives.exporting import Exporter
from app.archives.importing import INTERRUPTED, Importer
from app.archives.output import ExportOutput, OutputError, StandardOutput, open_resumable
from app.archives.reading import read_events
from app.command_runner import (
    INSTANT_FORMAT,
    exit_with,
    format_count,
    read_settings,
    run_on_database,
)
from app.domain.access.caller import Caller, Permission
from app.domain.events.filters import EventFilter, TagFilter, TimeRange
from app.domain.events.severity import Severity, lookup_severity
from app.domain.shared.problems import ErrorCode, RequestError
from app.domain.shared.values import format_instant, parse_instant, validate_name
from app.services.auth.organizations import find_organization_id
from app.settings import Settings
from app.store.engine.database import ALL_ORGANIZATIONS, Database

INTERRUPTED_CODE = 130

OrganizationJob = Callable[[Database, UUID], Coroutine[Any, Any, int]]


def import_events(file: str, organization: str, actor: str) -> int:
    """Imports the file, or standard input if its name is "-". Returns the exit code."""
    _check_actor(actor)
    settings = read_settings()
    with _open_input(file) as source:
        return _run_in_organization(
            settings, organization, _create_import_job(settings, source, actor)
        )


def export_events(
    filter: EventFilter, organization: str, output: Path | None, after: str | None
) -> int:
    """Exports to the file `output`, or to standard output. Returns the exit code."""
    settings = read_settings()
    job = _create_export_job(settings, filter, organization, output, after)
    return _run_in_organization(settings, organization, job)


def parse_filter_options(
    types: list[str] | None,
    category: str | None,
    tags: list[str] | None,
    since: str | None,
    until: str | None,
    severities: list[str] | None,
) -> EventFilter:
    """Parses the options of `tocsin export`. Exits with code 2 if a value is invalid."""
    start_time, end_time = (
        _parse_instant_option("--from", since),
        _parse_instant_option("--to", until),
    )
    if start_time is not None and end_time is not None and end_time <= start_time:
        exit_with("--to: The time must be later than the time of --from.", 2)
    return EventFilter(
        types=tuple(types) if types else None,
        category=category,
        tags=TagFilter(all=tuple(tags)) if tags else None,
        occurred_at=TimeRange(start_time, end_time) if start_time or end_time else None,
        severities=tuple(map(_parse_severity_option, severities)) if severities else None,
    )


def _run_in_organization(settings: Settings, organization: str, job: OrganizationJob) -> int:
    """Runs the job on a database of this version. Returns the exit code.

    Does not migrate the database: a server may be using it.
    """

    async def run(database: Database) -> int:
        async with database.read(ALL_ORGANIZATIONS) as session:
            organization_id = await find_organization_id(session, organization)
        if organization_id is None:
            _print_to_stderr(
                f"--organization: There is no organization with the key {organization[:100]!a}."
            )
            return 2
        return await job(database, organization_id)

    return run_on_database(settings, run)


def _create_import_job(settings: Settings, file: BinaryIO, actor: str) -> OrganizationJob:
    async def job(database: Database, organization_id: UUID) -> int:
        actor_caller = Caller(actor, organization_id, frozenset({Permission.EVENT_CREATE}))
        with _show_progress(file) as (print_line, advance):
            importer = Importer(
                database,
                actor_caller,
                settings.limits,
                print_line,
                advance,
                settings.severity_map or {},
            )
            tally = await importer.run(read_events(file, settings.limits.body_bytes))
        typer.echo(str(tally))
        if tally.stop_reason is not None:
            _print_to_stderr(
                f"{tally.stop_reason}. Run the command again to continue: events that have "
                "already been imported are skipped."
            )
        return 1 if tally.rejected else _exit_code(tally.stop_reason)

    return job


def _create_export_job(
    settings: Settings,
    filter: EventFilter,
    organization: str,
    path: Path | None,
    after: str | None,
) -> OrganizationJob:
    options = {"organization": organization} | _filter_options(filter)

    async def job(database: Database, organization_id: UUID) -> int:
        try:
            with _open_output(path, after, options) as output:
                exporter = Exporter(database, output, filter, settings.public_url)
                result = await exporter.run(organization_id)
        except OutputError as error:
            _print_to_stderr(str(error))
            return 2 if error.usage else 1
        except RequestError as error:
            is_usage_error = error.code is ErrorCode.INVALID_CURSOR
            option = "--after: " if is_usage_error and after is not None else ""
            _print_to_stderr(f"{option}{error.message}")
            return 2 if is_usage_error else 1
        _print_to_stderr(f"Exported {format_count(result.events, 'event')}.")
        _print_to_stderr(
            f"To export later events, use --after {result.cursor}"
            if path is None
            else "To export later events, run the command again."
        )
        if result.stop_reason is not None:
            _print_to_stderr(f"{result.stop_reason}.")
        return _exit_code(result.stop_reason)

    return job


def _open_output(
    path: Path | None, after: str | None, options: dict[str, Any]
) -> AbstractContextManager[ExportOutput]:
    return (
        nullcontext(StandardOutput(after)) if path is None else open_resumable(path, after, options)
    )


def _exit_code(stop_reason: str | None) -> int:
    if stop_reason is None:
        return 0
    return INTERRUPTED_CODE if stop_reason == INTERRUPTED else 1


def _filter_options(filter: EventFilter) -> dict[str, Any]:
    """Returns the filter as JSON. Only an export with the same options can continue a file."""
    times = filter.occurred_at or TimeRange()
    options = {
        "type": filter.types and list(filter.types),
        "category": filter.category,
        "tag": filter.tags and list(filter.tags.all or ()),
        "from": times.start and format_instant(times.start),
        "to": times.end and format_instant(times.end),
        "severity": filter.severities and [each.value for each in filter.severities],
    }
    return {name: value for name, value in options.items() if value is not None}


def _parse_instant_option(option: str, text: str | None) -> datetime | None:
    instant = None if text is None else parse_instant(text)
    if text is not None and instant is None:
        exit_with(f"{option}: Invalid time {(text or '')[:100]!a}. {INSTANT_FORMAT}", 2)
    return instant


def _parse_severity_option(text: str) -> Severity:
    severity = lookup_severity(text)
    if severity is None:
        names = ", ".join(each.value for each in Severity)
        exit_with(f"--severity: Invalid severity {text[:100]!a}. Use one of {names}.", 2)
    return severity


def _check_actor(actor: str) -> None:
    for problem in validate_name(actor, 255):
        exit_with(f"--actor: {problem.message}", 2)


@contextmanager
def _open_input(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(name).open("rb"))
        except OSError as error:
            exit_with(f"Cannot read {name}: {error.strerror}.", 2)
        yield file


@contextmanager
def _show_progress(file: BinaryIO) -> Iterator[tuple[Callable[[str], None], Callable[[int], None]]]:
    """Shows a progress bar on a terminal: the share of the file, or the events of a stream.

    Printed lines appear above it.
    """
    total = os.fstat(file.fileno()).st_size if file.seekable() else None
    columns = (TextColumn("{task.fields[events]:,} events"), BarColumn(), TaskProgressColumn())
    is_disabled = not sys.stderr.isatty()
    with Progress(
        *columns, console=Console(stderr=True), disable=is_disabled, transient=True
    ) as bar:
        task = bar.add_task("", total=total, events=0)
        imported = 0

        def advance(events: int) -> None:
            nonlocal imported
            imported += events
            bar.update(task, completed=file.tell() if total else 0, events=imported)

        def print_line(line: str) -> None:
            bar.console.print(Text(line), soft_wrap=True)

        yield _print_to_stderr if is_disabled else print_line, advance


def _print_to_stderr(line: str) -> None:
    typer.echo(line, err=True)
