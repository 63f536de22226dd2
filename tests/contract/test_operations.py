"""What operators are told is what there is: every setting, every metric."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY

from app import metrics
from app.settings import Settings

OPERATIONS = (Path(__file__).parents[2] / "docs/operations.md").read_text()


def test_the_table_of_settings_is_that_of_the_code() -> None:
    rows = [
        f"| `TOCSIN_{name.upper()}{_nested_example(field.annotation)}` | {_default_text(field)} "
        f"| {field.description} |"
        for name, field in Settings.model_fields.items()
    ]

    assert _table_rows("| setting | default | |") == rows


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    ours = [each for each in vars(metrics).values() if each in _collectors()]
    rows = []
    for metric in ours:
        [described] = metric.describe()
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        name = described.name + ("_total" if described.type == "counter" else "")
        rows.append(f"| `{name}` | {described.type} | {labels} | {described.documentation} |")

    assert _table_rows("| metric | kind | labels | |") == rows


def _table_rows(head: str) -> list[str]:
    _, _, below = OPERATIONS.partition(head + "\n")
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


def _collectors() -> list[Any]:
    return list(REGISTRY._names_to_collectors.values())
