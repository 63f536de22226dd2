"""Deployments: a database with events, its servers, and the requests for each operation."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import asyncpg
import httpx

from benchmarks.peers import answers, data, documents
from benchmarks.peers.documents import BULK, PAGE, STATE_CHANGE, PeerOperation
from benchmarks.peers.load import number_request
from benchmarks.peers.servers import KINDS, POSTGRAPHILE, SQLITE, US, Peer, RunningPeer, start_peers
from benchmarks.processes import KEY, running_postgresql

SINGLES = 500
EVENT_TABLES = ("event", "change", "event_tag", "event_value", "event_words", "receipt")
_OWN_VALUES = {
    *("id", "event_id", "subject_id", "source_id", "sourceId", "digest"),
    *("tx", "seq", "at", "occurred_at", "recorded_at", "updated_at", "latest_occurrence"),
    *("occurredAt", "recordedAt", "updatedAt"),
}


class Deployment:
    """Servers on one database. SQL selects the values for their requests."""

    def __init__(self, database: str, database_url: str, key: str = KEY) -> None:
        self.database = database
        self.database_url = database_url
        self.servers: list[RunningPeer] = []
        self._headers = {
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "accept": "application/json",
        }
        self.organization_id = str(UUID(str(self.fetch_value("SELECT id FROM organization"))))

    def fetch_value(self, sql: str) -> Any:
        """Returns the only value of a statement without parameters."""
        return self.fetch_rows(sql)[0][0]

    def fetch_rows(self, sql: str) -> list[Any]:
        if self.database == SQLITE:
            connection = sqlite3.connect(self.database_url.removeprefix("sqlite:///"))
            connection.row_factory = sqlite3.Row
            try:
                return connection.execute(sql).fetchall()
            finally:
                connection.close()

        async def fetched() -> list[Any]:
            connection = await asyncpg.connect(self.database_url)
            try:
                return list(await connection.fetch(sql))
            finally:
                await connection.close()

        return asyncio.run(fetched())

    def count_rows(self, tables: Iterable[str]) -> dict[str, int]:
        return {table: int(self.fetch_value(f"SELECT count(*) FROM {table}")) for table in tables}

    def read_newest_rows(self) -> dict[str, list[dict[str, Any]]]:
        """Returns the rows of the event that was logged last by table, without what every event has
        of its own: IDs, times and digests.
        """
        last = "SELECT subject_id FROM change WHERE subject = 'event' ORDER BY tx DESC, seq DESC"
        event_id = self.fetch_value(f"{last} LIMIT 1")
        keys = {"event": "id", "change": "subject_id"}
        return {
            table: sorted(
                (
                    _select_comparable(row)
                    for row in self.fetch_rows(
                        f"SELECT * FROM {table} WHERE {keys.get(table, 'event_id')} = '{event_id}'"
                    )
                ),
                key=str,
            )
            for table in EVENT_TABLES
        }

    def row_at(self, depth: int) -> tuple[str, str]:
        """Returns the time and ID of the event at this depth in the list. The latest has depth
        1.
        """
        where = "FROM event ORDER BY occurred_at DESC, id DESC LIMIT 1 OFFSET"
        [(at, id)] = self.fetch_rows(f"SELECT occurred_at, id {where} {depth - 1}")
        return (at if isinstance(at, str) else at.isoformat()), str(UUID(str(id)))

    def build_operation(self, server: Peer, operation: str, depth: int) -> PeerOperation:
        document = server.document(operation)
        first = {"first": PAGE}
        variables: list[dict[str, Any]]
        if operation in ("single", STATE_CHANGE):
            rows = self.fetch_rows(f"SELECT id FROM event ORDER BY id DESC LIMIT {SINGLES}")
            variables = [{"id": str(UUID(str(id)))} for (id,) in rows]
        elif operation == "deep":
            variables = [first | {"after": self.fetch_cursor(server, depth)}]
        elif operation == "count":
            variables = [{}]
        elif operation == "filtered":
            variables = [{"source": data.SOURCES[0]}]
        elif operation == "log":
            variables = [{"input": documents.build_report(number)} for number in range(data.TYPES)]
        elif operation.startswith("bulk"):
            variables = [{"input": [documents.build_report(number) for number in range(BULK)]}]
        else:
            variables = [first]
        named = {"deep": "list", "bulk at once": "bulk"}
        built = PeerOperation.from_document(named.get(operation, operation), document, variables)
        if operation == STATE_CHANGE:
            undo = "unacknowledge"
            built += PeerOperation.from_document(undo, server.document(undo), variables)
        return built

    def fetch_cursor(self, server: Peer, depth: int) -> str:
        """Returns the cursor of the event at this depth; opaque ones are read from the server
        itself.
        """
        at, id = self.row_at(depth)
        if server.name == POSTGRAPHILE:
            page_arguments = {"first": 1, "offset": depth - 1}
            answer = self.execute(server, server.document("place"), page_arguments)
            return str(answer["events"]["pageInfo"]["endCursor"])
        if server.name != US:
            return f"{at}|{id}"
        query = """
        query ($first: Int!, $filter: EventFilter) {
          events(first: $first, filter: $filter) { edges { cursor node { id } } }
        }
        """
        operation: dict[str, Any] = {"first": depth}
        if depth > PAGE:  # its instant is unique, and the end of a range is exclusive
            to = datetime.fromisoformat(at) + timedelta(microseconds=1)
            operation = {"first": 1, "filter": {"occurredAt": {"to": to.isoformat()}}}
        edge = self.execute(server, query, operation)["events"]["edges"][-1]
        assert edge["node"]["id"] == id, edge
        return str(edge["cursor"])

    def execute(self, server: Peer, query: str, variables: dict[str, Any]) -> Any:
        body = {"query": query, "variables": variables}
        answer = httpx.post(f"{server.url}/graphql", json=body, headers=self._headers, timeout=60)
        return answers.read_answer(answer.status_code, answer.text)

    def format_requests(self, server: Peer, operation: PeerOperation) -> list[str]:
        """Returns the response bodies unchanged."""
        with httpx.Client(headers=self._headers, timeout=60) as http:
            url = f"{server.url}/graphql"
            answer = [
                http.post(url, content=number_request(body.encode())) for body in operation.bodies
            ]
        for each in answer:
            answers.read_answer(each.status_code, each.text)
        return [each.text for each in answer]


@contextmanager
def create_deployments(
    folder: Path, databases: list[str], events: int, names: list[str], logs: IO[str]
) -> Iterator[list[tuple[Deployment, float]]]:
    """Starts all servers of these names. Yields each deployment with the build time of its data."""
    with ExitStack() as stack:
        deployments: list[tuple[Deployment, float]] = []
        for database in databases:
            if database == SQLITE:
                database_url = f"sqlite:///{folder}/tocsin.db"
            else:
                created = stack.enter_context(running_postgresql(folder / "postgresql"))
                database_url = created("peers")
            begun = time.monotonic()
            data.build_data(database_url, KEY, events)
            taken = time.monotonic() - begun
            deployment = Deployment(database, database_url)
            for kind in KINDS:
                if database in kind.databases and kind.name in names:
                    server = start_peers(kind, database_url, deployment.organization_id, logs)
                    deployment.servers.append(stack.enter_context(server))
            deployments.append((deployment, taken))
        yield deployments


def _select_comparable(values: Any) -> dict[str, Any]:
    """Returns what is equal in all events of the same report. Parses JSON."""
    parsed = {
        name: json.loads(value)
        if isinstance(value, str) and value.startswith(("[", "{"))
        else value
        for name, value in dict(values).items()
        if name not in _OWN_VALUES
    }
    return {
        name: _select_comparable(value) if name == "state" else value
        for name, value in parsed.items()
    }
