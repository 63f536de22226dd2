"""Creates, edits, transitions and deletes event types.

A change of the definition, its fields or its conditional rules locks the type, is validated as a
whole, and creates a version. An edit that changes nothing creates none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.audit import AuditAction
from app.domain.event_types.conditions import ConditionalRule
from app.domain.event_types.definitions import (
    DEFAULT_CATEGORY,
    EventTypeDefinition,
    VersionDefinition,
    validate_definition,
    validate_new_definition,
)
from app.domain.event_types.event_type_draft import (
    Edit,
    EventTypeDraft,
    add_field,
    add_rule,
    replace_definition,
    validate_edit,
)
from app.domain.event_types.fields import AdditionalFields, FieldDefinition
from app.domain.event_types.lifecycle import EventTypeState, validate_transition
from app.domain.intake.intake import CommandContext
from app.domain.shared.problems import Problem, UserErrorCode, not_found
from app.services.definitions.event_types import TypePart, load_parts
from app.services.definitions.rules import lock_rules_of_type
from app.services.event_types.event_type_usage import count_events, find_broken_rules
from app.services.rules.duplication_rules import shift_positions
from app.services.shared.audited_changes import append_entry
from app.services.shared.readers import lookup_by_id
from app.services.shared.row_locks import lock_row
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.audit import collect_values, create_entry
from app.store.engine.database import Database, retry_on_deadlock
from app.store.engine.dialect import lock_definitions_exclusive
from app.store.writing.inserts import KEEP_EXISTING, insert_rows


@dataclass(frozen=True)
class EventTypeResult:
    """The event type after a mutation, or the problems."""

    event_type: tables.EventType | None = None
    problems: tuple[Problem, ...] = ()
    draft: EventTypeDraft | None = None


@dataclass(frozen=True)
class DeletedEventType:
    """The deleted event type with its fields and rules, or the problems that prevented it."""

    event_type: tables.EventType | None = None
    fields: Sequence[tables.EventField] = ()
    rules: Sequence[tables.ConditionalRule] = ()
    scoped_rules: Mapping[tables.RuleTable, Sequence[tables.ScopedRule]] | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def definition(self) -> VersionDefinition:
        """The latest version, which is deleted with the type."""
        return VersionDefinition(
            tuple(each.to_domain() for each in self.fields),
            tuple(each.to_domain() for each in self.rules),
            self.event_type.additional_fields if self.event_type else AdditionalFields.REFUSE,
        )


@retry_on_deadlock
async def create_event_type(
    database: Database, command: CommandContext, definition: EventTypeDefinition
) -> EventTypeResult:
    if problems := validate_new_definition(definition, command.limits):
        return EventTypeResult(problems=tuple(problems))
    organization_id = command.actor.organization_id
    event_type = tables.EventType(
        id=uuid7(),
        organization_id=organization_id,
        state=definition.state,
        created_at=command.now,
        updated_at=command.now,
        **_column_values(definition),
    )
    draft = EventTypeDraft(
        definition,
        {uuid7(): each for each in definition.fields},
        {uuid7(): each for each in definition.rules},
    )
    async with database.write(organization_id) as session:
        await lock_definitions_exclusive(session, organization_id)
        if not await insert_rows(
            session,
            (tables.EventType, [event_type.to_columns()]),
            on_conflict=KEEP_EXISTING,
            returning=("id",),
        ):
            return EventTypeResult(problems=(_type_taken_problem(definition.type_name),))
        part_entries = await _write_parts(session, command, event_type, draft)
        await _write_version(session, command, event_type, definition, part_entries)
    return EventTypeResult(event_type)


@retry_on_deadlock
async def edit_event_type(
    database: Database,
    command: CommandContext,
    event_type_id: UUID,
    edit: Edit,
    *id_path: str,
    if_version: int | None = None,
) -> EventTypeResult:
    """Edits a definition. Writes nothing if the edit, or its result, has a problem.

    `id_path`: path of the argument that names the event type.
    """
    async with database.write(command.actor.organization_id) as session:
        row = await _lock_event_type(session, command, event_type_id)
        if row is None:
            return EventTypeResult(problems=(not_found("event type", event_type_id, *id_path),))
        if if_version not in (None, row.version):
            message = (
                f"The event type has version {row.version}, not {if_version}. Reload the event "
                "type and retry."
            )
            return EventTypeResult(
                problems=(Problem(UserErrorCode.CONFLICT, message, ("input", "ifVersion")),)
            )
        change = await _apply_edit(session, command, row, edit)
        if change.problems:
            return EventTypeResult(problems=tuple(change.problems))
        draft, before, after = change.draft, change.before, change.draft.to_definition()
        values = collect_values(row, _list_names(before.fields, before.rules))
        if after.type_name != row.type and (problem := await _rename_type(session, row, after)):
            return EventTypeResult(problems=(problem,))
        if after != before:
            row.version += 1
            row.updated_at = command.now
            part_entries = await _write_parts(session, command, row, draft)
            await _write_version(session, command, row, after, part_entries, values)
        return EventTypeResult(row, draft=draft)


@dataclass(frozen=True)
class CheckedDefinition:
    """A definition that was not saved: the latest one before it, and the problems that it has.

    `before` is None if the event type is new.
    """

    definition: EventTypeDefinition
    before: EventTypeDefinition | None = None
    problems: tuple[Problem, ...] = ()


async def check_event_type(
    database: Database,
    command: CommandContext,
    event_type_id: UUID | None,
    definition: EventTypeDefinition,
) -> CheckedDefinition:
    """Validates a definition of an event type, or of a new one. Writes nothing."""
    async with database.read(command.actor.organization_id) as session:
        if event_type_id is None:
            problems = validate_new_definition(definition, command.limits)
            if not problems and await _is_type_taken(session, definition.type_name, None):
                problems = [_type_taken_problem(definition.type_name)]
            located = tuple(each.prepend_path("definition") for each in problems)
            return CheckedDefinition(definition, problems=located)
        table = tables.EventType
        statement = select(table).where(col(table.id) == event_type_id)
        row = (await session.scalars(statement)).one_or_none()
        if row is None:
            missing = not_found("event type", event_type_id, "id")
            return CheckedDefinition(definition, problems=(missing,))
        edit = replace_definition(definition, uuid7, "definition")
        change = await _apply_edit(session, command, row, edit)
        after = change.draft.to_definition()
        problems = list(change.problems)
        if after.type_name != row.type:
            if event_count := await count_events(session, row):
                problems.append(_type_in_use_problem(row, event_count, "definition"))
            elif await _is_type_taken(session, after.type_name, row.id):
                problems.append(_type_taken_problem(after.type_name).prepend_path("definition"))
        return CheckedDefinition(after, change.before, tuple(problems))


@dataclass(frozen=True)
class _Change:
    """The draft after an edit, the definition before it, and the problems of the edit."""

    draft: EventTypeDraft
    before: EventTypeDefinition
    problems: Sequence[Problem]


async def _apply_edit(
    session: AsyncSession, command: CommandContext, row: tables.EventType, edit: Edit
) -> _Change:
    """Applies an edit to the stored definition, in memory, and validates the result."""
    draft = await _load_draft(session, row)
    previous_draft = replace(draft, fields=dict(draft.fields), rules=dict(draft.rules))
    before = previous_draft.to_definition()
    edit_result = edit(draft)
    problems = [
        *validate_edit(previous_draft, draft, edit_result, command.limits),
        *await find_broken_rules(session, command, row, before.fields, draft, edit_result),
    ]
    return _Change(draft, before, problems)


async def _is_type_taken(session: AsyncSession, type_name: str, except_id: UUID | None) -> bool:
    table = tables.EventType
    statement = select(col(table.id)).where(col(table.type) == type_name)
    return (await session.scalars(statement)).one_or_none() not in (None, except_id)


async def add_event_field(
    database: Database, command: CommandContext, event_type_id: UUID, field: FieldDefinition
) -> EventTypeResult:
    edit = add_field(uuid7(), field)
    return await edit_event_type(database, command, event_type_id, edit, "eventTypeId")


async def add_conditional_rule(
    database: Database, command: CommandContext, event_type_id: UUID, rule: ConditionalRule
) -> EventTypeResult:
    """The new rule is the last one of the resulting draft."""
    edit = add_rule(uuid7(), rule)
    return await edit_event_type(database, command, event_type_id, edit, "eventTypeId")


async def edit_part(
    database: Database,
    command: CommandContext,
    table: type[TypePart],
    part_id: UUID,
    edit: Edit,
    *id_path: str,
) -> EventTypeResult:
    """Edits the definition of the type that a field or conditional rule belongs to."""
    part = await lookup_by_id(table).fetch_row(database, command.actor, part_id)
    if part is None:
        noun = str(table.__tablename__).replace("_", " ")
        return EventTypeResult(problems=(not_found(noun, part_id, *id_path),))
    return await edit_event_type(database, command, part.event_type_id, edit, *id_path)


@retry_on_deadlock
async def transition_event_type(
    database: Database,
    command: CommandContext,
    event_type_id: UUID,
    target_state: EventTypeState,
    sunset_at: datetime | None,
) -> EventTypeResult:
    """Moves a type to another state. If it is the current one, only `sunset_at` changes."""
    async with database.write(command.actor.organization_id) as session:
        row = await _lock_event_type(session, command, event_type_id)
        if row is None:
            return EventTypeResult(problems=(not_found("event type", event_type_id, "id"),))
        problems = validate_transition(row.state, target_state, sunset_at)
        if (
            not problems
            and row.state is EventTypeState.DRAFT
            and target_state is EventTypeState.PUBLISHED
        ):
            definition = (await _load_draft(session, row)).to_definition()
            problems = [
                each.prepend_path("id") for each in validate_definition(definition, command.limits)
            ]
        if problems:
            return EventTypeResult(problems=tuple(problems))
        if row.state is target_state and sunset_at in (None, row.sunset_at):
            return EventTypeResult(row)
        before = collect_values(row)
        row.state, row.sunset_at, row.updated_at = target_state, sunset_at, command.now
        await append_entry(session, command, row, AuditAction.TRANSITIONED, before)
        return EventTypeResult(row)


@retry_on_deadlock
async def delete_event_type(
    database: Database, command: CommandContext, event_type_id: UUID
) -> DeletedEventType:
    async with database.write(command.actor.organization_id) as session:
        row = await _lock_event_type(session, command, event_type_id)
        if row is None:
            return DeletedEventType(problems=(not_found("event type", event_type_id, "id"),))
        if event_count := await count_events(session, row):
            message = (
                f"{_count_events(event_count)} the type {row.type!r}. Archive the event type "
                "instead."
            )
            return DeletedEventType(problems=(Problem(UserErrorCode.IN_USE, message, ("id",)),))
        fields, rules = await _load_fields_and_rules(session, event_type_id)
        scoped_rules = {
            table: await lock_rules_of_type(session, table, event_type_id)
            for table in tables.RULE_TABLES
        }
        author = (command.actor.name, command.now)
        names = _list_names(fields, rules)
        deleted_parts = [*fields, *rules, *chain.from_iterable(scoped_rules.values())]
        entries = [
            create_entry(row, AuditAction.DELETED, *author, more_values=names),
            *(create_entry(each, AuditAction.DELETED, *author) for each in deleted_parts),
        ]
        await changes.append_entries(session, entries)
        await session.delete(row)
        for rule in reversed(scoped_rules[tables.DuplicationRule]):
            if isinstance(rule, tables.DuplicationRule):
                await shift_positions(session, rule.position + 1, None, -1)
        return DeletedEventType(row, fields, rules, scoped_rules)


async def _lock_event_type(
    session: AsyncSession, command: CommandContext, event_type_id: UUID
) -> tables.EventType | None:
    """Returns the event type, locked against changes and reports until the transaction ends."""
    await lock_definitions_exclusive(session, command.actor.organization_id)
    return await lock_row(session, tables.EventType, event_type_id)


async def _rename_type(
    session: AsyncSession, row: tables.EventType, definition: EventTypeDefinition
) -> Problem | None:
    """Changes the type name. Returns a problem if it cannot be changed."""
    if event_count := await count_events(session, row):
        return _type_in_use_problem(row, event_count, "input")
    try:
        async with session.begin_nested():
            row.type = definition.type_name
            await session.flush()
    except IntegrityError:
        return _type_taken_problem(definition.type_name).prepend_path("input")
    return None


async def _load_draft(session: AsyncSession, row: tables.EventType) -> EventTypeDraft:
    fields, rules = await _load_fields_and_rules(session, row.id)
    definition = EventTypeDefinition(
        row.name,
        row.type,
        row.description,
        row.category,
        row.state,
        additional_fields=row.additional_fields,
    )
    return EventTypeDraft(
        definition,
        {each.id: each.to_domain() for each in fields},
        {each.id: each.to_domain() for each in rules},
    )


async def _load_fields_and_rules(
    session: AsyncSession, event_type_id: UUID
) -> tuple[list[tables.EventField], list[tables.ConditionalRule]]:
    fields = await load_parts(session, tables.EventField, [event_type_id])
    rules = await load_parts(session, tables.ConditionalRule, [event_type_id])
    return fields[event_type_id], rules[event_type_id]


async def _write_parts(
    session: AsyncSession, command: CommandContext, row: tables.EventType, draft: EventTypeDraft
) -> list[changes.NewEntry]:
    """Writes the fields and conditional rules, and returns the audit entries of their changes."""
    fields, rules = await _load_fields_and_rules(session, row.id)
    stored_parts = {part.id: part for part in (*fields, *rules)}
    values_before = {part.id: collect_values(part) for part in stored_parts.values()}
    shared_values: dict[str, Any] = {
        "organization_id": row.organization_id,
        "event_type_id": row.id,
    }
    field_rows = {row.id: row for row in fields}
    new_fields = []
    for position, (field_id, field) in enumerate(draft.fields.items()):
        if (field_row := field_rows.get(field_id)) is None:
            field_row = tables.EventField(
                id=field_id, added_in_version=row.version, **shared_values
            )
            new_fields.append(field_row)
        field_row.update_from(field, position)
    rule_rows = {row.id: row for row in rules}
    new_rules = []
    for rule_id, rule in draft.rules.items():
        if (rule_row := rule_rows.get(rule_id)) is None:
            rule_row = tables.ConditionalRule(id=rule_id, **shared_values)
            new_rules.append(rule_row)
        rule_row.update_from(rule)
    kept_ids = {*draft.fields, *draft.rules}
    removed_parts = [part for part in stored_parts.values() if part.id not in kept_ids]
    changed_parts = [
        part
        for part in stored_parts.values()
        if part.id in kept_ids and collect_values(part) != values_before[part.id]
    ]
    author = (command.actor.name, command.now)
    entries = [
        *(create_entry(part, AuditAction.CREATED, *author) for part in (*new_fields, *new_rules)),
        *(
            create_entry(part, AuditAction.UPDATED, *author, values_before[part.id])
            for part in changed_parts
        ),
        *(create_entry(part, AuditAction.DELETED, *author) for part in removed_parts),
    ]
    for part in removed_parts:
        await session.delete(part)
    await session.flush()
    await insert_rows(
        session,
        (tables.EventField, [each.to_columns() for each in new_fields]),
        (tables.ConditionalRule, [each.to_columns() for each in new_rules]),
    )
    return entries


async def _write_version(
    session: AsyncSession,
    command: CommandContext,
    row: tables.EventType,
    definition: EventTypeDefinition,
    part_entries: Sequence[changes.NewEntry],
    before: Mapping[str, Any] | None = None,
) -> None:
    """Writes the version and its audit entries. `before`: the values of the type before it."""
    for name, value in _column_values(definition).items():
        setattr(row, name, value)
    await session.flush()
    version = {
        "organization_id": row.organization_id,
        "event_type_id": row.id,
        "number": row.version,
        "form": definition.to_json(),
        "created_at": command.now,
        "created_by": command.actor.name,
    }
    await insert_rows(session, (tables.EventTypeVersion, [version]))
    action = AuditAction.CREATED if before is None else AuditAction.UPDATED
    names = _list_names(definition.fields, definition.rules)
    entry = create_entry(row, action, command.actor.name, command.now, before, names)
    await changes.append_entries(session, [entry, *part_entries])


def _list_names(
    fields: Iterable[FieldDefinition | tables.EventField],
    rules: Iterable[ConditionalRule | tables.ConditionalRule],
) -> dict[str, list[str]]:
    """Returns the names of the fields and of the conditional rules, in their order."""
    return {
        "fields": [field.name for field in fields],
        "conditionalRules": [rule.name for rule in rules],
    }


def _column_values(definition: EventTypeDefinition) -> dict[str, Any]:
    return {
        "type": definition.type_name,
        "name": definition.name,
        "description": definition.description,
        "category": definition.category or DEFAULT_CATEGORY,
        "additional_fields": definition.additional_fields,
        "words": definition.search_words,
    }


def _count_events(count: int) -> str:
    return "1 event has" if count == 1 else f"{count:,} events have"


def _type_in_use_problem(row: tables.EventType, event_count: int, *path: str) -> Problem:
    message = (
        f"The type name {row.type!r} cannot be changed: {_count_events(event_count)} this type. "
        "Create a new event type instead."
    )
    return Problem(UserErrorCode.IN_USE, message, (*path, "type"))


def _type_taken_problem(type_name: str) -> Problem:
    message = f"An event type {type_name!r} already exists. Use a different type name."
    return Problem(UserErrorCode.ALREADY_EXISTS, message, ("type",))
