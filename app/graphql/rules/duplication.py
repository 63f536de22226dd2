"""Inputs, queries and mutations of duplication rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import strawberry

from app.domain.rules.duplicates import DuplicateAction
from app.domain.shared.values import parse_id
from app.graphql.shared.context import Context, Info
from app.graphql.shared.field_sources import Listed, declare_source
from app.graphql.shared.nodes import invalid_id_problem, parse_id_argument
from app.graphql.shared.pages import After, Connection, First, build_connection
from app.graphql.types.duplication_rule import DuplicationRule
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.definitions.rules import RulePageRequest
from app.services.rules import duplication_rules
from app.services.rules.duplication_rules import DuplicationRuleResult
from app.store.reading.pages import parse_page_request


@strawberry.input(description="A new duplication rule. It knows what is logged from now on.")
class CreateDuplicationRuleInput:
    name: str = strawberry.field(description="What people call it.")
    event_type_id: strawberry.ID | None = strawberry.field(
        default=None, description="The event type whose events it is for; left out, every event."
    )
    fingerprint: list[str] = strawberry.field(
        description="What the fingerprint is taken over: see DuplicationRule. An event in which "
        "all of it is absent is no duplicate of any."
    )
    window: timedelta = strawberry.field(
        description="How far from the first, before or after, a duplicate may have occurred: "
        "`PT0S` to `P3660D`."
    )
    action: DuplicateAction = strawberry.field(description="What becomes of a duplicate.")
    enabled: bool | None = strawberry.field(default=True, description="Whether it is in force.")

    def to_domain(self) -> dict[str, Any]:
        """Returns the attributes of the rule without its event type."""
        return {
            "name": self.name,
            "fingerprint": tuple(self.fingerprint),
            "window": self.window,
            "action": self.action,
        }


@strawberry.input(
    description="New attributes of a duplication rule. What is left out stays as it is. Another "
    "fingerprint or window makes it forget what it has seen."
)
class UpdateDuplicationRuleInput:
    id: strawberry.ID = strawberry.field(description="The rule's id.")
    name: strawberry.Maybe[str | None] = strawberry.field(description="What people call it.")
    fingerprint: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="What the fingerprint is taken over."
    )
    window: strawberry.Maybe[timedelta | None] = strawberry.field(
        description="How far from the first a duplicate may have occurred."
    )
    action: strawberry.Maybe[DuplicateAction | None] = strawberry.field(
        description="What becomes of a duplicate."
    )
    enabled: strawberry.Maybe[bool | None] = strawberry.field(description="Whether it is in force.")

    def to_domain(self) -> dict[str, Any]:
        """Returns the provided attributes."""
        names = ("name", "fingerprint", "window", "action", "enabled")
        attributes = {
            name: maybe.value for name in names if (maybe := getattr(self, name)) is not None
        }
        if attributes.get("fingerprint") is not None:
            attributes["fingerprint"] = tuple(attributes["fingerprint"])
        return attributes


@strawberry.type(description="What became of a change of a duplication rule.")
class DuplicationRulePayload:
    duplication_rule: DuplicationRule | None = strawberry.field(
        description="The rule; once deleted, as it was; null where the change was refused."
    )
    user_errors: list[UserError] = strawberry.field(description="Everything that is wrong.")

    @classmethod
    def from_result(
        cls, result: DuplicationRuleResult, *argument_path: str
    ) -> DuplicationRulePayload:
        rule = None
        if result.rule is not None:
            rule = DuplicationRule.from_row(result.rule)
            rule.preloaded_match_count = result.match_count
        return cls(
            duplication_rule=rule, user_errors=to_user_errors(result.problems, *argument_path)
        )


@strawberry.type(description="What became of a reset.")
class ResetDuplicationPayload:
    forgotten: int = strawberry.field(description="Fingerprints forgotten.")
    user_errors: list[UserError] = strawberry.field(description="Everything that is wrong.")


RuleId = Annotated[strawberry.ID, strawberry.argument(description="The rule's id.")]


def _build_page_request(
    _root: Any,
    context: Context,
    event_type_id: strawberry.ID | None = None,
    first: int | None = 20,
    after: str | None = None,
) -> RulePageRequest:
    parsed_type_id = (
        None if event_type_id is None else parse_id_argument(event_type_id, "eventTypeId")
    )
    return RulePageRequest(
        parsed_type_id, parse_page_request(context.limits, first=first, after=after)
    )


@strawberry.type
class DuplicationRuleQueries:
    @strawberry.field(
        description="The organization's duplication rules, in order of creation.",
        metadata=declare_source(Listed(_build_page_request, duplication_rules.select_page)),
    )
    async def duplication_rules(
        self,
        info: Info,
        event_type_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Only rules of this event type."),
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> Connection[DuplicationRule]:
        database, caller = info.context.database, info.context.caller
        page_request = _build_page_request(self, info.context, event_type_id, first, after)
        parsed_type_id = page_request.event_type_id
        page = await duplication_rules.fetch_page(
            database, caller, parsed_type_id, page_request.request
        )
        return build_connection(
            page,
            duplication_rules.BY_CREATION,
            caller.organization_id,
            DuplicationRule.from_row,
            lambda: duplication_rules.count_rules(database, caller, parsed_type_id),
        )


@strawberry.type
class DuplicationRuleMutations:
    @strawberry.mutation(
        description="Makes a duplication rule, in force at once unless `enabled` is false."
    )
    async def create_duplication_rule(
        self,
        info: Info,
        input: Annotated[CreateDuplicationRuleInput, strawberry.argument(description="The rule.")],
    ) -> DuplicationRulePayload:
        parsed_type_id = None if input.event_type_id is None else parse_id(input.event_type_id)
        if input.event_type_id is not None and parsed_type_id is None:
            return DuplicationRulePayload.from_result(
                DuplicationRuleResult(problems=(invalid_id_problem("input", "eventTypeId"),))
            )
        attributes, enabled = input.to_domain(), input.enabled is not False
        context = info.context
        result = await duplication_rules.create_rule(
            context.database, context.command, parsed_type_id, attributes, enabled
        )
        return DuplicationRulePayload.from_result(result, "input")

    @strawberry.mutation(description="Changes a duplication rule.")
    async def update_duplication_rule(
        self,
        info: Info,
        input: Annotated[
            UpdateDuplicationRuleInput, strawberry.argument(description="What to change.")
        ],
    ) -> DuplicationRulePayload:
        rule_id, context = parse_id(input.id), info.context
        if rule_id is None:
            return DuplicationRulePayload.from_result(
                DuplicationRuleResult(problems=(invalid_id_problem("input", "id"),))
            )
        result = await duplication_rules.update_rule(
            context.database, context.command, rule_id, input.to_domain()
        )
        return DuplicationRulePayload.from_result(result, "input")

    @strawberry.mutation(
        description="Takes a duplication rule away, and answers with it. Events stay."
    )
    async def delete_duplication_rule(self, info: Info, id: RuleId) -> DuplicationRulePayload:
        rule_id, context = parse_id(id), info.context
        if rule_id is None:
            return DuplicationRulePayload.from_result(
                DuplicationRuleResult(problems=(invalid_id_problem("id"),))
            )
        result = await duplication_rules.delete_rule(context.database, context.command, rule_id)
        return DuplicationRulePayload.from_result(result)

    @strawberry.mutation(
        description="Forgets what was seen, for one rule or all: the next event is taken as new. "
        "Events stay."
    )
    async def reset_duplication(
        self,
        info: Info,
        rule_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="The rule; left out, all.")
        ] = None,
    ) -> ResetDuplicationPayload:
        parsed_rule_id, context = None if rule_id is None else parse_id(rule_id), info.context
        if rule_id is not None and parsed_rule_id is None:
            problems = [invalid_id_problem("ruleId")]
            return ResetDuplicationPayload(forgotten=0, user_errors=to_user_errors(problems))
        result = await duplication_rules.reset_rules(
            context.database, context.command, parsed_rule_id
        )
        return ResetDuplicationPayload(
            forgotten=result.cleared_count, user_errors=to_user_errors(result.problems)
        )
