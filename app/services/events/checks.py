"""What a report would lead to, without reporting."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.event_types.visibility import settle
from app.domain.intake.intake import Accepted, Desk, Draft
from app.services.events import duplicates, receipts
from app.services.events.reports import Course, Decision
from app.services.events.validation import registered
from app.store import tables
from app.store.engine.database import Database


@dataclass(frozen=True)
class Check:
    """`visible`, `required`: names of the registered type's fields, in form order.

    `duplicate_of`: the event that it would be a duplicate of.
    """

    decision: Decision
    duplicate_of: tables.Event | None = None
    visible: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


async def check_event(database: Database, desk: Desk, draft: Draft) -> Check:
    """Judges a draft as `log_events` would, and stores nothing."""
    key = receipts.key_of(draft, desk)
    async with database.read(desk.reporter.organization_id) as session:
        types = await registered(session, desk, [draft])
        verdict = types.verdict(draft, desk)
        kept = {} if key is None else await receipts.kept(session, {key})
        fresh = [verdict.event] if isinstance(verdict, Accepted) and key not in kept else []
        claims = {event.id: types.claims_of(event) for event in fresh}
        known = await duplicates.look_up(session, claims, fresh, hold=False)
    matches = [known.ledger.match(known.claims[event.id], event) for event in fresh]
    found = [known.events[match.first.event_id] for match in matches if match is not None]
    decision = Course(kept, known).decide(draft, desk, key, verdict)
    original = found[0] if found else None
    spec = types.type_of(draft)
    if spec is None:
        return Check(decision, original)
    values = draft.fields if isinstance(draft.fields, dict) else {}
    settled = settle(spec.fields, spec.rules, values)
    return Check(decision, original, settled.visible, settled.required)
