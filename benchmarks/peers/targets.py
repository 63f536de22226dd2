"""The goals of Tocsin relative to each of the others, in one run on one machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.peers.documents import STATE_CHANGE
from benchmarks.peers.results import BenchmarkRun
from benchmarks.peers.servers import (
    BARE,
    MERCURIUS,
    NAIVE,
    POSTGRAPHILE,
    POSTGRESQL,
    SQLITE,
    US,
)

# (operation, the other server, the minimum ratio of the rates)
RATIOS = (
    ("list", POSTGRAPHILE, 5.0),
    ("list", MERCURIUS, 4.0),
    ("list", BARE, 0.8),
    ("nested", POSTGRAPHILE, 7.0),
    ("nested", MERCURIUS, 5.0),
    ("single", POSTGRAPHILE, 3.0),
    ("single", MERCURIUS, 1.0),
    ("single", BARE, 0.75),
    ("filtered", POSTGRAPHILE, 1.0),
    ("filtered", MERCURIUS, 1.0),
    ("log", POSTGRAPHILE, 2.0),
    ("log", MERCURIUS, 2.0),
    ("log", NAIVE, 40.0),
    ("bulk", POSTGRAPHILE, 2.0),
    ("bulk", MERCURIUS, 2.0),
    ("bulk", NAIVE, 35.0),
)
DEEP_AT_MOST = 1.1
STATE_CHANGE_AT_MOST = 1.5
IN_PROCESS = 0.3


@dataclass(frozen=True)
class Target:
    what: str
    database: str
    threshold: float
    measured: float
    most: bool = False

    @property
    def reached(self) -> bool:
        return self.measured <= self.threshold if self.most else self.measured >= self.threshold

    @property
    def shortfall(self) -> float:
        """The factor that is missing to the goal."""
        ratio = self.measured / self.threshold
        return ratio if self.most else 1 / ratio


def list_targets(
    run: BenchmarkRun, runs: Sequence[BenchmarkRun], descriptions: dict[str, str]
) -> Iterator[Target]:
    """Returns the targets of this run. Growth is that from the smallest to the largest run."""
    smallest, largest = runs[0], runs[-1]
    for operation, other, threshold in RATIOS:
        for database in (SQLITE, POSTGRESQL):
            if measured := run.ratio(database, operation, other):
                yield Target(
                    f"{descriptions[operation]}: ratio to {other}", database, threshold, measured
                )
    for database in (SQLITE, POSTGRESQL):
        first, deep = (largest.rate(database, each, US) for each in ("list", "deep"))
        if first and deep:
            what = f"page at position {largest.results['deep']:,}: time relative to the first page"
            yield Target(what, database, DEEP_AT_MOST, first / deep, most=True)
        few, many = (each.p99_ms(database, STATE_CHANGE, US) for each in (smallest, largest))
        if few and many and few != many:
            what = (
                f"{descriptions[STATE_CHANGE]}: p99 with {largest.events:,} events, relative to "
                f"{smallest.events:,}"
            )
            yield Target(what, database, STATE_CHANGE_AT_MOST, many / few, most=True)
    own_rate, in_process = run.rate(SQLITE, "log", US), run.results["in_process"]
    if own_rate and in_process:
        what = "`logEvent`: ratio to the rate in process, 32 per transaction"
        yield Target(what, SQLITE, IN_PROCESS, own_rate / in_process)
