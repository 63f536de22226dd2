"""Plans silences. Those that are over are neither read nor created."""

from __future__ import annotations

from datetime import UTC, datetime

from app.configuration.configuration import ConfiguredItem, read_input, to_input
from app.configuration.file_schema import SILENCES
from app.configuration.mutations import Phase, Step, delete_step, update_step
from app.configuration.plan_context import PlanContext
from app.configuration.plans import CREATED
from app.configuration.stored_state import StoredItem
from app.domain.shared.values import format_instant


def plan_silences(context: PlanContext) -> None:
    for item, stored in context.matches_of(SILENCES):
        _plan_silence(context, item, stored)
    for stored in context.removed_from(SILENCES):
        _end_silence(context, stored)


def _plan_silence(context: PlanContext, item: ConfiguredItem, stored: StoredItem | None) -> None:
    ends_at = read_input(item).ends_at
    is_over = ends_at <= datetime.now(UTC)
    if stored is None:
        if not is_over:
            _create_silence(context, item)
        return
    if is_over:
        _end_silence(context, stored)
        return
    attributes = {}
    if format_instant(ends_at) != stored.row["endsAt"]:
        attributes["endsAt"] = item.value["endsAt"]
    if item.value["comment"] != stored.row["comment"]:
        attributes["comment"] = item.value["comment"]
    if not attributes:
        return
    step = update_step("UpdateSilenceInput", "updateSilence", stored.id, attributes, Phase.SILENCES)
    context.add_update(item, stored, [f"Changed {', '.join(attributes)}."], step)


def _create_silence(context: PlanContext, item: ConfiguredItem) -> None:
    change = context.add_change(CREATED, SILENCES.name, item.title, item)
    document = """
mutation CreateSilence($input: CreateSilenceInput!) {
  payload: createSilence(input: $input) { userErrors { message path } }
}
"""
    attributes = to_input(item)
    change.steps.append(Step(Phase.SILENCES, document, lambda _: {"input": attributes}))


def _end_silence(context: PlanContext, stored: StoredItem) -> None:
    words = ["Ended. What it has silenced and is still open notifies."]
    step = delete_step(Phase.SILENCES, "expireSilence", stored.id)
    context.add_removal(SILENCES, stored, words, step)
