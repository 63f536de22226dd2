"""The commands `tocsin log` and `tocsin tail`, against a server."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import signal
import ssl
import sys
import termios
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from app.cli import main
from app.services.change_log.pruning import prune_entries
from app.store.engine.database import Database
from tests.client import TIMEOUT_SECONDS, Client
from tests.configuration.command import create_key, run_config
from tests.conftest import POSTGRESQL, SQLITE, Serve
from tests.http.test_command import (
    COMMAND,
    command_environment,
    end_process,
    find_free_port,
    start_server,
)
from tests.pseudo_terminal import restore_sigint, run_in_terminal
from tests.reverse_proxy import write_certificate

STORED = "{ events(orderBy: {field: RECORDED_AT, direction: ASC}) { nodes { id summary } } }"
EVENT = """
query ($id: ID!) {
  event(id: $id) {
    type severity summary content source sourceId subject entity { type entityId } occurredAt
    fields tags notification alertKey status occurrences resolutionNote
  }
}
"""
ACKNOWLEDGE = "mutation ($id: ID!) { acknowledgeEvent(id: $id) { userErrors { code } } }"
CREATE_READER = """
mutation {
  createApiKey(input: {name: "reader", permissions: [EVENT_READ]}) { apiKey { id } secret }
}
"""
# Transactions that log an event with the source "late" wait for a lock before they commit.
DELAY_LATE_EVENTS = """
CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
CREATE TRIGGER wait_for_test AFTER INSERT ON change FOR EACH ROW
WHEN (NEW.state->>'source' = 'late') EXECUTE FUNCTION wait_for_test();
"""
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted"
COMPLETE = """
query ($after: String) {
  eventChanges(complete: true, first: 2, after: $after) {
    nodes { event { summary } } pageInfo { hasNextPage endCursor }
  }
}
"""
REVOKE = "mutation ($id: ID!) { revokeApiKey(id: $id) { userErrors { code } } }"
UNREACHABLE = "http://127.0.0.1:1"


async def run_client_command(
    client: Client, *arguments: str, stdin: bytes | None = None, **environment: str
) -> tuple[int, str, str]:
    """Runs the command in this process. Returns exit code, standard output and standard error."""
    variables = client_environment(client) | environment
    options = [*arguments]
    if arguments[0] == "log" and "--timeout" not in arguments:
        options += ["--timeout", str(TIMEOUT_SECONDS)]
    if organization := client.headers.get("data-partition-id"):
        options += ["--organization", organization]
    # The server runs in this process, too: its logs are not part of the output.
    with capture_logs():
        result = await asyncio.to_thread(
            CliRunner().invoke, main, options, env=variables, input=stdin
        )
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def client_environment(client: Client) -> dict[str, str]:
    return {"TOCSIN_URL": client.url, "TOCSIN_KEY": client.key or ""}


@contextlib.asynccontextmanager
async def start_tail(
    client: Client, *arguments: str, stdout: int = asyncio.subprocess.PIPE
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs `tocsin tail` as a process, which follows new events when this yields."""
    options = list(arguments)
    if organization := client.headers.get("data-partition-id"):
        options += ["--organization", organization]
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        "tail",
        *options,
        env=command_environment() | client_environment(client),
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=restore_sigint,
    )
    try:
        yield process
    finally:
        await end_process(process)


async def wait_for_file(file: Path) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not file.exists():
            await asyncio.sleep(0.02)


async def read_lines(process: asyncio.subprocess.Process, count: int) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(TIMEOUT_SECONDS):
        return [(await process.stdout.readline()).decode() for _ in range(count)]


async def fetch_summaries(client: Client) -> list[str]:
    return [event["summary"] for event in (await client.execute_field(STORED))["nodes"]]


def parse_summaries(lines: list[str]) -> list[str]:
    return [json.loads(line)["summary"] for line in lines]


