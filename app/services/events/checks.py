"""Dry runs of logging an event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.event_types.visibility import resolve_fields
from app.domain.events.state import EventDraft
from app.domain.intake.intake import CommandContext
from app.services.events import receipts
from app.services.events.reports import Decision, EventResult, load_batch
from app.services.events.validation import load_definitions
from app.store import tables
from app.store.engine.database import Database


@dataclass(frozen=True)
class EventCheckResult:
    """Result of a dry run. `duplicate_of`: the event that the draft would duplicate.

    `visible`, `required`: field names of the registered type, in form order.
    """

    decision: Decision
    duplicate_of: tables.Event | None = None
    visible: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


async def check_event(
    database: Database, command: CommandContext, draft: EventDraft
) -> EventCheckResult:
    """Validates a draft as `log_events` would. Stores nothing."""
    key = receipts.source_identity(draft, command)
    async with database.read(command.actor.organization_id) as session:
        definitions = await load_definitions(session, command, [draft])
        validation = definitions.validate(draft, command)
        receipts_by_key = {} if key is None else await receipts.load_receipts(session, {key})
        batch = await load_batch(
            session, definitions, receipts_by_key, [key], [validation], command.now, lock=False
        )
    decision = batch.decide(draft, command, key, validation, None)  # stores no receipt
    original = None
    if decision.original_id is not None:
        original = batch.lookup.events[decision.original_id]
    event_type = definitions.find_type(draft)
    if event_type is None or draft.resolved:
        return EventCheckResult(decision, original)
    values = draft.fields if isinstance(draft.fields, dict) else {}
    resolution = resolve_fields(event_type.fields, event_type.rules, values)
    return EventCheckResult(decision, original, resolution.visible, resolution.required)


async def check_events(
    database: Database, command: CommandContext, drafts: Sequence[EventDraft]
) -> list[EventResult]:
    """Returns the results that `log_events` would have. Stores nothing.

    Each draft is compared with stored events, but not with the other drafts.
    """
    results = [await check_event(database, command, draft) for draft in drafts]
    return [result.decision.to_result({}) for result in results]
