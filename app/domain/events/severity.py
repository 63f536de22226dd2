"""The severity of an event and the outcome of the activity that it reports."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Severity(Enum):
    """Severities, from the highest to the lowest."""

    ERROR = "ERROR"
    WARN = "WARN"
    INFO = "INFO"
    SUCCESS = "SUCCESS"

    @property
    def rank(self) -> int:
        """A number that is greater for a more severe event."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(reversed(Severity))}


class Outcome(Enum):
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"


SeverityMap = Mapping[str, Severity]

_SEVERITIES_BY_NAME = {
    **dict.fromkeys(("error", "failure", "red"), Severity.ERROR),
    **dict.fromkeys(("warn", "warning", "yellow"), Severity.WARN),
    **dict.fromkeys(("info", "blue"), Severity.INFO),
    **dict.fromkeys(("success", "successful", "green"), Severity.SUCCESS),
}


def lookup_severity(text: str | None, more_names: SeverityMap | None = None) -> Severity | None:
    """Returns the severity with this name, ignoring case and blanks around it. None if unknown."""
    name = _fold_name(text or "")
    return _SEVERITIES_BY_NAME.get(name) or (more_names or {}).get(name)


def parse_severity_map(text: str) -> dict[str, Severity]:
    """Parses names of severities: "critical=error, notice=info". Raises ValueError."""
    names: dict[str, Severity] = {}
    for entry in filter(str.strip, text.split(",")):
        word, _, severity_name = entry.rpartition("=")
        name, severity = _fold_name(word), lookup_severity(severity_name)
        if not name or severity is None:
            raise ValueError(
                f"Invalid entry {entry.strip()[:100]!a}: expected WORD=SEVERITY, "
                "where SEVERITY is error, warn, info or success."
            )
        known_severity = lookup_severity(name, names)
        if known_severity not in (None, severity):
            raise ValueError(
                f"{name[:100]!a} is already mapped to {known_severity.name}, and cannot be mapped "
                "to a different severity."
            )
        names[name] = severity
    return names


def _fold_name(text: str) -> str:
    return text.strip().casefold()
