"""Data migrations that need application code. They run after the schema migrations of an older
database.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, delete, insert, or_, select, update
from sqlmodel import col

from app.domain.event_types.definitions import EventTypeDefinition, VersionDefinition
from app.store import tables
from app.store.writing import search_index

BATCH_SIZE = 500


def migrate_data(connection: Connection, revision: str) -> None:
    """Migrates the data of a database that was at this revision before the schema migrations."""
    if revision < "0002":
        _index_events(connection)
    if revision < "0003":
        _create_first_versions(connection)
    if revision < "0009":
        _set_exact_numbers(connection)
    if revision < "0011":
        _extract_words_of_event_types(connection)
    if revision < "0016":
        _find_first_versions_of_fields(connection)
    if revision < "0017":
        _add_settings_to_latest_versions(connection)


def _index_events(connection: Connection) -> None:
    event, words = tables.Event, tables.EventWords
    indexed = select(col(words.event_id))
    unindexed = (
        select(event).where(col(event.id).not_in(indexed)).order_by(col(event.id)).limit(BATCH_SIZE)
    )
    last_id = UUID(int=0)
    while rows := connection.execute(unindexed.where(col(event.id) > last_id)).all():
        last_id = rows[-1].id
        for event_row in (tables.Event(**row._mapping) for row in rows):
            for table, index_rows in search_index.build_index_rows(
                event_row.organization_id, [event_row.to_domain()]
            ):
                # The tags are in their table already.
                if table is not tables.EventTag:
                    connection.execute(insert(table), index_rows)


def _set_exact_numbers(connection: Connection) -> None:
    """Indexes the values of events again that have a number of at least 2^53."""
    event, value = tables.Event, tables.EventValue
    large = or_(col(value.number) >= 2.0**53, col(value.number) <= -(2.0**53))
    event_ids = select(col(value.event_id)).where(large).distinct().order_by(col(value.event_id))
    last_id = UUID(int=0)
    while ids := connection.scalars(
        event_ids.where(col(value.event_id) > last_id).limit(BATCH_SIZE)
    ).all():
        last_id = ids[-1]
        rows = connection.execute(select(event).where(col(event.id).in_(ids))).all()
        connection.execute(delete(value).where(col(value.event_id).in_(ids)))
        for event_row in (tables.Event(**row._mapping) for row in rows):
            index_rows = dict(
                search_index.build_index_rows(event_row.organization_id, [event_row.to_domain()])
            )
            connection.execute(insert(value), index_rows[value])


def _create_first_versions(connection: Connection) -> None:
    """Creates a first version of each event type; types could not be changed before versions."""
    event_type, field = tables.EventType, tables.EventField
    for row in connection.execute(select(event_type)).all():
        fields_query = (
            select(field).where(col(field.event_type_id) == row.id).order_by(col(field.position))
        )
        fields = [
            tables.EventField(**field_row._mapping)
            for field_row in connection.execute(fields_query)
        ]
        form = VersionDefinition(tuple(field_row.to_domain() for field_row in fields))
        version = {
            "organization_id": row.organization_id,
            "event_type_id": row.id,
            "number": row.version,
            "form": form.to_json(),
            "created_at": row.updated_at,
        }
        connection.execute(insert(tables.EventTypeVersion), [version])


def _extract_words_of_event_types(connection: Connection) -> None:
    event_type = tables.EventType
    for row in connection.execute(select(event_type)).all():
        definition = EventTypeDefinition(row.name, row.type, row.description, row.category)
        update_words = update(event_type).where(col(event_type.id) == row.id)
        connection.execute(update_words.values(words=definition.search_words))


def _find_first_versions_of_fields(connection: Connection) -> None:
    """Sets the version that added each field: since then, every version has its name."""
    version, field = tables.EventTypeVersion, tables.EventField
    for event_type_id in connection.scalars(select(col(tables.EventType.id))).all():
        rows = connection.execute(
            select(col(version.number), col(version.form))
            .where(col(version.event_type_id) == event_type_id)
            .order_by(col(version.number))
        )
        first_versions: dict[str, int] = {}
        for number, form in rows:
            names = [each["name"] for each in form["fields"]]
            first_versions = {name: first_versions.get(name, number) for name in names}
        for name, number in first_versions.items():
            of_field = (col(field.event_type_id) == event_type_id, col(field.name) == name)
            connection.execute(update(field).where(*of_field).values(added_in_version=number))


def _add_settings_to_latest_versions(connection: Connection) -> None:
    """Stores the settings of each type, so that the next version can say what it changed."""
    event_type, version = tables.EventType, tables.EventTypeVersion
    for row in connection.execute(select(event_type)).all():
        latest = (col(version.event_type_id) == row.id, col(version.number) == row.version)
        form = connection.scalars(select(col(version.form)).where(*latest)).one()
        definition = EventTypeDefinition(row.name, row.type, row.description, row.category)
        form = form | {"settings": definition.settings}
        connection.execute(update(version).where(*latest).values(form=form))
