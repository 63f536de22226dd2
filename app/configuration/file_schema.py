"""The JSON Schema of configuration files, built from the inputs of the GraphQL schema.

A file uses the names, defaults and descriptions of the mutations that apply it, so that a new
attribute of the API is an attribute of the file, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLScalarType,
    Undefined,
    get_nullable_type,
    is_required_input_field,
)

from app.domain.event_types.definitions import DEFAULT_CATEGORY
from app.graphql.schema import build_schema

_ID = {
    "type": "string",
    "description": "ID of the object on the server. Only needed to change what otherwise "
    "identifies the object, or if another one has the same name.",
}
_EVENT_TYPE = {
    "type": "string",
    "description": "Type of the event type to whose events the rule is limited. If absent, the "
    "rule applies to all events of the organization. Cannot be changed later.",
}
_SCALARS: dict[str, dict[str, Any]] = {
    "Boolean": {"type": "boolean"},
    "DateTime": {"type": "string", "format": "date-time"},
    "Duration": {"type": "string"},
    "Float": {"type": "number"},
    "ID": {"type": "string"},
    "Int": {"type": "integer"},
    "JSON": {},
    "String": {"type": "string"},
}


@dataclass(frozen=True)
class Section:
    """A section of the file: a list of objects of one kind.

    `input_type`: the input with which an object is created. `key`: the attributes that together
    identify an object without ID. `removed`, `replaced`, `required`, `optional`: the differences
    between an object of the file and the input.
    """

    name: str
    noun: str
    input_type: str
    key: tuple[str, ...]
    description: str
    removed: tuple[str, ...] = ()
    replaced: tuple[tuple[str, dict[str, Any]], ...] = ()
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def definition_name(self) -> str:
        """The name of the schema of an object."""
        return self.noun.title().replace(" ", "")


EVENT_TYPES = Section(
    "eventTypes",
    "event type",
    "CreateEventTypeInput",
    ("type",),
    "Event types with their fields and conditional rules.",
    required=("type",),
    replaced=(
        (
            "type",
            {
                "type": "string",
                "description": "CloudEvents type of the events, which identifies the event type: "
                "one line, at most 255 characters by default, not ending with `*`.",
            },
        ),
        (
            "state",
            {
                "enum": ["DRAFT", "PUBLISHED", "DEPRECATED", "ARCHIVED"],
                "default": "PUBLISHED",
                "description": "State in the lifecycle. An event type that was published cannot "
                "become a DRAFT again. Default PUBLISHED.",
            },
        ),
        (
            "sunsetAt",
            {
                "type": "string",
                "format": "date-time",
                "description": "Time from which a DEPRECATED event type rejects new events. No "
                "time if absent.",
            },
        ),
    ),
)
GUARD_RULES = Section(
    "guardRules",
    "guard rule",
    "CreateGuardRuleInput",
    ("eventType", "name"),
    "Guard rules. A rule is identified by its event type and name.",
    removed=("eventTypeId",),
    replaced=(
        ("eventType", _EVENT_TYPE),
        (
            "published",
            {
                "type": "boolean",
                "default": True,
                "description": "Whether the rule is in effect. A rule that is not in effect is a "
                "draft or retired. Default true.",
            },
        ),
    ),
)
DUPLICATION_RULES = Section(
    "duplicationRules",
    "duplication rule",
    "CreateDuplicationRuleInput",
    ("eventType", "name"),
    "Duplication rules, in the order in which they are tried. Rules that the file does not contain "
    "come after them. A rule is identified by its event type and name.",
    removed=("eventTypeId", "position"),
    replaced=(("eventType", _EVENT_TYPE),),
)
RETENTION_POLICIES = Section(
    "retentionPolicies",
    "retention policy",
    "CreateRetentionPolicyInput",
    ("target", "name"),
    "Retention policies. A policy is identified by its target and name.",
)
SILENCES = Section(
    "silences",
    "silence",
    "CreateSilenceInput",
    ("startsAt", "filter"),
    "Silences. A silence is identified by its start and filter. One whose end has passed is ended, "
    "and not created.",
    required=("startsAt",),
    replaced=(
        (
            "startsAt",
            {
                "type": "string",
                "format": "date-time",
                "description": "Time from which notifications are suppressed, which may have "
                "passed. Cannot be changed later.",
            },
        ),
        (
            "endsAt",
            {
                "type": "string",
                "format": "date-time",
                "description": "Time at which the silence is over: at most 90 days after the start "
                "by default.",
            },
        ),
    ),
)
SOURCES = Section(
    "sources",
    "source",
    "CreateSourceInput",
    ("kind", "name"),
    "Sources. A source is identified by its kind and name. The server creates its token.",
)
CHANNELS = Section(
    "channels",
    "channel",
    "CreateChannelInput",
    ("kind", "name"),
    "Channels. A channel is identified by its kind and name. The server creates its signing "
    "secret.",
    optional=("url",),
    replaced=(
        (
            "url",
            {
                "type": "string",
                "description": "Address, or a reference to it: `env:NAME`, the value of an "
                "environment variable, or `file:PATH`, the content of a file. If absent, the "
                "address and the headers of an existing channel are not changed.",
            },
        ),
        (
            "headers",
            {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "default": {},
                "description": "Additional request headers: names, and values or references to "
                "them, as in `url`. Requires `url`. Default none.",
            },
        ),
    ),
)
SECTIONS = (
    EVENT_TYPES,
    GUARD_RULES,
    DUPLICATION_RULES,
    RETENTION_POLICIES,
    SILENCES,
    SOURCES,
    CHANNELS,
)

_ORGANIZATION = {
    "type": "object",
    "description": "The organization that the file configures.",
    "additionalProperties": False,
    "properties": {
        "key": {
            "type": "string",
            "description": "Key of the organization. An organization that does not exist is "
            "created, which requires a credential that gives access to all organizations and a "
            "`name`. If absent, the organization of the credential or of the option "
            "`--organization` is configured.",
        },
        "name": {
            "type": "string",
            "description": "Display name of the organization: one line, at most 255 characters by "
            "default. If absent, the name is not changed.",
        },
    },
}
# Defaults of attributes that the API documents, but whose default is null in the schema.
_DEFAULTS = {
    ("CreateEventTypeInput", "category"): DEFAULT_CATEGORY,
    ("CreateEventTypeInput", "fields"): [],
    ("CreateEventTypeInput", "conditionalRules"): [],
    ("EventFieldInput", "required"): False,
}


@cache
def graphql_types() -> dict[str, Any]:
    return dict(build_schema().graphql_schema.type_map)


@cache
def build_file_schema() -> dict[str, Any]:
    """Returns the JSON Schema (draft 2020-12) of configuration files."""
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {
        "$schema": {"type": "string", "description": "Address of this JSON Schema, for editors."},
        "organization": _ORGANIZATION,
    }
    for section in SECTIONS:
        item = _build_object(graphql_types()[section.input_type], definitions)
        attributes = {"id": _ID} | item["properties"] | dict(section.replaced)
        names = dict.fromkeys(("id", *section.key, *attributes))
        item["properties"] = {
            name: attributes[name] for name in names if name not in section.removed
        }
        required = dict.fromkeys((*section.required, *item["required"]))
        item["required"] = [name for name in required if name not in section.optional]
        definitions[section.definition_name] = item
        reference = {"$ref": f"#/$defs/{section.definition_name}"}
        properties[section.name] = {
            "type": "array",
            "items": reference,
            "description": f"{section.description} A file without this section does not manage "
            "them.",
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of a Tocsin organization",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": definitions,
    }


def _build_object(type_: GraphQLInputObjectType, definitions: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: _build_property(type_, name, field, definitions)
            for name, field in type_.fields.items()
        },
        "required": [
            name for name, field in type_.fields.items() if is_required_input_field(field)
        ],
    }
    if type_.is_one_of:
        schema |= {"minProperties": 1, "maxProperties": 1}
    return schema


def _build_property(
    owner: GraphQLInputObjectType,
    name: str,
    field: GraphQLInputField,
    definitions: dict[str, Any],
) -> dict[str, Any]:
    schema = _build_type(field.type, definitions)
    # JSON Schema has no null: an attribute without a value is absent.
    description = re.sub(r"\bNull\b", "Absent", field.description or "")
    schema = schema | {"description": description}
    default = _DEFAULTS.get((owner.name, name), field.default_value)
    if default is not Undefined and default is not None:
        schema["default"] = _to_json_default(default)
    return schema


def _to_json_default(default: Any) -> Any:
    if isinstance(default, list):
        return [_to_json_default(each) for each in default]
    return getattr(default, "name", default)


def _build_type(type_: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    match get_nullable_type(type_):
        case GraphQLList(of_type=item_type):
            return {"type": "array", "items": _build_type(item_type, definitions)}
        case GraphQLEnumType() as enum:
            return {"enum": list(enum.values)}
        case GraphQLScalarType(name=name):
            return dict(_SCALARS[name])
        case GraphQLInputObjectType(name=name) as object_type:
            if name not in definitions:
                definitions[name] = {}  # before its attributes, which may be of this type
                definitions[name] = _build_object(object_type, definitions)
            return {"$ref": f"#/$defs/{name}"}
    raise TypeError(type_)


def simplify(value: Any, definition_name: str) -> Any:
    """Returns an object of the file without attributes that have their default value.

    Attributes are in the order of the schema. An integer has no fraction.
    """
    simplified = _simplify_value(value, {"$ref": f"#/$defs/{definition_name}"})
    for field in simplified.get("fields", ()) if definition_name == "EventType" else ():
        _simplify_field(field)
    return simplified


def _simplify_value(value: Any, schema: dict[str, Any]) -> Any:
    if reference := schema.get("$ref"):
        schema = build_file_schema()["$defs"][reference.rpartition("/")[2]]
    match value:
        case dict() if "properties" in schema:
            properties = schema["properties"]
            return {
                name: _simplify_value(value[name], properties[name])
                for name in properties
                if name in value and not _is_default(value[name], properties[name])
            }
        case list():
            return [_simplify_value(item, schema.get("items", {})) for item in value]
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
    return value


def _is_default(value: Any, schema: dict[str, Any]) -> bool:
    return value is None or ("default" in schema and value == schema["default"])


def _simplify_field(field: dict[str, Any]) -> None:
    """Removes labels that are equal to what they are the label of."""
    if field.get("label") == field["name"]:
        del field["label"]
    for choice in (choices := field.get("choices", [])):
        if choice.get("label") == choice["value"]:
            del choice["label"]
    if choices and all("label" not in choice for choice in choices):
        field["options"] = [choice["value"] for choice in field.pop("choices")]
