"""A server of its own, attacked over bare sockets: `python -m tests.fuzz.attacking DAMAGED SEED`.

The whole table of `hostile_requests`, and so many of its requests that chance has damaged.

What it shows: no answer of 500 or more, every request ends by an answer or a close, memory stays
within a bound, and a good request is answered afterwards.
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
from tests.fuzz.hostile_requests import Attack, damaged, the_table

PATIENCE_SECONDS = 60.0
AT_ONCE = 16
QUIET_SECONDS = 1.0  # after which the client says that it has no more to send
# What the server may have more of afterwards, and at any time, than after its first answer.
KEPT_BYTES = 256 << 20
_STATUS = re.compile(rb"(?:^|\n)HTTP/1\.1 (\d{3}) ")
# Where a request is cut off, SQLAlchemy gives up closing its connection to SQLite, and ends it.
_CUT_OFF = "AsyncAdapt_aiosqlite_connection._terminate_graceful_close"
_COUNT = "{ events { totalCount } }"


@dataclass(frozen=True)
class Memory:
    """Of a process, in bytes: now, and at its highest."""

    now: int
    peak: int


@dataclass
class Report:
    """How the attacks ended, and what must not be."""

    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)

    @property
    def grown_bytes(self) -> int:
        """By how much more memory there was at any time than at first."""
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

    def complaints(self) -> list[str]:
        """What the server logged as its own mistake."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if _is_a_mistake(line)]


def _is_a_mistake(line: str) -> bool:
    if _CUT_OFF in line:
        return False
    try:
        return bool(json.loads(line)["level"] not in ("info", "warning"))
    except (ValueError, KeyError, TypeError):
        return bool(line.strip())


@contextlib.asynccontextmanager
async def a_target(database_url: str, folder: Path) -> AsyncIterator[Target]:
    """`tocsin serve`, on a database whose administrator has the key that the attacks have."""
    # A guess is slowed elsewhere; here each one is answered at once.
    settings = {
        "DATABASE_URL": database_url,
        "BOOTSTRAP_KEY": ADMINISTRATOR,
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
    """Sends all of them, some at a time."""
    report = Report()
    waiting = iter(chosen)

    async def go_on() -> None:
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
            if failed or b"INTERNAL_SERVER_ERROR" in answer:
                report.wrong.append(f"fails: {each.name}: {answer[:300]!r}")

    async with Client(target.url) as client:
        await client.execute_field(_COUNT)
        report.memory.append(target.memory())
        await asyncio.gather(*(go_on() for _ in range(AT_ONCE)))
        report.memory.append(target.memory())
        await client.execute_field(_COUNT)
    if report.grown_bytes > KEPT_BYTES:
        report.wrong.append(f"grows by {report.grown_bytes:,} bytes")
    report.wrong += [f"logged: {line[:6_000]}" for line in target.complaints()]
    return report


async def _send(port: int, attack: Attack) -> bytes:
    """What came back, up to the end of one answer that says its length, or to the close."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard, waits = b"", attack.ends
    try:
        writer.write(attack.sent)
        while attack.ends or not _is_whole(heard):
            try:
                async with asyncio.timeout(QUIET_SECONDS if waits else None):
                    piece = await reader.read(1 << 20)
            except TimeoutError:
                waits = False
                writer.write_eof()
                continue
            if not piece:
                break
            heard += piece
    except OSError:
        pass  # it was closed while we spoke
    finally:
        writer.transport.abort()
    return heard


def _is_whole(heard: bytes) -> bool:
    head, separator, body = heard.partition(b"\r\n\r\n")
    length = re.search(rb"\ncontent-length: (\d+)", head)
    if not separator or head.startswith(b"HTTP/1.1 100"):
        return False
    if b"\ncontent-type: text/event-stream" in head:
        return True
    return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")


async def _main(count: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with a_target(f"sqlite:///{folder}/tocsin.db", Path(folder)) as target:
            chosen = [*the_table(seed), *islice(damaged(seed), count)]
            report = await attack(target, chosen)
    before, after = report.memory
    print(dict(report.ends))
    print(f"memory {before.now >> 20} MiB, then {after.now >> 20} MiB, at most {after.peak >> 20}")
    for each in report.wrong:
        print(each)
    sys.exit(bool(report.wrong))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
