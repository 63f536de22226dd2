"""The checks of `benchmarks.faults`, which compare with the change log after a fault."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import httpx

from benchmarks.faults_subscribers import END, is_expected
from benchmarks.processes import KEY

READ = """
query ($after: String) {
  eventChanges(first: 100, after: $after) {
    nodes { kind eventId event { summary source sourceId } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
LOG_END = """
mutation {
  logEvent(input: {
    type: "even", severity: "error", summary: "%s", source: "end", notification: true,
    entity: {type: "Well", id: "well-1"}
  }) { event { id } }
}
"""


class LogEntry(NamedTuple):
    number: int
    id: str
    source: str


class FaultFigures:
    """A table for each fault. Numbers that must be 0 but are not are reported at the end."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, str]] = {}
        self.broken: list[str] = []
        self._about = ""

    def start_fault(self, fault: str) -> None:
        self._about = fault
        self.tables[fault] = {}

    def record(self, name: str, value: str | float) -> None:
        if not isinstance(value, str):
            value = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
        self.tables[self._about][name] = value

    def record_expected_zero(self, name: str, value: int) -> None:
        self.record(name, value)
        if value:
            self.broken.append(f"{self._about}: {name}: {value}")

    def record_logged_errors(self, errors: Sequence[str]) -> None:
        self.record_expected_zero("errors in the servers' logs", len(errors))
        self.broken.extend(errors)


class FaultClient:
    """Queries a server as the administrator."""

    def __init__(self, url: str) -> None:
        headers = {"authorization": f"Bearer {KEY}", "connection": "close"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=60)

    def execute(self, query: str, **variables: Any) -> Any:
        body = {"query": query, "variables": variables}
        answer = self._http.post("/graphql", json=body).json()
        assert "errors" not in answer, answer
        [value] = answer["data"].values()
        return value

    def fetch_head(self) -> str:
        head: str = self.execute("{ logHead }")
        return head

    def count_events(self) -> int:
        count: int = self.execute("{ events { totalCount } }")["totalCount"]
        return count

    def log_end_marker(self) -> None:
        self.execute(LOG_END % END)

    def read_change_log(self) -> list[LogEntry]:
        """Returns the logged events in the order of the change log, without the end marker."""
        entries = []
        after, goes_on = None, True
        while goes_on:
            page = self.execute(READ, after=after)
            for node in page["nodes"]:
                event = node["event"]
                assert node["kind"] == "LOGGED", node
                if event["summary"] != END:
                    number = int(event["sourceId"])
                    entries.append(LogEntry(number, node["eventId"], event["source"]))
            after, goes_on = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        return entries


def check_writers(figures: FaultFigures, results: dict[str, Any], log: Sequence[LogEntry]) -> None:
    """Checks that every acknowledged event is stored exactly once."""
    assert not results["failures"], results["failures"]
    ids = {entry.id: entry.number for entry in log}
    acknowledged = results["acknowledged"]
    figures.record("acknowledged", len(acknowledged))
    figures.record_expected_zero(
        "lost", sum(ids.get(id) != number for number, id, *_ in acknowledged)
    )
    distinct = {(entry.source, entry.number) for entry in log}
    figures.record_expected_zero("stored twice", len(log) - len(distinct))


def check_subscribers(
    figures: FaultFigures, results: Iterable[dict[str, Any]], log: Sequence[LogEntry]
) -> None:
    """Checks that each subscriber received the events of its filter once, in order."""
    missed = repeated = disordered = foreign = checked = 0
    for each in results:
        assert each["failure"] is None, each["failure"]
        expected = [entry.id for entry in log if is_expected(each["group"], entry.number)]
        positions = {id: position for position, id in enumerate(expected)}
        received = [positions[id] for id in each["ids"] if id in positions]
        foreign += len(each["ids"]) - len(received)
        missed += len(positions.keys() - set(each["ids"]))
        repeated += len(received) - len(set(received))
        disordered += sum(later < position for position, later in pairwise(received))
        checked += len(received)
    figures.record("deliveries checked", checked)
    figures.record_expected_zero("missed", missed)
    figures.record_expected_zero("repeated", repeated)
    figures.record_expected_zero("out of order", disordered)
    figures.record_expected_zero("not selected by the filter", foreign)
