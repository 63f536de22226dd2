"""What commands share that use no database: the end of a failed command, and values of options."""

from __future__ import annotations

from datetime import datetime
from typing import NoReturn

import typer

from app.domain.events.severity import Severity, lookup_severity
from app.domain.shared.messages import quote_value
from app.domain.shared.values import parse_instant

_INSTANT_FORMAT = "Use a time with a UTC offset or Z, for example 2027-01-01T00:00:00Z."


def exit_with(message: str, code: int) -> NoReturn:
    """Prints the message on standard error and exits with the code."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def parse_severity_option(text: str) -> Severity:
    """Parses the option --severity. Exits with code 2 if it is invalid."""
    severity = lookup_severity(text)
    if severity is None:
        names = ", ".join(each.value for each in Severity)
        exit_with(f"--severity: Invalid severity {quote_value(text)}. Use one of {names}.", 2)
    return severity


def parse_instant_option(option: str, text: str | None) -> datetime | None:
    """Parses an option with a time. Exits with code 2 if it is invalid."""
    instant = None if text is None else parse_instant(text)
    if text is not None and instant is None:
        exit_with(f"{option}: Invalid time {quote_value(text)}. {_INSTANT_FORMAT}", 2)
    return instant
