"""`tocsin import`: each event exactly once, and each rejected event with its location."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.archives.importing import INTERRUPTED, Importer
from app.archives.reading import ParsedEvent
from app.domain.access.caller import Caller, Permission
from app.domain.rules.duplicates import DuplicateAction
from app.domain.shared.limits import Limits
from app.services.rules import duplication_rules
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.archives.command_runner import cloud_event, count_events, event_lines, run_command
from tests.client import TIMEOUT_SECONDS, Client
from tests.conftest import SQLITE
from tests.factories import admin_caller, admin_command, create_api_key
from tests.http.test_command import COMMAND, command_environment
from tests.pseudo_terminal import restore_sigint, run_in_terminal


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


async def test_rejected_events_are_reported_with_their_location_and_the_rest_is_stored(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    bad = {"specversion": "1.0", "source": "/meters", "type": "t", "data": {"a\n\x1b[2J": 1e400}}
    lines = [cloud_event("a"), bad, cloud_event("b"), 17]
    text = "\n".join(map(json.dumps, lines)).replace("Infinity", "1e400")
    file.write_text(text + "\nno JSON\n")

    run = await run_command(database_url, "import", file)

    assert (run.code, run.out) == (
        1,
        "Imported 2, already present 0, counted as duplicates 0, rejected 3.\n",
    )
    assert run.err == [
        "line 2: The attribute id is required.",
        "line 4: A CloudEvent must be a JSON object.",
        "line 5: Invalid JSON: Expecting value (column 1).",
    ]
    assert await count_events(database) == 2


async def test_a_value_that_cannot_be_stored_is_reported_in_one_line(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps([cloud_event("a", data={"x\n\x1b[2J": "\0"})]))

    run = await run_command(database_url, "import", file)

    assert run.code == 1
    assert run.err == [
        "index 0: data.x  [2J: Character 1 is U+0000, which is not allowed. Remove the character."
    ]
    assert await count_events(database) == 0


async def test_unknown_severities_are_reported_unless_the_severity_map_has_them(
    database_url: str, client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    words = enumerate(["P1", "critical", "FATAL"])
    file.write_text("\n".join(json.dumps(cloud_event(str(n), severitytext=w)) for n, w in words))

    run = await run_command(database_url, "import", file, severity_map="p1=error")

    assert run.code == 0
    assert run.err == [
        "line 2: warning: severitytext: Unknown severity 'critical': the severity INFO is used "
        "instead. Send error, warn, info or success, or add the word to TOCSIN_SEVERITY_MAP."
    ]
    events = await client.execute_field(
        "{ events(orderBy: {field: RECORDED_AT, direction: ASC}) { nodes { severity } } }"
    )
    assert sorted(event["severity"] for event in events["nodes"]) == ["ERROR", "ERROR", "INFO"]


async def test_a_second_import_stores_and_counts_nothing_again(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    context = await admin_command(database)
    attributes = {
        "name": "once a type",
        "fingerprint": ("type",),
        "window": timedelta(hours=1),
        "action": DuplicateAction.COUNT,
    }
    await duplication_rules.create_rule(database, context, None, attributes, enabled=True)
    file = tmp_path / "events.ndjson"
    file.write_bytes(event_lines(["a", "b", "c"]))

    first = await run_command(database_url, "import", file)
    second = await run_command(database_url, "import", file)

    assert (first.code, second.code) == (0, 0)
    assert first.out == "Imported 1, already present 0, counted as duplicates 2, rejected 0.\n"
    assert second.out == "Imported 0, already present 3, counted as duplicates 0, rejected 0.\n"
    async with database.read(ALL_ORGANIZATIONS) as session:
        assert list(await session.scalars(select(col(tables.Event.occurrences)))) == [3]


async def test_an_import_writes_to_one_organization_with_the_name_of_its_actor(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await create_api_key(database, organization="acme")
    file = tmp_path / "events.ndjson"
    file.write_bytes(event_lines(["a"]))
    to_acme = ("import", file, "--organization", "acme")

    run = await run_command(database_url, *to_acme)
    file.write_bytes(event_lines(["b"]))
    named = await run_command(database_url, *to_acme, "--actor", "migration")

    assert (run.code, named.code) == (0, 0)
    table = tables.Change
    logged = select(table, tables.Organization).where(
        col(table.kind) == "LOGGED", col(tables.Organization.id) == col(table.organization_id)
    )
    async with database.read(ALL_ORGANIZATIONS) as session:
        rows = (await session.execute(logged.order_by(col(table.seq)))).all()
    actors = [(change.actor, organization.key) for change, organization in rows]
    assert actors == [("tocsin import", "acme"), ("migration", "acme")]


async def test_an_imported_export_is_deduplicated_elsewhere_and_rejected_at_its_origin(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await create_api_key(database, organization="acme")
    file, acme = tmp_path / "events.ndjson", ("--organization", "acme")
    file.write_bytes(event_lines(["a"]))
    await run_command(database_url, "import", file)
    file.write_text((await run_command(database_url, "export")).out)

    reimported = await run_command(database_url, "import", file)
    imported = await run_command(database_url, "import", file, *acme)
    file.write_text((await run_command(database_url, "export", *acme)).out)
    again = await run_command(database_url, "import", file, *acme)

    assert (reimported.code, imported.code, again.code) == (1, 0, 0)
    assert reimported.err[0].startswith("line 1: id: ")
    assert reimported.out == "Imported 0, already present 0, counted as duplicates 0, rejected 1.\n"
    assert imported.out == "Imported 1, already present 0, counted as duplicates 0, rejected 0.\n"
    assert again.out == "Imported 0, already present 1, counted as duplicates 0, rejected 0.\n"
    assert await count_events(database) == 2


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "expected_message"),
    [
        (["nowhere.json"], "Cannot read nowhere.json: No such file or directory."),
        (["/"], "Cannot read /: Is a directory."),
        (
            [__file__, "--organization", "other"],
            "--organization: There is no organization with the key 'other'.",
        ),
        ([__file__, "--actor", "a\nb"], "--actor: Character 2 is U+000A, which"),
    ],
)
async def test_an_invalid_option_is_reported_in_one_line(
    database_url: str, arguments: list[str], expected_message: str
) -> None:
    run = await run_command(database_url, "import", *arguments)

    assert (run.code, run.out) == (2, "")
    [line] = run.err
    assert line.startswith(expected_message)


async def test_a_running_server_delivers_imported_events(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(event_lines(["a", "b"]))
    async with client.subscription(
        "subscription { eventChanged { event { sourceId } } }"
    ) as subscription:
        await run_command(database_url, "import", file)

        delivered = [await subscription.receive_next(), await subscription.receive_next()]

    assert delivered == [{"event": {"sourceId": "a"}}, {"event": {"sourceId": "b"}}]


@asynccontextmanager
async def start_import(
    folder: Path, database_url: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs `tocsin import -` as a process with pipes."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        "import",
        "-",
        cwd=folder,
        env=command_environment(database_url=database_url) | {"PYTHONPATH": ":".join(sys.path)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=restore_sigint,
    )
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def wait_until_idle(pid: int) -> None:
    """Waits until no thread of the process runs: only then has it counted what is stored."""

    def seen() -> list[tuple[str, ...]]:
        stats = [each.read_text().rpartition(")")[2].split() for each in threads.glob("*/stat")]
        return [(each[0], *each[11:13]) for each in stats]

    threads = Path(f"/proc/{pid}/task")
    before: list[tuple[str, ...]] = []
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (now := seen()) != before or {each[0] for each in now} != {"S"}:
            before = now
            await asyncio.sleep(0.1)


async def wait_until_stored(database: Database, count: int) -> None:
    while await count_events(database) < count:
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_a_progress_bar_is_shown_only_on_a_terminal(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(event_lines(["a", "b"]) + b"no JSON\n")
    settings = command_environment(database_url=database_url)

    code, out, terminal_output = await run_in_terminal(COMMAND, "import", str(file), env=settings)
    piped = await run_command(database_url, "import", file)

    assert (code, await count_events(database)) == (1, 2)
    assert out == "Imported 2, already present 0, counted as duplicates 0, rejected 1.\n"
    assert "3 events" in terminal_output
    assert "100%" in terminal_output
    assert "line 3: Invalid JSON: Expecting value (column 1)." in terminal_output
    assert piped.err == ["line 3: Invalid JSON: Expecting value (column 1)."]


async def test_a_killed_import_that_runs_again_stores_each_event_once(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(event_lines(range(700)))
    async with start_import(tmp_path, database_url) as process:
        assert process.stdin is not None
        process.stdin.write(event_lines(range(600)))
        await wait_until_stored(database, 500)  # it waits for the rest of its second batch
        process.kill()
        await process.wait()
    assert await count_events(database) == 500

    again = await run_command(database_url, "import", file)

    assert (again.code, again.err) == (0, [])
    assert again.out == "Imported 200, already present 500, counted as duplicates 0, rejected 0.\n"
    assert await count_events(database) == 700


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_ctrl_c_interrupts_the_wait_for_input_and_prints_the_result(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    async with start_import(tmp_path, database_url) as process:
        assert process.stdin is not None
        process.stdin.write(event_lines(range(600)))
        await wait_until_stored(database, 500)
        await wait_until_idle(process.pid)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
        out, err = await process.communicate()

    assert out == b"Imported 500, already present 0, counted as duplicates 0, rejected 0.\n"
    assert err.decode().startswith("Interrupted. Run the command again to continue:")


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
def test_ctrl_c_between_two_batches_stops_before_the_next_read(database_url: str) -> None:
    def reads() -> Iterator[ParsedEvent]:
        yield ParsedEvent("line 1", size=1, error="Invalid JSON.")
        raise AssertionError("It waited for line 2.")

    async def interrupted() -> Importer:
        reporter = Caller("cli", uuid4(), frozenset({Permission.EVENT_CREATE}))
        job = Importer(Database(database_url), reporter, Limits(body_bytes=1), lambda _: None)
        job.advance = lambda _: signal.raise_signal(signal.SIGINT)
        await job.run(reads())
        await job.database.close()
        return job

    previous_handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        job = asyncio.run(interrupted())
    finally:
        signal.signal(signal.SIGINT, previous_handler)

    assert (job.tally.rejected, job.tally.stop_reason) == (1, INTERRUPTED)


async def test_a_batch_is_limited_by_its_bytes(database_url: str) -> None:
    sizes: list[int] = []
    database = Database(database_url)
    importer = Importer(
        database, await admin_caller(database), Limits(), lambda _: None, advance=sizes.append
    )
    events = [ParsedEvent(f"line {n}", 100_000, cloud_event(str(n))) for n in range(7)]

    tally = await importer.run(iter(events))
    await database.close()

    assert (tally.imported, sizes) == (7, [3, 3, 1])
