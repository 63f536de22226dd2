"""What an expression can name: an event as a protobuf message, made for a type's fields.

Absent is null: texts, numbers and truth values are wrapper messages. Of an instant, CEL would make
1970 where it is absent: expressions are checked against Timestamp and run on Any, which holds a
Timestamp or a null.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from google.protobuf.any_pb2 import DESCRIPTOR as ANY
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import DESCRIPTOR as STRUCT
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import DESCRIPTOR as TIMESTAMP
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import DESCRIPTOR as WRAPPERS

from app.domain.event_types.fields import NUMERIC, FieldDefinition, FieldKind
from app.domain.events.state import EventState
from app.domain.shared.values import read_instant

EVENT, ENTITY, FIELDS = "tocsin.Event", "tocsin.Entity", "tocsin.Fields"
# protobuf reads 100 messages deep, and an object in an object is three.
DEEPEST = 30

_TEXT, _NUMBER, _TRUTH = "StringValue", "DoubleValue", "BoolValue"
_INSTANT, _TEXTS, _OBJECT = "Timestamp", "texts", "Struct"
_ENTITY = {"type": _TEXT, "id": _TEXT}
ATTRIBUTES = {
    "type": _TEXT,
    "category": _TEXT,
    "severity": _TEXT,
    "summary": _TEXT,
    "content": _TEXT,
    "source": _TEXT,
    "source_id": _TEXT,
    "subject": _TEXT,
    "outcome": _TEXT,
    "occurred_at": _INSTANT,
    "recorded_at": _INSTANT,
    "tags": _TEXTS,
    "notification": _TRUTH,
    "acknowledged": _TRUTH,
}
Form = tuple[FieldDefinition, ...] | None


class Scope:
    """The messages of one form: `checked` and `running` are the pools that describe them."""

    def __init__(self, form: Form) -> None:
        self._kinds = {field.name: _kind(field) for field in form or ()}
        self._free = form is None
        self.checked = _pool(self._kinds, self._free, _INSTANT)
        self.running = _pool(self._kinds, self._free, "Any")
        self._class = GetMessageClass(self.running.FindMessageTypeByName(EVENT))

    def message(self, event: EventState) -> Any:
        """The event, with those of its values that fit the form."""
        made = self._class()
        for name, kind in ATTRIBUTES.items():
            _set(made, name, kind, _attribute(event, name))
        if event.entity is not None:
            made.entity.type.value, made.entity.id.value = event.entity.type, event.entity.id
        if self._free:
            _fill_object(made.fields, event.fields, DEEPEST)
        for name, kind in self._kinds.items():
            value = event.fields.get(name)
            _set(made.fields, name, kind, value if _fits(kind, value) else None)
        return made

    def is_instant(self, field: str) -> bool:
        return self._kinds.get(field) == _INSTANT


def stamp(instant: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(instant)
    return made


def _kind(field: FieldDefinition) -> str:
    if field.kind in NUMERIC:
        return _NUMBER
    return {
        FieldKind.BOOLEAN: _TRUTH,
        FieldKind.DATETIME: _INSTANT,
        FieldKind.MULTI_SELECT: _TEXTS,
    }.get(field.kind, _TEXT)


def same_kind(one: FieldDefinition, other: FieldDefinition) -> bool:
    """Whether the fields are of one type to an expression."""
    return _kind(one) == _kind(other)


def _pool(kinds: Mapping[str, str], free: bool, instant: str) -> DescriptorPool:
    file = FileDescriptorProto(name="tocsin.proto", package="tocsin", syntax="proto3")
    pool = DescriptorPool()
    for known in (ANY, STRUCT, TIMESTAMP, WRAPPERS):
        pool.AddSerializedFile(known.serialized_pb)
        file.dependency.append(known.name)
    _describe(file.message_type.add(name="Entity"), _ENTITY)
    event = file.message_type.add(name="Event")
    _describe(event, ATTRIBUTES | {"entity": ENTITY, "fields": _OBJECT if free else FIELDS})
    if not free:
        fields = {name: instant if kind == _INSTANT else kind for name, kind in kinds.items()}
        _describe(file.message_type.add(name="Fields"), fields)
    pool.Add(file)
    return pool


def _describe(message: DescriptorProto, kinds: Mapping[str, str]) -> None:
    # Otherwise a_b and a__b, which JSON would give one name, could not stand in one message.
    message.options.deprecated_legacy_json_field_conflicts = True
    for number, (name, kind) in enumerate(kinds.items(), 1):
        field = message.field.add(name=name, number=number)
        field.label = FieldDescriptorProto.LABEL_OPTIONAL
        if kind == _TEXTS:
            field.type = FieldDescriptorProto.TYPE_STRING
            field.label = FieldDescriptorProto.LABEL_REPEATED
        else:
            field.type = FieldDescriptorProto.TYPE_MESSAGE
            field.type_name = f".{kind}" if "." in kind else f".google.protobuf.{kind}"


def _attribute(event: EventState, name: str) -> Any:
    value = getattr(event, name)
    return value.value if name in ("severity", "outcome") and value is not None else value


def _fits(kind: str, value: Any) -> bool:
    match kind:
        case "DoubleValue":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "BoolValue":
            return isinstance(value, bool)
        case "texts":
            return isinstance(value, list) and all(isinstance(each, str) for each in value)
        case _:
            return isinstance(value, str)


def _set(message: Any, name: str, kind: str, value: Any) -> None:
    part = getattr(message, name)
    if kind == _TEXTS:
        part.extend(value or ())
    elif isinstance(value, datetime):
        part.FromDatetime(value)
    elif kind == _INSTANT:
        instant = None if value is None else read_instant(value)
        part.Pack(_NULL if instant is None else stamp(instant))
    elif value is not None:
        part.SetInParent()  # without it 0, "" and false would be absent
        part.value = value


_NULL = Value(null_value=0)


def _fill(value: Any, made: Any, levels: int) -> None:
    """Copies a JSON value; what lies too deep becomes null."""
    match value:
        case bool():
            made.bool_value = value
        case int() | float():
            made.number_value = value
        case str():
            made.string_value = value
        case list() if levels:
            made.list_value.SetInParent()
            for each in value:
                _fill(each, made.list_value.values.add(), levels - 1)
        case dict() if levels:
            made.struct_value.SetInParent()
            _fill_object(made.struct_value, value, levels)
        case _:
            made.null_value = 0


def _fill_object(made: Any, values: Mapping[str, Any], levels: int) -> None:
    made.SetInParent()
    for name, value in values.items():
        _fill(value, made.fields[name], levels - 1)
