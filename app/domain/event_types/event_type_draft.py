"""A definition in work: its fields and rules by their ids, and the edits that people make of it.

An edit changes the shape in place and says what it minds. Then the whole that it led to is judged.
Every problem is told at its place in the arguments of the mutation that the edit is named after.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from app.domain.event_types.conditions import ConditionalRule, rules_naming
from app.domain.event_types.definitions import GENERAL, TypeDefinition, type_problems
from app.domain.event_types.fields import FieldDefinition
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode, invalid

Path = tuple[str, ...]
_MOST_NAMED = 10


@dataclass
class Shape:
    definition: TypeDefinition
    fields: dict[UUID, FieldDefinition] = field(default_factory=dict)
    rules: dict[UUID, ConditionalRule] = field(default_factory=dict)
    taken: ConditionalRule | None = None  # the rule that an edit took away

    def whole(self) -> TypeDefinition:
        return replace(
            self.definition,
            fields=tuple(self.fields.values()),
            rules=tuple(self.rules.values()),
        )


@dataclass(frozen=True)
class Edited:
    """What an edit minds, and where in its input it said what.

    `places` leads from a path in the definition to one in the input. What is wrong elsewhere, as a
    rule that would not fit any more, is told at `otherwise`.
    """

    problems: Sequence[Problem] = ()
    places: Mapping[Path, Path] = field(default_factory=dict)
    otherwise: Path = ()


Edit = Callable[[Shape], Edited]


def problems_of(
    before: TypeDefinition, shape: Shape, done: Edited, limits: Limits
) -> list[Problem]:
    """What is wrong with the definition that an edit led to, told where the edit said it.

    What was wrong before, under wider limits, stands in no edit's way.
    """
    if done.problems:
        return list(done.problems)
    after = shape.whole()
    limits = _wide_enough(before, limits)
    known = {problem.message for problem in type_problems(before, limits)}
    new = [each for each in type_problems(after, limits) if each.message not in known]
    # A cycle is told under every rule in it: once is enough, where the edit closed it.
    here = {each.message for each in new if _place(each.path, done) is not None}
    return [
        _placed(problem, after, done)
        for problem in new
        if problem.message not in here or _place(problem.path, done) is not None
    ]


def _wide_enough(before: TypeDefinition, limits: Limits) -> Limits:
    """No more of anything than there may be, or than there was; all there is, is judged."""
    return replace(
        limits,
        fields_per_type=max(limits.fields_per_type, len(before.fields)),
        rules_per_type=max(limits.rules_per_type, len(before.rules)),
    )


def _place(path: Path, done: Edited) -> Path | None:
    """Where in its input the edit said what lies at this path of the definition."""
    for length in range(len(path), -1, -1):
        place = done.places.get(path[:length])
        # What is wrong with a list is told where it grew, what is wrong with an item is not.
        if place is not None and not (length == 1 < len(path)):
            return (*place, *path[length:])
    return None


def _placed(problem: Problem, definition: TypeDefinition, done: Edited) -> Problem:
    if (place := _place(problem.path, done)) is not None:
        return replace(problem, path=place)
    kind, index, *_ = (*problem.path, "", "")
    message = problem.message
    if kind == "conditionalRules" and index:
        rule = definition.rules[int(index)].name
        message = f"The conditional rule {rule} would not fit any more: {message}"
    return Problem(UserErrorCode.IN_USE, message, done.otherwise)


def update_attributes(given: Mapping[str, Any]) -> Edit:
    """New name, type, description, category; None clears what may be empty."""

    def edit(shape: Shape) -> Edited:
        missing = _not_null(given, "name", "type")
        if not missing:
            shape.definition = replace(shape.definition, **_or(given, category=GENERAL))
        return Edited(missing, {(): ("input",)})

    return edit


def add_field(field_id: UUID, added: FieldDefinition) -> Edit:
    def edit(shape: Shape) -> Edited:
        if any(each.name == added.name for each in shape.fields.values()):
            message = f"The event type has a field {added.name} already."
            return Edited([Problem(UserErrorCode.ALREADY_EXISTS, message, ("field", "name"))])
        index = str(len(shape.fields))
        shape.fields[field_id] = added
        return Edited(places={("fields", index): ("field",), ("fields",): ("field",)})

    return edit


def update_field(field_id: UUID, given: Mapping[str, Any]) -> Edit:
    """New attributes of a field; its name is its own for good."""

    def edit(shape: Shape) -> Edited:
        if field_id not in shape.fields:
            return _gone("field", field_id, "input", "id")
        if missing := _not_null(given, "kind", "required"):
            return Edited(missing)
        index = list(shape.fields).index(field_id)
        known = shape.fields[field_id]
        shape.fields[field_id] = replace(known, **_or(given, label=known.name))
        blamed = "options" if "options" in given and "kind" not in given else "kind"
        places: dict[Path, Path] = {("fields", str(index)): ("input",)}
        return Edited(places=places, otherwise=("input", blamed))

    return edit


def remove_field(field_id: UUID) -> Edit:
    """Stored values stay as they are. A field that a rule names stays, too."""

    def edit(shape: Shape) -> Edited:
        if field_id not in shape.fields:
            return _gone("field", field_id, "id")
        name = shape.fields[field_id].name
        del shape.fields[field_id]
        if naming := [rule.name for rule in rules_naming(name, shape.rules.values())]:
            message = f"Conditional rules name the field {name}: {', '.join(naming)}."
            return Edited([Problem(UserErrorCode.IN_USE, message, ("id",))])
        return Edited(otherwise=("id",))

    return edit


def reorder_fields(field_ids: Sequence[UUID]) -> Edit:
    """All of the type's fields, each once, in their new order."""

    def edit(shape: Shape) -> Edited:
        names = {field_id: each.name for field_id, each in shape.fields.items()}
        given = Counter(field_ids)
        told = {
            "missing": [name for each, name in names.items() if each not in given],
            "not of this type": [str(each) for each in given if each not in names],
            "repeated": [name for each, name in names.items() if given[each] > 1],
        }
        wrong = [f"{what}: {_listed(each)}" for what, each in told.items() if each]
        if wrong:
            message = f"Give each field of the type once ({'; '.join(wrong)})."
            return Edited([invalid(message, "fieldIds")])
        shape.fields = {field_id: shape.fields[field_id] for field_id in field_ids}
        return Edited()

    return edit


