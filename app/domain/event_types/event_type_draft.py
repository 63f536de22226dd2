"""Drafts of event type definitions, and the edits that change them.

An edit changes the draft in place and returns its own problems. Then the resulting definition is
validated. Paths of problems refer to the arguments of the mutation with the name of the edit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from app.domain.event_types.conditions import ConditionalRule, find_rules_using
from app.domain.event_types.definitions import (
    DEFAULT_CATEGORY,
    EventTypeDefinition,
    validate_definition,
)
from app.domain.event_types.fields import AdditionalFields, FieldDefinition
from app.domain.shared.limits import Limits
from app.domain.shared.messages import (
    format_count,
    join_names,
    null_message,
    quote_names,
    quote_value,
)
from app.domain.shared.problems import Problem, UserErrorCode, invalid_input, not_found

ProblemPath = tuple[str, ...]


@dataclass
class EventTypeDraft:
    """An event type definition that is being edited, with its fields and rules by their IDs."""

    definition: EventTypeDefinition
    fields: dict[UUID, FieldDefinition] = field(default_factory=dict)
    rules: dict[UUID, ConditionalRule] = field(default_factory=dict)
    removed_rule: ConditionalRule | None = None  # the rule that the edit deleted

    def to_definition(self) -> EventTypeDefinition:
        return replace(
            self.definition,
            fields=tuple(self.fields.values()),
            rules=tuple(self.rules.values()),
        )


@dataclass(frozen=True)
class EditResult:
    """The problems of an edit, and the mapping from paths of the definition to paths of its input.

    Problems whose path is not in `path_mapping`, such as a rule that becomes invalid, are reported
    at `fallback_path`. `set_paths`: paths of the definition whose values the edit sets.
    """

    problems: Sequence[Problem] = ()
    path_mapping: Mapping[ProblemPath, ProblemPath] = field(default_factory=dict)
    fallback_path: ProblemPath = ()
    set_paths: Collection[ProblemPath] = ()

    def sets_value_at(self, path: ProblemPath) -> bool:
        return any(path[: len(set_path)] == set_path for set_path in self.set_paths)


Edit = Callable[[EventTypeDraft], EditResult]


def validate_edit(
    before: EventTypeDraft, draft: EventTypeDraft, result: EditResult, limits: Limits
) -> list[Problem]:
    """Validates the definition that results from an edit. Paths are those of the edit's input.

    Problems that existed before the edit, for example under wider limits, do not prevent it, except
    those of a value that it sets. A problem is recognized by its message or, because the message
    may list options that the edit changes, by the value that is invalid.
    """
    if result.problems:
        return list(result.problems)
    after = draft.to_definition()
    limits = _widen_limits(before.to_definition(), limits)
    old_problems = validate_definition(before.to_definition(), limits)
    old_messages = {problem.message for problem in old_problems}
    old_values = [_find_invalid_value(problem, before) for problem in old_problems]
    new_problems = [
        problem
        for problem in validate_definition(after, limits)
        if result.sets_value_at(problem.path)
        or not (
            problem.message in old_messages or _find_invalid_value(problem, draft) in old_values
        )
    ]
    # A cycle is reported for every rule in it. The rule that the edit changed is enough.
    located_messages = {
        problem.message for problem in new_problems if _map_path(problem.path, result) is not None
    }
    return [
        _map_problem(problem, after, result)
        for problem in new_problems
        if problem.message not in located_messages or _map_path(problem.path, result) is not None
    ]


def _find_invalid_value(problem: Problem, draft: EventTypeDraft) -> tuple[object, ...]:
    """Returns the code of the problem, the field or rule by its ID, the attribute and its value."""
    match problem.path:
        case ("fields" | "conditionalRules" as kind, index, attribute, *path):
            items = draft.fields if kind == "fields" else draft.rules
            item_id, item = list(items.items())[int(index)]
            name = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", attribute)
            return problem.code, item_id, attribute, *path, getattr(item, name, None)
    return problem.code, problem.message


def _widen_limits(before: EventTypeDefinition, limits: Limits) -> Limits:
    """Raises limits to the current counts, so that all fields and rules are validated."""
    return replace(
        limits,
        fields_per_type=max(limits.fields_per_type, len(before.fields)),
        rules_per_type=max(limits.rules_per_type, len(before.rules)),
    )


def _map_path(path: ProblemPath, result: EditResult) -> ProblemPath | None:
    """Maps a path of the definition to one of the edit's input. None if it is not in the input."""
    for length in range(len(path), -1, -1):
        mapped = result.path_mapping.get(path[:length])
        # A problem of a whole list is reported at the item that was added; one of its items is not.
        if mapped is not None and not (length == 1 < len(path)):
            return (*mapped, *path[length:])
    return None