async def test_log_stores_an_event_with_its_attributes_and_prints_its_id(client: Client) -> None:
    options = (
        *("--severity", "Warning", "--source", "host-1", "--type", "disk", "--subject", "/var"),
        *("--entity-type", "Host", "--entity-id", "1", "--tag", "a", "--tag", "b", "--notify"),
        *("--fields", '{"free": 0.10000000000000000000001}', "--content", "-"),
        *("--occurred-at", "2026-04-10T12:30:00+02:00", "--source-id", "7", "--alert-key", "k"),
    )

    code, out, err = await run_client_command(
        client, "log", "disk full", *options, stdin=b"/dev/sda1 \xff\n100%"
    )

    assert (code, err) == (0, "")
    assert await client.execute_field(EVENT, id=out.strip()) == {
        "type": "disk",
        "severity": "WARN",
        "summary": "disk full",
        "content": "/dev/sda1 \N{REPLACEMENT CHARACTER}\n100%",
        "source": "host-1",
        "sourceId": "7",
        "subject": "/var",
        "entity": {"type": "Host", "entityId": "1"},
        "occurredAt": "2026-04-10T10:30:00.000000Z",
        "fields": {"free": 0.1},
        "tags": ["a", "b"],
        "notification": True,
        "alertKey": "k",
        "status": "OPEN",
        "occurrences": 1,
        "resolutionNote": None,
    }


async def test_log_counts_and_resolves_the_event_of_an_alert_key(client: Client) -> None:
    alert = ("--source", "host-1", "--alert-key", "disk")

    first = await run_client_command(client, "log", "full", *alert, "--notify")
    counted = await run_client_command(client, "log", "fuller", *alert, "--notify")
    resolved = await run_client_command(client, "log", "space again", *alert, "--resolve")
    none = await run_client_command(client, "log", "space again", *alert, "--resolve")

    assert first == counted == resolved == (0, first[1], "")
    event = await client.execute_field(EVENT, id=first[1].strip())
    assert (event["occurrences"], event["status"]) == (2, "RESOLVED")
    assert event["resolutionNote"] == "space again"
    assert none[:2] == (0, "")
    assert none[2].startswith("Warning: There is nothing to resolve: ")
    assert await fetch_summaries(client) == ["full"]


async def test_log_reports_each_mistake_with_its_option_and_stores_nothing(
    client: Client,
) -> None:
    log = ("log", "x")
    reader = client.as_key(await create_key(client, "EVENT_READ"), **partition_of(client))
    usage = [
        await run_client_command(client, *log, "--fields", "{"),
        await run_client_command(client, *log, "--fields", '{"a": 1e400}'),
        await run_client_command(client, *log, "--entity-id", "1"),
        await run_client_command(client, *log, "--key-file", "/nowhere/key"),
        await run_client_command(client, *log, TOCSIN_KEY=" "),
        await run_client_command(client, *log, TOCSIN_URL="localhost:8000"),
        await run_client_command(client, *log, "--occurred-at", "noon"),
        await run_client_command(client, "log", " "),
    ]
    rejected = [
        await run_client_command(client, *log, "--resolve"),
        await run_client_command(client, *log, "--fields", "[1]"),
        await run_client_command(client, *log, "--source", ""),
        await run_client_command(client, *log, "--occurred-at", "2999-01-01T00:00:00Z"),
        await run_client_command(client, *log, "--entity-type", "", "--entity-id", "1"),
        await run_client_command(client, *log, "--entity-type", "a", "--entity-id", ""),
    ]
    refused = [
        await run_client_command(client, *log, TOCSIN_KEY="tocsin_secret"),
        await run_client_command(reader, *log),
    ]

    assert usage == [
        (
            2,
            "",
            "--fields: The value is not valid JSON: Expecting property name enclosed in double "
            "quotes: line 1 column 2 (char 1).\n",
        ),
        (2, "", "--fields: The value has a number that is too large.\n"),
        (2, "", "--entity-type and --entity-id: Use both of them, or none.\n"),
        (2, "", "Cannot read /nowhere/key: No such file or directory.\n"),
        (2, "", "No API key: set TOCSIN_KEY, or --key-file.\n"),
        (
            2,
            "",
            "Invalid address of the server 'localhost:8000': expected http:// or https://.\n",
        ),
        (
            2,
            "",
            "--occurred-at: Invalid time 'noon'. Use a time with a UTC offset or Z, for example "
            "2027-01-01T00:00:00Z.\n",
        ),
        (2, "", "SUMMARY: The value is empty. Describe the event.\n"),
    ]
    places = ["--alert-key: ", "--fields: ", "--source: ", "--occurred-at: "]
    places += ["--entity-type: ", "--entity-id: "]
    for (code, out, err), place in zip(rejected, places, strict=True):
        assert (code, out, err[: len(place)]) == (1, "", place), err
    assert [(code, out) for code, out, _ in refused] == [(3, "")] * 2
    assert refused[0][2].startswith("Invalid API key.")
    assert "tocsin_secret" not in refused[0][2]
    assert "EVENT_CREATE" in refused[1][2]
    assert await fetch_summaries(client) == []


