"""Dry runs of logging an event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.event_types.visibility import resolve_fields
from app.domain.events.state import EventDraft
from app.domain.intake.intake import Accepted, CommandContext
from app.services.events import duplicates, receipts
from app.services.events.reports import Decision, EventResult, ReportBatch
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
        new_events = (
            [validation.event]
            if isinstance(validation, Accepted) and key not in receipts_by_key
            else []
        )
        fingerprints = {event.id: definitions.fingerprints_of(event) for event in new_events}
        lookup = await duplicates.look_up_originals(session, fingerprints, new_events, lock=False)
    matches = [
        lookup.originals.find_match(lookup.fingerprints[event.id], event) for event in new_events
    ]
    originals = [lookup.events[match.original.event_id] for match in matches if match is not None]
    batch = ReportBatch(receipts_by_key, lookup)
    decision = batch.decide(draft, command, key, validation, None)  # stores no receipt
    original = originals[0] if originals else None
    event_type = definitions.find_type(draft)
    if event_type is None:
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
