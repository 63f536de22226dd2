"""Queries and mutations of guard rules."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.domain.rules.guards import GuardRuleState
from app.domain.shared.problems import bad_user_input
from app.domain.shared.values import parse_id
from app.graphql.rules.guard_inputs import (
    CreateGuardRuleInput,
    GuardRulePayload,
    RuleId,
    UpdateGuardRuleInput,
)
from app.graphql.shared.context import Context, Info
from app.graphql.shared.field_sources import Listed, One, declare_source
from app.graphql.shared.nodes import invalid_id_problem, parse_id_argument
from app.graphql.shared.pages import After, Connection, First, build_connection
from app.graphql.shared.permissions import READ_EVENTS, require_permission
from app.graphql.types.event import Event
from app.graphql.types.guard_rule import GuardRule
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.definitions import guards
from app.services.definitions.rules import RulePageRequest
from app.services.rules import guard_rules
from app.services.rules.guard_rules import GuardRuleResult
from app.store.reading.pages import parse_page_request


@strawberry.type(description="What an expression would have done to events that are stored.")
class GuardRuleTrial:
    checked: int = strawberry.field(
        description="How many events were looked at. One whose own version lacks a field that the "
        "expression names passes."
    )
    rejected: int = strawberry.field(description="How many of them it would have refused.")
    examples: list[Event] = strawberry.field(
        description="Events that the rule would have refused, newest first: at most 100 of them."
    )
    user_errors: list[UserError] = strawberry.field(
        description="What is wrong with the expression, with line and column."
    )


EventTypeIdFilter = Annotated[
    strawberry.ID | None, strawberry.argument(description="Only rules of this event type.")
]


def _parse_rule_id(_root: Any, _context: Context, id: strawberry.ID) -> UUID:
    return parse_id_argument(id, "id")


def _build_page_request(
    _root: Any,
    context: Context,
    event_type_id: strawberry.ID | None = None,
    state: GuardRuleState | None = None,
    first: int | None = 20,
    after: str | None = None,
) -> RulePageRequest:
    parsed_type_id = (
        None if event_type_id is None else parse_id_argument(event_type_id, "eventTypeId")
    )
    return RulePageRequest(
        parsed_type_id, parse_page_request(context.limits, first=first, after=after), state
    )


@strawberry.type
class GuardRuleQueries:
    @strawberry.field(
        description="One guard rule; null where there is none of this id.",
        metadata=declare_source(One(_parse_rule_id, guards.select_rule)),
    )
    async def guard_rule(self, info: Info, id: RuleId) -> GuardRule | None:
        context = info.context
        row = await guards.fetch_rule(
            context.database, context.caller, _parse_rule_id(self, context, id)
        )
        return None if row is None else GuardRule.from_row(row)

    @strawberry.field(
        description="The organization's guard rules, in order of creation.",
        metadata=declare_source(Listed(_build_page_request, guards.select_page)),
    )
    async def guard_rules(
        self,
        info: Info,
        event_type_id: EventTypeIdFilter = None,
        state: Annotated[
            GuardRuleState | None, strawberry.argument(description="Only rules in this state.")
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> Connection[GuardRule]:
        database, caller = info.context.database, info.context.caller
        page_request = _build_page_request(self, info.context, event_type_id, state, first, after)
        parsed_type_id = page_request.event_type_id
        page = await guards.fetch_page(
            database, caller, parsed_type_id, state, page_request.request
        )
        return build_connection(
            page,
            guards.BY_CREATION,
            caller.organization_id,
            GuardRule.from_row,
            lambda: guards.count_rules(database, caller, parsed_type_id, state),
        )

    @strawberry.field(
        description="Runs an expression over the newest stored events and writes nothing: what it "
        "would have refused, before anyone publishes it."
    )
    async def try_guard_rule(
        self,
        info: Info,
        expression: Annotated[str, strawberry.argument(description="What should hold, in CEL.")],
        event_type_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(
                description="Over events of this type, checked against its fields; left out, over "
                "all."
            ),
        ] = None,
        last: Annotated[
            int | None, strawberry.argument(description="Over how many events: 1 to 500.")
        ] = 100,
    ) -> GuardRuleTrial:
        require_permission(info, READ_EVENTS, "Query.tryGuardRule")
        context = info.context
        event_count = 100 if last is None else last
        if not 1 <= event_count <= context.limits.events_per_trial:
            raise bad_user_input(
                f"last must be from 1 to {context.limits.events_per_trial}.", "last"
            )
        parsed_type_id = (
            None if event_type_id is None else parse_id_argument(event_type_id, "eventTypeId")
        )
        trial = await guards.try_expression(
            context.database, context.command, expression, parsed_type_id, event_count
        )
        examples = trial.rejected[: context.limits.page_size]
        return GuardRuleTrial(
            checked=trial.checked,
            rejected=len(trial.rejected),
            examples=[Event.from_row(row) for row in examples],
            user_errors=to_user_errors(trial.problems),
        )


@strawberry.type
class GuardRuleMutations:
    @strawberry.mutation(
        description="Drafts a guard rule: its expression is checked, and nothing is enforced yet."
    )
    async def create_guard_rule(
        self,
        info: Info,
        input: Annotated[CreateGuardRuleInput, strawberry.argument(description="The rule.")],
    ) -> GuardRulePayload:
        parsed_type_id: UUID | None = None
        if input.event_type_id is not None:
            parsed_type_id = parse_id(input.event_type_id)
            if parsed_type_id is None:
                return _build_invalid_id_payload("input", "eventTypeId")
        context = info.context
        result = await guard_rules.create_rule(
            context.database, context.command, parsed_type_id, input.to_domain()
        )
        return GuardRulePayload.from_result(result, "input")

    @strawberry.mutation(
        description="Edits the draft of a guard rule; what is published keeps enforcing."
    )
    async def update_guard_rule(
        self,
        info: Info,
        input: Annotated[UpdateGuardRuleInput, strawberry.argument(description="What to change.")],
    ) -> GuardRulePayload:
        rule_id, context = parse_id(input.id), info.context
        if rule_id is None:
            return _build_invalid_id_payload("input", "id")
        result = await guard_rules.update_draft(
            context.database, context.command, rule_id, input.to_domain()
        )
        return GuardRulePayload.from_result(result, "input")

    @strawberry.mutation(
        description="Puts a guard rule in force: its draft, as a new version. Who reports after "
        "the answer is judged by it. CONFLICT where the same is in force already."
    )
    async def publish_guard_rule(
        self,
        info: Info,
        id: RuleId,
        version: Annotated[
            int | None,
            strawberry.argument(
                description="Publishes that earlier version's content again, as a new version."
            ),
        ] = None,
    ) -> GuardRulePayload:
        rule_id, context = parse_id(id), info.context
        if rule_id is None:
            return _build_invalid_id_payload("id")
        result = await guard_rules.publish_rule(context.database, context.command, rule_id, version)
        return GuardRulePayload.from_result(result)

    @strawberry.mutation(
        description="Takes a guard rule out of force. Its versions stay; publishing it puts it in "
        "force again."
    )
    async def retire_guard_rule(self, info: Info, id: RuleId) -> GuardRulePayload:
        rule_id, context = parse_id(id), info.context
        if rule_id is None:
            return _build_invalid_id_payload("id")
        result = await guard_rules.retire_rule(context.database, context.command, rule_id)
        return GuardRulePayload.from_result(result)


def _build_invalid_id_payload(*id_path: str) -> GuardRulePayload:
    return GuardRulePayload.from_result(GuardRuleResult(problems=(invalid_id_problem(*id_path),)))
