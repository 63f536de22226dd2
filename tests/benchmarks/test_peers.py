"""The servers that `make bench-peers` compares return equal responses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from benchmarks.peers import answers, data, page, results
from benchmarks.peers.bare import BareServer
from benchmarks.peers.deployments import Deployment
from benchmarks.peers.documents import BULK, PAGE, READS, STATE_CHANGE, PeerOperation
from benchmarks.peers.naive import create_app
from benchmarks.peers.picture import render_picture
from benchmarks.peers.servers import BARE, NAIVE, POSTGRESQL, SQLITE, US, Peer
from tests.client import ADMINISTRATOR, Client
from tests.conftest import Serve

EVENTS = 700  # more than are generated separately, so that there are copies
FEW = 5


@contextlib.asynccontextmanager
async def run_server(app: Any) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    running = asyncio.create_task(server.serve())
    while not server.started:
        if running.done():
            await running
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running


async def test_the_peers_return_the_same_responses_as_tocsin(
    database_url: str, serve: Serve
) -> None:
    await asyncio.to_thread(data.build_data, database_url, ADMINISTRATOR, EVENTS)
    database = SQLITE if database_url.startswith("sqlite") else POSTGRESQL
    deployment = await asyncio.to_thread(Deployment, database, database_url, ADMINISTRATOR)

    async with (
        serve(database_url) as ours,
        run_server(create_app(database_url)) as naive,
        run_server(BareServer(database_url)) as bare,
    ):
        urls = {US: ours.url, NAIVE: naive, BARE: bare}
        peers = [Peer(name, url, deployment.organization_id) for name, url in urls.items()]
        read = {
            each: await asyncio.to_thread(_fetch_answers, deployment, peers, each) for each in READS
        }
        changed = await asyncio.to_thread(_fetch_answers, deployment, peers[:1], STATE_CHANGE)
        logged = await asyncio.to_thread(_fetch_answers, deployment, peers[:2], "log")
        bulk = await asyncio.to_thread(_fetch_answers, deployment, peers[:1], "bulk")

    for operation, peer_answers in read.items():
        answers.compare_answers(operation, peer_answers)
    [first], [deep] = read["list"][US], read["deep"][US]
    assert len(first["events"]["nodes"]) == len(deep["events"]["nodes"]) == PAGE
    assert first != deep
    assert read["count"][US] == [{"events": {"totalCount": EVENTS}}]
    assert read["filtered"][US] == [{"events": {"totalCount": EVENTS // len(data.SOURCES)}}]
    payloads = [payload for each in changed[US] for payload in each.values()]
    assert [each["event"]["acknowledged"] for each in payloads] == [True] * FEW + [False] * FEW
    assert [each["logEvent"]["event"] | {"id": None} for each in logged[US]] == [
        each["logEvent"]["event"] | {"id": None} for each in logged[NAIVE]
    ]
    assert all(each["event"] for each in bulk[US][0]["logEvents"]["results"])
    counted = await asyncio.to_thread(deployment.count_rows, ["event"])
    assert counted == {"event": EVENTS + 2 * FEW + BULK}


def _fetch_answers(
    deployment: Deployment, peers: list[Peer], operation: str
) -> dict[str, list[Any]]:
    answers_by_peer = {}
    for peer in peers:
        bodies = deployment.build_operation(peer, operation, 100).bodies
        last = bodies[-FEW:] if operation == STATE_CHANGE else ()
        request_set = PeerOperation(bodies[:FEW] + last)
        answers_by_peer[peer.name] = [
            answers.read_answer(200, text) for text in deployment.format_requests(peer, request_set)
        ]
    return answers_by_peer


async def test_the_bare_endpoint_checks_the_key(database_url: str) -> None:
    async with run_server(BareServer(database_url)) as bare:
        body = '{"operationName": "count", "variables": {}}'
        async with Client(bare) as authenticated, Client(bare, "another-key") as stranger:
            answered = [
                await each.http.post("", content=body) for each in (authenticated, stranger)
            ]

    assert [each.status_code for each in answered] == [200, 401]


def test_the_page_shows_the_stored_results() -> None:
    stored_runs = results.load_runs()

    page_text = page.PAGE.read_text()

    assert page.render_page(stored_runs) in page_text
    for run in [page.select_main_run(stored_runs)] if stored_runs else []:
        assert page.PICTURE.read_text() == render_picture(run)
