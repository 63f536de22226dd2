"""What a run was made on and with."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.servers import FOLDER, POSTGRESQL
from benchmarks.peers.stands import Stand


def machine(stands: list[Stand], node: Path) -> dict[str, str]:
    facts = {
        "cores": str(os.cpu_count()),
        "processor": _first("/proc/cpuinfo", "model name"),
        "memory": f"{int(_first('/proc/meminfo', 'MemTotal').split()[0]) / 1e6:.0f} GB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "Node": subprocess.check_output([node, "--version"], text=True).strip(),
    }
    for stand in stands:
        if stand.database == POSTGRESQL:
            facts[POSTGRESQL] = str(stand.value("SHOW server_version"))
    facts |= {name: version(name) for name in ("strawberry-graphql", "uvicorn", "asyncpg")}
    wanted = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    return facts | {name: wanted[name] for name in ("postgraphile", "mercurius", "graphql-jit")}


def _first(file: str, name: str) -> str:
    """The value of the first line of this name."""
    lines = Path(file).read_text().splitlines()
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, "unknown")
