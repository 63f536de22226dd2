"""Durations as the API accepts them: fixed lengths, or calendar months and years."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Duration:
    """A fixed length or, if `months` is not None, a number of calendar months."""

    length: timedelta = timedelta(0)
    months: int | None = None


def format_duration(duration: timedelta) -> str:
    """Formats a fixed length as an ISO 8601 duration in days, hours, minutes and seconds."""
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{duration.microseconds:06}".rstrip("0").rstrip(".")
    time_parts = ((hours, "H"), (minutes, "M"), (f"{seconds}{fraction}", "S"))
    time = "".join(f"{value}{unit}" for value, unit in time_parts if value not in (0, "0"))
    days = f"{duration.days}D" if duration.days else ""
    return f"P{days}T{time}" if time else f"P{days or 'T0S'}"
