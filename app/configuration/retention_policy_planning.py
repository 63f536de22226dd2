"""Plans retention policies, and counts the events that they would delete."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.api_client import ApiError
from app.configuration.configuration import ConfiguredItem, normalize_filter, read_input, to_input
from app.configuration.file_schema import RETENTION_POLICIES
from app.configuration.mutations import Phase, Step, delete_step, update_step
from app.configuration.plan_context import PlanContext
from app.configuration.plans import CREATED, Change
from app.configuration.stored_state import StoredItem
from app.domain.events.filter_json import filter_to_json
from app.domain.events.filters import older_than
from app.domain.shared.durations import format_duration
from app.domain.shared.messages import format_count
from app.domain.shared.problems import ErrorCode
from app.graphql.shared.scalars import parse_input_length


def plan_retention_policies(context: PlanContext) -> None:
    for item, stored in context.matches_of(RETENTION_POLICIES):
        _plan_retention_policy(context, item, stored)
    for stored in context.removed_from(RETENTION_POLICIES):
        _remove_retention_policy(context, stored)


def _plan_retention_policy(
    context: PlanContext, item: ConfiguredItem, stored: StoredItem | None
) -> None:
    keep_for = parse_input_length(read_input(item).keep_for, "keepFor")
    filter = None
    if "filter" in item.value:
        filter = normalize_filter(item.value["filter"], context.state.limits)
    if stored is None:
        change = context.add_change(CREATED, RETENTION_POLICIES.name, item.title, item)
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
        step = update_step(
            "UpdateRetentionPolicyInput",
            "updateRetentionPolicy",
            stored.id,
            attributes,
            Phase.RETENTION_POLICIES,
        )
        change = context.add_update(item, stored, [f"Changed {', '.join(attributes)}."], step)
    is_counted = stored is None or attributes.keys() - {"name"}
    if filter is not None and is_counted and not context.errors:
        _count_expired_events(context, change, item, keep_for)


def _count_expired_events(
    context: PlanContext, change: Change, item: ConfiguredItem, keep_for: timedelta
) -> None:
    """Adds the number of events that the policy selects."""
    if context.state.organization_name is None:
        return
    if "EVENT_READ" not in context.state.permissions:
        change.words.append("Stored events are not counted, which requires EVENT_READ.")
        return
    document = """
query ExpiredEvents($filter: EventFilter) { events(filter: $filter) { totalCount } }
"""
    expired = filter_to_json(older_than(datetime.now(UTC) - keep_for))
    combined = {"and": [item.value["filter"], expired]}
    try:
        count = context.client.execute(document, filter=combined)["events"]["totalCount"]
    except ApiError as error:
        if error.code != ErrorCode.BAD_USER_INPUT:
            raise
        context.add_error(str(error), item, "filter")
        return
    change.words.append(f"It would delete {format_count(count, 'stored event')} now.")


def _remove_retention_policy(context: PlanContext, stored: StoredItem) -> None:
    step = delete_step(Phase.RETENTION_POLICIES, "deleteRetentionPolicy", stored.id)
    context.add_removal(RETENTION_POLICIES, stored, ["Deleted."], step)
