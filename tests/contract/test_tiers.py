"""`make test` and `make check` together run every test, and `make check` runs each once."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from tests.tiers import LONG, TEST, TESTS, TIERS, tiers_of

FILES = [file for file in TESTS.rglob("test_*.py") if "node_modules" not in file.parts]


def test_every_test_file_is_in_one_tier() -> None:
    assert [file for file in FILES if len(tiers_of(file)) != 1] == []


def test_every_folder_of_a_tier_has_tests() -> None:
    folders = {file.relative_to(TESTS).parts[0] for file in FILES}

    assert set().union(*TIERS.values()) == folders


def test_every_long_file_exists_in_a_folder_of_the_first_tier() -> None:
    folders = {(TESTS / name).is_file() and name.partition("/")[0] for name in LONG}

    assert folders <= TIERS[TEST]


@pytest.mark.parametrize(("target", "tiers"), [("test", ["--tier=test"]), ("check", [])])
def test_the_makefile_runs_pytest_once_and_for_the_tiers_of_the_target(
    target: str, tiers: list[str]
) -> None:
    planned = subprocess.run(
        ["make", "--dry-run", target],
        cwd=TESTS.parent,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )

    lines = [shlex.split(line) for line in planned.stdout.splitlines() if " pytest" in line]
    # How the tests are distributed does not matter, which ones are selected does.
    selected = [each for line in lines for each in line[line.index("pytest") + 1 :]]
    assert len(lines) == 1
    assert [each for each in selected if each not in ("-n", "3", "--dist", "worksteal")] == tiers