def partition_of(client: Client) -> dict[str, str]:
    return {"data_partition_id": client.headers["data-partition-id"]}


async def test_log_repeats_a_lost_report_which_is_stored_and_counted_once(client: Client) -> None:
    alert = ("--source", "host-1", "--alert-key", "disk")
    async with lose_first_response(client.url) as (proxy, connections):
        first = await run_client_command(client, "log", "full", *alert, TOCSIN_URL=proxy)
        connections.clear()
        counted = await run_client_command(client, "log", "full", *alert, TOCSIN_URL=proxy)

    assert first == counted == (0, first[1], "")
    assert len(connections) == 2
    event = await client.execute_field(EVENT, id=first[1].strip())
    assert event["occurrences"] == 2


@contextlib.asynccontextmanager
async def lose_first_response(url: str) -> AsyncIterator[tuple[str, list[int]]]:
    """A proxy that closes the first connection instead of forwarding its response.

    Yields its address and the list of connections. A client that clears it loses a response again.
    """
    host, port = url.removeprefix("http://").split(":")
    connections: list[int] = []

    async def forward(client: asyncio.StreamReader, response: asyncio.StreamWriter) -> None:
        connections.append(len(connections))
        is_lost = len(connections) == 1
        server, request = await asyncio.open_connection(host, int(port))
        head = await client.readuntil(b"\r\n\r\n")
        [length] = re.findall(rb"content-length: (\d+)", head.lower())
        request.write(head + await client.readexactly(int(length)))
        received = await server.read(65_536)
        if not is_lost:
            response.write(received)
            await response.drain()
        for writer in (request, response):
            writer.close()
            await writer.wait_closed()

    proxy = await asyncio.start_server(forward, "127.0.0.1", 0)
    async with proxy:
        yield f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}", connections


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_commands_that_reach_no_server_exit_with_4(client: Client) -> None:
    options = ("--source-id", "7", "--timeout", "1")

    logged = await run_client_command(client, "log", "x", *options, TOCSIN_URL=UNREACHABLE)
    printed = await run_client_command(client, "tail", TOCSIN_URL=UNREACHABLE)
    elsewhere = await run_client_command(client, "tail", TOCSIN_URL=f"{client.url}/health")

    reason = f"Cannot reach {UNREACHABLE}/graphql: [Errno 111] Connection refused."
    hint = "To repeat this report safely, add: --source-id 7"
    assert logged == (4, "", f"{reason} {hint}\n")
    assert printed == (4, "", f"{reason}\n")
    assert elsewhere[:2] == (1, "")
    assert "The GraphQL API is at /graphql." in elsewhere[2]


@contextlib.asynccontextmanager
async def start_other_server(certificate: Path | None) -> AsyncIterator[tuple[str, list[str]]]:
    """Runs a server that is not usable. Yields its address, and a list of its connections."""
    connections: list[str] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append("")
        with contextlib.suppress(OSError):
            if certificate is None:
                await reader.read(1)
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            else:
                context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                context.load_cert_chain(certificate / "certificate.pem", certificate / "key.pem")
                await writer.start_tls(context)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
@pytest.mark.parametrize("has_certificate", [True, False])
async def test_commands_do_not_try_again_if_no_connection_with_tls_can_be_opened(
    client: Client, tmp_path: Path, has_certificate: bool
) -> None:
    write_certificate(tmp_path)
    async with start_other_server(tmp_path if has_certificate else None) as (url, connections):
        logged = await run_client_command(client, "log", "x", "--source-id", "7", TOCSIN_URL=url)
        attempts = len(connections)
        printed = await run_client_command(client, "tail", TOCSIN_URL=url)
        exported = await run_config(Client(url, client.key), "export")

    reason = (
        "The certificate of the server is not valid: self-signed certificate. If it is from a "
        "certificate authority of your own, set SSL_CERT_FILE to the file of the authority's "
        "certificate."
        if has_certificate
        else "TLS failed (wrong version number). If the server does not use TLS, begin its address "
        "with http://."
    )
    message = f"Cannot reach {url}/graphql: {reason}"
    hint = "To repeat this report safely, add: --source-id 7"
    assert logged == (4, "", f"{message} {hint}\n")
    assert attempts == 1
    assert printed == (4, "", f"{message}\n")
    assert exported == (1, "", f"{message}\n")


