"""Runs commands in this process on a test's database; builds events for archives."""

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
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.http.test_command import command_environment


@dataclass(frozen=True)
class CommandResult:
    """Exit code and output of a command. `err` is a list of lines."""

    code: int
    out: str
    err: list[str]

    @property
    def cursor(self) -> str:
        [match] = re.findall(r"--after (\S+)$", "\n".join(self.err), re.MULTILINE)
        return str(match)

    @property
    def ids(self) -> list[str]:
        return parse_ids(self.out)


async def run_command(database_url: str, *arguments: str | Path, **settings: str) -> CommandResult:
    logging_config = structlog.get_config()
    try:
        result = await asyncio.to_thread(
            CliRunner(env=command_environment(database_url=database_url, **settings)).invoke,
            main,
            [str(each) for each in arguments],
            catch_exceptions=False,
        )
    finally:
        structlog.configure(**logging_config)
    return CommandResult(result.exit_code, result.stdout, result.stderr.splitlines())


def cloud_event(id: str, **overrides: Any) -> dict[str, Any]:
    defaults = {"specversion": "1.0", "id": id, "source": "/meters", "type": "meter.read"}
    return defaults | {"time": "2026-04-10T12:00:00Z"} | overrides


def event_lines(names: Iterable[str | int]) -> bytes:
    """Returns events with these IDs, one per line."""
    return b"".join(json.dumps(cloud_event(str(name))).encode() + b"\n" for name in names)


def parse_ids(lines: str) -> list[str]:
    return [json.loads(line)["id"] for line in lines.splitlines()]


async def count_events(database: Database) -> int:
    async with database.read(ALL_ORGANIZATIONS) as session:
        return (await session.scalars(select(func.count(col(tables.Event.id))))).one()
