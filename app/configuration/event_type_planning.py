"""Plans event types: their definitions and lifecycle."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from app.configuration.configuration import ConfiguredItem, to_input
from app.configuration.file_schema import DUPLICATION_RULES, EVENT_TYPES, GUARD_RULES
from app.configuration.mutations import (
    Ids,
    Phase,
    Step,
    delete_step,
    replace_step,
    transition_step,
)
from app.configuration.plan_context import PlanContext
from app.configuration.plans import CHANGED, CREATED, Change
from app.configuration.stored_state import StoredItem
from app.domain.event_types.lifecycle import EventTypeState, allowed_transitions
from app.domain.shared.messages import format_count
from app.domain.shared.values import parse_instant

_DEFAULT_STATE = "PUBLISHED"


def plan_event_types(context: PlanContext) -> None:
    for item, stored in context.matches_of(EVENT_TYPES):
        if stored is None:
            _create_event_type(context, item)
        else:
            _change_event_type(context, item, stored)
    for stored in context.removed_from(EVENT_TYPES):
        _remove_event_type(context, stored)


def _change_event_type(context: PlanContext, item: ConfiguredItem, stored: StoredItem) -> None:
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
        _replace_definition(context, change, item, stored)
    _plan_transitions(context, change, item, stored)
    if change.steps:
        context.plan.changes.append(change)


def _create_event_type(context: PlanContext, item: ConfiguredItem) -> None:
    counts = (
        format_count(len(item.value.get("fields", ())), "field"),
        format_count(len(item.value.get("conditionalRules", ())), "conditional rule"),
    )
    state = item.value.get("state", _DEFAULT_STATE)
    change = context.add_change(CREATED, EVENT_TYPES.name, item.title, item)
    change.words.append(f"{counts[0]}, {counts[1]}, {state}.")
    if context.state.organization_name is not None:
        _check_definition(context, item, None)
    document = """
mutation CreateEventType($input: CreateEventTypeInput!) {
  payload: createEventType(input: $input) { object: eventType { id } userErrors { message path } }
}
"""
    variables = {"input": to_input(item) | {"state": "DRAFT"}}
    created = (EVENT_TYPES.name, item.key)
    change.steps.append(Step(Phase.EVENT_TYPES, document, lambda _: variables, created))
    _add_transitions(context, change, item, "DRAFT", lambda ids: ids[created])


def _check_definition(
    context: PlanContext, item: ConfiguredItem, stored: StoredItem | None
) -> tuple[str | None, str | None]:
    """Lets the server compare the definition with the stored one.

    Returns what it changes in words, and the message of the rules that it would break. Other
    problems become errors of the plan.
    """
    definition = {name: value for name, value in to_input(item).items() if name != "state"}
    check = _fetch_check(context, definition, stored)
    for error in check["userErrors"]:
        if error["code"] != "IN_USE" or _concerns_type(error):
            path = [int(step) if step.isdecimal() else step for step in error["path"][1:]]
            context.add_error(error["message"], item, *path)
    return check["summary"], _find_in_use(check)


def _fetch_check(
    context: PlanContext, definition: Mapping[str, Any], stored: StoredItem | None
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
    data = context.client.execute(document, definition=definition, id=stored_id)
    check: dict[str, Any] = data["checkEventType"]
    return check


def _replace_definition(
    context: PlanContext, change: Change, item: ConfiguredItem, stored: StoredItem
) -> None:
    summary, in_use = _check_definition(context, item, stored)
    if summary is None and in_use is None:
        return
    context.changed_types.add(stored.id)
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
    removes_rule = _removes_rule_of(context, stored.value["type"])
    if not removes_rule and _find_in_use(_fetch_check(context, widened, stored)):
        message = "Change the event type and the rules one after the other."
        context.add_error(f"{in_use} {message}", item)
    change.words.append("Fields that rules use are removed after these rules are changed.")
    change.steps += [
        replace_step(Phase.EVENT_TYPES, stored.id, widened, stored.row["version"]),
        replace_step(Phase.FIELD_REMOVALS, stored.id, definition, None),
    ]
    context.types_in_use.append((item, stored, in_use))


def _removes_rule_of(context: PlanContext, type_name: str) -> bool:
    """Whether a rule of the event type is no longer in effect before the type changes."""
    removed = [
        *context.removed_from(GUARD_RULES),
        *context.removed_from(DUPLICATION_RULES),
        *(
            stored
            for item, stored in context.matches_of(GUARD_RULES)
            if stored is not None and not item.value.get("published", True)
        ),
    ]
    return any(stored.value.get("eventType") == type_name for stored in removed)


def check_types_in_use(context: PlanContext) -> None:
    """Adds an error for each type of which no rule changes that could need its fields."""
    for item, stored, message in context.types_in_use:
        types = (stored.value["type"], item.value["type"])
        has_changed_rule = any(
            (change.after or change.before or {}).get("eventType") in types
            for change in context.plan.changes
            if change.section_name in (GUARD_RULES.name, DUPLICATION_RULES.name)
        )
        if not has_changed_rule:
            context.add_error(message, item)


def _plan_transitions(
    context: PlanContext, change: Change, item: ConfiguredItem, stored: StoredItem
) -> None:
    before, after = stored.row["state"], item.value.get("state", _DEFAULT_STATE)
    sunsets = (stored.row["sunsetAt"], item.value.get("sunsetAt"))
    instants = [text and parse_instant(text) for text in sunsets]
    if before == after and instants[0] == instants[1]:
        return
    if before != after:
        change.words.append(f"State from {before} to {after}.")
    if instants[0] != instants[1]:
        change.words.append(f"sunsetAt from {sunsets[0] or 'none'} to {sunsets[1] or 'none'}.")
    _add_transitions(context, change, item, before, lambda _: stored.id)


def _add_transitions(
    context: PlanContext,
    change: Change,
    item: ConfiguredItem,
    before: str,
    find_id: Callable[[Ids], str],
) -> None:
    after, sunset = item.value.get("state", _DEFAULT_STATE), item.value.get("sunsetAt")
    states = _find_transitions(before, after)
    if states is None:
        context.add_error(f"An event type that is {before} cannot become {after}.", item, "state")
        return
    if before == after == "DEPRECATED":
        # Only another transition removes the time.
        states = ["DEPRECATED"] if sunset else ["PUBLISHED", "DEPRECATED"]
    for state in states:
        change.steps.append(transition_step(Phase.TRANSITIONS, find_id, state, sunset))


def _remove_event_type(context: PlanContext, stored: StoredItem) -> None:
    document = """
query EventsOfType($id: ID!) {
  eventType(by: { id: $id }) { events(first: 1) { nodes { id } } }
}
"""
    event_type = context.client.execute(document, id=stored.id)["eventType"]
    has_events = event_type is not None and event_type["events"]["nodes"]
    if has_events and stored.row["state"] == "ARCHIVED":
        return
    if has_events:
        word = "Archived, because it has stored events."
        step = transition_step(Phase.EVENT_TYPE_REMOVALS, lambda _: stored.id, "ARCHIVED", None)
    else:
        context.deleted_types.add(stored.value["type"])
        word = "Deleted with its rules. It has no stored events."
        step = delete_step(Phase.EVENT_TYPE_REMOVALS, "deleteEventType", stored.id)
    context.add_removal(EVENT_TYPES, stored, [word], step)


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
