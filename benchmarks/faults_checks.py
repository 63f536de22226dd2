"""What `benchmarks.faults` compares with: the log itself, read when all is over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import httpx

from benchmarks.faults_subscribers import END, hears
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


class Entry(NamedTuple):
    number: int
    id: str
    source: str


class Figures:
    """A table for each fault; what must be 0 and is not is told at the end."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, str]] = {}
        self.broken: list[str] = []
        self._about = ""

    def about(self, fault: str) -> None:
        self._about = fault
        self.tables[fault] = {}

    def tell(self, name: str, value: str | float) -> None:
        if not isinstance(value, str):
            value = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
        self.tables[self._about][name] = value

    def zero(self, name: str, value: int) -> None:
        self.tell(name, value)
        if value:
            self.broken.append(f"{self._about}: {name}: {value}")


class Asking:
    """Questions to a server, as the administrator."""

    def __init__(self, url: str) -> None:
        headers = {"authorization": f"Bearer {KEY}", "connection": "close"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=60)

    def ask(self, query: str, **variables: Any) -> Any:
        body = {"query": query, "variables": variables}
        answer = self._http.post("/graphql", json=body).json()
        assert "errors" not in answer, answer
        [value] = answer["data"].values()
        return value

    def head(self) -> str:
        head: str = self.ask("{ logHead }")
        return head

    def count(self) -> int:
        count: int = self.ask("{ events { totalCount } }")["totalCount"]
        return count

    def log_end(self) -> None:
        self.ask(LOG_END % END)

    def log(self) -> list[Entry]:
        """What was logged, in log order, without the end."""
        entries = []
        after, goes_on = None, True
        while goes_on:
            page = self.ask(READ, after=after)
            for node in page["nodes"]:
                event = node["event"]
                assert node["kind"] == "LOGGED", node
                if event["summary"] != END:
                    number = int(event["sourceId"])
                    entries.append(Entry(number, node["eventId"], event["source"]))
            after, goes_on = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        return entries


def check_writers(figures: Figures, told: dict[str, Any], log: Sequence[Entry]) -> None:
    """Everything that was acknowledged is there, and nothing is there twice."""
    assert not told["failures"], told["failures"]
    ids = {entry.id: entry.number for entry in log}
    acknowledged = told["acknowledged"]
    figures.tell("acknowledged", len(acknowledged))
    figures.zero("lost", sum(ids.get(id) != number for number, id, *_ in acknowledged))
    distinct = {(entry.source, entry.number) for entry in log}
    figures.zero("stored twice", len(log) - len(distinct))


def check_subscribers(
    figures: Figures, told: Iterable[dict[str, Any]], log: Sequence[Entry]
) -> None:
    """Each heard what its filter selects, once, in the order of the log."""
    missed = repeated = disordered = foreign = checked = 0
    for each in told:
        assert each["failure"] is None, each["failure"]
        expected = [entry.id for entry in log if hears(each["group"], entry.number)]
        places = {id: place for place, id in enumerate(expected)}
        heard = [places[id] for id in each["ids"] if id in places]
        foreign += len(each["ids"]) - len(heard)
        missed += len(places.keys() - set(each["ids"]))
        repeated += len(heard) - len(set(heard))
        disordered += sum(later < place for place, later in pairwise(heard))
        checked += len(heard)
    figures.tell("deliveries checked", checked)
    figures.zero("missed", missed)
    figures.zero("repeated", repeated)
    figures.zero("out of order", disordered)
    figures.zero("not selected by the filter", foreign)
