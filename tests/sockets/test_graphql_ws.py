"""The WebSocket API works with the npm package graphql-ws, which Apollo, urql and GraphiQL use."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

from tests import node
from tests.client import ADMINISTRATOR, TIMEOUT_SECONDS
from tests.conftest import Serve

HERE = Path(__file__).parent


async def test_graphql_ws_subscribes_queries_completes_and_pings(
    sqlite_template: Path, tmp_path: Path, serve: Serve
) -> None:
    node.install_packages(HERE)
    file = shutil.copy(sqlite_template, tmp_path / "tocsin.db")
    async with serve(f"sqlite:///{file}", sockets={"ping_interval_seconds": 0.05}) as client:
        address = client.url.replace("http", "ws", 1) + "/graphql"
        process = await asyncio.create_subprocess_exec(
            *("node", "client.mjs", address, ADMINISTRATOR),
            cwd=HERE,
            env=node.node_environment(),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(TIMEOUT_SECONDS):
            printed, _ = await process.communicate()

    assert process.returncode == 0
    assert json.loads(printed) == {
        "opened": 1,
        "acknowledged": 1,
        "pinged": "yes",
        "answered": "yes",
        "logged": "a",
        "first": ["a"],
        "second": ["a", "b"],
        "failed": "GRAPHQL_VALIDATION_FAILED",
        "closed": 1000,
    }
