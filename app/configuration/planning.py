"""Plans: which mutations make a server equal to a configuration file, and what they do, in words.

A plan depends on the file, the stored state and the options only. The same state gives the same
plan, so a saved plan needs no mutations, only a digest of the state.
"""

from __future__ import annotations

import difflib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.configuration.api_client import ApiClient, ApiError
from app.configuration.configuration import (
    Configuration,
    ConfiguredItem,
    FileError,
    InvalidFileError,
    Key,
    find_rule_problems,
    normalize_filter,
    read_input,
    to_input,
)
from app.configuration.file_schema import (
    DUPLICATION_RULES,
    EVENT_TYPES,
    GUARD_RULES,
    RETENTION_POLICIES,
    SECTIONS,
    Section,
)
from app.configuration.mutations import (
    Ids,
    Phase,
    Step,
    delete_step,
    publish_step,
    replace_step,
    retire_step,
    transition_step,
    update_step,
)
from app.configuration.stored_state import (
    StoredItem,
    StoredState,
    guard_content,
    guard_draft,
)
from app.configuration.trials import try_duplication_rule
from app.configuration.yaml_file import format_yaml
from app.domain.event_types.lifecycle import EventTypeState, allowed_transitions
from app.domain.rules.duplicates import DuplicationRule
from app.domain.shared.durations import format_duration
from app.domain.shared.messages import format_count, quote_value
from app.domain.shared.problems import ErrorCode
from app.domain.shared.values import format_instant, parse_instant
from app.graphql.shared.scalars import parse_input_length

