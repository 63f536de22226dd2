"""The packages that each command imports. Imports take most of the time of a command."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.client import TIMEOUT_SECONDS
from tests.http.test_command import command_environment

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


async def list_imports(folder: Path, code: str, *arguments: str) -> set[str]:
    """Runs the code in a new process. Returns the packages that it imported."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PRINT_PACKAGES.format(code=code),
        *arguments,
        cwd=folder,
        env=command_environment(),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        _, err = await process.communicate()
    return set(json.loads(err.decode().splitlines()[-1]))


async def list_command_imports(folder: Path, *arguments: str) -> set[str]:
    return await list_imports(folder, "from app.cli import main; main()", *arguments)


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--nope",), ("serve", "--help"), ("keys", "create")]
)
async def test_help_and_usage_errors_import_no_implementation(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    packages = await list_command_imports(tmp_path, *arguments)

    unneeded = DATABASE | GRAPHQL | WEB | TOKENS | MIGRATION | {"pydantic_settings", "structlog"}
    assert packages & unneeded == set()
    assert "typer" in packages


async def test_printing_the_schema_imports_no_web_framework(tmp_path: Path) -> None:
    packages = await list_command_imports(tmp_path, "schema")

    assert packages & (WEB | TOKENS | MIGRATION) == set()
    assert packages >= GRAPHQL


async def test_database_commands_import_no_server_and_migrations_only_to_migrate(
    tmp_path: Path,
) -> None:
    new = await list_command_imports(tmp_path, "migrate")
    others = await asyncio.gather(
        list_command_imports(tmp_path, "migrate"),
        list_command_imports(tmp_path, "prune", "--before", "2026-01-01", "--yes"),
        list_command_imports(tmp_path, "keys", "list"),
        list_command_imports(tmp_path, "export"),
    )

    assert new >= MIGRATION
    assert new & (GRAPHQL | WEB | TOKENS) == set()
    for packages in others:
        assert packages & (GRAPHQL | WEB | TOKENS | MIGRATION) == set()
        assert packages >= {"sqlalchemy"}


async def test_commands_for_any_server_import_no_database_and_no_server(tmp_path: Path) -> None:
    log, tail = await asyncio.gather(
        list_command_imports(tmp_path, "log", "x"), list_command_imports(tmp_path, "tail")
    )

    for packages in (log, tail):
        unneeded = DATABASE | GRAPHQL | WEB | MIGRATION | {"pydantic_settings", "structlog", "jwt"}
        assert packages & unneeded == set()
        assert packages >= {"httpx"}


async def test_the_server_imports_no_packages_of_other_commands_and_no_cel(tmp_path: Path) -> None:
    packages = await list_imports(tmp_path, "import app.main")

    assert packages & (TOKENS | MIGRATION | {"asyncpg", "typer", "cel_expr_python"}) == set()
    assert packages >= GRAPHQL | WEB


async def test_the_supervisor_of_workers_imports_no_server(tmp_path: Path) -> None:
    packages = await list_imports(tmp_path, "import app.serving.command")

    assert packages & (GRAPHQL | WEB | TOKENS | MIGRATION) == set()
