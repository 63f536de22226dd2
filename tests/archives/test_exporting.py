"""`tocsin export`: each event once, in the order of logging, also if the export is continued."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.archives.exporting import Exporter, ExportResult
from app.archives.formats import FileFormat, create_encoder
from app.archives.output import open_resumable
from app.archives.rows import EVENT_COLUMNS, format_event
from app.domain.events.filters import EventFilter
from app.domain.events.severity import Outcome
from app.domain.events.state import Entity, EventDraft
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.change_log import pruning
from app.services.events import archives, events
from app.services.events.reports import ReportCall, process_reports
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.archives.command_runner import cloud_event, parse_ids, run_command
from tests.client import TIMEOUT_SECONDS
from tests.conftest import POSTGRESQL, SQLITE, Statements
from tests.factories import NOON, admin_caller, admin_command, create_api_key
from tests.http.test_command import COMMAND, command_environment
from tests.pseudo_terminal import restore_sigint


async def log_events(database: Database, *names: str | int, **overrides: Any) -> None:
    drafts = [EventDraft(source_id=str(name), **overrides) for name in names]
    await events.log_events(database, await admin_command(database), drafts)


async def delete_event(database: Database, name: str) -> None:
    named = select(col(tables.Event.id)).where(col(tables.Event.source_id) == name)
    async with database.read(ALL_ORGANIZATIONS) as session:
        event_id = (await session.scalars(named)).one()
    await events.delete_event(database, await admin_command(database), event_id)


async def test_an_export_prints_the_cursor_from_which_the_next_one_continues(
    database: Database, database_url: str
) -> None:
    await log_events(database, "b", "a")

    first = await run_command(database_url, "export")
    await log_events(database, "d", "c")
    second = await run_command(database_url, "export", "--after", first.cursor)
    third = await run_command(database_url, "export", "--after", second.cursor)

    assert [each.code for each in (first, second, third)] == [0, 0, 0]
    assert (first.ids, second.ids, third.ids) == (["b", "a"], ["d", "c"], [])
    assert first.err == [
        "Exported 2 events.",
        f"To export later events, use --after {first.cursor}",
    ]


async def test_an_export_selects_events_by_its_options(
    database: Database, database_url: str
) -> None:
    await log_events(database, "a", type="x.a", tags=("p", "q"), severity="error", occurred_at=NOON)
    await log_events(database, "b", type="x.b", tags=("q",), severity="warn", occurred_at=NOON)
    await log_events(database, "c", type="y", tags=("q", "p"), severity="green")

    async def ids(*options: str) -> list[str]:
        return (await run_command(database_url, "export", *options)).ids

    assert await ids("--type", "x.*", "--type", "y") == ["a", "b", "c"]
    assert await ids("--type", "x.a") == ["a"]
    assert await ids("--tag", "p", "--tag", "q") == ["a", "c"]
    assert await ids("--severity", "error", "--severity", "WARNING") == ["a", "b"]
    assert await ids("--to", "2026-04-10T12:00:01Z", "--from", "2026-04-10T12:00:00Z") == ["a", "b"]
    assert await ids("--category", "none") == []


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "expected_message"),
    [
        (["--from", "today"], "--from: Invalid time 'today'. Use a time with"),
        (
            ["--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"],
            "--to: The time must be later",
        ),
        (
            ["--severity", "loud"],
            "--severity: Invalid severity 'loud'. Use one of ERROR, WARN, INFO, SUCCESS.",
        ),
        (
            ["--after", "abc"],
            "--after: Invalid cursor. The cursor is damaged or belongs to a different "
            "organization. Start again without a cursor.",
        ),
        (
            ["--organization", "other"],
            "--organization: There is no organization with the key 'other'.",
        ),
        (["--output", "/dev/null"], "--output: /dev/null is not a regular file."),
    ],
)
async def test_an_invalid_option_is_reported_in_one_line(
    database_url: str, arguments: list[str], expected_message: str
) -> None:
    ran = await run_command(database_url, "export", *arguments)

    assert (ran.code, ran.out) == (2, "")
    [line] = ran.err
    assert line.startswith(expected_message)


async def test_a_file_is_continued_from_its_cursor_after_a_killed_export(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    file, cursor = tmp_path / "events.ndjson", tmp_path / "events.ndjson.cursor"
    options = ("export", "--output", file)
    await log_events(database, "a", "b")
    await run_command(database_url, *options)
    cursor_bytes = cursor.read_bytes()
    await log_events(database, "c", "d")
    await run_command(database_url, *options)
    cursor.write_bytes(
        cursor_bytes
    )  # as if killed before the cursor was replaced, in the middle of a line
    with file.open("ab") as begun:
        begun.write(b'{"specversion":"1.0","id":"e"')

    again = await run_command(database_url, *options)

    assert again.code == 0
    assert again.err == [
        "Exported 2 events.",
        "To export later events, run the command again.",
    ]
    assert parse_ids(file.read_text()) == ["a", "b", "c", "d"]
    assert sorted(os.listdir(tmp_path)) >= ["events.ndjson", "events.ndjson.cursor"]


async def test_a_deleted_event_stays_in_the_file_only_if_it_was_exported(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    await log_events(database, "a", "b")
    await run_command(database_url, "export", "--output", file)
    await log_events(database, "c", "d")
    await delete_event(database, "b")
    await delete_event(database, "c")

    await run_command(database_url, "export", "--output", file)

    assert parse_ids(file.read_text()) == ["a", "b", "d"]


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_a_file_that_cannot_be_continued_is_not_changed(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    options = ("export", "--output", file)
    file.write_text("dear diary\n")
    foreign_file = await run_command(database_url, *options)
    untouched = file.read_text()
    file.unlink()
    await log_events(database, "a")
    begun = await run_command(database_url, *options)
    whole = file.read_bytes()

    selecting = await run_command(database_url, *options, "--type", "x")
    placed = await run_command(database_url, *options, "--after", "abc")
    with open_resumable(file, None, {"organization": "default"}):
        at_once = await run_command(database_url, *options)
    unchanged = file.read_bytes()
    file.write_bytes(whole[:-1])
    cut = await run_command(database_url, *options)

    ran = (foreign_file, begun, selecting, placed, at_once, cut)
    assert [each.code for each in ran] == [2, 0, 2, 2, 1, 1]
    assert (untouched, unchanged) == ("dear diary\n", whole)
    assert "exists without events.ndjson.cursor" in foreign_file.err[0]
    assert "was started with different options: --organization default. Use" in selecting.err[0]
    assert "Omit --after, or choose a different file." in placed.err[0]
    assert at_once.err == [
        f"Another export is writing to {file}. Wait for it to end, or choose a different file."
    ]
    assert f"{len(whole) - 1} bytes, but {len(whole)} were written" in cut.err[0]


async def test_an_export_that_is_imported_elsewhere_is_exported_again_unchanged(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await create_api_key(database, organization="acme")
    await log_events(
        database,
        "full",
        type="flaring",
        entity=Entity("Well", "w-1"),
        severity="error",
        summary="Straße",
        outcome=Outcome.FAILURE,
        fields={"a": {"b": [1, 1.5, None, "\u2028"]}},
        tags=("z", "a"),
        notification=True,
        occurred_at=NOON,
    )
    await events.log_events(
        database, await admin_command(database), [EventDraft(), EventDraft(summary="no id")]
    )
    imported = tmp_path / "came.json"
    texts = cloud_event(
        "text", data="<a/>", datacontenttype="text/xml", dataschema="urn:s", ext=True
    )
    bytes_ = cloud_event("bytes", data_base64="AAEC", subject="s", n=-7)
    imported.write_text(json.dumps([texts, bytes_, cloud_event("null", data=None)]))
    await run_command(database_url, "import", imported)
    file = tmp_path / "events.ndjson"

    out = await run_command(database_url, "export", "--output", file)
    taken = await run_command(database_url, "import", file, "--organization", "acme")
    again = await run_command(database_url, "export", "--organization", "acme")

    assert (out.code, taken.code, again.code) == (0, 0, 0)
    assert taken.out == "Imported 6, already present 0, counted as duplicates 0, rejected 0.\n"
    assert without_recorded_time(again.out) == without_recorded_time(file.read_text())


def without_recorded_time(lines: str) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in lines.splitlines()]
    return [{name: event[name] for name in event if name != "recordedtime"} for event in read]


async def test_pages_are_bounded_and_need_a_constant_number_of_statements(
    database: Database, database_url: str, tmp_path: Path, statements: Statements
) -> None:
    async def cost(file: str) -> int:
        statements.clear()
        await export_events(database, tmp_path / file)
        return len(statements)

    await log_events(database, *range(2))
    of_two = await cost("two")
    await log_events(database, *range(2, 450))
    of_one_page = await cost("one page")
    await log_events(database, *range(450, 501))
    of_two_pages = await cost("two pages")

    assert of_one_page == of_two
    # BEGIN (not on every database), the pruned position, the page, the horizon
    assert of_two_pages - of_one_page <= 4


async def export_events(
    database: Database, path: Path, patience_seconds: float = 0
) -> ExportResult:
    caller = await admin_caller(database)
    with open_resumable(path, None, {}) as output:
        source = archives.select_events(EventFilter())
        encoder = create_encoder(
            FileFormat.CLOUDEVENTS, format_event, EVENT_COLUMNS, raw=False, public_url=None
        )
        export = Exporter(database, output, source, encoder, patience_seconds)
        return await export.run(caller.organization_id)


@pytest.mark.parametrize("dialect", [POSTGRESQL], indirect=True)
async def test_an_event_that_is_committed_late_is_not_skipped(
    database: Database, tmp_path: Path
) -> None:
    context, file = await admin_command(database), tmp_path / "events.ndjson"
    await log_events(database, "a")
    async with database.write(context.actor.organization_id) as session:
        await process_reports(session, [ReportCall(context, [EventDraft(source_id="late")])])
        await log_events(database, "b")

        held = await export_events(database, file)
        seen = parse_ids(file.read_text())
        waiting = asyncio.create_task(export_events(database, file, patience_seconds=30))
    waited = await waiting

    assert held.stop_reason is not None
    assert "an open database transaction hides later events" in held.stop_reason
    assert seen == ["a"]
    assert (waited.stop_reason, waited.objects) == (None, 2)
    assert parse_ids(file.read_text()) == ["a", "late", "b"]


async def start_export(
    database_url: str, folder: Path, *options: str
) -> asyncio.subprocess.Process:
    """Runs `tocsin export` as a process."""
    return await asyncio.create_subprocess_exec(
        COMMAND,
        "export",
        *options,
        cwd=folder,
        env=command_environment(database_url=database_url) | {"PYTHONPATH": ":".join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=restore_sigint,
    )


@pytest.mark.parametrize("dialect", [POSTGRESQL], indirect=True)
async def test_a_killed_export_that_runs_again_has_each_event_once(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    context, file = await admin_command(database), tmp_path / "events.ndjson"
    await log_events(database, *range(500))
    await log_events(database, *range(500, 600))
    async with database.write(context.actor.organization_id) as session:
        await process_reports(
            session, [ReportCall(context, [EventDraft(source_id="late")])]
        )  # the export must wait for it
        await log_events(database, *range(600, 650))
        process = await start_export(database_url, tmp_path, "--output", str(file))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not file.exists() or file.read_bytes().count(b"\n") < 550:
                await asyncio.sleep(0.05)
        process.kill()
        await process.wait()

    again = await run_command(database_url, "export", "--output", file)

    assert again.code == 0
    expected = [*map(str, range(600)), "late", *map(str, range(600, 650))]
    assert parse_ids(file.read_text()) == expected


@pytest.mark.parametrize("dialect", [POSTGRESQL], indirect=True)
async def test_ctrl_c_prints_the_cursor_to_continue_from(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    context = await admin_command(database)
    await log_events(database, "a", "b")
    async with database.write(context.actor.organization_id) as session:
        await process_reports(
            session, [ReportCall(context, [EventDraft(source_id="late")])]
        )  # the export must wait for it
        await log_events(database, "c")
        process = await start_export(database_url, tmp_path)
        assert process.stdout is not None
        async with asyncio.timeout(TIMEOUT_SECONDS):
            seen = [await process.stdout.readline() for _ in "ab"]
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130
            rest, err = await process.communicate()
    [cursor] = re.findall(r"--after (\S+)\nInterrupted\.\n$", err.decode())

    after = await run_command(database_url, "export", "--after", cursor)

    assert parse_ids((b"".join(seen) + rest).decode()) == ["a", "b"]
    assert after.ids == ["late", "c"]


async def test_an_export_after_a_prune_has_every_stored_event_once(
    database: Database, database_url: str
) -> None:
    await log_events(database, "a", "b")
    first = await run_command(database_url, "export")
    [cursor] = re.findall(r"--after (\S+)", "".join(first.err))
    await log_events(database, "c")
    await pruning.prune_entries(database, datetime.now(UTC))
    await log_events(database, "d")

    everything = await run_command(database_url, "export")
    [end] = re.findall(r"--after (\S+)", "".join(everything.err))
    await log_events(database, "e")
    later = await run_command(database_url, "export", "--after", end)
    behind = await run_command(database_url, "export", "--after", cursor)
    history = await run_command(database_url, "export", "--history")

    assert (everything.code, everything.ids) == (0, ["a", "b", "c", "d"])
    assert (later.code, later.ids) == (0, ["e"])
    assert (behind.code, behind.ids) == (1, [])
    assert "The cursor has expired" in behind.err[-1]
    assert history.code == 1
    assert (
        "The export is incomplete: the change log was pruned, and has no entries before"
    ) in history.err[-1]


async def test_an_export_resumes_among_events_whose_entries_were_pruned(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "PAGE_SIZE", 2)
    await log_events(database, *"abcde")
    await pruning.prune_entries(database, datetime.now(UTC))
    await log_events(database, "f")

    pages = await export_pages(database)
    resumed = [[ids for ids, _ in await export_pages(database, end)] for _, end in pages]
    await pruning.prune_entries(database, datetime.now(UTC))
    with pytest.raises(RequestError) as expired:
        await export_pages(database, pages[0][1])

    assert [ids for ids, _ in pages if ids] == ["ab", "cd", "e", "f"]
    assert [[ids for ids in each if ids] for each in resumed[:3]] == [
        ["cd", "e", "f"],
        ["e", "f"],
        ["f"],
    ]
    assert expired.value.code is ErrorCode.CURSOR_EXPIRED


async def test_an_export_that_a_prune_overtakes_ends_with_an_error_instead_of_a_gap(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "PAGE_SIZE", 2)
    await log_events(database, *"abcd")
    export_range = await archives.open_range(database, await find_organization(database), None)
    pages = archives.fetch_pages(database, export_range, archives.select_events(EventFilter()), 0)

    exported = ""
    with pytest.raises(archives.PrunedMeanwhileError):
        async for page in pages:
            exported += "".join(str(event.source_id) for event in page.objects)
            if exported == "ab":
                await pruning.prune_entries(database, datetime.now(UTC))

    assert exported == "ab"


async def export_pages(database: Database, after: str | None = None) -> list[tuple[str, str]]:
    """Returns the source IDs of each page, and the cursor after it."""
    export_range = await archives.open_range(database, await find_organization(database), after)
    source = archives.select_events(EventFilter())
    return [
        (
            "".join(str(event.source_id) for event in page.objects),
            export_range.encode_cursor(page.position),
        )
        async for page in archives.fetch_pages(database, export_range, source, 0)
    ]


async def find_organization(database: Database) -> UUID:
    async with database.read(ALL_ORGANIZATIONS) as session:
        return (await session.scalars(select(col(tables.Organization.id)))).one()
