"""Plans duplication rules and their order, and tries them on stored events."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from app.configuration.configuration import ConfiguredItem, read_input, to_input
from app.configuration.file_schema import DUPLICATION_RULES
from app.configuration.mutations import Ids, Phase, Step, delete_step, update_step
from app.configuration.plan_context import PlanContext
from app.configuration.plans import CREATED
from app.configuration.rule_planning import is_deleted_with_type, resolve_event_type
from app.configuration.stored_state import StoredItem
from app.configuration.trials import try_duplication_rule
from app.domain.rules.duplicates import DuplicationRule
from app.domain.shared.durations import format_duration
from app.domain.shared.messages import format_count
from app.graphql.shared.scalars import parse_input_length


def plan_duplication_rules(context: PlanContext) -> None:
    """Plans the rules in the order of the file, so that each gets its final position.

    A mutation moves the rules behind the position, as the list of IDs does here.
    """
    removed = context.removed_from(DUPLICATION_RULES)
    deleted = [stored.id for stored in removed if not is_deleted_with_type(context, stored)]
    order: list[str | ConfiguredItem] = [
        stored.id
        for stored in context.state.items.get(DUPLICATION_RULES.name, ())
        if stored.id not in deleted
    ]
    for position, (item, stored) in enumerate(context.matches_of(DUPLICATION_RULES)):
        find_event_type = resolve_event_type(context, item)
        if find_event_type is None:
            continue
        if stored is None:
            order.insert(position, item)
            _create_duplication_rule(context, item, position, find_event_type)
            continue
        has_moved = order.index(stored.id) != position
        order.remove(stored.id)
        order.insert(position, stored.id)
        _change_duplication_rule(context, item, stored, position if has_moved else None)
    for stored in removed:
        _remove_duplication_rule(context, stored)


def _create_duplication_rule(
    context: PlanContext,
    item: ConfiguredItem,
    position: int,
    find_event_type: Callable[[Ids], str | None],
) -> None:
    change = context.add_change(CREATED, DUPLICATION_RULES.name, item.title, item)
    change.words.append(f"At position {position}.")
    if item.value.get("enabled", True):
        change.words += _try_duplication_rule(context, item)
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
    context: PlanContext, item: ConfiguredItem, stored: StoredItem, position: int | None
) -> None:
    window = parse_input_length(read_input(item).window, "window")
    after = {"escalate": True, "enabled": True} | dict(item.value)
    after["window"] = format_duration(window)
    names = ("name", "fingerprint", "window", "action", "escalate", "enabled")
    attributes = {name: after[name] for name in names if after[name] != stored.row[name]}
    words = []
    if attributes:
        words.append(f"Changed {', '.join(attributes)}.")
        context.check_item(item)
    if {"fingerprint", "window"} & attributes.keys():
        words.append("Its stored fingerprints are cleared: earlier events have no duplicates.")
    if {"fingerprint", "window", "enabled"} & attributes.keys() and after["enabled"]:
        words += _try_duplication_rule(context, item)
    if position is not None:
        words.append(f"Moved to position {position}.")
        attributes["position"] = position
    if not attributes:
        return
    step = update_step("UpdateDuplicationRuleInput", "updateDuplicationRule", stored.id, attributes)
    context.add_update(item, stored, words, step)


def _try_duplication_rule(context: PlanContext, item: ConfiguredItem) -> list[str]:
    """Returns what the rule would do to the newest stored events, in words."""
    event_type = context.state.find_event_type(item.value.get("eventType"))
    is_new = "eventType" in item.value and event_type is None
    if is_new or context.state.organization_name is None or context.errors:
        return []
    if "EVENT_READ" not in context.state.permissions:
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
    trial = try_duplication_rule(context.client, context.state, rule, context.options.last)
    if trial.checked == 0:
        return []
    events = format_count(trial.checked, "stored event")
    return [f"Of the newest {events}, {trial.duplicates:,} would be duplicates."]


def _remove_duplication_rule(context: PlanContext, stored: StoredItem) -> None:
    if is_deleted_with_type(context, stored):
        return
    step = delete_step(Phase.RULE_REMOVALS, "deleteDuplicationRule", stored.id)
    context.add_removal(DUPLICATION_RULES, stored, ["Deleted."], step)
