"""Processes a list of reports in one transaction: each is stored, rejected, or a duplicate.

All reports are validated first. Then each is decided on, in the order of the list: a replay,
rejected, a duplicate, or new. The result of an earlier report counts for the later ones.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.domain.access.caller import Caller
from app.domain.events.state import (
    AlertKey,
    EventDraft,
    EventState,
    SourceIdentity,
)
from app.domain.intake.intake import (
    Accepted,
    CommandContext,
    Rejected,
    Resolution,
    ValidationResult,
    find_reported_time,
)
from app.domain.rules.duplicates import (
    DuplicateAction,
    DuplicateMatch,
    DuplicateProblem,
    DuplicationRule,
    RuleFingerprint,
    compute_fingerprints,
    count_duplicate,
)
from app.domain.shared.problems import Problem, UserErrorCode
from app.domain.shared.values import format_instant
from app.services.events import alert_keys, receipts
from app.services.events.alert_keys import Alert, RememberedResolution
from app.services.events.event_writes import build_log_entry
from app.services.events.receipts import Receipt
from app.services.events.silencing import Silencer, load_silencer
from app.services.events.validation import CachedDefinitions, load_definitions
from app.services.rules import duplicates
from app.services.rules.duplicates import DuplicateLookup
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import BY_ID, CommitTracker
from app.store.engine.dialect import lock_definitions_shared
from app.store.writing import search_index
from app.store.writing.inserts import TableRows, insert_rows

_AFTER_STORED_ORIGINALS = 2**62
MAX_SECONDS_BETWEEN_YIELDS = 0.002


@dataclass(frozen=True)
class EventResult:
    """Result of logging or updating one event: the stored event, or why it was rejected.

    `duplicate`, `stored` and `replay` are only set for logged events.
    """

    event: tables.Event | None = None
    duplicate: bool = False
    stored: bool = False
    warnings: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    replay: bool = False

    @property
    def is_rejected(self) -> bool:
        return bool(self.problems)


@dataclass(frozen=True)
class Decision:
    """The result before anything is written: the event by its ID.

    `original_id`: the event that the reported one duplicates, even if that is rejected, or
    resolves.
    """

    event_id: UUID | None = None
    duplicate: bool = False
    stored: bool = False
    warnings: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    replay: bool = False
    original_id: UUID | None = None

    def to_result(self, rows: dict[UUID, tables.Event]) -> EventResult:
        event = None if self.event_id is None else rows.get(self.event_id)
        return EventResult(
            event, self.duplicate, self.stored, self.warnings, self.problems, self.replay
        )


@dataclass(frozen=True)
class ReportCall:
    """Reports of one call. `commit_tracker.started` is set once they may be durable."""

    command: CommandContext
    drafts: Sequence[EventDraft]
    commit_tracker: CommitTracker = field(default_factory=CommitTracker)


@dataclass
class ReportBatch:
    """State of a batch while its reports are decided on: the receipts, originals and alerts that
    existed before, and the changes to write.

    `new_events`: events to store. `reporters`: the callers that reported those with an alert key.
    `reported_times`: the latest times of their reports, if one had a time. `changed_events`:
    existing events that were counted or resolved. `state_digests`: those of the last reports of
    events that are the state of an alert.
    """

    receipts: dict[SourceIdentity, Receipt]
    lookup: DuplicateLookup
    alerts: dict[AlertKey, Alert]
    silencer: Silencer = field(default_factory=Silencer)
    new_events: dict[UUID, EventState] = field(default_factory=dict)
    reporters: dict[UUID, str] = field(default_factory=dict)
    reported_times: dict[UUID, datetime] = field(default_factory=dict)
    state_digests: dict[UUID, str] = field(default_factory=dict)
    changed_events: dict[UUID, EventState] = field(default_factory=dict)
    log_entries: list[changes.NewEntry] = field(default_factory=list)
    new_originals: list[tuple[EventState, list[RuleFingerprint]]] = field(default_factory=list)
    duplicate_counts: Counter[tuple[UUID, str]] = field(default_factory=Counter)

    def decide(
        self,
        draft: EventDraft,
        command: CommandContext,
        key: SourceIdentity | None,
        validation: ValidationResult,
        new_receipt: Receipt | None,
    ) -> Decision:
        receipt = None if key is None else self.receipts.get(key)
        if receipt is not None:
            return _decide_replay(draft, receipt)
        if isinstance(validation, Rejected):
            return Decision(problems=validation.problems)
        if isinstance(validation, Resolution):
            decision = self._resolve(validation, command, draft)
        elif validation.event.resolved_at is not None:
            self._store_new(validation.event, command)
            decision = Decision(validation.event.id, stored=True, warnings=validation.warnings)
        elif validation.event.alert_key is not None:
            decision = self._accept_alert(validation, command, draft)
        else:
            decision = self._accept(validation, command)
        if key is not None and new_receipt is not None and not decision.problems:
            if decision.event_id not in (None, new_receipt.event_id):
                new_receipt = replace(new_receipt, event_id=decision.event_id)
            self.receipts[key] = new_receipt
        return decision

    def _accept(self, validation: Accepted, command: CommandContext) -> Decision:
        event = validation.event
        if command.is_internal:  # neither a duplicate nor an original
            self._store_new(event, command)
            return Decision(event.id, stored=True, warnings=validation.warnings)
        if fingerprints := self.lookup.fingerprints.get(event.id, []):
            match = self.lookup.originals.find_match(fingerprints, event)
            if match is not None:
                return self._handle_duplicate(validation, match, command)
            self.lookup.originals.add_original(
                fingerprints, event, _AFTER_STORED_ORIGINALS + len(self.new_originals)
            )
            self.new_originals.append((event, fingerprints))
        self._store_new(event, command)
        return Decision(event.id, stored=True, warnings=validation.warnings)

    def _accept_alert(
        self, validation: Accepted, command: CommandContext, draft: EventDraft
    ) -> Decision:
        """Counts the report for the unresolved event of its alert key, or stores a new event.

        The new event is resolved if its resolution has arrived before it. A repetition of the state
        of an alert is neither counted nor stored, even if its sender has just resolved it.
        """
        event = validation.event
        alert = self.alerts[AlertKey(event.source, event.alert_key or "")]
        known = alert.reported_events.get(draft.dated_digest or "")
        known_id = None if known is None else known.event_id
        resolution = None
        # An alert that its sender repeats still fires, although another caller resolved it.
        of_sender = draft.started_at is not None
        if (occurred_at := find_reported_time(draft)) is not None:
            # It had occurred when it first arrived, even if the clock of the sender is ahead.
            occurred_at = min(occurred_at, known.received_at if known else occurred_at)
            resolution = alert.find_resolution(occurred_at, command.actor, of_sender=of_sender)
            if of_sender and alert.event_id is None and not _may_be_late(resolution, command):
                resolution = None  # it fires again: the sender had lost contact with it
        is_of_unresolved = alert.event_id is not None and known_id == alert.event_id
        if (
            resolution is not None
            and not is_of_unresolved
            and (
                known_id is not None or (of_sender and not self._is_resolved_by(resolution, alert))
            )
        ):
            warnings = (*validation.warnings, _resolved_before_warning(event, resolution))
            return Decision(known_id, duplicate=True, warnings=warnings, original_id=known_id)
        if alert.event_id is not None:
            is_same_report = is_of_unresolved and not of_sender
            if not is_same_report and not self._repeats_state(alert.event_id, draft):
                self._count_duplicate(alert.event_id, event, True, command)
                self._record_report(alert, draft, alert.event_id, command)
            return Decision(
                alert.event_id,
                duplicate=True,
                warnings=validation.warnings,
                original_id=alert.event_id,
            )
        if resolution is None:
            alert.event_id = event.id
        else:
            event = replace(
                event,
                resolved_at=resolution.at,
                resolved_by=resolution.resolved_by,
                resolution_note=resolution.resolution_note,
            )
        self._store_new(event, command)
        self._record_report(alert, draft, event.id, command)
        return Decision(event.id, stored=True, warnings=validation.warnings)

    def _is_resolved_by(self, resolution: RememberedResolution, alert: Alert) -> bool:
        """Whether the unresolved event of an alert key was resolved, and reopened by a person."""
        if alert.event_id is None:
            return False
        reported_at = self._find_reported_time(alert.event_id)
        return reported_at is None or reported_at <= resolution.at

    def _repeats_state(self, event_id: UUID, draft: EventDraft) -> bool:
        """Whether the draft is the state of an alert that the last report of its event had."""
        digest = self.state_digests.get(event_id)
        if digest is None and event_id in self.lookup.events:
            digest = self.lookup.events[event_id].state_digest
        return draft.state_digest is not None and draft.state_digest == digest

    def _record_report(
        self, alert: Alert, draft: EventDraft, event_id: UUID, command: CommandContext
    ) -> None:
        """Records what later reports of the alert key are compared with."""
        if draft.state_digest is not None:
            self.state_digests[event_id] = draft.state_digest
        if (reported_at := find_reported_time(draft)) is not None:
            # Not later than its arrival: the resolution may come from a clock that is right.
            reported_at = min(reported_at, command.now)
            latest = self._find_reported_time(event_id) or reported_at
            self.reported_times[event_id] = max(latest, reported_at)
        digest = draft.dated_digest
        # A start that is not ahead is compared with resolutions instead.
        is_compared = draft.started_at is not None and draft.sent_at is None
        if digest is not None and (not is_compared or digest in alert.reported_events):
            alert.remember_report(digest, event_id, command.now)

    def _resolve(
        self, resolution: Resolution, command: CommandContext, draft: EventDraft
    ) -> Decision:
        """Resolves the unresolved event of an alert key, and remembers when it was over."""
        alert, caller = self.alerts[resolution.key], command.actor
        event_id = alert.event_id
        digest = draft.dated_digest
        known = alert.reported_events.get(digest or "")
        if digest is not None and known is None and draft.sent_at is not None:
            alert.remember_report(digest, event_id or uuid7(), command.now)  # maybe of no event
        is_new = event_id is None or known is None or known.event_id == event_id
        if is_new and resolution.reported_at is not None:
            is_new = alert.remember(resolution, resolution.reported_at, caller, command.now)
        if event_id is None or not self._may_resolve(caller, event_id):
            source, alert_key = resolution.key
            message = (
                f"There is nothing to resolve: no unresolved event of source {source!r} with "
                f"alertKey {alert_key!r} that the caller may resolve. An event that occurred "
                "earlier and is reported later is stored as resolved."
            )
            return _resolve_nothing(message)
        # What had no time is over as of any resolution.
        reported_at = self._find_reported_time(event_id)
        if reported_at and resolution.reported_at and resolution.reported_at < reported_at:
            message = (
                f"There is nothing to resolve: event {event_id} occurred again at "
                f"{format_instant(reported_at)}, after the reported resolution. Report the "
                "resolution with a later occurredAt, or without one."
            )
            return _resolve_nothing(message)
        if not is_new:
            message = (
                "There is nothing to resolve: this resolution or a later one has already arrived, "
                f"and event {event_id} was opened after it. Report another resolution with a later "
                "occurredAt, or without one."
            )
            return _resolve_nothing(message)
        is_reporter = self._find_reporter(event_id) == caller.reader
        if resolution.reported_at is None and reported_at is not None and is_reporter:
            # What was reported up to now is over, also if it is sent again.
            alert.remember(resolution, reported_at, caller, command.now)
        states, before = self._find_state(event_id)
        after = replace(
            before,
            resolved_at=resolution.at,
            resolved_by=caller.name,
            resolution_note=resolution.note,
        )
        states[event_id] = after
        self.log_entries.append(build_log_entry(command, "RESOLVED", after, before))
        alert.event_id = None
        return Decision(event_id, duplicate=True, original_id=event_id)

    def _may_resolve(self, caller: Caller, event_id: UUID) -> bool:
        """Whether a report of this caller resolves the event. Its own need no EVENT_UPDATE."""
        return alert_keys.may_resolve_all(caller) or self._find_reporter(event_id) == caller.reader

    def _find_reporter(self, event_id: UUID) -> str | None:
        return self.reporters.get(event_id) or self.lookup.events[event_id].reporter

    def _find_reported_time(self, event_id: UUID) -> datetime | None:
        """Returns the latest time that a report of the event had. None if none had one."""
        if event_id in self.reported_times or event_id not in self.lookup.events:
            return self.reported_times.get(event_id)
        row = self.lookup.events[event_id]
        if row.reported_at is None and row.occurred_at != row.recorded_at:
            return row.to_domain().latest_occurrence  # as older versions stored it
        return row.reported_at

    def _find_state(self, event_id: UUID) -> tuple[dict[UUID, EventState], EventState]:
        """Returns the current state of an event, and where its next one belongs."""
        states = self.new_events if event_id in self.new_events else self.changed_events
        return states, states.get(event_id) or self.lookup.events[event_id].to_domain()

    def _handle_duplicate(
        self, validation: Accepted, match: DuplicateMatch, command: CommandContext
    ) -> Decision:
        original_id = match.original.event_id
        rule = match.fingerprint.rule
        self.duplicate_counts[match.fingerprint.key] += 1
        decision = Decision(
            original_id, duplicate=True, warnings=validation.warnings, original_id=original_id
        )
        match rule.action:
            case DuplicateAction.REJECT:
                problem = DuplicateProblem.from_match(match)
                return Decision(problems=(problem,), original_id=original_id)
            case DuplicateAction.COUNT:
                self._count_duplicate(original_id, validation.event, rule.escalate, command)
                return decision
            case DuplicateAction.FLAG:
                flagged = replace(validation.event, duplicate_of_id=original_id)
                self._store_new(flagged, command)
                return replace(decision, event_id=flagged.id, stored=True)

    def _store_new(self, event: EventState, command: CommandContext) -> None:
        event, notifies = self.silencer.decide_notification(None, event, command.now)
        self.new_events[event.id] = event
        if event.alert_key is not None:
            self.reporters[event.id] = command.actor.reader
        self.log_entries.append(build_log_entry(command, "LOGGED", event, notifies=notifies))

    def _count_duplicate(
        self, original_id: UUID, duplicate: EventState, escalate: bool, command: CommandContext
    ) -> None:
        states, before = self._find_state(original_id)
        counted = count_duplicate(before, duplicate, escalate=escalate)
        original, notifies = self.silencer.decide_notification(
            before, counted.original, command.now, again=counted.notifies
        )
        states[original_id] = original
        entry = build_log_entry(command, "DUPLICATED", original, before, notifies=notifies)
        entry.changes[changes.REPORT] = duplicate.to_report_json()
        self.log_entries.append(entry)


async def process_reports(session: AsyncSession, calls: Sequence[ReportCall]) -> list[EventResult]:
    """Processes reports. Results are in their order, and durable when the transaction commits."""
    await lock_definitions_shared(session, session.info["scope"])
    reports = [(draft, call.command) for call in calls for draft in call.drafts]
    definitions = await load_definitions(session, calls[0].command, [draft for draft, _ in reports])
    validations = await _validate_all(definitions, reports)
    identities = [receipts.source_identity(draft, command) for draft, command in reports]
    built_receipts = [
        receipts.build_receipt(draft, key, definitions.find_type(draft), validation)
        for (draft, _), key, validation in zip(reports, identities, validations, strict=True)
    ]
    new_receipts: dict[SourceIdentity, Receipt] = {}
    for key, receipt in zip(identities, built_receipts, strict=True):
        if key is not None and receipt is not None:  # the first of a repeated key wins
            new_receipts.setdefault(key, receipt)
    existing_receipts = await receipts.claim_receipts(session, new_receipts)
    new_receipts = {key: each for key, each in new_receipts.items() if key not in existing_receipts}
    other_keys = (
        {key for key in identities if key is not None}
        - new_receipts.keys()
        - existing_receipts.keys()
    )
    existing_receipts |= await receipts.load_receipts(session, other_keys)
    batch = await load_batch(
        session,
        definitions,
        existing_receipts,
        identities,
        validations,
        calls[0].command.now,
        lock=True,
    )
    await alert_keys.load_reported_events(session, batch.alerts, (draft for draft, _ in reports))
    if any(draft.notification for draft, _ in reports):
        batch.silencer = await load_silencer(session, definitions)
    decisions = [
        batch.decide(draft, command, key, validation, receipt)
        for (draft, command), key, validation, receipt in zip(
            reports, identities, validations, built_receipts, strict=True
        )
    ]
    rows = batch.lookup.events | await _write_batch(session, batch)
    await duplicates.store_originals(
        session, batch.lookup, batch.new_originals, batch.duplicate_counts
    )
    await alert_keys.store_reports(session, batch.alerts, calls[0].command.now)
    await receipts.finalize_receipts(session, new_receipts, batch.receipts)
    await batch.silencer.store_counts(session)
    event_ids = {each.event_id for each in decisions if each.event_id is not None}
    rows |= await load_events(session, event_ids - rows.keys())
    return [decision.to_result(rows) for decision in decisions]


async def load_batch(
    session: AsyncSession,
    definitions: CachedDefinitions,
    existing_receipts: dict[SourceIdentity, Receipt],
    identities: Sequence[SourceIdentity | None],
    validations: Sequence[ValidationResult],
    now: datetime,
    *,
    lock: bool,
) -> ReportBatch:
    """Loads what the rules compare the accepted reports with, which are not replays.

    `lock` locks it until the transaction ends.
    """
    new_reports = [
        validation
        for key, validation in zip(identities, validations, strict=True)
        if not isinstance(validation, Rejected)
        and key not in existing_receipts
        # An event that is already resolved is compared with nothing.
        and not (isinstance(validation, Accepted) and validation.event.resolved_at)
    ]
    keys = {key for each in new_reports if (key := _find_alert_key(each)) is not None}
    if lock:
        await alert_keys.lock_keys(session, keys, now)
    alerts = await alert_keys.load_alerts(session, keys, now)
    new_events = [
        each.event
        for each in new_reports
        if isinstance(each, Accepted) and each.event.alert_key is None
    ]
    fingerprints = {
        event.id: compute_fingerprints(
            definitions.find_rules(DuplicationRule, event),
            event,
            definitions.find_set_fields(event),
        )
        for event in new_events
    }

    unresolved_ids = {each.event_id for each in alerts.values() if each.event_id is not None}
    lookup = await duplicates.look_up_originals(
        session, fingerprints, new_events, lock=lock, other_ids=unresolved_ids
    )
    for alert in alerts.values():
        if alert.event_id not in lookup.events:  # deleted or resolved meanwhile
            alert.event_id = None
    return ReportBatch(existing_receipts, lookup, alerts)


def _may_be_late(resolution: RememberedResolution | None, command: CommandContext) -> bool:
    """Whether what arrives now may have been sent before the resolution."""
    limit = timedelta(seconds=command.limits.late_alert_seconds)
    return resolution is not None and command.now - resolution.used_at < limit


def _resolved_before_warning(event: EventState, resolution: RememberedResolution) -> Problem:
    message = (
        f"This occurrence of {format_instant(event.occurred_at)} has already been reported as "
        f"resolved at {format_instant(resolution.at)}. Nothing was stored."
    )
    return Problem(UserErrorCode.DUPLICATE, message, ("alertKey",))


def _resolve_nothing(message: str) -> Decision:
    warning = Problem(UserErrorCode.NOT_FOUND, message, ("alertKey",))
    return Decision(duplicate=True, warnings=(warning,))


def _find_alert_key(report: Accepted | Resolution) -> AlertKey | None:
    if isinstance(report, Resolution):
        return report.key
    event = report.event
    return None if event.alert_key is None else AlertKey(event.source, event.alert_key)


async def _validate_all(
    definitions: CachedDefinitions, reports: Iterable[tuple[EventDraft, CommandContext]]
) -> list[ValidationResult]:
    results = []
    yield_at = time.monotonic() + MAX_SECONDS_BETWEEN_YIELDS
    for draft, command in reports:
        results.append(definitions.validate(draft, command))
        if time.monotonic() > yield_at:  # guard rules may be slow: let other requests run
            await asyncio.sleep(0)
            yield_at = time.monotonic() + MAX_SECONDS_BETWEEN_YIELDS
    return results


def _decide_replay(draft: EventDraft, receipt: Receipt) -> Decision:
    if receipt.is_of(draft):
        return Decision(receipt.event_id, duplicate=True, replay=True)
    message = (
        f"An event with the sourceId {draft.source_id!r} but different content has already been "
        "logged. To log a different event, use a new sourceId."
    )
    return Decision(problems=(Problem(UserErrorCode.CONFLICT, message, ("sourceId",)),))


async def load_events(session: AsyncSession, ids: set[UUID]) -> dict[UUID, tables.Event]:
    """Returns events by ID. Deleted ones are missing."""
    if not ids:
        return {}
    statement = select(tables.Event).where(col(tables.Event.id).in_(sorted(ids)))
    return {row.id: row for row in await session.scalars(statement, execution_options=BY_ID)}


async def _write_batch(session: AsyncSession, batch: ReportBatch) -> dict[UUID, tables.Event]:
    """Writes the changes of the batch, and returns the rows of the new events.

    The entries of the change log, the events and their index rows are written in one round trip. If
    an entry notifies, the entries come first, because its event stores the position of the entry.
    """
    entries = batch.log_entries
    if not entries:
        return {}
    if any(each.notifies or each.kind == "RESOLVED" for each in entries):
        positions = await changes.append_entries(session, entries)
        notified = {
            entry.subject_id: position
            for entry, position in zip(entries, positions, strict=True)
            if entry.notifies
        }
        _update_changed(batch, notified)
        # First, because a new event may have the alert key of one that was resolved.
        await session.flush()
        event_rows, index_rows = _build_new_rows(session.info["scope"], batch, notified)
        await insert_rows(session, (tables.Event, event_rows), *index_rows)
    else:
        event_rows, index_rows = _build_new_rows(session.info["scope"], batch, {})
        await changes.append_entries_with_rows(
            session, entries, (tables.Event, event_rows), *index_rows
        )
        _update_changed(batch, {})
        await session.flush()
    return {columns["id"]: tables.Event.from_columns(columns) for columns in event_rows}


def _update_changed(batch: ReportBatch, notified: Mapping[UUID, changes.LogPosition]) -> None:
    """Updates the existing events. `notified`: the last positions that notified of an event."""
    for event_id, event in batch.changed_events.items():
        row = batch.lookup.events[event_id]
        row.update_from(event)
        row.reported_at = batch.reported_times.get(event_id, row.reported_at)
        row.state_digest = batch.state_digests.get(event_id, row.state_digest)
        if event_id in notified and event.silenced_by_id is None:  # a later report may be silenced
            row.set_rang(notified[event_id])


def _build_new_rows(
    organization_id: UUID, batch: ReportBatch, notified: Mapping[UUID, changes.LogPosition]
) -> tuple[list[dict[str, Any]], list[TableRows]]:
    """Builds the rows of the new events, and the rows of their search index."""
    event_rows = [
        tables.Event.build_columns(
            event,
            organization_id,
            notified.get(event_id, (None, None)) if event.silenced_by_id is None else (None, None),
            batch.reporters.get(event_id),
            batch.reported_times.get(event_id),
            batch.state_digests.get(event_id),
        )
        for event_id, event in batch.new_events.items()
    ]
    return event_rows, search_index.build_index_rows(organization_id, batch.new_events.values())
