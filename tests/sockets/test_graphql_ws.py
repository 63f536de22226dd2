"""The npm package graphql-ws, which Apollo, urql and the page use, gets on with the socket."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.client import ADMINISTRATOR, PATIENCE_SECONDS
from tests.conftest import Serve

HERE = Path(__file__).parent
# What `make setup` installed where the machine's Node is missing or too old.
NODE = HERE.parent.parent / "web" / ".node" / "bin"


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Node on the path, and the packages of the lock file installed."""
    made = os.environ | {"PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}"}
    installed, lock = HERE / "node_modules" / ".package-lock.json", HERE / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime <= lock.stat().st_mtime:
        npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(npm, cwd=HERE, env=made, check=True, stdout=subprocess.DEVNULL)
    return made


async def test_its_client_subscribes_asks_completes_and_pings(
    sqlite_template: Path, tmp_path: Path, serve: Serve, environment: dict[str, str]
) -> None:
    file = shutil.copy(sqlite_template, tmp_path / "tocsin.db")
    async with serve(f"sqlite:///{file}", sockets={"ping_seconds": 0.05}) as client:
        address = client.url.replace("http", "ws", 1) + "/graphql"
        node = await asyncio.create_subprocess_exec(
            *("node", "client.mjs", address, ADMINISTRATOR),
            cwd=HERE,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            printed, _ = await node.communicate()

    assert node.returncode == 0
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
