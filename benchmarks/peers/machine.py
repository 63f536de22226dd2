"""The machine and the versions of a run."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.deployments import Deployment
from benchmarks.peers.servers import FOLDER, POSTGRESQL


def describe_machine(deployments: list[Deployment], node: Path) -> dict[str, str]:
    facts = {
        "cores": str(os.cpu_count()),
        "processor": _read_first_line("/proc/cpuinfo", "model name"),
        "memory": f"{int(_read_first_line('/proc/meminfo', 'MemTotal').split()[0]) / 1e6:.0f} GB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "Node": subprocess.check_output([node, "--version"], text=True).strip(),
    }
    for deployment in deployments:
        if deployment.database == POSTGRESQL:
            facts[POSTGRESQL] = str(deployment.fetch_value("SHOW server_version"))
    facts |= {name: version(name) for name in ("strawberry-graphql", "uvicorn", "asyncpg")}
    versions = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    return facts | {name: versions[name] for name in ("postgraphile", "mercurius", "graphql-jit")}


def _read_first_line(file: str, name: str) -> str:
    """Returns the value of the first line with this name."""
    lines = Path(file).read_text().splitlines()
    values = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(values, "unknown")
