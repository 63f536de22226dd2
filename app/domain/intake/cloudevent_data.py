"""Interpretation of the data of a CloudEvent by its event type.

It happens when the report is validated: the digest of a report is of the data as it was sent.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from app.domain.event_types.fields import AdditionalFields, FieldDefinition, FieldKind
from app.domain.events.cloudevents import JSON_MEDIA_TYPE
from app.domain.events.field_values import Keys
from app.domain.events.state import EventDraft
from app.domain.shared.limits import Limits
from app.domain.shared.messages import quote_value
from app.domain.shared.problems import Problem, UserErrorCode
from app.domain.shared.strict_json import STRICT_DECODER
from app.domain.shared.values import validate_json

# JSON in UTF-8. Other charsets are left as bytes.
_JSON_TYPE = re.compile(
    r"""[^;]*[/+]json\s*(;(?!\s*charset=).*|;\s*charset="?(utf-?8|us-ascii)"?\s*(;.*)?)?""", re.I
)


def decode_json(data: bytes, content_type: object) -> Any:
    """Decodes bytes. Raises ValueError if they are not declared as JSON, or not valid JSON."""
    if not isinstance(content_type, str) or not _JSON_TYPE.fullmatch(content_type):
        raise ValueError(content_type)
    try:
        return STRICT_DECODER.decode(data.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def decode_json_data(draft: EventDraft, limits: Limits) -> EventDraft:
    """Replaces base64 data that is declared as JSON with its value. Other bytes stay bytes."""
    payload = dict(draft.payload or {})
    if "data_base64" not in payload:
        return draft
    content_type = payload.get("datacontenttype")
    try:
        value = decode_json(base64.b64decode(payload.pop("data_base64")), content_type)
    except ValueError:
        return draft
    if content_type == JSON_MEDIA_TYPE:
        del payload["datacontenttype"]
    if isinstance(value, dict):
        return replace(draft, fields=value, payload=payload or None)
    if validate_json(value, limits, max_bytes=limits.data_bytes):
        return draft
    return replace(draft, payload={"data": value} | payload)


def read_source_keys(
    data: Mapping[str, Any],
    fields: Collection[FieldDefinition],
    additional_fields: AdditionalFields,
) -> tuple[dict[str, Any], dict[str, Keys]]:
    """Returns the data with the values of fields that have a source key under their names.

    Unless additional values are kept, a value that is read is not additional, so it is removed
    from its path. So is an object on a path that has no other value than null. Also returns, by
    field, the path that has its value or should have it.
    """
    names = {field.name for field in fields}
    source_keys = {field.name: field.source_key for field in fields if field.source_key}
    found = _find_source_keys(data, fields)
    values = {name: _get(data, keys) for name, keys in found.items()}
    keeps_others = additional_fields is AdditionalFields.KEEP
    rest = dict(data)
    for keys in found.values():
        # The property with the name of a field may be an object on the path of another one.
        if len(keys) > 1 if keys[0] in names else not keeps_others:
            rest = _remove(rest, keys)
    for source_key in source_keys.values():
        for name in _first_keys(source_key):
            if isinstance(rest.get(name), dict) and (name in names or not keeps_others):
                rest = rest if _has_value(rest[name]) else _remove(rest, (name,))
    paths = {
        name: found.get(name) or tuple(source_key.split("."))
        for name, source_key in source_keys.items()
        if name in found or name not in rest
    }
    return rest | values, paths


def find_replaced_properties(
    data: Mapping[str, Any], fields: Collection[FieldDefinition]
) -> list[Problem]:
    """Returns a warning for each property whose name a field has that is read from another path."""
    warnings = []
    unread = dict(data)
    source_keys = {field.name: field.source_key for field in fields}
    found = _find_source_keys(data, fields)
    for keys in found.values():
        unread = _remove(unread, keys)
    for name, keys in found.items():
        value, replaced = _get(data, keys), unread.get(name)
        if replaced != value and _has_value(replaced):
            message = (
                f"The property {quote_value(name)} of the data was dropped: the sourceKey of field "
                f"{quote_value(name)} is {quote_value(source_keys[name])}. To store both values, "
                "give the field a different name."
            )
            warnings.append(Problem(UserErrorCode.FIELD_UNKNOWN, message, ("fields", name)))
    return warnings


def _find_source_keys(
    data: Mapping[str, Any], fields: Collection[FieldDefinition]
) -> dict[str, Keys]:
    """Returns, by field, the keys that lead to the value at its source key."""
    found = {field.name: _find_keys(data, field.source_key or "") for field in fields}
    return {name: keys for name, keys in found.items() if keys is not None}


def find_set_paths(draft: EventDraft, fields: Iterable[FieldDefinition]) -> tuple[Keys, ...]:
    """Returns the keys of the lists in a report that are values of MULTI_SELECT fields."""
    data = draft.fields
    if not isinstance(data, dict):
        return ()
    reads_source_keys = draft.is_cloud_event and not draft.has_field_names
    paths = set()
    for field in fields:
        if field.kind is FieldKind.MULTI_SELECT:
            source_key = field.source_key if reads_source_keys else None
            keys = None if source_key is None else _find_keys(data, source_key)
            if keys is None:
                keys = (field.name,) if field.name in data else None
            if keys is not None and isinstance(_get(data, keys), list):
                paths.add(keys)
    return tuple(sorted(paths))


def locate_in_data(problem: Problem, paths: Mapping[str, Keys]) -> Problem:
    """Replaces the name of a field in the path of a problem with the path in the data."""
    match problem.path:
        case ("fields", name, *rest) if name in paths:
            return replace(problem, path=("fields", *paths[name], *rest))
    return problem


def _find_keys(value: Any, path: str) -> Keys | None:
    """Returns the keys that lead to the value at a path: of the keys with dots, the longest.

    Null is no value.
    """
    if not isinstance(value, dict):
        return None
    end = len(path)
    while end > 0:
        key, rest = path[:end], path[end + 1 :]
        if value.get(key) is not None:
            if not rest:
                return (key,)
            if (keys := _find_keys(value[key], rest)) is not None:
                return (key, *keys)
        end = path.rfind(".", 0, end)
    return None


def _first_keys(path: str) -> Iterator[str]:
    """Yields the names that a top-level property on the path can have."""
    end = path.find(".")
    while end >= 0:
        yield path[:end]
        end = path.find(".", end + 1)


def _has_value(value: Any) -> bool:
    """Whether a value is anything else than null, or an object without such a value."""
    waiting = [value]  # no recursion: the value may be nested too deeply to be stored
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.values()
        elif item is not None:
            return True
    return False


def _get(value: Any, keys: Keys) -> Any:
    for key in keys:
        value = value[key]
    return value


def _remove(value: dict[str, Any], keys: Keys) -> dict[str, Any]:
    """Returns a copy without the value at the keys, and without objects that become empty."""
    key, *rest = keys
    if key not in value:  # removed for another field
        return value
    remaining = _remove(value[key], tuple(rest)) if rest else None
    others = {name: item for name, item in value.items() if name != key}
    return others | {key: remaining} if remaining else others
