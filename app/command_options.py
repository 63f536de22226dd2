"""What commands share that use no database: the end of a failed command, and values of options."""

from __future__ import annotations

from typing import NoReturn

import typer

from app.domain.events.severity import Severity, lookup_severity
from app.domain.shared.messages import quote_value


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