def _map_problem(problem: Problem, definition: EventTypeDefinition, result: EditResult) -> Problem:
    if (path := _map_path(problem.path, result)) is not None:
        return replace(problem, path=path)
    kind, index, *_ = (*problem.path, "", "")
    message = problem.message
    if kind == "conditionalRules" and index:
        rule_name = quote_value(definition.rules[int(index)].name)
        message = (
            f"The change would make the conditional rule {rule_name} invalid: {message} Change or "
            "delete the rule first."
        )
    return Problem(UserErrorCode.IN_USE, message, result.fallback_path)


def update_attributes(changes: Mapping[str, Any]) -> Edit:
    """Returns an edit of what is neither a field nor a rule; None clears optional attributes."""

    def edit(draft: EventTypeDraft) -> EditResult:
        problems = _validate_not_null(changes, "name", "type")
        if not problems:
            values = _replace_nulls(
                changes, category=DEFAULT_CATEGORY, additional_fields=AdditionalFields.REFUSE
            )
            draft.definition = replace(draft.definition, **values)
        return EditResult(problems, {(): ("input",)})

    return edit


def replace_definition(
    definition: EventTypeDefinition, create_id: Callable[[], UUID], *path: str
) -> Edit:
    """Returns an edit that replaces everything but the state. Fields and rules keep IDs by name.

    Without `type`, the type keeps its own. `path`: path of the argument with the definition.
    """

    def edit(draft: EventTypeDraft) -> EditResult:
        stored_fields = {field.name: (field_id, field) for field_id, field in draft.fields.items()}
        draft.fields = dict(
            _replace_field(stored_fields.pop(field.name, None), field, create_id)
            for field in definition.fields
        )
        rule_ids: dict[str, list[UUID]] = {}
        for rule_id, stored_rule in draft.rules.items():
            rule_ids.setdefault(stored_rule.name, []).append(rule_id)
        rules = [
            (ids.pop(0) if (ids := rule_ids.get(rule.name)) else create_id(), rule)
            for rule in definition.rules
        ]
        draft.rules = dict(
            sorted(rules, key=lambda item: item[0])
        )  # in order of creation, like those of the table
        draft.definition = replace(
            definition,
            type=definition.type or draft.definition.type,
            category=definition.category or DEFAULT_CATEGORY,
            state=draft.definition.state,
            fields=(),
            rules=(),
        )
        rule_paths: dict[ProblemPath, ProblemPath] = {
            ("conditionalRules", str(list(draft.rules).index(rule_id))): (
                *path,
                "conditionalRules",
                str(index),
            )
            for index, (rule_id, _) in enumerate(rules)
        }
        return EditResult(path_mapping={(): path} | rule_paths, fallback_path=(*path, "fields"))

    return edit


def _replace_field(
    stored: tuple[UUID, FieldDefinition] | None,
    field: FieldDefinition,
    create_id: Callable[[], UUID],
) -> tuple[UUID, FieldDefinition]:
    """Returns the field with its ID. Labels that mean the same keep their stored form."""
    if stored is None:
        return create_id(), field
    field_id, before = stored
    if (field.label or field.name) == (before.label or before.name):
        field = replace(field, label=before.label)
    if field.options == before.options and all(
        (field.labels or {}).get(option, option) == (before.labels or {}).get(option, option)
        for option in field.options or ()
    ):
        field = replace(field, labels=before.labels)
    return field_id, field


def add_field(field_id: UUID, added: FieldDefinition) -> Edit:
    """Returns an edit that appends a field."""

    def edit(draft: EventTypeDraft) -> EditResult:
        if any(definition.name == added.name for definition in draft.fields.values()):
            message = f"The event type already has a field named {quote_value(added.name)}."
            return EditResult([Problem(UserErrorCode.ALREADY_EXISTS, message, ("field", "name"))])
        index = str(len(draft.fields))
        draft.fields[field_id] = added
        path = ("fields", index)
        path_mapping: dict[ProblemPath, ProblemPath] = {path: ("field",), path[:1]: ("field",)}
        return EditResult(path_mapping=path_mapping, set_paths=[path])

    return edit