async def test_tail_resumes_after_a_killed_server_and_a_restart_without_a_gap(
    database_url: str, tmp_path: Path
) -> None:
    port, cursor = find_free_port(), tmp_path / "cursor"
    options = ("--json", "--lines", "0", "--cursor-file", str(cursor))
    # Lines of JSON and of event streams end at a line feed only.
    expected = ["a\u2028b \x85 \N{SNOWMAN}", "b", "c", "d"]
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(f"http://127.0.0.1:{port}"))
        async with start_server(tmp_path, port, database_url=database_url) as (server, _):
            tail = await stack.enter_async_context(start_tail(client, *options))
            await wait_for_file(cursor)
            await client.log_event(summary=expected[0])
            lines = await read_lines(tail, 1)
            await client.log_event(summary="b")
            server.kill()
            await server.wait()
        async with start_server(tmp_path, port, database_url=database_url):
            await client.log_event(summary="c")
            lines += await read_lines(tail, 2)
            tail.send_signal(signal.SIGINT)
            out, err = await tail.communicate()
            await client.log_event(summary="d")
            again = await stack.enter_async_context(start_tail(client, *options, "--no-follow"))
            rest, _ = await again.communicate()

    assert parse_summaries(lines + rest.decode().splitlines()) == expected
    assert (tail.returncode, out, again.returncode) == (130, b"", 0)
    lost, connected = err.decode().splitlines()
    assert lost.endswith(" Reconnecting.")
    assert connected == "Connected again."


async def test_tail_prints_stored_events_that_match_and_their_text_without_control_characters(
    client: Client,
) -> None:
    event = {"severity": "error", "source": "host-1", "occurredAt": "2026-04-10T10:30:00.5Z"}
    first = await client.log_event(summary="\x1b[31mfull\n", tags=["a", "b"], **event)
    await client.log_event(summary="other severity", source="host-1", tags=["a", "b"])
    await client.log_event(summary="other source", severity="error", tags=["a", "b"])
    await client.log_event(summary="other tags", tags=["a"], **event)
    await client.execute_field(ACKNOWLEDGE, id=first["id"])

    options = ("--severity", "ERROR", "--source", "host-1", "--tag", "a", "--tag", "b")
    printed = await run_client_command(client, "tail", "--no-follow", *options)

    assert printed == (0, "2026-04-10T10:30:00Z ERROR   host-1:  [31mfull \n", "")


async def test_tail_without_following_prints_all_pages_after_the_stored_cursor(
    client: Client, tmp_path: Path
) -> None:
    cursor = tmp_path / "cursor"
    options = ("tail", "--no-follow", "--json", "--cursor-file", str(cursor))
    await client.log_event(summary="before")

    first = await run_client_command(client, *options, "--lines", "1")
    for number in range(45):
        await client.log_event(summary=f"{number}", severity="warn")
    second = await run_client_command(client, *options)
    third = await run_client_command(client, *options, "--severity", "error")

    assert [code for code, _, _ in (first, second, third)] == [0, 0, 0]
    assert parse_summaries(first[1].splitlines()) == ["before"]
    assert parse_summaries(second[1].splitlines()) == [f"{number}" for number in range(45)]
    last = json.loads(second[1].splitlines()[-1])["cursor"]
    assert third[1:] == ("", "")
    after_last = await run_client_command(client, "tail", "--no-follow", "--after", last)
    after_file = await run_client_command(client, *options)
    assert after_last == after_file == (0, "", "")


