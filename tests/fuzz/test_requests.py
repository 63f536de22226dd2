"""Hostile and random requests to `tocsin serve`: it responds and keeps running.

The requests are the same each time; `make fuzz` sends more. PostgreSQL gets only those that use the
database.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.client import ADMINISTRATOR
from tests.conftest import POSTGRESQL
from tests.fuzz.attacking import MAX_GROWTH_BYTES, attack, run_target
from tests.fuzz.hostile_requests import build_table
from tests.fuzz.operations import send_drawn

SEED = 1
AT_THE_DATABASE = ("variables", "events", "paths")
EXAMPLES = 5  # per field


async def test_hostile_requests_are_answered_or_closed_and_the_server_keeps_running(
    database_url: str, tmp_path: Path
) -> None:
    chosen = build_table(SEED)
    assert len(chosen) >= 400
    if database_url.startswith(POSTGRESQL):
        chosen = [each for each in chosen if each.name.startswith(AT_THE_DATABASE)]

    async with run_target(database_url, tmp_path) as target:
        report = await attack(target, chosen)
        logged = target.log.read_text()

    assert ADMINISTRATOR not in logged
    assert report.wrong == []
    assert report.ends.total() == len(chosen)
    assert report.grown_bytes <= MAX_GROWTH_BYTES


async def test_random_operations_cause_no_internal_error(database_url: str, tmp_path: Path) -> None:
    async with run_target(database_url, tmp_path) as target:
        ends = await asyncio.to_thread(send_drawn, target.url, EXAMPLES, SEED)
        logged_errors = target.logged_errors()

    assert logged_errors == []
    assert ends["answered"] > ends.total() / 3
    assert ends.total() > 200
