"""A stand: a database with events, its servers, and what each is asked of each operation."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import asyncpg
import httpx

from benchmarks.peers import answers, data, documents
from benchmarks.peers.documents import BULK, PAGE, Asked
from benchmarks.peers.servers import KINDS, POSTGRAPHILE, SQLITE, US, Peer, Running, running
from benchmarks.processes import KEY, postgresql

SINGLES = 500


class Stand:
    """Servers on one database: SQL tells what they are asked about."""

    def __init__(self, database: str, database_url: str, key: str = KEY) -> None:
        self.database = database
        self.database_url = database_url
        self.servers: list[Running] = []
        self._headers = {
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "accept": "application/json",
        }
        self.organization_id = str(UUID(str(self.value("SELECT id FROM organization"))))

    def value(self, sql: str) -> Any:
        """The one value of a statement without parameters."""
        return self.rows(sql)[0][0]

    def rows(self, sql: str) -> list[Any]:
        if self.database == SQLITE:
            connection = sqlite3.connect(self.database_url.removeprefix("sqlite:///"))
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

    def events(self) -> int:
        return int(self.value("SELECT count(*) FROM event"))

    def row_at(self, depth: int) -> tuple[str, str]:
        """When the event of this depth in the list occurred, the latest being 1, and its id."""
        where = "FROM event ORDER BY occurred_at DESC, id DESC LIMIT 1 OFFSET"
        [(at, id)] = self.rows(f"SELECT occurred_at, id {where} {depth - 1}")
        return (at if isinstance(at, str) else at.isoformat()), str(UUID(str(id)))

    def asked(self, server: Peer, operation: str, depth: int) -> Asked:
        document = server.document(operation)
        first = {"first": PAGE}
        variables: list[dict[str, Any]]
        if operation == "single":
            rows = self.rows(f"SELECT id FROM event ORDER BY id DESC LIMIT {SINGLES}")
            variables = [{"id": str(UUID(str(id)))} for (id,) in rows]
        elif operation == "deep":
            variables = [first | {"after": self.cursor(server, depth)}]
        elif operation == "count":
            variables = [{}]
        elif operation == "log":
            variables = [{"input": documents.report(number)} for number in range(data.TYPES)]
        elif operation.startswith("bulk"):
            variables = [{"input": [documents.report(number) for number in range(BULK)]}]
        else:
            variables = [first]
        named = {"deep": "list", "bulk at once": "bulk"}
        return Asked.of(named.get(operation, operation), document, variables)

    def cursor(self, server: Peer, depth: int) -> str:
        """Of the event of this depth, as the server itself writes it where it is opaque."""
        at, id = self.row_at(depth)
        if server.name == POSTGRAPHILE:
            place = {"first": 1, "offset": depth - 1}
            told = self.ask(server, server.document("place"), place)
            return str(told["events"]["pageInfo"]["endCursor"])
        if server.name != US:
            return f"{at}|{id}"
        query = """
        query ($first: Int!, $filter: EventFilter) {
          events(first: $first, filter: $filter) { edges { cursor node { id } } }
        }
        """
        asked: dict[str, Any] = {"first": depth}
        if depth > PAGE:  # its instant is its own, and the end of a range is exclusive
            to = datetime.fromisoformat(at) + timedelta(microseconds=1)
            asked = {"first": 1, "filter": {"occurredAt": {"to": to.isoformat()}}}
        edge = self.ask(server, query, asked)["events"]["edges"][-1]
        assert edge["node"]["id"] == id, edge
        return str(edge["cursor"])

    def ask(self, server: Peer, query: str, variables: dict[str, Any]) -> Any:
        body = {"query": query, "variables": variables}
        answer = httpx.post(f"{server.url}/graphql", json=body, headers=self._headers, timeout=60)
        return answers.read(answer.status_code, answer.text)

    def texts(self, server: Peer, asked: Asked) -> list[str]:
        """The bodies of the answers, as they are."""
        with httpx.Client(headers=self._headers, timeout=60) as http:
            told = [http.post(f"{server.url}/graphql", content=body) for body in asked.bodies]
        for each in told:
            answers.read(each.status_code, each.text)
        return [each.text for each in told]


@contextmanager
def stands(
    folder: Path, databases: list[str], events: int, names: list[str], logs: IO[str]
) -> Iterator[list[tuple[Stand, float]]]:
    """All servers of these names, started; beside each site, the seconds that its data took."""
    with ExitStack() as stack:
        made: list[tuple[Stand, float]] = []
        for database in databases:
            if database == SQLITE:
                database_url = f"sqlite:///{folder}/tocsin.db"
            else:
                created = stack.enter_context(postgresql(folder / "postgresql"))
                database_url = created("peers")
            begun = time.monotonic()
            data.build(database_url, KEY, events)
            taken = time.monotonic() - begun
            stand = Stand(database, database_url)
            for kind in KINDS:
                if database in kind.databases and kind.name in names:
                    server = running(kind, database_url, stand.organization_id, logs)
                    stand.servers.append(stack.enter_context(server))
            made.append((stand, taken))
        yield made
