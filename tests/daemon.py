"""A server of another project, run by a test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from tests.client import TIMEOUT_SECONDS


@contextlib.asynccontextmanager
async def run_daemon(name: str, *arguments: str, folder: Path, port: int) -> AsyncIterator[None]:
    """Runs the program in the folder. It listens on the port when this yields."""
    command = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    assert command is not None, f"Install {name}."
    process = await asyncio.create_subprocess_exec(command, *arguments, cwd=folder)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                assert process.returncode is None, f"{name} has ended."
                await asyncio.sleep(0.02)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
