"""Plans guard rules, and tries them on stored events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.configuration.configuration import ConfiguredItem, format_place, to_input
from app.configuration.file_schema import GUARD_RULES
from app.configuration.mutations import Phase, Step, publish_step, retire_step, update_step
from app.configuration.plan_context import PlanContext
from app.configuration.plans import CHANGED, CREATED, Change
from app.configuration.rule_planning import is_deleted_with_type, resolve_event_type
from app.configuration.stored_state import StoredItem, guard_content, guard_draft
from app.domain.shared.messages import format_count


def plan_guard_rules(context: PlanContext) -> None:
    for item, stored in context.matches_of(GUARD_RULES):
        _plan_guard_rule(context, item, stored)
    for stored in context.removed_from(GUARD_RULES):
        _remove_guard_rule(context, stored)


def _plan_guard_rule(context: PlanContext, item: ConfiguredItem, stored: StoredItem | None) -> None:
    find_event_type = resolve_event_type(context, item)
    if find_event_type is None:
        return
    after = {"enforcement": "REJECT"} | dict(item.value)
    content = guard_draft(after)
    published = item.value.get("published", True)
    if stored is None:
        change = context.add_change(CREATED, GUARD_RULES.name, item.title, item)
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
        words = _try_guard_rule(context, item, content)
        if published:
            change.steps.append(publish_step(lambda ids: ids[created]))
            change.words += words
        return
    _change_guard_rule(context, item, stored, content, published)


def _change_guard_rule(
    context: PlanContext,
    item: ConfiguredItem,
    stored: StoredItem,
    content: Mapping[str, Any],
    published: bool,
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
        change.words += _try_guard_rule(context, item, content)
    elif attributes:
        _try_guard_rule(context, item, content)
    if change.steps:
        context.check_item(item)
        context.plan.changes.append(change)


def _try_guard_rule(
    context: PlanContext, item: ConfiguredItem, content: Mapping[str, Any]
) -> list[str]:
    """Returns what the rule would do to the newest stored events. Adds its errors on the server."""
    event_type = context.state.find_event_type(item.value.get("eventType"))
    is_new = "eventType" in item.value and event_type is None
    if is_new or context.state.organization_name is None:
        return []
    if event_type is not None and event_type.id in context.changed_types:
        return ["Not tried on stored events, because its event type changes."]
    if not {"RULE_MANAGE", "EVENT_READ"} <= context.state.permissions:
        return ["Not tried on stored events, which requires EVENT_READ."]
    document = """
query TryGuardRule($expression: String!, $eventTypeId: ID, $last: Int) {
  tryGuardRule(expression: $expression, eventTypeId: $eventTypeId, last: $last) {
    checked rejected notEvaluable
    userErrors { message ... on ExpressionError { line column } }
  }
}
"""
    trial = context.client.execute(
        document,
        expression=content["expression"],
        eventTypeId=None if event_type is None else event_type.id,
        last=context.options.last,
    )["tryGuardRule"]
    for error in trial["userErrors"]:
        message = error["message"]
        if "line" in error:
            message = format_place(error["line"], error["column"]) + message
        context.add_error(message, item, "expression")
    if not trial["checked"]:
        return []
    verb = "reject" if content["enforcement"] == "REJECT" else "warn about"
    count = trial["rejected"] + trial["notEvaluable"]
    events = format_count(trial["checked"], "stored event")
    return [
        f"Of the newest {events}, it would {verb} {count:,}"
        + (f" ({trial['notEvaluable']:,} not evaluable)." if count else ".")
    ]


def _remove_guard_rule(context: PlanContext, stored: StoredItem) -> None:
    if is_deleted_with_type(context, stored):
        return
    step = retire_step(Phase.RULE_REMOVALS, stored.id)
    context.add_removal(GUARD_RULES, stored, ["Retired. Guard rules cannot be deleted."], step)
