"""The command `tocsin settings`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer

from app.command_runner import exit_with_database_error, read_settings
from app.domain.shared.messages import format_count
from app.settings import HIDDEN_VALUE, find_source, list_settings
from app.store.engine.dialect import InvalidDatabaseUrlError, parse_database_url

_DATABASE_URLS = ("database_url", "database_direct_url")
_PASSWORD = re.compile(r"(?<=://)([^:@/]*):[^@]*@")
_PASSWORD_PARAMETER = re.compile(r"([?&](?:ssl)?password=)[^&]*")


def show_settings(*, changed_only: bool) -> None:
    """Prints all settings as TOML, each with its source as a comment.

    Exits with code 1 if the URL of the database is invalid.
    """
    settings = read_settings()
    try:
        parse_database_url(settings.database_url)
    except InvalidDatabaseUrlError as error:
        exit_with_database_error(settings, error)
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
        if name in _DATABASE_URLS and value is not None:
            value = _hide_database_password(getattr(settings, name))
        elif isinstance(value, str):
            value = _hide_password(value)
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


def _hide_database_password(url: str) -> str:
    if parse_database_url(url).password is not None:
        url = _PASSWORD.sub(rf"\1:{HIDDEN_VALUE}@", url, count=1)
    return _PASSWORD_PARAMETER.sub(rf"\1{HIDDEN_VALUE}", url)


def _hide_password(value: str) -> str:
    """Hides the password of a URL. Other values are returned as they are."""
    try:
        url = urlsplit(value)
    except ValueError:
        return value
    if url.password is None:
        return value
    host = url.netloc.rpartition("@")[2]
    return url._replace(netloc=f"{url.username}:{HIDDEN_VALUE}@{host}").geturl()