@contextlib.asynccontextmanager
async def log_late_event(client: Client, database_url: str, summary: str) -> AsyncIterator[None]:
    """Logs an event whose transaction is open in the block, and commits after it."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(DELAY_LATE_EVENTS)
    await connection.execute("SELECT pg_advisory_lock(1)")
    async with asyncio.timeout(TIMEOUT_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(client.log_event(summary=summary, source="late"))
        while await connection.fetchval(WAITING) == 0:
            await asyncio.sleep(0.02)
        yield
        await connection.close()


@pytest.mark.parametrize("dialect", [POSTGRESQL], indirect=True)
async def test_tail_without_following_misses_no_event_that_is_committed_late(
    own_client: Client, database_url: str, tmp_path: Path
) -> None:
    cursor = str(tmp_path / "cursor")
    options = ("tail", "--no-follow", "--json", "--lines", "0", "--cursor-file", cursor)
    await run_client_command(own_client, *options)
    start = await own_client.execute_field(COMPLETE)

    async with log_late_event(own_client, database_url, "late"):
        await own_client.log_event(summary="later")
        meanwhile = await run_client_command(own_client, *options)
        page = await own_client.execute_field(COMPLETE)
    printed = await run_client_command(own_client, *options)
    again = await run_client_command(own_client, *options)
    after = page["pageInfo"]["endCursor"]
    following = await own_client.execute_field(COMPLETE, after=after)

    assert start == page
    assert page["nodes"] == []
    assert page["pageInfo"]["hasNextPage"] is False
    assert meanwhile == again == (0, "", "")
    assert parse_summaries(printed[1].splitlines()) == ["late", "later"]
    assert [node["event"]["summary"] for node in following["nodes"]] == ["late", "later"]


async def test_a_quiet_tail_resumes_after_events_that_it_does_not_print_have_been_pruned(
    serve: Serve, database_url: str, database: Database, tmp_path: Path
) -> None:
    cursor, key_file = tmp_path / "cursor", tmp_path / "key"
    options = (
        *("--severity", "error", "--lines", "0", "--json"),
        *("--cursor-file", str(cursor), "--key-file", str(key_file)),
    )
    async with serve(database_url, sockets={"ping_interval_seconds": 0.05}) as client:
        old = await client.execute_field(CREATE_READER)
        new = await client.execute_field(CREATE_READER)
        key_file.write_text(old["secret"])
        async with start_tail(client, *options) as process:
            await wait_for_file(cursor)
            for number in range(3):
                await client.log_event(summary=f"{number}")
            head = await client.execute_field("{ logHead }")
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while cursor.read_text().strip() != head:
                    await asyncio.sleep(0.02)
            await prune_entries(database, datetime.now(UTC) + timedelta(days=1))
            key_file.write_text("")
            await client.execute_field(REVOKE, id=old["apiKey"]["id"])
            await client.log_event(summary="full", severity="error")
            assert process.stderr is not None
            async with asyncio.timeout(TIMEOUT_SECONDS):
                lost = (await process.stderr.readline()).decode()
                refused = (await process.stderr.readline()).decode()
            key_file.write_text(new["secret"])
            lines = await read_lines(process, 1)

    assert lost.endswith(" Reconnecting.\n")
    assert "(UNAUTHENTICATED)" in refused
    assert refused.endswith(f" Waiting for a new key in {key_file}.\n")
    assert parse_summaries(lines) == ["full"]


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_tail_ends_on_a_signal_and_completes_its_last_line_if_it_is_read(
    client: Client, tmp_path: Path
) -> None:
    cursor = tmp_path / "cursor"
    codes, outputs, cursors = [], [], []
    for signal_number, is_read in ((signal.SIGINT, True), (signal.SIGTERM, False)):
        cursor.unlink(missing_ok=True)
        reading, writing = os.pipe()
        fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 4096)
        options = ("--json", "--lines", "0", "--cursor-file", str(cursor))
        async with start_tail(client, *options, stdout=writing) as process:
            os.close(writing)
            await wait_for_file(cursor)
            await client.log_event(summary="large", content="x" * 20_000)
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while count_unread_bytes(reading) < fcntl.fcntl(reading, fcntl.F_GETPIPE_SZ):
                    await asyncio.sleep(0.02)
            before = cursor.read_text()
            process.send_signal(signal_number)
            async with asyncio.timeout(TIMEOUT_SECONDS):
                if is_read:
                    outputs.append(await asyncio.to_thread(read_to_end, reading))
                codes.append(await process.wait())
            cursors.append((before, cursor.read_text()))
        os.close(reading)

    assert codes == [130, -signal.SIGTERM]
    [line] = outputs[0].splitlines()
    assert json.loads(line)["content"] == "x" * 20_000
    assert cursors[0] == (cursors[0][0], json.loads(line)["cursor"] + "\n")
    assert cursors[1][0] == cursors[1][1]


def read_to_end(pipe: int) -> bytes:
    return b"".join(iter(lambda: os.read(pipe, 65_536), b""))


def count_unread_bytes(pipe: int) -> int:
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_tail_refuses_empty_values_and_an_empty_cursor_file(
    client: Client, tmp_path: Path
) -> None:
    await client.log_event(summary="stored")
    empty = tmp_path / "cursor"
    empty.write_text("\n")
    options = ("--after", "--source", "--type", "--tag", "--organization")

    refused = [await run_client_command(client, "tail", "--no-follow", o, "") for o in options[:4]]
    nowhere = await run_client_command(
        client.as_key(client.key), "tail", "--no-follow", "--organization", ""
    )
    file = await run_client_command(client, "tail", "--no-follow", "--cursor-file", str(empty))

    assert [*refused, nowhere] == [
        (2, "", f"{option}: The value is empty. Omit the option, or set a value.\n")
        for option in options
    ]
    assert file == (2, "", f"--cursor-file: {empty} is empty. Delete it to start again.\n")
    assert empty.read_text() == "\n"


async def test_tail_refuses_cursors_and_files_that_it_cannot_use(
    own_client: Client, database: Database, tmp_path: Path
) -> None:
    cursor = tmp_path / "cursor"
    options = ("tail", "--no-follow", "--lines", "0", "--cursor-file")
    started = await run_client_command(own_client, *options, str(cursor))
    await own_client.log_event(summary="pruned")
    await prune_entries(database, datetime.now(UTC) + timedelta(days=1))
    await own_client.log_event(summary="kept")

    expired = await run_client_command(own_client, *options, str(cursor))
    damaged = await run_client_command(own_client, "tail", "--after", "nope")
    folder = await run_client_command(own_client, *options, str(tmp_path))
    nowhere = await run_client_command(own_client, *options, str(tmp_path / "none" / "cursor"))
    misspelt = await run_client_command(own_client, "tail", "--severity", "eror")

    assert started == (0, "", "")
    assert expired[:2] == (1, "")
    assert expired[2].endswith(
        "(CURSOR_EXPIRED) Events may be missing. Start without this cursor.\n"
    )
    assert damaged[:2] == (1, "")
    assert "(INVALID_CURSOR)" in damaged[2]
    assert folder == (2, "", f"--cursor-file: Cannot read {tmp_path}: Is a directory.\n")
    assert nowhere[:2] == (2, "")
    assert nowhere[2].startswith("--cursor-file: Cannot write ")
    assert misspelt[:2] == (2, "")


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_tail_resumes_with_the_new_key_of_its_file_when_the_old_one_is_revoked(
    client: Client, tmp_path: Path
) -> None:
    cursor, key_file = tmp_path / "cursor", tmp_path / "key"
    old = await client.execute_field(CREATE_READER)
    new = await client.execute_field(CREATE_READER)
    options = ("--cursor-file", str(cursor), "--key-file", str(key_file))

    key_file.write_text(f"{old['secret']}\n")
    async with start_tail(client, *options) as process:
        await wait_for_file(cursor)
        await client.log_event(summary="before")
        lines = await read_lines(process, 1)
        key_file.write_text(f"{new['secret']}\n")
        await client.execute_field(REVOKE, id=old["apiKey"]["id"])
        await client.log_event(summary="after")
        lines += await read_lines(process, 1)

    assert [line.rpartition(": ")[2] for line in lines] == ["before\n", "after\n"]


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_tail_ends_silently_when_the_reader_of_its_output_has_ended(
    client: Client, tmp_path: Path
) -> None:
    cursor = tmp_path / "cursor"
    reading, writing = os.pipe()

    async with start_tail(client, "--cursor-file", str(cursor), stdout=writing) as process:
        os.close(writing)
        await wait_for_file(cursor)
        os.close(reading)
        await client.log_event(summary="unread")
        async with asyncio.timeout(TIMEOUT_SECONDS):
            _, err = await process.communicate()

    assert (process.returncode, err) == (0, b"")
    unread = await run_client_command(client, "tail", "--no-follow", "--cursor-file", str(cursor))
    assert unread[1].endswith(": unread\n")


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_tail_uses_colors_only_in_a_terminal_and_without_no_color(client: Client) -> None:
    await client.log_event(summary="full", severity="error", source="host-1")
    partition = client.headers["data-partition-id"]
    command = (COMMAND, "tail", "--no-follow", "--organization", partition)
    environment = command_environment() | client_environment(client)

    colored = await run_in_terminal(*command, env=environment, stdout=True)
    plain = await run_in_terminal(*command, env=environment | {"NO_COLOR": "1"}, stdout=True)

    assert (colored[0], plain[0]) == (0, 0)
    assert "\x1b[31m\x1b[1mERROR  \x1b[0m host-1: full" in colored[2]
    assert "\x1b" not in plain[2]
    assert "Z ERROR   host-1: full" in plain[2]
