"""A command whose standard error is a terminal, as people start it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal

from tests.client import PATIENCE_SECONDS


def hear_ctrl_c() -> None:
    """For a child: it hears Ctrl-C also where the tests run in the background, and ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def at_a_terminal(*arguments: str, env: dict[str, str]) -> tuple[int, str, str]:
    """The exit code, standard output, and all that the terminal was sent."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=env | {"TERM": "xterm", "COLUMNS": "120"},
        stdout=asyncio.subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = asyncio.create_task(asyncio.to_thread(_read, ours))
    async with asyncio.timeout(PATIENCE_SECONDS):
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode(), (await shown).decode()


def _read(terminal: int) -> bytes:
    """Everything, until nobody writes any more: then Linux has an error."""
    read = b""
    with contextlib.suppress(OSError):
        while more := os.read(terminal, 65_536):
            read += more
    os.close(terminal)
    return read
