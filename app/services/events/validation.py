"""Validates reports against the event types and rules of their organization.

A process caches event types and rules with the version of the definitions. The version is read in
the transaction of each report, so the cache is never outdated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeVar
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from app.domain.event_types.fields import FieldDefinition
from app.domain.events.silences import Silence
from app.domain.events.state import DEFAULT_TYPE, EventDraft, EventState
from app.domain.intake.intake import (
    CommandContext,
    EventTypeSnapshot,
    Rejected,
    ValidationResult,
    validate_report,
    validate_resolution,
)
from app.domain.rules.expressions import Expression, compile_expression
from app.domain.rules.guards import Guard
from app.domain.shared.limits import Limits
from app.domain.shared.messages import invalid_id_message
from app.domain.shared.problems import invalid_input, not_found
from app.domain.shared.values import validate_name
from app.services.definitions.event_types import load_snapshots
from app.services.definitions.guards import build_guards, load_published_rules
from app.services.definitions.rules import load_enabled_rules
from app.store import tables
from app.store.reading import definitions_version

MAX_CACHED_TYPES = 1_024

Rule = TypeVar("Rule")

log = structlog.get_logger(__name__)


@dataclass
class CachedDefinitions:
    """Event types, rules and silences of an organization at one version of its definitions.

    IDs and type names that do not exist map to None. Rules of all types are included. `silences`:
    those that have not ended; None until `load_silencer` has loaded them.
    """

    version: int
    by_id: dict[UUID, EventTypeSnapshot | None] = field(default_factory=dict)
    by_type: dict[str, EventTypeSnapshot | None] = field(default_factory=dict)
    enabled_rules: dict[UUID | None, list[tables.AppliedRule]] = field(default_factory=dict)
    guards: tuple[Guard, ...] = ()
    silences: tuple[Silence, ...] | None = None

    def find_type(self, draft: EventDraft) -> EventTypeSnapshot | None:
        """Returns the event type of a draft. None if the draft names no registered type."""
        if draft.event_type_id is None:
            return self.by_type.get(draft.type or DEFAULT_TYPE)
        return None if draft.type_id is None else self.by_id.get(draft.type_id)

    def find_rules(self, kind: type[Rule], event: EventState) -> list[Rule]:
        """Returns the enabled rules of a kind that apply to the event, in their order."""
        return [rule for rule in self.enabled_rules[event.event_type_id] if isinstance(rule, kind)]

    def find_set_fields(self, event: EventState) -> Collection[str]:
        """Returns the names of the event's MULTI_SELECT fields."""
        event_type = None if event.event_type_id is None else self.by_id[event.event_type_id]
        return event_type.set_fields if event_type else ()

    def validate(self, draft: EventDraft, command: CommandContext) -> ValidationResult:
        """Validates the draft, without regard to replays."""
        if draft.resolved:
            return validate_resolution(draft, command)
        event_type = self.find_type(draft)
        if self.guards != command.guards:
            command = replace(command, guards=self.guards)
        result = validate_report(draft, event_type, command, uuid7())
        if command.is_internal and isinstance(result, Rejected):
            # Stored without an event type: users must learn that alarms are lost.
            return validate_report(draft, None, replace(command, guards=()), uuid7())
        if event_type is not None or draft.event_type_id is None:
            return result
        if draft.type_id is None:
            unknown = invalid_input(invalid_id_message(draft.event_type_id), "eventTypeId")
        else:
            unknown = not_found("event type", draft.type_id, "eventTypeId")
        return Rejected((unknown, *(result.problems if isinstance(result, Rejected) else ())))

    async def load_types(
        self, session: AsyncSession, ids: set[UUID], types: set[str], limits: Limits
    ) -> None:
        """Adds event types by ID and by type name, and warns about rules beyond the limits."""
        event_types = await load_snapshots(session, ids, types)
        type_ids = [event_type.id for event_type in event_types]
        rules = await load_enabled_rules(session, type_ids)
        published = await load_published_rules(session, type_ids)
        guards_of_all_types = build_guards(published, None, None)
        if self.guards != guards_of_all_types:
            self.guards = guards_of_all_types
            _warn_about_limits(session.info["scope"], None, self.guards, (), limits)
        self.by_id |= dict.fromkeys(ids)
        self.by_type |= dict.fromkeys(types)
        for event_type in event_types:
            guards = build_guards(published, event_type.id, event_type.fields)
            _warn_about_limits(session.info["scope"], event_type.type, guards, self.guards, limits)
            guarded = replace(event_type, guards=guards, fields=_intern_fields(event_type.fields))
            self.by_id[event_type.id] = self.by_type[event_type.type] = guarded
        for each in (None, *type_ids):
            self.enabled_rules[each] = [
                rule for rule in rules if rule.event_type_id in (None, each)
            ]


