"""The verdict on a report and on an update: everything that is wrong with it, or the event.

Every door makes a `Draft`; nothing here knows which door it was, and nothing is stored here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from app.domain.access.caller import Caller
from app.domain.event_types.conditions import ConditionalRule
from app.domain.event_types.fields import FieldDefinition
from app.domain.event_types.json_schema import value_problems
from app.domain.event_types.lifecycle import EventTypeState, closed, outdated
from app.domain.event_types.visibility import Settled, settle
from app.domain.events.attributes import attribute_problems
from app.domain.events.severity import Outcome, read_severity
from app.domain.events.state import Entity, EventState
from app.domain.rules.guards import Guard, GuardEnforcement, violations
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode, invalid
from app.domain.shared.values import canonical_json, json_problems, object_problems

NOTICE = "notice"


@dataclass(frozen=True)
class Draft:
    """A report as it was given: what was left out is None. `fields` is any JSON value;
    `extensions` and `payload` are sound, and as an event has them.
    """

    event_type_id: str | None = None
    type: str | None = None
    entity: Entity | None = None
    severity: str | None = None
    summary: str | None = None
    content: str | None = None
    source: str | None = None
    source_id: str | None = None
    subject: str | None = None
    outcome: Outcome | None = None
    occurred_at: datetime | None = None
    fields: Any = None
    tags: tuple[str, ...] | None = None
    notification: bool | None = None
    acknowledged: bool | None = None
    extensions: dict[str, Any] | None = None
    payload: dict[str, Any] | None = None

    def digest(self) -> str | None:
        """SHA-256 of the draft as given: equal for a replay, and hardly for anything else.

        None for fields so deep, or numbers so long, that they cannot have been accepted before.
        """
        return self._digest

    @cached_property
    def _digest(self) -> str | None:
        said = {name: value for name, value in vars(self).items() if value is not None}
        if self.entity is not None:
            said["entity"] = [self.entity.type, self.entity.id]
        if self.outcome is not None:
            said["outcome"] = self.outcome.value
        if self.occurred_at is not None:
            said["occurred_at"] = self.occurred_at.astimezone(UTC).isoformat()
        try:
            return hashlib.sha256(canonical_json(said)).hexdigest()
        except (RecursionError, ValueError):
            return None


@dataclass(frozen=True)
class TypeSpec:
    """An event type at one version: all that a verdict asks of it.
    `guards` are the type's rules as they are published now, whatever the version.
    """

    id: UUID
    type: str
    name: str
    category: str
    state: EventTypeState
    version: int
    fields: tuple[FieldDefinition, ...]
    rules: tuple[ConditionalRule, ...] = ()
    sunset_at: datetime | None = None
    guards: tuple[Guard, ...] = ()


@dataclass(frozen=True)
class Accepted:
    event: EventState
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Refused:
    problems: tuple[Problem, ...]


Verdict = Accepted | Refused


@dataclass(frozen=True)
class Desk:
    """Where and when a verdict is given: by whom the event is reported, the clock, the limits.

    `guards` are the published rules of the whole organization.
    """

    reporter: Caller
    now: datetime
    limits: Limits = field(default_factory=Limits)
    guards: tuple[Guard, ...] = ()


def judge(draft: Draft, spec: TypeSpec | None, desk: Desk, event_id: UUID) -> Verdict:
    """Judges a report. `spec` is the registered type it names, None for a free-form one."""
    if spec is not None and has_data(draft.payload):
        not_fields = f"The type {spec.type} has fields: the data must be a JSON object."
        judged = _Judged({}, [invalid(not_fields, "payload")])
    else:
        judged = _judged_values({} if draft.fields is None else draft.fields, spec, desk)
    problems = attribute_problems(vars(draft), desk.limits, desk.now)
    if not problems:
        event = _event(draft, spec, judged.values, desk, event_id)
        _guard(event, None, spec, desk, judged)
    problems += judged.problems
    warnings = judged.warnings
    if spec is not None:
        named = "type" if draft.event_type_id is None else "eventTypeId"
        problems += closed(spec.type, spec.state, named, spec.sunset_at, desk.now)
        warnings += outdated(spec.type, spec.state, named, spec.sunset_at)
        if draft.type not in (None, spec.type):
            problems.append(invalid(f"eventTypeId names the type {spec.type}.", "type"))
    if problems:
        return Refused(tuple(problems))
    return Accepted(event, tuple(warnings))


def revise(
    event: EventState, given: Mapping[str, Any], spec: TypeSpec | None, desk: Desk
) -> Verdict:
    """Judges an update. `given` holds new values by attribute; None clears what may be empty."""
    problems = [
        invalid("Must not be null.", _CALLED.get(name, name))
        for name in ("severity", "summary", "occurred_at", "notification")
        if name in given and given[name] is None
    ]
    problems += attribute_problems(given, desk.limits, desk.now)
    judged = _Judged(event.fields)
    if "fields" in given:
        merged = _merged(event.fields, given["fields"])
        appearing = _appearing(event.fields, given["fields"], spec)
        judged = _judged_values(merged, spec, desk, appearing)
    if problems:
        return Refused((*problems, *judged.problems))
    changed = dict(given) | {"fields": judged.values}
    if "severity" in given:
        changed["severity"] = read_severity(given["severity"])
    if "tags" in given:
        changed["tags"] = _once(given["tags"] or ())
    if "summary" in given:
        changed["summary_given"] = True
    if judged.values and has_data(event.payload):
        changed["payload"] = None  # fields have come in its place
    revised = replace(event, **changed, updated_at=desk.now, version=event.version + 1)
    _guard(revised, event, spec, desk, judged)
    if judged.problems:
        return Refused(tuple(judged.problems))
    return Accepted(revised, tuple(judged.warnings))


def has_data(payload: Mapping[str, Any] | None) -> bool:
    """Whether it is data that `fields` cannot hold, and not only what is said of the data."""
    return payload is not None and not {"data", "data_base64"}.isdisjoint(payload)


_CALLED = {"occurred_at": "occurredAt", "source_id": "sourceId"}


@dataclass
class _Judged:
    """Values as they would be kept, and what is told about them."""

    values: Any
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def _judged_values(
    given: Any, spec: TypeSpec | None, desk: Desk, defaults: Collection[str] | None = None
) -> _Judged:
    """Settles the values and judges them. `defaults` names the fields that may get theirs."""
    if spec is None or not isinstance(given, dict):
        return _Judged(given, object_problems(given, desk.limits, "fields"))
    settled = settle(spec.fields, spec.rules, given, defaults)
    problems = object_problems(settled.values, desk.limits, "fields")
    sound = settled.values
    if problems:  # the type judges what can be kept, so that everything is told at once
        sound = {n: v for n, v in sound.items() if not object_problems({n: v}, desk.limits)}
    unsound = settled.values.keys() - sound.keys()
    told = value_problems(spec.fields, sound, spec.rules)
    problems += [
        each.under("fields")
        for each in told
        if each.path[0] not in unsound and _stands(each, settled)
    ]
    return _Judged(settled.values, problems, [each.under("fields") for each in settled.warnings])


def _stands(problem: Problem, settled: Settled) -> bool:
    """Whether the problem is there also when conditions see the values that cannot be kept."""
    if problem.code is UserErrorCode.FIELD_REQUIRED:
        return problem.path[0] in settled.required
    return problem.code is not UserErrorCode.FIELD_HIDDEN


def _guard(
    event: EventState, old: EventState | None, spec: TypeSpec | None, desk: Desk, judged: _Judged
) -> None:
    """Asks the guards of an event whose attributes are sound, each about fields that are."""
    guards = (*(spec.guards if spec else ()), *desk.guards)
    if not guards or any(len(each.path) == 1 for each in judged.problems):
        return  # where the fields as a whole cannot be kept, nothing can be asked about them
    unsound = {each.path[1] for each in judged.problems}
    if unsound:
        kept = {n: v for n, v in event.fields.items() if not json_problems({n: v}, desk.limits)}
        event = replace(event, fields=kept)
    own = spec.fields if spec else None
    for each in violations(guards, event, old, desk.now, desk.limits, own=own, unsound=unsound):
        rejects = each.enforcement is GuardEnforcement.REJECT
        (judged.problems if rejects else judged.warnings).append(each)


def _appearing(stored: Mapping[str, Any], given: Any, spec: TypeSpec | None) -> frozenset[str]:
    """The fields that an update may show for the first time: these alone get their default."""
    if spec is None or not isinstance(given, dict):
        return frozenset()
    visible = settle(spec.fields, spec.rules, stored, ()).visible
    removed = {name for name, value in given.items() if value is None}
    return frozenset(each.name for each in spec.fields) - removed.union(visible)


def _merged(stored: Mapping[str, Any], given: Any) -> Any:
    """The stored values with the given ones over them; a null that is given takes one away."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        return given
    removed = {name for name, value in given.items() if value is None}
    return {name: value for name, value in {**stored, **given}.items() if name not in removed}


def _event(
    draft: Draft,
    spec: TypeSpec | None,
    values: dict[str, Any],
    desk: Desk,
    event_id: UUID,
) -> EventState:
    type_name = spec.type if spec else draft.type or NOTICE
    acknowledged = bool(draft.acknowledged)
    return EventState(
        id=event_id,
        type=type_name,
        event_type_id=spec.id if spec else None,
        event_type_version=spec.version if spec else None,
        category=spec.category if spec else None,
        entity=draft.entity,
        severity=read_severity(draft.severity),
        summary=draft.summary if draft.summary is not None else (spec.name if spec else type_name),
        content=draft.content,
        source=draft.source or desk.reporter.source,
        source_id=draft.source_id,
        subject=draft.subject,
        outcome=draft.outcome,
        occurred_at=draft.occurred_at or desk.now,
        recorded_at=desk.now,
        updated_at=desk.now,
        fields=values,
        tags=_once(draft.tags or ()),
        notification=bool(draft.notification),
        acknowledged_at=desk.now if acknowledged else None,
        acknowledged_by=desk.reporter.name if acknowledged else None,
        summary_given=draft.summary is not None,
        extensions=draft.extensions,
        payload=draft.payload,
    )


def _once(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))
