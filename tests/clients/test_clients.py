"""Apollo Client, urql, graphql-request and gql, as docs/clients.md has them, at a real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import node
from tests.client import ADMINISTRATOR, TIMEOUT_SECONDS, Client
from tests.clients.bell import follow_bell
from tests.clients.drive import run_scenario
from tests.conftest import Serve
from tests.http.test_command import find_free_port, start_server

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = (ROOT / "docs/clients.md").read_text()
FOLLOWERS = ("apollo", "urql", "urql_sse", "gql")
NAMES = (*FOLLOWERS, "request")
Heard = dict[str, list[str]]
Bell = AsyncGenerator[dict[str, Any], None]


async def test_each_asks_pages_and_hears_every_event_once_over_a_server_that_was_killed(
    database_url: str, tmp_path: Path, serve: Serve
) -> None:
    node.install_packages(HERE)
    port = find_free_port()
    url = f"http://127.0.0.1:{port}/graphql"
    async with contextlib.AsyncExitStack() as ended, serve(database_url) as elsewhere:
        async with start_server(tmp_path, port, database_url=database_url) as (server, _):
            clients = await ended.enter_async_context(start_node_clients(url))
            responses = await clients.read_line() | {"gql": await run_scenario(url, ADMINISTRATOR)}
            after = await elsewhere.execute_field("{ logHead }")
            await clients.write_line(after)
            bell = follow_bell(url, ADMINISTRATOR, after)
            gql = await ended.enter_async_context(contextlib.aclosing(bell))
            logged = [await log_notification(elsewhere, "while they listen")]
            heard = await wait_for_one_more(clients, gql, {name: [] for name in FOLLOWERS})

            server.send_signal(signal.SIGKILL)
            await server.wait()
        logged.append(await log_notification(elsewhere, "while their server is down"))
        async with start_server(tmp_path, port, database_url=database_url):
            heard = await wait_for_one_more(clients, gql, heard)
            logged.append(await log_notification(elsewhere, "once they have resumed"))
            heard = await wait_for_one_more(clients, gql, heard)
            for name, id in await clients.rest():
                heard[name].append(id)

    put_together = {"apollo": [["3", "2"], ["3", "2", "1"]]}  # by its cache
    assert responses == {
        name: {
            "viewer": "administrator",
            "event": None,
            "errors": [["INVALID_INPUT", ["input", "occurredAt"]]],
            "pages": put_together.get(name, [["3", "2"], ["1"]]),
        }
        for name in NAMES
    }
    assert heard == dict.fromkeys(FOLLOWERS, logged)


@pytest.mark.parametrize(
    "file", ["resuming.mjs", "apollo.mjs", "urql.mjs", "urql_sse.mjs", "request.mjs", "bell.py"]
)
def test_the_page_shows_the_code_that_is_tested(file: str) -> None:
    shown = dict(re.findall(r"^`tests/clients/(\S+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.M | re.S))

    assert shown[file] == (HERE / file).read_text()


async def log_notification(administrator: Client, summary: str) -> str:
    return str((await administrator.log_event(summary=summary, notification=True))["id"])


class NodeClients:
    """Those of npm, in a process of their own: it is told lines, and tells lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self.told, self.telling = process.stdin, process.stdout

    async def write_line(self, line: str) -> None:
        self.told.write(f"{line}\n".encode())
        await self.told.drain()

    async def read_line(self) -> Any:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            line = await self.telling.readline()
        assert line, "it ended"
        return json.loads(line)

    async def rest(self) -> list[Any]:
        """What it tells until it has ended, for which it is asked."""
        self.told.close()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            lines = (await self.telling.read()).splitlines()
            assert await self.process.wait() == 0
        return [json.loads(line) for line in lines]


async def wait_for_one_more(clients: NodeClients, gql: Bell, heard: Heard) -> Heard:
    """Until each has heard something more. One that hears too much goes on being noted."""
    count = 1 + len(heard["gql"])
    async with asyncio.timeout(TIMEOUT_SECONDS):
        heard["gql"].append((await anext(gql))["node"]["id"])
    while min(len(ids) for ids in heard.values()) < count:
        name, id = await clients.read_line()
        heard[name].append(id)
    return heard


@contextlib.asynccontextmanager
async def start_node_clients(url: str) -> AsyncIterator[NodeClients]:
    process = await asyncio.create_subprocess_exec(
        *("node", "drive.mjs", url, ADMINISTRATOR),
        cwd=HERE,
        env=node.node_environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield NodeClients(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
