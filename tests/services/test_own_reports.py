"""Events by which Tocsin reports on its own work: no definition of an organization rejects them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.domain.channels.channels import ChannelKind
from app.domain.event_types.definitions import EventTypeDefinition
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.state import EventDraft
from app.domain.intake.intake import CommandContext
from app.domain.rules.duplicates import DuplicateAction
from app.domain.rules.guards import GuardEnforcement
from app.domain.sources.sources import SourceKind
from app.services.channels import deliveries
from app.services.channels.deliveries import ChannelHealth, report_on_channel
from app.services.event_types import event_type_commands
from app.services.events import events
from app.services.rules import duplication_rules, guard_rules
from app.services.sources import receiving, sources
from app.store import tables
from app.store.engine.database import Database
from tests.factories import NOON, admin_command

TYPES = ("notice", receiving.REJECTED_TYPE)


async def require_tags(database: Database, command: CommandContext) -> None:
    guard = {
        "name": "tags",
        "expression": "size(event.tags) > 0",
        "message": "Every event needs a tag.",
        "enforcement": GuardEnforcement.REJECT,
    }
    created = await guard_rules.create_rule(database, command, None, guard)
    assert created.rule is not None
    await guard_rules.publish_rule(database, command, created.rule.id, None)


async def require_a_field(database: Database, command: CommandContext) -> None:
    field = FieldDefinition("team", FieldKind.TEXT, required=True)
    await create_types(database, command, EventTypeState.PUBLISHED, field)


async def close_types(database: Database, command: CommandContext) -> None:
    await create_types(database, command, EventTypeState.DRAFT)


async def create_types(
    database: Database, command: CommandContext, state: EventTypeState, *fields: FieldDefinition
) -> None:
    for name in TYPES:
        definition = EventTypeDefinition(name, name, None, "c", state, fields)
        created = await event_type_commands.create_event_type(database, command, definition)
        assert not created.problems


async def compare_severities(
    database: Database, command: CommandContext, action: DuplicateAction
) -> None:
    rule = {
        "name": "once",
        "fingerprint": ("severity",),
        "window": timedelta(days=3_000),
        "action": action,
    }
    await duplication_rules.create_rule(database, command, None, rule, enabled=True)


def build_channel(command: CommandContext) -> tables.Channel:
    return tables.Channel(
        id=uuid4(),
        organization_id=command.actor.organization_id,
        name="Slack",
        kind=ChannelKind.WEBHOOK,
        url="https://slack.example",
        secrets="",
        triggers=[],
        log_identity="",
        tx=0,
        seq=0,
        created_at=NOON,
        updated_at=NOON,
    )


@pytest.mark.parametrize(
    ("define", "reason"),
    [
        (require_tags, "GUARD_REJECTED"),
        (require_a_field, "FIELD_REQUIRED"),
        (close_types, "EVENT_TYPE_CLOSED"),
    ],
)
async def test_no_definition_rejects_what_tocsin_reports(
    database: Database,
    define: Callable[[Database, CommandContext], Awaitable[None]],
    reason: str,
) -> None:
    command = await admin_command(database)
    arguments = ("monitor", SourceKind.ALERTMANAGER, None)
    created = await sources.create_source(database, command, *arguments, enabled=True)
    assert created.source is not None
    channel = build_channel(command)
    outage = ChannelHealth("refused", NOON)
    await define(database, command)

    [of_user] = await events.log_events(database, command, [EventDraft(severity="warn")])
    source_command = receiving.build_command(created.source, command.limits, {})
    for error in ("Bad JSON.", "Bad event."):
        await receiving.keep_rejected_payload(
            database, source_command, created.source, error, b"{}", "token"
        )
    async with database.write(command.actor.organization_id) as session:
        for draft in (
            deliveries.build_outage_report(channel, outage, is_gone=False),
            deliveries.build_gap_report(channel, "Pruned."),
        ):
            await report_on_channel(session, channel, draft)
    async with database.read(command.actor.organization_id) as session:
        table = tables.Event
        own = select(table).where(col(table.source).like("/%"), col(table.notification))
        rows = list(await session.scalars(own.order_by(col(table.summary))))

    assert [problem.code.name for problem in of_user.problems] == [reason]
    assert [(row.summary, row.occurrences) for row in rows] == [
        ("Deliveries to the channel Slack fail", 1),
        ("The channel Slack has skipped changes", 1),
        ("The source monitor has rejected a payload", 1),
    ]


@pytest.mark.parametrize("action", [DuplicateAction.REJECT, DuplicateAction.COUNT])
async def test_no_duplication_rule_compares_what_tocsin_reports(
    database: Database, action: DuplicateAction
) -> None:
    command = await admin_command(database)
    channel = build_channel(command)
    await compare_severities(database, command, action)

    results = []
    for reason in ("Pruned.", "Restored."):
        async with database.write(command.actor.organization_id) as session:
            report = deliveries.build_gap_report(channel, reason)
            await report_on_channel(session, channel, report)
        results += await events.log_events(database, command, [EventDraft(severity="warn")])
    async with database.read(command.actor.organization_id) as session:
        table = tables.Event
        own = select(table).where(col(table.source) == deliveries.find_source(channel))
        rows = list(await session.scalars(own.order_by(col(table.content))))

    assert [each.stored for each in results] == [True, False]
    assert [(row.content, row.occurrences) for row in rows] == [("Pruned.", 1), ("Restored.", 1)]
