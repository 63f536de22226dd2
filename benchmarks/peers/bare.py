"""A bare endpoint: the same responses with hand-written SQL, without GraphQL or a framework.

It checks the same key against the keys read at startup, and runs in one process on uvicorn.
`operationName` selects the operation. As a process, it serves TOCSIN_DATABASE_URL.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

import asyncpg

from benchmarks.peers.serving import run_app

LIST = """
SELECT e.id, e.summary, e.severity, e.source, e.occurred_at, t.id, t.type, t.name, t.category
FROM (
  SELECT id, summary, severity, source, occurred_at, event_type_id FROM event
  WHERE organization_id = ?{after} ORDER BY occurred_at DESC, id DESC LIMIT ?
) e LEFT JOIN event_type t ON t.id = e.event_type_id
ORDER BY e.occurred_at DESC, e.id DESC
"""
NESTED = """
SELECT e.id, e.summary, e.severity, e.occurred_at, e.tags, t.id, t.type, t.name
FROM (
  SELECT id, summary, severity, occurred_at, tags, event_type_id FROM event
  WHERE organization_id = ? ORDER BY occurred_at DESC, id DESC LIMIT ?
) e LEFT JOIN event_type t ON t.id = e.event_type_id
ORDER BY e.occurred_at DESC, e.id DESC
"""
FIELDS = """
SELECT event_type_id, name, kind, label, required, unit FROM event_field
WHERE organization_id = ? ORDER BY event_type_id, position
"""
SINGLE = """
SELECT id, type, summary, severity, source, occurred_at, tags, fields FROM event
WHERE organization_id = ? AND id = ?
"""
COUNT = "SELECT count(*) FROM event WHERE organization_id = ?"
COUNT_OF_SOURCE = f"{COUNT} AND source = ?"
AFTER = " AND (occurred_at, id) < (?, ?)"
KEYS = "SELECT organization_id, digest FROM api_key WHERE revoked_at IS NULL"

Rows = Sequence[Sequence[Any]]
Body = dict[str, Any]


class RowSource(Protocol):
    """A database: rows by SQL, and conversion of IDs and instants to and from JSON."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def fetch_rows(self, sql: str, *parameters: Any) -> Rows: ...

    def bind_id(self, id: str) -> Any: ...

    def parse_cursor(self, cursor: str) -> tuple[Any, str]: ...

    def format_id(self, value: Any) -> str: ...

    def format_instant(self, value: Any) -> str: ...


class SQLiteSource:
    def __init__(self, file: str) -> None:
        self._file = file

    async def open(self) -> None:
        self._connection = sqlite3.connect(self._file, isolation_level=None, cached_statements=100)
        self._connection.execute("PRAGMA query_only = 1")

    async def close(self) -> None:
        self._connection.close()

    async def fetch_rows(self, sql: str, *parameters: Any) -> Rows:
        return self._connection.execute(sql, parameters).fetchall()

    def bind_id(self, id: str) -> Any:
        return id.replace("-", "")

    def parse_cursor(self, cursor: str) -> tuple[Any, str]:
        occurred_at, id = cursor.split("|")
        return occurred_at, self.bind_id(id)

    def format_id(self, value: str) -> str:
        return f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"

    def format_instant(self, value: str) -> str:
        return value


