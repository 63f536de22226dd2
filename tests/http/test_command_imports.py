"""Which packages each command imports: importing takes most of the time that a command takes."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.client import PATIENCE_SECONDS
from tests.http.test_command import environment

PRINT_PACKAGES = """
import json, sys
try:
    {code}
except SystemExit:
    pass
packages = sorted({{name.partition(".")[0] for name in sys.modules}})
print(json.dumps(packages), file=sys.stderr)
"""
MIGRATION = {"alembic", "mako"}
TOKENS = {"cryptography", "httpx", "jwt"}
WEB = {"fastapi", "starlette", "uvicorn", "websockets"}
GRAPHQL = {"graphql", "strawberry"}
DATABASE = {"aiosqlite", "asyncpg", "sqlalchemy", "sqlmodel"}


async def imported(folder: Path, code: str, *arguments: str) -> set[str]:
    """The packages that a new process has imported after it ran the code."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PRINT_PACKAGES.format(code=code),
        *arguments,
        cwd=folder,
        env=environment(),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        _, err = await process.communicate()
    return set(json.loads(err.decode().splitlines()[-1]))


async def imported_by_command(folder: Path, *arguments: str) -> set[str]:
    return await imported(folder, "from app.cli import main; main()", *arguments)


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--nope",), ("serve", "--help"), ("keys", "create")]
)
async def test_help_and_usage_errors_import_no_implementation(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    packages = await imported_by_command(tmp_path, *arguments)

    unneeded = DATABASE | GRAPHQL | WEB | TOKENS | MIGRATION | {"pydantic_settings", "structlog"}
    assert packages & unneeded == set()
    assert "typer" in packages


async def test_printing_the_schema_imports_no_web_framework(tmp_path: Path) -> None:
    packages = await imported_by_command(tmp_path, "schema")

    assert packages & (WEB | TOKENS | MIGRATION) == set()
    assert packages >= GRAPHQL


async def test_commands_at_a_database_import_no_server_and_migrations_only_to_migrate(
    tmp_path: Path,
) -> None:
    new = await imported_by_command(tmp_path, "migrate")
    others = await asyncio.gather(
        imported_by_command(tmp_path, "migrate"),
        imported_by_command(tmp_path, "prune", "--before", "2026-01-01"),
        imported_by_command(tmp_path, "keys", "list"),
        imported_by_command(tmp_path, "export"),
    )

    assert new >= MIGRATION
    assert new & (GRAPHQL | WEB | TOKENS) == set()
    for packages in others:
        assert packages & (GRAPHQL | WEB | TOKENS | MIGRATION) == set()
        assert packages >= {"sqlalchemy"}


async def test_the_server_imports_no_packages_of_other_commands(tmp_path: Path) -> None:
    packages = await imported(tmp_path, "import app.main")

    assert packages & (TOKENS | MIGRATION | {"asyncpg", "typer"}) == set()
    assert packages >= GRAPHQL | WEB


async def test_the_supervisor_of_workers_imports_no_server(tmp_path: Path) -> None:
    packages = await imported(tmp_path, "import app.serving.command")

    assert packages & (GRAPHQL | WEB | TOKENS | MIGRATION) == set()
