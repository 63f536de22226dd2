"""The commands `import` and `export`, at the database itself: beside a server that runs, or not."""

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

from app.archives.exporting import Export
from app.archives.importing import INTERRUPTED, Import
from app.archives.output import Output, OutputError, StandardOutput, opened
from app.archives.reading import read_events
from app.command_runner import exit_with, read_settings, run_on_database
from app.domain.access.caller import Caller, Permission
from app.domain.events.filters import EventFilter, TagFilter, TimeRange
from app.domain.events.severity import Severity, named_severity
from app.domain.shared.problems import ErrorCode, RequestError
from app.domain.shared.values import name_problems, read_instant, write_instant
from app.services.auth.organizations import organization_named
from app.settings import Settings
from app.store.engine.database import EVERYWHERE, Database

INTERRUPTED_CODE = 130

Work = Callable[[Database, UUID], Coroutine[Any, Any, int]]


def import_events(file: str, organization: str, actor: str) -> int:
    """Imports the file, or standard input if its name is "-". Returns the exit code."""
    _check_actor(actor)
    settings = read_settings()
    with _opened(file) as source:
        return _run_in_organization(settings, organization, _importing(settings, source, actor))


def export_events(
    filter: EventFilter, organization: str, output: Path | None, after: str | None
) -> int:
    """Exports to the file `output`, or to standard output. Returns the exit code."""
    settings = read_settings()
    work = _exporting(settings, filter, organization, output, after)
    return _run_in_organization(settings, organization, work)


def build_filter(
    types: list[str] | None,
    category: str | None,
    tags: list[str] | None,
    since: str | None,
    until: str | None,
    severities: list[str] | None,
) -> EventFilter:
    """The filter that the options of `tocsin export` describe. Exits with code 2 on a bad value."""
    start, end = _instant("--from", since), _instant("--to", until)
    if start is not None and end is not None and end <= start:
        exit_with("--to: Must be later than --from.", 2)
    return EventFilter(
        types=tuple(types) if types else None,
        category=category,
        tags=TagFilter(all=tuple(tags)) if tags else None,
        occurred_at=TimeRange(start, end) if start or end else None,
        severities=tuple(map(_severity, severities)) if severities else None,
    )


def _run_in_organization(settings: Settings, organization: str, work: Work) -> int:
    """Runs the work on a database of this version. Returns the exit code.

    Nothing is migrated: a server may run on the database.
    """

    async def run(database: Database) -> int:
        async with database.read(EVERYWHERE) as session:
            organization_id = await organization_named(session, organization)
        if organization_id is None:
            _tell(f"There is no organization {organization[:100]!a}.")
            return 2
        return await work(database, organization_id)

    return run_on_database(settings, run)


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
        exit_with(f"{option}: Wants an instant with an offset, as 2026-04-10T00:00:00Z.", 2)
    return instant


def _severity(text: str) -> Severity:
    named = named_severity(text)
    if named is None:
        exit_with(f"--severity: Is one of {', '.join(each.value for each in Severity)}.", 2)
    return named


def _check_actor(actor: str) -> None:
    for problem in name_problems(actor, 255):
        exit_with(f"--actor: {problem.message}", 2)


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as held:
        try:
            file = held.enter_context(Path(name).open("rb"))
        except OSError as error:
            exit_with(f"{name} cannot be read: {error.strerror}.", 2)
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
