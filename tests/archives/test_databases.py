"""`tocsin import` and `tocsin export` create no database and migrate none."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.store.engine.dialect import display_address, parse_database_url
from tests.http.test_command import create_older_database, missing_tables_message
from tests.http.test_keys_command import run_commands

COMMANDS = (("export",), ("export", "--output", "events.ndjson"), ("import", __file__))


async def test_a_missing_database_is_an_error_and_not_created(tmp_path: Path) -> None:
    answers = await run_commands(tmp_path, *COMMANDS)

    message = f"There is no database at {tmp_path}/tocsin.db. Run `tocsin migrate` to create it."
    assert answers == [(1, "", f"{message}\n")] * 3
    assert list(tmp_path.iterdir()) == []


async def test_an_older_database_is_an_error_and_not_migrated(
    database_url: str, tmp_path: Path
) -> None:
    older = await create_older_database(database_url, tmp_path)

    answers = await run_commands(tmp_path, *COMMANDS, database_url=older)

    assert answers == [(1, "", f"{missing_tables_message(older)}\n")] * 3
    assert not (tmp_path / "events.ndjson").exists()


@pytest.mark.parametrize(
    ("url", "expected_message"),
    [
        ("sqlite:////srv/tocsin.db", "/srv/tocsin.db"),
        ("sqlite:///tocsin.db", f"{Path.cwd()}/tocsin.db"),
        ("postgresql://ann:s3cret@db:5433/ops?sslmode=require", "postgresql://ann@db:5433/ops"),
        (
            "postgresql:///ops?host=/run/pg&user=ann&password=s3cret",
            "postgresql://ann@/ops?host=%2Frun%2Fpg",
        ),
    ],
)
def test_a_displayed_address_has_no_password(url: str, expected_message: str) -> None:
    assert display_address(parse_database_url(url)) == expected_message
