"""The registered types that reports name, and each report's own verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from app.domain.duplicates import DuplicationRule
from app.domain.guards import Guard
from app.domain.intake import NOTICE, Desk, Draft, Refused, TypeSpec, Verdict, judge
from app.domain.problems import Problem, UserErrorCode
from app.domain.values import name_problems, read_id
from app.services.duplicates import rules_in
from app.services.event_types import specs
from app.services.guards import guards_of, in_force


@dataclass(frozen=True)
class Registered:
    """`duplication_rules`: those of these types and of every type. `guards`: of every type."""

    by_id: dict[UUID, TypeSpec]
    by_type: dict[str, TypeSpec]
    duplication_rules: list[DuplicationRule]
    guards: tuple[Guard, ...]

    def type_of(self, draft: Draft) -> TypeSpec | None:
        """None where the type is free-form, or the id names none."""
        if draft.event_type_id is None:
            return self.by_type.get(draft.type or NOTICE)
        event_type_id = read_id(draft.event_type_id)
        return None if event_type_id is None else self.by_id.get(event_type_id)

    def verdict(self, draft: Draft, desk: Desk) -> Verdict:
        """As if nobody had reported it before."""
        spec = self.type_of(draft)
        verdict = judge(draft, spec, replace(desk, guards=self.guards), uuid7())
        if spec is not None or draft.event_type_id is None:
            return verdict
        message = f"There is no event type {draft.event_type_id[:100]!a}."
        unknown = Problem(UserErrorCode.NOT_FOUND, message, ("eventTypeId",))
        return Refused((unknown, *(verdict.problems if isinstance(verdict, Refused) else ())))


async def registered(
    session: AsyncSession, desk: Desk, drafts: Sequence[Draft], *, hold: bool = True
) -> Registered:
    """`hold`: the types stay what they are until the end of the transaction."""
    ids = {found for draft in drafts if (found := read_id(draft.event_type_id or ""))}
    types = {
        draft.type or NOTICE
        for draft in drafts
        if draft.event_type_id is None and not name_problems(draft.type, desk.limits.name)
    }
    known = await specs(session, ids, types, hold=hold)
    known_ids = [spec.id for spec in known]
    rules = await rules_in(session, known_ids, hold=hold)
    published = await in_force(session, known_ids)
    guarded = [replace(spec, guards=guards_of(published, spec.id, spec.fields)) for spec in known]
    return Registered(
        {spec.id: spec for spec in guarded},
        {spec.type: spec for spec in guarded},
        rules,
        guards_of(published, None, None),
    )
