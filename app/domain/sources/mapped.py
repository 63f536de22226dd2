"""JSON payloads of any format, read by the expressions of a mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.domain.events.state import Entity, EventDraft
from app.domain.rules.expression_messages import MAX_DEPTH
from app.domain.rules.expressions import (
    MappingContext,
    MappingError,
    MappingExpression,
    compile_mapping_expression,
)
from app.domain.shared.limits import Limits
from app.domain.shared.masking import may_be_credential
from app.domain.shared.messages import quote_value
from app.domain.shared.problems import invalid_input
from app.domain.shared.values import parse_instant, to_camel_case, validate_json
from app.domain.sources.reports import (
    ParsedPayload,
    SourceReport,
    limit_time,
    mark_as_state,
    validate_count,
)
from app.domain.sources.sources import SourceMapping


def map_payload(
    mapping: SourceMapping, value: Any, headers: Mapping[str, str], now: datetime, limits: Limits
) -> ParsedPayload:
    """Maps a payload: each element of an array, or the whole value, to a report."""
    visible = {name: text for name, text in headers.items() if not may_be_credential(name)}
    if not isinstance(value, list):
        return ParsedPayload((_map_item(mapping, value, (), visible, now, limits),))
    validate_count(value, limits)
    reports = (
        _map_item(mapping, item, (str(index),), visible, now, limits)
        for index, item in enumerate(value)
    )
    return ParsedPayload(tuple(reports))


def _map_item(
    mapping: SourceMapping,
    item: Any,
    path: tuple[str, ...],
    headers: Mapping[str, str],
    now: datetime,
    limits: Limits,
) -> SourceReport:
    depth = min(limits.fields_depth, MAX_DEPTH)
    problems = validate_json(item, replace(limits, fields_depth=depth), "body", *path)
    if problems:
        return problems
    context = MappingContext(item, headers)
    values: dict[str, Any] = {}
    for name, text in mapping.expressions():
        place = ("mapping", to_camel_case(name))
        compiled = compile_mapping_expression(text, limits)
        if not isinstance(compiled, MappingExpression):
            problems += [each.prepend_path(*place) for each in compiled]
            continue
        try:
            value = context.evaluate(compiled)
        except MappingError as error:
            message = f"The expression has no value: {error}"
            problems.append(invalid_input(message, *place))
            continue
        if value is None:
            continue
        reader, expected = _READERS.get(name, _TEXT_READER)
        if (converted := reader(value)) is None:
            message = f"The value of the expression must be {expected}, or null."
            problems.append(invalid_input(message, *place))
        else:
            values[name] = converted
    if "summary" not in values and not problems and not values.get("resolved"):
        message = "summary is null: every event needs a summary."
        problems.append(invalid_input(message, "mapping", "summary"))
    occurred_at = parse_instant(values.get("occurred_at", ""))
    if "occurred_at" in values and occurred_at is None:
        message = (
            f"Invalid time {quote_value(values['occurred_at'])}: expected an RFC 3339 timestamp, "
            "or the result of timestamp()."
        )
        problems.append(invalid_input(message, "mapping", "occurredAt"))
    if problems:
        return problems
    return _build_draft(values, occurred_at, now)


def _build_draft(values: dict[str, Any], occurred_at: datetime | None, now: datetime) -> EventDraft:
    entity_type, entity_id = values.get("entity_type"), values.get("entity_id")
    has_entity = entity_type is not None and entity_id is not None
    is_resolved = bool(values.get("resolved"))
    draft = EventDraft(
        type=values.get("type"),
        entity=Entity(str(entity_type), str(entity_id)) if has_entity else None,
        severity=values.get("severity"),
        summary=values.get("summary"),
        content=values.get("content"),
        source_id=values.get("source_id"),
        occurred_at=occurred_at,
        fields=values.get("fields"),
        tags=values.get("tags"),
        notification=values.get("notification"),
        acknowledged=values.get("acknowledged"),
        alert_key=values.get("alert_key"),
        resolved=is_resolved or None,
    )
    is_state = draft.alert_key is not None and not is_resolved
    return mark_as_state(draft, now) if is_state else limit_time(draft, now)


def _read_text(value: Any) -> str | None:
    """Returns a string, or a number as a string: many systems have numbers as IDs."""
    is_text = isinstance(value, str | int | float) and not isinstance(value, bool)
    return str(value) if is_text else None


def _read_flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _read_tags(value: Any) -> tuple[str, ...] | None:
    is_list = isinstance(value, list) and all(isinstance(tag, str) for tag in value)
    return tuple(value) if is_list else None


def _read_fields(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


_TEXT_READER: tuple[Callable[[Any], Any], str] = (_read_text, "a string or a number")
_READERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    **dict.fromkeys(("resolved", "acknowledged", "notification"), (_read_flag, "true or false")),
    "tags": (_read_tags, "a list of strings"),
    "fields": (_read_fields, "a JSON object"),
}