class PostgreSQLSource:
    """Connections are kept without the reset that the pool of asyncpg sends after each use."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._idle: deque[asyncpg.Connection] = deque()
        self._numbered: dict[str, str] = {}

    async def open(self) -> None:
        for _ in range(32):
            self._idle.append(await asyncpg.connect(self._url))

    async def close(self) -> None:
        for connection in self._idle:
            await connection.close()

    async def fetch_rows(self, sql: str, *parameters: Any) -> Rows:
        numbered = self._numbered.get(sql)
        if numbered is None:
            first, *others = sql.split("?")
            numbered = first + "".join(f"${n}{each}" for n, each in enumerate(others, 1))
            self._numbered[sql] = numbered
        connection = self._idle.pop() if self._idle else await asyncpg.connect(self._url)
        try:
            rows: Rows = await connection.fetch(numbered, *parameters)
            return rows
        finally:
            self._idle.append(connection)

    def bind_id(self, id: str) -> Any:
        return id

    def parse_cursor(self, cursor: str) -> tuple[Any, str]:
        occurred_at, id = cursor.split("|")
        return datetime.fromisoformat(occurred_at), id

    def format_id(self, value: Any) -> str:
        return str(value)

    def format_instant(self, value: datetime) -> str:
        return value.isoformat()


class BareServer:
    def __init__(self, database_url: str) -> None:
        is_sqlite = database_url.startswith("sqlite:///")
        file = database_url.removeprefix("sqlite:///")
        self._source: RowSource = (
            SQLiteSource(file) if is_sqlite else PostgreSQLSource(database_url)
        )
        self._keys: dict[str, Any] = {}
        self._answers: dict[str, Callable[[Any, Body], Awaitable[Body]]] = {
            "list": self._answer_list,
            "deep": self._answer_list,
            "nested": self._answer_nested,
            "single": self._answer_single,
            "count": self._answer_count,
            "filtered": self._answer_filtered_count,
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await self._run_lifespan(receive, send)
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        organization_id = self._find_organization(scope["headers"])
        if organization_id is None:
            return await _send_response(
                send, 401, {"errors": [{"message": "The key is not valid."}]}
            )
        body_json = json.loads(body)
        data = await self._answers[body_json["operationName"]](
            organization_id, body_json["variables"]
        )
        return await _send_response(send, 200, {"data": data})

    async def _run_lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        await self._source.open()
        self._keys = {digest: owner for owner, digest in await self._source.fetch_rows(KEYS)}
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._source.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _find_organization(self, headers: list[tuple[bytes, bytes]]) -> Any:
        secret = dict(headers).get(b"authorization", b"").removeprefix(b"Bearer ")
        digest = hashlib.sha256(secret).hexdigest()
        for known, organization_id in self._keys.items():
            if hmac.compare_digest(known, digest):
                return organization_id
        return None

    async def _answer_list(self, organization_id: Any, variables: Body) -> Body:
        after = variables.get("after")
        cursor_values = () if after is None else self._source.parse_cursor(after)
        sql = LIST_FIRST if after is None else LIST_AFTER
        id, instant = self._source.format_id, self._source.format_instant
        nodes = [
            {
                "id": id(row[0]),
                "summary": row[1],
                "severity": row[2],
                "source": row[3],
                "occurredAt": instant(row[4]),
                "eventType": row[5]
                and {"id": id(row[5]), "type": row[6], "name": row[7], "category": row[8]},
            }
            for row in await self._source.fetch_rows(
                sql, organization_id, *cursor_values, variables["first"]
            )
        ]
        return {"events": {"nodes": nodes}}

    async def _answer_nested(self, organization_id: Any, variables: Body) -> Body:
        rows = await self._source.fetch_rows(NESTED, organization_id, variables["first"])
        of_type: dict[Any, list[Body]] = {}
        for event_type_id, name, kind, label, required, unit in await self._source.fetch_rows(
            FIELDS, organization_id
        ):
            field = {"name": name, "kind": kind, "label": label, "required": bool(required)}
            of_type.setdefault(event_type_id, []).append(field | {"unit": unit})
        id, instant = self._source.format_id, self._source.format_instant
        nodes = [
            {
                "id": id(row[0]),
                "summary": row[1],
                "severity": row[2],
                "occurredAt": instant(row[3]),
                "tags": json.loads(row[4]),
                "eventType": row[5]
                and {"type": row[6], "name": row[7], "fields": of_type.get(row[5], [])},
            }
            for row in rows
        ]
        return {"events": {"nodes": nodes}}

    async def _answer_single(self, organization_id: Any, variables: Body) -> Body:
        id = self._source.bind_id(variables["id"])
        rows = await self._source.fetch_rows(SINGLE, organization_id, id)
        if not rows:
            return {"event": None}
        row = rows[0]
        event = {
            "id": self._source.format_id(row[0]),
            "type": row[1],
            "summary": row[2],
            "severity": row[3],
            "source": row[4],
            "occurredAt": self._source.format_instant(row[5]),
            "tags": json.loads(row[6]),
            "fields": json.loads(row[7]),
        }
        return {"event": event}

    async def _answer_count(self, organization_id: Any, _variables: Body) -> Body:
        [[count]] = await self._source.fetch_rows(COUNT, organization_id)
        return {"events": {"totalCount": count}}

    async def _answer_filtered_count(self, organization_id: Any, variables: Body) -> Body:
        [[count]] = await self._source.fetch_rows(
            COUNT_OF_SOURCE, organization_id, variables["source"]
        )
        return {"events": {"totalCount": count}}


LIST_FIRST, LIST_AFTER = LIST.format(after=""), LIST.format(after=AFTER)


async def _send_response(send: Any, status: int, content: Body) -> None:
    body = json.dumps(content, separators=(",", ":")).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    run_app("Bare endpoint", BareServer(os.environ["TOCSIN_DATABASE_URL"]))
