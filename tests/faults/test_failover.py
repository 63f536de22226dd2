"""A failover to a standby that has lost transactions: their numbers are used again."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.database_setup import prepare_database
from benchmarks.processes import PostgreSQLCluster, running_postgresql
from tests.conftest import Serve, build_settings
from tests.faults.test_databases_down import log_until_acknowledged

FOLLOW = """
subscription ($after: String) { eventChanged(after: $after) { cursor event { summary } } }
"""
LIST = "query ($after: String) { eventChanges(after: $after) { nodes { kind } } }"
RESTORE = """
restore_command = 'false'
recovery_target_timeline = 'current'
hot_standby = off
"""


class Replica:
    """A copy of a cluster, as a standby that did not receive what was written since."""

    def __init__(self, cluster: PostgreSQLCluster, folder: Path, copy: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._copy = copy
        cluster.shut_down()
        self._copy_files(folder, copy)
        cluster.start()

    def promote(self) -> None:
        """Takes the place of the cluster, at its address."""
        self._cluster.shut_down()
        for path in self._folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._copy_files(self._copy, self._folder)
        with (self._folder / "postgresql.auto.conf").open("a") as settings:
            settings.write(RESTORE)
        (self._folder / "recovery.signal").touch()
        shutil.chown(self._folder / "recovery.signal", self._folder.owner())
        self._cluster.start()

    @staticmethod
    def _copy_files(source: Path, target: Path) -> None:
        subprocess.run(["cp", "-a", f"{source}/.", str(target)], check=True, timeout=60)


@pytest.fixture
def dialect() -> str:
    return "postgresql"


@pytest.fixture
def cluster_folder() -> Iterator[Path]:
    """Not below pytest's folder, which the user of the database cannot enter."""
    with tempfile.TemporaryDirectory(prefix="tocsin-failover-") as folder:
        yield Path(folder) / "cluster"


@pytest.fixture
def cluster(cluster_folder: Path) -> Iterator[PostgreSQLCluster]:
    with running_postgresql(cluster_folder) as server:
        yield server


async def read_transactions(url: str) -> list[int]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT tx FROM change WHERE kind = 'LOGGED' ORDER BY seq")
    await connection.close()
    return [row["tx"] for row in rows]


async def test_subscribers_reload_and_then_hear_events_whose_positions_are_used_again(
    cluster: PostgreSQLCluster, cluster_folder: Path, tmp_path: Path, serve: Serve
) -> None:
    url = await asyncio.to_thread(cluster, "failover")
    await prepare_database(build_settings(url))
    replica = await asyncio.to_thread(Replica, cluster, cluster_folder, tmp_path / "copy")
    async with serve(url) as client:
        head = await client.execute_field("{ logHead }")
        async with client.subscription(FOLLOW, after=head) as follower:
            for number in range(5):
                await client.log_event(summary=f"lost {number}")
            heard = await follower.receive_many(5)
            lost = await read_transactions(url)

            await asyncio.to_thread(replica.promote)
            await log_until_acknowledged(client, "after")
            ended = await follower.receive_error()

        old = heard[-1]["cursor"]
        refused = await client.expect_error(LIST, after=old)
        async with client.subscription(FOLLOW, after=old) as follower:
            expired = await follower.receive_error()
        new_head = await client.execute_field("{ logHead }")
        async with client.subscription(FOLLOW, after=new_head) as follower:
            await client.log_event(summary="next")
            next_event: Any = await follower.receive_next()
        reused = await read_transactions(url)

    codes = [each["extensions"]["code"] for each in (ended, refused, expired)]
    assert codes == ["CURSOR_EXPIRED"] * 3
    assert next_event["event"] == {"summary": "next"}
    assert max(reused) <= max(lost)
