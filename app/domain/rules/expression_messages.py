"""Events and JSON values as protobuf messages for CEL, including the fields of an event type.

Strings, numbers and booleans are wrapper messages, so that absent ones are null. CEL would read an
absent Timestamp as 1970. Therefore expressions are checked against Timestamp and run on Any, which
contains a Timestamp or null.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
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

from app.domain.event_types.fields import NUMERIC_KINDS, FieldDefinition, FieldKind
from app.domain.events.state import EventState, Use, attributes_with
from app.domain.shared.values import parse_instant

EVENT_MESSAGE, ENTITY_MESSAGE, FIELDS_MESSAGE = "tocsin.Event", "tocsin.Entity", "tocsin.Fields"
MAPPED_VALUE_MESSAGE = "tocsin.MappedValue"
# protobuf supports at most 100 nested messages, and a nested object takes three.
MAX_DEPTH = 30

_STRING, _NUMBER, _BOOLEAN = "StringValue", "DoubleValue", "BoolValue"
_INSTANT, _STRING_LIST, _OBJECT = "Timestamp", "texts", "Struct"
_KINDS = {str: _STRING, bool: _BOOLEAN, datetime: _INSTANT, tuple: _STRING_LIST}
_ENTITY = {"type": _STRING, "id": _STRING}
EVENT_ATTRIBUTES = {
    attribute.name: _STRING if issubclass(attribute.type, Enum) else _KINDS[attribute.type]
    for attribute in attributes_with(Use.EXPRESSION)
}
TypeFields = tuple[FieldDefinition, ...] | None


class EventMessages:
    """The message types for the fields of one event type.

    `checker_pool` describes them for the type check, `runtime_pool` for evaluation.
    """

    def __init__(self, type_fields: TypeFields) -> None:
        self._kinds = {field.name: _message_kind(field) for field in type_fields or ()}
        self._is_untyped = type_fields is None
        self.checker_pool = _build_pool(self._kinds, self._is_untyped, _INSTANT)
        self.runtime_pool = _build_pool(self._kinds, self._is_untyped, "Any")
        self._class = GetMessageClass(self.runtime_pool.FindMessageTypeByName(EVENT_MESSAGE))

    def build_message(self, event: EventState) -> Any:
        """Builds the message of an event. Values that lack the type of their field are left out."""
        message = self._class()
        for name, kind in EVENT_ATTRIBUTES.items():
            _set_value(message, name, kind, _attribute_value(event, name))
        if event.entity is not None:
            message.entity.type.value, message.entity.id.value = event.entity.type, event.entity.id
        if self._is_untyped:
            _copy_object(message.fields, event.fields, MAX_DEPTH)
        for name, kind in self._kinds.items():
            value = event.fields.get(name)
            _set_value(message.fields, name, kind, value if _has_kind(kind, value) else None)
        return message

    def find_path(self, name: str) -> str | None:
        """Returns the path of an attribute or a custom field in expressions.

        Without an event type, events may have any fields. None if there is none with the name.
        """
        if name in EVENT_ATTRIBUTES or name == "entity":
            return f"event.{name}"
        return f"event.fields.{name}" if self._is_untyped or name in self._kinds else None

    def is_instant(self, message_type: str, name: str) -> bool:
        """Whether the attribute of an event, or the field of kind DATETIME, is an instant."""
        kinds = {EVENT_MESSAGE: EVENT_ATTRIBUTES, FIELDS_MESSAGE: self._kinds}
        return kinds.get(message_type, {}).get(name) == _INSTANT


def build_mapping_pool() -> DescriptorPool:
    """Describes the message that contains the value of an expression of a mapping."""
    file = FileDescriptorProto(name="tocsin_mapping.proto", package="tocsin", syntax="proto3")
    file.dependency.append(STRUCT.name)
    pool = DescriptorPool()
    pool.AddSerializedFile(STRUCT.serialized_pb)
    _add_fields(file.message_type.add(name="MappedValue"), {"value": "Value"}, _INSTANT)
    pool.Add(file)
    return pool


def build_json_message(value: Any) -> Value:
    """Returns a JSON value as a message. Values nested deeper than MAX_DEPTH become null."""
    message = Value()
    _copy_value(value, message, MAX_DEPTH)
    return message


def read_mapped_value(message: Any) -> Any:
    """Returns the JSON value in the result of an expression. None if it is absent."""
    return _read_value(message.value)


def _read_value(message: Any) -> Any:
    match message.WhichOneof("kind"):
        case "bool_value":
            return message.bool_value
        case "string_value":
            return message.string_value
        case "number_value":
            number = message.number_value
            return int(number) if number.is_integer() and abs(number) < _EXACT_NUMBERS else number
        case "list_value":
            return [_read_value(item) for item in message.list_value.values]
        case "struct_value":
            return {name: _read_value(item) for name, item in message.struct_value.fields.items()}
    return None


_EXACT_NUMBERS = 2**53  # below it, every integer is a double


def to_timestamp(instant: datetime) -> Timestamp:
    """Converts an instant to a protobuf Timestamp."""
    timestamp = Timestamp()
    timestamp.FromDatetime(instant)
    return timestamp


def _message_kind(field: FieldDefinition) -> str:
    if field.kind in NUMERIC_KINDS:
        return _NUMBER
    return {
        FieldKind.BOOLEAN: _BOOLEAN,
        FieldKind.DATETIME: _INSTANT,
        FieldKind.MULTI_SELECT: _STRING_LIST,
    }.get(field.kind, _STRING)


def have_same_type(left: FieldDefinition, right: FieldDefinition) -> bool:
    """Whether expressions see the fields as the same type."""
    return _message_kind(left) == _message_kind(right)


def _build_pool(kinds: Mapping[str, str], is_untyped: bool, instant: str) -> DescriptorPool:
    file = FileDescriptorProto(name="tocsin.proto", package="tocsin", syntax="proto3")
    pool = DescriptorPool()
    for imported in (ANY, STRUCT, TIMESTAMP, WRAPPERS):
        pool.AddSerializedFile(imported.serialized_pb)
        file.dependency.append(imported.name)
    _add_fields(file.message_type.add(name="Entity"), _ENTITY, instant)
    event = file.message_type.add(name="Event")
    _add_fields(
        event,
        EVENT_ATTRIBUTES
        | {"entity": ENTITY_MESSAGE, "fields": _OBJECT if is_untyped else FIELDS_MESSAGE},
        instant,
    )
    if not is_untyped:
        _add_fields(file.message_type.add(name="Fields"), kinds, instant)
    pool.Add(file)
    return pool


def _add_fields(message: DescriptorProto, kinds: Mapping[str, str], instant: str) -> None:
    # Otherwise a_b and a__b, which have the same JSON name, could not be in one message.
    message.options.deprecated_legacy_json_field_conflicts = True
    for number, (name, kind) in enumerate(kinds.items(), 1):
        kind = instant if kind == _INSTANT else kind
        field = message.field.add(name=name, number=number)
        field.label = FieldDescriptorProto.LABEL_OPTIONAL
        if kind == _STRING_LIST:
            field.type = FieldDescriptorProto.TYPE_STRING
            field.label = FieldDescriptorProto.LABEL_REPEATED
        else:
            field.type = FieldDescriptorProto.TYPE_MESSAGE
            field.type_name = f".{kind}" if "." in kind else f".google.protobuf.{kind}"


def _attribute_value(event: EventState, name: str) -> Any:
    value = getattr(event, name)
    return value.value if isinstance(value, Enum) else value


def _has_kind(kind: str, value: Any) -> bool:
    match kind:
        case "DoubleValue":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "BoolValue":
            return isinstance(value, bool)
        case "texts":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        case _:
            return isinstance(value, str)


def _set_value(message: Any, name: str, kind: str, value: Any) -> None:
    target = getattr(message, name)
    if kind == _STRING_LIST:
        target.extend(value or ())
    elif kind == _INSTANT:
        instant = parse_instant(value) if isinstance(value, str) else value
        target.Pack(_NULL if instant is None else to_timestamp(instant))
    elif value is not None:
        target.SetInParent()  # otherwise 0, "" and false would be absent
        target.value = value


_NULL = Value(null_value=0)


def _copy_value(value: Any, message: Any, levels: int) -> None:
    """Copies a JSON value into a message. Values nested too deeply become null."""
    match value:
        case bool():
            message.bool_value = value
        case int() | float():
            message.number_value = value
        case str():
            message.string_value = value
        case list() if levels:
            message.list_value.SetInParent()
            for item in value:
                _copy_value(item, message.list_value.values.add(), levels - 1)
        case dict() if levels:
            message.struct_value.SetInParent()
            _copy_object(message.struct_value, value, levels)
        case _:
            message.null_value = 0


def _copy_object(message: Any, values: Mapping[str, Any], levels: int) -> None:
    message.SetInParent()
    for name, value in values.items():
        _copy_value(value, message.fields[name], levels - 1)
