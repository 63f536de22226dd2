"""The commands in this process, at a test's database; events to fill an archive with."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlmodel import col
from typer.testing import CliRunner

from app.cli import main
from app.store import tables
from app.store.engine.database import EVERYWHERE, Database
from tests.http.test_command import environment


@dataclass(frozen=True)
class Ran:
    """What the command answered. `err` is a list of lines."""

    code: int
    out: str
    err: list[str]

    @property
    def cursor(self) -> str:
        [found] = re.findall(r"--after (\S+)$", "\n".join(self.err), re.MULTILINE)
        return str(found)

    @property
    def ids(self) -> list[str]:
        return ids_in(self.out)


async def command(database_url: str, *arguments: str | Path) -> Ran:
    kept = structlog.get_config()
    try:
        result = await asyncio.to_thread(
            CliRunner(env=environment(database_url=database_url)).invoke,
            main,
            [str(each) for each in arguments],
            catch_exceptions=False,
        )
    finally:
        structlog.configure(**kept)
    return Ran(result.exit_code, result.stdout, result.stderr.splitlines())


def an_event(id: str, **given: Any) -> dict[str, Any]:
    said = {"specversion": "1.0", "id": id, "source": "/meters", "type": "meter.read"}
    return said | {"time": "2026-04-10T12:00:00Z"} | given


def events_named(names: Iterable[str | int]) -> bytes:
    """Events with these ids, one a line."""
    return b"".join(json.dumps(an_event(str(name))).encode() + b"\n" for name in names)


def ids_in(lines: str) -> list[str]:
    return [json.loads(line)["id"] for line in lines.splitlines()]


async def count(database: Database) -> int:
    async with database.read(EVERYWHERE) as session:
        return (await session.scalars(select(func.count(col(tables.Event.id))))).one()
