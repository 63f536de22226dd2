"""Inputs, queries and mutations of duplication rules."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from app.domain.rules.duplicates import DuplicateAction
from app.domain.shared.durations import Duration
from app.graphql.rules.rule_pages import (
    RULE_EVENT_TYPE_DESCRIPTION,
    EventTypeIdFilter,
    build_rule_page_request,
)
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.field_sources import ListSource, declare_source
from app.graphql.shared.nodes import parse_input_id, parse_optional_input_id
from app.graphql.shared.pages import After, Connection, First, fetch_connection
from app.graphql.shared.scalars import parse_input_length
from app.graphql.shared.update_inputs import read_provided_attributes
from app.graphql.types.duplication_rule import FINGERPRINT_PATH_NAMES, DuplicationRule
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.rules import duplication_rules
from app.services.rules.rule_commands import RuleResult
from app.store import tables


@strawberry.input(
    description=with_example(
        "A duplication rule to create. It compares new events only with events that were logged "
        "after the rule was created.",
        """
        {
          name: "Same well, same cause, within 10 minutes"
          eventTypeId: "019a3f5c-7b1e-7000-8000-000000000101"
          fingerprint: ["entity", "fields.cause"]
          window: "PT10M"
          action: COUNT
        }
        """,
    )
)
class CreateDuplicationRuleInput:
    name: str = strawberry.field(
        description="Display name of the rule: one line, at most 255 characters by default."
    )
    event_type_id: strawberry.ID | None = strawberry.field(
        default=None, description=RULE_EVENT_TYPE_DESCRIPTION
    )
    fingerprint: list[str] = strawberry.field(
        description="Paths of the attributes that must be equal in duplicates: "
        f"{FINGERPRINT_PATH_NAMES}. At least one, at most 50 by default, without repetitions. In a "
        "rule of an event type, `<name>` must be a field of the event type. `fields.labels.host` "
        "is the custom field `labels.host` or, if an event has no such field, the value of `host` "
        "in the object `labels`. The rule does not apply to an event that has none of the "
        "attributes. See `DuplicationRule.fingerprint` for how values are compared."
    )
    window: Duration = strawberry.field(
        description="Maximum difference between the `occurredAt` of a duplicate and that of its "
        "original, in either direction: `PT0S` to `P3660D` by default. `PT0S` matches only events "
        "with the same `occurredAt`."
    )
    action: DuplicateAction = strawberry.field(description="Action taken on a duplicate.")
    escalate: bool | None = strawberry.field(
        default=True,
        description="Whether a more severe duplicate raises the severity of the original and "
        "removes its acknowledgement. Applies only with the action COUNT. If the duplicate has "
        "`notification: true`, the original is also delivered again as a notification. See "
        "`DuplicationRule.escalate`. Null means true.",
    )
    enabled: bool | None = strawberry.field(
        default=True, description="Whether the rule is in effect. Null means true."
    )
    position: int | None = strawberry.field(
        default=None,
        description="Position among all duplication rules of the organization, from 0 to the "
        "number of rules. The rule at this position and all later ones move down by one. Null "
        "means the last position.",
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the attributes of the rule without its event type."""
        return {
            "name": self.name,
            "fingerprint": tuple(self.fingerprint),
            "window": parse_input_length(self.window, "input", "window"),
            "action": self.action,
            "escalate": self.escalate is not False,
        }


@strawberry.input(
    description=with_example(
        "Changes to a duplication rule. An omitted attribute keeps its value; no attribute can be "
        "null. A change to `fingerprint` or `window` clears the stored fingerprints of the rule, "
        "as `resetDuplication` does.",
        """
        { id: "019a3f5c-7b1e-7000-8000-000000000501", window: "PT1H" }
        """,
    )
)
class UpdateDuplicationRuleInput:
    id: strawberry.ID = strawberry.field(description="ID of the duplication rule.")
    name: strawberry.Maybe[str | None] = strawberry.field(
        description="New display name: one line, at most 255 characters by default."
    )
    fingerprint: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="New paths of the attributes that must be equal in duplicates. Replaces the "
        "whole list. See `CreateDuplicationRuleInput.fingerprint`."
    )
    window: strawberry.Maybe[Duration | None] = strawberry.field(
        description="New maximum difference between the `occurredAt` of a duplicate and that of "
        "its original, in either direction: `PT0S` to `P3660D` by default."
    )
    action: strawberry.Maybe[DuplicateAction | None] = strawberry.field(
        description="New action taken on a duplicate."
    )
    escalate: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether a more severe duplicate escalates the original. Applies only with "
        "the action COUNT. See `DuplicationRule.escalate`."
    )
    enabled: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether the rule is in effect."
    )
    position: strawberry.Maybe[int | None] = strawberry.field(
        description="New position among all duplication rules of the organization, from 0 to the "
        "number of rules minus 1. The rules between the old and the new position move by one."
    )

    def to_domain(self) -> dict[str, Any]:
        """Returns the provided attributes."""
        attributes = read_provided_attributes(self, "fingerprint")
        if (window := attributes.get("window")) is not None:
            attributes["window"] = parse_input_length(window, "input", "window")
        return attributes


@strawberry.type(description="Result of creating, changing or deleting a duplication rule.")
class DuplicationRulePayload:
    duplication_rule: DuplicationRule | None = strawberry.field(
        default=None,
        description="The duplication rule after the change, or the last state of a deleted rule. "
        "Null if the change was rejected.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the change. Empty on success."
    )

    @classmethod
    def from_result(
        cls, result: RuleResult[tables.DuplicationRule], *argument_path: str
    ) -> DuplicationRulePayload:
        row = result.rule
        return cls(
            duplication_rule=None if row is None else DuplicationRule.from_row(row),
            user_errors=to_user_errors(result.problems, *argument_path),
        )


