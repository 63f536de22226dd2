"""The npm packages graphql-http and graphql-sse check GraphQL over HTTP."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

from tests import node
from tests.client import ADMINISTRATOR, TIMEOUT_SECONDS
from tests.conftest import Serve

HERE = Path(__file__).parent


async def run_script(script: str, *arguments: str) -> Any:
    """Runs a script. Returns its output, which is JSON."""
    process = await asyncio.create_subprocess_exec(
        *("node", script, *arguments),
        cwd=HERE,
        env=node.node_environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        printed, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(printed)


async def test_all_audits_of_graphql_over_http_pass(
    sqlite_template: Path, tmp_path: Path, serve: Serve
) -> None:
    node.install_packages(HERE)
    file = shutil.copy(sqlite_template, tmp_path / "tocsin.db")

    async with serve(f"sqlite:///{file}") as client:
        audits = await run_script("audit.mjs", f"{client.url}/graphql", ADMINISTRATOR)

    assert [each for each in audits if each["status"] != "ok"] == []
    assert len(audits) == 61


async def test_graphql_sse_receives_notifications(
    sqlite_template: Path, tmp_path: Path, serve: Serve
) -> None:
    node.install_packages(HERE)
    file = shutil.copy(sqlite_template, tmp_path / "tocsin.db")

    async with serve(f"sqlite:///{file}") as client:
        head = await client.execute_field("{ logHead }")
        await client.log_event(summary="before it subscribes", notification=True)
        running = asyncio.create_task(
            run_script("follow.mjs", f"{client.url}/graphql", ADMINISTRATOR, head, "2")
        )
        await client.log_event(summary="zwölf\u2028and\r\nmore", notification=True)
        output = await running

    assert output == {
        "received": ["before it subscribes", "zwölf\u2028and\r\nmore"],
        "codes": ["GRAPHQL_VALIDATION_FAILED"],
        "answered": [{"__typename": "Query"}],
    }
