"""Hostile and random requests against `tocsin serve`: it answers, and goes on.

The same requests each time; `make fuzz` has more of them. On PostgreSQL only those of the hostile
ones that speak to a database.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.client import ADMINISTRATOR
from tests.conftest import POSTGRESQL
from tests.fuzz.attacking import KEPT_BYTES, a_target, attack
from tests.fuzz.hostile_requests import the_table
from tests.fuzz.operations import send_drawn

SEED = 1
AT_THE_DATABASE = ("variables", "events", "paths")
EXAMPLES = 5  # of each field


async def test_hostile_requests_are_answered_or_closed_and_nothing_is_broken(
    database_url: str, tmp_path: Path
) -> None:
    chosen = the_table(SEED)
    assert len(chosen) >= 400
    if database_url.startswith(POSTGRESQL):
        chosen = [each for each in chosen if each.name.startswith(AT_THE_DATABASE)]

    async with a_target(database_url, tmp_path) as target:
        report = await attack(target, chosen)
        logged = target.log.read_text()

    assert ADMINISTRATOR not in logged
    assert report.wrong == []
    assert report.ends.total() == len(chosen)
    assert report.grown_bytes <= KEPT_BYTES


async def test_operations_drawn_from_the_schema_meet_no_mistake(
    database_url: str, tmp_path: Path
) -> None:
    async with a_target(database_url, tmp_path) as target:
        ends = await asyncio.to_thread(send_drawn, target.url, EXAMPLES, SEED)
        complaints = target.complaints()

    assert complaints == []
    assert ends["answered"] > ends.total() / 3
    assert ends.total() > 200
