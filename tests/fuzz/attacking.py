"""Attacks a server over raw sockets: `python -m tests.fuzz.attacking DAMAGED SEED`.

Sends the whole table of `hostile_requests`, and DAMAGED of its requests with random damage.

Checks that no response is 500 or more, that every request ends with a response or a close, that
memory is bounded, and that a valid request is answered afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tests.client import ADMINISTRATOR, Client
from tests.conftest import SECRETS_KEY
from tests.fuzz.hostile_requests import Attack, build_table, damaged

PATIENCE_SECONDS = 60.0
AT_ONCE = 16
QUIET_SECONDS = 1.0  # the client then sends the end of its stream
# The maximum growth of memory, at any time, since the first response.
MAX_GROWTH_BYTES = 256 << 20
_STATUS = re.compile(rb"(?:^|\n)HTTP/1\.1 (\d{3}) ")
_INTERNAL_ERROR = re.compile(rb'"code": ?"INTERNAL_SERVER_ERROR"')  # not that of a metric
# When a request is interrupted, SQLAlchemy cannot close its SQLite connection gracefully.
_CUT_OFF = "AsyncAdapt_aiosqlite_connection._terminate_graceful_close"
_COUNT = "{ events { totalCount } }"


@dataclass(frozen=True)
class Memory:
    """The memory of a process in bytes: current and peak."""

    now: int
    peak: int


@dataclass
class Report:
    """The results of the attacks, and the failed checks."""

    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)

    @property
    def grown_bytes(self) -> int:
        """The growth of memory from the first response to the peak."""
        return self.memory[-1].peak - self.memory[0].now


@dataclass
class Target:
    url: str
    process: asyncio.subprocess.Process
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def memory(self) -> Memory:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.MULTILINE))
        return Memory(int(match["VmRSS"]) * 1024, int(match["VmHWM"]) * 1024)

    def logged_errors(self) -> list[str]:
        """Returns the lines of the server log that report errors of the server."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if _is_server_error(line)]


def _is_server_error(line: str) -> bool:
    if _CUT_OFF in line:
        return False
    try:
        return bool(json.loads(line)["level"] not in ("info", "warning"))
    except (ValueError, KeyError, TypeError):
        return bool(line.strip())


@contextlib.asynccontextmanager
async def run_target(database_url: str, folder: Path) -> AsyncIterator[Target]:
    """Runs `tocsin serve` on a database whose administrator has the key of the attacks."""
    # Disables the delay of failed authentication attempts, which has its own tests.
    settings = {
        "DATABASE_URL": database_url,
        "BOOTSTRAP_KEY": ADMINISTRATOR,
        "SECRETS_KEYS": SECRETS_KEY,
        "FAILED_AUTH__FREE_ATTEMPTS": "1000000",
    }
    settings["ACCESS_LOG"] = "on"
    settings |= {
        f"SOCKETS__{which}_SECONDS": "2"
        for which in ("INIT_TIMEOUT", "PING_INTERVAL", "PONG_TIMEOUT")
    }
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")
    }
    log = folder / "server.log"
    with log.open("wb") as lines:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from app.cli import main; main()", "serve", "--port", "0"),
            env=inherited | {f"TOCSIN_{name}": value for name, value in settings.items()},
            stdout=asyncio.subprocess.PIPE,
            stderr=lines,
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            match = None
            while match is None:
                line = await process.stdout.readline()
                assert line, log.read_text()
                match = re.search(rb"running at (http://\S+)/graphql", line)
        yield Target(match[1].decode(), process, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def attack(target: Target, chosen: Sequence[Attack]) -> Report:
    """Sends all requests, several at a time."""
    report = Report()
    waiting = iter(chosen)

    async def send_next() -> None:
        for each in waiting:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    answer = await _send(target.port, each)
            except TimeoutError:
                report.wrong.append(f"hangs: {each.name}")
                continue
            statuses = [int(status) for status in _STATUS.findall(answer)]
            report.ends[str(statuses[-1]) if statuses else "closed"] += 1
            failed = [status for status in statuses if status >= 500]
            if failed or _INTERNAL_ERROR.search(answer):
                report.wrong.append(f"fails: {each.name}: {answer[:300]!r}")

    async with Client(target.url) as client:
        await client.execute_field(_COUNT)
        report.memory.append(target.memory())
        await asyncio.gather(*(send_next() for _ in range(AT_ONCE)))
        report.memory.append(target.memory())
        await client.execute_field(_COUNT)
    if report.grown_bytes > MAX_GROWTH_BYTES:
        report.wrong.append(f"grows by {report.grown_bytes:,} bytes")
    report.wrong += [f"logged: {line[:6_000]}" for line in target.logged_errors()]
    return report


async def _send(port: int, attack: Attack) -> bytes:
    """Returns the response: up to the end given by its length, or to the close."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received, waits = b"", attack.ends
    try:
        writer.write(attack.sent)
        while attack.ends or not _is_whole(received):
            try:
                async with asyncio.timeout(QUIET_SECONDS if waits else None):
                    piece = await reader.read(1 << 20)
            except TimeoutError:
                waits = False
                writer.write_eof()
                continue
            if not piece:
                break
            received += piece
    except OSError:
        pass  # the server closed it while the request was sent
    finally:
        writer.transport.abort()
    return received


def _is_whole(received: bytes) -> bool:
    head, separator, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"\ncontent-length: (\d+)", head)
    if not separator or head.startswith(b"HTTP/1.1 100"):
        return False
    if b"\ncontent-type: text/event-stream" in head:
        return True
    return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")


async def _main(count: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with run_target(f"sqlite:///{folder}/tocsin.db", Path(folder)) as target:
            chosen = [*build_table(seed), *islice(damaged(seed), count)]
            report = await attack(target, chosen)
    before, after = report.memory
    print(dict(report.ends))
    print(f"memory {before.now >> 20} MiB, then {after.now >> 20} MiB, at most {after.peak >> 20}")
    for each in report.wrong:
        print(each)
    sys.exit(bool(report.wrong))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
