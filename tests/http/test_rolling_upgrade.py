"""A rolling upgrade: servers of two versions on one database, both of which are ready."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import httpx
from sqlalchemy import text

import app
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.migrate import newest_revision
from tests.client import TIMEOUT_SECONDS, Client
from tests.conftest import Serve
from tests.http.test_command import (
    command_environment,
    end_process,
    find_free_port,
    run_command,
)

# Of a later version: servers of this one need not know the column.
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = compatible_with = "{newest}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event", sa.Column("added_later", sa.String(), nullable=True))
"""
RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from app.cli import main; main()"
COUNT = "{ events { totalCount } }"


def copy_as_later_version(folder: Path) -> Path:
    """Copies the code and adds a migration. Returns the folder to import it from."""
    source = Path(app.__file__).parent
    ignored = shutil.ignore_patterns("static", "__pycache__")
    shutil.copytree(source, folder / "later" / "app", ignore=ignored)
    migration = folder / "later" / "app" / "migrations" / "versions" / "9001_added_later.py"
    migration.write_text(MIGRATION.format(newest=newest_revision()))
    return folder / "later"


async def test_old_and_new_servers_serve_the_same_database_until_a_migration_excludes_old_ones(
    database_url: str, database: Database, tmp_path: Path, serve: Serve
) -> None:
    later, port = copy_as_later_version(tmp_path), find_free_port()
    async with serve(database_url) as old:
        await old.log_event(summary="before")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", RUN, str(later), "serve", "--port", str(port)),
            cwd=tmp_path,
            env=command_environment(database_url=database_url),
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            async with Client(f"http://127.0.0.1:{port}") as new:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    while not await is_ready(new):
                        await asyncio.sleep(0.1)
                async with old.subscription("subscription { eventChanged { kind } }") as changes:
                    await old.execute_field("{ logHead }")
                    await new.log_event(summary="by the new server")
                    received = await changes.receive_next()
                await old.log_event(summary="by the old server")
                both_ready = await is_ready(old) and await is_ready(new)
                counts = [await each.execute_field(COUNT) for each in (old, new)]
        finally:
            await end_process(process)
        started_again = await run_command(tmp_path, "migrate", database_url=database_url)
        async with database.write(ALL_ORGANIZATIONS) as session:
            await session.execute(text("UPDATE log SET oldest_revision = '9001'"))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while await is_ready(old):
                await asyncio.sleep(0.1)
        refused = await run_command(tmp_path, "migrate", database_url=database_url)

    assert both_ready
    assert received == {"kind": "LOGGED"}
    assert counts == [{"totalCount": 3}] * 2
    assert started_again == (0, "The database is up to date.\n", "")
    assert refused[0] == 1
    assert "The database is at migration 9001, which this version does not have" in refused[2]


async def is_ready(client: Client) -> bool:
    try:
        return (await client.http.get("/ready")).status_code == 200
    except httpx.TransportError:
        return False
