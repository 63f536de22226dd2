"""What plans of guard rules and of duplication rules share."""

from __future__ import annotations

from collections.abc import Callable

from app.configuration.configuration import ConfiguredItem
from app.configuration.file_schema import EVENT_TYPES
from app.configuration.mutations import Ids
from app.configuration.plan_context import PlanContext
from app.configuration.stored_state import StoredItem
from app.domain.shared.messages import quote_value


def resolve_event_type(
    context: PlanContext, item: ConfiguredItem
) -> Callable[[Ids], str | None] | None:
    """Returns a function that returns the ID of the event type of a rule, once it exists.

    Adds an error and returns None if no event type has the name.
    """
    type_name = item.value.get("eventType")
    if type_name is None:
        return lambda _: None
    for event_type, stored in context.matches_of(EVENT_TYPES):
        if event_type.value["type"] == type_name:
            if stored is not None:
                stored_id = stored.id
                return lambda _: stored_id
            return lambda ids: ids[EVENT_TYPES.name, event_type.key]
    unmanaged = context.state.find_event_type(type_name)
    removed = context.removed_from(EVENT_TYPES)
    if unmanaged is not None and unmanaged not in removed:
        return lambda _: unmanaged.id
    where = "in the file" if unmanaged is not None else "in the file or on the server"
    context.add_error(
        f"There is no event type {quote_value(type_name)} {where}.", item, "eventType"
    )
    return None


def is_deleted_with_type(context: PlanContext, stored: StoredItem) -> bool:
    return stored.value.get("eventType") in context.deleted_types
