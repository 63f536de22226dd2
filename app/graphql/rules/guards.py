"""Queries and mutations of guard rules."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.domain.rules.guards import GuardRuleState, GuardViolationReason
from app.domain.shared.problems import bad_user_input
from app.graphql.rules.guard_inputs import (
    CreateGuardRuleInput,
    GuardRulePayload,
    RuleId,
    UpdateGuardRuleInput,
)
from app.graphql.rules.rule_pages import EventTypeIdFilter, build_rule_page_request
from app.graphql.shared.context import Context, Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.field_sources import ListSource, LookupSource, declare_source
from app.graphql.shared.nodes import parse_id_argument, parse_input_id, parse_optional_input_id
from app.graphql.shared.pages import After, Connection, First, fetch_connection
from app.graphql.shared.permissions import READ_EVENTS, require_permission
from app.graphql.types.event import Event
from app.graphql.types.guard_rule import GuardRule
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.definitions import guards
from app.services.rules import guard_rules


@strawberry.type(description="An event that does not pass the expression of a trial, and why.")
class GuardTrialFailure:
    event: Event = strawberry.field(description="The stored event.")
    reason: GuardViolationReason = strawberry.field(
        description="Whether the expression is false or cannot be evaluated."
    )
    message: str = strawberry.field(
        description="Why the event does not pass. If the expression is false: what it reads from "
        "the event, at most 10 values of at most 100 characters, such as `The expression is false: "
        "event.severity is 'ERROR', event.content is absent.` If it cannot be evaluated: what is "
        "absent, or the error of the evaluation."
    )


@strawberry.type(description="Result of evaluating an expression over stored events.")
class GuardRuleTrial:
    checked: int = strawberry.field(
        description="Number of events that were checked. An event passes without evaluation if "
        "its version of the event type lacks a field that the expression uses."
    )
    rejected: int = strawberry.field(
        description="Number of checked events for which the expression is false. Events for which "
        "it cannot be evaluated are counted in `notEvaluable` instead."
    )
    not_evaluable: int = strawberry.field(
        description="Number of checked events for which the expression cannot be evaluated, for "
        "example because a field is absent. A published rule would reject these events, too."
    )
    examples: list[Event] = strawberry.field(
        description="Checked events that the rule would reject, both those for which the "
        "expression is false and those for which it cannot be evaluated. Newest first, at most "
        "100 by default."
    )
    failures: list[GuardTrialFailure] = strawberry.field(
        description="The `examples`, each with the reason why the rule would reject it."
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the evaluation. Empty on success. An invalid "
        "expression is an `ExpressionError` with line and column."
    )


def _parse_rule_id(_root: Any, _context: Context, id: strawberry.ID) -> UUID:
    return parse_id_argument(id, "id")


@strawberry.type
class GuardRuleQueries:
    @strawberry.field(
        description=with_example(
            "Guard rule with this ID. Null if there is no such guard rule.\n\n"
            "Requires EVENT_READ, EVENT_CREATE or RULE_MANAGE. Request errors: `BAD_USER_INPUT` "
            "if the ID is not a UUID.",
            """
            {
              guardRule(id: "019a3f5c-7b1e-7000-8000-000000000401") {
                name
                expression
                hasUnpublishedChanges
                publishedVersion { number expression publishedAt }
              }
            }
            """,
        ),
        metadata=declare_source(LookupSource(_parse_rule_id, guards.RULE_BY_ID)),
    )
    async def guard_rule(self, info: Info, id: RuleId) -> GuardRule | None:
        context = info.context
        rule_id = _parse_rule_id(self, context, id)
        row = await guards.RULE_BY_ID.fetch_row(context.database, context.caller, rule_id)
        return None if row is None else GuardRule.from_row(row)

    @strawberry.field(
        description=with_example(
            "Guard rules of the organization, in order of creation. Only published rules are in "
            "effect.\n\n"
            "Requires EVENT_READ, EVENT_CREATE or RULE_MANAGE. Request errors: `INVALID_CURSOR`, "
            "`BAD_USER_INPUT`.",
            """
            {
              guardRules(state: PUBLISHED) {
                nodes { id name eventType { name } publishedVersion { expression message } }
                pageInfo { hasNextPage endCursor }
              }
            }
            """,
        ),
        metadata=declare_source(ListSource(build_rule_page_request, guards.RULE_LIST)),
    )
    async def guard_rules(
        self,
        info: Info,
        event_type_id: EventTypeIdFilter = None,
        state: Annotated[
            GuardRuleState | None,
            strawberry.argument(description="State of the rules. Rules in all states if omitted."),
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> Connection[GuardRule]:
        request = build_rule_page_request(self, info.context, event_type_id, first, after, state)
        return await fetch_connection(info.context, guards.RULE_LIST, request, GuardRule.from_row)

    @strawberry.field(
        description=with_example(
            "Result of evaluating the expression of a guard rule over the newest stored events. "
            "Nothing is stored. Use this query before you publish a rule, to see which events the "
            "rule would have rejected. Each event is evaluated as if it were logged now: `old` is "
            "null.\n\n"
            "Requires RULE_MANAGE and EVENT_READ. User errors: `EXPRESSION_INVALID`, `NOT_FOUND` "
            "if the event type does not exist. Request errors: `BAD_USER_INPUT` if `last` is out "
            "of range or `eventTypeId` is not a UUID.",
            """
            {
              tryGuardRule(expression: "event.summary.size() >= 10", last: 200) {
                checked
                rejected
                notEvaluable
                failures { event { id summary } message }
                userErrors { message ... on ExpressionError { line column } }
              }
            }
            """,
        )
    )
    async def try_guard_rule(
        self,
        info: Info,
        expression: Annotated[
            str,
            strawberry.argument(
                description="CEL expression that is true for valid events. See "
                "`CreateGuardRuleInput.expression`."
            ),
        ],
        event_type_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(
                description="ID of an event type. Only the events of this event type are "
                "evaluated, and the expression is validated against its fields. If omitted, all "
                "events are evaluated, and the names and types of fields are not validated."
            ),
        ] = None,
        last: Annotated[
            int | None,
            strawberry.argument(
                description="Number of events to evaluate, newest first. Default 100, minimum 1, "
                "maximum 500 (configurable)."
            ),
        ] = 100,
    ) -> GuardRuleTrial:
        require_permission(info, READ_EVENTS, "Query.tryGuardRule")
        context = info.context
        event_count = 100 if last is None else last
        maximum = context.limits.events_per_trial
        if not 1 <= event_count <= maximum:
            message = f"last must be from 1 to {maximum:,}."
            raise bad_user_input(message, "last")
        parsed_type_id = (
            None if event_type_id is None else parse_id_argument(event_type_id, "eventTypeId")
        )
        trial = await guards.try_expression(
            context.database, context.command, expression, parsed_type_id, event_count
        )
        examples = [
            (Event.from_row(row), failure)
            for row, failure in trial.failures[: context.limits.page_size]
        ]
        return GuardRuleTrial(
            checked=trial.checked,
            rejected=trial.count_failures(GuardViolationReason.VIOLATED),
            not_evaluable=trial.count_failures(GuardViolationReason.NOT_EVALUABLE),
            examples=[event for event, _ in examples],
            failures=[
                GuardTrialFailure(event=event, reason=failure.reason, message=failure.message)
                for event, failure in examples
            ],
            user_errors=to_user_errors(trial.problems),
        )


@strawberry.type
class GuardRuleMutations:
    @strawberry.mutation(
        description=with_example(
            "Creates a guard rule as a draft. The expression is validated, but the rule has no "
            "effect until it is published with `publishGuardRule`.\n\n"
            "Requires RULE_MANAGE. User errors: `EXPRESSION_INVALID` as an `ExpressionError` with "
            "line and column, `NOT_FOUND` if the event type does not exist, `LIMIT_REACHED` if "
            "there are too many guard rules (by default, 100 for each event type and 100 that "
            "apply to all events), `INVALID_INPUT`.",
            """
            mutation {
              createGuardRule(
                input: {
                  name: "Errors are explained"
                  expression: "event.severity != 'ERROR' || event.content != null"
                  message: "An event of severity ERROR needs content."
                }
              ) {
                guardRule { id state }
                userErrors { code message path ... on ExpressionError { line column } }
              }
            }
            """,
        )
    )
    async def create_guard_rule(
        self,
        info: Info,
        input: Annotated[CreateGuardRuleInput, strawberry.argument(description="Rule to create.")],
    ) -> GuardRulePayload:
        context = info.context
        parsed_type_id = parse_optional_input_id(input.event_type_id, "input", "eventTypeId")
        result = await guard_rules.create_rule(
            context.database, context.command, parsed_type_id, input.to_domain()
        )
        return GuardRulePayload.from_result(result, "input")

    @strawberry.mutation(
        description=with_example(
            "Changes the draft of a guard rule. The published version stays in effect until the "
            "draft is published with `publishGuardRule`.\n\n"
            "Requires RULE_MANAGE. User errors: `NOT_FOUND`, `EXPRESSION_INVALID` as an "
            "`ExpressionError` with line and column, `INVALID_INPUT`.",
            """
            mutation {
              updateGuardRule(
                input: { id: "019a3f5c-7b1e-7000-8000-000000000401", enforcement: WARN }
              ) {
                guardRule { hasUnpublishedChanges }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def update_guard_rule(
        self,
        info: Info,
        input: Annotated[
            UpdateGuardRuleInput, strawberry.argument(description="Changes to the rule.")
        ],
    ) -> GuardRulePayload:
        rule_id, context = parse_input_id(input.id, "input", "id"), info.context
        result = await guard_rules.update_draft(
            context.database, context.command, rule_id, input.to_domain()
        )
        return GuardRulePayload.from_result(result, "input")

    @strawberry.mutation(
        description=with_example(
            "Publishes the draft of a guard rule as a new version, which applies to every request "
            "that begins after the response. This also puts a retired rule into effect again.\n\n"
            "Requires RULE_MANAGE. User errors: `NOT_FOUND`, `CONFLICT` if the rule is already "
            "published with the same content, `EXPRESSION_INVALID` if the expression no longer "
            "matches the fields of the event type, `LIMIT_REACHED` if the rule has too many "
            "versions (1,000 by default) or evaluating all published rules for an event could "
            "take too long, `INVALID_INPUT`.",
            """
            mutation {
              publishGuardRule(id: "019a3f5c-7b1e-7000-8000-000000000401") {
                guardRule { state publishedVersion { number publishedAt } }
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def publish_guard_rule(
        self,
        info: Info,
        id: RuleId,
        version: Annotated[
            int | None,
            strawberry.argument(
                description="Number of an earlier version to publish again as a new version; the "
                "draft is not changed. If omitted, the draft is published."
            ),
        ] = None,
    ) -> GuardRulePayload:
        rule_id, context = parse_input_id(id, "id"), info.context
        result = await guard_rules.publish_rule(context.database, context.command, rule_id, version)
        return GuardRulePayload.from_result(result)

    @strawberry.mutation(
        description=with_example(
            "Retires a guard rule, which then has no effect. The versions of the rule are kept, "
            "and `publishGuardRule` puts the rule into effect again. If the rule is already "
            "retired, nothing changes.\n\n"
            "Requires RULE_MANAGE. User errors: `NOT_FOUND`, `INVALID_INPUT`.",
            """
            mutation {
              retireGuardRule(id: "019a3f5c-7b1e-7000-8000-000000000401") {
                guardRule { state }
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def retire_guard_rule(self, info: Info, id: RuleId) -> GuardRulePayload:
        rule_id, context = parse_input_id(id, "id"), info.context
        result = await guard_rules.retire_rule(context.database, context.command, rule_id)
        return GuardRulePayload.from_result(result)
