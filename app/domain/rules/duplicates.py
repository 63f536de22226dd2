"""Duplication rules: which events are the same thing reported again, and what becomes of them.

Two events match when their fingerprints are equal and their times lie within the rule's window of
each other, whichever came first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from app.domain.events.state import EventState
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode, invalid
from app.domain.shared.values import canonical_json, name_problems


class DuplicateAction(Enum):
    REJECT = "REJECT"
    COUNT = "COUNT"
    FLAG = "FLAG"


@dataclass(frozen=True)
class DuplicationRule:
    """`event_type_id` None: for events of every type. `fingerprint`: paths into the event."""

    id: UUID
    name: str
    fingerprint: tuple[str, ...]
    window: timedelta
    action: DuplicateAction
    event_type_id: UUID | None = None


@dataclass(frozen=True)
class Claim:
    """A fingerprint under a rule: who holds it decides alone about the events of it."""

    rule: DuplicationRule
    digest: str

    @property
    def key(self) -> tuple[UUID, str]:
        return self.rule.id, self.digest


@dataclass(frozen=True)
class First:
    """An event that later ones may be duplicates of. `order`: smaller was logged earlier."""

    event_id: UUID
    occurred_at: datetime
    order: int


@dataclass(frozen=True)
class Match:
    """The event is a duplicate of that first, by that rule."""

    claim: Claim
    first: First


@dataclass(frozen=True)
class DuplicateProblem(Problem):
    """A REJECT rule found the event that was there already."""

    rule_id: UUID | None = None
    existing_id: UUID | None = None

    @classmethod
    def of(cls, match: Match) -> DuplicateProblem:
        message = f"It was reported already, by the rule {match.claim.rule.name}."
        code = UserErrorCode.DUPLICATE
        return cls(code, message, (), match.claim.rule.id, match.first.event_id)


_ATTRIBUTES = (
    *("type", "severity", "summary", "content", "source", "subject", "outcome", "tags"),
    *("entity", "entity.type", "entity.id", "fields"),
)
_FIELD = re.compile(r"fields[.](.+)", re.DOTALL)


def claims_of(rules: Iterable[DuplicationRule], event: EventState) -> list[Claim]:
    """The fingerprints of the event, in the order of the rules; none where all paths are absent."""
    own = [rule for rule in rules if rule.event_type_id in (None, event.event_type_id)]
    if not own:
        return []
    state = event.to_json()
    return [
        Claim(rule, digest)
        for rule in own
        if (digest := _digest(rule.fingerprint, state)) is not None
    ]


def nearest(firsts: Iterable[First], occurred_at: datetime, window: timedelta) -> First | None:
    """The first within the window that is nearest in time; of equally near ones the earliest."""
    within = [each for each in firsts if abs(each.occurred_at - occurred_at) <= window]
    return min(
        within,
        key=lambda each: (abs(each.occurred_at - occurred_at), each.order),
        default=None,
    )


@dataclass
class Ledger:
    """The firsts of the fingerprints claimed: those that were there, and those of this list."""

    firsts: dict[tuple[UUID, str], list[First]] = field(default_factory=dict)

    def match(self, claims: Sequence[Claim], event: EventState) -> Match | None:
        """By the first rule that finds one."""
        for claim in claims:
            known = self.firsts.get(claim.key, ())
            found = nearest(known, event.occurred_at, claim.rule.window)
            if found is not None:
                return Match(claim, found)
        return None

    def enter(self, claims: Sequence[Claim], event: EventState, order: int) -> None:
        """The event is a first of all its fingerprints."""
        first = First(event.id, event.occurred_at, order)
        for claim in claims:
            self.firsts.setdefault(claim.key, []).append(first)


def rule_problems(
    name: str,
    fingerprint: Sequence[str],
    window: timedelta,
    fields: Iterable[str] | None,
    limits: Limits,
) -> list[Problem]:
    """What is wrong with a rule. `fields`: the names of the type's fields, None for every type."""
    problems = name_problems(name, limits.name, "name")
    if not fingerprint:
        problems.append(invalid("A fingerprint has at least one path.", "fingerprint"))
    if len(fingerprint) > limits.fingerprint_paths:
        many = f"There are {len(fingerprint):,} paths; at most {limits.fingerprint_paths}."
        return [*problems, invalid(many, "fingerprint")]
    known = None if fields is None else set(fields)
    for index, path in enumerate(fingerprint):
        told = _path_problems(path, known, limits)
        if not told and path in fingerprint[:index]:
            told = [invalid(f"{path} is there twice.")]
        problems += [problem.under("fingerprint", str(index)) for problem in told]
    longest = timedelta(days=limits.window_days)
    if not timedelta() <= window <= longest:
        problems.append(invalid(f"Must be from PT0S to P{limits.window_days}D.", "window"))
    return problems


def fields_of(fingerprint: Iterable[str]) -> Iterator[str]:
    """The names of the custom fields that a fingerprint is taken over."""
    for path in fingerprint:
        if found := _FIELD.fullmatch(path):
            yield found.group(1)


def _path_problems(path: str, fields: set[str] | None, limits: Limits) -> list[Problem]:
    if problems := name_problems(path, limits.name):
        return problems
    found = _FIELD.fullmatch(path)
    if found is None:
        named = ", ".join(_ATTRIBUTES)
        return [] if path in _ATTRIBUTES else [invalid(f"Is none of {named}, fields.<name>.")]
    if fields is not None and found.group(1) not in fields:
        return [invalid(f"The type has no field {found.group(1)[:100]}.")]
    return []


def _digest(fingerprint: Sequence[str], state: dict[str, Any]) -> str | None:
    pairs = [[path, value] for path in fingerprint for value in _at(path, state)]
    return hashlib.sha256(canonical_json(pairs)).hexdigest() if pairs else None


def _at(path: str, state: dict[str, Any]) -> Iterator[Any]:
    """The value there; nothing where it is absent. A field alone can be there and null or empty."""
    if found := _FIELD.fullmatch(path):
        if found.group(1) in state["fields"]:
            yield state["fields"][found.group(1)]
        return
    value: Any = state
    for step in path.split("."):
        value = None if value is None else value.get(step)
    if value not in (None, [], {}):
        yield value