CREATED, CHANGED, REMOVED = "+", "~", "-"
_DEFAULT_STATE = "PUBLISHED"
_PERMISSIONS = {
    EVENT_TYPES.name: ("EVENT_TYPE_MANAGE",),
    GUARD_RULES.name: ("RULE_MANAGE",),
    DUPLICATION_RULES.name: ("RULE_MANAGE",),
    RETENTION_POLICIES.name: ("ORGANIZATION_MANAGE", "EVENT_DELETE"),
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
    """`unmanaged`: number of stored objects that the file does not contain, by section."""

    state: StoredState
    configuration: Configuration
    options: PlanOptions
    changes: list[Change] = field(default_factory=list)
    unmanaged: Counter[str] = field(default_factory=Counter)

    @property
    def steps(self) -> list[tuple[Change, Step]]:
        """The steps in the order of their execution."""
        steps = [(change, step) for change in self.changes for step in change.steps]
        return sorted(steps, key=lambda pair: pair[1].phase)

    @property
    def missing_permissions(self) -> list[str]:
        """The permissions that the changes need and the credential lacks."""
        needed = {
            permission
            for change in self.changes
            for permission in _PERMISSIONS.get(change.section_name, ("ORGANIZATION_MANAGE",))
        }
        return sorted(needed - self.state.permissions)


def create_plan(
    client: ApiClient, configuration: Configuration, state: StoredState, options: PlanOptions
) -> Plan:
    """Compares the file with the stored state. Raises InvalidFileError and ApiError."""
    return _Planner(client, configuration, state, options).create()


class _Planner:
    def __init__(
        self,
        client: ApiClient,
        configuration: Configuration,
        state: StoredState,
        options: PlanOptions,
    ) -> None:
        self._client = client
        self._configuration = configuration
        self._state = state
        self._options = options
        self._errors: list[FileError] = []
        self._plan = Plan(state, configuration, options)
        self._matches: dict[str, list[tuple[ConfiguredItem, StoredItem | None]]] = {}
        for section in SECTIONS:  # event types first
            if section.name in configuration.items:
                self._matches[section.name] = self._match(section)
        self._removed = {
            name: self._find_removed(name) if options.prune else [] for name in self._matches
        }
        # The event types whose definition changes, by their ID.
        self._changed_types: set[str] = set()
        # The event types with fields that rules use, and the message about these rules.
        self._types_in_use: list[tuple[ConfiguredItem, StoredItem, str]] = []
        # The event types that are deleted, with their rules.
        self._deleted_types: set[str] = set()

    def create(self) -> Plan:
        self._raise_errors()
        self._plan_organization()
        removals = {
            EVENT_TYPES.name: self._remove_event_type,
            GUARD_RULES.name: self._remove_guard_rule,
            DUPLICATION_RULES.name: self._remove_duplication_rule,
            RETENTION_POLICIES.name: self._remove_retention_policy,
        }
        plans = {
            EVENT_TYPES.name: self._plan_event_type,
            GUARD_RULES.name: self._plan_guard_rule,
            RETENTION_POLICIES.name: self._plan_retention_policy,
        }
        for name, matches in self._matches.items():
            if name == DUPLICATION_RULES.name:
                self._plan_duplication_rules(matches)
            else:
                for item, stored in matches:
                    plans[name](item, stored)
            for stored in self._removed[name]:
                removals[name](stored)
            if not self._options.prune:
                self._plan.unmanaged[name] = len(self._find_removed(name))
        self._check_types_in_use()
        self._raise_errors()
        return self._plan

    def _raise_errors(self) -> None:
        if self._errors:
            raise InvalidFileError(self._errors)

    def _add_error(self, message: str, item: ConfiguredItem, *path: str | int) -> None:
        self._errors.append(self._configuration.error_at(message, *item.path, *path))

    # Which stored object an object of the file is.

    def _match(self, section: Section) -> list[tuple[ConfiguredItem, StoredItem | None]]:
        stored_items = list(self._state.items[section.name])
        by_id = {stored.id: stored for stored in stored_items}
        items = self._configuration.items[section.name]
        named_ids = {item.id for item in items}
        by_key: dict[Key, list[StoredItem]] = {}
        for stored in stored_items:
            if stored.id not in named_ids:
                by_key.setdefault(self._key_of(stored), []).append(stored)
        return [(item, self._match_item(item, by_id, by_key.get(item.key, []))) for item in items]

    def _match_item(
        self,
        item: ConfiguredItem,
        by_id: Mapping[str, StoredItem],
        candidates: Sequence[StoredItem],
    ) -> StoredItem | None:
        if item.id is not None:
            stored = by_id.get(item.id)
            if stored is None:
                message = (
                    f"The server has no {item.section.noun} with this id. Remove the id to create "
                    "the object."
                )
                self._add_error(message, item, "id")
            elif "eventType" in item.section.key and self._key_of(stored)[0] != item.key[0]:
                self._add_error("The event type of a rule cannot be changed.", item)
            elif stored.section is RETENTION_POLICIES and stored.key[0] != item.key[0]:
                self._add_error("The target of a policy cannot be changed.", item, "target")
            return stored
        # A retired rule is in the way of no other rule, and can be published again.
        active = [stored for stored in candidates if not stored.is_retired] or candidates[-1:]
        if len(active) > 1:
            ids = ", ".join(stored.id for stored in active)
            message = (
                f"The server has {len(active)} objects that are {item.title}: {ids}. Set the id of "
                "the one that is meant, or export the configuration again."
            )
            self._add_error(message, item)
        return active[0] if active else None

    def _key_of(self, stored: StoredItem) -> Key:
        """Returns the key of a stored object, a rule with the new name of its event type."""
        if "eventType" not in stored.section.key:
            return stored.key
        event_type, name = stored.key
        for item, event_type_row in self._matches.get(EVENT_TYPES.name, ()):
            if event_type_row is not None and event_type_row.value["type"] == event_type:
                event_type = item.value["type"]
                break
        return event_type, name

    def _find_removed(self, section_name: str) -> list[StoredItem]:
        kept = {stored.id for _, stored in self._matches[section_name] if stored is not None}
        return [
            stored
            for stored in self._state.items[section_name]
            if stored.id not in kept and not stored.is_retired
        ]

    # The organization.

    def _plan_organization(self) -> None:
        name = self._configuration.organization_name
        key, stored_name = self._state.organization_key, self._state.organization_name
        if stored_name is None:
            if name is None:
                message = (
                    f"The credential has no organization {quote_value(key)}. To create it, set the "
                    "name of the organization."
                )
                error = self._configuration.error_at(message, "organization")
                raise InvalidFileError([error])
            change = self._add_change(CREATED, "organization", f"organization {quote_value(key)}")
            document = """
mutation CreateOrganization($key: String!, $name: String!) {
  payload: createOrganization(key: $key, name: $name) { userErrors { message path } }
}
"""
            change.steps.append(
                Step(Phase.ORGANIZATION, document, lambda _: {"key": key, "name": name})
            )
        elif name not in (None, stored_name):
            change = self._add_change(CHANGED, "organization", f"organization {quote_value(key)}")
            change.words.append(f"Name from {quote_value(stored_name)} to {quote_value(name)}.")
            document = """
mutation RenameOrganization($name: String!) {
  payload: updateOrganization(name: $name) { userErrors { message path } }
}
"""
            change.steps.append(Step(Phase.ORGANIZATION, document, lambda _: {"name": name}))

    # Event types.

    def _plan_event_type(self, item: ConfiguredItem, stored: StoredItem | None) -> None:
        if stored is None:
            self._create_event_type(item)
            return
        change = Change(
            CHANGED,
            EVENT_TYPES.name,
            stored.title,
            before=stored.value,
            after=item.value,
            path=item.path,
        )
        lifecycle = ("state", "sunsetAt")
        definitions = [
            {name: value for name, value in each.items() if name not in lifecycle}
            for each in (stored.value, item.value)
        ]
        if definitions[0] != definitions[1]:
            self._replace_definition(change, item, stored)
        self._plan_transitions(change, item, stored)
        if change.steps:
            self._plan.changes.append(change)

    def _create_event_type(self, item: ConfiguredItem) -> None:
        counts = (
            format_count(len(item.value.get("fields", ())), "field"),
            format_count(len(item.value.get("conditionalRules", ())), "conditional rule"),
        )
        state = item.value.get("state", _DEFAULT_STATE)
        change = self._add_change(CREATED, EVENT_TYPES.name, item.title, item)
        change.words.append(f"{counts[0]}, {counts[1]}, {state}.")
        if self._state.organization_name is not None:
            self._check_definition(item, None)
        document = """
mutation CreateEventType($input: CreateEventTypeInput!) {
  payload: createEventType(input: $input) { object: eventType { id } userErrors { message path } }
}
"""
        variables = {"input": to_input(item) | {"state": "DRAFT"}}
        created = (EVENT_TYPES.name, item.key)
        change.steps.append(Step(Phase.EVENT_TYPES, document, lambda _: variables, created))
        self._add_transitions(change, item, "DRAFT", lambda ids: ids[created])

    def _check_definition(
        self, item: ConfiguredItem, stored: StoredItem | None
    ) -> tuple[str | None, str | None]:
        """Lets the server compare the definition with the stored one.

        Returns what it changes in words, and the message of the rules that it would break. Other
        problems become errors of the plan.
        """
        definition = {name: value for name, value in to_input(item).items() if name != "state"}
        check = self._fetch_check(definition, stored)
        for error in check["userErrors"]:
            if error["code"] != "IN_USE" or _concerns_type(error):
                path = [int(step) if step.isdecimal() else step for step in error["path"][1:]]
                self._add_error(error["message"], item, *path)
        return check["summary"], _find_in_use(check)

    def _fetch_check(
        self, definition: Mapping[str, Any], stored: StoredItem | None
    ) -> dict[str, Any]:
        document = """
query CheckEventType($definition: CreateEventTypeInput!, $id: ID) {
  checkEventType(definition: $definition, id: $id) {
    summary
    userErrors { code message path }
  }
}
"""
        stored_id = None if stored is None else stored.id
        data = self._client.execute(document, definition=definition, id=stored_id)
        check: dict[str, Any] = data["checkEventType"]
        return check

    def _replace_definition(self, change: Change, item: ConfiguredItem, stored: StoredItem) -> None:
        summary, in_use = self._check_definition(item, stored)
        if summary is None and in_use is None:
            return
        self._changed_types.add(stored.id)
        if summary is not None:
            change.words.append(summary)
        definition = {name: value for name, value in to_input(item).items() if name != "state"}
        if in_use is None:
            version = stored.row["version"]
            change.steps.append(replace_step(Phase.EVENT_TYPES, stored.id, definition, version))
            return
        # First without removing fields that rules use which this plan changes later.
        names = [each["name"] for each in definition.get("fields", ())]
        kept = [each for each in stored.value.get("fields", ()) if each["name"] not in names]
        widened = definition | {"fields": [*definition.get("fields", ()), *kept]}
        removes_rule = self._removes_rule_of(stored.value["type"])
        if not removes_rule and _find_in_use(self._fetch_check(widened, stored)):
            message = "Change the event type and the rules one after the other."
            self._add_error(f"{in_use} {message}", item)
        change.words.append("Fields that rules use are removed after these rules are changed.")
        change.steps += [
            replace_step(Phase.EVENT_TYPES, stored.id, widened, stored.row["version"]),
            replace_step(Phase.FIELD_REMOVALS, stored.id, definition, None),
        ]
        self._types_in_use.append((item, stored, in_use))

    def _removes_rule_of(self, type_name: str) -> bool:
        """Whether a rule of the event type is no longer in effect before the type changes."""
        removed = [
            *self._removed.get(GUARD_RULES.name, ()),
            *self._removed.get(DUPLICATION_RULES.name, ()),
            *(
                stored
                for item, stored in self._matches.get(GUARD_RULES.name, ())
                if stored is not None and not item.value.get("published", True)
            ),
        ]
        return any(stored.value.get("eventType") == type_name for stored in removed)

    def _check_types_in_use(self) -> None:
        """Adds an error for each type of which no rule changes that could need its fields."""
        for item, stored, message in self._types_in_use:
            types = (stored.value["type"], item.value["type"])
            has_changed_rule = any(
                (change.after or change.before or {}).get("eventType") in types
                for change in self._plan.changes
                if change.section_name in (GUARD_RULES.name, DUPLICATION_RULES.name)
            )
            if not has_changed_rule:
                self._add_error(message, item)

    def _plan_transitions(self, change: Change, item: ConfiguredItem, stored: StoredItem) -> None:
        before, after = stored.row["state"], item.value.get("state", _DEFAULT_STATE)
        sunsets = (stored.row["sunsetAt"], item.value.get("sunsetAt"))
        instants = [text and parse_instant(text) for text in sunsets]
        if before == after and instants[0] == instants[1]:
            return
        if before != after:
            change.words.append(f"State from {before} to {after}.")
        if instants[0] != instants[1]:
            change.words.append(f"sunsetAt from {sunsets[0] or 'none'} to {sunsets[1] or 'none'}.")
        self._add_transitions(change, item, before, lambda _: stored.id)

    def _add_transitions(
        self,
        change: Change,
        item: ConfiguredItem,
        before: str,
        find_id: Callable[[Ids], str],
    ) -> None:
        after, sunset = item.value.get("state", _DEFAULT_STATE), item.value.get("sunsetAt")
        states = _find_transitions(before, after)
        if states is None:
            self._add_error(f"An event type that is {before} cannot become {after}.", item, "state")
            return
        if before == after == "DEPRECATED":
            # Only another transition removes the time.
            states = ["DEPRECATED"] if sunset else ["PUBLISHED", "DEPRECATED"]
        for state in states:
            change.steps.append(transition_step(Phase.TRANSITIONS, find_id, state, sunset))

    def _remove_event_type(self, stored: StoredItem) -> None:
        document = """
query EventsOfType($id: ID!) {
  eventType(by: { id: $id }) { events(first: 1) { nodes { id } } }
}
"""
        event_type = self._client.execute(document, id=stored.id)["eventType"]
        has_events = event_type is not None and event_type["events"]["nodes"]
        if has_events and stored.row["state"] == "ARCHIVED":
            return
        change = Change(REMOVED, EVENT_TYPES.name, stored.title, before=stored.value)
        if has_events:
            change.words.append("Archived, because it has stored events.")
            change.steps.append(
                transition_step(Phase.EVENT_TYPE_REMOVALS, lambda _: stored.id, "ARCHIVED", None)
            )
        else:
            self._deleted_types.add(stored.value["type"])
            change.words.append("Deleted with its rules. It has no stored events.")
            change.steps.append(
                delete_step(Phase.EVENT_TYPE_REMOVALS, "deleteEventType", stored.id)
            )
        self._plan.changes.append(change)

    # Rules.

    def _resolve_event_type(self, item: ConfiguredItem) -> Callable[[Ids], str | None] | None:
        """Returns a function that returns the ID of the event type of a rule, once it exists.

        Adds an error and returns None if no event type has the name.
        """
        type_name = item.value.get("eventType")
        if type_name is None:
            return lambda _: None
        for event_type, stored in self._matches.get(EVENT_TYPES.name, ()):
            if event_type.value["type"] == type_name:
                if stored is not None:
                    stored_id = stored.id
                    return lambda _: stored_id
                return lambda ids: ids[EVENT_TYPES.name, event_type.key]
        unmanaged = self._state.find_event_type(type_name)
        removed = self._removed.get(EVENT_TYPES.name, ())
        if unmanaged is not None and unmanaged not in removed:
            return lambda _: unmanaged.id
        where = "in the file" if unmanaged is not None else "in the file or on the server"
        self._add_error(
            f"There is no event type {quote_value(type_name)} {where}.", item, "eventType"
        )
        return None

    def _plan_guard_rule(self, item: ConfiguredItem, stored: StoredItem | None) -> None:
        find_event_type = self._resolve_event_type(item)
        if find_event_type is None:
            return
        after = {"enforcement": "REJECT"} | dict(item.value)
        content = guard_draft(after)
        published = item.value.get("published", True)
        if stored is None:
            change = self._add_change(CREATED, GUARD_RULES.name, item.title, item)
            change.words.append("Published." if published else "A draft, not in effect.")
            document = """
mutation CreateGuardRule($input: CreateGuardRuleInput!) {
  payload: createGuardRule(input: $input) { object: guardRule { id } userErrors { message path } }
}
"""
            attributes = to_input(item)
            created = (GUARD_RULES.name, item.key)
            change.steps.append(
                Step(
                    Phase.RULES,
                    document,
                    lambda ids: {"input": attributes | {"eventTypeId": find_event_type(ids)}},
                    created,
                )
            )
            if published:
                change.steps.append(publish_step(lambda ids: ids[created]))
                self._try_guard_rule(change, item, content)
            else:
                self._check_rule(item)
            return
        self._change_guard_rule(item, stored, content, published)

    def _change_guard_rule(
        self, item: ConfiguredItem, stored: StoredItem, content: Mapping[str, Any], published: bool
    ) -> None:
        change = Change(
            CHANGED,
            GUARD_RULES.name,
            stored.title,
            before=stored.value,
            after=item.value,
            path=item.path,
        )
        was_published = stored.row["state"] == "PUBLISHED"
        effective, draft = guard_content(stored.row), guard_draft(stored.row)
        in_effect = published and was_published and effective == content
        attributes: dict[str, Any] = {}
        if item.value["name"] != stored.row["name"]:
            attributes["name"] = item.value["name"]
        if not in_effect:
            attributes |= {name: content[name] for name in content if content[name] != draft[name]}
        if was_published and not published:
            change.words.append("Retired.")
            change.steps.append(retire_step(Phase.RULE_REMOVALS, stored.id))
        names = ["name"] if "name" in attributes else []
        names += [name for name, value in content.items() if value != effective[name]]
        if names:
            change.words.append(f"Changed {', '.join(names)}.")
        if attributes:
            change.steps.append(
                update_step("UpdateGuardRuleInput", "updateGuardRule", stored.id, attributes)
            )
        if published and not in_effect:
            change.words.append("Published.")
            if was_published and draft not in (content, effective):
                change.words.append("Unpublished changes of the draft on the server are lost.")
            change.steps.append(publish_step(lambda _: stored.id))
            self._try_guard_rule(change, item, content)
        elif attributes:
            self._check_rule(item)
        if change.steps:
            self._plan.changes.append(change)

    def _check_rule(self, item: ConfiguredItem) -> None:
        """Adds the errors that the rule has with the fields of its event type in the file."""
        for problem in find_rule_problems(self._configuration, item):
            self._add_error(problem.message, item, *problem.path)

    def _try_guard_rule(
        self, change: Change, item: ConfiguredItem, content: Mapping[str, Any]
    ) -> None:
        """Adds what the rule would do to the newest stored events."""
        event_type = self._state.find_event_type(item.value.get("eventType"))
        is_new = "eventType" in item.value and event_type is None
        if is_new or self._state.organization_name is None:
            self._check_rule(item)
            return
        if event_type is not None and event_type.id in self._changed_types:
            self._check_rule(item)
            change.words.append("Not tried on stored events, because its event type changes.")
            return
        if not {"RULE_MANAGE", "EVENT_READ"} <= self._state.permissions:
            change.words.append("Not tried on stored events, which requires EVENT_READ.")
            return
        document = """
query TryGuardRule($expression: String!, $eventTypeId: ID, $last: Int) {
  tryGuardRule(expression: $expression, eventTypeId: $eventTypeId, last: $last) {
    checked rejected notEvaluable
    userErrors { message ... on ExpressionError { line column } }
  }
}
"""
        trial = self._client.execute(
            document,
            expression=content["expression"],
            eventTypeId=None if event_type is None else event_type.id,
            last=self._options.last,
        )["tryGuardRule"]
        for error in trial["userErrors"]:
            place = f"Line {error['line']}, column {error['column']}: " if "line" in error else ""
            self._add_error(place + error["message"], item, "expression")
        if trial["checked"]:
            verb = "reject" if content["enforcement"] == "REJECT" else "warn about"
            count = trial["rejected"] + trial["notEvaluable"]
            events = format_count(trial["checked"], "stored event")
            change.words.append(
                f"Of the newest {events}, it would {verb} {count:,}"
                + (f" ({trial['notEvaluable']:,} not evaluable)." if count else ".")
            )

    def _remove_guard_rule(self, stored: StoredItem) -> None:
        if self._is_deleted_with_type(stored):
            return
        change = Change(REMOVED, GUARD_RULES.name, stored.title, before=stored.value)
        change.words.append("Retired. Guard rules cannot be deleted.")
        change.steps.append(retire_step(Phase.RULE_REMOVALS, stored.id))
        self._plan.changes.append(change)

    def _is_deleted_with_type(self, stored: StoredItem) -> bool:
        return stored.value.get("eventType") in self._deleted_types

    def _plan_duplication_rules(
        self, matches: Sequence[tuple[ConfiguredItem, StoredItem | None]]
    ) -> None:
        """Plans the rules in the order of the file, so that each gets its final position.

        A mutation moves the rules behind the position, as the list of IDs does here.
        """
        removed = self._removed[DUPLICATION_RULES.name]
        deleted = [stored.id for stored in removed if not self._is_deleted_with_type(stored)]
        order: list[str | ConfiguredItem] = [
            stored.id
            for stored in self._state.items[DUPLICATION_RULES.name]
            if stored.id not in deleted
        ]
        for position, (item, stored) in enumerate(matches):
            find_event_type = self._resolve_event_type(item)
            if find_event_type is None:
                continue
            if stored is None:
                order.insert(position, item)
                self._create_duplication_rule(item, position, find_event_type)
                continue
            has_moved = order.index(stored.id) != position
            order.remove(stored.id)
            order.insert(position, stored.id)
            self._change_duplication_rule(item, stored, position if has_moved else None)

    def _create_duplication_rule(
        self, item: ConfiguredItem, position: int, find_event_type: Callable[[Ids], str | None]
    ) -> None:
        change = self._add_change(CREATED, DUPLICATION_RULES.name, item.title, item)
        change.words.append(f"At position {position}.")
        self._check_rule(item)
        if item.value.get("enabled", True):
            change.words += self._try_duplication_rule(item)
        document = """
mutation CreateDuplicationRule($input: CreateDuplicationRuleInput!) {
  payload: createDuplicationRule(input: $input) { userErrors { message path } }
}
"""
        attributes = to_input(item) | {"position": position}
        change.steps.append(
            Step(
                Phase.RULES,
                document,
                lambda ids: {"input": attributes | {"eventTypeId": find_event_type(ids)}},
            )
        )

    def _change_duplication_rule(
        self, item: ConfiguredItem, stored: StoredItem, position: int | None
    ) -> None:
        window = parse_input_length(read_input(item).window, "window")
        after = {"escalate": True, "enabled": True} | dict(item.value)
        after["window"] = format_duration(window)
        names = ("name", "fingerprint", "window", "action", "escalate", "enabled")
        attributes = {name: after[name] for name in names if after[name] != stored.row[name]}
        words = []
        if attributes:
            words.append(f"Changed {', '.join(attributes)}.")
            self._check_rule(item)
        if {"fingerprint", "window"} & attributes.keys():
            words.append("Its stored fingerprints are cleared: earlier events have no duplicates.")
        if {"fingerprint", "window", "enabled"} & attributes.keys() and after["enabled"]:
            words += self._try_duplication_rule(item)
        if position is not None:
            words.append(f"Moved to position {position}.")
            attributes["position"] = position
        if not attributes:
            return
        change = Change(
            CHANGED,
            DUPLICATION_RULES.name,
            stored.title,
            words,
            stored.value,
            item.value,
            [
                update_step(
                    "UpdateDuplicationRuleInput", "updateDuplicationRule", stored.id, attributes
                )
            ],
            item.path,
        )
        self._plan.changes.append(change)

    def _try_duplication_rule(self, item: ConfiguredItem) -> list[str]:
        """Returns what the rule would do to the newest stored events, in words."""
        event_type = self._state.find_event_type(item.value.get("eventType"))
        is_new = "eventType" in item.value and event_type is None
        if is_new or self._state.organization_name is None or self._errors:
            return []
        if "EVENT_READ" not in self._state.permissions:
            return ["Not tried on stored events, which requires EVENT_READ."]
        value = read_input(item)
        rule = DuplicationRule(
            UUID(int=0),
            value.name,
            tuple(value.fingerprint),
            parse_input_length(value.window, "window"),
            value.action,
            None if event_type is None else UUID(event_type.id),
        )
        trial = try_duplication_rule(self._client, self._state, rule, self._options.last)
        if trial.checked == 0:
            return []
        events = format_count(trial.checked, "stored event")
        return [f"Of the newest {events}, {trial.duplicates:,} would be duplicates."]

    def _remove_duplication_rule(self, stored: StoredItem) -> None:
        if self._is_deleted_with_type(stored):
            return
        change = Change(REMOVED, DUPLICATION_RULES.name, stored.title, ["Deleted."], stored.value)
        change.steps.append(delete_step(Phase.RULE_REMOVALS, "deleteDuplicationRule", stored.id))
        self._plan.changes.append(change)

    # Retention policies.

    def _plan_retention_policy(self, item: ConfiguredItem, stored: StoredItem | None) -> None:
        keep_for = parse_input_length(read_input(item).keep_for, "keepFor")
        filter = None if "filter" not in item.value else normalize_filter(item.value["filter"])
        if stored is None:
            change = self._add_change(CREATED, RETENTION_POLICIES.name, item.title, item)
            document = """
mutation CreateRetentionPolicy($input: CreateRetentionPolicyInput!) {
  payload: createRetentionPolicy(input: $input) { userErrors { message path } }
}
"""
            attributes = to_input(item)
            change.steps.append(
                Step(Phase.RETENTION_POLICIES, document, lambda _: {"input": attributes})
            )
        else:
            attributes = {}
            if item.value["name"] != stored.row["name"]:
                attributes["name"] = item.value["name"]
            if filter != stored.row["filter"]:
                attributes["filter"] = item.value["filter"]
            if format_duration(keep_for) != stored.row["keepFor"]:
                attributes["keepFor"] = item.value["keepFor"]
            if not attributes:
                return
            change = Change(
                CHANGED,
                RETENTION_POLICIES.name,
                stored.title,
                [f"Changed {', '.join(attributes)}."],
                stored.value,
                item.value,
                path=item.path,
            )
            change.steps.append(
                update_step(
                    "UpdateRetentionPolicyInput",
                    "updateRetentionPolicy",
                    stored.id,
                    attributes,
                    Phase.RETENTION_POLICIES,
                )
            )
            self._plan.changes.append(change)
        if filter is not None and (stored is None or attributes.keys() - {"name"}):
            self._count_expired_events(change, item, keep_for)

    def _count_expired_events(
        self, change: Change, item: ConfiguredItem, keep_for: timedelta
    ) -> None:
        """Adds the number of events that the policy selects. It also checks the filter."""
        if self._state.organization_name is None:
            return
        if "EVENT_READ" not in self._state.permissions:
            change.words.append("Stored events are not counted, which requires EVENT_READ.")
            return
        document = """
query ExpiredEvents($filter: EventFilter) { events(filter: $filter) { totalCount } }
"""
        expired = {"recordedAt": {"to": format_instant(datetime.now(UTC) - keep_for)}}
        combined = {"and": [item.value["filter"], expired, {"updatedAt": expired["recordedAt"]}]}
        try:
            count = self._client.execute(document, filter=combined)["events"]["totalCount"]
        except ApiError as error:
            if error.code != ErrorCode.BAD_USER_INPUT:
                raise
            self._add_error(str(error), item, "filter")
            return
        change.words.append(f"It would delete {format_count(count, 'stored event')} now.")

    def _remove_retention_policy(self, stored: StoredItem) -> None:
        change = Change(REMOVED, RETENTION_POLICIES.name, stored.title, ["Deleted."], stored.value)
        step = delete_step(Phase.RETENTION_POLICIES, "deleteRetentionPolicy", stored.id)
        change.steps.append(step)
        self._plan.changes.append(change)

    def _add_change(
        self, kind: str, section_name: str, title: str, item: ConfiguredItem | None = None
    ) -> Change:
        change = Change(kind, section_name, title)
        if item is not None:
            change.after, change.path = item.value, item.path
        self._plan.changes.append(change)
        return change


def _find_in_use(check: Mapping[str, Any]) -> str | None:
    """Returns the messages of the rules that a definition would break. None if there is none."""
    messages = [
        error["message"]
        for error in check["userErrors"]
        if error["code"] == "IN_USE" and not _concerns_type(error)
    ]
    return " ".join(messages) or None


def _concerns_type(error: Mapping[str, Any]) -> bool:
    """Whether the type cannot be renamed because it has events."""
    return list(error["path"][-1:]) == ["type"]


def _find_transitions(before: str, after: str) -> list[str] | None:
    """Returns the shortest sequence of states that leads to the last one. None if none does."""
    paths: deque[list[EventTypeState]] = deque([[EventTypeState(before)]])
    seen = {EventTypeState(before)}
    while paths:
        path = paths.popleft()
        if path[-1].value == after:
            return [state.value for state in path[1:]]
        for state in allowed_transitions(path[-1]):
            if state not in seen:
                seen.add(state)
                paths.append([*path, state])
    return None
