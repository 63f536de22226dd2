"""The migrations create the tables of the code on both databases; migrating again changes
nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app.store.alembic_upgrade import (
    alembic_config,
    list_migrations,
    oldest_compatible_revision,
)
from app.store.engine import dialect
from app.store.migrate import migrate_database, newest_revision


async def test_alembic_check_finds_nothing_to_migrate(database_url: str) -> None:
    engine = dialect.create_migration_engine(dialect.parse_database_url(database_url))

    async with engine.begin() as connection:
        await connection.run_sync(_check_no_pending_migration)
    await engine.dispose()


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    await migrate_database(dialect.parse_database_url(database_url))

    await test_alembic_check_finds_nothing_to_migrate(database_url)


def test_the_newest_revision_is_alembic_s_head() -> None:
    assert newest_revision() == ScriptDirectory.from_config(alembic_config()).get_current_head()


# The newest migration of version 0.2.0. Servers of this version stay in use during an upgrade.
FIRST_ROLLING_REVISION = "0033"
_NOT_COMPATIBLE = re.compile(
    r"op\.(drop_\w+|rename_table|alter_column|create_unique_constraint|execute)"
    r"|batch_op\.(drop_\w+|alter_column)|unique=True|new_column_name"
)
_DEFAULT = "server_default"
_REQUIRED_COLUMN = re.compile(r"add_column\((?:(?!add_column).)*?nullable=False", re.DOTALL)


def find_incompatible_steps(source: str) -> list[str]:
    """Finds what servers that do not know a migration may not survive."""
    steps = [match[0] for match in _NOT_COMPATIBLE.finditer(source)]
    columns = _REQUIRED_COLUMN.findall(source)
    return steps + ["add_column without a default" for each in columns if _DEFAULT not in each]


def test_later_migrations_only_add_what_older_servers_ignore_or_exclude_these_servers() -> None:
    later = [each for each in list_migrations() if each.revision > FIRST_ROLLING_REVISION]

    problems = {
        each.revision: steps
        for each in later
        if oldest_compatible_revision(each) < each.revision
        and (steps := find_incompatible_steps(Path(each.__file__).read_text()))
    }

    assert problems == {}


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ('op.add_column("event", sa.Column("a", sa.String(), nullable=True))', []),
        (
            'op.add_column("event", sa.Column("a", sa.Integer(), server_default="0", '
            "nullable=False))",
            [],
        ),
        ('op.create_index("ix", "event", ["a"])', []),
        (
            'op.add_column("event", sa.Column("a", sa.String(), nullable=False))',
            ["add_column without a default"],
        ),
        ('op.drop_column("event", "a")', ["op.drop_column"]),
        (
            'op.alter_column("change", "rings", new_column_name="x")',
            ["op.alter_column", "new_column_name"],
        ),
        ('op.create_index("ix", "event", ["a"], unique=True)', ["unique=True"]),
    ],
)
def test_incompatible_steps_are_found(step: str, found: list[str]) -> None:
    assert find_incompatible_steps(step) == found


def _check_no_pending_migration(connection: Connection) -> None:
    """Raises an error if autogenerate would write a migration."""
    command.check(alembic_config(connection))
