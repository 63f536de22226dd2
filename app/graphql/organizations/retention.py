"""Inputs, queries and mutations of retention policies."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from app.domain.access import retention
from app.domain.access.retention import RetentionTarget
from app.domain.shared.durations import Duration
from app.graphql.shared.context import Context, Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.field_sources import ListSource, declare_source
from app.graphql.shared.nodes import parse_input_id
from app.graphql.shared.pages import After, Connection, First, fetch_connection
from app.graphql.shared.scalars import parse_input_length
from app.graphql.shared.update_inputs import read_provided_attributes
from app.graphql.types.event_inputs import EventFilter, parse_stored_filter
from app.graphql.types.retention_policy import RetentionPolicy
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.retention import policies
from app.services.retention.policies import PolicyResult
from app.store.reading.pages import PageRequest, parse_page_request


def _build_page_request(
    _root: Any, context: Context, first: int | None = 20, after: str | None = None
) -> PageRequest:
    return parse_page_request(context.limits, first=first, after=after)


@strawberry.input(
    description=with_example(
        "A retention policy to create.",
        """
        {
          name: "Resolved sensor readings"
          filter: { types: ["sensor.*"], severities: [INFO, SUCCESS] }
          keepFor: "P90D"
        }
        """,
    )
)
class CreateRetentionPolicyInput:
    name: str = strawberry.field(
        description="Display name of the policy: one line, at most 255 characters by default."
    )
    target: RetentionTarget | None = strawberry.field(
        default=RetentionTarget.EVENTS,
        description="What the policy removes. Cannot be changed later. Null means EVENTS.",
    )
    filter: EventFilter | None = strawberry.field(
        default=None,
        description="Conditions on the events to delete; `{}` selects all events. Required if the "
        "target is EVENTS, and not allowed if it is HISTORY.",
    )
    keep_for: Duration = strawberry.field(
        description="Period after which the policy deletes: `P1D` to `P36600D` by default."
    )


@strawberry.input(
    description=with_example(
        "Changes to a retention policy. An omitted attribute keeps its value; no attribute can be "
        "null.",
        """
        { id: "019a3f5c-7b1e-7000-8000-000000000901", keepFor: "P180D" }
        """,
    )
)
class UpdateRetentionPolicyInput:
    id: strawberry.ID = strawberry.field(description="ID of the retention policy.")
    name: strawberry.Maybe[str | None] = strawberry.field(
        description="New display name: one line, at most 255 characters by default."
    )
    filter: strawberry.Maybe[EventFilter | None] = strawberry.field(
        description="New conditions on the events to delete. Replaces the whole filter. Not "
        "allowed if the target of the policy is HISTORY."
    )
    keep_for: strawberry.Maybe[Duration | None] = strawberry.field(
        description="New period after which the policy deletes: `P1D` to `P36600D` by default."
    )


@strawberry.type(description="Result of creating, changing or deleting a retention policy.")
class RetentionPolicyPayload:
    retention_policy: RetentionPolicy | None = strawberry.field(
        default=None,
        description="The retention policy after the change, or the last state of a deleted "
        "policy. Null if the change was rejected.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the change. Empty on success."
    )

    @classmethod
    def from_result(cls, result: PolicyResult, *argument_path: str) -> RetentionPolicyPayload:
        row = result.policy
        return cls(
            retention_policy=None if row is None else RetentionPolicy.from_row(row),
            user_errors=to_user_errors(result.problems, *argument_path),
        )


@strawberry.type
class RetentionQueries:
    @strawberry.field(
        description=with_example(
            "Retention policies of the organization, in order of creation.\n\n"
            "Requires ORGANIZATION_MANAGE. Request errors: `INVALID_CURSOR`, `BAD_USER_INPUT`.",
            """
            {
              retentionPolicies {
                nodes { id name target filter keepFor lastAppliedAt }
                pageInfo { hasNextPage endCursor }
              }
            }
            """,
        ),
        metadata=declare_source(ListSource(_build_page_request, policies.POLICY_LIST)),
    )
    async def retention_policies(
        self, info: Info, first: First = 20, after: After = None
    ) -> Connection[RetentionPolicy]:
        request = _build_page_request(self, info.context, first, after)
        return await fetch_connection(
            info.context, policies.POLICY_LIST, request, RetentionPolicy.from_row
        )


@strawberry.type
class RetentionMutations:
    @strawberry.mutation(
        description=with_example(
            "Creates a retention policy. The server applies it within seconds, and then every hour "
            "(configurable): it permanently deletes what the policy selects, in small "
            "transactions. To see how many events a policy would delete, read `totalCount` of "
            "`events` with the same filter and `recordedAt: {to:}`.\n\n"
            "Requires ORGANIZATION_MANAGE and EVENT_DELETE. User errors: `LIMIT_REACHED` if there "
            "are too many policies (100 by default), `INVALID_INPUT`. Request errors: "
            "`BAD_USER_INPUT` if the filter is invalid.",
            """
            mutation {
              createRetentionPolicy(
                input: {
                  name: "Test events"
                  filter: { types: ["test.*"] }
                  keepFor: "P7D"
                }
              ) {
                retentionPolicy { id filter keepFor }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def create_retention_policy(
        self,
        info: Info,
        input: Annotated[
            CreateRetentionPolicyInput, strawberry.argument(description="Policy to create.")
        ],
    ) -> RetentionPolicyPayload:
        context = info.context
        policy = retention.RetentionPolicy(
            input.name,
            input.target or RetentionTarget.EVENTS,
            await parse_stored_filter(input.filter, context),
            parse_input_length(input.keep_for, "input", "keepFor"),
        )
        result = await policies.create_policy(context.database, context.command, policy)
        return RetentionPolicyPayload.from_result(result, "input")

    @strawberry.mutation(
        description=with_example(
            "Changes a retention policy. The server applies the changed policy within seconds.\n\n"
            "Requires ORGANIZATION_MANAGE and EVENT_DELETE. User errors: `NOT_FOUND`, "
            "`INVALID_INPUT`. Request errors: `BAD_USER_INPUT` if the filter is invalid.",
            """
            mutation {
              updateRetentionPolicy(
                input: { id: "019a3f5c-7b1e-7000-8000-000000000901", keepFor: "P180D" }
              ) {
                retentionPolicy { id keepFor }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def update_retention_policy(
        self,
        info: Info,
        input: Annotated[
            UpdateRetentionPolicyInput, strawberry.argument(description="Changes to the policy.")
        ],
    ) -> RetentionPolicyPayload:
        context = info.context
        policy_id = parse_input_id(input.id, "input", "id")
        attributes = read_provided_attributes(input)
        if (filter := attributes.get("filter")) is not None:
            attributes["filter"] = await parse_stored_filter(filter, context)
        if (keep_for := attributes.get("keep_for")) is not None:
            attributes["keep_for"] = parse_input_length(keep_for, "input", "keepFor")
        result = await policies.update_policy(
            context.database, context.command, policy_id, attributes
        )
        return RetentionPolicyPayload.from_result(result, "input")

    @strawberry.mutation(
        description=with_example(
            "Deletes a retention policy. What it has deleted is not restored. An application that "
            "is running ends after its current transaction.\n\n"
            "Requires ORGANIZATION_MANAGE. User errors: `NOT_FOUND`, `INVALID_INPUT` if the ID is "
            "not a UUID.",
            """
            mutation {
              deleteRetentionPolicy(id: "019a3f5c-7b1e-7000-8000-000000000901") {
                retentionPolicy { name }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def delete_retention_policy(
        self,
        info: Info,
        id: Annotated[
            strawberry.ID, strawberry.argument(description="ID of the policy to delete.")
        ],
    ) -> RetentionPolicyPayload:
        context = info.context
        policy_id = parse_input_id(id, "id")
        result = await policies.delete_policy(context.database, context.command, policy_id)
        return RetentionPolicyPayload.from_result(result)
