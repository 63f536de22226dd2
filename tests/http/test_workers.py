"""Several server processes on one port and one database, and their shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import resource
import signal
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from app.store.engine.advisory_locks import SERVING_LOCK
from tests.client import TIMEOUT_SECONDS, Client
from tests.http.test_command import (
    create_empty_database,
    find_free_port,
    run_command,
    start_server,
)

RINGS = """
subscription ($after: String) { notificationAdded(after: $after) { cursor node { summary } } }
"""
LOG = """
mutation ($summary: String!, $id: String) {
  logEvent(input: {summary: $summary, sourceId: $id, notification: true}) { event { id } }
}
"""
HEAD = "{ logHead }"


async def test_all_workers_deliver_events_of_one_and_a_killed_one_is_replaced(
    database_url: str, tmp_path: Path
) -> None:
    empty = await create_empty_database(database_url, tmp_path)
    port = find_free_port()
    settings = {"database_url": empty, "bootstrap_key": "k"}
    async with start_server(tmp_path, port, "--workers", "3", **settings) as (parent, _):
        async with Client(f"http://127.0.0.1:{port}", "k") as client:
            head = await client.execute_field(HEAD)
        readers = [asyncio.create_task(read_notifications(port, head, 40)) for _ in range(6)]
        workers = await find_workers(parent.pid, 3)
        await log_events(port, range(20))
        before = await scrape_process_metrics(port, 3)

        os.kill(workers[0], signal.SIGKILL)
        await log_events(port, range(20, 40))
        received = await asyncio.gather(*readers)
        after = await find_workers(parent.pid, 3)
        started_at = before["process_start_time_seconds"]
        counted = await scrape_process_metrics(port, 3, started_after=started_at)

        async with Client(f"http://127.0.0.1:{port}", "k") as client:
            async with client.subscription(RINGS) as follower:
                parent.send_signal(signal.SIGTERM)
                await follower.socket.connection.wait_closed()
            ended = await parent.wait()

    assert received == [received[0]] * 6
    assert sorted(received[0]) == [f"{number:02}" for number in range(40)]
    assert (len(after), workers[0] in after) == (3, False)
    assert counted['tocsin_events_total{api="graphql",result="stored"}'] == 40
    # That of the killed worker is kept.
    assert counted["process_cpu_seconds_total"] > before["process_cpu_seconds_total"]
    assert counted["process_resident_memory_bytes"] > 3 * 2**20
    assert follower.socket.connection.close_code == 1012
    assert ended == 0


async def test_workers_exit_if_their_parent_is_killed(tmp_path: Path) -> None:
    async with start_server(tmp_path, port := find_free_port(), "--workers", "2") as (parent, _):
        workers = await find_workers(parent.pid, 2)

        parent.kill()

        async with asyncio.timeout(TIMEOUT_SECONDS):
            while any(Path(f"/proc/{each}").exists() for each in workers):
                await asyncio.sleep(0.05)
    with pytest.raises(httpx.ConnectError):
        await scrape_metrics(port)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_workers_that_cannot_start_end_the_parent_with_the_reason(
    database_url: str, tmp_path: Path
) -> None:
    await reject_readers(database_url)
    port = find_free_port()
    command = ("serve", "--port", str(port), "--workers", "2")
    code, _, err = await run_command(tmp_path, *command, database_url=database_url)

    *lines, reason = err.splitlines()
    replaced = [json.loads(line) for line in lines if "worker_replaced" in line]
    cause = "The database reported an error: no readers. Database: "
    assert code == 1
    assert reason.startswith(f"The workers cannot start. {cause}")
    assert 3 <= len(replaced) <= 6
    assert all(line["reason"].startswith(cause) for line in replaced)
    assert "Traceback" not in err
    with pytest.raises(httpx.ConnectError):
        await scrape_metrics(port)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_worker_that_cannot_start_does_not_end_the_others(
    database_url: str, tmp_path: Path
) -> None:
    settings = {"database_url": database_url}
    async with start_server(tmp_path, port := find_free_port(), "--workers", "2", **settings) as (
        parent,
        _,
    ):
        workers = await find_workers(parent.pid, 2)
        await wait_for_serving_workers(database_url, 2)
        await reject_readers(database_url)
        os.kill(workers[0], signal.SIGKILL)
        seen = set(workers)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while len(seen) < 6:  # after three attempts, the fourth has begun
                seen |= set(find_children(parent.pid))
                await asyncio.sleep(0.05)
        async with Client(f"http://127.0.0.1:{port}") as client:
            counted = await client.execute_field("{ events { totalCount } }")
        await execute(database_url, "DELETE FROM no_readers")
        await wait_for_serving_workers(database_url, 2)
        after = find_children(parent.pid)

    assert counted == {"totalCount": 0}
    assert workers[1] in after


async def execute(database_url: str, *statements: str) -> None:
    connection = await asyncpg.connect(database_url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def reject_readers(database_url: str) -> None:
    """Lets new connections that only read fail, which every worker opens when it starts."""
    await execute(
        database_url,
        "CREATE TABLE no_readers AS SELECT clock_timestamp() AS since",
        "ALTER FUNCTION log_timeline() RENAME TO original_log_timeline",
        "CREATE FUNCTION log_timeline() RETURNS text LANGUAGE plpgsql AS "
        "$$ BEGIN IF current_setting('default_transaction_read_only') = 'on' AND EXISTS "
        "(SELECT FROM no_readers, pg_stat_activity "
        "WHERE pid = pg_backend_pid() AND backend_start > since) THEN "
        "RAISE EXCEPTION 'no readers'; END IF; RETURN original_log_timeline(); END $$",
    )


async def test_no_request_is_interrupted_when_the_server_stops(tmp_path: Path) -> None:
    async with start_server(tmp_path, port := find_free_port(), bootstrap_key="k") as (process, _):
        half_sent = [await send_partial_request(port, part) for part in (b"", b"\r\n\r\n{")]
        writing = [log_until_refused(port) for _ in range(4)]
        writing += [mutate_until_closed(port) for _ in range(4)]
        writers = [asyncio.create_task(each) for each in writing]
        await asyncio.wait(writers, timeout=1)

        process.send_signal(signal.SIGTERM)
        answered = await asyncio.gather(*writers)
        ended = await process.wait()
        left = [await reader.read() for reader, _ in half_sent]
        for _, writer in half_sent:
            writer.close()

    async with (
        start_server(tmp_path, port := find_free_port()),
        Client(f"http://127.0.0.1:{port}", "k") as c,
    ):
        stored = await c.execute_field("{ events { totalCount } }")
    assert (ended, left) == (0, [b"", b""])
    assert min(answered) > 0
    assert stored == {"totalCount": sum(answered)}


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_after_sigterm_new_connections_are_served_while_ready_fails(
    tmp_path: Path, workers: str
) -> None:
    settings = {"bootstrap_key": "k", "drain_seconds": "4"}
    arguments = ("--workers", workers)
    async with start_server(tmp_path, port := find_free_port(), *arguments, **settings) as started:
        process, _ = started
        url = f"http://127.0.0.1:{port}"
        if workers != "1":
            await find_workers(process.pid, int(workers))
        async with Client(url, "k", connection="close") as client:
            before = await client.http.get("/ready")
            process.send_signal(signal.SIGTERM)
            stopped_at = time.monotonic()
            while (stopping := await client.http.get("/ready")).status_code == 200:
                await asyncio.sleep(0.01)
            logged = 0
            with contextlib.suppress(httpx.TransportError):
                while True:
                    await client.log_event(summary="while it stops")
                    logged += 1
                    last_at = time.monotonic() - stopped_at
            ended = await process.wait()

    assert before.status_code == 200
    assert (stopping.status_code, stopping.json()) == (503, {"status": "stopping"})
    assert logged > 0
    assert last_at > 1.5
    assert ended == 0


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_second_ctrl_c_ends_the_server_at_once(tmp_path: Path, workers: str) -> None:
    settings = {"bootstrap_key": "k", "drain_seconds": "600"}
    arguments = ("--workers", workers)
    async with start_server(tmp_path, port := find_free_port(), *arguments, **settings) as started:
        process, _ = started
        async with Client(f"http://127.0.0.1:{port}", "k") as client:
            async with client.subscription(RINGS) as follower:
                process.send_signal(signal.SIGINT)
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    while (await client.http.get("/ready")).status_code == 200:
                        await asyncio.sleep(0.01)
                again_at = time.monotonic()
                process.send_signal(signal.SIGINT)
                await follower.socket.connection.wait_closed()
            ended = await process.wait()
            seconds = time.monotonic() - again_at

    assert ended == 0
    assert seconds < TIMEOUT_SECONDS  # far less than the drain


async def log_events(port: int, numbers: range) -> None:
    """Logs each event on its own connection, and on a new one if its worker was killed."""
    async with Client(f"http://127.0.0.1:{port}", "k", connection="close") as client:
        for number in numbers:
            answer: Any = None
            while answer is None:
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.execute(LOG, summary=f"{number:02}", id=str(number))
            assert "errors" not in answer, answer


async def read_notifications(port: int, after: str, count: int) -> list[str]:
    """Reads notifications, and resumes from the last cursor if the connection breaks."""
    received: list[str] = []
    while len(received) < count:
        with contextlib.suppress(ConnectionClosed, OSError):
            async with (
                Client(f"http://127.0.0.1:{port}", "k") as client,
                client.subscription(RINGS, after=after) as follower,
            ):
                while len(received) < count:
                    rung: Any = await follower.receive_next()
                    received.append(rung["node"]["summary"])
                    after = rung["cursor"]
    return received


async def log_until_refused(port: int) -> int:
    """Sends requests on a keep-alive connection. Returns the number of responses."""
    answered = 0
    async with Client(f"http://127.0.0.1:{port}", "k") as client:
        while True:
            try:
                await client.log_event(summary="kept")
            except httpx.ConnectError:
                return answered
            answered += 1
            await asyncio.sleep(0.01)  # the connection is idle meanwhile


async def mutate_until_closed(port: int) -> int:
    """Sends mutations on a WebSocket. Returns the number of responses."""
    answered = 0
    async with Client(f"http://127.0.0.1:{port}", "k") as client, client.socket() as socket:
        await socket.receive()
        mutation = {"query": LOG, "variables": {"summary": "over a socket"}}
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await socket.send(id="1", type="subscribe", payload=mutation)
                while (await socket.receive())["type"] != "complete":
                    pass
                answered += 1
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    return answered


async def send_partial_request(
    port: int, more: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"
        b"Content-Type: application/json\r\nContent-Length: 100" + more
    )
    await writer.drain()
    return reader, writer


async def scrape_metrics(port: int) -> dict[str, float]:
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    return {name: float(value) for name, value in re.findall(r"^(\w\S*) (\S+)$", text, re.M)}


async def scrape_process_metrics(
    port: int, workers: int, started_after: float = 0
) -> dict[str, float]:
    """Waits until the metrics are those of this many workers, the newest of a later start."""
    max_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            scraped = await scrape_metrics(port)
            is_complete = scraped.get("process_max_fds") == workers * max_files
            if is_complete and scraped["process_start_time_seconds"] > started_after:
                return scraped
            await asyncio.sleep(0.05)


async def wait_for_serving_workers(database_url: str, count: int) -> None:
    """Waits until this many workers hold the lock of a server."""
    connection = await asyncpg.connect(database_url)
    statement = (
        "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database "
        f"WHERE datname = current_database() AND locktype = 'advisory' AND objid = {SERVING_LOCK}"
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while await connection.fetchval(statement) != count:
            await asyncio.sleep(0.05)
    await connection.close()


async def find_workers(parent: int, count: int) -> list[int]:
    """Waits until this many workers run. Returns their process IDs."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while len(workers := find_children(parent)) != count:
            await asyncio.sleep(0.05)
    return workers


def find_children(parent: int) -> list[int]:
    """The process IDs of the workers that run."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(each) for each in children if "spawn_main" in read_command_line(each)]


def read_command_line(process: str) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:  # it has exited
        return ""
