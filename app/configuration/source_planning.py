"""Plans sources."""

from __future__ import annotations

from app.configuration.configuration import ConfiguredItem, to_input
from app.configuration.file_schema import SOURCES
from app.configuration.mutations import Phase, Step, delete_step, update_step
from app.configuration.plan_context import PlanContext
from app.configuration.plans import CREATED
from app.configuration.stored_state import StoredItem


def plan_sources(context: PlanContext) -> None:
    for item, stored in context.matches_of(SOURCES):
        if stored is None:
            _create_source(context, item)
        else:
            _change_source(context, item, stored)
    for stored in context.removed_from(SOURCES):
        _remove_source(context, stored)


def _create_source(context: PlanContext, item: ConfiguredItem) -> None:
    change = context.add_change(CREATED, SOURCES.name, item.title, item)
    document = """
mutation CreateSource($input: CreateSourceInput!) {
  payload: createSource(input: $input) {
    object: source { id }
    token
    url
    userErrors { message path }
  }
}
"""
    if not item.value.get("enabled", True):
        change.words.append("Disabled.")
    attributes = to_input(item)
    change.steps.append(
        Step(
            Phase.SOURCES,
            document,
            lambda _: {"input": attributes},
            (SOURCES.name, item.key),
            secret_names=("token", "url"),
        )
    )


def _change_source(context: PlanContext, item: ConfiguredItem, stored: StoredItem) -> None:
    after = {"mapping": None, "enabled": True} | dict(item.value)
    before = {"mapping": None, "enabled": True} | dict(stored.value)
    names = [name for name in ("name", "mapping", "enabled") if after[name] != before[name]]
    if not names:
        return
    attributes = {name: after[name] for name in names}
    step = update_step("UpdateSourceInput", "updateSource", stored.id, attributes, Phase.SOURCES)
    context.add_update(item, stored, [f"Changed {', '.join(names)}."], step)


def _remove_source(context: PlanContext, stored: StoredItem) -> None:
    words = ["Deleted with its token. Its events are kept."]
    step = delete_step(Phase.SOURCES, "deleteSource", stored.id)
    context.add_removal(SOURCES, stored, words, step)
