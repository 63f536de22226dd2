"""The commands `import` and `export`. They use the database directly, also while servers run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from app.archives.csv_files import read_csv
from app.archives.exporting import Exporter
from app.archives.formats import FileFormat, create_encoder
from app.archives.importing import (
    INTERRUPTED,
    CloudEventIngester,
    Importer,
    ImportTally,
    Ingest,
    format_problem,
)
from app.archives.output import (
    ExportOutput,
    OutputError,
    StandardOutput,
    open_new,
    open_resumable,
)
from app.archives.reading import ParsedEvent, read_events
from app.archives.row_import import RowIngester, format_row_problem
from app.archives.rows import (
    EVENT_COLUMNS,
    HISTORY_COLUMNS,
    Row,
    RowParser,
    format_entry,
    format_event,
)
from app.command_options import exit_with, parse_instant_option, parse_severity_option
from app.command_runner import read_settings, run_on_database
from app.domain.access.caller import Caller, Permission
from app.domain.events.filters import EventFilter, TagFilter, TimeRange
from app.domain.shared.messages import format_count, quote_value
from app.domain.shared.problems import ErrorCode, RequestError
from app.domain.shared.values import format_instant, validate_name
from app.services.auth.organizations import find_organization_id
from app.services.events import archives
from app.services.events.archives import ExportSource
from app.services.events.checks import check_events
from app.services.events.events import log_events
from app.settings import Settings
from app.store.engine.database import ALL_ORGANIZATIONS, Database

INTERRUPTED_CODE = 130

OrganizationJob = Callable[[Database, UUID], Coroutine[Any, Any, int]]


@dataclass(frozen=True)
class ImportOptions:
    organization: str
    actor: str
    format: FileFormat = FileFormat.CLOUDEVENTS
    type: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False
    raw: bool = False


@dataclass(frozen=True)
class ExportOptions:
    organization: str
    filter: EventFilter
    format: FileFormat = FileFormat.CLOUDEVENTS
    history: bool = False
    raw: bool = False
    output: Path | None = None
    after: str | None = None


def import_events(file: str, options: ImportOptions) -> int:
    """Imports the file, or standard input if its name is "-". Returns the exit code."""
    _check_actor(options.actor)
    _check_import_options(file, options)
    settings = read_settings()
    with _open_input(file) as source:
        return _run_in_organization(
            settings, options.organization, _create_import_job(settings, source, options)
        )


def export_events(options: ExportOptions) -> int:
    """Exports to a file, or to standard output. Returns the exit code."""
    _check_export_options(options)
    settings = read_settings()
    job = _create_export_job(settings, options)
    return _run_in_organization(settings, options.organization, job)


def parse_format(text: str | None, *, history: bool = False) -> FileFormat:
    """Parses the option --format. Exits with code 2 if it is invalid."""
    if text is None:
        return FileFormat.NDJSON if history else FileFormat.CLOUDEVENTS
    try:
        return FileFormat(text.lower())
    except ValueError:
        names = ", ".join(each.value for each in FileFormat)
        exit_with(f"--format: Unknown format {quote_value(text)}. Use one of {names}.", 2)


def parse_mapping(options: list[str] | None) -> dict[str, str]:
    """Parses the options --map. Exits with code 2 if one is invalid."""
    mapping: dict[str, str] = {}
    for option in options or ():
        # The name of a column may contain the character, the name of a field hardly does.
        column, separator, target = option.rpartition("=")
        if not separator or not column:
            exit_with(f"--map: Invalid value {quote_value(option)}. Use COLUMN=FIELD.", 2)
        if column in mapping:
            exit_with(f"--map: Column {quote_value(column)} is mapped more than once.", 2)
        mapping[column] = target
    return mapping


def _check_import_options(file: str, options: ImportOptions) -> None:
    if options.format is FileFormat.CLOUDEVENTS and (options.type or options.mapping):
        exit_with("--type and --map need a --format of tables: csv, ndjson, json or parquet.", 2)
    _check_format(options.format, raw=options.raw)
    if options.format is FileFormat.PARQUET and file == "-":
        exit_with("Parquet cannot be read from standard input. Name a file.", 2)


def _check_export_options(options: ExportOptions) -> None:
    _check_format(options.format, raw=options.raw)
    if not options.history:
        return
    if options.format is FileFormat.CLOUDEVENTS:
        exit_with("--history needs one of the formats csv, ndjson, json and parquet.", 2)
    if replace(options.filter, occurred_at=None) != EventFilter():
        exit_with("--history can only be combined with --from and --to.", 2)


def _check_format(format: FileFormat, *, raw: bool) -> None:
    if raw and format is not FileFormat.CSV:
        exit_with("--raw is only allowed with --format csv.", 2)
    if format is FileFormat.PARQUET and find_spec("pyarrow") is None:
        exit_with("The Parquet library is not installed. Run: pip install 'tocsin[parquet]'", 2)


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
        parse_instant_option("--from", since),
        parse_instant_option("--to", until),
    )
    if start_time is not None and end_time is not None and end_time <= start_time:
        exit_with("--to: The time must be later than the time of --from.", 2)
    return EventFilter(
        types=tuple(types) if types else None,
        category=category,
        tags=TagFilter(all=tuple(tags)) if tags else None,
        occurred_at=TimeRange(start_time, end_time) if start_time or end_time else None,
        severities=tuple(map(parse_severity_option, severities)) if severities else None,
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
                "--organization: There is no organization with the key "
                f"{quote_value(organization)}."
            )
            return 2
        return await job(database, organization_id)

    return run_on_database(settings, run)


def _create_import_job(
    settings: Settings, file: BinaryIO, options: ImportOptions
) -> OrganizationJob:
    async def job(database: Database, organization_id: UUID) -> int:
        actor_caller = Caller(options.actor, organization_id, frozenset({Permission.EVENT_CREATE}))
        log = check_events if options.dry_run else log_events
        max_bytes = settings.limits.body_bytes
        ingest: Ingest = CloudEventIngester(log)
        formatter = format_problem
        if options.format is FileFormat.CLOUDEVENTS:
            events = read_events(file, max_bytes)
        else:
            kinds = {}
            if options.type is not None:
                kinds = await archives.fetch_field_kinds(database, organization_id, options.type)
            parser = RowParser(options.type, kinds, options.mapping)
            events = _read_rows(file, options, parser, max_bytes)
            ingest, formatter = RowIngester(parser, log), format_row_problem
        with _show_progress(file) as (print_line, advance):
            importer = Importer(
                database,
                actor_caller,
                settings.limits,
                print_line,
                advance,
                settings.severity_map or {},
                ImportTally(dry_run=options.dry_run),
                ingest,
                formatter,
            )
            tally = await importer.run(events)
        typer.echo(str(tally))
        if tally.stop_reason is not None:
            _print_to_stderr(
                f"{tally.stop_reason}. Run the command again to continue: events that have "
                "already been imported are skipped."
            )
        return 1 if tally.rejected else _exit_code(tally.stop_reason)

    return job


def _read_rows(
    file: BinaryIO, options: ImportOptions, parser: RowParser, max_bytes: int
) -> Iterator[ParsedEvent]:
    if options.format is FileFormat.CSV:
        return read_csv(file, max_bytes, parser, raw=options.raw)
    if options.format is FileFormat.PARQUET:
        from app.archives.parquet_files import read_parquet

        return read_parquet(file, parser)
    return read_events(file, max_bytes)


def _create_export_job(settings: Settings, options: ExportOptions) -> OrganizationJob:
    source: ExportSource[Any] = archives.select_events(options.filter)
    format_row: Callable[[Any], Row] = format_event
    columns, noun = EVENT_COLUMNS, "event"
    if options.history:
        source = archives.select_history(options.filter.occurred_at or TimeRange())
        format_row, columns, noun = format_entry, HISTORY_COLUMNS, "entry"
    encoder = create_encoder(
        options.format,
        format_row,
        columns,
        raw=options.raw,
        public_url=settings.public_url,
    )

    async def job(database: Database, organization_id: UUID) -> int:
        try:
            with _open_output(options) as output:
                result = await Exporter(database, output, source, encoder).run(organization_id)
        except OutputError as error:
            _print_to_stderr(str(error))
            return 2 if error.usage else 1
        except RequestError as error:
            is_usage_error = error.code is ErrorCode.INVALID_CURSOR
            option = "--after: " if is_usage_error and options.after is not None else ""
            _print_to_stderr(f"{option}{error.message}")
            return 2 if is_usage_error else 1
        plural = "entries" if options.history else None
        _print_to_stderr(f"Exported {format_count(result.objects, noun, plural)}.")
        is_resumable = options.output is not None and options.format.is_appendable
        _print_to_stderr(
            f"To export later {plural or 'events'}, "
            + ("run the command again." if is_resumable else f"use --after {result.cursor}")
        )
        if result.stop_reason is not None:
            _print_to_stderr(f"{result.stop_reason}.")
        return _exit_code(result.stop_reason)

    return job


def _open_output(options: ExportOptions) -> AbstractContextManager[ExportOutput]:
    if options.output is None:
        return nullcontext(StandardOutput(options.after))
    if not options.format.is_appendable:
        return open_new(options.output, options.after)
    saved = {"organization": options.organization} | _filter_options(options.filter)
    if options.format is not FileFormat.CLOUDEVENTS:
        saved["format"] = options.format.value
    if options.history:
        saved["history"] = True
    if options.raw:
        saved["raw"] = True
    return open_resumable(options.output, options.after, saved)


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
    columns = (TextColumn("{task.fields[events]}"), BarColumn(), TaskProgressColumn())
    is_disabled = not sys.stderr.isatty()
    with Progress(
        *columns, console=Console(stderr=True), disable=is_disabled, transient=True
    ) as bar:
        task = bar.add_task("", total=total, events=format_count(0, "event"))
        imported = 0

        def advance(events: int) -> None:
            nonlocal imported
            imported += events
            bar.update(
                task, completed=file.tell() if total else 0, events=format_count(imported, "event")
            )

        def print_line(line: str) -> None:
            bar.console.print(Text(line), soft_wrap=True)

        yield _print_to_stderr if is_disabled else print_line, advance


def _print_to_stderr(line: str) -> None:
    typer.echo(line, err=True)
