"""Duplication rules: which events are duplicates of others, and how duplicates are handled.

Two events match if their fingerprints are equal and their times differ by at most the rule's
window, whichever was logged first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from app.domain.events.field_values import normalize_fields, value_at
from app.domain.events.state import EventState, Use, attributes_with
from app.domain.shared.limits import Limits
from app.domain.shared.messages import limit_message, quote_value, unknown_field_message
from app.domain.shared.problems import Problem, UserErrorCode, invalid_input
from app.domain.shared.values import canonical_json, validate_name


class DuplicateAction(Enum):
    REJECT = "REJECT"
    COUNT = "COUNT"
    FLAG = "FLAG"


@dataclass(frozen=True)
class DuplicationRule:
    """A duplication rule. It applies to all types if `event_type_id` is None.

    `escalate`: a duplicate that is counted raises the severity of a less severe original.
    """

    id: UUID
    name: str
    fingerprint: tuple[str, ...]
    window: timedelta
    action: DuplicateAction
    event_type_id: UUID | None = None
    escalate: bool = True


@dataclass(frozen=True)
class RuleFingerprint:
    """The fingerprint of an event under a rule. Events that share one are processed serially."""

    rule: DuplicationRule
    digest: str

    @property
    def key(self) -> tuple[UUID, str]:
        return self.rule.id, self.digest


@dataclass(frozen=True)
class OriginalEvent:
    """An event that later ones may duplicate. A smaller `order` was logged earlier."""

    event_id: UUID
    occurred_at: datetime
    order: int


@dataclass(frozen=True)
class DuplicateMatch:
    """The original of a duplicate, and the fingerprint by which they match."""

    fingerprint: RuleFingerprint
    original: OriginalEvent


@dataclass(frozen=True)
class DuplicateProblem(Problem):
    """A duplication rule with the action REJECT matched an existing event."""

    rule_id: UUID | None = None
    existing_id: UUID | None = None

    @classmethod
    def from_match(cls, match: DuplicateMatch) -> DuplicateProblem:
        # The ID of the existing event is left out: the caller may lack EVENT_READ.
        rule_name = quote_value(match.fingerprint.rule.name)
        message = (
            f"According to duplication rule {rule_name}, the event is a duplicate of an existing "
            "event."
        )
        code = UserErrorCode.DUPLICATE
        return cls(code, message, (), match.fingerprint.rule.id, match.original.event_id)


@dataclass(frozen=True)
class CountedDuplicate:
    """The original after a duplicate of it was counted. `notifies`: whether it notifies (again)."""

    original: EventState
    notifies: bool


def count_duplicate(
    original: EventState, duplicate: EventState, *, escalate: bool
) -> CountedDuplicate:
    """Counts a duplicate, so that its alarm is no quieter than if it had been stored.

    A more severe duplicate escalates: the original takes its severity. Other duplicates notify only
    if the original is not a notification yet. An original that escalates or notifies is no longer
    acknowledged.
    """
    counted = replace(
        original,
        occurrences=original.occurrences + 1,
        last_occurred_at=max(original.latest_occurrence, duplicate.occurred_at),
        notification=original.notification or duplicate.notification,
    )
    escalates = escalate and duplicate.severity.rank > original.severity.rank
    if escalates:
        counted = replace(
            counted,
            severity=duplicate.severity,
            severity_text=duplicate.severity_text,
            version=original.version + 1,
            # Reports that share a transaction may have been received in another order.
            updated_at=max(original.updated_at, duplicate.recorded_at),
        )
    notifies = duplicate.notification and (escalates or not original.notification)
    if escalates or notifies:
        counted = replace(
            counted, acknowledged_at=None, acknowledged_by=None, acknowledgement_note=None
        )
    return CountedDuplicate(counted, notifies)


FINGERPRINT_PATHS = tuple(
    path
    for attribute in attributes_with(Use.FINGERPRINT)
    for path in (
        ("entity", "entity.type", "entity.id")
        if attribute.name == "entity"
        else (attribute.api_name,)
    )
)
_FIELD_PATH = re.compile(r"fields[.](.+)", re.DOTALL)


def compute_fingerprints(
    rules: Iterable[DuplicationRule], event: EventState, set_fields: Collection[str] = ()
) -> list[RuleFingerprint]:
    """Computes the event's fingerprints in rule order. A rule has none if all paths are absent.

    `set_fields` are the names of the event's fields whose values are sets.
    """
    applicable = [rule for rule in rules if rule.event_type_id in (None, event.event_type_id)]
    if not applicable:
        return []
    state = event.to_json()
    state["tags"].sort()
    state["fields"] = normalize_fields(event.fields, set_fields)
    return [
        RuleFingerprint(rule, digest)
        for rule in applicable
        if (digest := _compute_digest(rule.fingerprint, state)) is not None
    ]


def find_nearest_original(
    originals: Iterable[OriginalEvent], occurred_at: datetime, window: timedelta
) -> OriginalEvent | None:
    """Finds the original in the window that is nearest in time; of equals, the earliest logged."""
    candidates = [
        original for original in originals if abs(original.occurred_at - occurred_at) <= window
    ]
    return min(
        candidates,
        key=lambda original: (abs(original.occurred_at - occurred_at), original.order),
        default=None,
    )


@dataclass
class OriginalEvents:
    """Original events by rule fingerprint, both stored ones and those of the current batch."""

    originals: dict[tuple[UUID, str], list[OriginalEvent]] = field(default_factory=dict)

    def find_match(
        self, fingerprints: Sequence[RuleFingerprint], event: EventState
    ) -> DuplicateMatch | None:
        """Returns the match of the first rule that matches. None if no rule does."""
        for fingerprint in fingerprints:
            originals = self.originals.get(fingerprint.key, ())
            original = find_nearest_original(originals, event.occurred_at, fingerprint.rule.window)
            if original is not None:
                return DuplicateMatch(fingerprint, original)
        return None

    def add_original(
        self, fingerprints: Sequence[RuleFingerprint], event: EventState, order: int
    ) -> None:
        """Adds the event as an original under all its fingerprints."""
        original = OriginalEvent(event.id, event.occurred_at, order)
        for fingerprint in fingerprints:
            self.originals.setdefault(fingerprint.key, []).append(original)


def validate_duplication_rule(
    name: str,
    fingerprint: Sequence[str],
    window: timedelta,
    fields: Iterable[str] | None,
    limits: Limits,
) -> list[Problem]:
    """Validates a rule. `fields` are the names of the event type's fields; None for all types."""
    problems = validate_name(name, limits.name_characters, "name")
    if not fingerprint:
        problems.append(invalid_input("fingerprint must contain at least one path.", "fingerprint"))
    if len(fingerprint) > limits.fingerprint_paths:
        message = limit_message(
            limits.fingerprint_paths, "path", "this fingerprint", len(fingerprint)
        )
        return [*problems, invalid_input(message, "fingerprint")]
    field_names = None if fields is None else set(fields)
    for index, path in enumerate(fingerprint):
        path_problems = _validate_path(path, field_names, limits)
        if not path_problems and path in fingerprint[:index]:
            path_problems = [invalid_input(f"Path {quote_value(path)} is listed more than once.")]
        problems += [problem.prepend_path("fingerprint", str(index)) for problem in path_problems]
    max_window = timedelta(days=limits.duplicate_window_days)
    if not timedelta() <= window <= max_window:
        problems.append(
            invalid_input(
                f"window must be from PT0S to P{limits.duplicate_window_days}D.", "window"
            )
        )
    return problems