def update_field(field_id: UUID, changes: Mapping[str, Any]) -> Edit:
    """Returns an edit of the attributes of a field. Its name cannot be changed."""

    def edit(draft: EventTypeDraft) -> EditResult:
        if field_id not in draft.fields:
            return _edit_not_found("field", field_id, "input", "id")
        if problems := _validate_not_null(changes, "kind", "required"):
            return EditResult(problems)
        index = list(draft.fields).index(field_id)
        current = draft.fields[field_id]
        draft.fields[field_id] = replace(current, **_replace_nulls(changes, label=current.name))
        options = "options" if "labels" not in changes else "choices"
        attribute = options if "options" in changes and "kind" not in changes else "kind"
        path = ("fields", str(index))
        return EditResult(
            # The options of a field with labels are its choices, even if only options are given.
            path_mapping={path: ("input",), (*path, "choices"): ("input", options)},
            fallback_path=("input", attribute),
            # An upgrade may have rounded a stored bound to the value that is rejected now.
            set_paths=[(*path, name) for name in ("minimum", "maximum") if name in changes],
        )

    return edit


def remove_field(field_id: UUID) -> Edit:
    """Returns an edit that removes a field that no conditional rule uses. Stored values remain."""

    def edit(draft: EventTypeDraft) -> EditResult:
        if field_id not in draft.fields:
            return _edit_not_found("field", field_id, "id")
        name = draft.fields[field_id].name
        del draft.fields[field_id]
        if rule_names := [rule.name for rule in find_rules_using(name, draft.rules.values())]:
            rule_count = format_count(len(rule_names), "conditional rule")
            message = (
                f"Field {quote_value(name)} is used by {rule_count}: {quote_names(rule_names)}. "
                "Change or delete the rules first."
            )
            return EditResult([Problem(UserErrorCode.IN_USE, message, ("id",))])
        return EditResult(fallback_path=("id",))

    return edit


def reorder_fields(field_ids: Sequence[UUID]) -> Edit:
    """Returns an edit that reorders the fields. Each field must be given exactly once."""

    def edit(draft: EventTypeDraft) -> EditResult:
        names = {field_id: definition.name for field_id, definition in draft.fields.items()}
        counts = Counter(field_ids)
        errors = {
            "missing": [name for field_id, name in names.items() if field_id not in counts],
            "not in this event type": [
                str(field_id) for field_id in counts if field_id not in names
            ],
            "repeated": [name for field_id, name in names.items() if counts[field_id] > 1],
        }
        descriptions = [
            f"{error}: {join_names(fields)}" for error, fields in errors.items() if fields
        ]
        if descriptions:
            details = "; ".join(descriptions)
            message = (
                "fieldIds must contain the ID of each field of the event type exactly once "
                f"({details})."
            )
            return EditResult([invalid_input(message, "fieldIds")])
        draft.fields = {field_id: draft.fields[field_id] for field_id in field_ids}
        return EditResult()

    return edit


def add_rule(rule_id: UUID, added: ConditionalRule) -> Edit:
    """Returns an edit that appends a conditional rule."""

    def edit(draft: EventTypeDraft) -> EditResult:
        index = str(len(draft.rules))
        draft.rules[rule_id] = added
        path = ("conditionalRules", index)
        path_mapping: dict[ProblemPath, ProblemPath] = {path: ("rule",), path[:1]: ("rule",)}
        return EditResult(
            path_mapping=path_mapping, fallback_path=("rule", "condition"), set_paths=[path]
        )

    return edit


def update_rule(rule_id: UUID, changes: Mapping[str, Any]) -> Edit:
    """Returns an edit of the attributes of a conditional rule."""

    def edit(draft: EventTypeDraft) -> EditResult:
        if rule_id not in draft.rules:
            return _edit_not_found("conditional rule", rule_id, "input", "id")
        if problems := _validate_not_null(changes, *changes):
            return EditResult(problems)
        index = list(draft.rules).index(rule_id)
        draft.rules[rule_id] = replace(draft.rules[rule_id], **changes)
        path_mapping: dict[ProblemPath, ProblemPath] = {
            ("conditionalRules", str(index)): ("input",)
        }
        return EditResult(path_mapping=path_mapping, fallback_path=("input", "condition"))

    return edit


def delete_rule(rule_id: UUID) -> Edit:
    """Returns an edit that deletes a conditional rule."""

    def edit(draft: EventTypeDraft) -> EditResult:
        if rule_id not in draft.rules:
            return _edit_not_found("conditional rule", rule_id, "id")
        draft.removed_rule = draft.rules.pop(rule_id)
        return EditResult()

    return edit


def _edit_not_found(noun: str, missing: UUID, *path: str) -> EditResult:
    return EditResult([not_found(noun, missing, *path)])


def _replace_nulls(changes: Mapping[str, Any], **defaults: Any) -> dict[str, Any]:
    """Replaces nulls with the given defaults."""
    return {name: defaults.get(name) if value is None else value for name, value in changes.items()}


def _validate_not_null(changes: Mapping[str, Any], *names: str) -> list[Problem]:
    null_names = [name for name in names if name in changes and changes[name] is None]
    return [invalid_input(null_message(name), "input", name) for name in null_names]
