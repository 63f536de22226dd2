"""@tocsin/client, installed from its tarball, with a real server."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.services.change_log import pruning
from app.store.engine.database import Database
from tests import node
from tests.client import ADMINISTRATOR, Client
from tests.clients.network import relay
from tests.clients.test_clients import HERE, install_clients
from tests.scripts import Script, run_command, start_script

MAX_BYTES = 6_000
TRANSPORTS = ("websocket", "sse")


async def read_until(script: Script, *expected: str) -> list[list[Any]]:
    """Reads lines up to one that begins with these values. Returns them."""
    lines = [await script.read_line()]
    while lines[-1][: len(expected)] != [*expected]:
        lines.append(await script.read_line())
    return lines


async def read_until_count(script: Script, kind: str, count: int, *rest: str) -> list[list[Any]]:
    """Reads lines up to the one with this number that begins with these values. Returns them."""
    lines: list[list[Any]] = []
    for _ in range(count):
        lines += await read_until(script, kind, *rest)
    return lines


@contextlib.asynccontextmanager
async def run_case(
    name: str,
    client: Client,
    *,
    url: str | None = None,
    key: str = ADMINISTRATOR,
    after: str = "",
    transport: str = "auto",
    ping_interval: int = 15_000,
) -> AsyncIterator[Script]:
    """Runs a case of `tocsin_cases.mjs` in the organization of the client."""
    await asyncio.to_thread(install_clients)
    organization = client.headers.get("data-partition-id", "default")
    async with start_script(
        *("node", "tocsin_cases.mjs", name, f"{url or client.url}/graphql", key, after),
        folder=HERE,
        environment={
            "TRANSPORT": transport,
            "ORGANIZATION": organization,
            "PING_INTERVAL": str(ping_interval),
        },
    ) as script:
        yield script


async def notify(client: Client, summary: str) -> None:
    await client.log_event(summary=summary, notification=True)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("case_name", ["gap", "gap_without_handler"])
async def test_a_gap_is_reported_once(
    own_client: Client, database: Database, case_name: str, transport: str
) -> None:
    after = await own_client.execute_field("{ logHead }")
    await notify(own_client, "pruned")
    await pruning.prune_entries(database, datetime.now(UTC) + timedelta(seconds=1))

    async with run_case(case_name, own_client, after=after, transport=transport) as case:
        if case_name == "gap_without_handler":
            [*_, error] = await case.read_rest()
            assert error[:2] == ["error", "CURSOR_EXPIRED"]
            return
        lines = await read_until(case, "gap")
        lines += await read_until(case, "status", "connected")
        await notify(own_client, "next")
        lines += await read_until(case, "data")

    assert lines.count(["gap"]) == 1
    assert lines[-1] == ["data", "next"]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_subscription_starts_at_the_end_of_the_change_log(
    client: Client, transport: str
) -> None:
    await notify(client, "before")
    async with run_case("added", client, transport=transport) as case:
        await read_until(case, "status", "connected")
        await notify(client, "after")

        assert await read_until(case, "data") == [["data", "after"]]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_subscription_without_a_cursor_is_not_started(
    client: Client, transport: str
) -> None:
    async with run_case("without_cursor", client, transport=transport) as case:
        await read_until(case, "status", "connected")
        await notify(client, "a")
        [*_, error] = await case.read_rest()

    assert error == ["error", "NO_CURSOR"]
    assert case.process.returncode == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_summary_is_followed_without_a_cursor(client: Client, transport: str) -> None:
    async with run_case("summary", client, transport=transport) as case:
        [*_, first] = await read_until(case, "data")
        await notify(client, "a")
        [*_, second] = await read_until(case, "data")

    assert first == ["data", {"notificationSummaryChanged": {"openCount": 0}}]
    assert second == ["data", {"notificationSummaryChanged": {"openCount": 1}}]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_invalid_document_ends_the_subscription(client: Client, transport: str) -> None:
    async with run_case("invalid", client, transport=transport) as case:
        lines = await case.read_rest()

    assert [line[:2] for line in lines if line[0] == "error"] == [
        ["error", "GRAPHQL_VALIDATION_FAILED"]
    ]
    assert not [line for line in lines if line[:2] == ["status", "waiting"]]


async def test_requests_return_data_or_throw(client: Client) -> None:
    async with run_case("request", client) as case:
        lines = await case.read_rest()

    assert lines == [
        ["viewer", "administrator"],
        ["error", "GRAPHQL_VALIDATION_FAILED"],
        ["aborted", "AbortError"],
    ]


async def test_a_request_without_a_complete_response_fails(client: Client) -> None:
    async with run_case("responses", client) as case:
        lines = await case.read_rest()

    late = "The server has not responded within 0.5 s (`requestTimeout`)."
    assert lines == [
        ["nothing", "UNAVAILABLE", late],
        ["part", "UNAVAILABLE", late],
        ["lost", "UNAVAILABLE", "The connection was lost: TypeError: terminated"],
        ["page", "UNKNOWN", "The response is not JSON: is `url` that of the GraphQL API?"],
    ]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_token_that_is_rejected_is_replaced_once(client: Client, transport: str) -> None:
    async with run_case("added", client, key="new-each-time", transport=transport) as case:
        lines = await case.read_rest()

    assert [line for line in lines if line[0] == "rejected"] == [["rejected", "invalid-1"]]
    assert lines[-1][:2] == ["error", "UNAUTHENTICATED"]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_same_token_is_not_sent_again(client: Client, transport: str) -> None:
    async with run_case("summary", client, key="invalid", transport=transport) as case:
        lines = await case.read_rest()

    assert lines[-1][:2] == ["error", "UNAUTHENTICATED"]
    assert [line for line in lines if line[0] == "rejected"] == [["rejected", "invalid"]]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_ended_subscription_lets_the_process_end(client: Client, transport: str) -> None:
    async with run_case("unsubscribe", client, transport=transport) as case:
        await read_until(case, "status", "connected")
        await notify(client, "a")
        lines = await case.read_rest()
        code = case.process.returncode

    assert lines == [["data", "a"], ["cursor", "string"]]
    assert code == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_connection_is_replaced_that_ends_without_notice(
    client: Client, transport: str
) -> None:
    async with (
        relay(client.url) as network,
        run_case(
            "unsubscribe", client, url=network.url, transport=transport, ping_interval=500
        ) as case,
    ):
        await read_until(case, "status", "connected")

        network.freeze()
        await notify(client, "a")
        lines = await read_until(case, "status", "waiting")
        network.thaw()
        lines += await read_until(case, "data")
        network.interrupt()  # which ends the frozen connection, too
        lines += await case.read_rest()
        code = case.process.returncode

    assert [line for line in lines if line[0] == "data"] == [["data", "a"]]
    assert code == 0  # nothing is left that keeps the process running


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_token_that_is_not_available_is_requested_again(
    client: Client, transport: str
) -> None:
    async with run_case("token_later", client, transport=transport) as case:
        lines = await read_until(case, "status", "connected")
        await notify(client, "a")

        assert await read_until(case, "data") == [["data", "a"]]
    waiting = [line for line in lines if line[:2] == ["status", "waiting"]]
    assert [line[2] for line in waiting] == ["There is no token: TypeError: Failed to fetch"] * 2


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_limit_that_no_retry_meets_ends_the_subscription(
    client: Client, transport: str
) -> None:
    async with run_case("too_large", client, transport=transport) as case:
        lines = await case.read_rest()

    assert lines[-1][:2] == ["error", "LIMIT_EXCEEDED"]
    assert not [line for line in lines if line[:2] == ["status", "waiting"]]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_list_that_cannot_be_loaded_after_a_gap_is_loaded_later(
    own_client: Client, database: Database, transport: str
) -> None:
    after = await own_client.execute_field("{ logHead }")
    await notify(own_client, "pruned")
    await pruning.prune_entries(database, datetime.now(UTC) + timedelta(seconds=1))

    async with run_case("gap_and_failure", own_client, after=after, transport=transport) as case:
        lines = await read_until(case, "gap")
        lines += await read_until(case, "gap")
        await read_until(case, "status", "connected")
        await notify(own_client, "next")

        assert await read_until(case, "data") == [["data", "next"]]
    assert lines.count(["gap"]) == 2
    assert ["status", "waiting", "The list is not available."] in lines


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_server_that_has_started_meanwhile_does_not_refuse_the_origin(
    client: Client, transport: str
) -> None:
    async with (
        relay(client.url) as network,
        run_case("in_page", client, url=network.url, transport=transport) as case,
    ):
        await read_until(case, "status", "connected")

        network.interrupt()
        lines = await read_until(case, "probe")
        await network.resume()
        for _ in range(2):
            await case.write_line("")
        lines += await read_until(case, "status", "connected")
        await notify(client, "a")
        lines += await read_until(case, "data")

    assert lines[-1] == ["data", "a"]
    assert lines.count(["probe"]) == 1


async def test_subscriptions_of_one_client_reconnect_together(client: Client) -> None:
    async with relay(client.url) as network, run_case("ten", client, url=network.url) as case:
        lines = await read_until_count(case, "data", 10)

        network.interrupt()
        failures = await read_until_count(case, "status", 40, "waiting")
        await network.resume()
        await notify(client, "a")
        await read_until_count(case, "data", 10)

    assert lines.count(["socket"]) == 1
    assert 3 <= failures.count(["socket"]) <= 4


async def test_the_url_of_the_server_of_a_page_may_be_relative(client: Client) -> None:
    async with run_case("relative", client) as case:
        await read_until(case, "status", "connected")
        await notify(client, "a")

        assert await read_until(case, "data") == [["data", "a"]]


async def test_without_web_sockets_events_are_sent_by_the_server(client: Client) -> None:
    async with (
        proxy_without_web_sockets(client.url) as url,
        run_case("added", client, url=url) as case,
    ):
        lines = await read_until(case, "status", "connected")
        await notify(client, "a")

        assert await read_until(case, "data") == [["data", "a"]]
    connecting = [line for line in lines if line[:2] == ["status", "connecting"]]
    assert len(connecting) == 3  # two failed WebSockets


async def test_the_package_is_small_and_can_be_required(client: Client) -> None:
    async with run_case("commonjs", client) as case:
        assert await case.read_rest() == [
            ["exports", ["TocsinError", "createTocsinClient", "printDocument"]]
        ]

    installed = HERE / "node_modules" / "@tocsin" / "client"
    size = len(gzip.compress((installed / "dist" / "index.js").read_bytes()))
    assert 0 < size < MAX_BYTES


@pytest.mark.parametrize("name", ["client", "react"])
def test_a_tarball_has_every_file_that_the_package_exports(name: str) -> None:
    install_clients()
    package = HERE / "node_modules" / "@tocsin" / name
    manifest = json.loads((package / "package.json").read_text())
    main = [manifest[key] for key in ("main", "module", "types")]

    exported = {*main, *list_paths(manifest["exports"])}

    assert len(exported) >= 8
    assert [path for path in sorted(exported) if not (package / path).is_file()] == []


def list_paths(exports: Any) -> list[str]:
    if isinstance(exports, str):
        return [exports]
    return [path for nested in exports.values() for path in list_paths(nested)]


def test_the_types_are_those_of_the_documents() -> None:
    install_clients()
    compiler = node.WEB / "node_modules" / ".bin" / "tsc"
    options = (
        "--noEmit",
        "--strict",
        "--skipLibCheck",
        "--module",
        "nodenext",
        "--lib",
        "es2022,dom",
    )

    compiled = run_command(HERE, compiler, *options, "types.ts", "types.cts")

    assert (compiled.returncode, compiled.stdout) == (0, "")


@contextlib.asynccontextmanager
async def proxy_without_web_sockets(url: str) -> AsyncIterator[str]:
    """A proxy that rejects upgrades. Yields its URL."""
    host, port = url.removeprefix("http://").split(":")
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if b"upgrade: websocket" in head.lower():
                writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
                writer.close()
                return
            server_reader, server_writer = await asyncio.open_connection(host, int(port))
            server_writer.write(head)
            task = asyncio.create_task(pump(server_reader, writer))
            tasks.add(task)
            await pump(reader, server_writer)

    server = await asyncio.start_server(serve, "127.0.0.1")
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for task in tasks:
            task.cancel()
