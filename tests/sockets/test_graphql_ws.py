"""The WebSocket API works with the npm package graphql-ws, which Apollo, urql and GraphiQL use."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests import node
from tests.client import ADMINISTRATOR
from tests.conftest import Serve
from tests.scripts import run_json_script

HERE = Path(__file__).parent


async def test_graphql_ws_subscribes_queries_completes_and_pings(
    sqlite_template: Path, tmp_path: Path, serve: Serve
) -> None:
    node.install_packages(HERE)
    file = shutil.copy(sqlite_template, tmp_path / "tocsin.db")
    async with serve(f"sqlite:///{file}", sockets={"ping_interval_seconds": 0.05}) as client:
        address = client.url.replace("http", "ws", 1) + "/graphql"
        printed = await run_json_script(HERE, "node", "client.mjs", address, ADMINISTRATOR)

    assert printed == {
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
