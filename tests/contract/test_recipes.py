"""Each recipe of docs/architecture.md lists exactly the files that contain its example."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "docs" / "architecture.md").read_text().partition("## How to add a feature")[2]
RECIPES = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##)", SECTION, re.DOTALL | re.MULTILINE))

# The names of the example of each recipe in the code.
EXAMPLES = {
    "An event attribute": r"\b(Event|draft|event|filter|self|state)\.subject\b"
    r'|"subject"|\bsubject: str \| None|`subject`',
    "A mutation": r"unacknowledge_event\b|unacknowledgeEvent\b|\bUNACKNOWLEDGED\b",
    "A kind of rule": r"(?i)duplication_?rule|rules\.duplicates import|rules import .*\bduplicates",
    "A subscription": r"(?<!`)eventChanged|event_changed\b|subscribe_to_changes\b",
    "A CloudEvents attribute": r"recordedtime",
}


def test_every_recipe_has_an_example() -> None:
    assert RECIPES.keys() == EXAMPLES.keys()


@pytest.mark.parametrize("recipe", EXAMPLES)
def test_a_recipe_lists_exactly_the_files_of_its_example(recipe: str) -> None:
    listed = re.findall(r"`(app/[\w/]+\.py)`", RECIPES[recipe])

    containing = [
        str(file.relative_to(ROOT))
        for file in (ROOT / "app").rglob("*.py")
        if "migrations" not in file.parts and re.search(EXAMPLES[recipe], file.read_text())
    ]

    assert sorted(listed) == sorted(containing)
