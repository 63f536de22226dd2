"""Plans as values: the changes of objects with their words and steps."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.configuration.configuration import Configuration
from app.configuration.file_schema import (
    CHANNELS,
    DUPLICATION_RULES,
    EVENT_TYPES,
    GUARD_RULES,
    RETENTION_POLICIES,
    SILENCES,
    SOURCES,
)
from app.configuration.mutations import Step
from app.configuration.stored_state import StoredState
from app.configuration.yaml_file import format_yaml

CREATED, CHANGED, REMOVED = "+", "~", "-"
ORGANIZATION = "organization"
_PERMISSIONS = {
    ORGANIZATION: ("ORGANIZATION_MANAGE",),
    EVENT_TYPES.name: ("EVENT_TYPE_MANAGE",),
    GUARD_RULES.name: ("RULE_MANAGE",),
    DUPLICATION_RULES.name: ("RULE_MANAGE",),
    RETENTION_POLICIES.name: ("ORGANIZATION_MANAGE", "EVENT_DELETE"),
    SILENCES.name: ("EVENT_UPDATE",),
    SOURCES.name: ("CHANNEL_MANAGE", "EVENT_CREATE"),
    CHANNELS.name: ("CHANNEL_MANAGE", "EVENT_READ"),
}


@dataclass
class Change:
    """A change of one object, with its steps."""

    kind: str
    section_name: str
    title: str
    words: list[str] = field(default_factory=list)
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    steps: list[Step] = field(default_factory=list)
    path: tuple[str | int, ...] = ()

    def format_diff(self) -> list[str]:
        """Returns the lines of a diff of the object in the file format, without a header."""
        if self.before is None or self.after is None or self.before == self.after:
            return []
        before, after = (format_yaml(dict(each)).splitlines() for each in (self.before, self.after))
        return list(difflib.unified_diff(before, after, n=2, lineterm=""))[2:]


@dataclass(frozen=True)
class PlanOptions:
    """`prune`: remove what the file does not contain. `last`: number of events for trials."""

    prune: bool = False
    last: int = 100


@dataclass
class Plan:
    """`unmanaged`: number of stored objects that the file does not contain, by section.

    `secrets`: the values of references, which are never printed. `full_sections`: where objects are
    removed before others are created, because the limits of the server do not allow all of them.
    """

    state: StoredState
    configuration: Configuration
    options: PlanOptions
    changes: list[Change] = field(default_factory=list)
    unmanaged: Counter[str] = field(default_factory=Counter)
    secrets: set[str] = field(default_factory=set)
    full_sections: set[str] = field(default_factory=set)

    @property
    def steps(self) -> list[tuple[Change, Step]]:
        """The steps in the order of their execution."""
        steps = [(change, step) for change in self.changes for step in change.steps]

        def order(pair: tuple[Change, Step]) -> tuple[int, bool]:
            change, step = pair
            is_first = change.kind == REMOVED and change.section_name in self.full_sections
            return step.phase, not is_first

        return sorted(steps, key=order)

    @property
    def creates_secrets(self) -> bool:
        """Whether the server creates tokens or signing secrets, which it returns only once."""
        return any(step.secret_names for _, step in self.steps)

    def hide_secrets(self, message: str) -> str:
        """Replaces the values of references in a message."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            message = message.replace(secret, "***")
        return message

    @property
    def missing_permissions(self) -> list[str]:
        """The permissions that the changes need and the credential lacks."""
        needed = {
            permission
            for change in self.changes
            for permission in _PERMISSIONS[change.section_name]
        }
        return sorted(needed - self.state.permissions)