def fingerprint_fields(fingerprint: Iterable[str]) -> Iterator[str]:
    """Yields the names of the custom fields in a fingerprint."""
    for path in fingerprint:
        if match := _FIELD_PATH.fullmatch(path):
            yield match.group(1)


def _validate_path(path: str, fields: set[str] | None, limits: Limits) -> list[Problem]:
    if problems := validate_name(path, limits.name_characters):
        return problems
    match = _FIELD_PATH.fullmatch(path)
    if match is None:
        if path in FINGERPRINT_PATHS:
            return []
        expected = f"{', '.join(FINGERPRINT_PATHS)} or fields.<name>"
        return [invalid_input(f"Unknown path {quote_value(path)}: expected {expected}.")]
    if fields is not None and match.group(1) not in fields:
        return [invalid_input(unknown_field_message(match.group(1)))]
    return []


def _compute_digest(fingerprint: Sequence[str], state: dict[str, Any]) -> str | None:
    pairs = [[path, value] for path in fingerprint for value in _values_at(path, state)]
    return hashlib.sha256(canonical_json(pairs)).hexdigest() if pairs else None


def _values_at(path: str, state: dict[str, Any]) -> Iterator[Any]:
    """Yields the value at the path, if present. Only a custom field may be empty."""
    if match := _FIELD_PATH.fullmatch(path):
        if (field_value := value_at(state["fields"], match.group(1))) is not None:
            yield field_value
        return
    value: Any = state
    for step in path.split("."):
        value = None if value is None else value.get(step)
    if value not in (None, [], {}):
        yield value
