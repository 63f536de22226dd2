"""Which stored object each object of a file is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.configuration.configuration import ConfiguredItem, Key
from app.configuration.file_schema import (
    CHANNELS,
    EVENT_TYPES,
    RETENTION_POLICIES,
    SECTIONS,
    SILENCES,
    SOURCES,
    Section,
)
from app.configuration.plan_context import Match, PlanContext
from app.configuration.stored_state import StoredItem

# Sections whose first attribute of the key cannot be changed.
_FIXED_SECTIONS = (RETENTION_POLICIES, SOURCES, CHANNELS)


def match_sections(context: PlanContext) -> None:
    """Adds the matches of all sections of the file, and what `prune` removes, to the context.

    Adds errors for objects that could be several stored objects.
    """
    for section in SECTIONS:  # event types first: rules are identified by their names
        if section.name in context.configuration.items:
            context.matches[section.name] = _match(context, section)
    if context.options.prune:
        for name in context.matches:
            context.removed[name] = find_unmanaged(context, name)


def _match(context: PlanContext, section: Section) -> list[Match]:
    stored_items = list(context.state.items[section.name])
    by_id = {stored.id: stored for stored in stored_items}
    items = context.configuration.items[section.name]
    named_ids = {item.id for item in items}
    by_key: dict[Key, list[StoredItem]] = {}
    for stored in stored_items:
        if stored.id not in named_ids:
            by_key.setdefault(_key_of(context, stored), []).append(stored)
    return [(item, _match_item(context, item, by_id, by_key.get(item.key, []))) for item in items]


def _match_item(
    context: PlanContext,
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
            context.add_error(message, item, "id")
        elif "eventType" in item.section.key and _key_of(context, stored)[0] != item.key[0]:
            context.add_error("The event type of a rule cannot be changed.", item)
        elif item.section is SILENCES and stored.key != item.key:
            message = "The start and the filter of a silence cannot be changed. Remove the id."
            context.add_error(message, item)
        elif item.section in _FIXED_SECTIONS and stored.key[0] != item.key[0]:
            name = item.section.key[0]
            message = f"The {name} of a {item.section.noun} cannot be changed."
            context.add_error(message, item, name)
        return stored
    # A retired rule is in the way of no other rule, and can be published again.
    active = [stored for stored in candidates if not stored.is_retired] or candidates[-1:]
    if len(active) > 1:
        ids = ", ".join(stored.id for stored in active)
        message = (
            f"The server has {len(active)} objects that are {item.title}: {ids}. Set the id of "
            "the one that is meant, or export the configuration again."
        )
        context.add_error(message, item)
    return active[0] if active else None


def _key_of(context: PlanContext, stored: StoredItem) -> Key:
    """Returns the key of a stored object, a rule with the new name of its event type."""
    if "eventType" not in stored.section.key:
        return stored.key
    event_type, name = stored.key
    for item, event_type_row in context.matches_of(EVENT_TYPES):
        if event_type_row is not None and event_type_row.value["type"] == event_type:
            event_type = item.value["type"]
            break
    return event_type, name


def find_unmanaged(context: PlanContext, section_name: str) -> list[StoredItem]:
    """Returns the stored objects that the section of the file does not contain."""
    kept = {stored.id for _, stored in context.matches[section_name] if stored is not None}
    return [
        stored
        for stored in context.state.items[section_name]
        if stored.id not in kept and not stored.is_retired
    ]
