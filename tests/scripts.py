"""Scripts in other processes, in Node or Python, that print lines of JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from tests import node
from tests.client import TIMEOUT_SECONDS

MAX_LINE_BYTES = 2**24


class Script:
    """A running script."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self.stdin, self.stdout = process.stdin, process.stdout

    async def write_line(self, line: str) -> None:
        self.stdin.write(f"{line}\n".encode())
        await self.stdin.drain()

    async def read_line(self) -> Any:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            line = await self.stdout.readline()
        assert line, "the script ended"
        return json.loads(line)

    async def read_rest(self) -> list[Any]:
        """Returns the remaining lines until the script ends."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            lines = (await self.stdout.read()).splitlines()
            await self.process.wait()
        return [json.loads(line) for line in lines]


@contextlib.asynccontextmanager
async def start_script(
    *command: Any, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Script]:
    """Starts a script in a folder, and kills it at the end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=node.node_environment() | dict(environment or {}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=MAX_LINE_BYTES,
    )
    try:
        yield Script(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run_json_script(folder: Path, *command: Any) -> Any:
    """Runs a script, which must succeed. Returns its only line."""
    async with start_script(*command, folder=folder) as script:
        [printed] = await script.read_rest()
        assert script.process.returncode == 0
        return printed


def run_command(
    folder: Path, *command: Any, stdin: str = "", seconds: float = TIMEOUT_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Runs a command of Node until it ends, even if it fails."""
    return subprocess.run(
        command,
        cwd=folder,
        env=node.node_environment(),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
