"""Rows of tables: events and change log entries as flat records, and records as event drafts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from functools import cached_property, partial
from typing import Any

from app.domain.event_types.fields import FieldKind
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import (
    ATTRIBUTES,
    Entity,
    EventDraft,
    EventState,
    Use,
    attributes_with,
)
from app.domain.shared.messages import format_choices, quote_value
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.strict_json import STRICT_DECODER
from app.domain.shared.values import EXPECTED_INSTANT, format_instant, parse_instant
from app.services.events.archives import HistoryEntry

Row = dict[str, Any]

TEXT, TIME, INTEGER, BOOLEAN, JSON = "text", "time", "integer", "boolean", "json"
_COLUMN_TYPES = {datetime: TIME, int: INTEGER, bool: BOOLEAN, dict: JSON, tuple: JSON}
# Attributes that other columns contain, that only CloudEvents can represent, or that mean nothing
# in another database.
_WITHOUT_COLUMN = frozenset(
    {
        *("event_type_id", "entity", "summary_given", "latest_occurrence", "acknowledged"),
        *("status", "silenced_by_id", "extensions", "payload"),
    }
)
# The columns of events, in order, and the types of their values.
EVENT_COLUMNS = {
    attribute.api_name: _COLUMN_TYPES.get(attribute.type, TEXT)
    for attribute in ATTRIBUTES
    if attribute.name not in _WITHOUT_COLUMN
}
HISTORY_COLUMNS = {
    "at": TIME,
    "actor": TEXT,
    "kind": TEXT,
    "subjectType": TEXT,
    "subjectId": TEXT,
    "changes": JSON,
    "state": JSON,
}
# An import reads the attributes that producers can report, and from these columns parts of them.
_PARTS = frozenset({"entity_type", "entity_id", "severity_text", "acknowledged_at", "resolved_at"})
_IMPORTED = {
    attribute.api_name: attribute
    for attribute in ATTRIBUTES
    if attribute.api_name in EVENT_COLUMNS
    and (Use.REPORTED in attribute.uses or attribute.name in _PARTS)
}
IMPORTED_COLUMNS = tuple(_IMPORTED)
IGNORED_COLUMNS = EVENT_COLUMNS.keys() - _IMPORTED.keys()
_FIELD_PREFIX = "fields."
_IGNORE = ""


def format_event(event: EventState) -> Row:
    """Returns the row of an event. `sourceId` is the ID of the event if it has no other."""
    values = event.to_json() | {
        "sourceId": event.source_id or str(event.id),
        "entityType": event.entity_type,
        "entityId": event.entity_id,
    }
    return {name: values[name] for name in EVENT_COLUMNS}


def format_entry(entry: HistoryEntry) -> Row:
    return {
        "at": format_instant(entry.at),
        "actor": entry.actor,
        "kind": entry.kind,
        "subjectType": "".join(word.capitalize() for word in entry.subject.split("_")),
        "subjectId": str(entry.subject_id),
        "changes": entry.changes,
        "state": entry.state,
    }


class MappingError(Exception):
    """Columns that cannot be imported. The message says how to fix them."""


@dataclass(frozen=True)
class RowParser:
    """Parses rows as event drafts.

    `type`: type of rows without a type. `kinds`: kinds of its fields, by which texts are converted.
    `mapping`: by name of a column, the attribute or field that it contains, or "" to ignore it.
    Other columns contain the attribute or field of their own name.
    """

    type: str | None = None
    kinds: Mapping[str, FieldKind] = field(default_factory=dict)
    mapping: Mapping[str, str] = field(default_factory=dict)

    def check_columns(self, columns: Iterable[str]) -> None:
        """Raises MappingError if a column has no name, or two have the same name or target."""
        seen: dict[str, str] = {}
        names = list(columns)
        for column in names:
            if not column:
                raise MappingError("A column has no name. Name all columns in the first line.")
            target = self._find_target(column)
            if target in seen and target != _IGNORE:
                both = f"{quote_value(seen[target])} and {quote_value(column)}"
                raise MappingError(
                    f"Columns {both} have the same target {quote_value(target)}. Rename one, map "
                    "it with --map to another target, or ignore it with --map 'column='."
                )
            seen[target] = column
        if missing := [column for column in self.mapping if column not in names]:
            columns_text = format_choices(names).removeprefix("one of ")
            existing = f"The columns are {columns_text}" if names else "The file has no columns"
            raise MappingError(f"--map: There is no column {quote_value(missing[0])}. {existing}.")

    def _find_target(self, column: str) -> str:
        """Returns an imported attribute, `fields.` and the name of a field, or _IGNORE."""
        target = self.mapping.get(column, column)
        if target in IMPORTED_COLUMNS or target == _IGNORE or target.startswith(_FIELD_PREFIX):
            return target
        if target in IGNORED_COLUMNS and column not in self.mapping:
            return _IGNORE
        return _FIELD_PREFIX + target

    def parse(self, row: Row, default_source_id: str) -> EventDraft | list[Problem]:
        """Returns the draft of a row, or its problems, whose paths begin with the column.

        An absent value is None, or an empty text where only other texts are valid.
        `default_source_id` identifies a row that has neither a `sourceId` nor an `id`.
        """
        values: dict[str, tuple[str, Any]] = {}
        fields: dict[str, Any] = {}
        for column, value in row.items():
            target = self._find_target(column)
            if (
                value is None
                or target == _IGNORE
                or (value == "" and not self._may_be_empty(target))
            ):
                continue
            if target.startswith(_FIELD_PREFIX):
                name = target.removeprefix(_FIELD_PREFIX)
                fields[name] = self._convert_field(name, value)
            else:
                values[target] = column, value
        attributes: dict[str, Any] = {}
        problems: list[Problem] = []
        for target, (column, value) in values.items():
            try:
                attributes[target] = _PARSERS[target](value)
            except ValueError as error:
                problems.append(invalid_input(str(error), column))
        if problems:
            return problems
        row_id = row.get("id")
        default_id = row_id if isinstance(row_id, str) and row_id else default_source_id
        return self._build_draft(attributes, fields, default_id)

    def _may_be_empty(self, target: str) -> bool:
        """Whether an empty text is a value of this attribute or field."""
        if target.startswith(_FIELD_PREFIX):
            kind = self.kinds.get(target.removeprefix(_FIELD_PREFIX))
            return kind in (None, FieldKind.TEXT, FieldKind.LONG_TEXT)
        return target in ("summary", "content")

    def _build_draft(
        self, attributes: dict[str, Any], fields: dict[str, Any], default_source_id: str
    ) -> EventDraft:
        entity_type, entity_id = attributes.get("entityType"), attributes.get("entityId")
        severity = attributes.get("severity")
        level = next((each for each in Severity if each.value == severity), None)
        reported = {
            attribute.name: attributes[attribute.api_name]
            for attribute in attributes_with(Use.REPORTED)
            if attribute.api_name in attributes
        }
        defaults = {"type": self.type, "source_id": default_source_id}
        return replace(
            EventDraft(**(defaults | reported)),
            severity_level=level,
            severity_text=attributes.get("severityText", severity if level is None else None),
            entity=None
            if entity_type is None and entity_id is None
            else Entity(entity_type or "", entity_id or ""),
            fields=attributes.get("fields", {}) | fields,
            acknowledged=True if "acknowledgedAt" in attributes else None,
            resolved_at=attributes.get("resolvedAt"),
        )

    def _convert_field(self, name: str, value: Any) -> Any:
        """Converts a string to a value of the field's kind. Other strings stay as they are."""
        if not isinstance(value, str):
            return value
        match self.kinds.get(name):
            case FieldKind.NUMBER | FieldKind.INTEGER:
                number = _decode_or_none(value)
                is_number = isinstance(number, int | float) and not isinstance(number, bool)
                return number if is_number else value
            case FieldKind.BOOLEAN:
                return _BOOLEANS.get(value.lower(), value)
            case FieldKind.MULTI_SELECT:
                options = _decode_or_none(value)
                return options if isinstance(options, list) else value.split(";")
        return value

    @cached_property
    def _columns_by_target(self) -> dict[str, str]:
        return {target: column for column, target in self.mapping.items()}

    def find_column(self, path: tuple[str, ...]) -> str:
        """Returns the column of a path in a draft, or the path if there is none of its own."""
        name = ".".join(path)
        if path[:1] == ("fields",) and len(path) > 1:
            field_name = path[1]
            for target in (name, _FIELD_PREFIX + field_name, field_name):
                if target in self._columns_by_target:
                    return self._columns_by_target[target]
            return field_name
        target = {"entity.type": "entityType", "entity.id": "entityId"}.get(name, path[0])
        return self._columns_by_target.get(target, target)


