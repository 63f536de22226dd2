"""Node, with the packages of a folder that has a package-lock.json."""

from __future__ import annotations

import os
import subprocess
from fcntl import LOCK_EX, flock
from pathlib import Path

# Installed by `make setup` if the machine has no Node, or one that is too old.
NODE = Path(__file__).parents[1] / "web" / ".node" / "bin"

INSTALL_SECONDS = 240  # below the deadline of a test


def node_environment() -> dict[str, str]:
    return os.environ | {"PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}"}


def install_packages(folder: Path) -> None:
    """Installs the packages of the lock file, unless they were installed since it was written."""
    installed, lock = folder / "node_modules" / ".package-lock.json", folder / "package-lock.json"
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    with lock.open() as lock_file:
        flock(lock_file, LOCK_EX)  # another process of the test run may install them
        if installed.exists() and installed.stat().st_mtime > lock.stat().st_mtime:
            return
        subprocess.run(
            npm,
            cwd=folder,
            env=node_environment(),
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=INSTALL_SECONDS,
        )
