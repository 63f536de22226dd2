"""Writes the results into `docs/performance.md`: `python -m benchmarks.peers.page`.

Only the text between the marks is generated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.peers.documents import DESCRIPTIONS, OPERATIONS
from benchmarks.peers.picture import render_picture
from benchmarks.peers.results import BenchmarkRun, load_runs
from benchmarks.peers.servers import KINDS, POSTGRESQL, SQLITE, US
from benchmarks.peers.targets import list_targets

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "images" / "peers.svg"
MAIN = 200_000
BUSY = 3.5
_BETWEEN_MARKS = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- until here -->)", re.DOTALL)
_DATABASES = (SQLITE, POSTGRESQL)
_ALL = [kind.name for kind in KINDS]


def write_page() -> None:
    runs = load_runs()
    PAGE.write_text(_BETWEEN_MARKS.sub(lambda _: render_page(runs), PAGE.read_text()))
    if runs:
        PICTURE.write_text(render_picture(select_main_run(runs)))


def select_main_run(runs: Sequence[BenchmarkRun]) -> BenchmarkRun:
    """Returns the run of 200,000 events, or the largest run if there is none."""
    return next((run for run in runs if run.events == MAIN), runs[-1])


def render_page(runs: Sequence[BenchmarkRun]) -> str:
    """Returns the generated text between the marks."""
    if not runs:
        return "\nThere are no results yet. Run `make bench-peers`.\n\n"
    main = select_main_run(runs)
    parts = [
        _render_method(main),
        _render_rates(main),
        _render_ratios(main),
        _render_cpu(main),
        _render_targets(main, runs),
        _render_growth(runs),
        _render_machine(main),
    ]
    return "\n" + "\n".join(parts) + "\n"


def _render_method(run: BenchmarkRun) -> str:
    results = run.results
    load_before, load_after = results["load"]
    rounds = f"{results['rounds']} rounds of {results['seconds']:g} s"
    lines = [
        f"{run.events:,} events of 50 types, {rounds} per server and operation, "
        f"{results['at'][:10]}. The load of the machine was {load_before:g} at the start and "
        f"{load_after:g} at the end; the servers themselves cause a load of about 2.",
        "",
        f"![Responses per second, by server](images/{PICTURE.name})",
        "",
    ]
    if max(results["load"]) > BUSY:
        lines += [
            "**Other processes used the machine during this run: the rates are not reliable.**",
            "",
        ]
    wrong_answers = run.wrong_answers()
    if wrong_answers:
        lines += ["Not counted as responses: " + "; ".join(wrong_answers) + ".", ""]
    return "\n".join(lines)


def _render_rates(run: BenchmarkRun) -> str:
    head = "### Responses per second\n\nBulk calls are counted in events per second.\n"
    return f"{head}\n{_render_by_server(run, run.rate, _format_rate, _ALL)}"


def _render_ratios(run: BenchmarkRun) -> str:
    head = "### Tocsin's rate relative to the others\n"
    others = [name for name in _ALL if name != US]
    return f"{head}\n{_render_by_server(run, run.ratio, _format_ratio, others)}"


def _render_cpu(run: BenchmarkRun) -> str:
    head = (
        "### CPU time per response\n\n"
        "CPU time of the server process in microseconds, per response or, for bulk calls, per "
        "event. It includes the time of SQLite, but not that of PostgreSQL. If other processes use "
        "the machine, these figures are more reliable than the rates.\n"
    )
    return f"{head}\n{_render_by_server(run, run.cpu_us, _format_rate, _ALL)}"


def _render_by_server(
    run: BenchmarkRun,
    measured: Callable[[str, str, str], float | None],
    write_page: Callable[[float | None], str],
    names: Sequence[str],
) -> str:
    rows = []
    for operation in OPERATIONS:
        for database in _DATABASES:
            rates = [measured(database, operation, name) for name in names]
            if any(each is not None for each in rates):
                rows.append(
                    [_describe_operation(run, operation), database, *map(write_page, rates)]
                )
    return _render_table(["", "", *names], rows)


def _render_targets(run: BenchmarkRun, runs: Sequence[BenchmarkRun]) -> str:
    head = "### Goals\n"
    rows = [
        [
            each.what,
            each.database,
            f"{'at most ' if each.most else ''}{each.threshold:g}",
            _format_measured(each.measured, each.threshold),
            "yes" if each.reached else f"no, by a factor of {_format_shortfall(each.shortfall)}",
        ]
        for each in list_targets(run, runs, DESCRIPTIONS)
    ]
    return f"{head}\n{_render_table(['', '', 'goal', 'measured', 'reached'], rows)}"


def _render_growth(runs: Sequence[BenchmarkRun]) -> str:
    head = "### Growth with the number of events\n\nTocsin's responses per second.\n"
    rows = []
    for operation in OPERATIONS[:-1]:
        for database in _DATABASES:
            rates = [run.rate(database, operation, US) for run in runs]
            if any(rates):
                rows.append([DESCRIPTIONS[operation], database, *map(_format_rate, rates)])
    deep = "; ".join(f"{run.results['deep']:,} of {run.events:,}" for run in runs)
    built = "; ".join(
        f"{run.events:,} in "
        + " and ".join(
            f"{taken:g} s ({name})" for name, taken in run.results["built_seconds"].items()
        )
        for run in runs
    )
    table = _render_table(["", "", *(f"{run.events:,}" for run in runs)], rows)
    return f"{head}\n{table}\nPosition of the deep page: {deep}. Time to build the data: {built}.\n"


def _render_machine(run: BenchmarkRun) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in run.results["machine"].items())
    memory = run.results["memory_mb"]
    grown = "; ".join(
        f"{name} {memory['before'][name]:g} MB and {memory['after'][name]:g} MB"
        for name in memory["before"]
    )
    clients = [each for row in run.results["measured"] for each in row["client_busy"]]
    in_process = run.results["in_process"]
    logged = (
        f"\n`log_events` in process, 32 per transaction, on SQLite: {in_process:,.0f} events/s.\n"
    )
    return (
        f"### Machine and memory\n\n{facts}.\n\nResident memory of the Tocsin process before and "
        f"after the run: {grown}.\n\n"
        f"The client used at most {max(clients, default=0):.0%} of a core.\n\n"
        f"{logged if in_process else ''}\n"
    )


def _describe_operation(run: BenchmarkRun, operation: str) -> str:
    if operation == "deep":
        return f"page at position {run.results['deep']:,}, by cursor"
    return DESCRIPTIONS[operation]


def _format_rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:,.0f}"


def _format_ratio(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:,.1f}" if ratio >= 10 else f"{ratio:.2g}" if ratio < 0.1 else f"{ratio:.2f}"


def _format_measured(measured: float, threshold: float) -> str:
    """Formats a ratio, with one more digit if it would look equal to the goal."""
    text = _format_ratio(measured)
    return f"{measured:.3f}" if measured != threshold and float(text) == threshold else text


def _format_shortfall(factor: float) -> str:
    return f"{factor:.1f}" if factor >= 1.05 else f"{factor:.3f}"


def _render_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(re.sub(r" +", " ", line) for line in lines) + "\n"


if __name__ == "__main__":
    write_page()