def _warn_about_limits(
    organization_id: UUID,
    event_type: str | None,
    guards: Iterable[Guard],
    guards_of_all_types: Iterable[Guard],
    limits: Limits,
) -> None:
    """Logs which published rules of a type exceed limits that were changed since.

    A rule beyond the limit of an expression lets no event pass; all rules beyond their total are
    evaluated. `event_type` is None for the rules of all types.
    """
    context = {"organization_id": str(organization_id), "event_type": event_type}
    compiled = [
        (guard, compile_expression(guard.expression, guard.type_fields, limits)) for guard in guards
    ]
    for guard, expression in compiled:
        if not isinstance(expression, Expression):
            log.warning(
                "guard_rule_not_evaluable",
                **context,
                guard_rule_id=str(guard.id),
                guard_rule=guard.name,
                reason=expression[0].message,
                advice="Change or retire the rule, or set TOCSIN_LIMITS__EXPRESSION_STEPS.",
            )
    others = [
        compile_expression(guard.expression, guard.type_fields, limits)
        for guard in guards_of_all_types
    ]
    expressions = [*(expression for _, expression in compiled), *others]
    steps = sum(each.steps for each in expressions if isinstance(each, Expression))
    if compiled and steps > limits.guard_steps:
        log.warning(
            "guard_rules_exceed_limit",
            **context,
            steps=steps,
            limit=limits.guard_steps,
            advice="Retire a rule, or set TOCSIN_LIMITS__GUARD_STEPS.",
        )


@lru_cache(maxsize=MAX_CACHED_TYPES)
def _intern_fields(fields: tuple[FieldDefinition, ...]) -> tuple[FieldDefinition, ...]:
    """Returns one object for equal fields: compiled schemas are cached by its identity."""
    return fields


async def load_definitions(
    session: AsyncSession, command: CommandContext, drafts: Iterable[EventDraft]
) -> CachedDefinitions:
    """Returns the definitions for the drafts, as of this transaction.

    They stay valid until the transaction ends if it holds `lock_definitions_shared`. Runs one
    statement if everything is cached.
    """
    definitions = await load_current_definitions(session)
    ids = {draft.type_id for draft in drafts if draft.type_id is not None}
    types = {
        draft.type or DEFAULT_TYPE
        for draft in drafts
        if draft.event_type_id is None
        and not validate_name(draft.type, command.limits.name_characters)
    }
    ids -= definitions.by_id.keys()
    types -= definitions.by_type.keys()
    if ids or types or None not in definitions.enabled_rules:
        await definitions.load_types(session, ids, types, command.limits)
    return definitions


async def cache_event_types(
    session: AsyncSession, ids: Collection[UUID], limits: Limits
) -> CachedDefinitions:
    """Caches event types with the rules that apply, and warns about rules beyond the limits."""
    definitions = await load_current_definitions(session)
    ids = set(ids) - definitions.by_id.keys()
    if ids or None not in definitions.enabled_rules:
        await definitions.load_types(session, ids, set(), limits)
    return definitions


async def load_current_definitions(session: AsyncSession) -> CachedDefinitions:
    """Returns the cached definitions of the session's organization, as of this transaction."""
    organization_id, caches = session.info["scope"], session.info["organization_caches"]
    version = await definitions_version.fetch_definitions_version(session)
    definitions: CachedDefinitions | None = caches.get(organization_id)
    if (
        definitions is None
        or definitions.version != version
        or len(definitions.by_id) + len(definitions.by_type) > MAX_CACHED_TYPES
    ):
        definitions = caches[organization_id] = CachedDefinitions(version)
    return definitions
