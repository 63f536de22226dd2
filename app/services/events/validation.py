"""The registered types that reports name, and each report's own verdict.

A process keeps what it has read of them, with the number of changes at which it did; the number is
asked for in the transaction of each report, so what is kept is never older than that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from app.domain.event_types.fields import FieldDefinition
from app.domain.events.state import EventState
from app.domain.intake.intake import NOTICE, Desk, Draft, Refused, TypeSpec, Verdict, judge
from app.domain.rules.duplicates import Claim, DuplicationRule, claims_of
from app.domain.rules.guards import Guard
from app.domain.shared.problems import Problem, UserErrorCode
from app.domain.shared.values import name_problems, read_id
from app.services.definitions.event_types import specs
from app.services.definitions.guards import guards_of, in_force
from app.services.events.duplicates import rules_in
from app.store.reading import definitions_version

KNOWN = 1_024


@dataclass
class Registered:
    """An organization's event types and rules at one of its `definitions`, as far as anybody has
    asked for them: under a name or an id that no type has is None, and the rules of every type.
    """

    at: int
    by_id: dict[UUID, TypeSpec | None] = field(default_factory=dict)
    by_type: dict[str, TypeSpec | None] = field(default_factory=dict)
    duplication_rules: dict[UUID | None, list[DuplicationRule]] = field(default_factory=dict)
    guards: tuple[Guard, ...] = ()

    def type_of(self, draft: Draft) -> TypeSpec | None:
        """None where the type is free-form, or the id names none."""
        if draft.event_type_id is None:
            return self.by_type.get(draft.type or NOTICE)
        event_type_id = read_id(draft.event_type_id)
        return None if event_type_id is None else self.by_id.get(event_type_id)

    def claims_of(self, event: EventState) -> list[Claim]:
        return claims_of(self.duplication_rules[event.event_type_id], event)

    def verdict(self, draft: Draft, desk: Desk) -> Verdict:
        """As if nobody had reported it before."""
        spec = self.type_of(draft)
        if self.guards != desk.guards:
            desk = replace(desk, guards=self.guards)
        verdict = judge(draft, spec, desk, uuid7())
        if spec is not None or draft.event_type_id is None:
            return verdict
        message = f"There is no event type {draft.event_type_id[:100]!a}."
        unknown = Problem(UserErrorCode.NOT_FOUND, message, ("eventTypeId",))
        return Refused((unknown, *(verdict.problems if isinstance(verdict, Refused) else ())))

    async def read(self, session: AsyncSession, ids: set[UUID], types: set[str]) -> None:
        found = await specs(session, ids, types)
        own = [spec.id for spec in found]
        rules = await rules_in(session, own)
        published = await in_force(session, own)
        self.guards = guards_of(published, None, None)
        self.by_id |= dict.fromkeys(ids)
        self.by_type |= dict.fromkeys(types)
        for spec in found:
            own_guards = guards_of(published, spec.id, spec.fields)
            guarded = replace(spec, guards=own_guards, fields=_same(spec.fields))
            self.by_id[spec.id] = self.by_type[spec.type] = guarded
        for each in (None, *own):
            of_it = [rule for rule in rules if rule.event_type_id in (None, each)]
            self.duplication_rules[each] = of_it


@lru_cache(maxsize=KNOWN)
def _same(fields: tuple[FieldDefinition, ...]) -> tuple[FieldDefinition, ...]:
    """One object for equal ones: what is compiled for them is looked up without comparing them."""
    return fields


async def registered(session: AsyncSession, desk: Desk, drafts: Iterable[Draft]) -> Registered:
    """What the drafts are judged by, as it is in this transaction.

    In one of `join` it stays so. One statement where the process has read it all before.
    """
    known = await _known(session)
    ids = {found for draft in drafts if (found := read_id(draft.event_type_id or ""))}
    types = {
        draft.type or NOTICE
        for draft in drafts
        if draft.event_type_id is None and not name_problems(draft.type, desk.limits.name)
    }
    ids -= known.by_id.keys()
    types -= known.by_type.keys()
    if ids or types or None not in known.duplication_rules:
        await known.read(session, ids, types)
    return known


async def _known(session: AsyncSession) -> Registered:
    organization_id, kept = session.info["scope"], session.info["kept"]
    at = await definitions_version.count(session)
    known: Registered | None = kept.get(organization_id)
    if known is None or known.at != at or len(known.by_id) + len(known.by_type) > KNOWN:
        known = kept[organization_id] = Registered(at)
    return known