def _decode_or_none(text: str) -> Any:
    try:
        return STRICT_DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _parse_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"Invalid value {quote_value(value)}: expected a string.")
    return value


def _parse_time(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if (instant := parse_instant(value) if isinstance(value, str) else None) is None:
        raise ValueError(f"Invalid time {quote_value(value)}: expected {EXPECTED_INSTANT}.")
    return instant


def _parse_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and (boolean := _BOOLEANS.get(value.lower())) is not None:
        return boolean
    raise ValueError(f"Invalid value {quote_value(value)}: expected true or false.")


def _parse_member(enum: type[Enum], value: Any) -> Enum:
    for member in enum:
        if member.value == value:
            return member
    choices = format_choices([each.value for each in enum])
    raise ValueError(f"Invalid {enum.__name__.lower()} {quote_value(value)}: expected {choices}.")


def _parse_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return STRICT_DECODER.decode(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"Invalid JSON: {error.msg} (character {error.pos + 1}).") from None
    except RecursionError:
        raise ValueError("Invalid JSON: the value is nested too deeply.") from None
    except ValueError as error:
        raise ValueError(f"Invalid JSON: {error}.") from None


def _parse_tags(value: Any) -> tuple[str, ...]:
    tags = _parse_json(value)
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("Invalid tags: expected a JSON array of strings.")
    return tuple(tags)


def _parse_fields(value: Any) -> dict[str, Any]:
    fields = _parse_json(value)
    if not isinstance(fields, dict):
        raise ValueError("Invalid fields: expected a JSON object.")
    return fields


_BOOLEANS = {"true": True, "false": False}
_PARSERS_BY_TYPE: dict[type, Callable[[Any], Any]] = {
    str: _parse_text,
    datetime: _parse_time,
    bool: _parse_boolean,
    tuple: _parse_tags,
    dict: _parse_fields,
    Severity: _parse_text,  # producers use words of their own
    Outcome: partial(_parse_member, Outcome),
}
_PARSERS = {name: _PARSERS_BY_TYPE[attribute.type] for name, attribute in _IMPORTED.items()}
