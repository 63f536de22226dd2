"""Every defense in `docs/security.md` names an existing test."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def table_rows() -> list[list[str]]:
    _, _, below = PAGE.partition("| attack | defense | tests |\n|---|---|---|\n")
    table = below.split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table]


def test_every_defense_names_a_test() -> None:
    assert len(table_rows()) >= 30
    assert [row for row in table_rows() if len(row) != 3] == []
    assert [attack for attack, _, test in table_rows() if not _NAMED.search(test)] == []


def test_every_test_that_the_page_names_exists() -> None:
    missing = [
        f"{file}::{name}"
        for file, name in _NAMED.findall(PAGE)
        if not re.search(rf"^(async )?def {name}\(", _read_if_file(ROOT / file), re.MULTILINE)
    ]

    assert missing == []


def _read_if_file(file: Path) -> str:
    return file.read_text() if file.is_file() else ""


def test_every_dependency_is_locked_by_its_hash() -> None:
    locks = [ROOT / "requirements.lock", ROOT / "web/requirements.lock"]
    pinned = [line for file in locks for line in _requirements(file)]
    packages = [
        (file.parent.name, name, each)
        for file in _lock_files()
        for name, each in json.loads(file.read_text())["packages"].items()
        if "node_modules/" in name and not each.get("link")  # the others are in this repository
    ]

    assert len(pinned) > 100
    assert [each for each in pinned if "==" not in each or "--hash=sha256:" not in each] == []
    assert len(packages) > 50
    assert [each for *each, package in packages if "integrity" not in package] == []


def _requirements(file: Path) -> list[str]:
    whole = re.sub(r"\\\n", " ", file.read_text())
    return [line for line in whole.splitlines() if line.strip() and not line.startswith(("#", " "))]


def _lock_files() -> list[Path]:
    lock_files = [*ROOT.glob("web/package-lock.json"), *ROOT.glob("tests/*/package-lock.json")]
    assert len(lock_files) >= 5
    return lock_files
