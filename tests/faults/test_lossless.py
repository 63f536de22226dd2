"""Small versions of `benchmarks/faults.py`, with its servers and clients, which only count.

Everything that writers and subscribers received is compared with the change log.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol as Connection,
)

from app.services.change_log.broadcast import Broadcast
from app.store.change_log.changes import Entry
from benchmarks import faults, soak
from benchmarks.faults_checks import FaultClient, FaultFigures
from benchmarks.faults_cluster import FaultCluster, await_writes, check_against_log, find_free_port
from tests.conftest import Serve
from tests.graphql.test_sockets_ending import (
    LARGE,
    initialize_connection,
    log_large_notifications,
    open_connection,
    open_small_buffer_socket,
    subscribe,
)
from tests.http.test_command import create_empty_database

Fault = Callable[[FaultCluster, FaultFigures, Namespace], None]
CUTS = 6
NOTHING = (
    "lost",
    "stored twice",
    "missed",
    "repeated",
    "out of order",
    "errors in the servers' logs",
)
NOTHING_LOST = dict.fromkeys(NOTHING, "0")
BELL = """
subscription ($after: String) { notificationAdded(after: $after) { node { summary content } } }
"""


async def run_fault(fault: Fault, database_url: str, folder: Path) -> dict[str, str]:
    """Returns the table of the fault. No check may have failed."""
    empty = await create_empty_database(database_url, folder)
    figures = FaultFigures()

    def run_on_cluster() -> None:
        with FaultCluster(empty) as site:
            fault(site, figures, Namespace(writers=4))
            figures.record_logged_errors(site.read_logged_errors())

    await asyncio.to_thread(run_on_cluster)
    [table] = figures.tables.values()
    assert figures.broken == []
    assert int(table["acknowledged"].replace(",", "")) > 0
    return table


def kill_and_cut(site: FaultCluster, figures: FaultFigures, _: Namespace) -> None:
    """Two servers. One is killed and started again, and sockets of both are cut."""
    figures.start_fault("kill -9 and cut sockets under writers")
    ports = [find_free_port(), find_free_port()]
    killed, other = [site.start_server(port) for port in ports]
    client_of_other = FaultClient(other.url)
    subscribers = site.start_subscribers(ports, client_of_other.fetch_head(), 8)
    writers = site.start_writers(ports, 4)
    await_writes(other, 10)
    for _cut in range(CUTS):
        subscribers.send({"do": "cut"})
        assert subscribers.receive() == "cut"
    killed.kill()
    await_writes(site.start_server(ports[0]), 10)
    _, received = check_against_log(figures, client_of_other, writers, subscribers)
    figures.record("sockets resumed", sum(len(each["codes"]) for each in received))


async def test_killed_servers_and_cut_sockets_lose_and_repeat_nothing(
    database_url: str, tmp_path: Path
) -> None:
    table = await run_fault(kill_and_cut, database_url, tmp_path)

    assert table.items() >= NOTHING_LOST.items()
    assert int(table["sockets resumed"]) >= CUTS


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_sigterm_interrupts_no_request_and_sockets_resume_without_a_gap(
    database_url: str, tmp_path: Path
) -> None:
    """SQLite is covered by `test_workers.py`, with persistent connections and sockets."""
    table = await run_fault(faults.drain_servers, database_url, tmp_path)

    assert table.items() >= NOTHING_LOST.items()
    assert (table["aborted requests"], table["exit code"]) == ("0", "0")
    assert table["WebSocket close codes"] == "1012: 8"


def hold_briefly(site: FaultCluster, figures: FaultFigures, _: Namespace) -> None:
    options = Namespace(writers=4, seconds=6, longest=3, pause=0.2)
    soak.hold_transactions(site, figures, options)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_transactions_of_other_programs_lose_and_repeat_nothing(
    database_url: str, tmp_path: Path
) -> None:
    table = await run_fault(hold_briefly, database_url, tmp_path)

    assert table.items() >= NOTHING_LOST.items()
    assert table["`/ready`: any other status"] == "0"
    assert int(table["foreign transactions that write to a different database"]) >= 2


async def test_the_memory_for_subscribers_that_do_not_read_is_bounded(
    database_url: str, serve: Serve, connections: list[Connection], buffered_bytes_seen: list[int]
) -> None:
    most = 3 * len(LARGE) + 3_000
    async with (
        serve(database_url, subscriptions={"buffer_bytes": most}) as client,
        AsyncExitStack() as stack,
    ):
        silent = []
        for n in range(5):
            narrow = open_connection(client, sock=open_small_buffer_socket(client), max_queue=1)
            stuck = await stack.enter_async_context(narrow)
            await initialize_connection(stuck, client)
            await subscribe(stuck, client, str(n))
            stack.callback(stuck.transport.abort)
            silent.append(stuck)
        head = await client.execute_field("{ logHead }")
        async with client.subscription(BELL, after=head) as healthy:
            logged = asyncio.create_task(log_large_notifications(client, 60))
            received = [each["node"]["summary"] for each in await healthy.receive_many(60)]
            summaries = await logged
            for stuck in silent:
                for n in range(1_000):
                    await stuck.ping(f"{n:0125}")  # each requires a pong
            unsent = [each.transport.get_write_buffer_size() for each in connections]

    assert received == summaries
    assert len(unsent) == 6
    # At most one response is being sent, after less than the 64 KiB at which the sender waits.
    assert max(unsent) < 65_536 + len(LARGE) + 1_000
    assert 0 < max(buffered_bytes_seen) <= most


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    """The connections of the server."""
    seen: list[Connection] = []
    original_connection_made = Connection.connection_made

    def record(connection: Connection, transport: Any) -> None:
        seen.append(connection)
        original_connection_made(connection, transport)

    monkeypatch.setattr(Connection, "connection_made", record)
    return seen


@pytest.fixture
def buffered_bytes_seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The largest number of buffered bytes of a subscriber after each delivery."""
    seen: list[int] = []
    deliver = Broadcast._deliver

    async def record(broadcast: Broadcast, entries: Sequence[Entry]) -> None:
        await deliver(broadcast, entries)
        seen.append(max(each.buffered_bytes for each in broadcast.subscribers))

    monkeypatch.setattr(Broadcast, "_deliver", record)
    return seen
