"""A database that the code before migration 0020 wrote, and the requests that filled it.

`database_0014.json` contains the rows of its tables, as SQLite stores them.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from alembic import command
from sqlalchemy import JSON, Boolean, Connection, DateTime, MetaData, Uuid, func, insert, select

from app.store.alembic_upgrade import alembic_config

FILE = Path(__file__).parent / "database_0014.json"
REVISION = "0014"
GAUGE: dict[str, Any] = {
    "name": "Gauge",
    "type": "gauge",
    "state": "PUBLISHED",
    "fields": [
        {"name": "started", "kind": "DATETIME"},
        {"name": "colors", "kind": "MULTI_SELECT", "options": ["red", "green", "blue"]},
        {"name": "note", "kind": "TEXT"},
    ],
}
RULES: dict[str, list[str]] = {
    "gauge": ["fields.started", "fields.colors"],
    "tags": ["tags"],
    "host": ["subject", "fields.labels.host"],
    "state": ["entity.id", "fields.state"],
}
REPORTS: dict[str, dict[str, Any]] = {
    "gauge": {
        "type": "gauge",
        "notification": False,
        "fields": {"started": "2026-04-10T14:00:00+02:00", "colors": ["red", "green"]},
    },
    "gauge again": {
        "type": "gauge",
        "fields": {"started": "2026-04-10T14:00:00+02:00", "colors": ["red", "green"], "note": "n"},
    },
    "merged": {"type": "gauge", "fields": {"started": "2026-04-11T12:00:00Z"}},
    "merged other": {"type": "gauge", "fields": {"started": "2026-04-11T14:00:00+02:00"}},
    "merged again": {"type": "gauge", "fields": {"started": "2026-04-11T14:00:00+02:00"}},
    "updated": {
        "type": "gauge",
        "fields": {"started": "2026-04-12T14:00:00+02:00", "colors": ["red", "blue"]},
    },
    "tags": {"type": "tagged", "tags": ["b", "a"]},
    "host": {"type": "host", "subject": "s", "fields": {"labels": {"host": "db-1"}}},
    "state": {
        "type": "state",
        "entity": {"type": "Pump", "id": "1"},
        "fields": {"state": None, "at": "2026-04-10T14:00:00+02:00"},
    },
    "push": {
        "type": "push",
        "fields": {
            "repository": {"full_name": "acme/tocsin", "owner": {"login": "acme"}},
            "commits": [{"author": {"name": "Ann"}}, {"author": {"name": "Ben"}, "files": ["a"]}],
            "labels.team": "core",
        },
    },
    "unchanged": {"type": "host", "subject": "s", "fields": {"labels.host": "db-9"}},
}
# Applied to the event "updated" after it was logged.
UPDATE = {"fields": {"started": "2026-05-01T00:00:00Z", "colors": ["green"]}}


def report(name: str) -> dict[str, Any]:
    """The request as it was sent."""
    return {"sourceId": name, "occurredAt": "2026-04-10T12:00:00Z"} | REPORTS[name]


def load(connection: Connection) -> None:
    """Fills an empty database with the rows, at the revision at which they were written."""
    command.upgrade(alembic_config(connection), REVISION)
    metadata = MetaData()
    metadata.reflect(connection)
    for name, rows in json.loads(FILE.read_text()).items():
        table = metadata.tables[name]
        if name == "log":
            connection.execute(table.delete())
        connection.execute(insert(table), [_typed(connection, table.c, row) for row in rows])
    if connection.dialect.name == "postgresql":
        for table_name, column in (("change", "seq"), ("first_event", "id")):
            sequence = func.pg_get_serial_sequence(table_name, column)
            connection.execute(select(func.setval(sequence, 1_000)))


def _typed(connection: Connection, columns: Any, row: dict[str, Any]) -> dict[str, Any]:
    if connection.dialect.name == "sqlite":
        return row
    return {name: _value(columns[name].type, value) for name, value in row.items()}


def _value(type: Any, value: Any) -> Any:
    if value is None:
        return None
    for kind, convert in (
        (Uuid, UUID),
        (DateTime, datetime.fromisoformat),
        (JSON, json.loads),
        (Boolean, bool),
    ):
        if isinstance(type, kind):
            return convert(value)
    return value
