"""Durations as the API accepts them: fixed lengths, or calendar months and years."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Duration:
    """A fixed length or, if `months` is not None, a number of calendar months."""

    length: timedelta = timedelta(0)
    months: int | None = None
