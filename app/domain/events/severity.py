"""How grave an event is, and how what it tells of went."""

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


_WORDS = {
    "info": Severity.INFO,
    **dict.fromkeys(("error", "failure", "red"), Severity.ERROR),
    **dict.fromkeys(("warn", "warning", "yellow"), Severity.WARN),
    **dict.fromkeys(("success", "successful", "green"), Severity.SUCCESS),
}


def read_severity(text: str | None) -> Severity:
    """Any text is a severity: words that are not known mean INFO."""
    return named_severity(text) or Severity.INFO


def named_severity(text: str | None) -> Severity | None:
    """The severity that the text names; None for words that are not known."""
    return _WORDS.get((text or "").strip().casefold())
