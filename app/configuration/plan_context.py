"""What the planning of all sections shares: the client, the plan so far, and its errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.api_client import ApiClient
from app.configuration.configuration import (
    Configuration,
    ConfiguredItem,
    FileError,
    find_problems,
    to_file_path,
)
from app.configuration.file_schema import EVENT_TYPES, Section
from app.configuration.mutations import Step
from app.configuration.plans import CHANGED, REMOVED, Change, Plan, PlanOptions
from app.configuration.stored_state import StoredItem, StoredState
from app.domain.shared.problems import Problem

Match = tuple[ConfiguredItem, StoredItem | None]


@dataclass
class PlanContext:
    """The state of planning.

    `matches`: the objects of the file with the stored objects that they are, by section.
    `removed`: the stored objects that the plan removes, by section.
    """

    client: ApiClient
    configuration: Configuration
    state: StoredState
    options: PlanOptions
    plan: Plan
    errors: list[FileError] = field(default_factory=list)
    matches: dict[str, list[Match]] = field(default_factory=dict)
    removed: dict[str, list[StoredItem]] = field(default_factory=dict)
    # The event types whose definition changes, by their ID.
    changed_types: set[str] = field(default_factory=set)
    # The event types that are deleted, with their rules, by their name.
    deleted_types: set[str] = field(default_factory=set)
    # The event types with fields that rules use, and the message about these rules.
    types_in_use: list[tuple[ConfiguredItem, StoredItem, str]] = field(default_factory=list)

    def matches_of(self, section: Section) -> list[Match]:
        return self.matches.get(section.name, [])

    def removed_from(self, section: Section) -> list[StoredItem]:
        return self.removed.get(section.name, [])

    def add_error(self, message: str, item: ConfiguredItem, *path: str | int) -> None:
        error = self.configuration.error_at(message, *item.path, *path)
        if error not in self.errors:  # the file and the server can find the same
            self.errors.append(error)

    def check_item(self, item: ConfiguredItem) -> None:
        """Adds the errors that the server would find in an object that changes.

        An existing server checks event types, which it compares with the stored ones.
        """
        if item.section is EVENT_TYPES and self.state.organization_name is not None:
            return
        limits = (self.state.limits, self.state.channel_limits)
        self.add_problems(item, find_problems(self.configuration, item, *limits))

    def add_problems(self, item: ConfiguredItem, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.add_error(problem.message, item, *to_file_path(problem.path))

    def add_change(
        self, kind: str, section_name: str, title: str, item: ConfiguredItem | None = None
    ) -> Change:
        change = Change(kind, section_name, title)
        if item is not None:
            change.after, change.path = item.value, item.path
            self.check_item(item)
        self.plan.changes.append(change)
        return change

    def add_update(
        self,
        item: ConfiguredItem,
        stored: StoredItem,
        words: list[str],
        step: Step,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> Change:
        """Adds the change of a stored object.

        `before`, `after`: what the diff shows, if not the values.
        """
        change = self.add_change(CHANGED, item.section.name, stored.title, item)
        change.words, change.before = words, stored.value if before is None else before
        change.after = item.value if after is None else after
        change.steps.append(step)
        return change

    def add_removal(
        self, section: Section, stored: StoredItem, words: list[str], step: Step
    ) -> None:
        change = self.add_change(REMOVED, section.name, stored.title)
        change.words, change.before = words, stored.value
        change.steps.append(step)
