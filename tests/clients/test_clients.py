"""Apollo Client, urql, graphql-request and gql, as documented in docs/clients.md, with a real
server.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import jwt
import pytest
from gql.transport.exceptions import TransportConnectionFailed
from structlog.testing import capture_logs

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests import node
from tests.client import ADMINISTRATOR, TIMEOUT_SECONDS, Client
from tests.clients.bell import follow_bell
from tests.clients.drive import run_scenario
from tests.conftest import POSTGRESQL, Serve
from tests.factories import create_api_key
from tests.http.test_command import find_free_port, start_server
from tests.scripts import Script, start_script

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = (ROOT / "docs/clients.md").read_text()
FOLLOWERS = (
    *("apollo", "urql", "urql_sse", "gql"),
    *("tocsin", "tocsin_sse", "tocsin_apollo", "tocsin_urql"),
)
SECRET = "a secret of no less than 32 bytes"
TOKEN_SECONDS = 2.0
NAMES = (*FOLLOWERS, "request")
KEYS = "{ organization { apiKeys { id name } } }"
REVOKE = "mutation ($id: ID!) { revokeApiKey(id: $id) { userErrors { code } } }"
ReceivedIds = dict[str, list[str]]
Bell = AsyncGenerator[dict[str, Any], None]


async def test_each_client_queries_and_receives_every_event_once_although_its_server_is_killed(
    database_url: str, tmp_path: Path, serve: Serve
) -> None:
    install_clients()
    port = find_free_port()
    url = f"http://127.0.0.1:{port}/graphql"
    async with contextlib.AsyncExitStack() as ended, serve(database_url) as other_server:
        async with start_server(tmp_path, port, database_url=database_url) as (server, _):
            clients = await ended.enter_async_context(start_node_clients(url))
            responses = await clients.read_line() | {"gql": await run_scenario(url, ADMINISTRATOR)}
            after = await other_server.execute_field("{ logHead }")
            await clients.write_line(after)
            bell = follow_bell(url, get_administrator_key, after)
            gql = await ended.enter_async_context(contextlib.aclosing(bell))
            logged = [await log_notification(other_server, "while they are subscribed")]
            received = await wait_for_one_more(clients, gql, {name: [] for name in FOLLOWERS})

            server.send_signal(signal.SIGKILL)
            await server.wait()
        logged.append(await log_notification(other_server, "while their server is down"))
        async with start_server(tmp_path, port, database_url=database_url):
            received = await wait_for_one_more(clients, gql, received)
            logged.append(await log_notification(other_server, "once they have resumed"))
            received = await wait_for_one_more(clients, gql, received)
            for name, id in await close_clients(clients):
                received[name].append(id)

    merging_caches = {"apollo", "tocsin_apollo", "tocsin_urql"}
    assert responses == {
        name: {
            "viewer": "administrator",
            "event": None,
            "errors": [["INVALID_INPUT", ["input", "occurredAt"]]],
            "pages": [["3", "2"], ["3", "2", "1"] if name in merging_caches else ["1"]],
        }
        for name in NAMES
    }
    assert received == dict.fromkeys(FOLLOWERS, logged)


async def test_each_client_resumes_with_a_new_token_when_its_token_expires(
    database_url: str, tmp_path: Path
) -> None:
    install_clients()
    settings = {"bootstrap_key": ADMINISTRATOR, "jwt_secret": SECRET, "jwt_leeway_seconds": "0"}
    port = find_free_port()
    url = f"http://127.0.0.1:{port}/graphql"
    issued: list[str] = []
    async with (
        start_server(tmp_path, port, database_url=database_url, **settings),
        Client(url.removesuffix("/graphql")) as administrator,
        serve_tokens(issued) as token_url,
        start_node_clients(url, token_url) as clients,
    ):
        await clients.read_line()
        after = await administrator.execute_field("{ logHead }")
        await clients.write_line(after)
        before = len(issued)

        async def get_token() -> str:
            return issue_token(issued)

        async with contextlib.aclosing(follow_bell(url, get_token, after)) as gql:
            logged: list[str] = []
            received: ReceivedIds = {name: [] for name in FOLLOWERS}
            async with asyncio.timeout(2 * TIMEOUT_SECONDS):
                while len(issued) - before < 3 * len(FOLLOWERS):
                    logged.append(await log_notification(administrator, "while tokens expire"))
                    received = await wait_for_one_more(clients, gql, received)
                    await asyncio.sleep(0.2)
            for name, id in await close_clients(clients):
                received[name].append(id)

    assert received == dict.fromkeys(FOLLOWERS, logged)
    assert len(issued) - before >= 3 * len(FOLLOWERS)


async def test_each_client_stops_when_its_key_is_revoked(
    own_client: Client, database: Database
) -> None:
    install_clients()
    key = await create_api_key(database, Permission.EVENT_READ, Permission.EVENT_CREATE)
    [id] = [
        each["id"]
        for each in (await own_client.execute_field(KEYS))["apiKeys"]
        if each["name"] != "administrator"
    ]
    url = f"{own_client.url}/graphql"

    async def get_key() -> str:
        return key

    async with start_node_clients(url, key) as clients:
        await clients.read_line()
        after = await own_client.execute_field("{ logHead }")
        await clients.write_line(after)
        async with contextlib.aclosing(follow_bell(url, get_key, after)) as gql:
            await log_notification(own_client, "before")
            await wait_for_one_more(clients, gql, {name: [] for name in FOLLOWERS})

            await own_client.execute_field(REVOKE, id=id)

            async with asyncio.timeout(TIMEOUT_SECONDS):
                with pytest.raises(TransportConnectionFailed) as failed:
                    await anext(gql)
                code = await clients.process.wait()

    cause: Any = failed.value.__cause__
    assert cause.rcvd.code == 4403
    assert code == 1  # at the first error


@pytest.mark.parametrize("dialect", [POSTGRESQL], indirect=True)
async def test_each_client_subscribes_again_when_the_database_was_not_available(
    own_client: Client, database_url: str
) -> None:
    install_clients()
    url = f"{own_client.url}/graphql"
    administration = await asyncpg.connect(database_url)
    async with start_node_clients(url) as clients:
        await clients.read_line()
        after = await own_client.execute_field("{ logHead }")
        transaction = administration.transaction()
        await transaction.start()
        await administration.execute("LOCK TABLE log")  # cursors cannot be validated
        async with contextlib.aclosing(follow_bell(url, get_administrator_key, after)) as gql:
            with capture_logs() as logs:
                await clients.write_line(after)
                nothing: ReceivedIds = {name: [] for name in FOLLOWERS}
                receiving = asyncio.create_task(wait_for_one_more(clients, gql, nothing))
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    while count_unavailable(logs) < len(FOLLOWERS):
                        await asyncio.sleep(0.1)

            await transaction.rollback()
            id = await log_notification(own_client, "once the database is available")
            received = await receiving
            for name, other_id in await close_clients(clients):
                received[name].append(other_id)
    await administration.close()

    assert received == {name: [id] for name in FOLLOWERS}


def count_unavailable(logs: list[Any]) -> int:
    return sum(log["event"] == "database_unavailable" for log in logs)


@pytest.mark.parametrize(
    "file",
    [
        "resuming.mjs",
        "apollo.mjs",
        "urql.mjs",
        "urql_sse.mjs",
        "request.mjs",
        "tocsin.mjs",
        "tocsin_apollo.mjs",
        "tocsin_urql.mjs",
        "bell.py",
    ],
)
def test_the_page_shows_the_code_that_is_tested(file: str) -> None:
    code_blocks = dict(
        re.findall(r"^`tests/clients/(\S+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.M | re.S)
    )

    assert code_blocks[file] == (HERE / file).read_text()


def install_clients() -> None:
    node.install_packages(HERE)
    node.install_workspace(HERE, "client", "react")


async def get_administrator_key() -> str:
    return ADMINISTRATOR


def issue_token(issued: list[str], lifetime: float = TOKEN_SECONDS, secret: str = SECRET) -> str:
    claims = {
        "sub": "desk",
        "organization": "default",
        "permissions": ["EVENT_READ", "EVENT_CREATE"],
        "exp": time.time() + lifetime,
    }
    issued.append(jwt.encode(claims, secret, "HS256"))
    return issued[-1]


@contextlib.asynccontextmanager
async def serve_tokens(issued: list[str]) -> AsyncIterator[str]:
    """Serves a new token for every request. Yields the URL."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        token = issue_token(issued).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(token)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + token)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1")
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def log_notification(administrator: Client, summary: str) -> str:
    return str((await administrator.log_event(summary=summary, notification=True))["id"])


async def wait_for_one_more(clients: Script, gql: Bell, received: ReceivedIds) -> ReceivedIds:
    """Waits until each client has received another event. Repeated events are recorded, too."""
    count = 1 + len(received["gql"])
    async with asyncio.timeout(TIMEOUT_SECONDS):
        received["gql"].append((await anext(gql))["node"]["id"])
    while min(len(ids) for ids in received.values()) < count:
        name, id = await clients.read_line()
        received[name].append(id)
    return received


def start_node_clients(
    url: str, key: str = ADMINISTRATOR
) -> contextlib.AbstractAsyncContextManager[Script]:
    """Starts the npm clients in another process."""
    return start_script("node", "drive.mjs", url, key, folder=HERE)


async def close_clients(clients: Script) -> list[Any]:
    """Closes standard input. Returns the remaining lines until the process ends."""
    clients.stdin.close()
    lines = await clients.read_rest()
    assert clients.process.returncode == 0
    return lines
