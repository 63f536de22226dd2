"""`tocsin import`: everything exactly once, and each refusal with its place."""

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

from app.archives.importing import INTERRUPTED, Import
from app.archives.reading import Read
from app.domain.access.caller import Caller, Permission
from app.domain.rules.duplicates import DuplicateAction
from app.domain.shared.limits import Limits
from app.services.rules import duplication_rules
from app.store import tables
from app.store.engine.database import EVERYWHERE, Database
from tests.archives.running import an_event, command, count, events_named
from tests.client import PATIENCE_SECONDS, Client
from tests.conftest import SQLITE
from tests.http.test_command import COMMAND, environment
from tests.terminals import at_a_terminal, hear_ctrl_c
from tests.worlds import a_desk, a_key


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


async def test_what_is_refused_is_told_with_its_place_and_the_rest_is_stored(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    bad = {"specversion": "1.0", "source": "/meters", "type": "t", "data": {"a\n\x1b[2J": 1e400}}
    lines = [an_event("a"), bad, an_event("b"), 17]
    text = "\n".join(map(json.dumps, lines)).replace("Infinity", "1e400")
    file.write_text(text + "\nno JSON\n")

    ran = await command(database_url, "import", file)

    assert (ran.code, ran.out) == (
        1,
        "Imported 2, already there 0, counted as duplicates 0, refused 3.\n",
    )
    assert ran.err == [
        "line 2: id: Is required.",
        "line 4: Must be a CloudEvent: a JSON object.",
        "line 5: Is no JSON: Expecting value (character 1).",
    ]
    assert await count(database) == 2


async def test_a_value_that_cannot_be_kept_is_told_on_one_line(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps([an_event("a", data={"x\n\x1b[2J": "\0"})]))

    ran = await command(database_url, "import", file)

    assert ran.code == 1
    assert ran.err == ["index 0: data.x  [2J: Character 1 is U+0000, which cannot be kept."]
    assert await count(database) == 0


async def test_a_second_run_imports_and_counts_nothing_again(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    desk = await a_desk(database)
    given = {
        "name": "once a type",
        "fingerprint": ("type",),
        "window": timedelta(hours=1),
        "action": DuplicateAction.COUNT,
    }
    await duplication_rules.create(database, desk, None, given, enabled=True)
    file = tmp_path / "events.ndjson"
    file.write_bytes(events_named(["a", "b", "c"]))

    first = await command(database_url, "import", file)
    second = await command(database_url, "import", file)

    assert (first.code, second.code) == (0, 0)
    assert first.out == "Imported 1, already there 0, counted as duplicates 2, refused 0.\n"
    assert second.out == "Imported 0, already there 3, counted as duplicates 0, refused 0.\n"
    async with database.read(EVERYWHERE) as session:
        assert list(await session.scalars(select(col(tables.Event.occurrences)))) == [3]


async def test_an_import_goes_to_one_organization_under_a_name(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await a_key(database, organization="acme")
    file = tmp_path / "events.ndjson"
    file.write_bytes(events_named(["a"]))
    to_acme = ("import", file, "--organization", "acme")

    ran = await command(database_url, *to_acme)
    file.write_bytes(events_named(["b"]))
    named = await command(database_url, *to_acme, "--actor", "migration")

    assert (ran.code, named.code) == (0, 0)
    table = tables.Change
    logged = select(table, tables.Organization).where(
        col(table.kind) == "LOGGED", col(tables.Organization.id) == col(table.organization_id)
    )
    async with database.read(EVERYWHERE) as session:
        rows = (await session.execute(logged.order_by(col(table.seq)))).all()
    told = [(change.actor, organization.key) for change, organization in rows]
    assert told == [("tocsin import", "acme"), ("migration", "acme")]


async def test_an_export_is_known_again_elsewhere_and_refused_where_it_came_from(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await a_key(database, organization="acme")
    file, acme = tmp_path / "events.ndjson", ("--organization", "acme")
    file.write_bytes(events_named(["a"]))
    await command(database_url, "import", file)
    file.write_text((await command(database_url, "export")).out)

    back = await command(database_url, "import", file)
    elsewhere = await command(database_url, "import", file, *acme)
    file.write_text((await command(database_url, "export", *acme)).out)
    again = await command(database_url, "import", file, *acme)

    assert (back.code, elsewhere.code, again.code) == (1, 0, 0)
    assert back.err[0].startswith("line 1: id: ")
    assert back.out == "Imported 0, already there 0, counted as duplicates 0, refused 1.\n"
    assert elsewhere.out == "Imported 1, already there 0, counted as duplicates 0, refused 0.\n"
    assert again.out == "Imported 0, already there 1, counted as duplicates 0, refused 0.\n"
    assert await count(database) == 2


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.json"], "nowhere.json cannot be read: No such file or directory."),
        (["/"], "/ cannot be read: Is a directory."),
        ([__file__, "--organization", "other"], "There is no organization 'other'."),
        ([__file__, "--actor", "a\nb"], "--actor: Character 2 is U+000A, which"),
    ],
)
async def test_a_mistake_in_the_arguments_is_told_in_a_line(
    database_url: str, arguments: list[str], told: str
) -> None:
    ran = await command(database_url, "import", *arguments)

    assert (ran.code, ran.out) == (2, "")
    [line] = ran.err
    assert line.startswith(told)


async def test_a_server_that_runs_delivers_what_is_imported(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(events_named(["a", "b"]))
    async with client.subscription("subscription { eventChanged { event { sourceId } } }") as heard:
        await command(database_url, "import", file)

        delivered = [await heard.next(), await heard.next()]

    assert delivered == [{"event": {"sourceId": "a"}}, {"event": {"sourceId": "b"}}]


@asynccontextmanager
async def reading_from_us(
    folder: Path, database_url: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`tocsin import -`, the command itself, with pipes to it."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        "import",
        "-",
        cwd=folder,
        env=environment(database_url=database_url) | {"PYTHONPATH": ":".join(sys.path)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=hear_ctrl_c,
    )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until_at_rest(pid: int) -> None:
    """What is stored is not counted yet: it waits for input when none of its threads has run."""

    def seen() -> list[tuple[str, ...]]:
        stats = [each.read_text().rpartition(")")[2].split() for each in threads.glob("*/stat")]
        return [(each[0], *each[11:13]) for each in stats]

    threads = Path(f"/proc/{pid}/task")
    before: list[tuple[str, ...]] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (now := seen()) != before or {each[0] for each in now} != {"S"}:
            before = now
            await asyncio.sleep(0.1)


async def until_stored(database: Database, wanted: int) -> None:
    while await count(database) < wanted:
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_a_bar_is_shown_on_a_terminal_and_nowhere_else(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(events_named(["a", "b"]) + b"no JSON\n")
    settings = environment(database_url=database_url)

    code, out, shown = await at_a_terminal(COMMAND, "import", str(file), env=settings)
    piped = await command(database_url, "import", file)

    assert (code, await count(database)) == (1, 2)
    assert out == "Imported 2, already there 0, counted as duplicates 0, refused 1.\n"
    assert "3 events" in shown
    assert "100%" in shown
    assert "line 3: Is no JSON: Expecting value (character 1)." in shown
    assert piped.err == ["line 3: Is no JSON: Expecting value (character 1)."]


async def test_what_was_killed_is_run_again_and_everything_is_there_once(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(events_named(range(700)))
    async with reading_from_us(tmp_path, database_url) as process:
        assert process.stdin is not None
        process.stdin.write(events_named(range(600)))
        await until_stored(database, 500)  # it waits for the rest of its second batch
        process.kill()
        await process.wait()
    assert await count(database) == 500

    again = await command(database_url, "import", file)

    assert (again.code, again.err) == (0, [])
    assert again.out == "Imported 200, already there 500, counted as duplicates 0, refused 0.\n"
    assert await count(database) == 700


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_ctrl_c_ends_the_wait_for_input_and_tells_what_was_done(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    async with reading_from_us(tmp_path, database_url) as process:
        assert process.stdin is not None
        process.stdin.write(events_named(range(600)))
        await until_stored(database, 500)
        await until_at_rest(process.pid)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
        out, err = await process.communicate()

    assert out == b"Imported 500, already there 0, counted as duplicates 0, refused 0.\n"
    assert err.decode().startswith("Interrupted. Run it again:")


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
def test_ctrl_c_between_two_batches_is_heard_before_more_is_waited_for(database_url: str) -> None:
    def reads() -> Iterator[Read]:
        yield Read("line 1", size=1, flaw="Is no JSON.")
        raise AssertionError("It waited for line 2.")

    async def interrupted() -> Import:
        reporter = Caller("cli", uuid4(), frozenset({Permission.EVENT_CREATE}))
        job = Import(Database(database_url), reporter, Limits(message_bytes=1), lambda _: None)
        job.advance = lambda _: signal.raise_signal(signal.SIGINT)
        await job.run(reads())
        await job.database.close()
        return job

    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        job = asyncio.run(interrupted())
    finally:
        signal.signal(signal.SIGINT, kept)

    assert (job.tally.refused, job.tally.broken) == (1, INTERRUPTED)
