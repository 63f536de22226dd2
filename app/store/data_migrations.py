"""Data migrations that need application code. They run after the schema migrations of an older
database.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlmodel import col

from app.domain.event_types.definitions import EventTypeDefinition, VersionDefinition
from app.domain.event_types.fields import set_field_names
from app.domain.events.state import EventState
from app.domain.rules.duplicates import DuplicationRule, compute_fingerprints
from app.domain.shared.values import canonical_json
from app.store import tables
from app.store.writing import search_index

BATCH_SIZE = 500
VALUES_PER_STATEMENT = 5_000


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
    if revision < "0020":
        _recompute_fingerprints(connection)
    if revision < "0028":
        _index_nested_values(connection)


def _fetch_batches(
    connection: Connection, statement: Select[Any], key: Any, first_key: Any
) -> Iterator[Sequence[Row[Any]]]:
    """Yields the rows of a statement in batches, by a unique key that is greater than the first.

    A batch is read after the batch before it was processed.
    """
    batch = statement.order_by(key).limit(BATCH_SIZE)
    while rows := connection.execute(batch.where(key > first_key)).all():
        yield rows
        first_key = getattr(rows[-1], key.key)


def _index_events(connection: Connection) -> None:
    event, words = tables.Event, tables.EventWords
    unindexed = select(event).where(col(event.id).not_in(select(col(words.event_id))))
    for rows in _fetch_batches(connection, unindexed, col(event.id), UUID(int=0)):
        for event_row in (tables.Event(**row._mapping) for row in rows):
            for table, index_rows in search_index.build_index_rows(
                event_row.organization_id, [event_row.to_domain()]
            ):
                # The tags are in their table already.
                if table is not tables.EventTag:
                    connection.execute(insert(table), index_rows)


def _set_exact_numbers(connection: Connection) -> None:
    """Indexes the values of events again that have a number of at least 2^53."""
    value = tables.EventValue
    _index_values_again(
        connection, or_(col(value.number) >= 2.0**53, col(value.number) <= -(2.0**53))
    )


def _index_nested_values(connection: Connection) -> None:
    """Indexes the values of events again that have an object or a list."""
    value = tables.EventValue
    scalar_columns = (col(value.number), col(value.head), col(value.truth))
    _index_values_again(
        connection,
        and_(col(value.ordinal) == 0, *(column.is_(None) for column in scalar_columns)),
    )


def _index_values_again(connection: Connection, condition: ColumnElement[bool]) -> None:
    """Indexes the values of events again that have a value with this condition."""
    event, value = tables.Event, tables.EventValue
    event_ids = select(col(value.event_id)).where(condition).distinct()
    for batch in _fetch_batches(connection, event_ids, col(value.event_id), UUID(int=0)):
        ids = [row.event_id for row in batch]
        rows = connection.execute(select(event).where(col(event.id).in_(ids))).all()
        connection.execute(delete(value).where(col(value.event_id).in_(ids)))
        value_rows: list[dict[str, Any]] = []
        for event_row in (tables.Event(**row._mapping) for row in rows):
            owner = event_row.organization_id
            value_rows += search_index.build_value_rows(owner, event_row.to_domain())
            if len(value_rows) >= VALUES_PER_STATEMENT:
                connection.execute(insert(value), value_rows)
                value_rows = []
        if value_rows:
            connection.execute(insert(value), value_rows)


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


def _recompute_fingerprints(connection: Connection) -> None:
    """Computes the fingerprints of originals again, by value: version 1 compared notations."""
    rules = {
        row.id: tables.DuplicationRule(**row._mapping).to_domain()
        for row in connection.execute(select(tables.DuplicationRule))
        if any(path == "tags" or path.startswith("fields") for path in row.fingerprint)
    }
    original = tables.FirstEvent
    of_rules = select(original).where(col(original.rule_id).in_(rules))
    set_fields: dict[tuple[UUID | None, int | None], frozenset[str]] = {}
    for rows in _fetch_batches(connection, of_rules, col(original.id), 0):
        states = _load_logged_states(connection, rows, rules)
        new_digests: dict[UUID, dict[Row[Any], str]] = defaultdict(dict)
        for row in rows:
            if (state := states.get(row.id)) is None:
                continue
            version = state.event_type_id, state.event_type_version
            if version not in set_fields:
                set_fields[version] = _load_set_fields(connection, *version)
            rule_alone = [rules[row.rule_id]]
            for fingerprint in compute_fingerprints(rule_alone, state, set_fields[version]):
                if fingerprint.digest != row.digest:
                    new_digests[row.rule_id][row] = fingerprint.digest
        for rule_id, digests in new_digests.items():
            _replace_digests(connection, rule_id, digests)


def _load_logged_states(
    connection: Connection, originals: Sequence[Row[Any]], rules: Mapping[UUID, DuplicationRule]
) -> dict[int, EventState]:
    """Loads the states from which the digests of these originals were computed, by row ID.

    An event that was updated later has its state in the change log, unless that was pruned. Without
    it, the digest stays as it is.
    """
    event, change = tables.Event, tables.Change
    event_ids = {row.event_id for row in originals}
    events = {
        row.id: tables.Event(**row._mapping).to_domain()
        for row in connection.execute(select(event).where(col(event.id).in_(event_ids)))
    }
    states = {row.id: events[row.event_id] for row in originals}

    def is_logged(row: Row[Any], state: EventState) -> bool:
        digest = _compute_first_version_digest(rules[row.rule_id].fingerprint, state)
        return digest is not None and digest == row.digest

    updated = [row for row in originals if not is_logged(row, states[row.id])]
    if not updated:
        return states
    entries = defaultdict(list)
    updated_ids = {row.event_id for row in updated}
    for entry in connection.execute(select(change).where(col(change.subject_id).in_(updated_ids))):
        entries[entry.subject_id].append(entry)
    for row in updated:
        logged = (state for state in _past_states(entries[row.event_id]) if is_logged(row, state))
        if (state := next(logged, None)) is None:
            del states[row.id]
        else:
            states[row.id] = state
    return states


def _past_states(entries: Sequence[Row[Any]]) -> Iterator[EventState]:
    """The states of an event after and before each of these entries of the change log."""
    for entry in entries:
        yield EventState.from_json(entry.state)
        pairs = {name: pair for name, pair in entry.changes.items() if isinstance(pair, list)}
        yield EventState.from_json(entry.state | {name: old for name, (old, _) in pairs.items()})


def _load_set_fields(
    connection: Connection, event_type_id: UUID | None, number: int | None
) -> frozenset[str]:
    version = tables.EventTypeVersion
    statement = select(col(version.form)).where(
        col(version.event_type_id) == event_type_id, col(version.number) == number
    )
    if (form := connection.scalars(statement).one_or_none()) is None:
        return frozenset()
    return set_field_names(VersionDefinition.from_json(form).fields)


def _replace_digests(
    connection: Connection, rule_id: UUID, new_digests: Mapping[Row[Any], str]
) -> None:
    """Gives originals other digests, and adds up how many duplicates were found by them."""
    original = tables.METADATA.tables["first_event"]
    fingerprint = tables.METADATA.tables["fingerprint"]
    change_digest = update(original).where(original.c.id == bindparam("row_id"))
    connection.execute(
        change_digest.values(digest=bindparam("new_digest")),
        [{"row_id": row.id, "new_digest": digest} for row, digest in new_digests.items()],
    )
    replaced = {row.digest: digest for row, digest in new_digests.items()}
    used = select(original.c.digest).where(
        original.c.rule_id == rule_id, original.c.digest.in_(replaced)
    )
    for digest in connection.scalars(used.distinct()):
        del replaced[digest]  # another original still has it
    counts = dict.fromkeys(new_digests.values(), 0)
    of_digests = (
        fingerprint.c.rule_id == rule_id,
        fingerprint.c.digest.in_([*replaced, *counts]),
    )
    stored = select(fingerprint.c.digest, fingerprint.c.caught).where(*of_digests)
    for digest, caught in connection.execute(stored).all():
        counts[replaced.get(digest, digest)] += caught
    connection.execute(delete(fingerprint).where(*of_digests))
    owner = next(iter(new_digests)).organization_id
    values = {"organization_id": owner, "rule_id": rule_id}
    connection.execute(
        insert(fingerprint),
        [values | {"digest": digest, "caught": caught} for digest, caught in counts.items()],
    )


def _compute_first_version_digest(fingerprint: Sequence[str], state: EventState) -> str | None:
    """The digest of a fingerprint as version 1 computed it."""
    values = state.to_json()
    pairs = []
    for path in fingerprint:
        if path.startswith("fields."):
            name = path.removeprefix("fields.")
            if name in state.fields:
                pairs.append([path, state.fields[name]])
            continue
        value: Any = values
        for step in path.split("."):
            value = None if value is None else value.get(step)
        if value not in (None, [], {}):
            pairs.append([path, value])
    return hashlib.sha256(canonical_json(pairs)).hexdigest() if pairs else None
