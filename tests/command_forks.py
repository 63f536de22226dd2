"""Commands of `tocsin`, each in a process that is forked from one with all of their modules.

Importing them takes a second of every new process. New processes run the commands in
`tests/http/test_command_imports.py`, in the tests of the documentation and of packages, and if a
server has several workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

MAX_REQUEST_BYTES = 2**17
ROOT = Path(__file__).parents[1]
# What commands import when they run.
MODULES = (
    "alembic.command",
    "app.backup_commands",
    "app.database_commands",
    "app.key_commands",
    "app.main",
    "app.serving.command",
    "app.serving.server",
    "app.settings_command",
)
_forkers: list[subprocess.Popen[bytes]] = []  # kept, because a garbage-collected Popen warns


class CommandFork:
    """A command in a forked process, used like a process of asyncio.

    `stdout` is None unless the output is read from a pipe.
    """

    def __init__(self, pid: int, status: asyncio.StreamReader) -> None:
        self.pid = pid
        self.stdout: asyncio.StreamReader | None = None
        self.returncode: int | None = None
        self._waiting = asyncio.create_task(self._read_status(status))

    async def _read_status(self, status: asyncio.StreamReader) -> None:
        self.returncode = int(await status.readline())

    async def wait(self) -> int:
        await asyncio.shield(self._waiting)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextlib.asynccontextmanager
async def start_fork(
    folder: Path,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    out: int | None = None,
    err: int | None = None,
) -> AsyncIterator[CommandFork]:
    """Starts the command, and kills it at the end.

    `out`: the file for its output; by default, the output is read from `stdout`. `err`: the file
    for its errors; by default, that of the tests.
    """
    previous = os.umask(0)
    os.umask(previous)
    request: dict[str, Any] = {"arguments": list(arguments), "folder": str(folder)}
    request |= {"environment": dict(environment), "umask": previous}
    async with contextlib.AsyncExitStack() as stack:
        status, status_end = await _open_pipe(stack)
        stdout, stdout_end = await _open_pipe(stack)
        descriptors = [status_end, stdout_end if out is None else out, 2 if err is None else err]
        try:
            socket.send_fds(_start_forker(), [json.dumps(request).encode()], descriptors)
        finally:
            os.close(status_end)
            os.close(stdout_end)
        fork = CommandFork(int(await status.readline()), status)
        if out is None:
            fork.stdout = stdout
        try:
            yield fork
        finally:
            fork.kill()
            await fork.wait()


async def _open_pipe(stack: contextlib.AsyncExitStack) -> tuple[asyncio.StreamReader, int]:
    """Opens a pipe. Returns a reader, and the file descriptor of the other end."""
    reading, writing = os.pipe()
    file = stack.enter_context(os.fdopen(reading, "rb"))
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), file
    )
    stack.callback(transport.close)
    return reader, writing


async def run_in_fork(
    folder: Path, arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[int, str, str]:
    """Runs the command. Returns its exit code, standard output and standard error."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        files = {"out": out.fileno(), "err": err.fileno()}
        async with start_fork(folder, arguments, environment, **files) as fork:
            code = await fork.wait()
        out.seek(0)
        err.seek(0)
        return code, out.read().decode(), err.read().decode()


@functools.cache
def _start_forker() -> socket.socket:
    """Starts the process that forks. It ends with this process, which has the other socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", "tests.command_forks", str(theirs.fileno())]
        _forkers.append(
            subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        )
    return ours


def _fork_commands(requests: socket.socket) -> None:
    """Forks a command for each request until the other socket is closed.

    Returns in the process of a command.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # reaps the processes that wait for commands
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, MAX_REQUEST_BYTES, 3)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            break
        for each in descriptors:
            os.close(each)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    requests.close()
    status, out, err = descriptors
    pid = os.fork()
    if pid:
        os.close(out)
        os.close(err)
        os.write(status, f"{pid}\n".encode())
        _, result = os.waitpid(pid, 0)
        os.write(status, f"{os.waitstatus_to_exitcode(result)}\n".encode())
        os._exit(0)
    os.close(status)
    os.dup2(out, sys.stdout.fileno())
    os.dup2(err, sys.stderr.fileno())
    os.close(out)
    os.close(err)
    request: dict[str, Any] = json.loads(message)
    os.umask(request["umask"])
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["tocsin", *request["arguments"]]


if __name__ == "__main__":
    for module in MODULES:
        importlib.import_module(module)
    from app.cli import main

    gc.collect()
    gc.freeze()  # so that the forks share the memory
    _fork_commands(socket.socket(fileno=int(sys.argv[1])))
    main()
