"""The command `tocsin settings`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from app.command_runner import read_settings
from app.domain.shared.messages import format_count
from app.settings import Settings, find_source, list_settings
from app.store.engine.dialect import InvalidDatabaseUrlError, display_address, parse_database_url


def show_settings(*, changed_only: bool) -> None:
    """Prints all settings as TOML, each with its source as a comment."""
    settings = read_settings()
    group = ""
    shown = 0
    # In TOML, tables follow all other keys.
    for name, value in sorted(list_settings(settings), key=lambda each: "__" in each[0]):
        source = find_source(name)
        if changed_only and source == "default":
            continue
        prefix, _, key = name.rpartition("__")
        if prefix and prefix != group:
            typer.echo(f"\n[{prefix}]")
            group = prefix
        if name == "database_url":
            value = _format_address(settings)
        line = f"# {key} is not set" if value is None else f"{key} = {_format_value(value)}"
        typer.echo(f"{line}  # {source}" if value is not None else line)
        shown += 1
    if not shown:
        typer.echo(f"# {format_count(0, 'setting')} differ from the defaults.")


def _format_value(value: Any) -> str:
    """Formats a value as TOML."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {json.dumps(each.value)}" for key, each in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value, ensure_ascii=False)


def _format_address(settings: Settings) -> str:
    """The address of the database, without its password."""
    try:
        return display_address(parse_database_url(settings.database_url))
    except InvalidDatabaseUrlError as error:
        return str(error)
