"""What operators are told is what there is: every setting, every metric."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY

from app import metrics
from app.settings import RENAMED_SETTINGS, Settings

DOCS = Path(__file__).parents[2] / "docs"
OPERATIONS = (DOCS / "operations.md").read_text()
UPGRADING = (DOCS / "upgrading.md").read_text()


def test_the_table_of_settings_is_that_of_the_code() -> None:
    rows = [
        f"| `TOCSIN_{name.upper()}{_nested_example(field.annotation)}` | {_default_text(field)} "
        f"| {field.description} |"
        for name, field in Settings.model_fields.items()
    ]

    assert _table_rows("| setting | default | |") == rows


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    rows = []
    for metric in _our_collectors():
        [described] = metric.describe()
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        name = described.name + ("_total" if described.type == "counter" else "")
        rows.append(f"| `{name}` | {described.type} | {labels} | {described.documentation} |")

    assert _table_rows("| metric | kind | labels | |") == rows


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


def _table_rows(head: str, page: str = OPERATIONS) -> list[str]:
    _, _, below = page.partition(head + "\n")
    rows = below.split("\n\n")[0].splitlines()
    return rows[1:]


def _nested_example(annotation: Any) -> str:
    fields = dataclasses.fields(annotation) if dataclasses.is_dataclass(annotation) else ()
    return f"__{fields[0].name.upper()}`, `..." if fields else ""


def _default_text(field: Any) -> str:
    if field.default_factory is not None:
        first = dataclasses.fields(field.annotation)[0]
        return f"{first.default}, ..."
    if isinstance(field.default, bool):
        return "`on`" if field.default else "`off`"
    return "" if field.default is None else f"`{field.default}`"


def _our_collectors() -> list[Any]:
    collectors = list(REGISTRY._names_to_collectors.values())
    return [each for each in vars(metrics).values() if each in collectors]