@strawberry.type(description="Result of clearing the fingerprints of duplication rules.")
class ResetDuplicationPayload:
    cleared_count: int = strawberry.field(
        default=0,
        description="Number of fingerprints that were cleared. 0 if the reset was rejected.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the reset. Empty on success."
    )


RuleId = Annotated[
    strawberry.ID, strawberry.argument(description="ID of the duplication rule to delete.")
]


@strawberry.type
class DuplicationRuleQueries:
    @strawberry.field(
        description=with_example(
            "Duplication rules of the organization, by `position`. Rules are tried in this order, "
            "and only the first rule that finds an original applies.\n\n"
            "Requires EVENT_READ, EVENT_CREATE or RULE_MANAGE. Request errors: `INVALID_CURSOR`, "
            "`BAD_USER_INPUT`.",
            """
            {
              duplicationRules {
                nodes { id position name fingerprint window action escalate enabled }
                pageInfo { hasNextPage endCursor }
              }
            }
            """,
        ),
        metadata=declare_source(ListSource(build_rule_page_request, duplication_rules.RULE_LIST)),
    )
    async def duplication_rules(
        self,
        info: Info,
        event_type_id: EventTypeIdFilter = None,
        first: First = 20,
        after: After = None,
    ) -> Connection[DuplicationRule]:
        request = build_rule_page_request(self, info.context, event_type_id, first, after)
        return await fetch_connection(
            info.context, duplication_rules.RULE_LIST, request, DuplicationRule.from_row
        )


@strawberry.type
class DuplicationRuleMutations:
    @strawberry.mutation(
        description=with_example(
            "Creates a duplication rule, which takes effect immediately unless `enabled` is "
            "false.\n\n"
            "Requires RULE_MANAGE. User errors: `NOT_FOUND` if the event type does not exist, "
            "`LIMIT_REACHED` if there are too many duplication rules (by default, 100 for each "
            "event type and 100 that apply to all events), `INVALID_INPUT`.",
            """
            mutation {
              createDuplicationRule(
                input: {
                  name: "Same alarm within 10 minutes"
                  fingerprint: ["type", "source", "summary"]
                  window: "PT10M"
                  action: COUNT
                }
              ) {
                duplicationRule { id }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def create_duplication_rule(
        self,
        info: Info,
        input: Annotated[
            CreateDuplicationRuleInput, strawberry.argument(description="Rule to create.")
        ],
    ) -> DuplicationRulePayload:
        parsed_type_id = parse_optional_input_id(input.event_type_id, "input", "eventTypeId")
        attributes, enabled = input.to_domain(), input.enabled is not False
        context = info.context
        result = await duplication_rules.create_rule(
            context.database, context.command, parsed_type_id, attributes, enabled, input.position
        )
        return DuplicationRulePayload.from_result(result, "input")

    @strawberry.mutation(
        description=with_example(
            "Changes a duplication rule. A change to `fingerprint` or `window` clears the stored "
            "fingerprints of the rule.\n\n"
            "Requires RULE_MANAGE. User errors: `NOT_FOUND`, `INVALID_INPUT`.",
            """
            mutation {
              updateDuplicationRule(
                input: { id: "019a3f5c-7b1e-7000-8000-000000000501", action: FLAG }
              ) {
                duplicationRule { action resetAt }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def update_duplication_rule(
        self,
        info: Info,
        input: Annotated[
            UpdateDuplicationRuleInput, strawberry.argument(description="Changes to the rule.")
        ],
    ) -> DuplicationRulePayload:
        rule_id, context = parse_input_id(input.id, "input", "id"), info.context
        result = await duplication_rules.update_rule(
            context.database, context.command, rule_id, input.to_domain()
        )
        return DuplicationRulePayload.from_result(result, "input")

    @strawberry.mutation(
        description=with_example(
            "Deletes a duplication rule and returns its last state. Stored events are not "
            "changed.\n\n"
            "Requires RULE_MANAGE. User errors: `NOT_FOUND`, `INVALID_INPUT`.",
            """
            mutation {
              deleteDuplicationRule(id: "019a3f5c-7b1e-7000-8000-000000000501") {
                duplicationRule { name }
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def delete_duplication_rule(self, info: Info, id: RuleId) -> DuplicationRulePayload:
        rule_id, context = parse_input_id(id, "id"), info.context
        result = await duplication_rules.delete_rule(context.database, context.command, rule_id)
        payload = DuplicationRulePayload.from_result(result)
        if payload.duplication_rule is not None:
            payload.duplication_rule.preloaded_match_count = result.match_count
        return payload

    @strawberry.mutation(
        description=with_example(
            "Clears the stored fingerprints of one duplication rule, or of all duplication rules. "
            "Events that were logged before are then no longer originals of new events. Stored "
            "events are not changed.\n\n"
            "Requires RULE_MANAGE. User errors: `NOT_FOUND`, `INVALID_INPUT`.",
            """
            mutation {
              resetDuplication(ruleId: "019a3f5c-7b1e-7000-8000-000000000501") {
                clearedCount
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def reset_duplication(
        self,
        info: Info,
        rule_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(
                description="ID of the duplication rule. All duplication rules of the "
                "organization if omitted."
            ),
        ] = None,
    ) -> ResetDuplicationPayload:
        parsed_rule_id, context = parse_optional_input_id(rule_id, "ruleId"), info.context
        result = await duplication_rules.reset_rules(
            context.database, context.command, parsed_rule_id
        )
        return ResetDuplicationPayload(
            cleared_count=result.cleared_count, user_errors=to_user_errors(result.problems)
        )
