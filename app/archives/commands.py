"""The commands `import` and `export`, at the database itself: beside a server that runs, or not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NoReturn
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from app.archives.exporting import Export
from app.archives.importing import INTERRUPTED, Import
from app.archives.output import Output, OutputError, StandardOutput, opened
from app.archives.reading import read_events
from app.domain.access.caller import Caller, Permission
from app.domain.events.filters import EventFilter, TagFilter, TimeRange
from app.domain.events.severity import Severity, named_severity
from app.domain.shared.problems import ErrorCode, RequestError
from app.domain.shared.values import name_problems, read_instant, write_instant
from app.services.auth.organizations import DEFAULT_KEY, organization_named
from app.settings import Settings
from app.store.engine.database import EVERYWHERE, Database
from app.store.migrate import check
from app.telemetry import configure_logs

INTERRUPTED_CODE = 130
REPORTER = "tocsin import"

Work = Callable[[Database, UUID], Coroutine[Any, Any, int]]
Run = Callable[[Callable[[], Coroutine[Any, Any, int]]], int]

File = Annotated[str, typer.Argument(metavar="FILE", help="The file, or - for standard input.")]
Organization = Annotated[str, typer.Option(help="The key of the organization.")]
Actor = Annotated[str, typer.Option(help="Who the history says has logged the events.")]
Types = Annotated[
    list[str] | None, typer.Option("--type", help="Of this type, or with * of a prefix; repeat it.")
]
Category = Annotated[str | None, typer.Option(help="Of an event type of this category.")]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="With this tag; repeat it for more, all of them.")
]
From = Annotated[
    str | None, typer.Option("--from", help="Occurred from then on, as 2026-04-10T00:00:00Z.")
]
To = Annotated[str | None, typer.Option(help="Occurred before then.")]
Severities = Annotated[
    list[str] | None, typer.Option("--severity", help="Of this severity; repeat it for more.")
]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", help="Write to this file; one that an export began goes on."),
]
After = Annotated[str | None, typer.Option(help="Go on behind the cursor that a run has told.")]


def add_to(main: typer.Typer, settings: Callable[[], Settings], run: Run) -> None:
    """Adds the commands. `run` runs at the database, and tells what keeps it from answering."""

    @main.command("import")
    def import_events(
        file: File, organization: Organization = DEFAULT_KEY, actor: Actor = REPORTER
    ) -> None:
        """Import CloudEvents: a JSON array, or one a line. Run again, it imports nothing twice."""
        _check_actor(actor)
        given = settings()
        with _opened(file) as source:
            work = _importing(given, source, actor)
            raise typer.Exit(run(lambda: _at(given, organization, work)))

    @main.command("export")
    def export_events(
        organization: Organization = DEFAULT_KEY,
        type: Types = None,
        category: Category = None,
        tag: Tags = None,
        from_: From = None,
        to: To = None,
        severity: Severities = None,
        output: OutputFile = None,
        after: After = None,
    ) -> None:
        """Export events as CloudEvents, one a line, in the order that they were logged."""
        filter = _filter(type, category, tag, from_, to, severity)
        given = settings()
        work = _exporting(given, filter, organization, output, after)
        raise typer.Exit(run(lambda: _at(given, organization, work)))


async def _at(settings: Settings, organization: str, work: Work) -> int:
    """Works in the organization, at a database of this version. Answers the exit code.

    OlderDatabaseError, NewerDatabaseError: nothing is migrated beneath a server that runs.
    """
    configure_logs()
    database = Database(settings.database_url)
    try:
        await check(database.url)
        async with database.read(EVERYWHERE) as session:
            organization_id = await organization_named(session, organization)
        if organization_id is None:
            _tell(f"There is no organization {organization[:100]!a}.")
            return 2
        return await work(database, organization_id)
    finally:
        await database.close()


def _importing(settings: Settings, file: BinaryIO, actor: str) -> Work:
    async def work(database: Database, organization_id: UUID) -> int:
        reporter = Caller(actor, organization_id, frozenset({Permission.EVENT_CREATE}))
        with _progress(file) as (tell, advance):
            job = Import(database, reporter, settings.limits, tell, advance)
            tally = await job.run(read_events(file, settings.limits.message_bytes))
        typer.echo(str(tally))
        if tally.broken is not None:
            _tell(f"{tally.broken}. Run it again: what is there already is not imported twice.")
        return 1 if tally.refused else _code(tally.broken)

    return work


def _exporting(
    settings: Settings,
    filter: EventFilter,
    organization: str,
    path: Path | None,
    after: str | None,
) -> Work:
    asked = {"organization": organization} | _asked(filter)

    async def work(database: Database, organization_id: UUID) -> int:
        try:
            with _written(path, after, asked) as output:
                export = Export(database, output, filter, settings.public_url)
                done = await export.run(organization_id)
        except OutputError as error:
            _tell(str(error))
            return 2 if error.usage else 1
        except RequestError as error:
            _tell(error.message)
            return 2 if error.code is ErrorCode.INVALID_CURSOR else 1
        how = f"--after {done.cursor}" if path is None else "run it again"
        _tell(f"Exported {done.events:,} events. To go on from there: {how}")
        if done.broken is not None:
            _tell(f"{done.broken}.")
        return _code(done.broken)

    return work


def _written(
    path: Path | None, after: str | None, asked: dict[str, Any]
) -> AbstractContextManager[Output]:
    return nullcontext(StandardOutput(after)) if path is None else opened(path, after, asked)


def _code(broken: str | None) -> int:
    if broken is None:
        return 0
    return INTERRUPTED_CODE if broken == INTERRUPTED else 1


def _filter(
    types: list[str] | None,
    category: str | None,
    tags: list[str] | None,
    since: str | None,
    until: str | None,
    severities: list[str] | None,
) -> EventFilter:
    start, end = _instant("--from", since), _instant("--to", until)
    if start is not None and end is not None and end <= start:
        _refuse("--to: Must be later than --from.")
    return EventFilter(
        types=tuple(types) if types else None,
        category=category,
        tags=TagFilter(all=tuple(tags)) if tags else None,
        occurred_at=TimeRange(start, end) if start or end else None,
        severities=tuple(map(_severity, severities)) if severities else None,
    )


def _asked(filter: EventFilter) -> dict[str, Any]:
    """What the filter says, as JSON: by it, a file is known to be of the same export."""
    times = filter.occurred_at or TimeRange()
    said = {
        "type": filter.types and list(filter.types),
        "category": filter.category,
        "tag": filter.tags and list(filter.tags.all or ()),
        "from": times.start and write_instant(times.start),
        "to": times.end and write_instant(times.end),
        "severity": filter.severities and [each.value for each in filter.severities],
    }
    return {name: value for name, value in said.items() if value is not None}


def _instant(option: str, text: str | None) -> datetime | None:
    instant = None if text is None else read_instant(text)
    if text is not None and instant is None:
        _refuse(f"{option}: Wants an instant with an offset, as 2026-04-10T00:00:00Z.")
    return instant


def _severity(text: str) -> Severity:
    named = named_severity(text)
    if named is None:
        _refuse(f"--severity: Is one of {', '.join(each.value for each in Severity)}.")
    return named


def _check_actor(actor: str) -> None:
    for problem in name_problems(actor, 255):
        _refuse(f"--actor: {problem.message}")


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as held:
        try:
            file = held.enter_context(Path(name).open("rb"))
        except OSError as error:
            _refuse(f"{name} cannot be read: {error.strerror}.")
        yield file


@contextmanager
def _progress(file: BinaryIO) -> Iterator[tuple[Callable[[str], None], Callable[[int], None]]]:
    """A bar on a terminal: how much of the file is read, or, of a stream, how many events.

    What is told meanwhile goes above it.
    """
    total = os.fstat(file.fileno()).st_size if file.seekable() else None
    columns = (TextColumn("{task.fields[events]:,} events"), BarColumn(), TaskProgressColumn())
    quiet = not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task("", total=total, events=0)
        taken = 0

        def advance(events: int) -> None:
            nonlocal taken
            taken += events
            bar.update(task, completed=file.tell() if total else 0, events=taken)

        def tell(line: str) -> None:
            bar.console.print(Text(line), soft_wrap=True)

        yield _tell if quiet else tell, advance


def _tell(line: str) -> None:
    typer.echo(line, err=True)


def _refuse(message: str) -> NoReturn:
    _tell(message)
    raise typer.Exit(2)