def add_rule(rule_id: UUID, added: ConditionalRule) -> Edit:
    def edit(shape: Shape) -> Edited:
        index = str(len(shape.rules))
        shape.rules[rule_id] = added
        here = ("conditionalRules", index)
        places: dict[Path, Path] = {here: ("rule",), here[:1]: ("rule",)}
        return Edited(places=places, otherwise=("rule", "condition"))

    return edit


def update_rule(rule_id: UUID, given: Mapping[str, Any]) -> Edit:
    def edit(shape: Shape) -> Edited:
        if rule_id not in shape.rules:
            return _gone("conditional rule", rule_id, "input", "id")
        if missing := _not_null(given, *given):
            return Edited(missing)
        index = list(shape.rules).index(rule_id)
        shape.rules[rule_id] = replace(shape.rules[rule_id], **given)
        places: dict[Path, Path] = {("conditionalRules", str(index)): ("input",)}
        return Edited(places=places, otherwise=("input", "condition"))

    return edit


def delete_rule(rule_id: UUID) -> Edit:
    def edit(shape: Shape) -> Edited:
        if rule_id not in shape.rules:
            return _gone("conditional rule", rule_id, "id")
        shape.taken = shape.rules.pop(rule_id)
        return Edited()

    return edit


def _listed(names: Sequence[str]) -> str:
    some = ", ".join(names[:_MOST_NAMED])
    return some if len(names) <= _MOST_NAMED else f"{some} and {len(names) - _MOST_NAMED:,} more"


def gone(noun: str, missing: object, *path: str) -> Problem:
    return Problem(UserErrorCode.NOT_FOUND, f"There is no {noun} {missing}.", path)


def _gone(noun: str, missing: UUID, *path: str) -> Edited:
    return Edited([gone(noun, missing, *path)])


def _or(given: Mapping[str, Any], **unsaid: Any) -> dict[str, Any]:
    """What was given, with these values in place of null."""
    return {name: unsaid.get(name) if value is None else value for name, value in given.items()}


def _not_null(given: Mapping[str, Any], *names: str) -> list[Problem]:
    missing = [name for name in names if name in given and given[name] is None]
    return [invalid("Must not be null.", "input", name) for name in missing]
