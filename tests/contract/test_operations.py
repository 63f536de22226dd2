"""The generated reference and the page on upgrading match the code."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from prometheus_client import REGISTRY
from rich.text import Text

from app import metrics
from app.cli import main as cli
from app.graphql.transport.messages import CLOSE_CODE_DESCRIPTIONS, CloseCode
from app.setting_names import RENAMED_SETTINGS
from app.settings import Settings
from docs.site.generate_reference import render_pages

DOCS = Path(__file__).parents[2] / "docs"
UPGRADING = (DOCS / "upgrading.md").read_text()


@pytest.mark.parametrize(("name", "text"), render_pages().items())
def test_a_page_of_the_reference_matches_the_code(name: str, text: str) -> None:
    assert (DOCS / "reference" / name).read_text() == text, "run `make reference`"


def test_every_page_of_the_reference_is_generated() -> None:
    assert {file.name for file in (DOCS / "reference").glob("*.md")} == render_pages().keys()


def test_every_row_of_the_reference_has_a_description() -> None:
    rows = [row for text in render_pages().values() for row in text.splitlines() if row[:1] == "|"]

    # 1000 needs no action: the client closed the connection itself.
    assert [row for row in rows if row.endswith("|  |") and not row.startswith("| 100")] == []
    assert len(rows) > 150


def test_the_help_of_commands_has_no_brackets_which_the_terminal_would_not_show() -> None:
    texts = [
        text
        for command in list_commands(typer.main.get_command(cli))
        for text in (command.help, *(getattr(each, "help", None) for each in command.params))
        if text
    ]

    assert [text for text in texts if Text.from_markup(text).plain != text] == []
    assert len(texts) > 50


def list_commands(command: Any) -> Iterator[Any]:
    """Yields the command and its subcommands, at every level."""
    yield command
    for each in getattr(command, "commands", {}).values():
        yield from list_commands(each)


def test_the_reference_lists_every_close_code() -> None:
    assert set(CloseCode) <= CLOSE_CODE_DESCRIPTIONS.keys()


def test_every_setting_and_limit_has_a_description_in_sentences() -> None:
    descriptions = {name: field.description for name, field in Settings.model_fields.items()}
    for group, field in Settings.model_fields.items():
        if dataclasses.is_dataclass(field.annotation):
            for nested in dataclasses.fields(field.annotation):
                descriptions[f"{group}.{nested.name}"] = nested.metadata.get("description")

    assert [name for name, text in descriptions.items() if not (text or "").endswith(".")] == []


def test_the_page_on_upgrading_lists_every_renamed_setting() -> None:
    rows = [f"| `{old}` | `{new}` |" for old, new in RENAMED_SETTINGS.items()]

    assert _table_rows("| old setting | new setting |", UPGRADING) == rows


def test_a_renamed_setting_has_its_new_name_and_no_longer_the_old_one() -> None:
    settings = set(_setting_variables())

    assert set(RENAMED_SETTINGS.values()) <= settings
    assert settings.isdisjoint(RENAMED_SETTINGS)


def test_the_new_metrics_and_log_events_on_the_page_on_upgrading_exist() -> None:
    metric_names = {each.describe()[0].name for each in _our_collectors()}
    for row in _table_rows("| old metric | new metric |", UPGRADING):
        name = row.split("`")[3].partition("{")[0].removesuffix("_total")
        assert name in metric_names

    source = "".join(file.read_text() for file in (DOCS.parent / "app").rglob("*.py"))
    for row in _table_rows("| old log event | new log event |", UPGRADING):
        _, old, _, new, _ = row.split("`")
        assert (f'("{old}"' in source, f'"{new}"' in source) == (False, True), row


def _setting_variables() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        yield f"TOCSIN_{name.upper()}"
        if dataclasses.is_dataclass(field.annotation):
            for nested in dataclasses.fields(field.annotation):
                yield f"TOCSIN_{name.upper()}__{nested.name.upper()}"


def _table_rows(head: str, page: str) -> list[str]:
    _, _, below = page.partition(head + "\n")
    rows = below.split("\n\n")[0].splitlines()
    return rows[1:]


def _our_collectors() -> list[Any]:
    collectors = list(REGISTRY._names_to_collectors.values())
    return [each for each in vars(metrics).values() if each in collectors]
