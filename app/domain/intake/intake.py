"""Validation of reports and updates of events. The result is the event, or its problems.

Every API creates an `EventDraft`. Validation does not depend on the API, and stores nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any
from uuid import UUID

from app.domain.access.caller import Caller
from app.domain.event_types.conditions import ConditionalRule
from app.domain.event_types.fields import (
    AdditionalFields,
    FieldDefinition,
    FieldKind,
    set_field_names,
)
from app.domain.event_types.json_schema import fraction_message, validate_values
from app.domain.event_types.lifecycle import (
    EventTypeState,
    deprecation_warnings,
    validate_accepts_events,
)
from app.domain.event_types.visibility import ResolvedFields, resolve_fields
from app.domain.events.attributes import validate_attributes
from app.domain.events.cloudevents import TYPE_VERSION
from app.domain.events.predicates import MAX_INDEXED_FIELDS
from app.domain.events.severity import Severity, SeverityMap, lookup_severity
from app.domain.events.state import (
    DEFAULT_TYPE,
    RESOLUTION_ATTRIBUTES,
    AlertKey,
    EventDraft,
    EventState,
    Use,
    attributes_with,
)
from app.domain.intake.cloudevent_data import (
    decode_json_data,
    find_replaced_properties,
    locate_in_data,
    read_source_keys,
)
from app.domain.rules.guards import Guard, GuardEnforcement, find_violations
from app.domain.shared.exact_decimals import (
    ExactDecimal,
    convert_integers,
    find_exact_decimals,
    has_exact_decimals,
    round_decimals,
)
from app.domain.shared.frozen import create_frozen
from app.domain.shared.limits import Limits
from app.domain.shared.messages import format_count, null_message, quote_value
from app.domain.shared.problems import Problem, UserErrorCode, invalid_input
from app.domain.shared.values import (
    replace_unstorable,
    validate_json,
    validate_json_object,
    validate_text,
)

_MAX_DROPPED_WARNINGS = 100
_MAX_ROUNDING_WARNINGS = 100
_CONVERTED_ATTRIBUTES = frozenset(
    ("type", "severity", "summary", "source", "occurred_at", "fields", "tags", "notification")
)
# Attributes that an event gets from its draft unchanged. mypy does not check their types, so
# `tests/domain/test_attribute_types.py` compares those of `EventDraft` and `EventState`.
COPIED_ATTRIBUTES = tuple(
    attribute.name
    for attribute in attributes_with(Use.REPORTED)
    if attribute.name not in _CONVERTED_ATTRIBUTES
)


@dataclass(frozen=True)
class EventTypeSnapshot:
    """One version of an event type, with everything that validation needs.

    `guards` are the published guard rules of the type, which do not depend on the version.
    """

    id: UUID
    type: str
    name: str
    category: str
    state: EventTypeState
    version: int
    fields: tuple[FieldDefinition, ...]
    rules: tuple[ConditionalRule, ...] = ()
    additional_fields: AdditionalFields = AdditionalFields.REFUSE
    sunset_at: datetime | None = None
    guards: tuple[Guard, ...] = ()

    @cached_property
    def has_source_keys(self) -> bool:
        return any(field.source_key for field in self.fields)

    @cached_property
    def set_fields(self) -> frozenset[str]:
        return set_field_names(self.fields)


@dataclass(frozen=True)
class Accepted:
    event: EventState
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Rejected:
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Resolution:
    """A report that what the unresolved event of an alert key reports was over at a time.

    `reported_at`: the time by the clock of the sender, which may be ahead; None if there was none.
    `at` is at most the time at which the report arrived.
    """

    key: AlertKey
    at: datetime
    note: str | None
    reported_at: datetime | None = None


ValidationResult = Accepted | Rejected | Resolution


@dataclass(frozen=True)
class CommandContext:
    """The context of a command: its actor, the current time and the limits.

    `guards` are the published guard rules that apply to all event types of the organization.
    `is_internal`: Tocsin itself reports an event, which no definition of the organization rejects.
    """

    actor: Caller
    now: datetime
    limits: Limits = field(default_factory=Limits)
    guards: tuple[Guard, ...] = ()
    severity_map: SeverityMap = field(default_factory=dict)
    is_internal: bool = False


def validate_report(
    draft: EventDraft, event_type: EventTypeSnapshot | None, command: CommandContext, event_id: UUID
) -> Accepted | Rejected:
    """Validates a report. `event_type` is None if its type is not registered."""
    source_paths: dict[str, tuple[str, ...]] = {}
    replaced: list[Problem] = []
    if draft.is_cloud_event:
        draft = decode_json_data(draft, command.limits)
        if (
            event_type is not None
            and event_type.has_source_keys
            and isinstance(draft.fields, dict)
            and not draft.has_field_names
        ):
            replaced = find_replaced_properties(draft.fields, event_type.fields)
            fields, source_paths = read_source_keys(
                draft.fields, event_type.fields, event_type.additional_fields
            )
            draft = replace(draft, fields=fields)
    if event_type is not None and has_opaque_data(draft.payload):
        type_name = quote_value(event_type.type)
        message = f"Event type {type_name} is registered, so data must be a JSON object."
        result = _FieldsResult({}, [invalid_input(message, "payload")])
    else:
        fields = {} if draft.fields is None else draft.fields
        defaults = None
        if draft.type_version is not None:
            defaults = _find_missing_defaults(fields, event_type)
        result = _validate_fields(fields, event_type, command, defaults)
    problems = validate_attributes(vars(draft), command.limits, command.now)
    level = draft.severity_level
    is_defined_by_text = level is None and draft.severity_text is None
    reported_severity = draft.severity if is_defined_by_text else draft.severity_text
    severity = _resolve_severity(reported_severity, command, level)
    result.warnings += severity.warnings
    if not problems:
        event = _build_event(draft, event_type, result.values, command, event_id, severity)
        _apply_guards(event, None, event_type, command, result)
    problems += result.problems
    warnings = result.warnings
    if event_type is not None:
        argument = "type" if draft.event_type_id is None else "eventTypeId"
        problems += validate_accepts_events(
            event_type.type, event_type.state, argument, event_type.sunset_at, command.now
        )
        warnings += deprecation_warnings(
            event_type.type, event_type.state, argument, event_type.sunset_at
        )
        if draft.type not in (None, event_type.type):
            message = (
                f"type is {quote_value(draft.type)}, but eventTypeId identifies event type "
                f"{quote_value(event_type.type)}. Omit one of them."
            )
            problems.append(invalid_input(message, "type"))
    if source_paths:
        problems = [locate_in_data(problem, source_paths) for problem in problems]
        warnings = [locate_in_data(warning, source_paths) for warning in warnings]
    if problems:
        return Rejected(tuple(problems))
    return Accepted(event, (*warnings, *replaced, *_index_warnings(event)))


def validate_resolution(draft: EventDraft, command: CommandContext) -> Resolution | Rejected:
    """Validates a report with `resolved`: only the attributes that it uses, without any rules.

    A recovery has no fields, and an event type that is closed must not keep an alarm open.
    """
    used = {name: getattr(draft, name) for name in RESOLUTION_ATTRIBUTES if name != "summary"}
    problems = validate_attributes(used, command.limits, command.now)
    problems += validate_text(draft.summary, command.limits.note_characters, "summary")
    if draft.alert_key is None:
        message = (
            "resolved: true needs an alertKey: the one of the event that is over. To resolve an "
            "event by its ID, use resolveEvent."
        )
        problems.append(invalid_input(message, "alertKey"))
    if problems or draft.alert_key is None:
        return Rejected(tuple(problems))
    source = draft.source if draft.source is not None else command.actor.source
    at = min(draft.occurred_at or command.now, command.now)  # the clock of a source may be ahead
    key = AlertKey(source, draft.alert_key)
    return Resolution(key, at, draft.summary, find_reported_time(draft))


def find_reported_time(draft: EventDraft) -> datetime | None:
    """Returns the time of a report by the clock of its sender. None if it has none.

    Reports of an occurrence, which are recognized by its start, have that of the server instead if
    the clock of their sender is ahead: those that follow when it is right again would be earlier.
    """
    return draft.occurred_at if draft.started_at is not None else draft.sent_at or draft.occurred_at


def validate_update(
    event: EventState,
    changes: Mapping[str, Any],
    event_type: EventTypeSnapshot | None,
    command: CommandContext,
    newer_type: EventTypeSnapshot | None = None,
) -> Accepted | Rejected:
    """Validates an update. `changes` are new values by attribute; None clears an optional one.

    `event_type` is at the version of the event, `newer_type` at the one that the event is moved to.
    """
    problems = [
        invalid_input(null_message(attribute.api_name), attribute.api_name)
        for attribute in attributes_with(Use.UPDATABLE)
        if Use.NULLABLE not in attribute.uses and changes.get(attribute.name, attribute) is None
    ]
    problems += validate_attributes(changes, command.limits, command.now)
    result = _FieldsResult(event.fields)
    target_type = newer_type or event_type
    if "fields" in changes or newer_type is not None:
        changed_fields = changes.get("fields", {})
        merged = _merge_fields(event.fields, changed_fields)
        appearing = _find_appearing_fields(event.fields, changed_fields, event_type, target_type)
        result = _validate_fields(merged, target_type, command, appearing)
    if event_type is not None and newer_type is not None and isinstance(changed_fields, dict):
        result.problems = [
            replace(
                problem, message=_removed_field_message(problem.path[1], event_type, newer_type)
            )
            if problem.code is UserErrorCode.FIELD_UNKNOWN and problem.path[1] not in changed_fields
            else problem
            for problem in result.problems
        ]
    if problems:
        return Rejected((*problems, *result.problems))
    attributes = dict(changes) | {"fields": result.values}
    if newer_type is not None:
        attributes["category"] = newer_type.category
    if "severity" in changes:
        severity = _resolve_severity(changes["severity"], command)
        attributes |= {"severity": severity.severity, "severity_text": severity.text}
        result.warnings += severity.warnings
    if "tags" in changes:
        attributes["tags"] = _remove_repeated(changes["tags"] or ())
    if "summary" in changes:
        attributes["summary_given"] = True
    if result.values and has_opaque_data(event.payload):
        attributes["payload"] = None  # replaced by the fields
    revised = replace(event, **attributes, updated_at=command.now, version=event.version + 1)
    _apply_guards(revised, event, target_type, command, result)
    if result.problems:
        return Rejected(tuple(result.problems))
    warnings = result.warnings + (_index_warnings(revised) if "fields" in changes else [])
    return Accepted(revised, tuple(warnings))


def _index_warnings(event: EventState) -> list[Problem]:
    if event.field_index.is_complete:
        return []
    message = (
        f"fields has more than {MAX_INDEXED_FIELDS:,} names, including those in nested objects. "
        f"All values are stored, but filters find only the first {MAX_INDEXED_FIELDS:,} names: "
        "those with the fewest levels, and of these the first in alphabetical order. Send fewer."
    )
    return [invalid_input(message, "fields")]


def has_opaque_data(payload: Mapping[str, Any] | None) -> bool:
    """Whether the payload contains data that is not in `fields`, and not only metadata."""
    return payload is not None and not {"data", "data_base64"}.isdisjoint(payload)


@dataclass(frozen=True)
class _SeverityResult:
    """The severity of an event, and the text that was reported."""

    severity: Severity
    text: str | None
    warnings: tuple[Problem, ...] = ()


def _resolve_severity(
    text: str | None, command: CommandContext, level: Severity | None = None
) -> _SeverityResult:
    """Looks up a severity, unless `level` is known: INFO with a warning if the text is unknown.

    Blank means absent.
    """
    if text is None or not text.strip():
        return _SeverityResult(level or Severity.INFO, None)
    # Cut, not rejected: an alarm must not be lost because of its severity.
    stored_text = replace_unstorable(text[: command.limits.name_characters])
    severity = level or lookup_severity(text, command.severity_map)
    if severity is not None:
        return _SeverityResult(severity, stored_text)
    message = (
        f"Unknown severity {quote_value(text)}: the severity INFO is used instead. Send error, "
        "warn, info or success, or add the word to TOCSIN_SEVERITY_MAP."
    )
    warning = Problem(UserErrorCode.SEVERITY_UNKNOWN, message, ("severity",))
    return _SeverityResult(Severity.INFO, stored_text, (warning,))


@dataclass
class _FieldsResult:
    """Fields as they would be stored, with their problems and warnings."""

    values: Any
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def _validate_fields(
    values: Any,
    event_type: EventTypeSnapshot | None,
    command: CommandContext,
    defaults: Collection[str] | None = None,
) -> _FieldsResult:
    """Resolves and validates fields. `defaults` names the fields whose default may be applied."""
    if event_type is None or not isinstance(values, dict):
        return _FieldsResult(values, validate_json_object(values, command.limits, "fields"))
    warnings: list[Problem] = []
    if event_type.additional_fields is AdditionalFields.DROP:
        values, warnings = _drop_additional_fields(values, event_type)
    resolved = resolve_fields(event_type.fields, event_type.rules, values, defaults)
    fractions: list[Problem] = []
    if has_exact_decimals(resolved.values):
        exact_values = convert_integers(resolved.values)
        fractions = _find_fractions(exact_values, event_type)
        warnings += _rounding_warnings(exact_values, {problem.path for problem in fractions})
        resolved = replace(resolved, values=round_decimals(exact_values))
    problems = validate_json_object(resolved.values, command.limits, "fields")
    storable = resolved.values
    if problems:  # storable values are also validated by the type, to report all problems
        storable = {
            name: value
            for name, value in storable.items()
            if not validate_json_object({name: value}, command.limits)
        }
    unstorable_names = resolved.values.keys() - storable.keys()
    type_problems = validate_values(
        event_type.fields, storable, event_type.rules, event_type.additional_fields
    )
    problems += [
        problem.prepend_path("fields")
        for problem in type_problems
        if problem.path[0] not in unstorable_names and _is_reported(problem, resolved)
    ]
    warnings += [warning.prepend_path("fields") for warning in resolved.warnings]
    return _FieldsResult(resolved.values, fractions + problems, warnings)


def _find_fractions(values: Mapping[str, Any], event_type: EventTypeSnapshot) -> list[Problem]:
    """Returns a problem for each INTEGER field whose value is an integer only as a double."""
    return [
        Problem(UserErrorCode.FIELD_INVALID, fraction_message(value), ("fields", field.name))
        for field in event_type.fields
        if field.kind is FieldKind.INTEGER
        and isinstance(value := values.get(field.name), ExactDecimal)
        and float(value).is_integer()
    ]


def _rounding_warnings(
    values: Mapping[str, Any], invalid_paths: Collection[tuple[str, ...]]
) -> list[Problem]:
    """Returns warnings about the numbers that lose digits, without those that are invalid."""
    decimals = find_exact_decimals(values, "fields")
    lossy = ((path, number) for path, number in decimals if path not in invalid_paths)
    rounded = list(islice(lossy, _MAX_ROUNDING_WARNINGS))
    return [
        Problem(
            UserErrorCode.FIELD_INVALID,
            f"The number {number.digits[:100]} has more digits than a double-precision number can "
            f"hold (about 16): {quote_value(float(number))} is stored instead. To keep all digits, "
            "send the number as a string in a field of kind TEXT.",
            tuple(map(replace_unstorable, path)),
        )
        for path, number in rounded
    ]


def _drop_additional_fields(
    values: Mapping[str, Any], event_type: EventTypeSnapshot
) -> tuple[dict[str, Any], list[Problem]]:
    """Returns the values of the fields that the event type has, and warnings about the others."""
    defined = {field.name for field in event_type.fields}
    dropped = [name for name, value in values.items() if value is not None and name not in defined]
    warnings = [
        _dropped_warning(f"Field {quote_value(name)} was dropped", replace_unstorable(name))
        for name in dropped[:_MAX_DROPPED_WARNINGS]
    ]
    if (more := len(dropped) - len(warnings)) > 0:
        verb = "was" if more == 1 else "were"
        warnings.append(_dropped_warning(f"{format_count(more, 'more field')} {verb} dropped"))
    return {name: value for name, value in values.items() if name in defined}, warnings


def _dropped_warning(subject: str, *path: str) -> Problem:
    message = f"{subject}: the event type has no such field."
    return Problem(UserErrorCode.FIELD_UNKNOWN, message, ("fields", *path))


def _is_reported(problem: Problem, resolved: ResolvedFields) -> bool:
    """Whether the problem remains if unstorable values are included in conditions."""
    if problem.code is UserErrorCode.FIELD_REQUIRED:
        return problem.path[0] in resolved.required
    return problem.code is not UserErrorCode.FIELD_HIDDEN


def _apply_guards(
    event: EventState,
    before: EventState | None,
    event_type: EventTypeSnapshot | None,
    command: CommandContext,
    result: _FieldsResult,
) -> None:
    """Evaluates the guards on valid fields, for an event with valid attributes."""
    guards = (*(event_type.guards if event_type else ()), *command.guards)
    if not guards or any(len(problem.path) == 1 for problem in result.problems):
        return  # the fields as a whole are invalid, so no guard can be evaluated
    invalid_fields = {problem.path[1] for problem in result.problems}
    if invalid_fields:
        valid_values = {
            name: value
            for name, value in event.fields.items()
            if not validate_json({name: value}, command.limits)
        }
        event = replace(event, fields=valid_values)
    version_fields = event_type.fields if event_type else None
    for violation in find_violations(
        guards,
        event,
        before,
        command.now,
        command.limits,
        version_fields=version_fields,
        invalid_fields=invalid_fields,
    ):
        is_rejecting = violation.enforcement is GuardEnforcement.REJECT
        (result.problems if is_rejecting else result.warnings).append(violation)


def _find_missing_defaults(values: Any, event_type: EventTypeSnapshot | None) -> Collection[str]:
    """Returns the fields of an outgoing event that get their default: only required ones.

    Other fields without a value had none where the event was logged.
    """
    if event_type is None or not isinstance(values, dict):
        return ()
    return resolve_fields(event_type.fields, event_type.rules, values, ()).required


def _find_appearing_fields(
    stored: Mapping[str, Any],
    changes: Any,
    event_type: EventTypeSnapshot | None,
    target_type: EventTypeSnapshot | None,
) -> frozenset[str]:
    """Returns the fields that an update may make visible. Only these get their default."""
    if event_type is None or target_type is None or not isinstance(changes, dict):
        return frozenset()
    visible = resolve_fields(event_type.fields, event_type.rules, stored, ()).visible
    removed = {name for name, value in changes.items() if value is None}
    return frozenset(field.name for field in target_type.fields) - removed.union(visible)


def _removed_field_message(name: str, old: EventTypeSnapshot, new: EventTypeSnapshot) -> str:
    return (
        f"Unknown field {quote_value(name)}: the event has a value for it from version "
        f"{old.version} of event type {quote_value(old.type)}, but version {new.version} has no "
        "such field. Set the field to null to remove its value."
    )


def _merge_fields(stored: Mapping[str, Any], changes: Any) -> Any:
    """Merges changes into stored values; null removes a value."""
    if changes is None:
        return {}
    if not isinstance(changes, dict):
        return changes
    removed = {name for name, value in changes.items() if value is None}
    return {name: value for name, value in {**stored, **changes}.items() if name not in removed}


def _build_event(
    draft: EventDraft,
    event_type: EventTypeSnapshot | None,
    values: dict[str, Any],
    command: CommandContext,
    event_id: UUID,
    severity: _SeverityResult,
) -> EventState:
    type_name = event_type.type if event_type else draft.type or DEFAULT_TYPE
    acknowledged = bool(draft.acknowledged)
    reported = vars(draft)
    attributes = {  # without what was not reported, which gets its default
        name: value for name in COPIED_ATTRIBUTES if (value := reported[name]) is not None
    }
    if event_type is None and draft.type_version is not None:
        # For organizations in which the type is registered.
        attributes["extensions"] = {
            **(draft.extensions or {}),
            TYPE_VERSION: draft.type_version,
        }
    attributes |= {
        "id": event_id,
        "type": type_name,
        "event_type_id": event_type.id if event_type else None,
        "event_type_version": event_type.version if event_type else None,
        "category": event_type.category if event_type else None,
        "severity": severity.severity,
        "severity_text": severity.text,
        "summary": draft.summary
        if draft.summary is not None
        else (event_type.name if event_type else type_name),
        "source": draft.source or command.actor.source,
        "occurred_at": draft.occurred_at or command.now,
        "recorded_at": command.now,
        "updated_at": command.now,
        "fields": values,
        "tags": _remove_repeated(draft.tags or ()),
        "notification": bool(draft.notification),
        "acknowledged_at": command.now if acknowledged else None,
        "acknowledged_by": command.actor.name if acknowledged else None,
        "resolved_at": draft.resolved_at and min(draft.resolved_at, command.now),
        "resolved_by": None if draft.resolved_at is None else command.actor.name,
        "summary_given": draft.summary is not None,
    }
    return create_frozen(EventState, attributes)


def _remove_repeated(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))
