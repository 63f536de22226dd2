"""The script of docs/follow-events-in-python.md, with a real server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.services.change_log import pruning
from app.store.engine.database import Database
from tests.client import ADMINISTRATOR, TIMEOUT_SECONDS, Client
from tests.clients.test_clients import HERE, ROOT
from tests.conftest import POSTGRESQL, SQLITE, Serve
from tests.http.test_command import find_free_port, start_server
from tests.scripts import Script, start_script

PAGE = ROOT / "docs/follow-events-in-python.md"
SCRIPT = HERE / "follow.py"


class Follower:
    """The running script."""

    def __init__(self, script: Script, stored: Path) -> None:
        self.read_entry = script.read_line
        self.stored = stored

    async def read_summary(self) -> str:
        """Returns the summary of the next entry, when its cursor is stored."""
        entry = await self.read_entry()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while self.stored.read_text() != entry["cursor"]:
                await asyncio.sleep(0.01)
        return str((entry.get("event") or entry.get("node"))["summary"])


@contextlib.asynccontextmanager
async def run_script(url: str, name: str, stored: Path) -> AsyncIterator[Follower]:
    async with start_script(
        *(sys.executable, SCRIPT, url, name, stored), environment={"KEY": ADMINISTRATOR}
    ) as script:
        yield Follower(script, stored)


async def log(client: Client, summary: str) -> None:
    await client.log_event(summary=summary, notification=True)


@pytest.mark.parametrize(
    ("dialect", "name"), [(SQLITE, "eventChanged"), (POSTGRESQL, "notificationAdded")]
)
async def test_the_script_resumes_after_the_death_of_the_server_and_its_own_and_after_a_gap(
    database_url: str, database: Database, tmp_path: Path, serve: Serve, name: str
) -> None:
    port = find_free_port()
    url, stored = f"http://127.0.0.1:{port}/graphql", tmp_path / "cursor.txt"
    seen: list[Any] = []
    async with serve(database_url) as other_server:
        async with (
            start_server(tmp_path, port, database_url=database_url) as (server, _),
            run_script(url, name, stored) as script,
        ):
            seen.append(await script.read_entry())
            await log(other_server, "live")
            seen.append(await script.read_summary())
            server.send_signal(signal.SIGKILL)
            await server.wait()
            await log(other_server, "while the server is down")
            async with start_server(tmp_path, port, database_url=database_url):
                seen.append(await script.read_summary())
        await log(other_server, "while the script is down")
        async with (
            start_server(tmp_path, port, database_url=database_url),
            run_script(url, name, stored) as script,
        ):
            seen.append(await script.read_summary())
        await log(other_server, "pruned")
        await pruning.prune_entries(database, datetime.now(UTC) + timedelta(seconds=1))
        async with (
            start_server(tmp_path, port, database_url=database_url),
            run_script(url, name, stored) as script,
        ):
            seen.append(await script.read_entry())
            await log(other_server, "after the gap")
            seen.append(await script.read_summary())

    assert seen == [
        None,
        "live",
        "while the server is down",
        "while the script is down",
        None,
        "after the gap",
    ]


async def test_the_script_ends_if_its_key_is_not_valid(own_client: Client, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, SCRIPT, f"{own_client.url}/graphql", "eventChanged", tmp_path / "cursor"),
        env=os.environ | {"KEY": "nobody"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

    async with asyncio.timeout(TIMEOUT_SECONDS):
        output, errors = await process.communicate()

    assert process.returncode == 1
    assert output == b""
    assert b"4403" in errors
    assert not (tmp_path / "cursor").exists()


async def test_the_page_loads_events_again_with_a_valid_query(client: Client) -> None:
    [query] = re.findall(r"^```graphql\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    logged = await client.log_event(summary="Leak", severity="error")

    events = await client.execute_field(query)

    assert events["nodes"] == [{"id": logged["id"], "summary": "Leak"}]


def test_the_page_shows_the_script_that_is_tested() -> None:
    [code] = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(), re.M | re.S)

    assert code == SCRIPT.read_text()
