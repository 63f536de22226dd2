"""One database with its servers and clients, for `benchmarks.faults`, and how to wait for them."""

from __future__ import annotations

import socket
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx

from benchmarks.faults_checks import Asking, Figures, check_subscribers, check_writers
from benchmarks.processes import TOCSIN, Child, PostgreSQL, Server, settings

WRITERS = "benchmarks.faults_writers"
SUBSCRIBERS = "benchmarks.faults_subscribers"
PATIENCE_SECONDS = 90


class Site(ExitStack):
    """One database with its servers and clients; all of them end with the block."""

    def __init__(self, database_url: str, cluster: PostgreSQL | None = None) -> None:
        super().__init__()
        self.database_url = database_url
        self.cluster = cluster
        self._logs = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the site
        self.callback(self._logs.close)

    def serve(self, port: int = 0) -> Server:
        server = Server([*TOCSIN, str(port)], settings(self.database_url), self._logs)
        self.callback(server.end)
        return server

    def write(
        self,
        ports: list[int],
        writers: int,
        pause: float = 0,
        content: int = 0,
        until_refused: bool = False,
    ) -> Child:
        told = {
            "ports": ports,
            "writers": writers,
            "pause": pause,
            "content": content,
            "until_refused": until_refused,
            "source": "faults",
        }
        return self._child(WRITERS, told)

    def subscribe(
        self, ports: list[int], after: str, subscribers: int, stuck: bool = False
    ) -> Child:
        told = {
            "ports": ports,
            "after": after,
            "subscribers": subscribers,
            "stuck": stuck,
            "resume": True,
        }
        return self._child(SUBSCRIBERS, told)

    def errors_logged(self) -> int:
        """Errors, not warnings: that the database is gone is none of the server's."""
        self._logs.seek(0)
        return sum('"level": "error"' in line or "Traceback" in line for line in self._logs)

    def _child(self, module: str, told: dict[str, Any]) -> Child:
        child = Child(module, told)
        self.callback(child.kill)
        return child


def finish(child: Child, patience: float = PATIENCE_SECONDS) -> Any:
    child.tell({"do": "finish", "patience": patience})
    return child.hear(patience + PATIENCE_SECONDS)


def compared(
    figures: Figures, asking: Asking, writers: Child, *subscribers: Child
) -> tuple[Any, list[Any]]:
    """Ends them, and holds against the log what the writers were told and the subscribers heard."""
    told = finish(writers)
    asking.log_end()
    heard = [each for child in subscribers for each in finish(child)]
    log = asking.log()
    check_writers(figures, told, log)
    check_subscribers(figures, heard, log)
    return told, heard


def await_writes(server: Server, count: int) -> None:
    """Until so many more are stored."""
    asking = Asking(server.url)
    until = time.monotonic() + PATIENCE_SECONDS
    wanted = None
    while time.monotonic() < until:
        with suppress(AssertionError, httpx.HTTPError):  # it is told to survive what we do to it
            stored = asking.count()
            wanted = stored + count if wanted is None else wanted
            if stored >= wanted:
                return
        time.sleep(0.05)
    raise SystemExit("Nothing is written any more.")


def await_no_sockets(server: Server) -> None:
    """Until the server has let go of all of them, or patience ends: then the clients tell."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        metrics = httpx.get(f"{server.url}/metrics").text.splitlines()
        if any(line.startswith("tocsin_sockets") and line.endswith(" 0.0") for line in metrics):
            return
        time.sleep(0.25)


def resident_mb(server: Server) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
