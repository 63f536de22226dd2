"""The severity of an event and the outcome of the activity that it reports."""

from __future__ import annotations

from enum import Enum


class Severity(Enum):
    ERROR = "ERROR"
    WARN = "WARN"
    INFO = "INFO"
    SUCCESS = "SUCCESS"


class Outcome(Enum):
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"


_SEVERITIES_BY_NAME = {
    "info": Severity.INFO,
    **dict.fromkeys(("error", "failure", "red"), Severity.ERROR),
    **dict.fromkeys(("warn", "warning", "yellow"), Severity.WARN),
    **dict.fromkeys(("success", "successful", "green"), Severity.SUCCESS),
}


def parse_severity(text: str | None) -> Severity:
    """Parses a severity; unknown names mean INFO."""
    return lookup_severity(text) or Severity.INFO


def lookup_severity(text: str | None) -> Severity | None:
    """Returns the severity with this name. None if unknown."""
    return _SEVERITIES_BY_NAME.get((text or "").strip().casefold())
