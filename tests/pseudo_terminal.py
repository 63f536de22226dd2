"""Runs a command with a pseudo-terminal as standard error or standard output."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal

from tests.client import TIMEOUT_SECONDS


def restore_sigint() -> None:
    """For a child process: restores SIGINT, which background test runs ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def run_in_terminal(
    *arguments: str, env: dict[str, str], stdout: bool = False
) -> tuple[int, str, str]:
    """Returns exit code, standard output, and the output sent to the terminal.

    The terminal is standard error or, with `stdout`, both.
    """
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=env | {"TERM": "xterm", "COLUMNS": "120"},
        stdout=theirs if stdout else asyncio.subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = asyncio.create_task(asyncio.to_thread(_read_output, ours))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        out, _ = await process.communicate()
        return process.returncode or 0, (out or b"").decode(), (await shown).decode()


def _read_output(terminal: int) -> bytes:
    """Reads until the last writer closes: then Linux raises OSError."""
    read = b""
    with contextlib.suppress(OSError):
        while more := os.read(terminal, 65_536):
            read += more
    os.close(terminal)
    return read
