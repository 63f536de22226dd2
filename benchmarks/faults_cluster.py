"""A database with its servers and clients, for `benchmarks.faults`, and functions that wait for
them.
"""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from benchmarks.faults_checks import FaultClient, FaultFigures, check_subscribers, check_writers
from benchmarks.processes import (
    TOCSIN,
    ChildProcess,
    PostgreSQLCluster,
    ServerProcess,
    build_environment,
)

WRITERS = "benchmarks.faults_writers"
SUBSCRIBERS = "benchmarks.faults_subscribers"
PATIENCE_SECONDS = 90


class FaultCluster(ExitStack):
    """A database with its servers and clients, which end with the context."""

    def __init__(self, database_url: str, cluster: PostgreSQLCluster | None = None) -> None:
        super().__init__()
        self.database_url = database_url
        self.cluster = cluster
        self._logs = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the context
        self.callback(self._logs.close)

    def start_server(
        self, port: int = 0, environment: Mapping[str, str] = MappingProxyType({})
    ) -> ServerProcess:
        variables = build_environment(self.database_url) | dict(environment)
        server = ServerProcess([*TOCSIN, str(port)], variables, self._logs)
        self.callback(server.stop)
        return server

    def start_writers(
        self,
        ports: list[int],
        writers: int,
        pause: float = 0,
        content: int = 0,
        until_refused: bool = False,
        source: str = "faults",
    ) -> ChildProcess:
        instructions = {
            "ports": ports,
            "writers": writers,
            "pause": pause,
            "content": content,
            "until_refused": until_refused,
            "source": source,
        }
        return self._start_child(WRITERS, instructions)

    def start_subscribers(
        self, ports: list[int], after: str, subscribers: int, stuck: bool = False
    ) -> ChildProcess:
        instructions = {
            "ports": ports,
            "after": after,
            "subscribers": subscribers,
            "stuck": stuck,
            "resume": True,
        }
        return self._start_child(SUBSCRIBERS, instructions)

    def read_logged_errors(self) -> list[str]:
        """Returns the logged errors. Warnings, such as that the database is unavailable, are not
        among them.
        """
        self._logs.seek(0)
        return [line for line in self._logs if '"level": "error"' in line or "Traceback" in line]

    def _start_child(self, module: str, instructions: dict[str, Any]) -> ChildProcess:
        child = ChildProcess(module, instructions)
        self.callback(child.kill)
        return child


def finish_child(child: ChildProcess, patience: float = PATIENCE_SECONDS) -> Any:
    child.send({"do": "finish", "patience": patience})
    return child.receive(patience + PATIENCE_SECONDS)


def check_against_log(
    figures: FaultFigures, client: FaultClient, writers: ChildProcess, *subscribers: ChildProcess
) -> tuple[Any, list[Any]]:
    """Ends the clients. Compares what writers and subscribers received with the change log."""
    instructions = finish_child(writers)
    client.log_end_marker()
    received = [each for child in subscribers for each in finish_child(child)]
    log = client.read_change_log()
    check_writers(figures, instructions, log)
    check_subscribers(figures, received, log)
    return instructions, received


def await_writes(server: ServerProcess, count: int) -> None:
    """Waits until this number of additional events is stored."""
    client = FaultClient(server.url)
    until = time.monotonic() + PATIENCE_SECONDS
    expected = None
    while time.monotonic() < until:
        with suppress(AssertionError, httpx.HTTPError):  # the server must survive the faults
            stored = client.count_events()
            expected = stored + count if expected is None else expected
            if stored >= expected:
                return
        time.sleep(0.05)
    raise SystemExit("The writers stopped writing.")


def await_no_sockets(server: ServerProcess) -> None:
    """Waits until the server has closed all sockets, or until the timeout, which the clients
    report.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        metrics = httpx.get(f"{server.url}/metrics").text.splitlines()
        if any(line.startswith("tocsin_sockets") and line.endswith(" 0.0") for line in metrics):
            return
        time.sleep(0.25)


def read_resident_mb(server: ServerProcess) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def server_port(server: ServerProcess) -> int:
    return int(server.url.rpartition(":")[2])


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
