"""Writes the results into `docs/performance.md`: `python -m benchmarks.peers.page`.

Only the text between the marks is generated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.peers.documents import READS, TOLD, WRITES
from benchmarks.peers.picture import picture
from benchmarks.peers.results import Run, runs
from benchmarks.peers.servers import KINDS, POSTGRESQL, SQLITE, US
from benchmarks.peers.targets import targets

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "images" / "peers.svg"
MAIN = 200_000
BUSY = 3.5
_BETWEEN_MARKS = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- until here -->)", re.DOTALL)
_DATABASES = (SQLITE, POSTGRESQL)
_ALL = [kind.name for kind in KINDS]


def write() -> None:
    kept = runs()
    PAGE.write_text(_BETWEEN_MARKS.sub(lambda _: written(kept), PAGE.read_text()))
    if kept:
        PICTURE.write_text(picture(main_of(kept)))


def main_of(kept: Sequence[Run]) -> Run:
    """Returns the run of 200,000 events, or the largest run if there is none."""
    return next((run for run in kept if run.events == MAIN), kept[-1])


def written(kept: Sequence[Run]) -> str:
    """Returns the generated text between the marks."""
    if not kept:
        return "\nThere are no results yet. Run `make bench-peers`.\n\n"
    main = main_of(kept)
    parts = [
        _made(main),
        _rates(main),
        _ratios(main),
        _processor(main),
        _targets(main, kept[-1]),
        _growth(kept),
        _machine(main),
    ]
    return "\n" + "\n".join(parts) + "\n"


def _made(run: Run) -> str:
    kept = run.kept
    load = " and ".join(f"{each:g}" for each in kept["load"])
    lines = [
        f"{run.events:,} events of 50 types, {kept['rounds']} rounds of {kept['seconds']:g} s per "
        f"server and operation, {kept['at'][:10]}. The load of the machine was {load} at the start "
        "and at the end; the servers themselves cause a load of about 2.",
        "",
        f"![Responses per second, by server](images/{PICTURE.name})",
        "",
    ]
    if max(kept["load"]) > BUSY:
        lines += [
            "**Other processes used the machine during this run: the rates are not reliable.**",
            "",
        ]
    wrong = run.wrong()
    if wrong:
        lines += ["Not counted as responses: " + "; ".join(wrong) + ".", ""]
    return "\n".join(lines)


def _rates(run: Run) -> str:
    head = "### Responses per second\n\nBulk calls are counted in events per second.\n"
    return f"{head}\n{_by_server(run, run.rate, _whole, _ALL)}"


def _ratios(run: Run) -> str:
    head = "### Tocsin's rate relative to the others\n"
    return f"{head}\n{_by_server(run, run.ratio, _times, [name for name in _ALL if name != US])}"


def _processor(run: Run) -> str:
    head = (
        "### CPU time per response\n\n"
        "Microseconds of CPU time of the server process per response, or per event of a bulk call. "
        "The time of PostgreSQL is not included, the time of SQLite is. These figures are more "
        "reliable than the rates if other processes use the machine.\n"
    )
    return f"{head}\n{_by_server(run, run.cpu_us, _whole, _ALL)}"


def _by_server(
    run: Run,
    measured: Callable[[str, str, str], float | None],
    write: Callable[[float | None], str],
    names: Sequence[str],
) -> str:
    rows = []
    for operation in READS + WRITES:
        for database in _DATABASES:
            found = [measured(database, operation, name) for name in names]
            if any(each is not None for each in found):
                rows.append([_told(run, operation), database, *map(write, found)])
    return _table(["", "", *names], rows)


def _targets(run: Run, largest: Run) -> str:
    head = "### Goals\n"
    rows = [
        [
            each.what,
            each.database,
            f"{'at most ' if each.most else ''}{each.wanted:g}",
            _times(each.measured),
            "yes" if each.reached else f"no, by a factor of {each.short_by:.1f}",
        ]
        for each in targets(run, largest, TOLD)
    ]
    return f"{head}\n{_table(['', '', 'goal', 'measured', 'reached'], rows)}"


def _growth(kept: Sequence[Run]) -> str:
    head = "### Growth with the number of events\n\nTocsin's responses per second.\n"
    rows = []
    for operation in READS + WRITES[:2]:
        for database in _DATABASES:
            rates = [run.rate(database, operation, US) for run in kept]
            rows.append([TOLD[operation], database, *map(_whole, rates)])
    deep = ", ".join(f"{run.kept['deep']:,} of {run.events:,}" for run in kept)
    built = "; ".join(
        f"{run.events:,} in "
        + " and ".join(f"{taken:g} s ({name})" for name, taken in run.kept["built_seconds"].items())
        for run in kept
    )
    table = _table(["", "", *(f"{run.events:,}" for run in kept)], rows)
    return f"{head}\n{table}\nPosition of the deep page: {deep}. Time to build the data: {built}.\n"


def _machine(run: Run) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in run.kept["machine"].items())
    memory = run.kept["memory_mb"]
    grown = "; ".join(
        f"{name} {memory['before'][name]:g} MB before and {memory['after'][name]:g} MB after"
        for name in memory["before"]
    )
    clients = [each for row in run.kept["measured"] for each in row["client_busy"]]
    in_process = run.kept["in_process"]
    logged = (
        f"\n`log_events` in process, 32 per transaction, on SQLite: {in_process:,.0f} events/s.\n"
    )
    return (
        f"### Machine and memory\n\n{facts}.\n\nResident memory of the Tocsin process: "
        f"{grown} the run.\n\nThe client used at most {max(clients, default=0):.0%} of a core.\n\n"
        f"{logged if in_process else ''}\n"
    )


def _told(run: Run, operation: str) -> str:
    if operation == "deep":
        return f"page at position {run.kept['deep']:,}, by cursor"
    return TOLD[operation]


def _whole(rate: float | None) -> str:
    return "" if rate is None else f"{rate:,.0f}"


def _times(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:,.1f}" if ratio >= 10 else f"{ratio:.2g}" if ratio < 0.1 else f"{ratio:.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(re.sub(r" +", " ", line) for line in lines) + "\n"


if __name__ == "__main__":
    write()
