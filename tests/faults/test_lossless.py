"""The small versions of `benchmarks/faults.py`, by its servers and clients: counts alone.

Everything that writers and subscribers were told is compared with the log.
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
from benchmarks import faults
from benchmarks.faults_checks import FaultClient, FaultFigures
from benchmarks.faults_site import FaultCluster, await_writes, check_against_log, find_free_port
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
    """What the fault's table says; nothing of it may be broken."""
    empty = await create_empty_database(database_url, folder)
    figures = FaultFigures()

    def break_it() -> None:
        with FaultCluster(empty) as site:
            fault(site, figures, Namespace(writers=4))
            figures.record_expected_zero("errors in the servers' logs", site.count_logged_errors())

    await asyncio.to_thread(break_it)
    [table] = figures.tables.values()
    assert figures.broken == []
    assert int(table["acknowledged"].replace(",", "")) > 0
    return table


def kill_and_cut(site: FaultCluster, figures: FaultFigures, _: Namespace) -> None:
    """Two servers; one of them is killed and started again, and sockets of both are cut."""
    figures.start_fault("kill -9 and cut sockets under writers")
    ports = [find_free_port(), find_free_port()]
    killed, other = [site.start_server(port) for port in ports]
    asking = FaultClient(other.url)
    subscribers = site.start_subscribers(ports, asking.fetch_head(), 8)
    writers = site.start_writers(ports, 4)
    await_writes(other, 10)
    for _cut in range(CUTS):
        subscribers.send({"do": "cut"})
        assert subscribers.receive() == "cut"
    killed.kill()
    await_writes(site.start_server(ports[0]), 10)
    _, heard = check_against_log(figures, asking, writers, subscribers)
    figures.record("sockets resumed", sum(len(each["codes"]) for each in heard))


async def test_killed_servers_and_cut_sockets_lose_nothing_and_repeat_nothing(
    database_url: str, tmp_path: Path
) -> None:
    table = await run_fault(kill_and_cut, database_url, tmp_path)

    assert table.items() >= NOTHING_LOST.items()
    assert int(table["sockets resumed"]) >= CUTS


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_sigterm_cuts_no_request_and_its_sockets_resume_without_a_gap(
    database_url: str, tmp_path: Path
) -> None:
    """On SQLite `test_workers.py` has it, over kept connections and sockets."""
    table = await run_fault(faults.drain_servers, database_url, tmp_path)

    assert table.items() >= NOTHING_LOST.items()
    assert (table["aborted requests"], table["exit code"]) == ("0", "0")
    assert table["WebSocket close codes"] == "1012: 8"


async def test_who_reads_nothing_costs_a_bounded_number_of_bytes_and_hurts_nobody(
    database_url: str, serve: Serve, connections: list[Connection], held: list[int]
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
            heard = [each["node"]["summary"] for each in await healthy.receive_many(60)]
            summaries = await logged
            for stuck in silent:
                for n in range(1_000):
                    await stuck.ping(f"{n:0125}")  # each wants a pong
            unsent = [each.transport.get_write_buffer_size() for each in connections]

    assert heard == summaries
    assert len(unsent) == 6
    # One answer on its way, behind less than the 64 KiB at which its sender waits.
    assert max(unsent) < 65_536 + len(LARGE) + 1_000
    assert 0 < max(held) <= most


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    """The server's ends of the sockets that are made."""
    seen: list[Connection] = []
    original_connection_made = Connection.connection_made

    def noting(connection: Connection, transport: Any) -> None:
        seen.append(connection)
        original_connection_made(connection, transport)

    monkeypatch.setattr(Connection, "connection_made", noting)
    return seen


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The most bytes that waited for a subscriber, each time that some were handed out."""
    seen: list[int] = []
    hand_out = Broadcast._deliver

    async def noting(broadcast: Broadcast, entries: Sequence[Entry]) -> None:
        await hand_out(broadcast, entries)
        seen.append(max(each.buffered_bytes for each in broadcast.subscribers))

    monkeypatch.setattr(Broadcast, "_deliver", noting)
    return seen
