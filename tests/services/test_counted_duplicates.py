"""Counted duplicates, compared with a model of severity, acknowledgement and notifications."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.domain.events.filters import EventFilter
from app.domain.events.severity import Severity
from app.domain.events.state import EventDraft
from app.domain.intake.intake import CommandContext
from app.domain.rules.duplicates import DuplicateAction
from app.services.auth.organizations import insert_organization
from app.services.change_log import notifications
from app.services.events import events
from app.services.events.reports import ReportCall, process_reports
from app.services.rules import duplication_rules
from app.services.shared.readers import UNACKNOWLEDGED_COUNT
from app.store import tables
from app.store.change_log import changes
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.reading.pages import PageRequest
from tests.factories import NOON, admin_command, notification_draft

BELL = notifications.NotificationPageRequest(EventFilter(), PageRequest(size=10))
KEYS = ("a", "b")
LEVELS = {"success": 0, None: 1, "P1": 1, "info": 1, "warn": 2, "error": 3, "RED": 3}
NAMES = [Severity.SUCCESS, Severity.INFO, Severity.WARN, Severity.ERROR]


@dataclass(frozen=True)
class Report:
    """A report about a key. All reports about one key are duplicates."""

    key: str
    word: str | None
    notification: bool | None
    acknowledged: bool | None
    minute: int

    def to_draft(self) -> EventDraft:
        return EventDraft(
            subject=self.key,
            severity=self.word,
            summary=f"{self.word} at {self.minute}",
            notification=self.notification,
            acknowledged=self.acknowledged,
            occurred_at=NOON + timedelta(minutes=self.minute),
        )


@dataclass
class ModelEvent:
    level: int
    word: str | None
    notification: bool
    acknowledged: bool
    last_minute: int
    version: int = 1
    occurrences: int = 1

    def summarize(self) -> tuple[Any, ...]:
        last = NOON + timedelta(minutes=self.last_minute)
        severity = NAMES[self.level], self.word
        flags = self.notification, self.acknowledged
        return *severity, *flags, last, self.version, self.occurrences


@dataclass
class Model:
    """What is expected of the events, by key.

    `log` has the kind of each entry, and the report of a duplicate. `rung` has the keys in the
    order in which they notified.
    """

    escalate: bool
    events: dict[str, ModelEvent] = field(default_factory=dict)
    log: list[tuple[str, str, str | None]] = field(default_factory=list)
    rung: list[str] = field(default_factory=list)
    match_count: int = 0

    def report(self, report: Report) -> None:
        level, notify = LEVELS[report.word], bool(report.notification)
        event = self.events.get(report.key)
        if event is None:
            self.events[report.key] = ModelEvent(
                level, report.word, notify, bool(report.acknowledged), report.minute
            )
            self.log.append((report.key, "LOGGED", None))
            self.rung += [report.key] * notify
            return
        self.match_count += 1
        event.occurrences += 1
        event.last_minute = max(event.last_minute, report.minute)
        self.log.append((report.key, "DUPLICATED", report.to_draft().summary))
        worse = self.escalate and level > event.level
        notifies = notify and (worse or not event.notification)
        self.rung += [report.key] * notifies
        event.notification |= notify
        event.acknowledged &= not (worse or notifies)
        if worse:
            event.level, event.word = level, report.word
            event.version += 1

    def acknowledge(self, key: str, acknowledged: bool) -> None:
        event = self.events.get(key)
        if event is not None and event.acknowledged is not acknowledged:
            event.acknowledged = acknowledged
            kind = "ACKNOWLEDGED" if acknowledged else "UNACKNOWLEDGED"
            self.log.append((key, kind, None))

    def acknowledge_all(self) -> None:
        for key in KEYS:
            if key in self.events and self.events[key].notification:
                self.acknowledge(key, True)

    def update(self, key: str, word: str, notification: bool) -> None:
        event = self.events.get(key)
        if event is not None:
            self.rung += [key] * (notification and not event.notification)
            event.level, event.word, event.notification = LEVELS[word], word, notification
            event.version += 1
            self.log.append((key, "UPDATED", None))

    def bell(self) -> list[str]:
        """The keys of the notifications, the last one that notified first."""
        latest = dict.fromkeys(reversed(self.rung))
        return [key for key in latest if self.events[key].notification]


KEY = st.sampled_from(["a", "a", "a", "b"])
REPORTS = st.builds(
    Report,
    KEY,
    st.sampled_from(list(LEVELS)),
    st.sampled_from([None, False, True, True]),
    st.sampled_from([None, None, None, True]),
    st.integers(0, 5),
)
UPDATED = st.tuples(KEY, st.sampled_from(["success", "success", "info", "warn"]), st.booleans())
STEPS = st.lists(
    st.one_of(
        *[st.tuples(st.just("report"), st.lists(REPORTS, min_size=1, max_size=3))] * 5,
        *[st.tuples(st.just("acknowledge"), KEY)] * 3,
        st.tuples(st.just("unacknowledge"), KEY),
        st.tuples(st.just("acknowledge all"), st.none()),
        *[st.tuples(st.just("update"), UPDATED)] * 2,
        st.tuples(st.just("escalate"), st.sampled_from([True, True, False])),
    ),
    min_size=12,
    max_size=24,
)


@pytest.fixture
async def command(database: Database) -> CommandContext:
    return await admin_command(database)


@settings(
    max_examples=50,
    # Without shrinking, which takes minutes on databases: an example is short.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(escalate=st.sampled_from([True, True, False]), steps=STEPS)
async def test_events_are_as_severe_acknowledged_and_notified_as_the_model_says(
    database: Database, command: CommandContext, escalate: bool, steps: list[tuple[str, Any]]
) -> None:
    command = await enter_new_organization(database, command)
    rule_id = await create_rule(database, command, escalate=escalate)
    model, ids = Model(escalate), dict[str, UUID]()

    for kind, argument in steps:
        now = replace(command, now=datetime.now(UTC))
        match kind:
            case "report":
                await log_reports(database, now, argument, ids)
                for report in argument:
                    model.report(report)
            case "acknowledge":
                if argument in ids:
                    await notifications.acknowledge_event(database, now, ids[argument], "Seen")
                model.acknowledge(argument, True)
            case "unacknowledge":
                if argument in ids:
                    await notifications.unacknowledge_event(database, now, ids[argument])
                model.acknowledge(argument, False)
            case "acknowledge all":
                await notifications.acknowledge_events(database, now, EventFilter(), None, None)
                model.acknowledge_all()
            case "update":
                key, word, notification = argument
                attributes = {"severity": word, "notification": notification}
                if key in ids:
                    await events.update_event(database, now, ids[key], attributes)
                model.update(key, word, notification)
            case "escalate":
                await duplication_rules.update_rule(database, now, rule_id, {"escalate": argument})
                model.escalate = argument

    await compare_with_model(database, command, model, ids)
    counts = await duplication_rules.fetch_match_counts(database, command.actor, [rule_id])
    assert counts.get(rule_id, 0) == model.match_count


async def enter_new_organization(database: Database, command: CommandContext) -> CommandContext:
    key = uuid4().hex
    async with database.write(ALL_ORGANIZATIONS) as session:
        organization_id = await insert_organization(session, key, key, command.now)
    assert organization_id is not None
    return replace(command, actor=replace(command.actor, organization_id=organization_id))


async def create_rule(database: Database, command: CommandContext, **attributes: Any) -> UUID:
    rule = {"name": "r", "fingerprint": ("subject",), "window": timedelta(hours=1)}
    result = await duplication_rules.create_rule(
        database, command, None, rule | {"action": DuplicateAction.COUNT} | attributes, enabled=True
    )
    assert result.rule is not None
    return result.rule.id


async def log_reports(
    database: Database, command: CommandContext, reports: list[Report], ids: dict[str, UUID]
) -> None:
    drafts = [report.to_draft() for report in reports]
    for report, result in zip(
        reports, await events.log_events(database, command, drafts), strict=True
    ):
        assert result.event is not None
        assert ids.setdefault(report.key, result.event.id) == result.event.id
        assert result.duplicate is not result.stored


async def compare_with_model(
    database: Database, command: CommandContext, model: Model, ids: dict[str, UUID]
) -> None:
    keys = {event_id: key for key, event_id in ids.items()}
    async with database.read(command.actor.organization_id) as session:
        stored = {key: await session.get(tables.Event, ids[key]) for key in ids}
        entries = await changes.list_event_entries(session, changes.LOG_START, 1000)
    for key, row in stored.items():
        assert row is not None
        assert summarize_row(row) == model.events[key].summarize()
        [last] = [entry for entry in entries if keys[entry.subject_id] == key][-1:]
        assert last.state == row.to_domain()
    # Of several events that are acknowledged at once, the order of the entries is not defined.
    log = sorted(summarize_entries(entries, keys), key=itemgetter(0))
    assert log == sorted(model.log, key=itemgetter(0))
    assert [keys[entry.subject_id] for entry in entries if entry.notifies] == model.rung
    bell = await notifications.NOTIFICATION_LIST.fetch_page(database, command.actor, BELL)
    assert [keys[row.id] for row in bell.rows] == model.bell()
    unacknowledged = [key for key in model.bell() if not model.events[key].acknowledged]
    count = await notifications.NOTIFICATION_LIST.count_rows(
        database, command.actor, BELL, UNACKNOWLEDGED_COUNT
    )
    assert count == len(unacknowledged)


def summarize_row(row: tables.Event) -> tuple[Any, ...]:
    event = row.to_domain()
    details = [event.acknowledged_at, event.acknowledged_by]
    assert (None not in details) or details == [None, None]
    assert event.acknowledged or event.acknowledgement_note is None
    flags = event.notification, event.acknowledged
    severity = event.severity, event.severity_text
    return *severity, *flags, event.latest_occurrence, event.version, event.occurrences


def summarize_entries(
    entries: Iterable[changes.Entry], keys: dict[UUID, str]
) -> list[tuple[str, str, str | None]]:
    return [
        (
            keys[entry.subject_id],
            entry.kind,
            entry.changes.get(changes.REPORT, {}).get("summary"),
        )
        for entry in entries
    ]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_an_older_transaction_that_escalates_later_does_not_move_the_event_down(
    database: Database, command: CommandContext
) -> None:
    await create_rule(database, command)
    warning = notification_draft("warning", subject="a", severity="warn")
    error = notification_draft("error", subject="a", severity="error")

    async with database.write(command.actor.organization_id) as session:
        await session.execute(text("SELECT pg_current_xact_id()"))
        other = notification_draft("other")
        first, *_ = await events.log_events(database, command, [warning, other, error])
        assert first.event is not None
        await events.update_event(database, command, first.event.id, {"severity": "info"})
        await process_reports(session, [ReportCall(command, [error])])

    bell = await notifications.NOTIFICATION_LIST.fetch_page(database, command.actor, BELL)
    assert [row.summary for row in bell.rows] == ["warning", "other"]
    assert (bell.rows[0].severity, bell.rows[0].occurrences) == (Severity.ERROR, 3)
