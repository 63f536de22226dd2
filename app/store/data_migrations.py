"""What migrations leave to the code that computes it, for a database of an older version."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, insert, select, update
from sqlmodel import col

from app.domain.event_types.definitions import Form, TypeDefinition
from app.store import tables
from app.store.writing import lookup

BATCH = 500


def fill(connection: Connection, revision: str) -> None:
    """Completes a database that was at this revision before it was migrated."""
    if revision < "0002":
        _make_events_findable(connection)
    if revision < "0003":
        _make_first_versions(connection)


def _make_events_findable(connection: Connection) -> None:
    event, words = tables.Event, tables.EventWords
    known = select(col(words.event_id))
    missing = select(event).where(col(event.id).not_in(known)).order_by(col(event.id)).limit(BATCH)
    last = UUID(int=0)
    while rows := connection.execute(missing.where(col(event.id) > last)).all():
        last = rows[-1].id
        for row in (tables.Event(**each._mapping) for each in rows):
            for table, found in lookup.rows(row.organization_id, [row.to_domain()]):
                # Their tags lie in their table already.
                if table is not tables.EventTag:
                    connection.execute(insert(table), found)


def _make_first_versions(connection: Connection) -> None:
    """Before there were versions, an event type could not be changed: each is at its first."""
    event_type, field = tables.EventType, tables.EventField
    for row in connection.execute(select(event_type)).all():
        own = select(field).where(col(field.event_type_id) == row.id).order_by(col(field.position))
        fields = [tables.EventField(**each._mapping) for each in connection.execute(own)]
        form = Form(tuple(each.to_domain() for each in fields))
        version = {
            "organization_id": row.organization_id,
            "event_type_id": row.id,
            "number": row.version,
            "form": form.to_json(),
            "created_at": row.updated_at,
        }
        connection.execute(insert(tables.EventTypeVersion), [version])
        definition = TypeDefinition(row.name, row.type, row.description, row.category)
        named = update(event_type).where(col(event_type.id) == row.id)
        connection.execute(named.values(words=definition.words))
