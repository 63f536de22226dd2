"""Node, with the packages of a folder that has a package-lock.json."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Installed by `make setup` if the machine has no Node, or one that is too old.
WEB = Path(__file__).parents[1] / "web"
NODE = WEB / ".node" / "bin"

INSTALL_SECONDS = 240  # below the deadline of a test


def node_environment() -> dict[str, str]:
    return os.environ | {"PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}"}


def install_packages(folder: Path) -> None:
    """Installs the packages of the lock file, unless they were installed since it was written."""
    installed, lock = folder / "node_modules" / ".package-lock.json", folder / "package-lock.json"
    with _exclusive(folder):
        if not installed.exists() or installed.stat().st_mtime <= lock.stat().st_mtime:
            _run_npm(folder, "ci")


def install_workspace(folder: Path, *names: str) -> None:
    """Builds and packs packages of `web/packages`, and installs their tarballs in a folder.

    Does nothing if they have not changed since they were installed there.
    """
    with _exclusive(folder):
        # npm removes other files from node_modules when it installs, but not its caches.
        target = folder / "node_modules" / ".cache" / "tocsin"
        target.mkdir(parents=True, exist_ok=True)
        packed = [_pack(WEB / "packages" / name, target) for name in names]
        if any(is_new for _, is_new in packed):
            tarballs = [str(tarball) for tarball, _ in packed]
            _run_npm(folder, "install", "--no-save", "--no-package-lock", *tarballs)


def build_example(name: str) -> Path:
    """Builds an example of `web/examples` with the packages that it uses. Returns its pages.

    Does nothing if nothing has changed since it was built.
    """
    install_packages(WEB)
    example = WEB / "examples" / name
    page = example / "dist" / "index.html"
    with _exclusive(WEB):
        newest = max(_find_newest_change(WEB / "packages"), _find_newest_change(example))
        if not page.exists() or page.stat().st_mtime <= newest:
            for folder in (WEB / "packages" / "react", example):
                _run_npm(folder, "run", "build")
    return page.parent


def _pack(package: Path, target: Path) -> tuple[Path, bool]:
    """Builds and packs a package. Returns the tarball, and whether it is new."""
    existing = list(target.glob(f"tocsin-{package.name}-*.tgz"))
    if existing and existing[0].stat().st_mtime > _find_newest_change(package):
        return existing[0], False
    with _exclusive(WEB):  # other folders install packages that are built in the same place
        _run_npm(package, "pack", "--pack-destination", str(target))
    [tarball] = target.glob(f"tocsin-{package.name}-*.tgz")
    return tarball, True


def _find_newest_change(folder: Path) -> float:
    """Returns the time of the newest source in a folder."""
    return max(
        file.stat().st_mtime
        for file in folder.rglob("*")
        if file.is_file()
        and not {"dist", "node_modules"}.intersection(file.relative_to(folder).parts)
    )


def _run_npm(folder: Path, *arguments: str) -> None:
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    options = quiet if arguments[0] in ("ci", "install") else ("--loglevel=error",)
    subprocess.run(
        ["npm", *arguments, *options],
        cwd=folder,
        env=node_environment(),
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=INSTALL_SECONDS,
    )


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Waits until no other process of the test run installs packages in the folder."""
    with (folder / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
